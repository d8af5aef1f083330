/**
 * Takes away what can have no effect any more, so that neither the state nor the database grows with every token that
 * there ever was: every hour a bounded number of pages of each tenant, its head held for one page at a time. What may go
 * is history's to say.
 */
import { INSTANCE_TENANT } from "@writ/contract";
import type { PruneCursor } from "@writ/history";
import type { Logger } from "@writ/runtime";
import type { Actor } from "../actor.ts";
import { createRounds } from "../create-rounds.ts";
import type { ControlStore } from "../store/control-store.ts";

export interface Pruner {
  /** Prunes what is due now; resolves to the number of objects that ended and of rows that went. */
  pruneDue(): Promise<number>;
  /** Begins to prune by itself, at intervals. */
  start(): void;
  /** Begins no more pages, and waits for the one that runs. */
  stop(): Promise<void>;
}

const ACTOR: Actor = { by: "system:pruning", tenantId: INSTANCE_TENANT, grants: new Set() };
const EVERY_MS = 60 * 60_000;
/** Tenants asked about in one statement. */
const TENANTS_PER_READ = 100;
/** Pages of one tenant in one round; what is left waits for the next. */
const PAGES_MAX = 50;
/** Pages of idempotency keys in one round: each call may leave one, and no page holds anybody up. */
const KEY_PAGES_MAX = 20_000;

export function createPruner({ store, log }: { store: ControlStore; log: Logger }): Pruner {
  /** Where the round before stopped, of tenants that have more than a round takes. */
  const cursors = new Map<string, PruneCursor>();
  let stopped = false;
  const rounds = createRounds({
    everyMs: EVERY_MS,
    round: pruneDue,
    failed: (error) => log.error({ err: error }, "what to prune could not be looked for"),
  });

  async function pruneDue(): Promise<number> {
    let pruned = 0;
    const tenantIds = (await store.heads()).map(({ tenantId }) => tenantId);
    for (let at = 0; at < tenantIds.length && !stopped; at += TENANTS_PER_READ) {
      const some = tenantIds.slice(at, at + TENANTS_PER_READ);
      for (const tenantId of await store.tenantsWithExpired(some)) pruned += await quietly(tenantId, endAll);
      for (const tenantId of some) pruned += await quietly(tenantId, removeAll);
    }
    pruned += await quietly(INSTANCE_TENANT, removeKeys);
    return pruned;
  }

  async function quietly(tenantId: string, work: (tenantId: string) => Promise<number>): Promise<number> {
    try {
      return await work(tenantId);
    } catch (error) {
      // A failure of the database: what could go stays, which is safe, until the next round. Others go on.
      log.error({ err: error, tenantId }, "a tenant could not be pruned");
      return 0;
    }
  }

  async function endAll(tenantId: string): Promise<number> {
    let ended = 0;
    for (let page = 0; page < PAGES_MAX && !stopped; page += 1) {
      const count = await store.endExpired(ACTOR, tenantId);
      ended += count;
      if (count === 0) break;
    }
    return ended;
  }

  async function removeAll(tenantId: string): Promise<number> {
    let removed = 0;
    let from = cursors.get(tenantId);
    cursors.delete(tenantId);
    for (let page = 0; page < PAGES_MAX && !stopped; page += 1) {
      const { next, counters, calls, objects, changes } = await store.pruneRows(tenantId, from);
      removed += counters + calls + objects + changes;
      if (next === undefined) return removed;
      from = next;
    }
    if (from !== undefined) cursors.set(tenantId, from);
    return removed;
  }

  async function removeKeys(): Promise<number> {
    let removed = 0;
    for (let page = 0; page < KEY_PAGES_MAX && !stopped; page += 1) {
      const { keys, more } = await store.pruneKeys();
      removed += keys;
      if (!more) break;
    }
    return removed;
  }

  return {
    pruneDue: rounds.next,
    start: rounds.start,
    stop() {
      stopped = true;
      return rounds.stop();
    },
  };
}
