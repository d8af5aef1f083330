import { describe, expect, it } from "vitest";
import { encodeEvent } from "../event-bytes.ts";
import { makeSeal } from "../seal.ts";
import {
  CHAIN_KEY,
  checkpointOf,
  EPOCH,
  frontierOf,
  headOf,
  type MadeEntry,
  makeLog,
  relink,
  TENANT,
  uuid,
  VERIFIER_KEY,
} from "../testing/make-log.ts";
import { FINDINGS_MAX } from "./findings.ts";
import { createLogVerifier, DIAGNOSIS_WINDOW, type LogVerifierOptions, type StoredHead } from "./log-verifier.ts";

const chainKeys = new Map([["chain-1", CHAIN_KEY]]);

function verify(entries: readonly MadeEntry[], options: Partial<LogVerifierOptions> = {}, head?: StoredHead) {
  const verifier = createLogVerifier({ tenantId: TENANT, epoch: EPOCH, verifierKeys: [VERIFIER_KEY], ...options });
  for (const entry of entries) verifier.add(entry);
  return verifier.end(head);
}

/** Every finding as `damage@sequence`. */
function named(entries: readonly MadeEntry[], options: Partial<LogVerifierOptions> = {}, head?: StoredHead): string[] {
  const verdict = verify(entries, options, head);
  return verdict.kind === "intact" ? [] : verdict.findings.map(({ damage, sequence }) => `${damage}@${sequence}`);
}

const log = makeLog(20, { sealEvery: 5 });
const at = (sequence: number, over: Partial<MadeEntry>): MadeEntry[] =>
  log.map((entry) => (entry.sequence === sequence ? { ...entry, ...over } : entry));
const otherEvent = makeLog(20, { salt: "!" })[6] as MadeEntry;

describe("an intact log", () => {
  it("is found intact, and the verdict says what vouches for it", () => {
    const verdict = verify(log, { checkpoints: [checkpointOf(log, 8), checkpointOf(log, 18)], chainKeys }, headOf(log));
    expect(verdict).toMatchObject({
      kind: "intact",
      coverage: {
        entries: 20,
        startVouched: true,
        checkpointsAgreed: 2,
        checkpointedThrough: 18,
        sealsAgreed: 4,
        sealedThrough: 19,
      },
    });
    expect(verdict.kind === "intact" && Buffer.compare(verdict.root, headOf(log).root)).toBe(0);
  });

  it("is verified further from where an earlier verification ended", () => {
    const first = verify(log.slice(0, 11));
    if (first.kind !== "intact") throw new Error("damaged");
    expect(Buffer.compare(first.position.frontier, frontierOf(log.slice(0, 11)))).toBe(0);
    const options = {
      from: first.position,
      checkpoints: [checkpointOf(log, 5), checkpointOf(log, 11), checkpointOf(log)],
      chainKeys,
    };
    expect(verify(log.slice(11), options, headOf(log))).toMatchObject({
      kind: "intact",
      coverage: {
        entries: 9,
        startVouched: true,
        checkpointsAgreed: 2,
        checkpointsUnchecked: 1,
        checkpointedThrough: 20,
      },
    });
  });

  it("may be empty", () => {
    expect(named([], { checkpoints: [checkpointOf([], 0)] }, headOf([]))).toEqual([]);
  });

  it("does not count a seal as checked when there is no key to check it with", () => {
    expect(verify(log)).toMatchObject({
      kind: "intact",
      coverage: { sealsAgreed: 0, sealsUnchecked: 4, sealedThrough: 0 },
    });
  });
});

describe("a changed entry", () => {
  it.each([
    ["its event", { event: otherEvent.event }],
    ["its event and leaf", { event: otherEvent.event, leaf: otherEvent.leaf }],
    ["its leaf", { leaf: otherEvent.leaf }],
    ["its hash", { hash: otherEvent.hash }],
    ["its commit time", { committedAtMicros: 1n }],
    ["its number", { sequence: 700 }],
    ["its number, to an earlier one", { sequence: 2 }],
  ])("is named when it is %s", (_, over) => {
    expect(named(at(7, over))).toEqual(["mutated@7"]);
  });

  it("is malformed when a width or a range is wrong", () => {
    expect(named(at(7, { hash: Buffer.alloc(31) }))[0]).toBe("malformed@7");
    expect(named(at(7, { committedAtMicros: -1n }))[0]).toBe("malformed@7");
    expect(named(at(7, { sequence: Number.NaN }))[0]).toBe("malformed@7");
  });

  it("is named when it is the last or the only one", () => {
    expect(named(at(20, { committedAtMicros: 1n }))).toEqual(["mutated@20"]);
    expect(named([{ ...(log[0] as MadeEntry), committedAtMicros: 1n }])).toEqual(["mutated@1"]);
  });

  it("does not hide a second one", () => {
    const twice = at(7, { event: otherEvent.event }).map((entry) =>
      entry.sequence === 15 ? { ...entry, committedAtMicros: 1n } : entry,
    );
    expect(named(twice)).toEqual(["mutated@7", "mutated@15"]);
  });

  it("does not slip by with a lone surrogate that has the same UTF-8 as the character of replacement", () => {
    const text = encodeEvent({
      event: "call.aborted",
      id: uuid(1),
      timeMs: 1,
      tenantId: TENANT,
      fields: { callId: "c", status: "\ufffd" },
    });
    const [made] = relink([{ ...(log[0] as MadeEntry), event: text.text, leaf: text.leaf }]) as [MadeEntry];
    expect(named([made])).toEqual([]);
    expect(named([{ ...made, event: made.event.replace("\ufffd", "\ud800") }])).toEqual(["malformed@1"]);
  });
});

describe("removed entries", () => {
  it("are named in the middle, with the stretch", () => {
    expect(verify(log.filter(({ sequence }) => sequence < 7 || sequence > 9))).toMatchObject({
      findings: [{ damage: "removed_middle", sequence: 7, through: 9 }],
    });
  });

  it("trap-14 are named at the beginning", () => {
    expect(named(log.slice(3))).toEqual(["removed_beginning@1"]);
  });

  it("trap-13 are named at the end, by the head or by an earlier checkpoint", () => {
    expect(named(log.slice(0, 15), {}, headOf(log))).toEqual(["truncated@16"]);
    expect(named(log.slice(0, 15), { checkpoints: [checkpointOf(log, 18)] })).toEqual(["truncated@16"]);
    expect(named([], { checkpoints: [checkpointOf(log, 18)] })).toEqual(["truncated@1"]);
  });

  it("are named when the others were renumbered and not linked anew", () => {
    const renumber = (entries: readonly MadeEntry[]) =>
      entries.map((entry, index) => ({ ...entry, sequence: index + 1 }));
    expect(named(renumber(log.slice(3)))[0]).toBe("removed_beginning@1");
    expect(named(renumber(log.filter(({ sequence }) => sequence !== 7)))[0]).toBe("removed_middle@7");
  });
});

describe("R-LOG-1 moved entries", () => {
  const swapped = (one: number, other: number): MadeEntry[] => {
    const entries = [...log];
    entries[one - 1] = log[other - 1] as MadeEntry;
    entries[other - 1] = log[one - 1] as MadeEntry;
    return entries;
  };

  it.each([
    [7, 8],
    [7, 10],
    [1, 20],
  ])("%i and %i are reordered, with their numbers", (one, other) => {
    expect(named(swapped(one, other))[0]).toBe(`reordered@${one}`);
  });

  it.each([
    [7, 8],
    [7, 10],
  ])("%i and %i are reordered, with numbers made to fit", (one, other) => {
    const entries = swapped(one, other).map((entry, index) => ({ ...entry, sequence: index + 1 }));
    expect(named(entries)).toEqual([`reordered@${one}`]);
  });

  it("an entry that comes twice is a duplicate, with its number or renumbered", () => {
    const twice = [...log.slice(0, 7), ...log.slice(6)];
    expect(named(twice)).toEqual(["duplicated@7"]);
    expect(named(twice.map((entry, index) => ({ ...entry, sequence: index + 1 })))).toEqual(["duplicated@8"]);
  });

  it("an entry put between two others is inserted", () => {
    const entries = [...log.slice(0, 6), otherEvent, ...log.slice(6)].map((entry, index) => ({
      ...entry,
      sequence: index + 1,
    }));
    expect(named(entries)).toEqual(["inserted@7"]);
  });

  it("two entries of one number are a fork", () => {
    const other = relink(log.map((entry) => (entry.sequence === 7 ? { ...otherEvent } : entry)))[6] as MadeEntry;
    expect(named([...log.slice(0, 7), other, ...log.slice(7)])).toEqual(["forked@7"]);
  });
});

describe("trap-15 a chain that was computed anew without the key", () => {
  const rewritten = relink(log.map((entry) => (entry.sequence === 7 ? { ...otherEvent } : entry)));

  it("agrees with itself, so nothing inside the database shows it", () => {
    expect(
      named(
        rewritten.filter(({ sequence }) => sequence < 10),
        {},
        headOf(rewritten.slice(0, 9)),
      ),
    ).toEqual([]);
  });

  it("is found by a checkpoint, after the last one that still agrees", () => {
    const checkpoints = [checkpointOf(log, 4), checkpointOf(log, 12), checkpointOf(log, 16)];
    const [finding] = damaged(verify(rewritten.slice(0, 16), { checkpoints }));
    expect(finding).toMatchObject({ damage: "rehashed", sequence: 5, through: 12 });
  });

  it("is found by a seal that was left as it was", () => {
    const [finding] = damaged(verify(rewritten, { chainKeys }));
    expect(finding).toMatchObject({ damage: "rehashed", sequence: 5, through: 9 });
  });

  it("is found by a seal that was made to fit without the key", () => {
    const fields = {
      epoch: EPOCH,
      sequence: 9,
      hash: Buffer.from((rewritten[8] as MadeEntry).hash).toString("hex"),
      keyId: "chain-1",
    };
    const forge = (keyId: string, key: Buffer): MadeEntry[] => {
      const link = { tenantId: TENANT, epoch: EPOCH, sequence: 9, hash: (rewritten[8] as MadeEntry).hash };
      const event = encodeEvent({
        event: "log.sealed",
        id: uuid(10),
        timeMs: 1,
        tenantId: TENANT,
        fields: { ...fields, keyId, seal: makeSeal(key, link) },
      });
      return relink(
        rewritten
          .slice(0, 10)
          .map((entry) => (entry.sequence === 10 ? { ...entry, event: event.text, leaf: event.leaf } : entry)),
      );
    };
    expect(named(forge("chain-1", Buffer.alloc(32, 1)), { chainKeys })).toEqual(["seal_wrong@10"]);
    expect(named(forge("mine", Buffer.alloc(32, 1)), { chainKeys })).toEqual(["seal_wrong@10"]);
    expect(named(forge("chain-1", CHAIN_KEY), { chainKeys })).toEqual([]);
  });

  it("is found by the lack of seals, when the caller says how many entries may stand without", () => {
    const unsealed = relink(makeLog(20));
    expect(named(unsealed, { chainKeys, sealGapMax: 12 })).toEqual(["seal_missing@1"]);
    expect(named(log, { chainKeys, sealGapMax: 12 })).toEqual([]);
  });

  it("is found when only commit times were changed, which the tree does not cover", () => {
    const moved = relink(log.map((entry) => ({ ...entry, committedAtMicros: entry.committedAtMicros + 1n })));
    expect(named(moved.slice(0, 4), { checkpoints: [checkpointOf(log, 4)] })).toEqual(["rehashed@1"]);
  });
});

describe("R-LOG-1 trap-16 a fork", () => {
  const branch = relink(log.map((entry) => (entry.sequence === 7 ? { ...otherEvent } : entry))).slice(0, 9);

  it("is found when signed checkpoints of both branches exist", () => {
    expect(named(branch, { checkpoints: [checkpointOf(log, 4), checkpointOf(log, 8), checkpointOf(branch)] })).toEqual([
      "forked@5",
    ]);
    expect(named(branch, { checkpoints: [checkpointOf(log, 9), checkpointOf(branch)] })).toEqual(["forked@1"]);
  });

  it("is found when both signed sizes are beyond the entries in hand", () => {
    const found = named(branch.slice(0, 3), { checkpoints: [checkpointOf(log, 9), checkpointOf(branch)] });
    expect(found).toContain("forked@9");
    expect(found).toContain("truncated@4");
  });

  it("is found when the head moved sideways since the last verification", () => {
    const from = { sequence: 9, hash: (log[8] as MadeEntry).hash, frontier: frontierOf(log.slice(0, 9)) };
    expect(named([], { from }, headOf(branch))).toEqual(["forked@9"]);
  });
});

describe("the head", () => {
  it("behind its own entries has regressed", () => {
    expect(named(log, {}, headOf(log.slice(0, 15)))).toEqual(["head_regressed@16"]);
  });

  it("of a restored copy is behind a checkpoint, and the entries since are gone", () => {
    const old = log.slice(0, 15);
    expect(named(old, { checkpoints: [checkpointOf(log, 18)] }, headOf(old))).toEqual([
      "truncated@16",
      "head_regressed@16",
    ]);
  });

  it("behind the position verified before has regressed", () => {
    const from = { sequence: 9, hash: (log[8] as MadeEntry).hash, frontier: frontierOf(log.slice(0, 9)) };
    expect(named([], { from }, headOf(log.slice(0, 5)))).toEqual(["head_regressed@6"]);
  });

  it("with another hash or root is wrong", () => {
    expect(named(log, {}, { ...headOf(log), hash: Buffer.alloc(32) })).toEqual(["head_wrong@20"]);
    expect(named(log, {}, { ...headOf(log), root: Buffer.alloc(32) })).toEqual(["head_wrong@20"]);
  });
});

describe("a checkpoint", () => {
  it("that nobody known signed is a finding, not a silence", () => {
    expect(named(log, { checkpoints: [checkpointOf(log, 5)], verifierKeys: [] })).toEqual(["checkpoint_wrong@1"]);
    expect(named(log, { checkpoints: ["hello"] })).toEqual(["checkpoint_wrong@1"]);
    expect(named(log, { checkpoints: [checkpointOf(log, 5).replace("\n5\n", "\n6\n")] })).toEqual([
      "checkpoint_wrong@1",
    ]);
  });

  it("of another log is left aside and counted", () => {
    const verdict = createLogVerifier({
      tenantId: uuid(9),
      epoch: 1,
      verifierKeys: [VERIFIER_KEY],
      checkpoints: [checkpointOf(log)],
    }).end();
    expect(verdict).toMatchObject({ kind: "intact", coverage: { checkpointsAgreed: 0, checkpointsUnchecked: 1 } });
  });
});

it("a log of another tenant or epoch does not begin with this one's genesis", () => {
  for (const over of [{ tenantId: uuid(9) }, { epoch: 2 }]) expect(named(log, over)[0]).toBe("mutated@1");
});

it("a log full of damage gives a bounded number of findings and says how many more there are", () => {
  const wrong = makeLog(400).map((entry) => ({ ...entry, event: entry.event.replace("call", "cull") }));
  const verdict = verify(wrong);
  expect(damaged(verdict)).toHaveLength(FINDINGS_MAX);
  expect(verdict.kind === "damaged" && verdict.findingsOmitted).toBe(400 - FINDINGS_MAX);
});

it("a damage further from the end than the window of diagnosis is named in the same way", () => {
  const long = makeLog(DIAGNOSIS_WINDOW * 3);
  expect(named(long.filter(({ sequence }) => sequence !== 5))).toEqual(["removed_middle@5"]);
  expect(named(long.map((entry) => (entry.sequence === 5 ? { ...entry, committedAtMicros: 0n } : entry)))).toEqual([
    "mutated@5",
  ]);
});

it("options that cannot be used are refused at once", () => {
  const from = { sequence: 2, hash: Buffer.alloc(32), frontier: Buffer.alloc(64) };
  expect(() => verify([], { from })).toThrow(TypeError);
  expect(() => verify([], { tenantId: "acme" })).toThrow(TypeError);
  expect(() => verify([], { checkpoints: [checkpointOf(log)], verifierKeys: ["nonsense"] })).toThrow(TypeError);
});

function damaged(verdict: ReturnType<typeof verify>) {
  if (verdict.kind === "intact") throw new Error("the log was found intact");
  return verdict.findings;
}
