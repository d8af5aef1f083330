/**
 * Bytes and their texts: UTF-8, hexadecimal, and base64 with the faults that Go reports. It takes no part in what the
 * texts mean.
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function utf8BytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The text of UTF-8 bytes; what is none becomes U+FFFD. */
export function textOfUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** The text of UTF-8 bytes; undefined when they are none. */
export function strictTextOfUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined; // a TypeError for bytes that are no UTF-8: a fault
  }
}

export function hexOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (byte < 16 ? "0" : "") + byte.toString(16);
  return text;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index += 1) difference |= (a[index] ?? 0) ^ (b[index] ?? 0);
  return difference === 0;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

export function base64Of(bytes: Uint8Array): string {
  return encode(bytes, STANDARD, "padded");
}

/** Base64 for URLs, without padding. */
export function base64UrlOf(bytes: Uint8Array): string {
  return encode(bytes, URL_SAFE, "bare");
}

/** Base64 for URLs, with padding. */
export function paddedBase64UrlOf(bytes: Uint8Array): string {
  return encode(bytes, URL_SAFE, "padded");
}

const PADDING = 61;

/** By codes and not by characters, which for a text of megabytes takes a twentieth of the time. */
function encode(bytes: Uint8Array, alphabet: string, form: "padded" | "bare"): string {
  const codes = encoder.encode(alphabet);
  const missing = (3 - (bytes.length % 3)) % 3;
  const text = new Uint8Array(((bytes.length + missing) / 3) * 4);
  let at = 0;
  for (let index = 0; index < bytes.length; index += 3) {
    const group = ((bytes[index] ?? 0) << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0);
    for (let shift = 18; shift >= 0; shift -= 6, at += 1) text[at] = codes[(group >> shift) & 63] ?? 0;
  }
  if (form === "padded") text.fill(PADDING, text.length - missing);
  return decoder.decode(form === "padded" ? text : text.subarray(0, text.length - missing));
}

export type Base64Read =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** Go's words for it. */
  | { readonly kind: "fault"; readonly message: string };

/** Reads base64, whose padding is required. Line ends are overlooked. */
export function readBase64(text: string): Base64Read {
  return decode(text, STANDARD_VALUES);
}

/** Reads base64 for URLs, with or without padding (RFC 7515, appendix C). */
export function readBase64Url(text: string): Base64Read {
  const missing = text.endsWith("=") ? 0 : (4 - (text.length % 4)) % 4;
  if (missing === 3) return { kind: "fault", message: `illegal base64url string: ${text}` };
  return decode(text + "=".repeat(missing), URL_VALUES);
}

const STANDARD_VALUES = valuesOf(STANDARD);
const URL_VALUES = valuesOf(URL_SAFE);

function valuesOf(alphabet: string): Int8Array {
  const values = new Int8Array(128).fill(-1);
  for (let index = 0; index < alphabet.length; index += 1) values[alphabet.charCodeAt(index)] = index;
  return values;
}

/** The place of a fault is where Go's decoder stands when it finds it. */
function decode(text: string, values: Int8Array): Base64Read {
  const bytes = new Uint8Array(Math.ceil(text.length / 4) * 3);
  let length = 0;
  let group = 0;
  let digits = 0;
  let at = 0;
  for (; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (isLineEnd(unit)) continue;
    if (unit === PADDING) break;
    const value = unit < 128 ? (values[unit] ?? -1) : -1;
    if (value < 0) return faultAt(at);
    group = (group << 6) | value;
    digits += 1;
    if (digits < 4) continue;
    bytes[length] = group >> 16;
    bytes[length + 1] = group >> 8;
    bytes[length + 2] = group;
    length += 3;
    group = 0;
    digits = 0;
  }
  if (at === text.length) {
    return digits === 0 ? { kind: "bytes", bytes: bytes.subarray(0, length) } : faultAt(at - digits);
  }
  // Padding stands for the one or two letters that a group lacks, and nothing comes after it.
  if (digits < 2) return faultAt(at);
  let next = afterLineEnds(text, at + 1);
  if (digits === 2) {
    if (next === text.length) return faultAt(next);
    if (text.charCodeAt(next) !== PADDING) return faultAt(next - 1);
    next = afterLineEnds(text, next + 1);
  }
  if (next < text.length) return faultAt(next);
  bytes[length] = digits === 2 ? group >> 4 : group >> 10;
  bytes[length + 1] = group >> 2;
  return { kind: "bytes", bytes: bytes.subarray(0, length + digits - 1) };
}

function isLineEnd(unit: number): boolean {
  return unit === 10 || unit === 13;
}

function afterLineEnds(text: string, from: number): number {
  let at = from;
  while (isLineEnd(text.charCodeAt(at))) at += 1;
  return at;
}

function faultAt(offset: number): Base64Read {
  return { kind: "fault", message: `illegal base64 data at input byte ${offset}` };
}
