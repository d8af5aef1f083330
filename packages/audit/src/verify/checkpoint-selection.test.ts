import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkpointOrigin, signCheckpoint } from "../checkpoint.ts";
import { encodeEvent } from "../event-bytes.ts";
import {
  EPOCH,
  headOf,
  KEY_NAME,
  type MadeEntry,
  makeLog,
  relink,
  SIGNING_KEY,
  TENANT,
  uuid,
  VERIFIER_KEY,
} from "../testing/make-log.ts";
import { appendLeaves, EMPTY_FRONTIER, rootOf } from "../tree.ts";
import { parseCheckpoint } from "./checkpoint.ts";
import { CHECKPOINTS_KEPT_MAX, createCheckpointSelection } from "./checkpoint-selection.ts";
import { createLogVerifier, type StoredHead } from "./log-verifier.ts";

function select(notes: readonly string[]): readonly string[] {
  const selection = createCheckpointSelection();
  for (const note of notes) selection.add(note);
  return selection.notes();
}

describe("a selection of checkpoints", () => {
  /** Readable, and signed by nobody. */
  const note = (size: number): string => `o/${TENANT}/1\n${size}\n${ROOT}\n\n\u2014 k ${ROOT}\n`;
  const ROOT = Buffer.alloc(32).toString("base64");
  const sizeOf = (text: string): number => {
    const reading = parseCheckpoint(text);
    return reading.kind === "read" ? reading.unverifiedCheckpoint.size : Number.NaN;
  };

  it("is all of a moderate number, in their order", () => {
    const notes = Array.from({ length: CHECKPOINTS_KEPT_MAX }, (_, index) => note((index * 7_919) % 5_003));
    expect(select(notes)).toEqual(notes);
  });

  it("has the same note once, however often an idle log was signed", () => {
    expect(select(Array.from({ length: 20_000 }, () => note(5)))).toEqual([note(5)]);
  });

  it("has what is no checkpoint, so that the verifier says so, and some of it when there is too much", () => {
    expect(select([note(1), "hello", note(2)])).toEqual(["hello", note(1), note(2)]);
    expect(select(Array.from({ length: 500 }, (_, index) => `hello ${index}`)).length).toBeLessThan(200);
  });

  it("of any number has a bounded one: the first, the greatest, the last, and one close behind each that is left out", () => {
    const runs = fc.array(
      fc.record({
        start: fc.integer({ min: 0, max: 1_000_000 }),
        step: fc.integer({ min: 1, max: 1_000 }),
        length: fc.integer({ min: 1, max: 6_000 }),
      }),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(runs, (given) => {
        const notes = given.flatMap(({ start, step, length }) =>
          Array.from({ length }, (_, index) => note(start + index * step)),
        );
        const kept = select(notes);
        expect(kept.length).toBeLessThanOrEqual(CHECKPOINTS_KEPT_MAX);
        const keptSizes = kept.map(sizeOf).sort((one, other) => one - other);
        const sizes = notes.map(sizeOf);
        const greatest = sizes.reduce((one, other) => Math.max(one, other));
        expect(keptSizes.at(-1)).toBe(greatest);
        expect(keptSizes[0]).toBe(sizes.reduce((one, other) => Math.min(one, other)));
        expect(kept).toContain(notes.at(-1));
        let at = 0;
        for (const size of [...new Set(sizes)].sort((one, other) => one - other)) {
          while ((keptSizes[at] ?? Number.POSITIVE_INFINITY) < size) at += 1;
          expect((keptSizes[at] ?? Number.POSITIVE_INFINITY) - size).toBeLessThanOrEqual((greatest - size) / 64);
        }
        for (const [index, size] of sizes.entries()) {
          const next = sizes[index + 1];
          if (next === undefined || next > size || notes[index] === notes[index + 1]) continue;
          expect(kept).toContain(notes[index]);
          expect(kept).toContain(notes[index + 1]);
        }
      }),
      { numRuns: 12 },
    );
  });
});

describe("R-LOG-1 what is selected of very many checkpoints", () => {
  const SIZE = 2 * CHECKPOINTS_KEPT_MAX + 1_000;
  const log = makeLog(SIZE);
  const notes = checkpointsOf(log);
  const selected = select(notes);

  it("is fewer, and finds the log intact", () => {
    expect(selected.length).toBeLessThan(CHECKPOINTS_KEPT_MAX);
    expect(verify(log, selected, headOf(log))).toMatchObject({
      kind: "intact",
      coverage: { checkpointsAgreed: selected.length, checkpointedThrough: SIZE },
    });
  });

  it.each([1, SIZE - 1])("names what is cut off behind entry %i", (size) => {
    const old = log.slice(0, size);
    expect(named(old, selected)).toEqual([`truncated@${size + 1}`]);
    expect(named(old, selected, headOf(old))).toEqual([`truncated@${size + 1}`, `head_regressed@${size + 1}`]);
  });

  it.each([1, 5_000, SIZE])("names a log that was computed anew from entry %i on", (sequence) => {
    const [finding] = findings(branchAt(sequence), selected);
    expect(finding?.damage).toBe("rehashed");
    expect(finding?.sequence).toBeLessThanOrEqual(sequence);
    expect(finding?.through).toBeGreaterThanOrEqual(sequence);
  });

  it("names a fork of which both sides were signed, long after it", () => {
    const branch = branchAt(50);
    const both = [...notes.slice(0, 60), ...checkpointsOf(branch).slice(54)];
    const [finding] = findings(branch, select(both));
    expect(finding).toMatchObject({ damage: "forked", through: 60 });
  });

  function branchAt(sequence: number): MadeEntry[] {
    const fields = { callId: "c", status: "other" };
    const { text, leaf } = encodeEvent({
      event: "call.aborted",
      id: uuid(sequence),
      timeMs: 1,
      tenantId: TENANT,
      fields,
    });
    return relink(log.with(sequence - 1, { ...(log[sequence - 1] as MadeEntry), event: text, leaf })); // it is there
  }
});

/** A checkpoint of each size. */
function checkpointsOf(entries: readonly MadeEntry[]): string[] {
  const origin = checkpointOrigin({ prefix: KEY_NAME, tenantId: TENANT, epoch: EPOCH });
  let frontier: Uint8Array = EMPTY_FRONTIER;
  return entries.map(({ sequence: size, leaf, hash }) => {
    frontier = appendLeaves(frontier, size - 1, leaf);
    const body = { origin, size, root: rootOf(frontier, size), chainHash: hash };
    return signCheckpoint({ name: KEY_NAME, privateKey: SIGNING_KEY }, body);
  });
}

function verify(entries: readonly MadeEntry[], checkpoints: readonly string[], head?: StoredHead) {
  const verifier = createLogVerifier({ tenantId: TENANT, epoch: EPOCH, verifierKeys: [VERIFIER_KEY], checkpoints });
  for (const entry of entries) verifier.add(entry);
  return verifier.end(head);
}

function findings(...log: Parameters<typeof verify>) {
  const verdict = verify(...log);
  return verdict.kind === "intact" ? [] : verdict.findings;
}

function named(...log: Parameters<typeof verify>): string[] {
  return findings(...log).map(({ damage, sequence }) => `${damage}@${sequence}`);
}
