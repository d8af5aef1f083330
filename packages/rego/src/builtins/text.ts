/**
 * What several built-ins on strings share: characters as code points, which is how Rego counts, and the bound on what
 * they make.
 */
import type { BuiltinEnvironment } from "./builtin.ts";

/** No built-in makes a longer string, in UTF-16 units. The engine's own bound on strings may be much lower. */
const TEXT_MAX = 100_000_000;

/** Accounts for a string of this length before it is made. */
export function spendText(environment: BuiltinEnvironment, length: number): void {
  environment.spend(length > TEXT_MAX ? Number.MAX_SAFE_INTEGER : length >> 4);
}

/** The number of characters of a text. */
export function countCharacters(text: string): number {
  let count = text.length;
  for (let index = 0; index < text.length - 1; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0xd800 || unit > 0xdbff) continue;
    const next = text.charCodeAt(index + 1);
    if (next >= 0xdc00 && next <= 0xdfff) {
      count -= 1;
      index += 1;
    }
  }
  return count;
}

/** A text with a mark repeated before it (or after it) until it has this many characters. */
export function padText(text: string, width: number, mark: string, after: boolean): string {
  const missing = width - countCharacters(text);
  if (missing <= 0) return text;
  return after ? text + mark.repeat(missing) : mark.repeat(missing) + text;
}

/** Whether a character is white space as Unicode has it; `trim` of JavaScript counts others. */
export function isSpace(point: number): boolean {
  if (point <= 0xff) return (point >= 9 && point <= 13) || point === 0x20 || point === 0x85 || point === 0xa0;
  return (
    point === 0x1680 ||
    (point >= 0x2000 && point <= 0x200a) ||
    point === 0x2028 ||
    point === 0x2029 ||
    point === 0x202f ||
    point === 0x205f ||
    point === 0x3000
  );
}
