/** Registers an agent of a principal. It can do nothing until a token is minted for it. */
import type { AgentCreate, AgentView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { requireReference } from "./change-object.ts";
import { requireName } from "./require-name.ts";

export function createAgent(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: AgentCreate,
): Promise<AgentView> {
  requireName(input.name);
  const id = makeId(context);
  return context.store.command(actor, tenantId, async (transaction) => {
    const principalId = await requireReference(transaction, "principal", input.principal);
    const value = { name: input.name, principalId, status: "active", labels: input.labels ?? {} } as const;
    const version = await transaction.put("agent", id, value, 0);
    transaction.record("agent.created", { version, agentId: id, principalId });
    return { id, version, ...value };
  });
}
