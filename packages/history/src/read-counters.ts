/** Reads what counters hold, as limits are compared with it. Changes nothing. */
import type { BudgetClaim } from "@writ/contract";
import type { Database, Queryable } from "@writ/db";
import { packHex } from "./pack-hex.ts";

type Counted = Pick<BudgetClaim, "counter" | "windowStartMs">;

/** What each counter holds in the window of its claim: what was charged and is set aside. As of some moment. */
export async function readCounterTotals(
  db: Database,
  tenantId: string,
  claims: readonly Counted[],
): Promise<readonly number[]> {
  if (claims.length === 0) return [];
  return db.transaction({ tenants: [tenantId], readOnly: true }, (q) => counterTotalsIn(q, tenantId, claims));
}

/** The same as the transaction sees it. */
export async function counterTotalsIn(
  q: Pick<Queryable, "query">,
  tenantId: string,
  claims: readonly Counted[],
): Promise<readonly number[]> {
  const rows = await q.query<{ totals: number[] }>(
    "SELECT writ_counter_totals($1::uuid, $2::bytea, $3::int8[]) AS totals",
    [tenantId, packHex(claims.map(({ counter }) => counter)), claims.map(({ windowStartMs }) => windowStartMs)],
  );
  return rows[0]?.totals ?? [];
}
