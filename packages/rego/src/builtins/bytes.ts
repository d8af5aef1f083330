/** Bytes as texts: base64 in its two alphabets, and UTF-8. */

export interface Base64Alphabet {
  readonly letters: string;
  readonly values: ReadonlyMap<string, number>;
}

function alphabetOf(last: string): Base64Alphabet {
  const letters = `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789${last}`;
  return { letters, values: new Map([...letters].map((letter, value) => [letter, value])) };
}

export const STANDARD = alphabetOf("+/");
export const URL_SAFE = alphabetOf("-_");

/** What is no UTF-8 becomes U+FFFD, as when OPA answers in JSON. */
export function textOfBytes(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

export function encodeBase64(bytes: Uint8Array, { letters }: Base64Alphabet, padded: boolean): string {
  let text = "";
  for (let index = 0; index < bytes.length; index += 3) {
    const rest = bytes.length - index;
    const group = ((bytes[index] ?? 0) << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0);
    text += letters.charAt(group >> 18) + letters.charAt((group >> 12) & 63);
    if (rest > 1) text += letters.charAt((group >> 6) & 63);
    if (rest > 2) text += letters.charAt(group & 63);
    if (padded && rest < 3) text += "=".repeat(3 - rest);
  }
  return text;
}

/** The bytes of a padded text; or the place of what is wrong in it. Ends of lines do not count. */
export function decodeBase64(text: string, { values }: Base64Alphabet): Uint8Array | number {
  const bytes: number[] = [];
  let group = 0;
  let count = 0;
  let at = 0;
  const skip = () => {
    while (text[at] === "\n" || text[at] === "\r") at += 1;
  };
  for (skip(); at < text.length; skip()) {
    const letter = text[at] ?? "";
    if (letter === "=") return count < 2 ? at : endOf(bytes, group, count);
    const value = values.get(letter);
    if (value === undefined) return at;
    at += 1;
    group = (group << 6) | value;
    count += 1;
    if (count === 4) {
      bytes.push((group >> 16) & 255, (group >> 8) & 255, group & 255);
      group = 0;
      count = 0;
    }
  }
  return count === 0 ? Uint8Array.from(bytes) : at - count;

  /** Reads the padding: what stands for a group of two or three letters, and nothing after it. */
  function endOf(head: number[], last: number, letters: number): Uint8Array | number {
    for (let missing = 4 - letters; missing > 0; missing -= 1) {
      skip();
      if (text[at] !== "=") return at;
      at += 1;
    }
    skip();
    if (at < text.length) return at;
    if (letters === 2) head.push((last >> 4) & 255);
    else head.push((last >> 10) & 255, (last >> 2) & 255);
    return Uint8Array.from(head);
  }
}
