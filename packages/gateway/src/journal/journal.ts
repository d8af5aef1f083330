/**
 * The one door to durability. Decisions and outcomes of all tenants wait here for the next batch; one batch at a time
 * is committed as one transaction, and only then do the calls in it go on. Decides nothing: when authority moved, the
 * caller's `judge` is asked again; when COMMIT is not known to have happened, the calls are denied and the batch is
 * either made impossible or its allows are ended as aborted.
 */
import { type AuditEvent, type BudgetExcess, makeUuidv7 } from "@writ/contract";
import { DatabaseError } from "@writ/db";
import {
  type Clock,
  type CommitResult,
  type Committed,
  type DecisionEntry,
  Failure,
  type JournalPort,
  type OutcomeEntry,
  type Random,
} from "../ports.ts";
import type { BatchAnswer, BatchEntry, BatchStore, EntryAnswer, Head } from "./batch-store.ts";
import { createExcessEvents } from "./excess-events.ts";

/** Decisions in one transaction. */
const BATCH_DECISIONS_MAX = 256;
/** Outcomes and records in one transaction. */
const BATCH_OUTCOMES_MAX = 512;
/** Decisions waiting at once; beyond, calls are denied with `journal_unavailable`. */
const WAITING_MAX = 20_000;
/** Outcomes not yet on record; beyond, no new decisions are taken until some are. */
const OUTCOMES_MAX = 20_000;
/** Events bound to no decision that wait at once; beyond, they are counted and dropped. */
const RECORDS_MAX = 2_000;
/** A decision is made again without the head's lock this often, then once under it. */
const ATTEMPTS_UNLOCKED = 1;
const ATTEMPTS_MAX = 5;
/** Unresolved batches held at once; beyond, the journal takes nothing new. */
const UNRESOLVED_MAX = 64;
const RETRY_MS = 250;
/** How long outcomes and records wait for decisions to go with. */
const OUTCOMES_WAIT_MS = 20;
/** From how many decisions on the next batch waits for more, and how long. */
const GATHER_FROM = 16;
const GATHER_MS = 1;
/** A head that moved is sealed no later than this. */
const SEAL_WITHIN_MS = 1_000;

export interface Journal extends JournalPort {
  start(): void;
  /** Resolves when everything that waits is on record or has been refused; bounded by `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
  close(): void;
  readonly stats: JournalStats;
}

export interface JournalStats {
  readonly batches: number;
  readonly entries: number;
  readonly recordsDropped: number;
  readonly unresolved: number;
}

export interface JournalOptions {
  readonly store: BatchStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: { warn(fields: object, message: string): void; error(fields: object, message: string): void };
  /** The revision that a tenant's state in memory has now; undefined when it is not loaded. */
  readonly revisionOf: (tenantId: string) => number | undefined;
  /** Brings a tenant's state to the head. */
  readonly catchUp: (tenantId: string) => Promise<unknown>;
  /** Makes the event that seals a head; undefined when the tenant's chain key is not at hand. */
  readonly seal: (tenantId: string, head: Head) => AuditEvent | undefined;
}

interface Waiting {
  entry: DecisionEntry;
  readonly judge: () => DecisionEntry | "withdraw";
  readonly resolve: (committed: Committed) => void;
  readonly reject: (failure: Failure) => void;
  attempts: number;
}

interface Unresolved {
  readonly batchId: string;
  readonly entries: readonly BatchEntry[];
  readonly tenantIds: readonly string[];
  /** Wait here, not in the queue: written anew they would be there twice if the batch turns out to be committed. */
  readonly recorded: readonly AuditEvent[];
}

export function createJournal(options: JournalOptions): Journal {
  const { store, clock, random, log } = options;
  const waiting: Waiting[] = [];
  const outcomes: OutcomeEntry[] = [];
  const records: AuditEvent[] = [];
  const unresolved: Unresolved[] = [];
  /** Outcomes of calls that had been recorded as unknown before; they are said as such. */
  const late: OutcomeEntry[] = [];
  /** Heads that moved since they were last sealed. */
  const unsealed = new Map<string, Head>();
  const stats = { batches: 0, entries: 0, recordsDropped: 0 };
  let flushing = false;
  /** A flush is about to start; `later`: one will when nothing hurries it. */
  let soon = false;
  let later: NodeJS.Timeout | undefined;
  /** How many decisions the last batch held. */
  let lastDecisions = 0;
  let draining = false;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;
  let sealer: NodeJS.Timeout | undefined;
  let idle: (() => void)[] = [];
  /** Lower bounds of (monotonic clock − database clock) over the last two periods; the greatest counts. */
  const offset = createClockOffset();
  const excesses = createExcessEvents({ clock, random });

  /**
   * Decisions go at once, after the I/O of this turn, so that calls that arrive together are committed together; under
   * load a moment later, because a larger batch costs each call less. Outcomes and records hold nobody up: they go
   * with the next decisions, or by themselves after a short wait.
   */
  function schedule(): void {
    if (flushing || closed || soon) return;
    if (waiting.length > 0 || outcomes.length >= BATCH_OUTCOMES_MAX || draining) {
      soon = true;
      clearTimeout(later);
      later = undefined;
      if (lastDecisions >= GATHER_FROM && waiting.length < lastDecisions && !draining) setTimeout(start, GATHER_MS);
      else setImmediate(start);
    } else later ??= setTimeout(start, OUTCOMES_WAIT_MS);
  }

  function start(): void {
    soon = false;
    clearTimeout(later);
    later = undefined;
    void flush();
  }

  async function flush(): Promise<void> {
    if (flushing || closed) return;
    flushing = true;
    try {
      await resolveUnresolved();
      if (waiting.length + outcomes.length + records.length > 0) await flushOne();
      if (late.length > 0) await settleLate();
    } catch (error) {
      // Only a defect can end here: every failure of the database is handled below. Calls must not hang on it.
      log.error({ error }, "the journal failed");
    } finally {
      flushing = false;
      if (
        waiting.length > 0 ||
        (unresolved.length === 0 && outcomes.length + records.length > 0 && retry === undefined)
      )
        schedule();
      else if (unresolved.length > 0) retryLater();
      if (isIdle()) for (const done of idle.splice(0)) done();
    }
  }

  function isIdle(): boolean {
    const queued = waiting.length + outcomes.length + records.length + late.length + unresolved.length;
    return queued === 0 && !flushing;
  }

  async function flushOne(): Promise<void> {
    const decisions = waiting.splice(0, BATCH_DECISIONS_MAX);
    lastDecisions = decisions.length;
    const settled = outcomes.splice(0, BATCH_OUTCOMES_MAX);
    const recorded = records.splice(0, BATCH_OUTCOMES_MAX - settled.length);
    const underLock = decisions.some((item) => item.attempts >= ATTEMPTS_UNLOCKED);
    try {
      await commitGroup(decisions, settled, recorded, underLock);
    } catch (error) {
      // A defect of ours, before the database was asked or after it answered: nobody may wait for ever, nothing is
      // sent, and outcomes go again (the database knows those that it has).
      const failure = new Failure("journal_unavailable", "the decision could not be put on record", { cause: error });
      for (const item of decisions) item.reject(failure);
      outcomes.unshift(...settled);
      retryLater();
      throw error;
    }
  }

  /** Commits one group; on a data error of the group as a whole, its halves. */
  async function commitGroup(
    group: readonly Waiting[],
    settled: readonly OutcomeEntry[],
    recorded: readonly AuditEvent[],
    underLock: boolean,
  ): Promise<void> {
    const batchId = makeUuidv7(clock.nowMs(), random.bytes(10));
    let live: readonly Waiting[] = group;
    let entries: BatchEntry[] = [];
    const build = (): readonly BatchEntry[] => {
      live = live.filter((item) => refresh(item));
      entries = [];
      for (const { entry } of live) entries.push(entry);
      for (const outcome of settled) entries.push(toOutcome(outcome));
      for (const event of recorded) entries.push(toRecord(event));
      return entries;
    };
    const tenants = new Set<string>();
    for (const { entry } of group) tenants.add(entry.tenantId);
    for (const { tenantId } of settled) tenants.add(tenantId);
    for (const { tenantId } of recorded) tenants.add(tenantId);
    const tenantIds = inOrder(tenants);

    let answer: BatchAnswer | undefined;
    const sentMs = clock.monotonicMs();
    try {
      if (underLock) answer = await store.commitUnderLock(batchId, tenantIds, build);
      else if (build().length > 0) answer = await store.commit(batchId, entries);
      else return;
    } catch (error) {
      await failed(error, { batchId, entries, tenantIds, recorded }, live, settled, recorded);
      return;
    }
    if (answer === undefined) {
      // A state has to be loaded anew before anything can be decided on it.
      outcomes.unshift(...settled);
      records.unshift(...recorded);
      void again(live);
      return;
    }
    offset.observe(sentMs, answer.databaseTimeMs, clock.monotonicMs());
    stats.batches += 1;
    stats.entries += entries.length;
    deliver(answer, live, settled, recorded);
  }

  /** Judges an entry again when authority has moved since; false when it was answered instead of kept. */
  function refresh(item: Waiting): boolean {
    if (options.revisionOf(item.entry.tenantId) === item.entry.revision) return true;
    const again = item.judge();
    if (again === "withdraw") {
      item.resolve({ result: { kind: "withdrawn" }, entry: item.entry });
      return false;
    }
    item.entry = again;
    return true;
  }

  function deliver(
    answer: BatchAnswer,
    live: readonly Waiting[],
    settled: readonly OutcomeEntry[],
    recorded: readonly AuditEvent[],
  ): void {
    const committedAtMonotonicMs = offset.toMonotonic(answer.databaseTimeMs);
    const stale: Waiting[] = [];
    const moved = new Set<string>();
    for (const [index, item] of live.entries()) {
      const own = answer.answers[index];
      if (own === undefined) {
        item.reject(new Failure("journal_unavailable", "the database answered for fewer entries than it was given"));
        continue;
      }
      if (own.kind === "stale") stale.push(item);
      else if (own.kind === "regressed") {
        item.reject(new Failure("head_regressed", "the head is behind what this process has seen"));
      } else {
        if (own.kind === "committed") {
          moved.add(item.entry.tenantId);
          for (const excess of own.exceeded ?? []) sayExceeded(item.entry, excess);
        }
        item.resolve({ result: toCommitResult(own, committedAtMonotonicMs), entry: item.entry });
      }
    }
    for (const [index, item] of settled.entries()) {
      const own = answer.answers[live.length + index];
      if (own?.kind === "committed") moved.add(item.tenantId);
      else if (own?.kind === "late" && item.outcome !== "unknown" && late.length < OUTCOMES_MAX) late.push(item);
      else if (own?.kind === "regressed")
        log.error({ callId: item.callId }, "an outcome was not recorded: the head regressed");
    }
    for (const event of recorded) if (event.event !== "log.sealed") moved.add(event.tenantId);
    for (const tenantId of moved) {
      const head = answer.heads.get(tenantId);
      if (head !== undefined) unsealed.set(tenantId, head);
    }
    if (stale.length > 0) void again(stale);
  }

  /** A soft limit was passed: that goes on record with a batch to come, and nobody waits for it. */
  function sayExceeded(entry: DecisionEntry, excess: BudgetExcess): void {
    const said = excesses.make(entry, excess);
    if (said.kind === "event") record(said.event);
    else if (said.kind === "full") stats.recordsDropped += 1;
  }

  /** Books outcomes that came after their call was recorded as unknown. */
  async function settleLate(): Promise<void> {
    const items = late.splice(0, BATCH_OUTCOMES_MAX);
    const entries = items.map((item): BatchEntry => {
      const timeMs = clock.nowMs();
      const { tenantId, callId, outcome } = item;
      const id = makeUuidv7(timeMs, random.bytes(10));
      const fields = { callId, outcome, status: "late" };
      return {
        kind: "late",
        tenantId,
        callId,
        outcome,
        event: { event: "call.settled_late", id, timeMs, tenantId, fields },
      };
    });
    try {
      await store.commit(makeUuidv7(clock.nowMs(), random.bytes(10)), entries);
    } catch (error) {
      // A failure of the database: the calls stay unknown and charged, which is safe; said here.
      log.warn({ error, calls: items.map((item) => item.callId) }, "late outcomes were not recorded");
    }
  }

  /** Authority moved under these: bring the state to the head, then let them wait for the next batch. */
  async function again(items: readonly Waiting[]): Promise<void> {
    const retrying: Waiting[] = [];
    for (const item of items) {
      item.attempts += 1;
      if (item.attempts >= ATTEMPTS_MAX) item.resolve({ result: { kind: "stale" }, entry: item.entry });
      else retrying.push(item);
    }
    const tenantIds = inOrder(new Set(retrying.map((item) => item.entry.tenantId)));
    await Promise.all(
      tenantIds.map(async (tenantId) => {
        const mine = retrying.filter((item) => item.entry.tenantId === tenantId);
        try {
          await options.catchUp(tenantId);
          waiting.unshift(...mine);
          schedule();
        } catch (error) {
          const failure = new Failure("journal_unavailable", "authority moved and could not be read", { cause: error });
          for (const item of mine) item.reject(failure);
        }
      }),
    );
  }

  /** A failure of the database: what is surely not committed is refused; what may be is resolved first. */
  async function failed(
    error: unknown,
    attempt: Unresolved,
    live: readonly Waiting[],
    settled: readonly OutcomeEntry[],
    recorded: readonly AuditEvent[],
  ): Promise<void> {
    const isData = error instanceof DatabaseError && !error.commitUnknown && isDataError(error.sqlState);
    if (isData && live.length + settled.length + recorded.length > 1) {
      const middle = Math.ceil(live.length / 2);
      if (live.length > 1) {
        await commitGroup(live.slice(0, middle), settled, [], false);
        await commitGroup(live.slice(middle), [], recorded, false);
      } else {
        await commitGroup(live, [], [], false);
        for (const outcome of settled) await commitGroup([], [outcome], [], false);
        for (const event of recorded) await commitGroup([], [], [event], false);
      }
      return;
    }
    const failure = new Failure("journal_unavailable", "the decision could not be put on record", { cause: error });
    for (const item of live) item.reject(failure);
    if (isData) {
      log.error(
        { error, events: attempt.entries.map((entry) => entry.event.event) },
        "an entry was refused by the database",
      );
      return;
    }
    log.warn({ error, batchId: attempt.batchId }, "a batch was not committed");
    outcomes.unshift(...settled);
    const commitUnknown = !(error instanceof DatabaseError) || error.commitUnknown;
    if (commitUnknown && attempt.entries.length > 0) unresolved.push(attempt);
    else records.unshift(...recorded);
    retryLater();
  }

  function retryLater(): void {
    if (retry !== undefined || closed) return;
    retry = setTimeout(() => {
      retry = undefined;
      schedule();
    }, RETRY_MS);
  }

  /**
   * Settles the fate of batches whose COMMIT was not answered; tried before each flush. What is written meanwhile does
   * not depend on it: the heads order both, and the calls of such a batch were denied.
   */
  async function resolveUnresolved(): Promise<void> {
    while (unresolved.length > 0) {
      const attempt = unresolved[0];
      if (attempt === undefined) return;
      let fate: "committed" | "refused";
      try {
        fate = await store.resolve(attempt.batchId, attempt.tenantIds);
      } catch (error) {
        log.warn({ error, batchId: attempt.batchId }, "the fate of a batch is not known yet");
        retryLater();
        return;
      }
      unresolved.shift();
      if (fate === "refused") {
        records.unshift(...attempt.recorded);
        continue;
      }
      // It was committed, but its calls were denied and never sent: they end as aborted. Its outcomes wait in the
      // queue again; the database finds those already booked to be absent.
      for (const entry of attempt.entries) {
        if (entry.kind !== "allow" || entry.outcome !== undefined || entry.isOver === true) continue;
        const timeMs = clock.nowMs();
        settle({
          tenantId: entry.tenantId,
          callId: entry.callId,
          outcome: "aborted",
          event: {
            event: "call.aborted",
            id: makeUuidv7(timeMs, random.bytes(10)),
            timeMs,
            tenantId: entry.tenantId,
            fields: { callId: entry.callId, status: "commit unanswered" },
          },
        });
      }
    }
  }

  function settle(outcome: OutcomeEntry): void {
    outcomes.push(outcome);
    schedule();
  }

  function record(event: AuditEvent): void {
    if (records.length >= RECORDS_MAX) {
      stats.recordsDropped += 1;
      return;
    }
    records.push(event);
    schedule();
  }

  function sealAll(): void {
    for (const [tenantId, head] of unsealed) {
      unsealed.delete(tenantId);
      const event = options.seal(tenantId, head);
      if (event !== undefined) record(event);
    }
  }

  return {
    commit(entry, judge) {
      if (
        closed ||
        waiting.length >= WAITING_MAX ||
        outcomes.length >= OUTCOMES_MAX ||
        unresolved.length >= UNRESOLVED_MAX
      ) {
        return Promise.reject(new Failure("journal_unavailable", "the journal takes no more decisions now"));
      }
      return new Promise<Committed>((resolve, reject) => {
        waiting.push({ entry, judge, resolve, reject, attempts: 0 });
        schedule();
      });
    },
    settle,
    record,
    start() {
      sealer = setInterval(sealAll, SEAL_WITHIN_MS / 2);
    },
    async drain(timeoutMs) {
      draining = true;
      sealAll();
      if (isIdle()) return;
      schedule();
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([
        new Promise<void>((resolve) => idle.push(resolve)),
        new Promise<void>((resolve) => {
          timer = setTimeout(resolve, timeoutMs);
        }),
      ]);
      clearTimeout(timer);
    },
    close() {
      closed = true;
      clearTimeout(retry);
      clearTimeout(later);
      clearInterval(sealer);
      for (const item of waiting.splice(0)) item.reject(new Failure("gateway_draining", "the journal is closed"));
      idle = [];
    },
    get stats() {
      return { ...stats, unresolved: unresolved.length };
    },
  };
}

function toOutcome({ tenantId, callId, outcome, event }: OutcomeEntry): BatchEntry {
  return { kind: "outcome", tenantId, callId, outcome, event };
}

function toRecord(event: AuditEvent): BatchEntry {
  return { kind: "record", tenantId: event.tenantId, event };
}

function inOrder(tenantIds: ReadonlySet<string>): readonly string[] {
  return [...tenantIds].sort();
}

function toCommitResult(
  answer: Exclude<EntryAnswer, { kind: "stale" | "regressed" }>,
  committedAtMonotonicMs: number,
): CommitResult {
  if (answer.kind === "committed") {
    const { kind, epoch, sequence, left } = answer;
    const committed = { kind, epoch, sequence, committedAtMonotonicMs };
    return left === undefined ? committed : { ...committed, left };
  }
  // Answers for outcomes; for a decision they mean that its tenant is gone.
  if (answer.kind === "late" || answer.kind === "absent") return { kind: "stale" };
  return answer;
}

/** SQLSTATE classes that blame the data of the batch, not the connection: data, integrity, syntax, raised, our own. */
function isDataError(sqlState: string): boolean {
  return ["21", "22", "23", "42", "P0", "WR"].includes(sqlState.slice(0, 2));
}

/**
 * How far the database's clock is from this process's monotonic one, as a lower bound: a commit cannot have happened
 * before it was asked for. The greatest bound of the last one to two minutes is used, so that a step of either clock
 * is forgotten; without any, a commit counts as made when it was asked for.
 */
function createClockOffset(): {
  observe(sentMonotonicMs: number, committedMs: number, answeredMonotonicMs: number): void;
  toMonotonic(committedMs: number): number;
} {
  const PERIOD_MS = 60_000;
  let periodStartMs = Number.NEGATIVE_INFINITY;
  let previous = Number.NEGATIVE_INFINITY;
  let current = Number.NEGATIVE_INFINITY;
  return {
    observe(sentMs, committedMs, answeredMs) {
      if (sentMs - periodStartMs >= PERIOD_MS) {
        previous = current;
        current = Number.NEGATIVE_INFINITY;
        periodStartMs = sentMs;
      }
      // A step of the database's clock backwards would make an old bound say that commits lie in the future.
      const most = answeredMs - committedMs;
      if (current > most) current = Number.NEGATIVE_INFINITY;
      if (previous > most) previous = Number.NEGATIVE_INFINITY;
      current = Math.max(current, sentMs - committedMs);
    },
    toMonotonic(committedMs) {
      return committedMs + Math.max(previous, current);
    },
  };
}
