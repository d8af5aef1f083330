/** Removes a rate. */
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { getForChange } from "./change-object.ts";

export function removeRate(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  id: string,
  expected: number,
): Promise<null> {
  return context.store.command(actor, tenantId, async (transaction) => {
    await getForChange(transaction, "rate", id, expected);
    await transaction.remove("rate", id, expected);
    transaction.record("rate.removed", { version: expected, rateId: id });
    return null;
  });
}
