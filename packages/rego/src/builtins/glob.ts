/**
 * Built-ins on globs with delimiters:
 *
 * | in a pattern | is |
 * |---|---|
 * | `*` | any characters but delimiters, or none |
 * | `**` | any characters, or none |
 * | `?` | one character that is no delimiter |
 * | `[abc]`, `[!abc]` | one of these characters, or of the others |
 * | `[a-c]`, `[!a-c]` | one from this range, or of the others |
 * | `{cat,*.dog}` | one of these patterns |
 * | `\` | the next character, whatever it is |
 *
 * A pattern is made into a graph of steps, and all ways through it are followed at once, so that time grows with the
 * length of the text times that of the pattern.
 */

import { quoteText } from "../quote.ts";
import { arrayOf, BOOLEAN, NULL, STRING, unionOf } from "../types.ts";
import { isArray, type Value } from "../value.ts";
import {
  type Builtin,
  type BuiltinEnvironment,
  builtin,
  builtinError,
  elementError,
  operandError,
  stringOperand,
} from "./builtin.ts";

export const GLOB: readonly Builtin[] = [
  builtin(
    "glob.match",
    [STRING, unionOf(NULL, arrayOf(STRING)), STRING],
    BOOLEAN,
    (environment, pattern, marks, text) => {
      const glob = stringOperand(pattern, 1);
      const delimiters = delimitersOperand(marks);
      const subject = stringOperand(text, 3);
      const area = `glob.match ${delimiters}`;
      const compiled = environment.prepared.get(area, glob, () => new GlobReader(environment, glob, delimiters).read());
      return runGlob(environment, compiled, subject);
    },
  ),
  builtin("glob.quote_meta", [STRING], STRING, (_, pattern) =>
    stringOperand(pattern, 1).replace(/[*?\\[\]{}]/g, (character) => `\\${character}`),
  ),
];

/** The delimiters as one text: none for null, and a dot when the array has none. */
function delimitersOperand(value: Value): string {
  if (value === null) return "";
  if (!isArray(value)) throw operandError(2, ["array", "null"], value);
  if (value.length === 0) return ".";
  let delimiters = "";
  for (const item of value) {
    if (typeof item !== "string") throw elementError(2, "array", "string", item);
    if ([...item].length !== 1) throw builtinError("operand 2 must be array of one-character strings");
    delimiters += item;
  }
  return delimiters;
}

type Step =
  /** Takes one character and goes on. */
  | { readonly kind: "take"; readonly takes: (point: number) => boolean; next: number }
  /** Takes any number of characters. */
  | { readonly kind: "repeat"; readonly takes: (point: number) => boolean; next: number }
  /** Goes on in several ways. */
  | { readonly kind: "split"; readonly ways: number[] }
  | { readonly kind: "end" };

interface Glob {
  readonly steps: readonly Step[];
  readonly start: number;
  /** The text that is the only match, where the pattern has nothing special. */
  readonly literal: string | undefined;
}

function runGlob(environment: BuiltinEnvironment, { steps, start, literal }: Glob, text: string): boolean {
  if (literal !== undefined) return text === literal;
  environment.spend(1 + ((text.length * steps.length) >> 4));
  let current: number[] = [];
  let next: number[] = [];
  const added = new Int32Array(steps.length).fill(-1);
  const add = (list: number[], index: number, at: number) => {
    if (added[index] === at) return;
    added[index] = at;
    const step = steps[index];
    if (step?.kind === "split") {
      for (const way of step.ways) add(list, way, at);
      return;
    }
    list.push(index);
    if (step?.kind === "repeat") add(list, step.next, at);
  };
  add(current, start, 0);
  let at = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    at += 1;
    for (const index of current) {
      const step = steps[index];
      if (step?.kind === "take") {
        if (step.takes(point)) add(next, step.next, at);
      } else if (step?.kind === "repeat" && step.takes(point)) add(next, index, at);
    }
    [current, next] = [next, current];
    next.length = 0;
    if (current.length === 0) return false;
  }
  return current.some((index) => steps[index]?.kind === "end");
}

/** Deeper alternatives are refused. */
const DEPTH_MAX = 100;

class GlobReader {
  readonly #environment: BuiltinEnvironment;
  readonly #characters: readonly string[];
  readonly #isPlain: (point: number) => boolean;
  readonly #steps: Step[] = [];
  #at = 0;
  #literal: string | undefined = "";

  constructor(environment: BuiltinEnvironment, pattern: string, delimiters: string) {
    this.#environment = environment;
    this.#characters = [...pattern];
    const points = new Set([...delimiters].map((character) => character.codePointAt(0) ?? 0));
    const [only] = points;
    this.#isPlain = points.size === 1 ? (point) => point !== only : (point) => !points.has(point);
  }

  read(): Glob {
    this.#environment.spend(10 * (1 + this.#characters.length));
    const { first, tails } = this.#sequence(0);
    this.#steps.push({ kind: "end" });
    const end = this.#steps.length - 1;
    for (const tail of tails) tail(end);
    return { steps: this.#steps, start: first ?? end, literal: this.#literal };
  }

  /** Reads up to the end, or within alternatives up to what ends this one. */
  #sequence(depth: number): { first: number | undefined; tails: ((next: number) => void)[] } {
    let first: number | undefined;
    let tails: ((next: number) => void)[] = [];
    const append = (index: number, ends: ((next: number) => void)[]) => {
      first ??= index;
      for (const tail of tails) tail(index);
      tails = ends;
    };
    const appendStep = (kind: "take" | "repeat", takes: (point: number) => boolean) => {
      const step: Step & { next: number } = { kind, takes, next: -1 };
      this.#steps.push(step);
      append(this.#steps.length - 1, [(next) => (step.next = next)]);
    };
    for (; this.#at < this.#characters.length; this.#at += 1) {
      const character = this.#characters[this.#at] ?? "";
      if (depth > 0 && (character === "}" || character === ",")) break;
      switch (character) {
        case "*":
          this.#literal = undefined;
          if (this.#characters[this.#at + 1] === "*") {
            this.#at += 1;
            appendStep("repeat", () => true);
          } else appendStep("repeat", this.#isPlain);
          break;
        case "?":
          this.#literal = undefined;
          appendStep("take", this.#isPlain);
          break;
        case "[":
          this.#literal = undefined;
          appendStep("take", this.#range());
          break;
        case "{": {
          this.#literal = undefined;
          const split: Step = { kind: "split", ways: [] };
          this.#steps.push(split);
          const index = this.#steps.length - 1;
          const ends = this.#alternatives(split, depth + 1);
          append(index, ends);
          break;
        }
        default: {
          let taken = character;
          if (character === "\\") {
            this.#at += 1;
            const escaped = this.#characters[this.#at];
            if (escaped === undefined) break;
            taken = escaped;
          }
          if (this.#literal !== undefined) this.#literal += taken;
          const wanted = taken.codePointAt(0);
          appendStep("take", (point) => point === wanted);
        }
      }
    }
    return { first, tails };
  }

  /** Reads from `{` to its end, and answers where what comes after it must be joined on. */
  #alternatives(split: Step & { kind: "split" }, depth: number): ((next: number) => void)[] {
    if (depth > DEPTH_MAX) throw builtinError(`glob pattern is deeper than ${DEPTH_MAX}`);
    const ends: ((next: number) => void)[] = [];
    do {
      this.#at += 1;
      const { first, tails } = this.#sequence(depth);
      if (first === undefined) ends.push((next) => split.ways.push(next));
      else split.ways.push(first);
      ends.push(...tails);
    } while (this.#characters[this.#at] === ",");
    if (this.#characters[this.#at] !== "}") throw builtinError(`glob: syntax error at ${this.#at}: unclosed \`{\``);
    return ends;
  }

  /** Reads from `[` to its end: either one range or a list. */
  #range(): (point: number) => boolean {
    this.#at += 1;
    const isNegated = this.#characters[this.#at] === "!";
    if (isNegated) this.#at += 1;
    const [low, dash, high] = this.#characters.slice(this.#at, this.#at + 3);
    if (low !== undefined && low !== "]" && dash === "-") {
      if (high === undefined || high === "]") throw builtinError("unexpected end of input");
      this.#at += 3;
      if (this.#characters[this.#at] !== "]") throw builtinError("expecting close range character");
      const from = low.codePointAt(0) ?? 0;
      const to = high.codePointAt(0) ?? 0;
      if (to < from) {
        throw builtinError(`hi character ${quoteText(high, "'")} should be greater than lo ${quoteText(low, "'")}`);
      }
      return (point) => (point >= from && point <= to) !== isNegated;
    }
    const points = new Set<number>();
    for (; this.#characters[this.#at] !== "]"; this.#at += 1) {
      if (this.#characters[this.#at] === "\\") this.#at += 1;
      const character = this.#characters[this.#at];
      if (character === undefined) throw builtinError("unexpected end of input");
      points.add(character.codePointAt(0) ?? 0);
    }
    if (points.size === 0) throw builtinError("could not parse range");
    return (point) => points.has(point) !== isNegated;
  }
}
