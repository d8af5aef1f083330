/** Changes a rate's limit. What a gateway has counted stays counted. */
import type { RateUpdate, RateView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { applyChange, getForChange } from "./change-object.ts";

export function updateRate(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  id: string,
  { version: expected, limit }: RateUpdate,
): Promise<RateView> {
  return context.store.command(actor, tenantId, async (transaction) => {
    const stored = await getForChange(transaction, "rate", id, expected);
    const { value, changed } = applyChange(stored.value, { limit });
    const version = await transaction.put("rate", id, value, expected);
    transaction.record("rate.updated", { version, rateId: id, changed });
    return { id, version, ...value };
  });
}
