/** Changes what an entry of the price list costs, from the next call on. What was charged stays charged. */
import type { PriceUpdate, PriceView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { getForChange } from "./change-object.ts";

export function updatePrice(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  id: string,
  { version: expected, credits }: PriceUpdate,
): Promise<PriceView> {
  return context.store.command(actor, tenantId, async (transaction) => {
    const stored = await getForChange(transaction, "price", id, expected);
    const value = { ...stored.value, credits };
    const version = await transaction.put("price", id, value, expected);
    transaction.record("price.updated", { version, priceId: id, credits });
    return { id, version, ...value };
  });
}
