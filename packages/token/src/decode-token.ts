/**
 * The outer form of a token: `writ_`, then base64url of a macaroon in the libmacaroons V2 binary format.
 *
 *   0x02 │ 0x02 len identifier │ 0x00 │ { 0x02 len caveat │ 0x00 }* │ 0x00 │ 0x06 0x20 signature
 *
 * One spelling: no location (field 1), no third-party caveat (field 4), minimal varints, nothing after the
 * signature, canonical base64url. The one thing that is forgiven is a location field of length zero in the header,
 * which pymacaroons cannot leave out (it is how that library writes "no location"); decoding drops it, so that what
 * is kept, compared and digested has one spelling all the same.
 *
 * This file reads and writes that form; it checks no signature and reads no caveat.
 */
import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import { readIdentifier } from "./token-identifier.ts";

export const TOKEN_PREFIX = "writ_";
/** Greatest length of a token's text, prefix included. */
export const TOKEN_LENGTH_MAX = 8192;
export const TOKEN_CAVEATS_MAX = 64;

const VERSION = 2;
const FIELD_END = 0;
const FIELD_LOCATION = 1;
const FIELD_IDENTIFIER = 2;
const FIELD_VERIFICATION = 4;
const FIELD_SIGNATURE = 6;
const SIGNATURE_BYTES = 32;

/** The parts of a macaroon, as bytes. */
export interface TokenParts {
  readonly identifier: Uint8Array;
  readonly caveats: readonly Uint8Array[];
  readonly signature: Uint8Array;
}

/** A token that has the form of one. Nobody has checked who made it: every claim is the presenter's own. */
export interface DecodedToken {
  readonly unverifiedKeyId: string;
  readonly unverifiedTenantId: string;
  readonly unverifiedId: string;
  readonly unverifiedAgentId: string;
  readonly unverifiedPrincipalId: string;
  readonly unverifiedIssuedAtMs: number;
  /** Holds the credential itself: not to be logged. */
  readonly unverifiedParts: TokenParts;
}

export type TokenDecoding =
  | { readonly kind: "decoded"; readonly token: DecodedToken }
  /** `detail` quotes nothing of the input. */
  | { readonly kind: "malformed"; readonly detail: string };

/** Reads the form of a token. Total: any string gives a token or `malformed`, and never an exception. */
export function decodeToken(text: string): TokenDecoding {
  if (typeof text !== "string" || !text.startsWith(TOKEN_PREFIX)) return malformed("it does not begin with writ_");
  if (text.length > TOKEN_LENGTH_MAX) return malformed(`it is longer than ${TOKEN_LENGTH_MAX} characters`);
  const bytes = decodeBase64url(text, TOKEN_PREFIX.length);
  if (bytes === undefined) return malformed("it is not base64url without padding in its one spelling");
  const parts = readParts(bytes);
  if (typeof parts === "string") return malformed(parts);
  const identifier = readIdentifier(parts.identifier);
  if (identifier === undefined) return malformed("its identifier is not that of a capability token");
  return {
    kind: "decoded",
    token: {
      unverifiedKeyId: identifier.keyId,
      unverifiedTenantId: identifier.tenantId,
      unverifiedId: identifier.id,
      unverifiedAgentId: identifier.agentId,
      unverifiedPrincipalId: identifier.principalId,
      unverifiedIssuedAtMs: identifier.issuedAtSeconds * 1000,
      unverifiedParts: parts,
    },
  };
}

/** Writes the one spelling of these parts. */
export function encodeToken(parts: TokenParts): string {
  const size = [parts.identifier, ...parts.caveats].reduce((sum, field) => sum + field.length + 4, 0);
  const bytes = new Uint8Array(size + SIGNATURE_BYTES + 8);
  let at = 0;
  const writeField = (field: number, data: Uint8Array): void => {
    bytes[at++] = field;
    let length = data.length;
    for (; length >= 0x80; length >>>= 7) bytes[at++] = (length & 0x7f) | 0x80;
    bytes[at++] = length;
    bytes.set(data, at);
    at += data.length;
  };
  bytes[at++] = VERSION;
  writeField(FIELD_IDENTIFIER, parts.identifier);
  bytes[at++] = FIELD_END;
  for (const caveat of parts.caveats) {
    writeField(FIELD_IDENTIFIER, caveat);
    bytes[at++] = FIELD_END;
  }
  bytes[at++] = FIELD_END;
  writeField(FIELD_SIGNATURE, parts.signature);
  return TOKEN_PREFIX + encodeBase64url(bytes.subarray(0, at));
}

function malformed(detail: string): TokenDecoding {
  return { kind: "malformed", detail };
}

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

/** The parts, or in words why there are none. */
function readParts(bytes: Uint8Array): TokenParts | string {
  const cursor: Cursor = { bytes, at: 1 };
  if (bytes[0] !== VERSION) return "it is not a version 2 macaroon";
  if (bytes[cursor.at] === FIELD_LOCATION) {
    if (bytes[cursor.at + 1] !== 0) return "it has a location";
    cursor.at += 2;
  }
  const identifier = readField(cursor, FIELD_IDENTIFIER);
  if (identifier === undefined) return "its identifier cannot be read";
  if (!readEnd(cursor)) return "its header does not end";
  const caveats: Uint8Array[] = [];
  while (!readEnd(cursor)) {
    if (caveats.length === TOKEN_CAVEATS_MAX) return `it has more than ${TOKEN_CAVEATS_MAX} caveats`;
    if (bytes[cursor.at] === FIELD_LOCATION) return "a caveat has a location";
    const caveat = readField(cursor, FIELD_IDENTIFIER);
    if (caveat === undefined) return "a caveat cannot be read";
    if (bytes[cursor.at] === FIELD_VERIFICATION) return "it has a third-party caveat";
    if (!readEnd(cursor)) return "a caveat does not end";
    caveats.push(caveat);
  }
  const signature = readField(cursor, FIELD_SIGNATURE);
  if (signature === undefined || signature.length !== SIGNATURE_BYTES) return "its signature cannot be read";
  if (cursor.at !== bytes.length) return "something follows its signature";
  return { identifier, caveats, signature };
}

function readEnd(cursor: Cursor): boolean {
  if (cursor.bytes[cursor.at] !== FIELD_END) return false;
  cursor.at += 1;
  return true;
}

/** The content of the field at the cursor, or undefined when it is another field, is cut off or has a long varint. */
function readField(cursor: Cursor, field: number): Uint8Array | undefined {
  const { bytes } = cursor;
  if (bytes[cursor.at] !== field) return undefined;
  // No token holds a field of 2^14 bytes, so a minimal varint has one or two bytes.
  const first = bytes[cursor.at + 1];
  if (first === undefined) return undefined;
  let start = cursor.at + 2;
  let length = first;
  if (first >= 0x80) {
    const second = bytes[cursor.at + 2];
    if (second === undefined || second === 0 || second >= 0x80) return undefined;
    length = (first & 0x7f) | (second << 7);
    start += 1;
  }
  if (start + length > bytes.length) return undefined;
  cursor.at = start + length;
  return bytes.slice(start, cursor.at);
}
