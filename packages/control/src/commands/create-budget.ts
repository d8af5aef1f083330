/** Creates a budget rule. One rule a scope, unit, window and mode: several limits on one counter are allowed, equal ones are not. */
import type { BudgetCreate, BudgetView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";
import type { CommandTransaction } from "../store/control-store.ts";
import { requireReference } from "./change-object.ts";

/** Rules of a tenant: each call looks at those of its own scopes only. */
const BUDGETS_MAX = 10_000;

export function createBudget(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: BudgetCreate,
): Promise<BudgetView> {
  const id = makeId(context);
  return context.store.command(actor, tenantId, async (transaction) => {
    const scopeId = await readScopeId(transaction, input);
    const value = {
      scope: input.scope,
      scopeId,
      unit: input.unit,
      window: input.window,
      limit: input.limit,
      mode: input.mode,
    };
    const rules = await transaction.find("budget");
    if (rules.length >= BUDGETS_MAX) throw new Problem("state_conflict", `There are ${BUDGETS_MAX} budget rules.`);
    const same = rules.some(
      ({ value: other }) =>
        other.scope === value.scope &&
        other.scopeId === value.scopeId &&
        other.unit === value.unit &&
        other.window === value.window &&
        other.mode === value.mode,
    );
    if (same)
      throw new Problem("name_taken", "There is a budget of this scope, unit, window and mode; change that one.");
    const version = await transaction.put("budget", id, value, 0);
    transaction.record("budget.created", { version, budgetId: id });
    return { id, version, ...value };
  });
}

async function readScopeId(transaction: CommandTransaction, input: BudgetCreate): Promise<string> {
  switch (input.scope) {
    case "tenant":
      if (input.scopeId !== "") throw new Problem("fault_request", 'scopeId of a tenant budget is ""');
      return "";
    case "agent":
    case "principal":
      return requireReference(transaction, input.scope, input.scopeId);
    case "node":
      if (!/^[0-9a-f]{32}$/.test(input.scopeId))
        throw new Problem("fault_request", "scopeId of a node budget is a node");
      return input.scopeId;
    case "upstream":
      if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(input.scopeId)) {
        throw new Problem("fault_request", "scopeId of an upstream budget is the upstream's name");
      }
      return input.scopeId;
    case "tool":
      if (!/^[a-z0-9][a-z0-9-]{0,62}\/./.test(input.scopeId)) {
        throw new Problem("fault_request", "scopeId of a tool budget is upstream/tool");
      }
      return input.scopeId;
  }
}
