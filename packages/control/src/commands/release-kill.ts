/** Releases a kill switch. Releasing one that is not engaged is a problem: somebody believed otherwise. */

import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound } from "../problem.ts";
import { type KillTarget, readKillTarget } from "./engage-kill.ts";

export function releaseKill(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  target: KillTarget,
): Promise<null> {
  return context.store.command(actor, tenantId, async (transaction) => {
    // A switch whose agent is gone is released by the id that the list shows.
    const literal = await transaction.get("kill", `${target.scope}:${target.scopeId}`);
    const { scope, scopeId } =
      literal === undefined ? await readKillTarget(transaction, tenantId, target) : literal.value;
    const stored = literal ?? (await transaction.get("kill", `${scope}:${scopeId}`));
    if (stored === undefined) throw notFound();
    await transaction.remove("kill", stored.id, stored.version);
    transaction.record("kill.released", { version: stored.version, scope, scopeId });
    return null;
  });
}
