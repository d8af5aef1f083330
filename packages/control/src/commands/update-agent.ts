/** Renames, labels, suspends or reactivates an agent. Its principal never changes: tokens name both. */
import type { AgentUpdate, AgentView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { applyChange, getForChange, requireTarget } from "./change-object.ts";
import { requireName } from "./require-name.ts";

export function updateAgent(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  reference: string,
  input: AgentUpdate,
): Promise<AgentView> {
  requireName(input.name);
  const { version: expected, ...change } = input;
  return context.store.command(actor, tenantId, async (transaction) => {
    const id = await requireTarget(transaction, "agent", reference);
    const stored = await getForChange(transaction, "agent", id, expected);
    const { value, changed } = applyChange(stored.value, change);
    const version = await transaction.put("agent", id, value, expected);
    transaction.record("agent.updated", { version, agentId: id, changed });
    return { id, version, ...value };
  });
}
