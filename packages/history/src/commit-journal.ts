/**
 * `commitJournal`: one batch of the journal (decisions, reservations, outcomes, records) as one call of the database
 * function `writ_journal_commit`, in one round trip; and the same under a lock that the caller can decide under.
 * What happens to each entry is decided in SQL (`migrations/0002_history.sql`); this file packs columns and unpacks
 * answers. Not here: batching, judging again, retries (the gateway's journal).
 */
import { type BudgetClaim, type BudgetExcess, INSTANCE_TENANT } from "@writ/contract";
import type { Database, Queryable, Row, SqlValue } from "@writ/db";
import type { CommittedHead, HeadMark } from "./head-mark.ts";
import { type ChangesRead, readChangesIn } from "./read-authority.ts";

/** Entries of one batch at most. A batch without an end would hold its heads without an end. */
export const JOURNAL_ENTRIES_MAX = 1_024;

export type JournalOutcome = "completed" | "failed" | "aborted" | "unknown";

interface EntryBase {
  readonly tenantId: string;
  /** The exact event: one line, and its leaf (32 bytes). */
  readonly text: string;
  readonly leaf: Uint8Array;
  /** 16 bytes that salt the digests in the events of this call; kept beside the log. */
  readonly salt?: Uint8Array | undefined;
}

export type JournalEntry =
  /** Bound to nothing: summaries, seals, a gateway's own events. */
  | (EntryBase & { readonly kind: "record" })
  /** Opens a call and reserves what it claims. */
  | (EntryBase & AllowFields & { readonly kind: "allow" })
  /** An allow that is over with this commit; what it claims is used at once. */
  | (EntryBase & AllowFields & { readonly kind: "allow_ended" })
  /** Bound to its revision, reserves nothing. */
  | (EntryBase & { readonly kind: "denial"; readonly callId: string; readonly revision: number })
  | (EntryBase & { readonly kind: "outcome"; readonly callId: string; readonly outcome: JournalOutcome })
  /** The outcome of a call that was recorded as unknown: its event is `call.settled_late`. */
  | (EntryBase & {
      readonly kind: "late_outcome";
      readonly callId: string;
      readonly outcome: Exclude<JournalOutcome, "unknown">;
    })
  /** Shares the fate of the entry before it: the outcome event of an `allow_ended`. */
  | (EntryBase & { readonly kind: "with_previous" });

interface AllowFields {
  readonly callId: string;
  readonly revision: number;
  readonly validUntilMs: number;
  readonly claims: readonly BudgetClaim[];
  /** Hex of the root node: bounds the counters of scope node. */
  readonly root: string;
  /** How many counters of scope node there may be below that root. */
  readonly budgetNodesMax: number;
}

export interface JournalBatch {
  /** Unique for ever: after a lost connection it tells whether this batch was committed. */
  readonly id: string;
  readonly gatewayId: string;
  /** The highest head seen of each tenant; entries of a tenant whose head is behind it are `regressed`. */
  readonly marks: ReadonlyMap<string, HeadMark>;
  readonly entries: readonly JournalEntry[];
}

export type EntryResult =
  | {
      readonly kind: "committed";
      readonly epoch: number;
      readonly sequence: number;
      readonly committedUs: number;
      /** The soft limits that this entry's claims went over; absent when there are none. */
      readonly exceeded?: readonly BudgetExcess[];
    }
  /** The tenant's authority moved: nothing was recorded, decide again. */
  | { readonly kind: "stale" }
  | { readonly kind: "expired"; readonly databaseTimeMs: number }
  | { readonly kind: "refused"; readonly claim: BudgetClaim; readonly remaining: number }
  | { readonly kind: "refused_nodes" }
  /** The call was recorded as unknown before; nothing was appended. Say it again as `late_outcome`. */
  | { readonly kind: "late" }
  /** No such open call (or tenant): nothing was appended. */
  | { readonly kind: "absent" }
  | { readonly kind: "regressed" };

export interface JournalBatchResult {
  /** One for each entry, in order. */
  readonly results: readonly EntryResult[];
  /** The heads after the batch, of every tenant in it that exists. */
  readonly heads: ReadonlyMap<string, CommittedHead>;
  readonly databaseTimeMs: number;
}

const KINDS = {
  record: 0,
  allow: 1,
  outcome: 2,
  denial: 3,
  allow_ended: 4,
  late_outcome: 5,
  with_previous: 6,
} as const satisfies Record<JournalEntry["kind"], number>;

const OUTCOMES = { completed: 1, failed: 2, aborted: 3, unknown: 4 } as const satisfies Record<JournalOutcome, number>;

const COMMIT_SQL = `SELECT * FROM writ_journal_commit($1::uuid, $2::uuid, $3::uuid[], $4::int8[], $5::int8[], $6::int8[],
  $7::bytea, $8::int4[], $9::int4[], $10::uuid[], $11::int8[], $12::int8[], $13::int4[], $14::text, $15::bytea,
  $16::bytea, $17::int4[], $18::int4[], $19::int4[], $20::bytea, $21::bytea, $22::int8[], $23::int8[], $24::int8[],
  $25::int4[], $26::int8[])`;

/** One counter of one entry, under the least hard and the least soft limit that the entry compares it with. */
interface PackedClaim {
  /** Place of the entry in the batch. */
  readonly entry: number;
  /** That of the least hard limit, when there is any. */
  claim: BudgetClaim;
  /** That of the least soft limit. */
  soft: BudgetClaim | undefined;
}

const NO_CALL = "00000000-0000-0000-0000-000000000000";
const STALE: EntryResult = { kind: "stale" };
const REFUSED_NODES: EntryResult = { kind: "refused_nodes" };
const LATE: EntryResult = { kind: "late" };
const ABSENT: EntryResult = { kind: "absent" };
const REGRESSED: EntryResult = { kind: "regressed" };

/**
 * Commits a batch: all its entries that may stand, or, when it throws, none. A `DatabaseError` with `commitUnknown`
 * leaves open which; `resolveBatch` tells. A failure that is about data concerns some entry: split and try again, with
 * new ids.
 */
export async function commitJournal(db: Database, batch: JournalBatch): Promise<JournalBatchResult> {
  return commitIn(db, batch);
}

export interface LockedTenant {
  readonly tenantId: string;
  readonly sinceRevision: number;
  readonly sinceInstanceRevision: number;
}

export type UnderLock =
  | { readonly kind: "committed"; readonly batch: JournalBatch; readonly result: JournalBatchResult }
  /** `decide` gave up the lock: nothing was committed. */
  | { readonly kind: "released" };

/**
 * Commits a batch that is decided while its heads are held: `decide` gets what changed since the caller's revisions,
 * is synchronous, and returns the batch (for these tenants only) or undefined to let go. No other commit of these
 * tenants can come between.
 */
export async function commitJournalUnderLock(
  db: Database,
  tenants: readonly LockedTenant[],
  decide: (changes: ReadonlyMap<string, ChangesRead>) => JournalBatch | undefined,
): Promise<UnderLock> {
  const ids = [...new Set(tenants.map((tenant) => tenant.tenantId))].sort();
  const outcome = await db.transaction<UnderLock>({ tenants: [...new Set([INSTANCE_TENANT, ...ids])] }, async (q) => {
    await q.query("SELECT tenant_id FROM writ_lock_heads($1::uuid[])", [ids]);
    const changes = new Map<string, ChangesRead>();
    for (const tenant of tenants) changes.set(tenant.tenantId, await readChangesIn(q, tenant));
    const batch = decide(changes);
    if (batch === undefined) return { kind: "released" };
    return { kind: "committed", batch, result: await commitIn(q, batch) };
  });
  return outcome;
}

/** The same inside a transaction of the caller's, which already holds the heads. */
export async function commitIn(q: Queryable, batch: JournalBatch): Promise<JournalBatchResult> {
  if (batch.entries.length === 0) throw new TypeError("a batch has at least one entry");
  if (batch.entries.length > JOURNAL_ENTRIES_MAX) {
    throw new TypeError(`a batch has at most ${JOURNAL_ENTRIES_MAX} entries`);
  }
  const tenants = [...new Set(batch.entries.map((entry) => entry.tenantId))].sort();
  const claims: PackedClaim[] = [];
  const rows = await q.query(COMMIT_SQL, packBatch(batch, tenants, claims));
  const row = rows[0];
  if (row === undefined) throw new TypeError("writ_journal_commit answered nothing");
  return unpackResult(batch, tenants, claims, row);
}

function packBatch(batch: JournalBatch, tenants: readonly string[], claims: PackedClaim[]): SqlValue[] {
  const entries = batch.entries;
  const count = entries.length;
  const tenantIndex = new Map<string, number>();
  const markEpochs: number[] = [];
  const markSequences: number[] = [];
  const markRevisions: number[] = [];
  const markHashes = new Uint8Array(tenants.length * 32);
  for (const [index, tenantId] of tenants.entries()) {
    tenantIndex.set(tenantId, index + 1);
    const mark = batch.marks.get(tenantId);
    markEpochs.push(mark?.epoch ?? -1);
    markSequences.push(mark?.sequence ?? -1);
    markRevisions.push(mark?.revision ?? -1);
    if (mark !== undefined) markHashes.set(mark.hash, index * 32);
  }

  const entryTenants = new Array<number>(count);
  const kinds = new Array<number>(count);
  const calls = new Array<string>(count);
  const revisions = new Array<number>(count);
  const validUntils = new Array<number>(count);
  const outcomes = new Array<number>(count);
  const firsts = new Array<number>(count);
  const claimCounts = new Array<number>(count);
  const leaves = new Uint8Array(count * 32);
  let salts: Uint8Array | undefined;
  let events = "";
  const claimEntries: number[] = [];
  const counters: string[] = [];
  const roots: string[] = [];
  const windowStarts: number[] = [];
  const amounts: number[] = [];
  const limits: number[] = [];
  const nodesMax: number[] = [];
  let hasSoft = false;

  for (let index = 0; index < count; index += 1) {
    const entry = entries[index] as JournalEntry; // index < count
    if (entry.text.includes("\n")) throw new TypeError("an event is one line");
    if (entry.leaf.length !== 32) throw new TypeError("a leaf has 32 bytes");
    entryTenants[index] = tenantIndex.get(entry.tenantId) ?? 0;
    kinds[index] = KINDS[entry.kind];
    calls[index] = "callId" in entry ? entry.callId : NO_CALL;
    revisions[index] = "revision" in entry ? entry.revision : -1;
    validUntils[index] = "validUntilMs" in entry ? entry.validUntilMs : Number.MAX_SAFE_INTEGER;
    outcomes[index] = "outcome" in entry ? OUTCOMES[entry.outcome] : 0;
    firsts[index] = claims.length + 1;
    leaves.set(entry.leaf, index * 32);
    events = index === 0 ? entry.text : `${events}\n${entry.text}`;
    if (entry.salt !== undefined) {
      if (!("callId" in entry)) throw new TypeError("only an entry of a call has a salt");
      salts ??= new Uint8Array(count * 16);
      salts.set(entry.salt, index * 16);
    }
    if ("claims" in entry) {
      const before = claims.length;
      for (const claim of entry.claims) {
        const limit = claim.mode === "hard" ? claim.limit : -1;
        const soft = claim.mode === "soft" ? claim : undefined;
        hasSoft ||= soft !== undefined;
        // One call holds a counter once, under the least of the hard limits that it is compared with, and the least of
        // the soft ones.
        let same = before;
        while (same < claims.length && counters[same] !== claim.counter) same += 1;
        if (same < claims.length) {
          const packed = claims[same] as PackedClaim; // same < claims.length
          const held = limits[same] as number; // as above
          if (limit >= 0 && (held < 0 || limit < held)) {
            limits[same] = limit;
            packed.claim = claim;
          }
          if (soft !== undefined && (packed.soft === undefined || soft.limit < packed.soft.limit)) packed.soft = soft;
          continue;
        }
        claims.push({ entry: index, claim, soft });
        claimEntries.push(index + 1);
        counters.push(claim.counter);
        roots.push(claim.scope === "node" ? entry.root : NO_ROOT);
        windowStarts.push(claim.windowStartMs);
        amounts.push(claim.amount);
        limits.push(limit);
        nodesMax.push(entry.budgetNodesMax);
      }
    }
    claimCounts[index] = claims.length + 1 - (firsts[index] as number); // written above
  }

  return [
    batch.id,
    batch.gatewayId,
    tenants,
    markEpochs,
    markSequences,
    markRevisions,
    markHashes,
    entryTenants,
    kinds,
    calls,
    revisions,
    validUntils,
    outcomes,
    events,
    leaves,
    salts ?? new Uint8Array(0),
    firsts,
    claimCounts,
    claimEntries,
    packHex(counters),
    packHex(roots),
    windowStarts,
    amounts,
    limits,
    nodesMax,
    hasSoft ? claims.map(({ soft }) => soft?.limit ?? -1) : [],
  ];
}

const NO_ROOT = "00000000000000000000000000000000";

/** 16 bytes each, joined. */
export function packHex(values: readonly string[]): Uint8Array {
  const bytes = Buffer.from(values.join(""), "hex");
  if (bytes.length !== values.length * 16) throw new TypeError("counters and nodes are 16 bytes in hex");
  return bytes;
}

function unpackResult(
  batch: JournalBatch,
  tenants: readonly string[],
  claims: readonly PackedClaim[],
  row: Row,
): JournalBatchResult {
  // The columns of writ_journal_commit, as the database interface returns their types.
  const answer = row as unknown as {
    statuses: number[];
    refused_claims: number[] | null;
    remaining: number[] | null;
    exceeded: number[] | null;
    exceeded_totals: number[] | null;
    exceeded_windows: number[] | null;
    epochs: (number | null)[];
    revisions: number[];
    sequences: number[];
    hashes: Uint8Array;
    committed: number[];
    database_ms: number;
  };
  const heads = new Map<string, CommittedHead>();
  const next: number[] = [];
  for (const [index, tenantId] of tenants.entries()) {
    const epoch = answer.epochs[index];
    next.push(0);
    if (epoch === null || epoch === undefined) continue;
    heads.set(tenantId, {
      epoch,
      revision: answer.revisions[index] as number, // columns of one answer have one length
      sequence: answer.sequences[index] as number,
      hash: answer.hashes.slice(index * 32, index * 32 + 32),
      committedUs: answer.committed[index] as number,
    });
  }
  // Entries of a tenant were appended in order, so the last head tells every sequence.
  const tenantIndex = new Map(tenants.map((tenantId, index) => [tenantId, index]));
  for (const [index, entry] of batch.entries.entries()) {
    const at = tenantIndex.get(entry.tenantId) as number; // every entry's tenant is listed
    if (answer.statuses[index] === 0) next[at] = (next[at] as number) + 1;
  }
  for (const [index, tenantId] of tenants.entries()) {
    next[index] = (heads.get(tenantId)?.sequence ?? 0) - (next[index] as number);
  }
  const excesses = new Map<number, BudgetExcess[]>();
  for (const [index, position] of (answer.exceeded ?? []).entries()) {
    const packed = claims[position - 1];
    if (packed?.soft === undefined) throw new TypeError("a soft limit that was passed names no claim");
    const excess: BudgetExcess = {
      claim: packed.soft,
      used: answer.exceeded_totals?.[index] as number, // columns of one answer have one length
      windowStartMs: answer.exceeded_windows?.[index] as number, // as above
    };
    const own = excesses.get(packed.entry);
    if (own === undefined) excesses.set(packed.entry, [excess]);
    else own.push(excess);
  }
  const results = batch.entries.map((entry, index): EntryResult => {
    const status = answer.statuses[index];
    switch (status) {
      case 0: {
        const at = tenantIndex.get(entry.tenantId) as number; // as above
        const head = heads.get(entry.tenantId) as CommittedHead; // an entry is appended to a head only
        next[at] = (next[at] as number) + 1;
        const exceeded = excesses.get(index);
        return {
          kind: "committed",
          epoch: head.epoch,
          sequence: next[at] as number,
          committedUs: head.committedUs,
          ...(exceeded === undefined ? {} : { exceeded }),
        };
      }
      case 1:
        return STALE;
      case 2:
        return { kind: "expired", databaseTimeMs: answer.database_ms };
      case 3: {
        const claim = claims[(answer.refused_claims?.[index] ?? 0) - 1]?.claim;
        if (claim === undefined) throw new TypeError("a refusal names no claim");
        return { kind: "refused", claim, remaining: answer.remaining?.[index] ?? 0 };
      }
      case 4:
        return REFUSED_NODES;
      case 5:
        return LATE;
      case 6:
        return ABSENT;
      case 7:
        return REGRESSED;
      default:
        throw new TypeError(`unknown status ${String(status)} of a journal entry`);
    }
  });
  return { results, heads, databaseTimeMs: answer.database_ms };
}

/**
 * What became of a batch whose COMMIT was never answered. `refused`: it is not committed and never will be. Waits for
 * the orphaned transaction, since it takes the same heads. May be asked again; ids are remembered for an hour.
 */
export async function resolveBatch(
  db: Database,
  batch: { readonly id: string; readonly tenants: readonly string[] },
): Promise<"committed" | "refused"> {
  const tenants = [...new Set(batch.tenants)].sort();
  const rows = await db.query<{ status: "committed" | "refused" }>(
    "SELECT writ_resolve_batch($1::uuid, $2::uuid[]) AS status",
    [batch.id, tenants],
  );
  const row = rows[0];
  if (row === undefined) throw new TypeError("writ_resolve_batch answered nothing");
  return row.status;
}
