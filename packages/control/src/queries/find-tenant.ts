/** Finds tenants by name or id, for keys of the instance. A key of one tenant never comes here. */
import { INSTANCE_TENANT, type TenantSettings } from "@writ/contract";
import type { ControlContext } from "../control-context.ts";
import type { Stored } from "../store/control-store.ts";
import { selectObject } from "./read-objects.ts";

/** How the identifier of a tenant looks; no name looks so. */
export const TENANT_ID: RegExp = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Tenants of which the settings are read in one transaction. */
const TENANTS_PER_READ = 1_000;

/** Names that are remembered. */
const NAMES_MAX = 10_000;

/** The id of the tenant, or undefined when there is none. */
export async function findTenant(context: ControlContext, reference: string): Promise<string | undefined> {
  if (TENANT_ID.test(reference)) {
    if (reference === INSTANCE_TENANT) return undefined;
    const found = await context.store.read([reference], (transaction) =>
      selectObject(transaction, reference, "tenant", reference),
    );
    return found?.id;
  }
  // A name is looked for among all tenants once; after that it costs one read, which also sees that it has changed.
  const known = context.tenantIds.get(reference);
  if (known !== undefined) {
    const found = await context.store.read([known], (transaction) => selectObject(transaction, known, "tenant", known));
    if (found?.value.name === reference) return known;
    context.tenantIds.delete(reference);
  }
  const id = (await listTenants(context)).find((tenant) => tenant.value.name === reference)?.id;
  if (id !== undefined) {
    if (context.tenantIds.size >= NAMES_MAX) context.tenantIds.clear();
    context.tenantIds.set(reference, id);
  }
  return id;
}

/** Every tenant, in the order of ids. */
export async function listTenants(context: ControlContext): Promise<readonly Stored<TenantSettings>[]> {
  const ids = (await context.store.heads()).map((head) => head.tenantId).filter((id) => id !== INSTANCE_TENANT);
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
