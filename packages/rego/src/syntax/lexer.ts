/**
 * Tokens of Rego, read one at a time from any offset, so that the parser can go back at no cost. Template strings are
 * read in pieces, because expressions stand inside them.
 */
import { parseNumber, type RegoNumber } from "../number.ts";

export type Token = {
  readonly at: number;
  readonly end: number;
  /** Whether a line break, or any space or comment, stands before it. */
  readonly onNewLine: boolean;
  readonly spaced: boolean;
} & (
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "number"; readonly value: RegoNumber }
  | { readonly kind: "string"; readonly value: string }
  /** `$"` or `` $` ``: the text goes on with `readTemplatePiece`. */
  | { readonly kind: "template"; readonly quote: '"' | "`" }
  | { readonly kind: "mark"; readonly mark: string }
  | { readonly kind: "end" }
  | { readonly kind: "wrong"; readonly message: string }
);

export interface RawComment {
  readonly at: number;
  readonly end: number;
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const DIGITS = /[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const MARKS = [":=", "==", "!=", "<=", ">=", ..."=<>+-*/%&|.,;:[]{}()"];

/** Reads the token at or after an offset. Comments on the way are given to `onComment`. */
export function readToken(text: string, offset: number, onComment: (comment: RawComment) => void): Token {
  let at = offset;
  let onNewLine = false;
  for (; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === 10) onNewLine = true;
    else if (unit === 35) {
      const lineEnd = text.indexOf("\n", at);
      const end = lineEnd < 0 ? text.length : lineEnd;
      onComment({ at, end });
      at = end - 1;
    } else if (unit !== 32 && unit !== 9 && unit !== 13 && !(unit === 0xfeff && at === 0)) break;
  }
  const place = { at, onNewLine, spaced: at > offset };
  if (at >= text.length) return { ...place, kind: "end", end: at };
  const unit = text.charCodeAt(at);
  if ((unit >= 97 && unit <= 122) || (unit >= 65 && unit <= 90) || unit === 95) {
    NAME.lastIndex = at;
    NAME.exec(text);
    return { ...place, kind: "name", name: text.slice(at, NAME.lastIndex), end: NAME.lastIndex };
  }
  if (unit >= 48 && unit <= 57) return { ...place, ...readNumber(text, at) };
  if (unit === 34) return { ...place, ...readString(text, at) };
  if (unit === 96) {
    const end = text.indexOf("`", at + 1);
    if (end < 0) return { ...place, kind: "wrong", message: "non-terminated raw string", end: text.length };
    return { ...place, kind: "string", value: text.slice(at + 1, end), end: end + 1 };
  }
  if (unit === 36) {
    const quote = text[at + 1];
    if (quote === '"' || quote === "`") return { ...place, kind: "template", quote, end: at + 2 };
  }
  for (const mark of MARKS) {
    if (text.startsWith(mark, at)) return { ...place, kind: "mark", mark, end: at + mark.length };
  }
  const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
  return { ...place, kind: "wrong", message: `illegal token ${JSON.stringify(character)}`, end: at + character.length };
}

type Tail<K extends Token["kind"]> = Omit<Extract<Token, { kind: K }>, "at" | "onNewLine" | "spaced">;

function readNumber(text: string, at: number): Tail<"number"> | Tail<"wrong"> {
  DIGITS.lastIndex = at;
  DIGITS.exec(text);
  const end = DIGITS.lastIndex;
  const digits = text.slice(at, end);
  if (/^0[0-9]/.test(digits)) return { kind: "wrong", message: "expected number without a leading zero", end };
  if (/[A-Za-z_0-9]/.test(text[end] ?? "") || /\.[^.A-Za-z_]/.test(text.slice(end, end + 2))) {
    return { kind: "wrong", message: "illegal number format", end };
  }
  const value = parseNumber(digits);
  return value === undefined ? { kind: "wrong", message: "number is too large", end } : { kind: "number", value, end };
}

function readString(text: string, at: number): Tail<"string"> | Tail<"wrong"> {
  let end = at + 1;
  while (end < text.length) {
    const unit = text.charCodeAt(end);
    if (unit === 34) {
      const value = unescaped(text.slice(at + 1, end));
      if (value === undefined) return { kind: "wrong", message: "illegal escape sequence in string", end: end + 1 };
      return { kind: "string", value, end: end + 1 };
    }
    if (unit === 10) break;
    end += unit === 92 ? 2 : 1;
  }
  return { kind: "wrong", message: "non-terminated string", end: Math.min(end, text.length) };
}

/** The text that JSON's escapes stand for, half a pair of surrogates for U+FFFD; undefined when one is wrong. */
function unescaped(raw: string): string | undefined {
  if (!raw.includes("\\") && !/\p{Cc}/u.test(raw)) return raw;
  try {
    return (JSON.parse(`"${raw}"`) as string).toWellFormed(); // in quotes, so a string or no JSON
  } catch {
    return undefined; // a fault of the text
  }
}

/** A piece of a template string: its text, and whether the string ended or an expression begins at `end`. */
export type TemplatePiece =
  | { readonly kind: "text"; readonly text: string; readonly next: "end" | "expression"; readonly end: number }
  | { readonly kind: "wrong"; readonly message: string; readonly end: number };

export function readTemplatePiece(text: string, offset: number, quote: '"' | "`"): TemplatePiece {
  let raw = "";
  let at = offset;
  for (; at < text.length; at += 1) {
    const character = text[at] as string; // within the text
    if (character === quote || character === "{") break;
    if (character === "\n" && quote === '"')
      return { kind: "wrong", message: "non-terminated template string", end: at };
    if (character === "\\") {
      const escaped = text[at + 1] ?? "";
      if (escaped === "{") raw += "{";
      else raw += quote === '"' ? character + escaped : character;
      if (escaped === "{" || quote === '"') at += 1;
    } else raw += character;
  }
  if (at >= text.length) return { kind: "wrong", message: "non-terminated template string", end: text.length };
  const value = quote === "`" ? raw : unescaped(raw);
  if (value === undefined) return { kind: "wrong", message: "illegal escape sequence in template string", end: at };
  return { kind: "text", text: value, next: text[at] === "{" ? "expression" : "end", end: at + 1 };
}
