/**
 * `refundCarves`: when a carved node has ended and nothing in it is open, what remains of its carve returns to the
 * counters it came from, once. What was spent below, or may have been, stays charged above. Run by the control plane.
 */
import { encodeEvent } from "@writ/audit";
import type { Database } from "@writ/db";
import { packHex } from "./pack-hex.ts";

/** Carves that one run refunds at most. */
export const REFUNDS_PAGE_MAX = 200;

/** Refunds one page of a tenant's ended carves and returns how many; 0 when there is nothing to do (yet). */
export async function refundCarves(
  db: Database,
  tenantId: string,
  options: { readonly nowMs: number; readonly newId: () => string },
): Promise<number> {
  return db.transaction({ tenants: [tenantId] }, async (q) => {
    await q.query("SELECT tenant_id FROM writ_lock_heads($1::uuid[])", [[tenantId]]);
    const rows = await q.query<{
      node: string;
      parent_counter: Uint8Array;
      amount: number;
      spent: number;
      cause: string;
    }>("SELECT node, parent_counter, amount, spent, cause FROM writ_refundable($1::uuid, $2)", [
      tenantId,
      REFUNDS_PAGE_MAX,
    ]);
    if (rows.length === 0) return 0;
    const parents = rows.map((row) => Buffer.from(row.parent_counter).toString("hex"));
    const events = rows.map((row, index) =>
      encodeEvent({
        event: "budget.refunded",
        id: options.newId(),
        timeMs: options.nowMs,
        tenantId,
        fields: {
          node: row.node,
          counter: parents[index] as string, // one for each row
          amount: Math.max(row.amount - row.spent, 0),
          cause: row.cause,
        },
      }),
    );
    await q.query("SELECT writ_refund($1::uuid, $2::text[], $3::bytea, $4::text[], $5::bytea)", [
      tenantId,
      rows.map((row) => row.node),
      packHex(parents),
      events.map((event) => event.text),
      Buffer.concat(events.map((event) => event.leaf)),
    ]);
    return rows.length;
  });
}
