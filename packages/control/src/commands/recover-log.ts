/**
 * Opens a new epoch of a tenant's log after a restore, with the tenant's kill switch engaged. Says by its first event
 * where the old log ended; every gateway loads its authority anew.
 */
import type { LogRecover, LogRecoverAnswer } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound } from "../problem.ts";
import { selectHead } from "../queries/list-audit-events.ts";

export async function recoverLog(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: LogRecover,
): Promise<LogRecoverAnswer> {
  const head = await context.store.read([tenantId], (transaction) => selectHead(transaction, tenantId));
  if (head === undefined) throw notFound();
  const epoch = await context.store.openEpoch(actor, tenantId, input.reason);
  return { epoch, previousSequence: head.sequence, previousHash: Buffer.from(head.hash).toString("hex") };
}
