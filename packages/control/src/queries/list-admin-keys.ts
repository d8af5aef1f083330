/** Lists admin keys without anything that proves them. */
import { INSTANCE_TENANT } from "@writ/contract";
import type { AdminGrant, AdminKeyView, Page } from "@writ/contract/admin";
import type { ControlContext } from "../control-context.ts";

/** Keys of one tenant that are shown. */
const KEYS_MAX = 1_000;

interface KeyRow extends Record<string, unknown> {
  readonly key_id: string;
  readonly name: string;
  readonly permissions: readonly string[];
  readonly created_by: string;
  readonly created_ms: number;
  readonly expires_ms: number | null;
  readonly revoked_ms: number | null;
}

export async function listAdminKeys(context: ControlContext, tenantId: string): Promise<Page<AdminKeyView>> {
  const rows = await context.store.read([tenantId], (transaction) =>
    transaction.query<KeyRow>(
      `SELECT key_id, name, permissions, created_by, created_ms, expires_ms, revoked_ms
        FROM admin_key WHERE tenant_id = $1 ORDER BY key_id DESC LIMIT $2`,
      [tenantId, KEYS_MAX],
    ),
  );
  return {
    items: rows.map((row) => ({
      id: row.key_id,
      name: row.name,
      ...(tenantId === INSTANCE_TENANT ? {} : { tenantId }),
      permissions: row.permissions as readonly AdminGrant[], // written by createAdminKey from the closed list
      createdBy: row.created_by,
      createdAtMs: row.created_ms,
      ...(row.expires_ms === null ? {} : { expiresAtMs: row.expires_ms }),
      ...(row.revoked_ms === null ? {} : { revokedAtMs: row.revoked_ms }),
    })),
  };
}
