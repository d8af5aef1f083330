/** Reads audit events of one epoch by keyset pages. No page holds a snapshot for longer than its own statement. */

import type { AuditEventView, Page } from "@writ/contract/admin";
import type { ControlContext } from "../control-context.ts";
import { Problem } from "../problem.ts";
import type { Queries } from "../store/control-store.ts";
import { makePage, readPage } from "./read-objects.ts";

export interface EventRow extends Record<string, unknown> {
  readonly sequence: number;
  readonly committed_us: number;
  readonly event: string;
  readonly leaf: Uint8Array;
  readonly hash: Uint8Array;
}

export interface HeadRow extends Record<string, unknown> {
  readonly epoch: number;
  readonly sequence: number;
  readonly hash: Uint8Array;
  readonly frontier: Uint8Array;
}

/** Rows that a filter looks at in one request: a rare event needs several requests, and none holds the database long. */
const ROWS_SCANNED_MAX = 20_000;

export async function selectHead(transaction: Queries, tenantId: string): Promise<HeadRow | undefined> {
  const rows = await transaction.query<HeadRow>(
    "SELECT epoch, sequence, hash, frontier FROM tenant_head WHERE tenant_id = $1",
    [tenantId],
  );
  return rows[0];
}

/** Entries after `after`, in order. */
export function selectEvents(
  transaction: Queries,
  options: {
    readonly tenantId: string;
    readonly epoch: number;
    readonly after: number;
    readonly through: number;
    readonly limit: number;
  },
): Promise<readonly EventRow[]> {
  const { tenantId, epoch, after, through, limit } = options;
  return transaction.query<EventRow>(
    `SELECT sequence, committed_us, event, leaf, hash FROM audit_event
      WHERE tenant_id = $1 AND epoch = $2 AND sequence > $3 AND sequence <= $4
      ORDER BY sequence, committed_us LIMIT $5`,
    [tenantId, epoch, after, through, limit],
  );
}

export interface AuditEventsFilter {
  readonly after?: string;
  readonly limit?: string;
  readonly epoch?: string;
  readonly event?: string;
  readonly callId?: string;
  readonly wouldDeny?: string;
}

/** `next` may come with fewer items than asked for, even none: the filter has looked at enough rows for one request. */
export function listAuditEvents(
  context: ControlContext,
  tenantId: string,
  query: AuditEventsFilter,
): Promise<Page<AuditEventView>> {
  const { limit } = readPage({ ...(query.limit === undefined ? {} : { limit: query.limit }) });
  const after = Number(query.after ?? 0);
  if (!Number.isSafeInteger(after)) throw new Problem("fault_request", "after must be a sequence");
  return context.store.read([tenantId], async (transaction) => {
    const head = await selectHead(transaction, tenantId);
    if (head === undefined) return { items: [] };
    const epoch = query.epoch === undefined ? head.epoch : Number(query.epoch);
    if (query.event === undefined && query.callId === undefined && query.wouldDeny === undefined) {
      const through = Number.MAX_SAFE_INTEGER;
      const rows = await selectEvents(transaction, { tenantId, epoch, after, through, limit: limit + 1 });
      return makePage(
        rows.map((row) => viewEvent(row, epoch)),
        limit,
        (view) => String(view.sequence),
      );
    }
    // The names stand in the event's text; matching the text first spares parsing, the parsed value then decides.
    const through = after + ROWS_SCANNED_MAX;
    const rows = await transaction.query<EventRow>(
      `SELECT sequence, committed_us, event, leaf, hash FROM audit_event
        WHERE tenant_id = $1 AND epoch = $2 AND sequence > $3 AND sequence <= $4
          AND ($5::text = '' OR event::json ->> 'event' = $5) AND ($6::text = '' OR event::json ->> 'callId' = $6)
          AND ($8::text = '' OR (strpos(event, '"wouldDeny"') > 0 AND event::json -> 'wouldDeny' IS NOT NULL))
        ORDER BY sequence LIMIT $7`,
      [tenantId, epoch, after, through, query.event ?? "", query.callId ?? "", limit + 1, query.wouldDeny ?? ""],
    );
    const page = makePage(
      rows.map((row) => viewEvent(row, epoch)),
      limit,
      (view) => String(view.sequence),
    );
    if (page.next !== undefined || (epoch === head.epoch && through >= head.sequence)) return page;
    const more = await selectEvents(transaction, {
      tenantId,
      epoch,
      after: through,
      through: Number.MAX_SAFE_INTEGER,
      limit: 1,
    });
    return more.length === 0 ? page : { items: page.items, next: String(through) };
  });
}

function viewEvent(row: EventRow, epoch: number): AuditEventView {
  return {
    epoch,
    sequence: row.sequence,
    committedAtMs: Math.floor(row.committed_us / 1000),
    hash: Buffer.from(row.hash).toString("hex"),
    leaf: Buffer.from(row.leaf).toString("hex"),
    event: readEvent(row.event),
    text: row.event,
  };
}

/** A damaged row is shown as what it is: finding out is the verifier's. */
export function readEvent(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    // Every property of an object is unknown until somebody reads it.
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {}; // the text beside it shows what is there
  }
}
