/**
 * Naming damage: given the end of the part that verified and the entries that follow it, of which the first does not
 * fit, says what happened and how reading can go on. It decides nothing about whether there is damage.
 */
import type { Finding } from "./findings.ts";
import { leafHash, linkHash } from "./link.ts";

/** One entry as it is read from a database or an export. */
export interface LogEntry {
  readonly sequence: number;
  readonly committedAtMicros: bigint;
  /** The event's text, exactly as stored. */
  readonly event: string;
  /** As stored beside the event; an export has none. */
  readonly leaf?: Uint8Array | undefined;
  readonly hash: Uint8Array;
}

/** The end of what was read so far. */
export interface LogEnd {
  readonly sequence: number;
  readonly hash: Uint8Array;
}

export interface Diagnosis {
  readonly finding: Finding;
  /** The entries that are still to be read, relabelled where the labels were found to be wrong. */
  readonly rest: LogEntry[];
  /** Where reading goes on from; the leaf is the accepted entry's, or undefined when it cannot be known. */
  readonly end: LogEnd;
  readonly leaf: Uint8Array | undefined;
  /** How many places the labels of later entries are away from their true sequence. */
  readonly shift: number;
}

/** How many removed entries with later ones renumbered are still recognised. */
const RENUMBERED_MAX = 4096;

/**
 * `last` ended well and `entries[0]` (there is one) does not follow it. `seen` is the hash of an earlier entry by its
 * sequence, as far back as it is remembered; `beginning` says that nothing stands before `last` in this epoch.
 */
export function diagnose(
  last: LogEnd,
  entries: readonly LogEntry[],
  { seen, beginning }: { readonly seen: (sequence: number) => Uint8Array | undefined; readonly beginning: boolean },
): Diagnosis {
  const expected = last.sequence + 1;
  const [first, ...later] = entries as readonly [LogEntry, ...LogEntry[]]; // the caller has one at least
  const after = later[0];
  const leaf = leafHash(first.event);
  const sameHash = (entry: LogEntry, previous: Uint8Array, sequence: number): boolean =>
    isReadable(entry) && follows(entry, previous, sequence);

  if (!isReadable(first)) {
    const end = { sequence: expected, hash: first.hash.length === 32 ? first.hash : last.hash };
    const detail = "the entry cannot be read: a width, a range or the text is wrong";
    return {
      finding: { damage: "malformed", sequence: expected, detail },
      rest: later,
      end,
      leaf: undefined,
      shift: 0,
    };
  }

  // The entry that belongs here, whatever its label says.
  if (first.sequence !== expected && follows(first, last.hash, expected)) {
    const detail = `the entry links as ${expected} and is numbered ${first.sequence}`;
    const end = { sequence: expected, hash: first.hash };
    return { finding: { damage: "mutated", sequence: expected, detail }, rest: later, end, leaf, shift: 0 };
  }

  if (first.sequence < expected) {
    const known = seen(first.sequence);
    const same = known !== undefined && Buffer.compare(known, first.hash) === 0;
    const damage = known === undefined ? "reordered" : same ? "duplicated" : "forked";
    const detail = same ? "the same entry comes twice" : `entry ${first.sequence} comes again, after ${last.sequence}`;
    const finding: Finding = { damage, sequence: first.sequence, detail };
    return { finding, rest: later, end: last, leaf: undefined, shift: 0 };
  }

  // The entry that belongs here stands further on.
  const found = later.findIndex((entry) => sameHash(entry, last.hash, expected));
  const rightful = later[found];
  if (rightful !== undefined) {
    if (first.sequence !== expected && rightful.sequence === expected) {
      const rest = [first, ...later.toSpliced(found, 1)];
      const finding: Finding = { damage: "reordered", sequence: expected, detail: "a later entry comes before it" };
      return {
        finding,
        rest,
        end: { sequence: expected, hash: rightful.hash },
        leaf: leafHash(rightful.event),
        shift: 0,
      };
    }
    // Exchanged contents: the first entry fits where the true one was found.
    const place = rightful.sequence;
    const before = found === 0 ? rightful.hash : later[found - 1]?.hash;
    if (before !== undefined && sameHash(first, before, place)) {
      const rest = later.with(found, { ...first, sequence: place });
      const finding: Finding = {
        damage: "reordered",
        sequence: expected,
        detail: `it holds what was linked as ${place}, and ${place} holds what belongs here`,
      };
      return {
        finding,
        rest,
        end: { sequence: expected, hash: rightful.hash },
        leaf: leafHash(rightful.event),
        shift: 0,
      };
    }
    const copy = first.hash.length === last.hash.length && Buffer.compare(first.hash, last.hash) === 0;
    const moved = !copy && found > 0 && later[found - 1] !== undefined;
    const finding: Finding = copy
      ? {
          damage: "duplicated",
          sequence: expected,
          detail: "the entry before it comes twice, and later ones are renumbered",
        }
      : moved
        ? { damage: "reordered", sequence: expected, detail: `what belongs here is numbered ${place}` }
        : { damage: "inserted", sequence: expected, detail: "what belongs here comes after it" };
    const rest = later.slice(found + 1);
    const end = { sequence: expected, hash: rightful.hash };
    return { finding, rest, end, leaf: leafHash(rightful.event), shift: rightful.sequence - expected };
  }

  if (first.sequence > expected) {
    const finding: Finding = {
      damage: beginning ? "removed_beginning" : "removed_middle",
      sequence: expected,
      through: first.sequence - 1,
      detail: `${first.sequence - expected} entries are missing before entry ${first.sequence}`,
    };
    return { finding, rest: later, end: { sequence: first.sequence, hash: first.hash }, leaf: undefined, shift: 0 };
  }

  // The label is right and the link is not.
  const mutated = (detail: string, accepted: Uint8Array | undefined, hash: Uint8Array = first.hash): Diagnosis => ({
    finding: { damage: "mutated", sequence: expected, detail },
    rest: later,
    end: { sequence: expected, hash },
    leaf: accepted,
    shift: 0,
  });
  const computed = linkHash(last.hash, expected, first.committedAtMicros, leaf);
  const linked = Buffer.compare(computed, first.hash) === 0;
  if (first.leaf !== undefined && Buffer.compare(first.leaf, leaf) !== 0) {
    if (linked) return mutated("the stored leaf was changed; event and link agree", leaf);
    const stored = linkHash(last.hash, expected, first.committedAtMicros, first.leaf);
    if (Buffer.compare(stored, first.hash) === 0) {
      return mutated("the event's bytes were changed; leaf and link agree", first.leaf);
    }
    return mutated("event, leaf and link do not agree", undefined);
  }
  if (after !== undefined && sameHash(after, computed, expected + 1)) {
    return mutated("the stored hash was changed; the next entry links to the right one", leaf, computed);
  }
  if (after !== undefined && !sameHash(after, first.hash, expected + 1)) {
    for (let removed = 1; removed <= RENUMBERED_MAX; removed += 1) {
      if (!sameHash(after, first.hash, expected + 1 + removed)) continue;
      const finding: Finding = {
        damage: beginning ? "removed_beginning" : "removed_middle",
        sequence: expected,
        through: expected + removed - 1,
        detail: `${removed} entries were removed and later ones renumbered`,
      };
      const end = { sequence: expected + removed, hash: first.hash };
      return { finding, rest: later, end, leaf: undefined, shift: -removed };
    }
  }
  return mutated("the event with its leaf, or the commit time, or the entry's place was changed", undefined);
}

/** Whether the entry's own content, with its leaf recomputed, links to `previous` as `sequence`. */
function follows(entry: LogEntry, previous: Uint8Array, sequence: number): boolean {
  const computed = linkHash(previous, sequence, entry.committedAtMicros, leafHash(entry.event));
  return Buffer.compare(computed, entry.hash) === 0;
}

/** Whether every part has a width, a range and a text that links are defined for. */
export function isReadable(entry: LogEntry): boolean {
  return (
    Number.isSafeInteger(entry.sequence) &&
    entry.sequence >= 1 &&
    typeof entry.committedAtMicros === "bigint" &&
    entry.committedAtMicros >= 0n &&
    entry.committedAtMicros < 0x8000_0000_0000_0000n &&
    entry.hash.length === 32 &&
    (entry.leaf === undefined || entry.leaf.length === 32) &&
    entry.event.isWellFormed()
  );
}
