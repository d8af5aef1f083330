/**
 * Creates an admin key of a tenant or of the instance. Nobody hands out more than they hold: a key's permissions are
 * within those of the key that makes it, and so is its life.
 */
import { INSTANCE_TENANT } from "@writ/contract";
import {
  ADMIN_PERMISSIONS,
  type AdminGrant,
  type AdminKeyCreate,
  type AdminKeyCreateAnswer,
  type AdminKeyView,
  type AdminPermission,
} from "@writ/contract/admin";
import { makeAdminKey } from "@writ/runtime";
import { type Actor, hasPermission } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";
import type { CommandTransaction } from "../store/control-store.ts";

const KNOWN: ReadonlySet<string> = new Set<string>([...ADMIN_PERMISSIONS, "*"]);

export function createAdminKey(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: AdminKeyCreate,
): Promise<AdminKeyCreateAnswer> {
  for (const permission of input.permissions) {
    if (!KNOWN.has(permission)) throw new Problem("fault_request", "permissions names one that does not exist");
    const held = permission === "*" ? actor.grants.has("*") : hasPermission(actor, permission as AdminPermission);
    if (!held) throw new Problem("permission_missing", "A key cannot give what it does not hold.");
  }
  return context.store.command(actor, tenantId, (transaction) =>
    createAdminKeyIn(transaction, context, actor, tenantId, input),
  );
}

/** Creates the key in a transaction that the caller has; it ends with its maker at the latest. Checks no permission. */
export async function createAdminKeyIn(
  transaction: CommandTransaction,
  context: Pick<ControlContext, "clock" | "random">,
  actor: Actor,
  tenantId: string,
  input: AdminKeyCreate,
): Promise<AdminKeyCreateAnswer> {
  const id = makeId(context);
  const secret = context.random.bytes(32);
  const { text, hash } = makeAdminKey({ tenantId, id, secret });
  secret.fill(0);
  const createdAtMs = context.clock.nowMs();
  const wantedMs = input.expiresInSeconds === undefined ? Infinity : createdAtMs + input.expiresInSeconds * 1000;
  const endsMs = Math.min(wantedMs, actor.expiresAtMs ?? Infinity);
  const expiresAtMs = endsMs === Infinity ? null : endsMs;
  await transaction.query(
    `INSERT INTO admin_key (tenant_id, key_id, name, digest, permissions, created_ms, created_by, expires_ms)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [tenantId, id, input.name, hash, input.permissions, createdAtMs, actor.by, expiresAtMs],
  );
  transaction.record("admin_key.created", { version: 1, keyId: id, permissions: input.permissions });
  const view: AdminKeyView = {
    id,
    name: input.name,
    permissions: input.permissions as readonly AdminGrant[],
    createdBy: actor.by,
    createdAtMs,
    ...(tenantId === INSTANCE_TENANT ? {} : { tenantId }),
    ...(expiresAtMs === null ? {} : { expiresAtMs }),
  };
  return { key: text, view };
}
