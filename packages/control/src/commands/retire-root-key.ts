/** Retires a root key: every token that names it is refused. The key that mints cannot be retired. */
import type { RootKeyView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound, Problem } from "../problem.ts";

export function retireRootKey(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  id: string,
): Promise<RootKeyView> {
  return context.store.command(actor, tenantId, async (transaction) => {
    const stored = await transaction.get("root_key", id);
    if (stored === undefined) throw notFound();
    if (stored.value.status === "active") {
      throw new Problem("state_conflict", "This key mints; rotate first, then retire it.");
    }
    if (stored.value.status === "retired") throw new Problem("state_conflict", "This key is retired already.");
    const version = await transaction.put("root_key", id, { ...stored.value, status: "retired" }, stored.version);
    transaction.record("root_key.retired", { version, keyId: id });
    return { id, version, status: "retired" };
  });
}
