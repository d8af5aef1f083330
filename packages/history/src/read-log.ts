/**
 * Reading the log: a tenant's head with its frontier, its events by keyset pages, and the tenants there are. For the
 * control plane (checkpoints, export, verification). No statement here holds a snapshot for longer than its page.
 */
import type { Database } from "@writ/db";
import type { CommittedHead } from "./head-mark.ts";

/** Events of one page at most. */
export const EVENTS_PAGE_MAX = 5_000;
/** Tenants of one page at most. */
const TENANTS_PAGE_MAX = 1_000;

export interface LogHead extends CommittedHead {
  /** Hashes of the perfect subtrees of the log's tree, the largest first. */
  readonly frontier: Uint8Array;
}

/** A tenant's head as it is; undefined when there is no such tenant. */
export async function readHead(db: Database, tenantId: string): Promise<LogHead | undefined> {
  const rows = await db.transaction({ tenants: [tenantId], readOnly: true }, (q) =>
    q.query<{
      epoch: number;
      revision: number;
      sequence: number;
      hash: Uint8Array;
      frontier: Uint8Array;
      last_committed_us: number;
    }>(
      `SELECT epoch, revision, sequence, hash, frontier, last_committed_us FROM tenant_head
       WHERE tenant_id = $1::uuid`,
      [tenantId],
    ),
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    epoch: row.epoch,
    revision: row.revision,
    sequence: row.sequence,
    hash: row.hash,
    frontier: row.frontier,
    committedUs: row.last_committed_us,
  };
}

/** One entry of a log: the exact bytes that were hashed, and its link. */
export interface LogEntry {
  readonly epoch: number;
  readonly sequence: number;
  readonly committedUs: number;
  readonly event: string;
  readonly leaf: Uint8Array;
  readonly hash: Uint8Array;
}

/** The entries after a sequence, in order; fewer than `limit` only at the end of the epoch. */
export async function readEvents(
  db: Database,
  page: { readonly tenantId: string; readonly epoch: number; readonly after: number; readonly limit: number },
): Promise<readonly LogEntry[]> {
  const limit = Math.min(page.limit, EVENTS_PAGE_MAX);
  const rows = await db.transaction({ tenants: [page.tenantId], readOnly: true }, (q) =>
    q.query<{
      sequence: number;
      committed_us: number;
      event: string;
      leaf: Uint8Array;
      hash: Uint8Array;
    }>(
      `SELECT sequence, committed_us, event, leaf, hash FROM audit_event
       WHERE tenant_id = $1::uuid AND epoch = $2 AND sequence > $3 ORDER BY sequence LIMIT $4`,
      [page.tenantId, page.epoch, page.after, limit],
    ),
  );
  return rows.map((row) => ({
    epoch: page.epoch,
    sequence: row.sequence,
    committedUs: row.committed_us,
    event: row.event,
    leaf: row.leaf,
    hash: row.hash,
  }));
}

/** Tenants in the order of their ids, the instance first; `after` is the last id of the page before. */
export async function listTenants(
  db: Database,
  page: { readonly after?: string; readonly limit: number },
): Promise<readonly { readonly tenantId: string; readonly epoch: number; readonly revision: number }[]> {
  const rows = await db.query<{ tenant_id: string; epoch: number; revision: number }>(
    "SELECT tenant_id, epoch, revision FROM writ_list_tenants($1::uuid, $2)",
    [page.after ?? null, Math.min(page.limit, TENANTS_PAGE_MAX)],
  );
  return rows.map((row) => ({ tenantId: row.tenant_id, epoch: row.epoch, revision: row.revision }));
}
