/**
 * Opens a new epoch of a tenant's log after a restore, with the tenant's kill switch engaged. Says by its first event
 * where the old log ended; every gateway loads its authority anew. The restored head may be behind an epoch that was
 * opened since the copy was made: the new one lies behind every epoch that a checkpoint or the caller knows of.
 */
import type { LogRecover, LogRecoverAnswer } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";

export async function recoverLog(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  { reason, epochAfter = 0 }: LogRecover,
): Promise<LogRecoverAnswer> {
  const seen = await context.checkpoints.epochSeen(tenantId);
  const opened = await context.store.openEpoch(actor, tenantId, { reason, epochAfter: Math.max(seen, epochAfter) });
  return { ...opened, previousHash: Buffer.from(opened.previousHash).toString("hex") };
}
