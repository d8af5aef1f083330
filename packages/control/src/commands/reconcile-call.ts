/**
 * Says what became of a call that was recorded as unknown, as far as somebody found out: that it ran, so that its charge
 * stays for good, or that it did not, so that the charge is given back. Authority does not move.
 */
import type { CallReconcile, CallReconcileAnswer } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound } from "../problem.ts";
import { CALL_ID } from "../queries/list-unknown-calls.ts";

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
    if (rows[0]?.reconciled !== true) throw notFound();
    transaction.record("call.reconciled", { callId, outcome });
    return { callId, outcome };
  });
}
