/**
 * Gives back what carves set aside and nobody can spend any more: of nodes that were revoked or have expired, once
 * their open calls are settled. Looks every few seconds, and takes a tenant's head only where there is something to give
 * back. How a refund is booked is history's.
 */
import type { Logger } from "@writ/runtime";
import { createRounds } from "../create-rounds.ts";
import type { ControlStore } from "../store/control-store.ts";

export interface CarveRefunder {
  /** Refunds what is due now; resolves to the number of carves. */
  refundDue(): Promise<number>;
  /** Begins to refund by itself, at intervals. */
  start(): void;
  /** Begins no more rounds, and waits for the one that runs. */
  stop(): Promise<void>;
}

const EVERY_MS = 2_000;
/** Tenants asked about in one statement. */
const TENANTS_PER_READ = 1_000;
/** Pages of refunds of one tenant in one round; what is left waits for the next. */
const PAGES_MAX = 10;

export function createCarveRefunder({ store, log }: { store: ControlStore; log: Logger }): CarveRefunder {
  const rounds = createRounds({
    everyMs: EVERY_MS,
    round: refundDue,
    failed: (error) => log.error({ err: error }, "carves to refund could not be looked for"),
  });

  async function refundDue(): Promise<number> {
    let refunded = 0;
    const tenantIds = (await store.heads()).map(({ tenantId }) => tenantId);
    for (let at = 0; at < tenantIds.length; at += TENANTS_PER_READ) {
      for (const tenantId of await dueAmong(store, tenantIds.slice(at, at + TENANTS_PER_READ))) {
        refunded += await refundTenant(tenantId);
      }
    }
    return refunded;
  }

  async function refundTenant(tenantId: string): Promise<number> {
    let refunded = 0;
    try {
      for (let page = 0; page < PAGES_MAX; page += 1) {
        const count = await store.refundCarves(tenantId);
        refunded += count;
        if (count === 0) break;
      }
    } catch (error) {
      // A failure of the database: what is set aside stays so, which is safe, until the next round. Others go on.
      log.error({ err: error, tenantId }, "carves could not be refunded");
    }
    return refunded;
  }

  return {
    refundDue: rounds.next,
    start: rounds.start,
    stop: rounds.stop,
  };
}

/** Tenants with a carve to refund; as of some moment, history looks again under the head. */
async function dueAmong(store: ControlStore, tenantIds: readonly string[]): Promise<readonly string[]> {
  const rows = await store.read(tenantIds, (queries) =>
    queries.query<{ readonly tenant_id: string }>(
      `SELECT DISTINCT c.tenant_id FROM carve c
        WHERE c.tenant_id = ANY ($1::uuid[])
          AND (c.expires_ms < (extract(epoch FROM clock_timestamp()) * 1000)::int8 OR EXISTS (
            SELECT FROM authority a WHERE a.tenant_id = c.tenant_id AND a.kind = 'revocation' AND a.id = ANY (c.path)))
          AND NOT EXISTS (SELECT FROM budget_counter b
            WHERE b.tenant_id = c.tenant_id AND b.counter = c.child_counter AND (b.reserved > 0 OR b.carved > 0))`,
      [tenantIds],
    ),
  );
  return rows.map((row) => row.tenant_id);
}
