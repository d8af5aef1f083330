/**
 * Built-ins on strings. They count in characters (code points), never in UTF-16 units. `sprintf` is in sprintf.ts, and
 * the templates of `strings.render_template` are in template.ts.
 */
import { bigintOfNumber, ceilNumber, compareNumbers, floorNumber } from "../number.ts";
import { ANY, arrayOf, BOOLEAN, dictionaryOf, NUMBER, STRING, setOf, unionOf } from "../types.ts";
import { isArray, isSet, kindOf, sortedEntries, type Value } from "../value.ts";
import {
  arrayOperand,
  type Builtin,
  type BuiltinEnvironment,
  BuiltinError,
  builtin,
  builtinError,
  elementError,
  integerOperand,
  numberOperand,
  objectOperand,
  operandError,
  stringOperand,
  stringsOperand,
} from "./builtin.ts";
import { sprintf } from "./sprintf.ts";
import { countCharacters, isSpace, spendText } from "./text.ts";

const PARTS = unionOf(arrayOf(STRING), setOf(STRING));
const STRING_OR_STRINGS = unionOf(STRING, arrayOf(STRING), setOf(STRING));

function splitText(environment: BuiltinEnvironment, text: string, separator: string): string[] {
  environment.spend(text.length >> 3);
  return separator === "" ? [...text] : text.split(separator);
}

type TextChange = (text: string, other: string) => string;

/** A built-in that makes a string of two. */
function onTwo(name: string, change: TextChange): Builtin {
  return builtin(name, [STRING, STRING], STRING, (_, text, other) =>
    change(stringOperand(text, 1), stringOperand(other, 2)),
  );
}

/** A built-in that makes a string of one. */
function onOne(name: string, change: (text: string) => string): Builtin {
  return builtin(name, [STRING], STRING, (_, text) => change(stringOperand(text, 1)));
}

/** A built-in that tells something of two strings. */
function test(name: string, holds: (text: string, other: string) => boolean): Builtin {
  return builtin(name, [STRING, STRING], BOOLEAN, (_, text, other) =>
    holds(stringOperand(text, 1), stringOperand(other, 2)),
  );
}

export const STRINGS: readonly Builtin[] = [
  builtin("concat", [STRING, PARTS], STRING, (environment, delimiter, parts) => {
    const separator = stringOperand(delimiter, 1);
    const texts = stringsOperand(parts, 2);
    let length = texts.length * separator.length;
    for (const text of texts) length += text.length;
    spendText(environment, length);
    return texts.join(separator);
  }),
  test("contains", (text, part) => text.includes(part)),
  test("startswith", (text, start) => text.startsWith(start)),
  test("endswith", (text, end) => text.endsWith(end)),
  builtin("indexof", [STRING, STRING], NUMBER, (_, text, part) => {
    const whole = stringOperand(text, 1);
    const at = whole.indexOf(searchOperand(part));
    return at < 0 ? -1 : countCharacters(whole.slice(0, at));
  }),
  builtin("indexof_n", [STRING, STRING], arrayOf(NUMBER), (environment, text, part) =>
    indexesOf(environment, stringOperand(text, 1), searchOperand(part)),
  ),
  builtin("substring", [STRING, NUMBER, NUMBER], STRING, (_, text, offset, length) =>
    substring(stringOperand(text, 1), integerOperand(offset, 2), integerOperand(length, 3)),
  ),
  builtin("lower", [STRING], STRING, (environment, value) => {
    const text = stringOperand(value, 1);
    const lower = text.toLowerCase();
    // JavaScript looks at what stands around a sigma.
    if (lower.length === text.length && !text.includes("\u03a3")) return lower;
    environment.spend(10 * text.length);
    return mapCharacters(text, lowerCharacter);
  }),
  builtin("upper", [STRING], STRING, (environment, value) => {
    const text = stringOperand(value, 1);
    const upper = text.toUpperCase();
    if (upper.length === text.length) return upper;
    environment.spend(10 * text.length);
    return mapCharacters(text, upperCharacter);
  }),
  builtin("split", [STRING, STRING], arrayOf(STRING), (environment, text, delimiter) => {
    return splitText(environment, stringOperand(text, 1), stringOperand(delimiter, 2));
  }),
  builtin("strings.split_n", [STRING, STRING, NUMBER], arrayOf(STRING), (environment, text, delimiter, count) => {
    const parts = splitText(environment, stringOperand(text, 1), stringOperand(delimiter, 2));
    const most = integerOperand(count, 3);
    // The first parts, or counted from the end the last ones.
    return most >= 0 ? parts.slice(0, most) : parts.slice(most);
  }),
  builtin("replace", [STRING, STRING, STRING], STRING, (environment, text, old, by) =>
    replaceAll(environment, stringOperand(text, 1), stringOperand(old, 2), stringOperand(by, 3)),
  ),
  builtin("strings.replace_n", [dictionaryOf(STRING, STRING), STRING], STRING, (environment, patterns, text) =>
    replaceEach(environment, patternsOperand(patterns), stringOperand(text, 2)),
  ),
  onOne("strings.reverse", (text) => [...text].reverse().join("")),
  builtin("strings.count", [STRING, STRING], NUMBER, (_, text, part) => {
    const whole = stringOperand(text, 1);
    const sought = stringOperand(part, 2);
    if (sought === "") return countCharacters(whole) + 1;
    let count = 0;
    for (let at = whole.indexOf(sought); at >= 0; at = whole.indexOf(sought, at + sought.length)) count += 1;
    return count;
  }),
  onTwo("trim", (text, cutset) => trimEnd(trimStart(text, within(cutset)), within(cutset))),
  onTwo("trim_left", (text, cutset) => trimStart(text, within(cutset))),
  onTwo("trim_right", (text, cutset) => trimEnd(text, within(cutset))),
  onTwo("trim_prefix", (text, prefix) => (text.startsWith(prefix) ? text.slice(prefix.length) : text)),
  onTwo("trim_suffix", (text, suffix) =>
    suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text,
  ),
  onOne("trim_space", (text) => trimEnd(trimStart(text, isSpace), isSpace)),
  builtin("format_int", [NUMBER, NUMBER], STRING, (_, number, base) => formatInteger(number, base)),
  builtin("strings.any_prefix_match", [STRING_OR_STRINGS, STRING_OR_STRINGS], BOOLEAN, (environment, texts, parts) =>
    anyMatch(environment, textsOperand(texts, 1), textsOperand(parts, 2), (text, part) => text.startsWith(part)),
  ),
  builtin("strings.any_suffix_match", [STRING_OR_STRINGS, STRING_OR_STRINGS], BOOLEAN, (environment, texts, parts) =>
    anyMatch(environment, textsOperand(texts, 1), textsOperand(parts, 2), (text, part) => text.endsWith(part)),
  ),
  builtin("sprintf", [STRING, arrayOf(ANY)], STRING, (environment, format, values) =>
    sprintf(environment, stringOperand(format, 1), arrayOperand(values, 2)),
  ),
];

function searchOperand(value: Value): string {
  const sought = stringOperand(value, 2);
  if (sought === "") throw builtinError("empty search character");
  return sought;
}

function indexesOf(environment: BuiltinEnvironment, whole: string, sought: string): Value {
  const indexes: number[] = [];
  let characters = 0;
  let counted = 0;
  // Finds may overlap: each search begins one character after the last find.
  for (let at = whole.indexOf(sought); at >= 0; at = whole.indexOf(sought, at + 1)) {
    environment.spend(1);
    characters += countCharacters(whole.slice(counted, at));
    counted = at;
    indexes.push(characters);
  }
  return indexes;
}

function substring(text: string, offset: number, length: number): string {
  if (offset < 0) throw builtinError("negative offset");
  // Most texts have no surrogates, so that characters are units.
  if (!SURROGATES.test(text)) return text.slice(offset, length < 0 ? undefined : offset + length);
  const characters = [...text];
  return characters.slice(offset, length < 0 ? undefined : offset + length).join("");
}

const SURROGATES = /[\ud800-\udfff]/;

function mapCharacters(text: string, change: (character: string) => string): string {
  let changed = "";
  for (const character of text) changed += change(character);
  return changed;
}

/** The one character that Unicode's simple mapping has; JavaScript's may make several characters of one. */
function lowerCharacter(character: string): string {
  if (character === "\u0130") return "i";
  const lower = character.toLowerCase();
  return countCharacters(lower) === 1 ? lower : character;
}

function upperCharacter(character: string): string {
  const upper = character.toUpperCase();
  if (countCharacters(upper) === 1) return upper;
  const point = character.codePointAt(0) ?? 0;
  // Greek letters with a subscript: the simple mapping is a letter of its own.
  if ((point >= 0x1f80 && point <= 0x1faf) || point === 0x1fb3 || point === 0x1fc3 || point === 0x1ff3) {
    if (point === 0x1fb3 || point === 0x1fc3 || point === 0x1ff3) return String.fromCodePoint(point + 9);
    return String.fromCodePoint(point | 8);
  }
  return character;
}

function replaceAll(environment: BuiltinEnvironment, text: string, old: string, by: string): string {
  if (old === "") {
    spendText(environment, (text.length + 1) * (by.length + 1));
    return `${by}${[...text].map((character) => character + by).join("")}`;
  }
  const parts = text.split(old);
  spendText(environment, text.length + (parts.length - 1) * by.length);
  return parts.length === 1 ? text : parts.join(by);
}

function patternsOperand(value: Value): readonly (readonly [string, string])[] {
  const patterns: [string, string][] = [];
  for (const [old, by] of sortedEntries(objectOperand(value, 1))) {
    const wrong = typeof old !== "string" ? "key" : typeof by !== "string" ? "value" : undefined;
    if (wrong !== undefined) {
      throw new BuiltinError("eval_type_error", `operand 1 non-string ${wrong} found in pattern object`);
    }
    patterns.push([old as string, by as string]); // both checked
  }
  return patterns;
}

/** Replaces from left to right; where several patterns match, the first in order counts. */
function replaceEach(
  environment: BuiltinEnvironment,
  patterns: readonly (readonly [string, string])[],
  text: string,
): string {
  const byFirst = new Map<string, (readonly [string, string])[]>();
  let whenEmpty: string | undefined;
  for (const pattern of patterns) {
    const [old] = pattern;
    if (old === "") whenEmpty = pattern[1];
    else byFirst.set(old[0] ?? "", [...(byFirst.get(old[0] ?? "") ?? []), pattern]);
  }
  let replaced = "";
  let last = 0;
  let wasEmpty = false;
  for (let at = 0; at <= text.length; ) {
    // The empty pattern comes first in order, but not twice at one place.
    if (whenEmpty !== undefined && !wasEmpty && !isInside(text, at)) {
      environment.spend(1);
      spendText(environment, whenEmpty.length);
      replaced += text.slice(last, at) + whenEmpty;
      last = at;
      wasEmpty = true;
      continue;
    }
    wasEmpty = false;
    const candidates = at < text.length ? byFirst.get(text[at] as string) : undefined; // within
    if (candidates !== undefined) environment.spend(candidates.length);
    const found = candidates?.find(([old]) => text.startsWith(old, at));
    if (found === undefined) {
      at += 1;
      continue;
    }
    replaced += text.slice(last, at) + found[1];
    spendText(environment, found[1].length);
    at += found[0].length;
    last = at;
  }
  return replaced + text.slice(last);
}

/** Whether a place lies between the halves of one character. */
function isInside(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  if (!(unit >= 0xdc00 && unit <= 0xdfff) || at === 0) return false;
  const before = text.charCodeAt(at - 1);
  return before >= 0xd800 && before <= 0xdbff;
}

function within(cutset: string): (point: number) => boolean {
  const points = new Set<number>();
  for (const character of cutset) points.add(character.codePointAt(0) ?? 0);
  return (point) => points.has(point);
}

function trimStart(text: string, isCut: (point: number) => boolean): string {
  let at = 0;
  while (at < text.length) {
    const point = text.codePointAt(at) ?? 0;
    if (!isCut(point)) break;
    at += point > 0xffff ? 2 : 1;
  }
  return text.slice(at);
}

function trimEnd(text: string, isCut: (point: number) => boolean): string {
  let end = text.length;
  while (end > 0) {
    const start = isInside(text, end - 1) ? end - 2 : end - 1;
    if (!isCut(text.codePointAt(start) ?? 0)) break;
    end = start;
  }
  return text.slice(0, end);
}

function formatInteger(value: Value, base: Value): string {
  const number = numberOperand(value, 1);
  const radix = numberOperand(base, 2);
  if (radix !== 2 && radix !== 8 && radix !== 10 && radix !== 16) {
    throw new BuiltinError("eval_type_error", "operand 2 must be one of {2, 8, 10, 16}");
  }
  // What stands after the point is dropped.
  const whole = compareNumbers(number, 0) < 0 ? ceilNumber(number) : floorNumber(number);
  return (bigintOfNumber(whole) ?? 0n).toString(radix);
}

function textsOperand(value: Value, position: number): readonly string[] {
  if (typeof value === "string") return [value];
  if (!isArray(value) && !isSet(value)) throw operandError(position, ["string", "set", "array"], value);
  for (const member of isSet(value) ? value.members() : value) {
    if (typeof member !== "string") throw elementError(position, kindOf(value), "string", member);
  }
  return stringsOperand(value, position);
}

function anyMatch(
  environment: BuiltinEnvironment,
  texts: readonly string[],
  parts: readonly string[],
  matches: (text: string, part: string) => boolean,
): boolean {
  return texts.some((text) => {
    environment.spend(1 + (parts.length >> 3));
    return parts.some((part) => matches(text, part));
  });
}
