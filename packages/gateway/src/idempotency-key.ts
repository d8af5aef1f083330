/**
 * Idempotency keys: how agents write them, and what is kept of one. Whether a key is taken is found in the commit. Pure.
 */
import { sha256 } from "./sha256.ts";

/** Characters of a key at most. */
export const IDEMPOTENCY_KEY_LENGTH_MAX = 255;
/** Under which name a request of MCP has it in its `_meta`. */
export const IDEMPOTENCY_KEY = "writ/idempotency-key";

export type KeyReading =
  | { readonly kind: "none" }
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "fault"; readonly detail: string };

const NONE: KeyReading = { kind: "none" };
/** A String of Structured Fields (RFC 9651 section 3.3.3): quoted, and nothing behind it. */
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
/** What clients send that do not quote: a key of these alone means the same as in quotes. */
const BARE = /^[A-Za-z0-9._~:/+=@-]+$/;
const PRINTABLE = /^[\x20-\x7e]+$/;
const MALFORMED = `an idempotency key has 1 to ${IDEMPOTENCY_KEY_LENGTH_MAX} printable characters of ASCII`;

/** The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), of which there is one at most. */
export function readKeyHeader(value: string | readonly string[] | undefined): KeyReading {
  if (value === undefined) return NONE;
  if (typeof value !== "string") return { kind: "fault", detail: "there is more than one Idempotency-Key" };
  const quoted = QUOTED.exec(value)?.[1];
  if (quoted !== undefined) return readKey(quoted.replaceAll(/\\(["\\])/g, "$1"));
  if (!BARE.test(value)) return { kind: "fault", detail: "Idempotency-Key is not one string in double quotes" };
  return readKey(value);
}

/** A key as its characters, such as a member of `_meta`. */
export function readKey(value: unknown): KeyReading {
  if (value === undefined) return NONE;
  if (typeof value !== "string" || value.length > IDEMPOTENCY_KEY_LENGTH_MAX || !PRINTABLE.test(value)) {
    return { kind: "fault", detail: MALFORMED };
  }
  return { kind: "key", key: value };
}

const LABEL = Buffer.from("writ-idempotency-key\0");

/** What is kept of a key: 32 bytes that name it among the calls below one recorded node. */
export function idempotencyDigest(recordedNode: string, key: string): Uint8Array {
  const node = Buffer.from(recordedNode);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(node.length);
  return sha256(Buffer.concat([LABEL, length, node, Buffer.from(key)]));
}
