/**
 * What the commit of one call would say of its budgets now, found without a lock, a charge or a counter made. Others may
 * draw on the same budgets before the call is made.
 */
import type { BudgetClaim } from "@writ/contract";
import type { Database } from "@writ/db";
import { mergeClaims } from "./pack-claims.ts";
import { packHex } from "./pack-hex.ts";

/** As in the entry of an allow. */
export interface Claiming {
  readonly claims: readonly BudgetClaim[];
  /** Hex of the root node; "" for who has no token, and so no counter of a node. */
  readonly root: string;
  readonly budgetNodesMax: number;
}

export type ForeseenClaims =
  | { readonly kind: "fits" }
  | { readonly kind: "refused"; readonly claim: BudgetClaim; readonly remaining: number }
  | { readonly kind: "refused_nodes" };

export async function foreseeClaims(db: Database, tenantId: string, claiming: Claiming): Promise<ForeseenClaims> {
  const claims = mergeClaims(claiming.claims);
  if (claims.length === 0) return { kind: "fits" };
  const rows = await db.transaction({ tenants: [tenantId], readOnly: true }, (q) =>
    q.query<{ totals: number[]; known: number[]; of_root: number }>(
      "SELECT totals, known, of_root FROM writ_foresee($1::uuid, $2::bytea, $3::int8[], $4::bytea)",
      [
        tenantId,
        packHex(claims.map(({ counter }) => counter)),
        claims.map(({ windowStartMs }) => windowStartMs),
        Buffer.from(claiming.root, "hex"),
      ],
    ),
  );
  const row = rows[0];
  if (row === undefined) throw new TypeError("writ_foresee answered nothing");
  // In the order of the commit, which says what it meets first.
  let nodes = row.of_root;
  for (const [index, { claim, scope, amount, limit }] of claims.entries()) {
    const left = limit - (row.totals[index] ?? 0);
    if (amount > left) return { kind: "refused", claim, remaining: Math.max(0, left) };
    if (scope !== "node" || row.known[index] === 1) continue;
    nodes += 1;
    if (nodes > claiming.budgetNodesMax) return { kind: "refused_nodes" };
  }
  return { kind: "fits" };
}
