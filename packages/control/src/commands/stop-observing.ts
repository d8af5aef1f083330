/** Ends the observation of an upstream: what its policy denies is denied again, and open calls are decided anew. */
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound } from "../problem.ts";
import { requireTarget } from "./change-object.ts";

export function stopObserving(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  reference: string,
): Promise<null> {
  return context.store.command(
    actor,
    tenantId,
    async (transaction) => {
      const id = await requireTarget(transaction, "upstream", reference);
      const stored = await transaction.get("observe_mode", id);
      if (stored === undefined) throw notFound();
      await transaction.remove("observe_mode", id, stored.version);
      const { version, value } = stored;
      transaction.record("observe.stopped", { version, upstreamId: id, upstream: value.upstream });
      return null;
    },
    { urgent: true },
  );
}
