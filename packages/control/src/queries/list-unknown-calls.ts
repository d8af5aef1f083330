/** Lists calls that may have run: each stays charged until its outcome is known. Oldest first. */
import type { Page, UnknownCallView } from "@writ/contract/admin";
import type { ControlContext } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { makePage, type PageRequest } from "./read-objects.ts";

/** How the identifier of a call looks. */
export const CALL_ID: RegExp = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface CallRow extends Record<string, unknown> {
  readonly call_id: string;
  readonly gateway_id: string;
  readonly opened_ms: number;
  readonly counters: number;
}

/** Problem `fault_request` for a page after something that is no call. */
export async function listUnknownCalls(
  context: ControlContext,
  tenantId: string,
  page: PageRequest,
): Promise<Page<UnknownCallView>> {
  if (page.after !== "" && !CALL_ID.test(page.after)) throw new Problem("fault_request", "after must be a call's id");
  return context.store.read([tenantId], async (transaction) => {
    // Identifiers begin with their time.
    const rows = await transaction.query<CallRow>(
      `SELECT call_id, gateway_id, opened_us / 1000 AS opened_ms, cardinality(amounts) AS counters FROM open_call
        WHERE tenant_id = $1::uuid AND state = 'unknown' AND ($2 = '' OR call_id > nullif($2, '')::uuid)
        ORDER BY call_id LIMIT $3`,
      [tenantId, page.after, page.limit + 1],
    );
    const items = rows.map((row) => ({
      callId: row.call_id,
      openedMs: row.opened_ms,
      gatewayId: row.gateway_id,
      counters: row.counters,
    }));
    return makePage(items, page.limit, ({ callId }) => callId);
  });
}
