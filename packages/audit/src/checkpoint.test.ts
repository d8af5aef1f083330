import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { checkpointFileEntry, checkpointOrigin, signCheckpoint, verifierKey } from "./checkpoint.ts";
import { checkpointOf, EPOCH, KEY_NAME, makeLog, SIGNING_KEY, TENANT, VERIFIER_KEY } from "./testing/make-log.ts";
import { parseCheckpoint, parseCheckpointFile, verifyCheckpoint, verifyNote } from "./verify/checkpoint.ts";

const note = checkpointOf(makeLog(5));

describe("verifyNote", () => {
  // The example in the documentation of Go's golang.org/x/mod/sumdb/note.
  const goKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
  const goNote =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n" +
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

  it("verifies a note that another implementation signed", () => {
    expect(verifyNote(goNote, goKey)).toMatchObject({ kind: "verified", keyName: "PeterNeumann" });
  });

  it("refuses it with one letter changed", () => {
    expect(verifyNote(goNote.replace("answer", "Answer"), goKey)).toMatchObject({ reason: "signature" });
  });

  it("throws for a verifier key whose hash is another key's", () => {
    expect(() => verifyNote(goNote, goKey.replace("c74f20a3", "c74f20a4"))).toThrow(TypeError);
  });
});

describe("signCheckpoint and verifyCheckpoint", () => {
  it("agree on origin, size, root and the hash of the chain", () => {
    const log = makeLog(5);
    const check = verifyCheckpoint(note, VERIFIER_KEY);
    expect(check).toMatchObject({
      kind: "verified",
      keyName: KEY_NAME,
      checkpoint: { origin: `${KEY_NAME}/${TENANT}/${EPOCH}`, size: 5 },
    });
    expect(
      check.kind === "verified" &&
        Buffer.compare(check.checkpoint.chainHash ?? Buffer.of(), log[4]?.hash ?? Buffer.of()),
    ).toBe(0);
  });

  it("a change of any one character is refused", () => {
    for (let at = 0; at < note.length; at += 1) {
      const changed = note.slice(0, at) + (note[at] === "A" ? "B" : "A") + note.slice(at + 1);
      expect(verifyCheckpoint(changed, VERIFIER_KEY).kind).toBe("rejected");
    }
  });

  it("a checkpoint of a key that was not given is refused, under the same name too", () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    expect(verifyCheckpoint(note, verifierKey(KEY_NAME, privateKey))).toMatchObject({ reason: "unknown_key" });
    expect(verifyCheckpoint(note, [])).toMatchObject({ reason: "unknown_key" });
  });

  it("a signature of somebody unknown beside a known one is ignored", () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const read = parseCheckpoint(note);
    if (read.kind !== "read" || read.unverifiedCheckpoint.chainHash === undefined) throw new Error("unreadable");
    const body = { ...read.unverifiedCheckpoint, chainHash: read.unverifiedCheckpoint.chainHash };
    const other = signCheckpoint({ name: "witness.example", privateKey }, body);
    const both = note + other.slice(other.indexOf("\n\n") + 2);
    expect(verifyCheckpoint(both, VERIFIER_KEY)).toMatchObject({ kind: "verified", keyName: KEY_NAME });
  });

  it.each([
    ["text after the signatures", `${note}more\n`],
    ["no newline at the end", note.slice(0, -1)],
    ["a carriage return", note.replace("\n", "\r\n")],
    ["a size with a leading zero", note.replace("\n5\n", "\n05\n")],
    ["bare text", "hello"],
    ["nothing", ""],
  ])("%s is malformed", (_, text) => {
    expect(verifyCheckpoint(text, VERIFIER_KEY).kind).toBe("rejected");
    expect(parseCheckpoint(text).kind).toBe("malformed");
  });

  it("an origin with a space or a line of its own is refused at the source", () => {
    expect(() => checkpointOrigin({ prefix: "a b", tenantId: TENANT, epoch: 1 })).toThrow(TypeError);
    expect(() => checkpointOrigin({ prefix: "a\nb", tenantId: TENANT, epoch: 1 })).toThrow(TypeError);
    expect(() =>
      signCheckpoint(
        { name: "a+b", privateKey: SIGNING_KEY },
        { origin: "o", size: 0, root: Buffer.alloc(32), chainHash: Buffer.alloc(32) },
      ),
    ).toThrow(TypeError);
  });
});

describe("parseCheckpointFile", () => {
  const other = checkpointOf(makeLog(6));
  const file = checkpointFileEntry(note) + checkpointFileEntry(other);

  it("gives back the notes as they were signed", () => {
    expect(parseCheckpointFile(file)).toEqual({ notes: [note, other], damaged: [], torn: "" });
    expect(parseCheckpointFile("")).toEqual({ notes: [], damaged: [], torn: "" });
  });

  it("sets aside what a write left that was cut short anywhere, and keeps the notes before it", () => {
    const first = checkpointFileEntry(note);
    for (let cut = first.length + 1; cut < file.length; cut += 1) {
      expect(parseCheckpointFile(file.slice(0, cut))).toEqual({
        notes: [note],
        damaged: [],
        torn: file.slice(first.length, cut),
      });
    }
  });

  it("finds the next note behind a torn one", () => {
    const torn = checkpointFileEntry(note).slice(0, 30);
    const { notes, damaged } = parseCheckpointFile(
      `${checkpointFileEntry(note)}${torn}\n\n${checkpointFileEntry(other)}`,
    );
    expect(notes).toEqual([note, other]);
    expect(damaged).toHaveLength(1);
  });
});
