/** Reads the answer of `writ_journal_commit` into what each entry of the batch came to. */
import type { BudgetExcess } from "@writ/contract";
import type { CommittedHead } from "./head-mark.ts";
import type { EntryResult, JournalBatchResult, JournalEntry } from "./journal-entry.ts";
import type { PackedBatch } from "./pack-batch.ts";
import { mergeClaims } from "./pack-claims.ts";

const STALE: EntryResult = { kind: "stale" };
const REFUSED_NODES: EntryResult = { kind: "refused_nodes" };
const LATE: EntryResult = { kind: "late" };
const ABSENT: EntryResult = { kind: "absent" };
const REGRESSED: EntryResult = { kind: "regressed" };

/** What writ_journal_commit answers. */
interface Answer {
  readonly databaseTimeMs: number;
  /** By tenant; NaN where there is no head. */
  readonly epochs: readonly number[];
  readonly revisions: readonly number[];
  readonly sequences: readonly number[];
  readonly committedUs: readonly number[];
  readonly hashes: Uint8Array;
  /** By place of the entry; undefined: every entry was committed. */
  readonly statuses: readonly number[] | undefined;
  readonly refusedClaims: readonly number[] | undefined;
  readonly remaining: readonly number[] | undefined;
  /** By place among the soft limits; NaN for a counter that nothing was charged to. */
  readonly softTotals: readonly number[] | undefined;
  readonly softWindows: readonly number[] | undefined;
  /** By place of the entry, where some were refused: the call that has its key, NULL for most. */
  readonly firstCalls: readonly string[] | undefined;
}

function readAnswer(text: string): Answer {
  const parts = text.split("|");
  if (parts.length !== 12) throw new TypeError("writ_journal_commit answered what it never answers");
  const part = (at: number): readonly number[] | undefined => readNumbers(parts[at] as string); // 12 parts
  return {
    databaseTimeMs: Number(parts[0]),
    epochs: part(1) ?? [],
    revisions: part(2) ?? [],
    sequences: part(3) ?? [],
    committedUs: part(4) ?? [],
    // Without the \x. Copied, because small buffers share one allocation.
    hashes: new Uint8Array(Buffer.from((parts[5] as string).slice(2), "hex")),
    statuses: part(6),
    refusedClaims: part(7),
    remaining: part(8),
    softTotals: part(9),
    softWindows: part(10),
    firstCalls: parts[11] === "" ? undefined : parts[11]?.slice(1, -1).split(","),
  };
}

/** The text of an array of integers; NaN for NULL. */
function readNumbers(text: string): readonly number[] | undefined {
  return text === "" ? undefined : text.slice(1, -1).split(",").map(readNumber);
}

function readNumber(text: string): number {
  const value = Number(text);
  if (text !== "NULL" && !Number.isSafeInteger(value)) throw new RangeError(`${text} is not a safe JavaScript integer`);
  return value;
}

/** What the text of an answer says of the batch that it was given for. */
export function unpackAnswer(packed: PackedBatch, text: string): JournalBatchResult {
  const answer = readAnswer(text);
  const { statuses } = answer;
  const { entries, tenants, order, lasts } = packed;
  const totals = readTotals(packed, answer);
  const heads = new Map<string, CommittedHead>();
  const results = new Array<EntryResult>(order.length);
  let at = 0;
  for (const [tenant, tenantId] of tenants.entries()) {
    const last = lasts[tenant] as number; // one for each tenant
    // Columns of one answer have one length.
    const epoch = answer.epochs[tenant] as number;
    const committedUs = answer.committedUs[tenant] as number;
    let sequence = answer.sequences[tenant] as number;
    if (!Number.isNaN(epoch)) {
      const hash = answer.hashes.slice(tenant * 32, tenant * 32 + 32);
      heads.set(tenantId, { epoch, revision: answer.revisions[tenant] as number, sequence, hash, committedUs });
    }
    // Entries of a tenant were appended in order, so the last head tells every sequence.
    for (let index = at; index < last; index += 1) if ((statuses?.[index] ?? 0) === 0) sequence -= 1;
    for (; at < last; at += 1) {
      const status = statuses?.[at] ?? 0;
      if (status === 0) {
        sequence += 1;
        const told = totals?.get(at);
        results[order[at] as number] =
          told === undefined
            ? { kind: "committed", epoch, sequence, committedUs }
            : { kind: "committed", epoch, sequence, committedUs, ...told };
        continue;
      }
      const entry = entries[order[at] as number] as JournalEntry; // places of entries
      const shared = entry.kind === "with_previous" ? results[order[at - 1] as number] : undefined;
      results[order[at] as number] = shared ?? describeStatus(status, at, answer, entry);
    }
  }
  return { results, heads, databaseTimeMs: answer.databaseTimeMs };
}

function describeStatus(status: number, at: number, answer: Answer, entry: JournalEntry): EntryResult {
  switch (status) {
    case 1:
      return STALE;
    case 2:
      return { kind: "expired", databaseTimeMs: answer.databaseTimeMs };
    case 3: {
      const claims = "claims" in entry ? mergeClaims(entry.claims) : [];
      const claim = claims[(answer.refusedClaims?.[at] ?? 0) - 1]?.claim;
      if (claim === undefined) throw new TypeError("a refusal names no claim");
      return { kind: "refused", claim, remaining: answer.remaining?.[at] ?? 0 };
    }
    case 4:
      return REFUSED_NODES;
    case 5:
      return LATE;
    case 6:
      return ABSENT;
    case 7:
      return REGRESSED;
    case 8: {
      const firstCallId = answer.firstCalls?.[at];
      if (firstCallId === undefined || firstCallId === "NULL") throw new TypeError("a duplicate names no first call");
      return { kind: "duplicate", firstCallId };
    }
    default:
      throw new TypeError(`unknown status ${String(status)} of a journal entry`);
  }
}

interface Told {
  exceeded?: BudgetExcess[];
  left?: BudgetExcess[];
}

/**
 * The soft limits that entries went over and the totals that they were to be told, by place in `order`. What a counter
 * held right behind an entry is what it holds after the batch without what later entries added to it.
 */
function readTotals(packed: PackedBatch, answer: Answer): ReadonlyMap<number, Told> | undefined {
  const { softTotals, softWindows } = answer;
  if (softTotals === undefined || softWindows === undefined) return undefined;
  const totals = [...softTotals];
  const told = new Map<number, Told>();
  let tenant = packed.tenants.length - 1;
  for (let at = packed.order.length - 1; at >= 0; at -= 1) {
    while (tenant > 0 && at < (packed.lasts[tenant - 1] as number)) tenant -= 1; // one for each tenant
    const entry = packed.entries[packed.order[at] as number] as JournalEntry; // places of entries
    if (!("claims" in entry) || (answer.statuses?.[at] ?? 0) !== 0) continue;
    const own: Told = {};
    for (const { counter, amount, soft, claim } of mergeClaims(entry.claims)) {
      const place = packed.soft[tenant]?.get(counter);
      if (place === undefined) continue;
      const used = totals[place] as number; // the database answered for each
      const windowStartMs = softWindows[place] as number; // as above
      if (soft !== undefined && used > soft.limit) {
        own.exceeded ??= [];
        own.exceeded.push({ claim: soft, used, windowStartMs });
      }
      if (entry.tell?.some((one) => one.counter === counter) === true) {
        own.left ??= [];
        own.left.push({ claim, used, windowStartMs });
      }
      totals[place] = used - amount;
    }
    if (own.exceeded !== undefined || own.left !== undefined) told.set(at, own);
  }
  return told;
}
