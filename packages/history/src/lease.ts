/**
 * Leases: a gateway process says that it is alive, and what became of the calls that one left open when it stopped
 * saying so. Run by gateways. Not here: when they do it.
 */
import { encodeEvent } from "@writ/audit";
import { INSTANCE_TENANT } from "@writ/contract";
import type { Database } from "@writ/db";
import { commitIn } from "./commit-journal.ts";
import type { JournalEntry } from "./journal-entry.ts";

/** Calls that one run ends at most, in transactions of `LAPSED_BATCH` each. */
export const LAPSED_CALLS_MAX = 10_000;
const LAPSED_BATCH = 256;

export interface Lease {
  readonly expiresAtMs: number;
  readonly databaseTimeMs: number;
  /** Gateways that hold a lease, this one included. */
  readonly liveGateways: number;
}

/** Takes or renews the lease of a gateway. It must hold one before it commits its first call. */
export async function renewLease(db: Database, gatewayId: string, ttlMs: number): Promise<Lease> {
  const rows = await db.query<{ expires_ms: number; database_ms: number; live: number }>(
    "SELECT expires_ms, database_ms, live FROM writ_renew_lease($1::uuid, $2::int8)",
    [gatewayId, ttlMs],
  );
  const row = rows[0];
  if (row === undefined) throw new TypeError("writ_renew_lease answered nothing");
  return { expiresAtMs: row.expires_ms, databaseTimeMs: row.database_ms, liveGateways: row.live };
}

/** Gives the lease up, after the last call has ended. */
export async function endLease(db: Database, gatewayId: string): Promise<void> {
  await db.query("SELECT writ_end_lease($1::uuid)", [gatewayId]);
}

export interface LapsedCount {
  /** Calls that became unknown in this run. */
  readonly calls: number;
  /** Gateways that this run declared lapsed. */
  readonly gateways: number;
}

/**
 * Ends what lost gateways left open: each open call of a gateway without a lease becomes `unknown`, with an event, and
 * stays charged. Two gateways may do it at once: a call is ended by one of them.
 */
export async function lapseLeases(
  db: Database,
  options: { readonly gatewayId: string; readonly nowMs: number; readonly newId: () => string },
): Promise<LapsedCount> {
  const found = await db.query<{ gateway_id: string; tenant_id: string | null; call_id: string | null }>(
    "SELECT gateway_id, tenant_id, call_id FROM writ_lapsed($1)",
    [LAPSED_CALLS_MAX],
  );
  const byTenant = new Map<string, { gateways: Map<string, string>; calls: string[] }>();
  const lapsed = new Set<string>();
  for (const row of found) {
    if (row.tenant_id === null || row.call_id === null) {
      lapsed.add(row.gateway_id);
      continue;
    }
    const group = byTenant.get(row.tenant_id) ?? { gateways: new Map<string, string>(), calls: [] };
    group.gateways.set(row.call_id, row.gateway_id);
    group.calls.push(row.call_id);
    byTenant.set(row.tenant_id, group);
  }

  const ended = new Map<string, number>();
  let calls = 0;
  for (const [tenantId, group] of byTenant) {
    for (let from = 0; from < group.calls.length; from += LAPSED_BATCH) {
      const page = group.calls.slice(from, from + LAPSED_BATCH);
      for (const callId of await endCalls(db, tenantId, page, options)) {
        calls += 1;
        const gateway = group.gateways.get(callId) ?? "";
        ended.set(gateway, (ended.get(gateway) ?? 0) + 1);
      }
    }
  }

  let gateways = 0;
  for (const gateway of lapsed) {
    const done = await db.transaction({ tenants: [INSTANCE_TENANT] }, async (q) => {
      await q.query("SELECT tenant_id FROM writ_lock_heads($1::uuid[])", [[INSTANCE_TENANT]]);
      const taken = await q.query<{ taken: boolean }>("SELECT writ_take_lapsed_lease($1::uuid) AS taken", [gateway]);
      if (taken[0]?.taken !== true) return false;
      const event = encodeEvent({
        event: "gateway.lapsed",
        id: options.newId(),
        timeMs: options.nowMs,
        tenantId: INSTANCE_TENANT,
        fields: { gateway, calls: ended.get(gateway) ?? 0 },
      });
      const entry: JournalEntry = { kind: "record", tenantId: INSTANCE_TENANT, ...event };
      await commitIn(q, {
        id: options.newId(),
        gatewayId: options.gatewayId,
        marks: new Map(),
        entries: [entry],
      });
      return true;
    });
    if (done) gateways += 1;
  }
  return { calls, gateways };
}

async function endCalls(
  db: Database,
  tenantId: string,
  page: readonly string[],
  options: { readonly gatewayId: string; readonly nowMs: number; readonly newId: () => string },
): Promise<readonly string[]> {
  return db.transaction({ tenants: [tenantId] }, async (q) => {
    // Looked at again under the head: its gateway may have settled a call, or renewed its lease, since.
    await q.query("SELECT tenant_id FROM writ_lock_heads($1::uuid[])", [[tenantId]]);
    const rows = await q.query<{ calls: string[] }>("SELECT writ_still_lapsed($1::uuid, $2::uuid[]) AS calls", [
      tenantId,
      page,
    ]);
    const open = rows[0]?.calls ?? [];
    if (open.length === 0) return [];
    const entries = open.map((callId): JournalEntry => {
      const event = encodeEvent({
        event: "call.unknown",
        id: options.newId(),
        timeMs: options.nowMs,
        tenantId,
        fields: { callId, status: "gateway_lapsed" },
      });
      return { kind: "outcome", outcome: "unknown", tenantId, callId, ...event };
    });
    const result = await commitIn(q, {
      id: options.newId(),
      gatewayId: options.gatewayId,
      marks: new Map(),
      entries,
    });
    return open.filter((_, index) => result.results[index]?.kind === "committed");
  });
}
