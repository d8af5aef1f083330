/** Bytes as texts: base64 in its two alphabets, and UTF-8. */

export interface Base64Alphabet {
  /** The codes of the 64 characters, by what they stand for. */
  readonly codes: Uint8Array;
  /** What a character stands for, by its code; 255 for none. */
  readonly values: Uint8Array;
}

function alphabetOf(last: string): Base64Alphabet {
  const codes = new TextEncoder().encode(`ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789${last}`);
  const values = new Uint8Array(128).fill(255);
  for (const [value, code] of codes.entries()) values[code] = value;
  return { codes, values };
}

export const STANDARD = alphabetOf("+/");
export const URL_SAFE = alphabetOf("-_");

const PADDING = 61;

/** What is no UTF-8 becomes U+FFFD, as when OPA answers in JSON. */
export function textOfBytes(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

export function encodeBase64(bytes: Uint8Array, { codes }: Base64Alphabet, padded: boolean): string {
  const missing = (3 - (bytes.length % 3)) % 3;
  const text = new Uint8Array(((bytes.length + missing) / 3) * 4).fill(PADDING);
  let at = 0;
  for (let index = 0; index < bytes.length; index += 3) {
    const group = ((bytes[index] ?? 0) << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0);
    for (let shift = 18; shift >= 0; shift -= 6, at += 1) text[at] = codes[(group >> shift) & 63] ?? 0;
  }
  if (padded) text.fill(PADDING, text.length - missing);
  return textOfBytes(padded ? text : text.subarray(0, text.length - missing));
}

/** The bytes of a padded text; or the place of what is wrong in it. Ends of lines do not count. */
export function decodeBase64(text: string, { values }: Base64Alphabet): Uint8Array | number {
  const bytes = new Uint8Array(Math.ceil(text.length / 4) * 3);
  let size = 0;
  let group = 0;
  let count = 0;
  let at = 0;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 10 || code === 13) continue;
    if (code === PADDING) break;
    const value = code < 128 ? (values[code] ?? 255) : 255;
    if (value === 255) return at;
    group = (group << 6) | value;
    count += 1;
    if (count < 4) continue;
    bytes[size] = group >> 16;
    bytes[size + 1] = group >> 8;
    bytes[size + 2] = group;
    size += 3;
    group = 0;
    count = 0;
  }
  if (at === text.length) return count === 0 ? bytes.subarray(0, size) : at - count;
  // Padding stands for the one or two letters that a group lacks, and nothing comes after it.
  if (count < 2) return at;
  let missing = 4 - count;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 10 || code === 13) continue;
    if (code !== PADDING || missing === 0) return at;
    missing -= 1;
  }
  if (missing > 0) return at;
  bytes[size] = count === 2 ? group >> 4 : group >> 10;
  if (count === 3) bytes[size + 1] = group >> 2;
  return bytes.subarray(0, size + count - 1);
}
