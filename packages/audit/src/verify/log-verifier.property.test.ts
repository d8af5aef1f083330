import fc from "fast-check";
import { expect, it } from "vitest";
import { encodeEvent } from "../event-bytes.ts";
import {
  CHAIN_KEY,
  checkpointOf,
  EPOCH,
  headOf,
  type MadeEntry,
  makeLog,
  relink,
  TENANT,
  uuid,
  VERIFIER_KEY,
} from "../testing/make-log.ts";
import type { Damage } from "./findings.ts";
import { createLogVerifier, type LogVerdict, type LogVerifierOptions } from "./log-verifier.ts";

const SIZE_MAX = 150;
const longest = makeLog(SIZE_MAX, { sealEvery: 7 });
const chainKeys = new Map([["chain-1", CHAIN_KEY]]);

function verify(entries: readonly MadeEntry[], options: Partial<LogVerifierOptions> = {}): LogVerdict {
  const verifier = createLogVerifier({ tenantId: TENANT, epoch: EPOCH, verifierKeys: [VERIFIER_KEY], ...options });
  for (const entry of entries) verifier.add(entry);
  return verifier.end();
}

interface Change {
  readonly expected: readonly Damage[];
  readonly sequence: number;
  apply(entries: MadeEntry[]): MadeEntry[];
}

const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const flipped = Uint8Array.from(bytes);
  const at = (bit >> 3) % flipped.length;
  flipped[at] = (flipped[at] as number) ^ (1 << (bit & 7)); // `at` is within its length
  return flipped;
};

const over = (
  sequence: number,
  expected: readonly Damage[],
  change: (entry: MadeEntry) => Partial<MadeEntry>,
): Change => ({
  expected,
  sequence,
  apply: (entries) => entries.map((entry) => (entry.sequence === sequence ? { ...entry, ...change(entry) } : entry)),
});

/** Any one change of a log of `size` entries, with the name that it must get and the entry that must be named. */
function anyChange(size: number): fc.Arbitrary<Change> {
  const sequence = fc.integer({ min: 1, max: size });
  const bit = fc.nat({ max: 1_000_000 });
  return fc.oneof(
    fc.tuple(sequence, bit).map(([at, nth]) => over(at, ["mutated"], ({ leaf }) => ({ leaf: flip(leaf, nth) }))),
    fc.tuple(sequence, bit).map(([at, nth]) => over(at, ["mutated"], ({ hash }) => ({ hash: flip(hash, nth) }))),
    fc
      .tuple(sequence, fc.bigInt(1n, 1_000_000n))
      .map(([at, more]) =>
        over(at, ["mutated"], ({ committedAtMicros }) => ({ committedAtMicros: committedAtMicros + more })),
      ),
    fc.tuple(sequence, bit, fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 1 })).map(([at, nth, letter]) =>
      over(at, ["mutated"], ({ event }) => {
        const place = nth % event.length;
        return {
          event:
            event.slice(0, place) + (event[place] === letter ? `${letter}${letter}` : letter) + event.slice(place + 1),
        };
      }),
    ),
    fc
      .tuple(sequence, fc.integer({ min: 1, max: 1_000_000 }))
      .map(([at, more]) => over(at, ["mutated"], ({ sequence: was }) => ({ sequence: was + more }))),
    fc.tuple(sequence, sequence, fc.boolean()).map(([one, other, renumber]): Change => {
      const at = one === other ? (one === size ? size - 1 : one) : Math.min(one, other);
      const to = one === other ? at + 1 : Math.max(one, other);
      return {
        // Renumbered and further apart than the window, the exchange looks like two edited entries.
        expected:
          renumber && to - at >= 60
            ? ["reordered", "mutated"]
            : to - at >= 60
              ? ["reordered", "removed_middle", "removed_beginning"]
              : ["reordered"],
        sequence: at,
        apply(entries) {
          const [first, second] = [entries[at - 1] as MadeEntry, entries[to - 1] as MadeEntry];
          return entries
            .with(at - 1, renumber ? { ...second, sequence: at } : second)
            .with(to - 1, renumber ? { ...first, sequence: to } : first);
        },
      };
    }),
    sequence.map(
      (at): Change => ({
        expected: ["duplicated"],
        sequence: at,
        apply: (entries) => entries.toSpliced(at, 0, entries[at - 1] as MadeEntry),
      }),
    ),
    sequence.map(
      (at): Change => ({
        expected: [at === size ? "truncated" : at === 1 ? "removed_beginning" : "removed_middle"],
        sequence: at,
        apply: (entries) => entries.toSpliced(at - 1, 1),
      }),
    ),
    sequence.map(
      (kept): Change => ({ expected: ["truncated"], sequence: kept, apply: (entries) => entries.slice(0, kept - 1) }),
    ),
  );
}

const changedLog = fc
  .integer({ min: 2, max: SIZE_MAX })
  .chain((size) => fc.record({ size: fc.constant(size), change: anyChange(size) }));

it("R-LOG-1 trap-13, trap-14 any one change of a log is found and named, given a checkpoint of its end", () => {
  fc.assert(
    fc.property(changedLog, ({ size, change }) => {
      const entries = longest.slice(0, size);
      const checkpoints = [checkpointOf(entries)];
      expect(verify(entries, { checkpoints, chainKeys }).kind).toBe("intact");
      const verdict = verify(change.apply(entries), { checkpoints, chainKeys });
      const first = verdict.kind === "damaged" ? verdict.findings[0] : undefined;
      expect(change.expected).toContain(first?.damage);
      expect(first?.sequence).toBe(change.sequence);
    }),
    { numRuns: 400 },
  );
});

it("trap-15 a log computed anew without the key is found, given a checkpoint or the seals", () => {
  const places = fc
    .integer({ min: 2, max: SIZE_MAX })
    .chain((size) =>
      fc.record({ size: fc.constant(size), edited: fc.integer({ min: 1, max: size }), drop: fc.boolean() }),
    );
  fc.assert(
    fc.property(places, ({ size, edited, drop }) => {
      const entries = longest.slice(0, size);
      const event = encodeEvent({
        event: "call.aborted",
        id: uuid(edited),
        timeMs: 1,
        tenantId: TENANT,
        fields: { callId: "c", status: "other" },
      });
      const changed = drop
        ? entries.toSpliced(edited - 1, 1)
        : entries.with(edited - 1, { ...(entries[edited - 1] as MadeEntry), event: event.text, leaf: event.leaf });
      const rewritten = relink(changed);
      const byCheckpoint = verify(rewritten, { checkpoints: [checkpointOf(entries)] });
      expect(byCheckpoint.kind).toBe("damaged");
      if (byCheckpoint.kind === "damaged")
        expect(["rehashed", "truncated"]).toContain(byCheckpoint.findings[0]?.damage);
      // A seal at 7 n speaks of 7 n − 1; it shows the change when one of the seals that are left speaks of what changed.
      const lastSeal = Math.floor(size / 7) * 7;
      if (edited < lastSeal) {
        const bySeal = verify(rewritten, { chainKeys });
        expect(bySeal.kind).toBe("damaged");
        if (bySeal.kind === "damaged") expect(["rehashed", "seal_wrong"]).toContain(bySeal.findings[0]?.damage);
      }
      const withHead = createLogVerifier({ tenantId: TENANT, epoch: EPOCH });
      for (const entry of rewritten) withHead.add(entry);
      // Given neither, only the old head is left to say so.
      if (edited > lastSeal) expect(withHead.end(headOf(entries)).kind).toBe("damaged");
    }),
    { numRuns: 150 },
  );
});
