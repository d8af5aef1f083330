/** Texts in quotes, escaped as Go escapes them. */

const NAMED: ReadonlyMap<number, string> = new Map([
  [7, "\\a"],
  [8, "\\b"],
  [9, "\\t"],
  [10, "\\n"],
  [11, "\\v"],
  [12, "\\f"],
  [13, "\\r"],
  [92, "\\\\"],
]);

/** Letters, marks, numbers, punctuation, symbols, and the space of ASCII. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** A text between quotes; with `ascii` every other character is escaped. */
export function quoteText(text: string, mark: '"' | "'" = '"', ascii = false): string {
  let quoted = mark as string; // widened: it grows
  for (const character of text) quoted += escapeCharacter(character, mark, ascii);
  return quoted + mark;
}

function escapeCharacter(character: string, mark: string, ascii: boolean): string {
  if (character === mark) return `\\${mark}`;
  const point = character.codePointAt(0) ?? 0;
  const named = NAMED.get(point);
  if (named !== undefined) return named;
  if (point >= 0x20 && point < 0x7f) return character;
  if (point < 0x80) return `\\x${point.toString(16).padStart(2, "0")}`;
  if (!ascii && PRINTABLE.test(character)) return character;
  return point > 0xffff ? `\\U${point.toString(16).padStart(8, "0")}` : `\\u${point.toString(16).padStart(4, "0")}`;
}
