/** Removes an entry of the price list: the next closest pattern counts. */
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { getForChange } from "./change-object.ts";

export function removePrice(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  id: string,
  expected: number,
): Promise<null> {
  return context.store.command(actor, tenantId, async (transaction) => {
    await getForChange(transaction, "price", id, expected);
    await transaction.remove("price", id, expected);
    transaction.record("price.removed", { version: expected, priceId: id });
    return null;
  });
}
