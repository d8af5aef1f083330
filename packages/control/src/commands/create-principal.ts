/** Registers a principal: the person, team or service to whom authority belongs. */
import type { PrincipalCreate, PrincipalView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { requireName } from "./require-name.ts";

export function createPrincipal(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: PrincipalCreate,
): Promise<PrincipalView> {
  requireName(input.name);
  const id = makeId(context);
  const value = { name: input.name, type: input.type, status: "active" } as const;
  return context.store.command(actor, tenantId, async (transaction) => {
    const version = await transaction.put("principal", id, value, 0);
    transaction.record("principal.created", { version, principalId: id });
    return { id, version, ...value };
  });
}
