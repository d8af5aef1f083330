/** Creates a tenant: its head, its settings and its first root key, in one transaction. */
import type { TenantSettings } from "@writ/contract";
import type { TenantCreate, TenantView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { findTenant } from "../queries/find-tenant.ts";
import { requireTenantName, takeTenantName } from "./require-tenant-name.ts";
import { makeRootKey } from "./root-key-material.ts";

export const TENANT_DEFAULTS = { tokenLifetimeMaxSeconds: 86_400, budgetNodesMax: 1_000 } as const;

export async function createTenant(context: ControlContext, actor: Actor, input: TenantCreate): Promise<TenantView> {
  requireTenantName(input.name);
  const id = makeId(context);
  const keyId = makeId(context);
  const value: TenantSettings = {
    name: input.name,
    status: "active",
    tokenLifetimeMaxSeconds: input.tokenLifetimeMaxSeconds ?? TENANT_DEFAULTS.tokenLifetimeMaxSeconds,
    budgetNodesMax: input.budgetNodesMax ?? TENANT_DEFAULTS.budgetNodesMax,
  };
  const rootKey = makeRootKey(context, id, keyId);
  if ((await findTenant(context, input.name)) !== undefined) {
    throw new Problem("name_taken", "There is a tenant of this name.");
  }
  return context.store.createTenant(actor, id, async (transaction) => {
    await takeTenantName(transaction, id, input.name);
    const version = await transaction.put("tenant", id, value, 0);
    await transaction.put("root_key", keyId, rootKey, 0);
    transaction.record("tenant.created", { version, tenantId: id });
    return { id, version, ...value };
  });
}
