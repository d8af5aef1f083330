/**
 * The gateway's stores over `@writ/history`: batches of the journal, leases, recorded children. Encodes events and
 * remembers the highest head of each tenant, so that a database that went back in time is noticed. Decides nothing.
 */
import { encodeEvent } from "@writ/audit";
import { INSTANCE_TENANT, makeUuidv7 } from "@writ/contract";
import type { TenantState } from "@writ/core";
import { type Database, DatabaseError } from "@writ/db";
import {
  type ChangesRead,
  commitJournal,
  commitJournalUnderLock,
  type EntryResult,
  endLease,
  foreseeClaims,
  type HeadMark,
  type JournalBatch,
  type JournalBatchResult,
  type JournalEntry,
  lapseLeases,
  readCounterTotals,
  recordChild,
  renewLease,
  resolveBatch,
  tellStandings,
} from "@writ/history";
import type { CounterStore } from "../counter-readings.ts";
import type { BatchAnswer, BatchEntry, BatchStore, EntryAnswer, Head } from "../journal/batch-store.ts";
import type { LeaseStore } from "../leases.ts";
import { type Clock, Failure, type Random } from "../ports.ts";
import type { StandingStore } from "../upstream-standings.ts";
import type { ChildStore } from "./child-store.ts";

export interface HistoryStores {
  readonly batches: BatchStore;
  readonly leases: LeaseStore;
  readonly children: ChildStore;
  readonly counters: CounterStore;
  readonly standings: StandingStore;
}

export interface HistoryStoreOptions {
  readonly db: Database;
  readonly log: { error(fields: object, message: string): void };
  readonly gatewayId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly states: {
    current(tenantId: string): TenantState | undefined;
    /** Applies what was read under the lock; false when the state has to be loaded anew. */
    follow(tenantId: string, read: ChangesRead): boolean;
  };
}

/** Heads remembered at once; the least recently committed goes first. */
const MARKS_MAX = 20_000;

export function createHistoryStores(options: HistoryStoreOptions): HistoryStores {
  const { db, gatewayId, states, clock, random, log } = options;
  const marks = new Map<string, HeadMark>();
  const newId = (): string => makeUuidv7(clock.nowMs(), random.bytes(10));

  function remember(tenantId: string, head: HeadMark): void {
    marks.delete(tenantId);
    marks.set(tenantId, head);
    if (marks.size <= MARKS_MAX) return;
    for (const oldest of marks.keys()) {
      marks.delete(oldest);
      return;
    }
  }

  /** A history that was behind once stays another one, however far it grows: only a new epoch is ahead of this. */
  function refuseEpoch(tenantId: string): void {
    const mark = marks.get(tenantId);
    if (mark === undefined || mark.sequence === Number.MAX_SAFE_INTEGER) return;
    remember(tenantId, { ...mark, sequence: Number.MAX_SAFE_INTEGER });
    const command =
      tenantId === INSTANCE_TENANT ? "writ audit recover --instance" : `writ audit recover --tenant ${tenantId}`;
    log.error(
      { tenantId, epoch: mark.epoch, sequence: mark.sequence },
      `the database is behind what this gateway has seen: its calls are denied until ${command} --epoch-after ${mark.epoch}`,
    );
  }

  function makeBatch(batchId: string, entries: readonly BatchEntry[]): JournalBatch {
    try {
      const encoded: JournalEntry[] = [];
      for (const entry of entries) encodeEntry(entry, encoded);
      return { id: batchId, gatewayId, marks, entries: encoded };
    } catch (error) {
      // A defect in one event becomes what the database says of bad data: nothing was sent, and the batch is split
      // until the fault is that of one entry alone.
      throw new DatabaseError("22000", "an event cannot be written", { cause: error });
    }
  }

  function answer(entries: readonly BatchEntry[], result: JournalBatchResult): BatchAnswer {
    let at = 0;
    const answers = entries.map((entry): EntryAnswer => {
      const own = result.results[at];
      at += entryCount(entry);
      if (own?.kind === "regressed") refuseEpoch(entry.tenantId);
      return own === undefined ? { kind: "stale" } : describeResult(own);
    });
    const heads = new Map<string, Head>();
    for (const [tenantId, head] of result.heads) {
      const mark = marks.get(tenantId);
      const behind =
        mark !== undefined && (head.epoch < mark.epoch || (head.epoch === mark.epoch && head.sequence < mark.sequence));
      if (behind) continue;
      remember(tenantId, head);
      heads.set(tenantId, head);
    }
    return { answers, databaseTimeMs: result.databaseTimeMs, heads };
  }

  return {
    batches: {
      async commit(batchId, entries) {
        return answer(entries, await commitJournal(db, makeBatch(batchId, entries)));
      },
      async commitUnderLock(batchId, tenantIds, build) {
        const locked = tenantIds.map((tenantId) => {
          const state = states.current(tenantId);
          return {
            tenantId,
            sinceRevision: state?.revision ?? 0,
            sinceInstanceRevision: state?.instanceRevision ?? 0,
          };
        });
        let entries: readonly BatchEntry[] = [];
        const outcome = await commitJournalUnderLock(db, locked, (changes) => {
          for (const [tenantId, read] of changes) {
            // Of a tenant that is not in memory nothing is decided here: it has an outcome or an event in the batch.
            if (states.current(tenantId) !== undefined && !states.follow(tenantId, read)) return undefined;
          }
          entries = build();
          return entries.length === 0 ? undefined : makeBatch(batchId, entries);
        });
        return outcome.kind === "committed" ? answer(entries, outcome.result) : undefined;
      },
      resolve: (batchId, tenantIds) => resolveBatch(db, { id: batchId, tenants: tenantIds }),
    },
    leases: {
      async renew(id, ttlMs) {
        return (await renewLease(db, id, ttlMs)).liveGateways;
      },
      async lapse() {
        const { calls } = await lapseLeases(db, { gatewayId, nowMs: clock.nowMs(), newId });
        return calls;
      },
      end: (id) => endLease(db, id),
    },
    counters: {
      totals: (tenantId, claims) => readCounterTotals(db, tenantId, claims).catch(failCounters),
      foresee: (tenantId, claiming) => foreseeClaims(db, tenantId, claiming).catch(failCounters),
    },
    standings: { tell: (waits) => tellStandings(db, gatewayId, waits) },
    children: {
      async record(child) {
        const state = states.current(child.tenantId);
        if (state === undefined) return { kind: "stale" };
        try {
          const result = await recordChild(db, {
            tenantId: child.tenantId,
            epoch: state.epoch,
            revision: child.revision,
            nowMs: clock.nowMs(),
            node: child.record.id,
            value: child.record.value,
            path: [...child.path].reverse(),
            budgetNodesMax: state.get("tenant", child.tenantId)?.budgetNodesMax ?? 0,
            carves: child.carves,
            soft: child.soft,
            callId: child.callId,
            salt: child.salt,
            events: child.events,
          });
          switch (result.kind) {
            case "recorded": {
              const exceeded = result.exceeded.flatMap(({ index, used }) => {
                const claim = child.soft[index];
                return claim === undefined ? [] : [{ claim, used, windowStartMs: claim.windowStartMs }];
              });
              return { kind: "recorded", exceeded };
            }
            case "exists":
            case "stale":
              return { kind: "stale" };
            case "refused":
              return { kind: "refused", remaining: result.remaining };
            case "refused_nodes":
              return { kind: "refused_nodes" };
          }
        } catch (error) {
          // A failure of the database: the child may be on record, but its token was never handed out.
          if (error instanceof DatabaseError)
            throw new Failure("journal_unavailable", "the child could not be recorded", { cause: error });
          throw error;
        }
      },
    },
  };
}

/** How many journal entries one of ours becomes. */
function entryCount(entry: BatchEntry): number {
  return entry.kind === "allow" && entry.outcome !== undefined ? 2 : 1;
}

function encodeEntry(entry: BatchEntry, encoded: JournalEntry[]): void {
  const { text, leaf } = encodeEvent(entry.event);
  const { tenantId } = entry;
  switch (entry.kind) {
    case "record":
      encoded.push({ kind: "record", tenantId, text, leaf });
      return;
    case "outcome":
      encoded.push({ kind: "outcome", tenantId, text, leaf, callId: entry.callId, outcome: entry.outcome });
      return;
    case "late":
      if (entry.outcome === "unknown") throw new TypeError("a late outcome is never unknown");
      encoded.push({ kind: "late_outcome", tenantId, text, leaf, callId: entry.callId, outcome: entry.outcome });
      return;
    case "deny": {
      const { salt, callId, revision } = entry;
      encoded.push({ kind: "denial", tenantId, text, leaf, salt, callId, revision });
      return;
    }
    case "allow": {
      const { callId, revision, validUntilMs, claims, root, budgetNodesMax, salt, outcome, isOver, key, tell } = entry;
      const allow = { tenantId, text, leaf, salt, callId, revision, validUntilMs, claims, root, budgetNodesMax, tell };
      if (outcome === undefined && isOver !== true) {
        encoded.push({ kind: "allow", ...allow, key });
        return;
      }
      if (key !== undefined) throw new TypeError("only what is forwarded takes a key");
      encoded.push({ kind: "allow_ended", ...allow });
      if (outcome === undefined) return;
      const ended = encodeEvent(outcome);
      encoded.push({ kind: "with_previous", tenantId, text: ended.text, leaf: ended.leaf });
      return;
    }
  }
}

function describeResult(result: EntryResult): EntryAnswer {
  if (result.kind !== "committed") return result;
  const { kind, epoch, sequence, exceeded, left } = result;
  if (exceeded === undefined && left === undefined) return { kind, epoch, sequence };
  return {
    kind,
    epoch,
    sequence,
    ...(exceeded === undefined ? {} : { exceeded }),
    ...(left === undefined ? {} : { left }),
  };
}

/** A failure of the database becomes the port's. */
function failCounters(error: unknown): never {
  if (error instanceof DatabaseError) throw new Failure("state_unavailable", "counters", { cause: error });
  throw error;
}
