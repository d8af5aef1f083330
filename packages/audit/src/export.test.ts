import { describe, expect, it } from "vitest";
import { checkpointOrigin, verifierKey } from "./checkpoint.ts";
import { encodeExportCheckpoint, encodeExportEntry, encodeExportFooter, encodeExportHeader } from "./export.ts";
import {
  CHAIN_KEY,
  checkpointOf,
  EPOCH,
  frontierOf,
  headOf,
  KEY_NAME,
  type MadeEntry,
  makeLog,
  relink,
  SIGNING_KEY,
  TENANT,
  VERIFIER_KEY,
} from "./testing/make-log.ts";
import { type ExportTrust, verifyExport } from "./verify/export-verifier.ts";

const log = makeLog(12, { sealEvery: 4 });

function exportLines(entries: readonly MadeEntry[], checkpoints: readonly string[], after = 0): string[] {
  const origin = checkpointOrigin({ prefix: KEY_NAME, tenantId: TENANT, epoch: EPOCH });
  const before = entries.slice(0, after);
  const from = { sequence: after, hash: before.at(-1)?.hash ?? Buffer.alloc(32), frontier: frontierOf(before) };
  return [
    encodeExportHeader({
      tenantId: TENANT,
      epoch: EPOCH,
      origin,
      verifierKeys: [VERIFIER_KEY],
      ...(after === 0 ? {} : { from }),
    }),
    ...checkpoints.map(encodeExportCheckpoint),
    ...entries.slice(after).map(encodeExportEntry),
    encodeExportFooter({ head: headOf(entries) }),
  ];
}

async function* each(lines: readonly string[]): AsyncIterable<string> {
  yield* lines;
}

const verify = (lines: readonly string[], trust?: ExportTrust) => verifyExport(each(lines), trust);
const whole = exportLines(log, [checkpointOf(log, 6), checkpointOf(log)]);

async function named(
  lines: readonly string[],
  trust: ExportTrust = { verifierKeys: [VERIFIER_KEY] },
): Promise<string[]> {
  const { verdict } = await verify(lines, trust);
  return verdict.kind === "intact" ? [] : verdict.findings.map(({ damage, sequence }) => `${damage}@${sequence}`);
}

describe("verifyExport", () => {
  it("finds an intact log intact however many checkpoints its export has", async () => {
    async function* many(lines: readonly string[]): AsyncIterable<string> {
      const [header = "", checkpoint = "", ...others] = lines;
      yield header;
      for (let count = 0; count <= 1_000_000; count += 1) yield checkpoint;
      yield* others;
    }
    const { verdict } = await verifyExport(many(whole), { verifierKeys: [VERIFIER_KEY] });
    expect(verdict).toMatchObject({ kind: "intact", coverage: { checkpointsAgreed: 2 } });
  });

  it("finds a whole export intact with nothing but the export and a key", async () => {
    const trust = { verifierKeys: [VERIFIER_KEY], chainKeys: new Map([["chain-1", CHAIN_KEY]]) };
    expect(await verify(whole, trust)).toMatchObject({
      trust: "caller",
      start: "genesis",
      tenantId: TENANT,
      verdict: { kind: "intact", coverage: { entries: 12, checkpointsAgreed: 2, sealsAgreed: 3 } },
    });
  });

  it("says so when the only keys are the export's own", async () => {
    expect(await verify(whole)).toMatchObject({ trust: "self_asserted", verdict: { kind: "intact" } });
  });

  it("verifies a part, and says whether a checkpoint vouches for its start", async () => {
    const trust = { verifierKeys: [VERIFIER_KEY] };
    expect(await verify(exportLines(log, [checkpointOf(log, 6)], 6), trust)).toMatchObject({
      start: "vouched",
      verdict: { kind: "intact" },
    });
    expect(await verify(exportLines(log, [checkpointOf(log)], 6), trust)).toMatchObject({
      start: "self_asserted",
      verdict: { kind: "intact" },
    });
  });

  it("verifies an export without entries", async () => {
    expect(await verify(exportLines([], []))).toMatchObject({ verdict: { kind: "intact" } });
  });

  it("R-LOG-1 trap-15 finds a log computed anew, by a checkpoint that the caller kept", async () => {
    const rewritten = relink(makeLog(12, { salt: "!" }));
    expect(
      await named(exportLines(rewritten, []), { verifierKeys: [VERIFIER_KEY], checkpoints: [checkpointOf(log, 6)] }),
    ).toEqual(["rehashed@1"]);
  });

  it("finds any line removed", async () => {
    for (let line = 0; line < whole.length; line += 1) {
      if (line === 1 || line === 2) continue; // without a checkpoint the rest is still a log
      expect(await named(whole.toSpliced(line, 1))).not.toEqual([]);
    }
  });

  it("finds any one character changed in header, entries and footer", async () => {
    for (const [line, text] of whole.entries()) {
      for (let at = 0; at < text.length; at += 19) {
        const changed = text.slice(0, at) + (text[at] === "7" ? "8" : "7") + text.slice(at + 1);
        // The header's origin and keys inform only; the keys that count are the caller's.
        if (line === 0 && at >= text.indexOf('"origin":"') + 10) continue;
        expect(await named(whole.with(line, changed)), `line ${line}, character ${at}`).not.toEqual([]);
      }
    }
  });

  it.each([
    ["a space", (line: string) => line.replace(":", ": ")],
    ["a second event", (line: string) => `${line.slice(0, -1)},"event":"{}"}`],
    ["a member that is not of the format", (line: string) => `${line.slice(0, -1)},"note":"x"}`],
    ["another escape of a letter", (line: string) => line.replace("call", "c\\u0061ll")],
    ["a carriage return", (line: string) => `${line}\r`],
    ["no JSON", () => "hello"],
  ])("an entry with %s is malformed", async (_, change) => {
    expect(await named(whole.with(5, change(whole[5] as string)))).toContain("malformed@3");
  });

  it("what follows the footer, a missing footer and a missing header are findings", async () => {
    expect(await named([...whole, whole[4] as string])).toEqual(["malformed@13"]);
    expect(await named(whole.slice(0, -1))).toEqual(["truncated@13"]);
    expect(await named(whole.slice(1))).toEqual(["malformed@1"]);
    expect(await named([])).toEqual(["malformed@1"]);
  });

  it("an export of another log than was asked for is refused", async () => {
    expect(await named(whole, { epoch: 2 })).toEqual(["malformed@1"]);
    expect(await named(whole, { tenantId: TENANT.replace("0", "1") })).toEqual(["malformed@1"]);
  });

  it("a key in the header that is none is a finding; one from the caller is the caller's mistake", async () => {
    const header = (whole[0] as string).replace(verifierKey(KEY_NAME, SIGNING_KEY), "nonsense");
    expect(await named(whole.with(0, header), {})).toContain("malformed@1");
    await expect(verify(whole, { verifierKeys: ["nonsense"] })).rejects.toThrow(TypeError);
  });
});
