/** Which name no tenant may have, who may rename one, and that no two have the same. What a name may be made of is the admin API's to say. */
import { type Actor, isOfInstance } from "../actor.ts";
import { Problem } from "../problem.ts";
import { TENANT_ID } from "../queries/find-tenant.ts";
import type { Queries } from "../store/control-store.ts";

/** Problem `fault_request` for a name that a path would be taken to mean as an identifier, perhaps another tenant's. */
export function requireTenantName(name: string): void {
  if (!TENANT_ID.test(name)) return;
  throw new Problem("fault_request", "a tenant's name must not have the form of an identifier (a UUID)");
}

/**
 * Takes the name for the tenant, in the transaction that gives it: what was looked up before may have changed since. Ends
 * the transaction with the problem `name_taken` when another tenant has it.
 */
export async function takeTenantName(transaction: Queries, tenantId: string, name: string): Promise<void> {
  await transaction.query("SELECT writ_take_tenant_name($1::uuid, $2)", [tenantId, name]);
}

/**
 * Problem `permission_missing` for a tenant's own key, whatever the name is: names are unique among all tenants, and
 * whether one is taken would tell it which others there are.
 */
export function requireRenameAuthority(actor: Actor): void {
  if (isOfInstance(actor)) return;
  throw new Problem(
    "permission_missing",
    "Names of tenants are the instance's: rename a tenant with an admin key of the instance. A tenant's own key leaves name out.",
  );
}
