/**
 * Changes a tenant's settings. A lower lifetime binds tokens minted from now on. Only keys of the instance rename, and
 * only they let tokens live longer.
 */
import type { TenantUpdate, TenantView } from "@writ/contract/admin";
import { type Actor, isOfInstance } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { findTenant } from "../queries/find-tenant.ts";
import { applyChange, getForChange } from "./change-object.ts";
import { requireRenameAuthority, requireTenantName, takeTenantName } from "./require-tenant-name.ts";

export async function updateTenant(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: TenantUpdate,
): Promise<TenantView> {
  const { version: expected, ...change } = input;
  if (change.name !== undefined) {
    requireRenameAuthority(actor);
    requireTenantName(change.name);
    const other = await findTenant(context, change.name);
    if (other !== undefined && other !== tenantId) throw new Problem("name_taken", "There is a tenant of this name.");
  }
  return context.store.command(actor, tenantId, async (transaction) => {
    const stored = await getForChange(transaction, "tenant", tenantId, expected);
    if (change.name !== undefined) await takeTenantName(transaction, tenantId, change.name);
    requireLifetimeAuthority(actor, stored.value.tokenLifetimeMaxSeconds, change.tokenLifetimeMaxSeconds);
    const { value, changed } = applyChange(stored.value, change);
    const version = await transaction.put("tenant", tenantId, value, expected);
    transaction.record("tenant.updated", { version, changed });
    return { id: tenantId, version, ...value };
  });
}

/** Problem `permission_missing` for a tenant's own key that raises what bounds it. */
function requireLifetimeAuthority(actor: Actor, stored: number, wanted: number | undefined): void {
  if (wanted === undefined || wanted <= stored || isOfInstance(actor)) return;
  throw new Problem(
    "permission_missing",
    `The instance says how long tokens of a tenant may live (now ${stored} seconds): raise it with an admin key of the instance. A tenant's own key only lowers it.`,
  );
}
