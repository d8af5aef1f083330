/**
 * Engages a kill switch, or gives an engaged one a new reason. An agent or principal that does not exist is a
 * problem, so that a mistyped name is not believed to be stopped; upstreams and tools are names that rules may hold
 * before they exist.
 */
import { INSTANCE_TENANT, type KillScope } from "@writ/contract";
import type { KillView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { Problem } from "../problem.ts";
import type { CommandTransaction } from "../store/control-store.ts";
import { requireReference } from "./change-object.ts";

export interface KillTarget {
  readonly scope: KillScope;
  /** "" for instance and tenant. */
  readonly scopeId: string;
}

/** `tenantId` is the instance's for the scope `instance` and no other. */
export function engageKill(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  target: KillTarget,
  reason: string,
): Promise<KillView> {
  const engagedAtMs = context.clock.nowMs();
  return context.store.command(
    actor,
    tenantId,
    async (transaction) => {
      const { scope, scopeId } = await readKillTarget(transaction, tenantId, target);
      const id = `${scope}:${scopeId}`;
      const before = await transaction.get("kill", id);
      const value = { scope, scopeId, reason, engagedAtMs };
      const version = await transaction.put("kill", id, value, before?.version ?? 0);
      transaction.record("kill.engaged", { version, scope, scopeId, reason });
      return { id, version, ...value };
    },
    { urgent: true },
  );
}

/** The target with names resolved. Problem `fault_request` for a scope that this tenant cannot have. */
export async function readKillTarget(
  transaction: CommandTransaction,
  tenantId: string,
  target: KillTarget,
): Promise<KillTarget> {
  const { scope, scopeId } = target;
  if ((scope === "instance") !== (tenantId === INSTANCE_TENANT)) {
    throw new Problem("fault_request", "this scope does not belong here");
  }
  if (scope === "agent" || scope === "principal") {
    return { scope, scopeId: await requireReference(transaction, scope, scopeId) };
  }
  return target;
}
