/** Revokes an enforcement point's key: no decision is given to it any more. */
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound } from "../problem.ts";

export function revokeEnforcementPoint(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  id: string,
): Promise<null> {
  return context.store.command(
    actor,
    tenantId,
    async (transaction) => {
      const point = await transaction.get("enforcement_point", id);
      if (point === undefined) throw notFound();
      await transaction.remove("enforcement_point", id, point.version);
      transaction.record("enforcement_point.revoked", { version: point.version, enforcementPointId: id });
      return null;
    },
    { urgent: true },
  );
}
