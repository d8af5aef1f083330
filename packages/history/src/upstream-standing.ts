/**
 * Which upstreams gateways give time after they failed: said by each gateway of itself, read by the control plane. No call
 * is decided by it. What a gateway said counts for as long as it holds its lease.
 */
import type { Database, Queryable } from "@writ/db";

/** An upstream that a gateway gives time. */
export interface UpstreamWait {
  readonly tenantId: string;
  readonly upstreamId: string;
  /** Until it tries again; 0 or less when it may, and has not been answered yet. */
  readonly waitMs: number;
}

/** Says which upstreams this gateway gives time, all of them; what it said before is forgotten. */
export async function tellStandings(db: Database, gatewayId: string, waits: readonly UpstreamWait[]): Promise<void> {
  await db.query("SELECT writ_tell_standings($1::uuid, $2::uuid[], $3::text[], $4::int8[])", [
    gatewayId,
    waits.map(({ tenantId }) => tenantId),
    waits.map(({ upstreamId }) => upstreamId),
    waits.map(({ waitMs }) => Math.ceil(waitMs)),
  ]);
}

export interface UpstreamStandings {
  /** Gateways that hold a lease. */
  readonly liveGateways: number;
  /** By the upstream's id; of others no live gateway says anything. */
  readonly byUpstream: ReadonlyMap<string, UpstreamStanding>;
}

export interface UpstreamStanding {
  /** Live gateways that do not try it now. */
  readonly open: number;
  /** Live gateways that have one call or session find out whether it answers again. */
  readonly halfOpen: number;
  /** When the last of the gateways that do not try it now will; by the database's clock. */
  readonly untilMs?: number;
}

/** Of the upstreams of the transaction's tenants. */
export async function readStandings(transaction: Pick<Queryable, "query">): Promise<UpstreamStandings> {
  const rows = await transaction.query<{
    upstream_id: string | null;
    open: number;
    half_open: number;
    until_ms: number | null;
    live: number | null;
  }>("SELECT upstream_id, open, half_open, until_ms, live FROM writ_upstream_standings()");
  const byUpstream = new Map<string, UpstreamStanding>();
  let liveGateways = 0;
  for (const { upstream_id: id, open, half_open: halfOpen, until_ms: untilMs, live } of rows) {
    if (id === null) liveGateways = live ?? 0;
    else byUpstream.set(id, { open, halfOpen, ...(untilMs === null ? {} : { untilMs }) });
  }
  return { liveGateways, byUpstream };
}
