/** Revokes an admin key: its next request is refused. */

import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound } from "../problem.ts";

export function revokeAdminKey(context: ControlContext, actor: Actor, tenantId: string, id: string): Promise<null> {
  return context.store.command(actor, tenantId, async (transaction) => {
    const rows = await transaction.query<{ readonly version: number }>(
      `UPDATE admin_key SET revoked_ms = $3, version = version + 1
        WHERE tenant_id = $1 AND key_id = $2 AND revoked_ms IS NULL RETURNING version`,
      [tenantId, id, context.clock.nowMs()],
    );
    const version = rows[0]?.version;
    if (version === undefined) throw notFound();
    transaction.record("admin_key.revoked", { version, keyId: id });
    return null;
  });
}
