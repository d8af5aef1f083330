/** Takes JSON Web Tokens in compact form apart (RFC 7519, RFC 7515), down to nested ones. Nothing is verified here. */
import { readBase64Url, strictTextOfUtf8, textOfUtf8, utf8BytesOf } from "../bytes.ts";
import { parseJson } from "../json.ts";
import { isObject, memberOf, type PlainObject } from "../value.ts";

/** A text that is no token. */
export class TokenFault extends Error {}

export interface Token {
  readonly header: PlainObject;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  /** What the signature is over: header and payload as they stand in the token. */
  readonly signed: Uint8Array;
}

/** Tokens within one another; more are refused. */
export const NESTED_MAX = 16;

/** Reads one token, its header and the bytes of the rest; throws `TokenFault`. */
export function readToken(text: string): Token {
  const sections = text.split(".");
  const [header = "", payload = "", signature = ""] = sections;
  if (sections.length !== 3) {
    throw new TokenFault(`encoded JWT must have 3 sections, found ${sections.length}`);
  }
  return {
    header: readJsonObject(decode("header", header), "header"),
    payload: decode("payload", payload),
    signature: decode("signature", signature),
    signed: utf8BytesOf(`${header}.${payload}`),
  };
}

function decode(section: string, text: string): Uint8Array {
  const read = readBase64Url(text);
  if (read.kind === "fault") throw new TokenFault(`JWT ${section} had invalid encoding: ${read.message}`);
  return read.bytes;
}

/** The token that a token carries instead of claims; undefined when it carries claims. */
export function nestedTokenOf(token: Token): string | undefined {
  const type = memberOf(token.header, "cty");
  if (typeof type !== "string" || type.toUpperCase() !== "JWT") return undefined;
  const text = textOfUtf8(token.payload);
  if (!text.startsWith('"')) return text;
  const read = parseJson(text);
  return read.kind === "value" && typeof read.value === "string" ? read.value : text;
}

export function readClaims(token: Token): PlainObject {
  return readJsonObject(token.payload, "payload");
}

function readJsonObject(bytes: Uint8Array, section: string): PlainObject {
  const text = strictTextOfUtf8(bytes);
  const read = text === undefined ? undefined : parseJson(text);
  if (read?.kind !== "value") throw new TokenFault(`JWT ${section} is not valid JSON`);
  if (!isObject(read.value)) throw new TokenFault(`JWT ${section} is not a JSON object`);
  return read.value as PlainObject; // of JSON, all keys are strings
}
