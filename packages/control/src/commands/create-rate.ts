/** Sets a rate: one for each scope, name and period. It binds the attempts that begin once it is known. */
import type { RateCreate, RateView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";
import type { CommandTransaction } from "../store/control-store.ts";
import { requireReference } from "./change-object.ts";

/** Rates of a tenant: each attempt looks at those of its own scopes only, and each has a window in every gateway. */
const RATES_MAX = 1_000;

export function createRate(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: RateCreate,
): Promise<RateView> {
  const id = makeId(context);
  return context.store.command(actor, tenantId, async (transaction) => {
    const { scope, limit, per } = input;
    const scopeId = await readScopeId(transaction, input);
    const rates = await transaction.find("rate");
    if (rates.length >= RATES_MAX) throw new Problem("state_conflict", `There are ${RATES_MAX} rates.`);
    if (rates.some(({ value }) => value.scope === scope && value.scopeId === scopeId && value.per === per)) {
      throw new Problem("name_taken", "There is a rate of this scope and period; change that one.");
    }
    const value = { scope, scopeId, limit, per };
    const version = await transaction.put("rate", id, value, 0);
    transaction.record("rate.created", { version, rateId: id });
    return { id, version, ...value };
  });
}

async function readScopeId(transaction: CommandTransaction, { scope, scopeId }: RateCreate): Promise<string> {
  switch (scope) {
    case "tenant":
      if (scopeId !== "") throw new Problem("fault_request", 'scopeId of a tenant rate is ""');
      return "";
    case "agent":
      return requireReference(transaction, scope, scopeId);
    case "endpoint":
      if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(scopeId)) {
        throw new Problem("fault_request", "scopeId of an endpoint rate is the upstream's name");
      }
      return scopeId;
  }
}
