/** The journal over a working batch store in memory: what is committed together, judged again, split, resolved. */
import { type AuditEvent, type BudgetClaim, type BudgetExcess, makeUuidv7 } from "@writ/contract";
import { DatabaseError } from "@writ/db";
import { afterEach, describe, expect, it } from "vitest";
import { type DecisionEntry, Failure } from "../ports.ts";
import type { BatchAnswer, BatchEntry, BatchStore, EntryAnswer } from "./batch-store.ts";
import { createJournal, type Journal } from "./journal.ts";

const TENANT = "00000000-0000-7000-8000-00000000000a";

/** A history of one tenant: a revision, a log, and failures to come. */
function makeStore() {
  const log: BatchEntry[] = [];
  const batches: (readonly BatchEntry[])[] = [];
  const committed = new Set<string>();
  const failures: ((entries: readonly BatchEntry[], apply: () => void) => void)[] = [];
  const store = {
    log,
    batches,
    failures,
    revision: 1,
    resolved: [] as string[],
    resolvable: true,
    /** The soft limits that every allow from now on goes over. */
    exceeded: [] as readonly BudgetExcess[],
  };
  const apply = (batchId: string, entries: readonly BatchEntry[]): BatchAnswer => {
    committed.add(batchId);
    const answers = entries.map((entry): EntryAnswer => {
      if ((entry.kind === "allow" || entry.kind === "deny") && entry.revision !== store.revision)
        return { kind: "stale" };
      log.push(entry);
      const committed = { kind: "committed", epoch: 1, sequence: log.length } as const;
      return entry.kind === "allow" && store.exceeded.length > 0
        ? { ...committed, exceeded: store.exceeded }
        : committed;
    });
    const head = { epoch: 1, sequence: log.length, hash: new Uint8Array(32) };
    return { answers, databaseTimeMs: 1_000_000 + log.length, heads: new Map([[TENANT, head]]) };
  };
  const batchStore: BatchStore = {
    async commit(batchId, entries) {
      batches.push(entries);
      const failure = failures.shift();
      failure?.(entries, () => void apply(batchId, entries));
      return apply(batchId, entries);
    },
    async commitUnderLock(batchId, _tenantIds, build) {
      const entries = build();
      batches.push(entries);
      return entries.length === 0 ? undefined : apply(batchId, entries);
    },
    async resolve(batchId) {
      if (!store.resolvable) throw new DatabaseError("08006", "still gone");
      store.resolved.push(batchId);
      return committed.has(batchId) ? "committed" : "refused";
    },
  };
  return Object.assign(store, { batchStore });
}

let open: Journal | undefined;
afterEach(() => {
  open?.close();
  open = undefined;
});

function makeJournal(
  store: ReturnType<typeof makeStore>,
  revisionOf: () => number | undefined = () => store.revision,
  catchUp: () => void = () => {},
  start = { ms: 0 },
): Journal {
  open = createJournal({
    store: store.batchStore,
    clock: { nowMs: () => 1_700_000_000_000, monotonicMs: () => (start.ms += 1) },
    random: { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) },
    log: { warn: () => {}, error: () => {} },
    revisionOf,
    catchUp: async () => catchUp(),
    seal: () => undefined,
  });
  return open;
}

function makeId(): string {
  return makeUuidv7(1_700_000_000_000, crypto.getRandomValues(new Uint8Array(10)));
}

function makeEvent(callId: string): AuditEvent {
  const fields = { callId, status: "x" };
  return { event: "call.aborted", id: makeId(), timeMs: 1, tenantId: TENANT, fields };
}

function makeEntry(overrides: Partial<DecisionEntry> = {}): DecisionEntry {
  const callId = makeId();
  return {
    kind: "allow",
    tenantId: TENANT,
    callId,
    revision: 1,
    validUntilMs: 2_000_000,
    claims: [],
    root: "00".repeat(16),
    budgetNodesMax: 10,
    salt: new Uint8Array(16),
    event: makeEvent(callId),
    denial: undefined,
    outcome: undefined,
    ...overrides,
  };
}

function makeSoftClaim(overrides: Partial<BudgetClaim> = {}): BudgetClaim {
  return {
    counter: "0c".repeat(16),
    scope: "agent",
    scopeId: "a",
    unit: "calls",
    window: "minute",
    windowStartMs: 0,
    windowEndMs: 60_000,
    amount: 1,
    limit: 3,
    mode: "soft",
    ...overrides,
  };
}

const unchanged = (entry: DecisionEntry) => (): DecisionEntry => entry;

describe("the journal", () => {
  it("commits decisions that arrive together as one batch", async () => {
    const store = makeStore();
    const journal = makeJournal(store);
    const entries = Array.from({ length: 20 }, () => makeEntry());
    const results = await Promise.all(entries.map((entry) => journal.commit(entry, unchanged(entry))));
    expect(results.map(({ result }) => result.kind)).toEqual(entries.map(() => "committed"));
    expect(store.batches).toHaveLength(1);
  });

  it("judges a decision again when authority moved, and commits what that gave", async () => {
    const store = makeStore();
    let known = 1;
    const journal = makeJournal(
      store,
      () => known,
      () => {
        known = store.revision;
      },
    );
    store.revision = 2;
    const entry = makeEntry();
    const { result, entry: kept } = await journal.commit(entry, () => ({ ...entry, revision: 2, kind: "deny" }));
    expect(result.kind).toBe("committed");
    expect(kept.kind).toBe("deny");
    expect(store.log.map(({ kind }) => kind)).toEqual(["deny"]);
  });

  it("records nothing of an attempt that is withdrawn", async () => {
    const store = makeStore();
    const journal = makeJournal(store, () => 7);
    const { result } = await journal.commit(makeEntry(), () => "withdraw");
    expect(result.kind).toBe("withdrawn");
    expect(store.log).toEqual([]);
  });

  it("splits a batch that is refused for its data, so that one call's fault denies one call", async () => {
    const store = makeStore();
    const journal = makeJournal(store);
    const entries = Array.from({ length: 8 }, () => makeEntry());
    const bad = entries[5]?.callId;
    const refuseBad = (batch: readonly BatchEntry[]): void => {
      if (batch.some((entry) => "callId" in entry && entry.callId === bad))
        throw new DatabaseError("22P02", "bad data");
    };
    for (let at = 0; at < 10; at += 1) store.failures.push(refuseBad);
    const settled = await Promise.allSettled(entries.map((entry) => journal.commit(entry, unchanged(entry))));
    expect(settled.map(({ status }) => status)).toEqual(
      entries.map(({ callId }) => (callId === bad ? "rejected" : "fulfilled")),
    );
    expect(store.log).toHaveLength(7);
  });

  it("ends an allow as aborted when its COMMIT went unanswered and turns out to have happened", async () => {
    const store = makeStore();
    const journal = makeJournal(store);
    store.failures.push((_entries, apply) => {
      apply();
      throw new DatabaseError("08006", "the connection was lost", { commitUnknown: true });
    });
    const entry = makeEntry();
    await expect(journal.commit(entry, unchanged(entry))).rejects.toMatchObject({ reason: "journal_unavailable" });
    await journal.drain(5_000);
    expect(store.resolved).toHaveLength(1);
    expect(store.log.map((logged) => (logged.kind === "outcome" ? logged.outcome : logged.kind))).toEqual([
      "allow",
      "aborted",
    ]);
  });

  it("asks for the fate of an unanswered COMMIT until it is told", async () => {
    const store = makeStore();
    store.resolvable = false;
    const journal = makeJournal(store);
    store.failures.push(() => {
      throw new DatabaseError("08006", "the connection was lost", { commitUnknown: true });
    });
    const first = makeEntry();
    await expect(journal.commit(first, unchanged(first))).rejects.toBeInstanceOf(Failure);
    expect(journal.stats.unresolved).toBe(1);
    store.resolvable = true;
    await journal.drain(5_000);
    expect(journal.stats.unresolved).toBe(0);
    expect(store.log).toEqual([]);
  });

  it.each(["committed", "refused"])("puts a record on record once when its batch was %s unanswered", async (fate) => {
    const store = makeStore();
    const journal = makeJournal(store);
    store.failures.push((_entries, apply) => {
      if (fate === "committed") apply();
      throw new DatabaseError("08006", "the connection was lost", { commitUnknown: true });
    });
    const event = makeEvent(makeId());
    journal.record(event);
    await journal.drain(5_000);
    expect(store.log.map((entry) => entry.event.id)).toEqual([event.id]);
  });

  it("keeps outcomes through a lost connection and books them later", async () => {
    const store = makeStore();
    const journal = makeJournal(store);
    store.failures.push(() => {
      throw new DatabaseError("08001", "no connection");
    });
    const callId = makeId();
    journal.settle({ tenantId: TENANT, callId, outcome: "completed", event: makeEvent(callId) });
    await journal.drain(5_000);
    expect(store.log.map(({ kind }) => kind)).toEqual(["outcome"]);
  });

  it("never says that a commit was later than it was", async () => {
    const store = makeStore();
    const journal = makeJournal(store);
    const entry = makeEntry();
    const before = 0;
    const { result } = await journal.commit(entry, unchanged(entry));
    expect(result.kind === "committed" && result.committedAtMonotonicMs).toBeGreaterThanOrEqual(before);
    // The monotonic clock of this test advances by one with each look: the commit was asked for at its second look.
    expect(result.kind === "committed" && result.committedAtMonotonicMs).toBeLessThanOrEqual(3);
  });

  it("puts a passed soft limit on record with a later batch, once a minute for each counter, window and limit", async () => {
    const store = makeStore();
    const time = { ms: 0 };
    const journal = makeJournal(
      store,
      () => store.revision,
      () => {},
      time,
    );
    const excess = (used: number, overrides: Partial<BudgetClaim> = {}): BudgetExcess => {
      const claim = makeSoftClaim(overrides);
      return { claim, used, windowStartMs: claim.windowStartMs };
    };
    const call = async (exceeded: readonly BudgetExcess[]): Promise<string> => {
      store.exceeded = exceeded;
      const entry = makeEntry();
      expect((await journal.commit(entry, unchanged(entry))).result.kind).toBe("committed");
      return entry.callId;
    };
    const first = await call([excess(4)]);
    await call([excess(5)]);
    const third = await call([excess(6, { limit: 5 }), excess(6, { windowStartMs: 60_000 })]);
    await call([]);
    time.ms += 60_000;
    const last = await call([excess(7)]);
    await journal.drain(5_000);

    const said = store.log.flatMap(({ kind, event }) =>
      kind === "record" && event.event === "budget.exceeded" ? [event.fields] : [],
    );
    const fields = { scope: "agent", scopeId: "a", unit: "calls", window: "minute", mode: "soft" };
    expect(said).toEqual([
      { ...fields, callId: first, windowStart: 0, limit: 3, used: 4 },
      { ...fields, callId: third, windowStart: 0, limit: 5, used: 6 },
      { ...fields, callId: third, windowStart: 60_000, limit: 3, used: 6 },
      { ...fields, callId: last, windowStart: 0, limit: 3, used: 7 },
    ]);
  });

  it("says no more than ten thousand passed limits a minute, and counts the rest as dropped", async () => {
    const store = makeStore();
    const journal = makeJournal(store);
    const records = (): number => store.log.filter(({ kind }) => kind === "record").length;
    for (let at = 0; at < 11; at += 1) {
      store.exceeded = Array.from({ length: 1_000 }, (_, index) => {
        const claim = makeSoftClaim({ counter: (at * 1_000 + index).toString(16).padStart(32, "0") });
        return { claim, used: 4, windowStartMs: 0 };
      });
      const entry = makeEntry();
      await journal.commit(entry, unchanged(entry));
      store.exceeded = [];
      await journal.drain(5_000);
    }
    expect(records()).toBe(10_000);
    expect(journal.stats.recordsDropped).toBe(1_000);
  });

  it("takes nothing once it is closed", async () => {
    const journal = makeJournal(makeStore());
    journal.close();
    const entry = makeEntry();
    await expect(journal.commit(entry, unchanged(entry))).rejects.toMatchObject({ reason: "journal_unavailable" });
  });

  it("refuses the calls of a batch that a defect of its own interrupts, instead of letting them wait", async () => {
    let broken = true;
    const store = makeStore();
    const journal = makeJournal(store, () => {
      if (broken) throw new RangeError("broken on purpose");
      return store.revision;
    });
    const entry = makeEntry();
    // The state is looked at while the batch is built; what throws there is thrown before the database is asked.
    await expect(journal.commit(entry, unchanged(entry))).rejects.toMatchObject({ reason: "journal_unavailable" });
    broken = false;
    const next = makeEntry();
    expect((await journal.commit(next, unchanged(next))).result.kind).toBe("committed");
  });

  it("trap-60 lets the event loop run between batches, however much waits", async () => {
    const store = makeStore();
    const journal = makeJournal(store);
    let turns = 0;
    let counting = true;
    const count = (): void => {
      turns += 1;
      if (counting) setImmediate(count);
    };
    setImmediate(count);
    const entries = Array.from({ length: 5_000 }, () => makeEntry());
    await Promise.all(entries.map((entry) => journal.commit(entry, unchanged(entry))));
    counting = false;
    expect(store.batches.length).toBeGreaterThanOrEqual(Math.floor(5_000 / 256));
    expect(turns).toBeGreaterThanOrEqual(store.batches.length - 1);
  });
});
