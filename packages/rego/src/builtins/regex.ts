/**
 * Built-ins on regular expressions. The syntax is RE2's, and time grows with the length of the text alone, whoever wrote
 * the pattern: JavaScript's own expressions are never used for it.
 */
import { RE2JS, RE2JSException } from "re2js";
import { quoteText } from "../quote.ts";
import { arrayOf, BOOLEAN, NUMBER, STRING } from "../types.ts";
import type { Value } from "../value.ts";
import {
  type Builtin,
  type BuiltinEnvironment,
  builtin,
  builtinError,
  integerOperand,
  stringOperand,
} from "./builtin.ts";
import { globsMeet } from "./regex-globs.ts";
import { spendText } from "./text.ts";

export const REGEX: readonly Builtin[] = [
  builtin("regex.match", [STRING, STRING], BOOLEAN, matches),
  builtin("re_match", [STRING, STRING], BOOLEAN, matches, { deprecated: "use regex.match" }),
  builtin("regex.is_valid", [STRING], BOOLEAN, (environment, pattern) => {
    if (typeof pattern !== "string") return false;
    environment.spend(1 + pattern.length);
    return problemOf(pattern) === undefined;
  }),
  builtin("regex.find_n", [STRING, STRING, NUMBER], arrayOf(STRING), (environment, pattern, text, count) => {
    const subject = stringOperand(text, 2);
    const found = findAll(environment, patternOperand(environment, pattern, 1), subject, integerOperand(count, 3));
    return found.map(([start = 0, end = 0]) => subject.slice(start, end));
  }),
  builtin(
    "regex.find_all_string_submatch_n",
    [STRING, STRING, NUMBER],
    arrayOf(arrayOf(STRING)),
    (environment, pattern, text, count) => {
      const subject = stringOperand(text, 2);
      const found = findAll(environment, patternOperand(environment, pattern, 1), subject, integerOperand(count, 3));
      return found.map((places) => {
        environment.spend(places.length >> 2);
        return groupsOf(subject, places);
      });
    },
  ),
  builtin("regex.replace", [STRING, STRING, STRING], STRING, (environment, text, pattern, by) => {
    const subject = stringOperand(text, 1);
    return replace(environment, patternOperand(environment, pattern, 2), subject, stringOperand(by, 3));
  }),
  builtin("regex.split", [STRING, STRING], arrayOf(STRING), (environment, pattern, text) =>
    split(environment, patternOperand(environment, pattern, 1), stringOperand(text, 2)),
  ),
  builtin(
    "regex.template_match",
    [STRING, STRING, STRING, STRING],
    BOOLEAN,
    (environment, template, text, ...marks) => {
      const [start, end] = marks.map((mark, index) => delimiterOperand(mark, index + 3));
      const pattern = patternOfTemplate(stringOperand(template, 1), start ?? "", end ?? "");
      const subject = stringOperand(text, 2);
      const compiled = compile(environment, pattern);
      spendSearch(environment, compiled, subject.length);
      return compiled.test(subject);
    },
  ),
  builtin("regex.globs_match", [STRING, STRING], BOOLEAN, (environment, a, b) =>
    globsMeet(environment, stringOperand(a, 1), stringOperand(b, 2)),
  ),
];

function matches(environment: BuiltinEnvironment, pattern: Value, text: Value): boolean {
  const compiled = patternOperand(environment, pattern, 1);
  const subject = stringOperand(text, 2);
  spendSearch(environment, compiled, subject.length);
  return compiled.test(subject);
}

/** Where a match and its groups begin and end, in turn; -1 for a group that took no part. */
type Places = readonly number[];

function patternOperand(environment: BuiltinEnvironment, value: Value, position: number): RE2JS {
  return compile(environment, stringOperand(value, position));
}

function compile(environment: BuiltinEnvironment, pattern: string): RE2JS {
  return environment.prepared.get("regex", pattern, () => {
    environment.spend(10 * (1 + pattern.length));
    try {
      const compiled = RE2JS.compile(pattern);
      environment.spend(compiled.programSize());
      return compiled;
    } catch (cause) {
      // A pattern that is none is an error of the policy.
      if (cause instanceof RE2JSException) throw builtinError(cause.message);
      throw cause;
    }
  });
}

function problemOf(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (cause) {
    // Telling whether it is a pattern is what was asked for.
    if (cause instanceof RE2JSException) return cause.message;
    throw cause;
  }
}

/** Accounts for a search, which looks at each character with each state of the pattern at worst. */
function spendSearch(environment: BuiltinEnvironment, pattern: RE2JS, length: number): void {
  environment.spend(1 + ((length * Math.min(pattern.programSize(), 64)) >> 7));
}

/** The matches from left to right that do not overlap, all of them when `count` is negative. */
function findAll(environment: BuiltinEnvironment, pattern: RE2JS, text: string, count: number): readonly Places[] {
  if (count === 0) return [];
  spendSearch(environment, pattern, text.length);
  const hasNoEnd = /[*+]|,\}/.test(pattern.pattern());
  const found: Places[] = [];
  let afterLast = -1;
  for (let at = 0; at <= text.length && (count < 0 || found.length < count); ) {
    // A search may look at all that is left and find no more than a character, when something in it has no end.
    environment.spend(1 + (hasNoEnd ? (text.length - at) >> 8 : 0));
    const places = findFrom(pattern, text, at);
    if (places === undefined) break;
    const [start = 0, end = 0] = places;
    // An empty match right after another one does not count.
    const isEmpty = end === at;
    if (!(isEmpty && start === afterLast)) found.push(places);
    afterLast = end;
    at = isEmpty ? at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1) : end;
  }
  return found;
}

function findFrom(pattern: RE2JS, text: string, at: number): Places | undefined {
  const matcher = pattern.matcher(text);
  if (!matcher.find(at)) return undefined;
  const places: number[] = [];
  for (let group = 0; group <= pattern.groupCount(); group += 1) places.push(matcher.start(group), matcher.end(group));
  return places;
}

function groupsOf(text: string, places: Places): readonly string[] {
  const groups: string[] = [];
  for (let index = 0; index < places.length; index += 2) groups.push(groupOf(text, places, index / 2));
  return groups;
}

function groupOf(text: string, places: Places, group: number): string {
  const start = places[2 * group] ?? -1;
  return start < 0 ? "" : text.slice(start, places[2 * group + 1]);
}

function replace(environment: BuiltinEnvironment, pattern: RE2JS, text: string, by: string): string {
  const parts = templateOf(by);
  const names = pattern.namedGroups();
  let replaced = "";
  let last = 0;
  for (const places of findAll(environment, pattern, text, -1)) {
    const [start = 0, end = 0] = places;
    replaced += text.slice(last, start);
    for (const part of parts) {
      const piece = part.kind === "text" ? part.text : groupOf(text, places, groupNumber(part.name, names));
      environment.spend(1);
      spendText(environment, piece.length);
      replaced += piece;
    }
    last = end;
  }
  return replaced + text.slice(last);
}

function groupNumber(name: string, names: Readonly<Record<string, number>>): number {
  if (/^\d+$/.test(name)) return Number(name);
  return Object.hasOwn(names, name) ? (names[name] ?? -1) : -1;
}

type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "group"; readonly name: string };

/** Reads `$1`, `${1}`, `$name`, `${name}` and `$$`; a name is as long as it can be, and any other `$` is itself. */
function templateOf(by: string): readonly TemplatePart[] {
  const parts: TemplatePart[] = [];
  let last = 0;
  for (const match of by.matchAll(/\$(?:\$|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu)) {
    const text = by.slice(last, match.index) + (match[0] === "$$" ? "$" : "");
    if (text !== "") parts.push({ kind: "text", text });
    const name = match[1] ?? match[2];
    if (name !== undefined) parts.push({ kind: "group", name });
    last = match.index + match[0].length;
  }
  if (last < by.length) parts.push({ kind: "text", text: by.slice(last) });
  return parts;
}

function split(environment: BuiltinEnvironment, pattern: RE2JS, text: string): readonly string[] {
  if (text === "" && pattern.pattern() !== "") return [""];
  const parts: string[] = [];
  let start = 0;
  let end = 0;
  for (const [matchStart = 0, matchEnd = 0] of findAll(environment, pattern, text, -1)) {
    end = matchStart;
    if (matchEnd !== 0) parts.push(text.slice(start, end));
    start = matchEnd;
  }
  if (end !== text.length) parts.push(text.slice(start));
  return parts;
}

function delimiterOperand(value: Value, position: number): string {
  const mark = stringOperand(value, position);
  const length = new TextEncoder().encode(mark).length;
  if (length === 1) return mark;
  const name = position === 3 ? "start" : "end";
  throw builtinError(`${name} delimiter has to be exactly one character long but is ${length} long`);
}

/** The pattern of a text with patterns between marks, which may be nested and must be balanced. */
function patternOfTemplate(template: string, start: string, end: string): string {
  let pattern = "^";
  let last = 0;
  let depth = 0;
  let open = 0;
  for (let index = 0; index < template.length; index += 1) {
    const character = template[index];
    if (character === start && (depth === 0 || start !== end)) {
      depth += 1;
      if (depth === 1) open = index;
    } else if (character === end) {
      depth -= 1;
      if (depth < 0) break;
      if (depth > 0) continue;
      const inner = template.slice(open + 1, index);
      const problem = problemOf(`^${inner}$`);
      if (problem !== undefined) throw builtinError(problem);
      pattern += `${RE2JS.quote(template.slice(last, open))}(${inner})`;
      last = index + 1;
    }
  }
  if (depth !== 0) throw builtinError(`unbalanced braces in ${quoteText(template)}`);
  return `${pattern}${RE2JS.quote(template.slice(last))}$`;
}
