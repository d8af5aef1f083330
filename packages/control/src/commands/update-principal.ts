/** Renames, suspends or reactivates a principal. */
import type { PrincipalUpdate, PrincipalView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { applyChange, getForChange, requireTarget } from "./change-object.ts";
import { requireName } from "./require-name.ts";

export function updatePrincipal(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  reference: string,
  input: PrincipalUpdate,
): Promise<PrincipalView> {
  requireName(input.name);
  const { version: expected, ...change } = input;
  return context.store.command(actor, tenantId, async (transaction) => {
    const id = await requireTarget(transaction, "principal", reference);
    const stored = await getForChange(transaction, "principal", id, expected);
    const { value, changed } = applyChange(stored.value, change);
    const version = await transaction.put("principal", id, value, expected);
    transaction.record("principal.updated", { version, principalId: id, changed });
    return { id, version, ...value };
  });
}
