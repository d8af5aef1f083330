/**
 * Reading and verifying checkpoints: C2SP signed notes (https://c2sp.org/signed-note) that hold C2SP checkpoints
 * (https://c2sp.org/tlog-checkpoint), and files of them. Whether a checkpoint fits a log is the log verifier's.
 */
import { createPublicKey, hash, type KeyObject, verify } from "node:crypto";

/** Longest note, in UTF-16 code units. */
export const NOTE_CHARACTERS_MAX = 65_536;
/** Most signature lines in one note. */
export const NOTE_SIGNATURES_MAX = 100;

/** What a checkpoint says. `chainHash` is there when the extension line `writ-chain` is. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  readonly chainHash: Uint8Array | undefined;
}

export type CheckpointReading =
  /** Well formed; nobody has looked at the signatures. */
  | { readonly kind: "read"; readonly unverifiedCheckpoint: Checkpoint }
  | { readonly kind: "malformed"; readonly detail: string };

export type CheckpointCheck =
  | { readonly kind: "verified"; readonly checkpoint: Checkpoint; readonly keyName: string }
  | { readonly kind: "rejected"; readonly reason: "malformed" | "unknown_key" | "signature"; readonly detail: string };

export type NoteCheck =
  | { readonly kind: "verified"; readonly text: string; readonly keyName: string }
  | { readonly kind: "rejected"; readonly reason: "malformed" | "unknown_key" | "signature"; readonly detail: string };

/** Whether a checkpoint says that it is of this log. The beginning of an origin is whoever signs, and not compared. */
export function isOriginOf(origin: string, { tenantId, epoch }: LogName): boolean {
  return origin.endsWith(`/${tenantId}/${epoch}`);
}

interface LogName {
  readonly tenantId: string;
  readonly epoch: number;
}

/** Reads a checkpoint without looking at its signatures. */
export function parseCheckpoint(note: string): CheckpointReading {
  const parts = splitNote(note);
  if (parts === undefined) return { kind: "malformed", detail: "not a signed note" };
  const checkpoint = readBody(parts.text);
  if (checkpoint === undefined) return { kind: "malformed", detail: "not the text of a checkpoint" };
  return { kind: "read", unverifiedCheckpoint: checkpoint };
}

/**
 * Verifies that a key of `verifierKeys` (one `name+hash+base64` key, or several) signed the checkpoint. Signatures of
 * keys that are not given are ignored, as the format says; one of a given key that does not verify rejects the note.
 */
export function verifyCheckpoint(note: string, verifierKeys: string | readonly string[]): CheckpointCheck {
  const check = verifyNote(note, verifierKeys);
  if (check.kind === "rejected") return check;
  const checkpoint = readBody(check.text);
  if (checkpoint === undefined) {
    return { kind: "rejected", reason: "malformed", detail: "signed, but not the text of a checkpoint" };
  }
  return { kind: "verified", checkpoint, keyName: check.keyName };
}

/** Verifies a signed note of any content. Throws a TypeError when a verifier key itself cannot be read. */
export function verifyNote(note: string, verifierKeys: string | readonly string[]): NoteCheck {
  const keys = (typeof verifierKeys === "string" ? [verifierKeys] : verifierKeys).map(readVerifierKey);
  const parts = splitNote(note);
  if (parts === undefined) return { kind: "rejected", reason: "malformed", detail: "not a signed note" };
  const text = Buffer.from(parts.text, "utf8");
  let keyName: string | undefined;
  for (const { name, keyHash, signature } of parts.signatures) {
    const key = keys.find((candidate) => candidate.name === name && candidate.keyHash.equals(keyHash));
    if (key === undefined) continue;
    if (signature.length !== 64 || !verify(null, text, key.publicKey, signature)) {
      return { kind: "rejected", reason: "signature", detail: `the signature of ${name} does not verify` };
    }
    keyName ??= name;
  }
  if (keyName === undefined) {
    return { kind: "rejected", reason: "unknown_key", detail: "none of the given keys signed it" };
  }
  return { kind: "verified", text: parts.text, keyName };
}

/** What a file of checkpoints holds. */
export interface CheckpointFile {
  /** Each ended by the newline of its last signature line, as it was signed. */
  readonly notes: readonly string[];
  /** Blocks that are no note, for example from a write that was cut short in the middle of the file. */
  readonly damaged: readonly string[];
  /** What follows the last complete note: "" unless the last write was cut short. */
  readonly torn: string;
}

/**
 * Splits a file of checkpoints: each note is followed by one empty line. A note is two blocks, text and signatures,
 * with an empty line between; no line of either is empty, and every line of the second begins with "— ".
 */
export function parseCheckpointFile(text: string): CheckpointFile {
  const notes: string[] = [];
  const damaged: string[] = [];
  const blocks = text.split("\n\n");
  const torn = blocks.pop() ?? "";
  let body: string | undefined;
  for (const block of blocks) {
    const signed = block.split("\n").every((line) => line.startsWith(SIGNATURE_START));
    if (signed && body !== undefined) {
      notes.push(`${body}\n\n${block}\n`);
      body = undefined;
    } else if (signed) {
      damaged.push(block);
    } else {
      if (body !== undefined) damaged.push(body);
      body = block;
    }
  }
  return { notes, damaged, torn: body === undefined ? torn : `${body}\n\n${torn}` };
}

const SIGNATURE_START = "\u2014 ";
const CONTROL = /[^\P{Cc}\n]/u;
const SIGNATURE_LINE = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u;

interface NoteParts {
  readonly text: string;
  readonly signatures: readonly { readonly name: string; readonly keyHash: Buffer; readonly signature: Buffer }[];
}

function splitNote(note: string): NoteParts | undefined {
  if (note.length > NOTE_CHARACTERS_MAX || !note.isWellFormed() || CONTROL.test(note)) return undefined;
  // The signatures follow the last empty line, so a text may hold empty lines of its own.
  const end = note.lastIndexOf("\n\n");
  if (end < 1 || !note.endsWith("\n")) return undefined;
  const lines = note.slice(end + 2, -1).split("\n");
  if (lines.length > NOTE_SIGNATURES_MAX) return undefined;
  const signatures: NoteParts["signatures"][number][] = [];
  for (const line of lines) {
    const [, name, encoded] = SIGNATURE_LINE.exec(line) ?? [];
    const bytes = encoded === undefined ? undefined : readBase64(encoded);
    if (name === undefined || bytes === undefined || bytes.length < 5) return undefined;
    signatures.push({ name, keyHash: bytes.subarray(0, 4), signature: bytes.subarray(4) });
  }
  return { text: note.slice(0, end + 1), signatures };
}

const CHAIN_LINE = "writ-chain ";

function readBody(text: string): Checkpoint | undefined {
  const lines = text.split("\n");
  const [origin = "", sizeText = "", rootText = "", ...extensions] = lines.slice(0, -1);
  if (lines.at(-1) !== "" || !/^[^\s+]+$/u.test(origin) || !/^(0|[1-9]\d{0,15})$/.test(sizeText)) return undefined;
  if (extensions.includes("")) return undefined;
  const size = Number(sizeText);
  const root = readBase64(rootText);
  if (!Number.isSafeInteger(size) || root?.length !== 32) return undefined;
  const chainLines = extensions.filter((line) => line.startsWith(CHAIN_LINE));
  const [chainLine] = chainLines;
  if (chainLine === undefined) return { origin, size, root, chainHash: undefined };
  const chainHash = readBase64(chainLine.slice(CHAIN_LINE.length));
  if (chainLines.length > 1 || chainHash?.length !== 32) return undefined;
  return { origin, size, root, chainHash };
}

interface VerifierKey {
  readonly name: string;
  readonly keyHash: Buffer;
  readonly publicKey: KeyObject;
}

function readVerifierKey(text: string): VerifierKey {
  const [, name, hashText, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/u.exec(text) ?? [];
  const bytes = encoded === undefined ? undefined : readBase64(encoded);
  if (name === undefined || hashText === undefined || bytes?.length !== 33 || bytes[0] !== 1) {
    throw new TypeError("not an Ed25519 verifier key of the form name+hash+base64");
  }
  const keyHash = hash("sha256", Buffer.concat([Buffer.from(`${name}\n`, "utf8"), bytes]), "buffer").subarray(0, 4);
  if (keyHash.toString("hex") !== hashText) throw new TypeError("a verifier key does not have the hash that it names");
  const x = bytes.subarray(1).toString("base64url");
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return { name, keyHash, publicKey };
}

/** Standard base64 in its one canonical spelling. */
function readBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}
