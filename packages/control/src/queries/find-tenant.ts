/** Finds tenants by name or id, for keys of the instance. A key of one tenant never comes here. */
import { INSTANCE_TENANT, type TenantSettings } from "@writ/contract";
import type { ControlContext } from "../control-context.ts";
import type { Stored } from "../store/control-store.ts";
import { selectObject } from "./read-objects.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Tenants of which the settings are read in one transaction. */
const TENANTS_PER_READ = 1_000;

/** The id of the tenant, or undefined when there is none. */
export async function findTenant(context: ControlContext, reference: string): Promise<string | undefined> {
  if (UUID.test(reference)) {
    if (reference === INSTANCE_TENANT) return undefined;
    const found = await context.store.read([reference], (transaction) =>
      selectObject(transaction, reference, "tenant", reference),
    );
    return found?.id;
  }
  const all = await listTenants(context);
  return all.find((tenant) => tenant.value.name === reference)?.id;
}

/** Every tenant, in the order of ids. */
export async function listTenants(context: ControlContext): Promise<readonly Stored<TenantSettings>[]> {
  const ids = (await context.store.tenants()).filter((id) => id !== INSTANCE_TENANT).toSorted();
  const found: Stored<TenantSettings>[] = [];
  for (let at = 0; at < ids.length; at += TENANTS_PER_READ) {
    const some = ids.slice(at, at + TENANTS_PER_READ);
    const rows = await context.store.read(some, (transaction) =>
      transaction.query<{ readonly id: string; readonly version: number; readonly value: string }>(
        "SELECT id, version, value FROM authority WHERE kind = 'tenant' AND deactivated_ms IS NULL ORDER BY id",
      ),
    );
    for (const row of rows) {
      // Only commands write this column, and of this kind only settings.
      found.push({ id: row.id, version: row.version, value: JSON.parse(row.value) as TenantSettings });
    }
  }
  return found;
}
