/** Who is acting, and the fields of the events that say so. Finding out who it is belongs to server/authenticate.ts. */
import { type AuditEvent, type EventName, INSTANCE_TENANT } from "@writ/contract";
import type { AdminGrant, AdminPermission } from "@writ/contract/admin";

/** An authenticated admin key, or Writ itself at its first start. Never taken from a body. */
export interface Actor {
  /** As events name it: `admin_key:<id>`, or `system:<what>`. */
  readonly by: string;
  /** The tenant of the key; the instance's for keys of the instance. */
  readonly tenantId: string;
  readonly grants: ReadonlySet<AdminGrant>;
  /** When the key ends; absent for one that does not. No key that it makes outlives it. */
  readonly expiresAtMs?: number;
}

export function isOfInstance(actor: Actor): boolean {
  return actor.tenantId === INSTANCE_TENANT;
}

export function hasPermission(actor: Actor, permission: AdminPermission): boolean {
  return actor.grants.has("*") || actor.grants.has(permission);
}

export type EventFields<N extends EventName> = Extract<AuditEvent, { readonly event: N }>["fields"];
