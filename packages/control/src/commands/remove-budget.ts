/** Removes a budget rule. Its counter stays, so that the same rule made again goes on where it was. */

import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { getForChange } from "./change-object.ts";

export function removeBudget(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  id: string,
  expected: number,
): Promise<null> {
  return context.store.command(actor, tenantId, async (transaction) => {
    await getForChange(transaction, "budget", id, expected);
    await transaction.remove("budget", id, expected);
    transaction.record("budget.removed", { version: expected, budgetId: id });
    return null;
  });
}
