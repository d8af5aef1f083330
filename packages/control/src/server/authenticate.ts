/**
 * Who is asking: an admin key from the Authorization header, and whether it reaches the tenant that the path names.
 * Another tenant and a tenant that does not exist take the same path through this file and give the same answer.
 */
import { INSTANCE_TENANT } from "@writ/contract";
import type { AdminGrant, AdminRoute } from "@writ/contract/admin";
import { isSameHash, parseAdminKey } from "@writ/runtime";
import { type Actor, hasPermission } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound, Problem } from "../problem.ts";
import { findTenant } from "../queries/find-tenant.ts";
import { selectObject } from "../queries/read-objects.ts";

interface KeyRow extends Record<string, unknown> {
  readonly digest: Uint8Array;
  readonly permissions: readonly string[];
  readonly expires_ms: number | null;
  readonly revoked_ms: number | null;
}

/** What a missing key is compared with, so that it costs what a wrong one does. */
const NO_HASH = new Uint8Array(32);

/** Problem `admin_key_missing` or `admin_key_invalid`; which of several things is wrong with a key is not said. */
export async function authenticate(context: ControlContext, authorization: string | undefined): Promise<Actor> {
  const match = /^bearer +(\S+)$/i.exec(authorization ?? "");
  const text = match?.[1];
  if (text === undefined) throw new Problem("admin_key_missing", "Send an admin key as Authorization: Bearer wadm_….");
  const key = parseAdminKey(text);
  if (key === undefined) throw invalid();
  const { unverifiedTenantId, unverifiedId } = key;
  const rows = await context.store.read([unverifiedTenantId], (transaction) =>
    transaction.query<KeyRow>(
      "SELECT digest, permissions, expires_ms, revoked_ms FROM admin_key WHERE tenant_id = $1 AND key_id = $2",
      [unverifiedTenantId, unverifiedId],
    ),
  );
  const row = rows[0];
  const same = isSameHash(row?.digest ?? NO_HASH, key.hash);
  if (row === undefined || !same) throw invalid();
  if (row.revoked_ms !== null) throw invalid();
  if (row.expires_ms !== null && row.expires_ms <= context.clock.nowMs()) throw invalid();
  return {
    by: `admin_key:${unverifiedId}`,
    tenantId: unverifiedTenantId,
    grants: new Set(row.permissions as readonly AdminGrant[]), // written by createAdminKey from the closed list
    ...(row.expires_ms === null ? {} : { expiresAtMs: row.expires_ms }),
  };
}

function invalid(): Problem {
  return new Problem("admin_key_invalid", "The admin key is not known, has expired or was revoked.");
}

/** The tenant that the request is about. Problem `not_found` or `permission_missing`. */
export async function authorize(
  context: ControlContext,
  actor: Actor,
  route: AdminRoute,
  reference: string | undefined,
): Promise<string> {
  const tenantId = reference === undefined ? INSTANCE_TENANT : await resolveTenant(context, actor, reference);
  if (route.scope === "instance" && actor.tenantId !== INSTANCE_TENANT) {
    throw new Problem("permission_missing", "This route needs an admin key of the instance.");
  }
  if (!hasPermission(actor, route.permission)) {
    throw new Problem("permission_missing", `This route needs the permission ${route.permission}.`);
  }
  return tenantId;
}

/** A key of one tenant looks at its own tenant only, whatever the path names. */
async function resolveTenant(context: ControlContext, actor: Actor, reference: string): Promise<string> {
  if (actor.tenantId === INSTANCE_TENANT) {
    const found = await findTenant(context, reference);
    if (found === undefined) throw notFound();
    return found;
  }
  const { tenantId } = actor;
  const own = await context.store.read([tenantId], (transaction) =>
    selectObject(transaction, tenantId, "tenant", tenantId),
  );
  if (own === undefined || (reference !== own.id && reference !== own.value.name)) throw notFound();
  return tenantId;
}
