/**
 * Puts an upstream under observation, or gives its observation another end. One that is under way cannot be drawn out
 * beyond what it could have had from its start: it is stopped and begun anew, which are two events.
 */
import { OBSERVE_DAYS_MAX, OBSERVE_MS_MAX, type ObserveMode } from "@writ/contract";
import type { ObserveView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound, Problem } from "../problem.ts";
import { requireTarget } from "./change-object.ts";

export function startObserving(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  { reference, seconds }: { readonly reference: string; readonly seconds: number },
): Promise<ObserveView> {
  return context.store.command(actor, tenantId, async (transaction) => {
    const id = await requireTarget(transaction, "upstream", reference);
    const upstream = (await transaction.get("upstream", id))?.value.name;
    if (upstream === undefined) throw notFound();
    const before = await transaction.get("observe_mode", id);
    const nowMs = context.clock.nowMs();
    const isUnderWay = before !== undefined && nowMs < before.value.untilMs;
    const { startedAtMs, startedBy } = isUnderWay ? before.value : { startedAtMs: nowMs, startedBy: actor.by };
    const untilMs = nowMs + seconds * 1000;
    if (untilMs - startedAtMs > OBSERVE_MS_MAX) {
      throw new Problem(
        "fault_request",
        `${upstream} has been under observation since ${new Date(startedAtMs).toISOString()}, and ${OBSERVE_DAYS_MAX} days is the most: ask for less, or stop it first`,
      );
    }
    const value: ObserveMode = { upstream, startedAtMs, startedBy, untilMs };
    const version = await transaction.put("observe_mode", id, value, before?.version ?? 0);
    transaction.record("observe.started", { version, upstreamId: id, upstream, until: untilMs });
    return { id, version, ...value, active: true };
  });
}
