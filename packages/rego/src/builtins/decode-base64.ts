/** Base64 as `base64.decode` and `base64url.decode` read it, in its two alphabets: padded, with the place of a fault. */

/** What a character stands for, by its code; 255 for none. */
type Base64Values = Uint8Array;

function valuesOf(last: string): Base64Values {
  const codes = new TextEncoder().encode(`ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789${last}`);
  const values = new Uint8Array(128).fill(255);
  for (const [value, code] of codes.entries()) values[code] = value;
  return values;
}

export const STANDARD = valuesOf("+/");
export const URL_SAFE = valuesOf("-_");

const PADDING = 61;

/** The bytes of a padded text; or the place of what is wrong in it. Ends of lines do not count. */
export function decodeBase64(text: string, values: Base64Values): Uint8Array | number {
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
