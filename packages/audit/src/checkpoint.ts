/**
 * Signing checkpoints: C2SP tlog-checkpoint bodies in C2SP signed notes, with Ed25519. Reading and verifying them is
 * in `verify/checkpoint.ts`; when to sign is the signer's (`signer.ts` says what it must refuse).
 */
import { createPublicKey, hash, type KeyObject, sign } from "node:crypto";
import { hashBytes } from "./fixed-width.ts";

/** What a checkpoint says: the log's origin, how many entries it has, their root, and the hash of the last link. */
export interface CheckpointBody {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  /** The chain's hash at sequence `size`: the root does not cover commit times, this does. */
  readonly chainHash: Uint8Array;
}

export interface CheckpointKey {
  /** The key's name in signature lines: no spaces, no plus. By custom the origin's prefix and the instance. */
  readonly name: string;
  /** Ed25519. */
  readonly privateKey: KeyObject;
}

export interface LogName {
  /** `writ.local/<instance>` unless the operator has a name of its own. */
  readonly prefix: string;
  readonly tenantId: string;
  readonly epoch: number;
}

/** The origin line of a log: `<prefix>/<tenant>/<epoch>`. */
export function checkpointOrigin({ prefix, tenantId, epoch }: LogName): string {
  const origin = `${prefix}/${tenantId}/${epoch}`;
  if (!NAME.test(origin)) throw new TypeError("an origin is printable ASCII without spaces and plus signs");
  return origin;
}

/** The text that is signed: origin, size, root, and the extension line `writ-chain <base64>`, each ended by a newline. */
export function checkpointText({ origin, size, root, chainHash }: CheckpointBody): string {
  if (!NAME.test(origin)) throw new TypeError("an origin is printable ASCII without spaces and plus signs");
  if (!Number.isSafeInteger(size) || size < 0) throw new TypeError("a checkpoint's size is a safe integer");
  return `${origin}\n${size}\n${base64(hashBytes(root))}\nwrit-chain ${base64(hashBytes(chainHash))}\n`;
}

/** A signed note over `body`, ended by a newline. Ed25519 is deterministic: the same body gives the same note. */
export function signCheckpoint(key: CheckpointKey, body: CheckpointBody): string {
  const text = checkpointText(body);
  const signature = sign(null, Buffer.from(text, "utf8"), key.privateKey);
  const line = Buffer.concat([keyHash(key.name, rawPublicKey(key.privateKey)), signature]);
  return `${text}\n— ${key.name} ${base64(line)}\n`;
}

/** The key's public half as C2SP writes it: `<name>+<4 byte key hash, hex>+<base64(0x01 ‖ public key)>`. */
export function verifierKey(name: string, key: KeyObject): string {
  const raw = rawPublicKey(key);
  return `${name}+${Buffer.from(keyHash(name, raw)).toString("hex")}+${base64(Buffer.concat([ED25519, raw]))}`;
}

/** A file of checkpoints is a row of these: each note followed by one empty line. */
export function checkpointFileEntry(note: string): string {
  return `${note}\n`;
}

const ED25519 = Buffer.of(1);
const NAME = /^[!-*,-~]+$/;

function keyHash(name: string, publicKey: Uint8Array): Uint8Array {
  if (!NAME.test(name)) throw new TypeError("a key's name is printable ASCII without spaces and plus signs");
  return hash("sha256", Buffer.concat([Buffer.from(`${name}\n`, "utf8"), ED25519, publicKey]), "buffer").subarray(0, 4);
}

function rawPublicKey(key: KeyObject): Uint8Array {
  if (key.asymmetricKeyType !== "ed25519") throw new TypeError("checkpoints are signed with Ed25519");
  const { x } = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" });
  if (x === undefined) throw new TypeError("the key has no public half");
  return Buffer.from(x, "base64url");
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
