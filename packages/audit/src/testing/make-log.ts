/** Builds small logs with the writer's functions, for tests. The keys are published and protect nothing. */
import { createPrivateKey } from "node:crypto";
import type { AuditEvent } from "@writ/contract";
import { chainLink, genesis } from "../chain.ts";
import { checkpointOrigin, signCheckpoint, verifierKey } from "../checkpoint.ts";
import { encodeEvent } from "../event-bytes.ts";
import { makeSeal } from "../seal.ts";
import { appendLeaves, EMPTY_FRONTIER, rootOf } from "../tree.ts";

export const TENANT = "01890a5d-ac96-774b-bcce-b302099a8057";
export const EPOCH = 1;
export const CHAIN_KEY = Buffer.alloc(32, 0x77);
/** RFC 8032 section 7.1, test 1. */
export const SIGNING_KEY = createPrivateKey({
  key: {
    kty: "OKP",
    crv: "Ed25519",
    d: Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex").toString("base64url"),
    x: Buffer.from("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "hex").toString("base64url"),
  },
  format: "jwk",
});
export const KEY_NAME = "writ.local/test";
export const VERIFIER_KEY = verifierKey(KEY_NAME, SIGNING_KEY);

/** An entry that tests may damage. */
export interface MadeEntry {
  sequence: number;
  committedAtMicros: bigint;
  event: string;
  leaf: Uint8Array;
  hash: Uint8Array;
}

export function uuid(number: number): string {
  return `01890a5d-ac96-774b-bcce-${number.toString(16).padStart(12, "0")}`;
}

/** A log of `size` entries; with `sealEvery`, each entry of that multiple seals the one before. */
export function makeLog(size: number, { sealEvery = 0, salt = "" } = {}): MadeEntry[] {
  const entries: MadeEntry[] = [];
  for (let sequence = 1; sequence <= size; sequence += 1) {
    const previous = entries.at(-1);
    const envelope = { id: uuid(sequence), timeMs: 1_700_000_000_000 + sequence, tenantId: TENANT };
    const sealed = previous !== undefined && sealEvery > 0 && sequence % sealEvery === 0;
    const event: AuditEvent = sealed
      ? { event: "log.sealed", ...envelope, fields: sealFields(previous) }
      : {
          event: "call.aborted",
          ...envelope,
          fields: { callId: uuid(sequence), status: `dräin "${sequence}"${salt}` },
        };
    entries.push(place(encodeEvent(event), sequence, 1_700_000_000_000_000n + BigInt(sequence) * 7n, previous));
  }
  return entries;
}

function sealFields({ sequence, hash }: MadeEntry) {
  const seal = makeSeal(CHAIN_KEY, { tenantId: TENANT, epoch: EPOCH, sequence, hash });
  return { epoch: EPOCH, sequence, hash: Buffer.from(hash).toString("hex"), keyId: "chain-1", seal };
}

function place(
  { text, leaf }: { text: string; leaf: Uint8Array },
  sequence: number,
  committedAtMicros: bigint,
  previous: MadeEntry | undefined,
): MadeEntry {
  const hash = chainLink(previous?.hash ?? genesis(TENANT, EPOCH), sequence, committedAtMicros, leaf);
  return { sequence, committedAtMicros, event: text, leaf, hash };
}

/** What somebody with the database and without the keys can do: numbers and links of all entries made anew. */
export function relink(entries: readonly MadeEntry[]): MadeEntry[] {
  const made: MadeEntry[] = [];
  for (const entry of entries) {
    made.push(place({ text: entry.event, leaf: entry.leaf }, made.length + 1, entry.committedAtMicros, made.at(-1)));
  }
  return made;
}

export function frontierOf(entries: readonly MadeEntry[]): Uint8Array {
  return entries.reduce<Uint8Array>((frontier, { leaf }, size) => appendLeaves(frontier, size, leaf), EMPTY_FRONTIER);
}

export function headOf(entries: readonly MadeEntry[]) {
  const last = entries.at(-1);
  return {
    sequence: entries.length,
    hash: last?.hash ?? genesis(TENANT, EPOCH),
    root: rootOf(frontierOf(entries), entries.length),
  };
}

/** A checkpoint of the first `size` entries. */
export function checkpointOf(entries: readonly MadeEntry[], size = entries.length): string {
  const { hash, root } = headOf(entries.slice(0, size));
  const origin = checkpointOrigin({ prefix: KEY_NAME, tenantId: TENANT, epoch: EPOCH });
  return signCheckpoint({ name: KEY_NAME, privateKey: SIGNING_KEY }, { origin, size, root, chainHash: hash });
}
