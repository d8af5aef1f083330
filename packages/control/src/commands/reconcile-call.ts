/**
 * Says what became of a call that was recorded as unknown, as far as somebody found out: that it ran, so that its charge
 * stays for good, or that it did not, so that the charge is given back. Authority does not move.
 */
import type { CallReconcile, CallReconcileAnswer } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound, Problem } from "../problem.ts";
import { CALL_ID } from "../queries/list-unknown-calls.ts";

/** Outcomes are written behind the answer that the agent gets, and those of a gateway that died once its lease is over. */
const UNSETTLED =
  "The call was allowed, and what became of it is not on record yet: it runs, or has just ended. Try again in a few seconds.";

/** Problem `call_unsettled` for a call that still is open; `not_found` for one that has its outcome, or is none. */
export function reconcileCall(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  callId: string,
  { outcome }: CallReconcile,
): Promise<CallReconcileAnswer> {
  return context.store.command(actor, tenantId, async (transaction) => {
    if (!CALL_ID.test(callId)) throw notFound();
    const rows = await transaction.query<{ readonly reconciled: boolean }>(
      "SELECT writ_reconcile($1::uuid, $2::uuid, $3::boolean) AS reconciled",
      [tenantId, callId, outcome === "ran"],
    );
    if (rows[0]?.reconciled !== true) {
      // The head is locked by now, so that no outcome is written in between.
      const open = await transaction.query("SELECT FROM open_call WHERE tenant_id = $1::uuid AND call_id = $2::uuid", [
        tenantId,
        callId,
      ]);
      throw open.length === 0 ? notFound() : new Problem("call_unsettled", UNSETTLED);
    }
    transaction.record("call.reconciled", { callId, outcome });
    return { callId, outcome };
  });
}
