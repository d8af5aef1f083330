/** Reads what counters hold, as limits are compared with it. Changes nothing. */
import type { BudgetClaim } from "@writ/contract";
import type { Database } from "@writ/db";
import { packHex } from "./pack-hex.ts";

/** What each counter holds in the window of its claim: what was charged and is set aside. As of some moment. */
export async function readCounterTotals(
  db: Database,
  tenantId: string,
  claims: readonly Pick<BudgetClaim, "counter" | "windowStartMs">[],
): Promise<readonly number[]> {
  if (claims.length === 0) return [];
  const rows = await db.transaction({ tenants: [tenantId], readOnly: true }, (q) =>
    q.query<{ totals: number[] }>("SELECT writ_counter_totals($1::uuid, $2::bytea, $3::int8[]) AS totals", [
      tenantId,
      packHex(claims.map(({ counter }) => counter)),
      claims.map(({ windowStartMs }) => windowStartMs),
    ]),
  );
  return rows[0]?.totals ?? [];
}
