/** Changes a budget rule's limit or mode. What has been used stays used. */
import type { BudgetUpdate, BudgetView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { applyChange, getForChange } from "./change-object.ts";

export function updateBudget(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  id: string,
  input: BudgetUpdate,
): Promise<BudgetView> {
  const { version: expected, ...change } = input;
  return context.store.command(actor, tenantId, async (transaction) => {
    const stored = await getForChange(transaction, "budget", id, expected);
    const { value, changed } = applyChange(stored.value, change);
    const version = await transaction.put("budget", id, value, expected);
    transaction.record("budget.updated", { version, budgetId: id, changed });
    return { id, version, ...value };
  });
}
