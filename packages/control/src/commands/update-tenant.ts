/**
 * Changes a tenant's settings. A lower lifetime binds tokens minted from now on. Only keys of the instance rename, and
 * only they raise its limits.
 */
import type { TenantSettings } from "@writ/contract";
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
    requireLimitAuthority(actor, stored.value, change);
    const { value, changed } = applyChange(stored.value, change);
    const version = await transaction.put("tenant", tenantId, value, expected);
    transaction.record("tenant.updated", { version, changed });
    return { id: tenantId, version, ...value };
  });
}

/** What the instance says of a tenant, for its own good and that of the others. */
const LIMITS = ["tokenLifetimeMaxSeconds", "budgetNodesMax"] as const;

/** Problem `permission_missing` for a tenant's own key that raises what bounds it. */
function requireLimitAuthority(actor: Actor, stored: TenantSettings, change: Omit<TenantUpdate, "version">): void {
  if (isOfInstance(actor)) return;
  for (const limit of LIMITS) {
    if ((change[limit] ?? 0) <= stored[limit]) continue;
    throw new Problem(
      "permission_missing",
      `The instance says what ${limit} is at most (now ${stored[limit]}): raise it with an admin key of the instance. A tenant's own key only lowers it.`,
    );
  }
}
