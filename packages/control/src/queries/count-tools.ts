/** How many tools of an upstream are pinned. */
import type { Queries } from "../store/control-store.ts";

export async function countTools(transaction: Queries, tenantId: string, upstream: string): Promise<number> {
  const rows = await transaction.query<{ readonly tools: number }>(
    `SELECT count(*)::int4 AS tools FROM authority
      WHERE tenant_id = $1 AND kind = 'tool' AND deactivated_ms IS NULL AND starts_with(id, $2)`,
    [tenantId, `${upstream}/`],
  );
  return rows[0]?.tools ?? 0;
}
