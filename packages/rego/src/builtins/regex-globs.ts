/**
 * `regex.globs_match`: whether some text that is not empty matches two simple patterns, which have characters, `.`, sets
 * of characters in brackets, and `*` or `+` after each of these; a backslash makes any character itself.
 */
import { type BuiltinEnvironment, builtinError } from "./builtin.ts";

/** Code points from the first to the second, both included. */
type Range = readonly [from: number, to: number];

interface Token {
  readonly ranges: readonly Range[];
  readonly canRepeat: boolean;
  readonly canBeAbsent: boolean;
}

const ANYTHING: readonly Range[] = [[0, 0x10ffff]];

export function globsMeet(environment: BuiltinEnvironment, a: string, b: string): boolean {
  const left = environment.prepared.get("regex.globs_match", a, readGlob);
  const right = environment.prepared.get("regex.globs_match", b, readGlob);
  environment.spend(1 + a.length + b.length);
  // States are pairs of places, with whether a character has been read; a search from the start to the end of both.
  const seen = new Set<number>();
  const width = right.length + 1;
  const queue: [number, number, boolean][] = [[0, 0, false]];
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    const [i, j, hasRead] = state;
    const key = (i * width + j) * 2 + (hasRead ? 1 : 0);
    if (seen.has(key)) continue;
    seen.add(key);
    if (hasRead && i === left.length && j === right.length) return true;
    const x = left[i];
    const y = right[j];
    environment.spend(1 + (x?.ranges.length ?? 0) + (y?.ranges.length ?? 0));
    if (x?.canBeAbsent) queue.push([i + 1, j, hasRead]);
    if (y?.canBeAbsent) queue.push([i, j + 1, hasRead]);
    if (x === undefined || y === undefined || !overlap(x.ranges, y.ranges)) continue;
    queue.push([i + 1, j + 1, true]);
    if (x.canRepeat) queue.push([i, j + 1, true]);
    if (y.canRepeat) queue.push([i + 1, j, true]);
    if (x.canRepeat && y.canRepeat) queue.push([i, j, true]);
  }
  return false;
}

function overlap(a: readonly Range[], b: readonly Range[]): boolean {
  return a.some(([from, to]) => b.some(([otherFrom, otherTo]) => from <= otherTo && otherFrom <= to));
}

function readGlob(text: string): readonly Token[] {
  const characters = [...text];
  const tokens: Token[] = [];
  let at = 0;
  const invalid = () => builtinError(`input:${text}, pos:${at}, the input provided is invalid`);
  const read = (): number => {
    if (characters[at] === "\\") at += 1;
    const character = characters[at];
    if (character === undefined) throw invalid();
    at += 1;
    return character.codePointAt(0) ?? 0;
  };
  const readSet = (): readonly Range[] => {
    const ranges: Range[] = [];
    while (characters[at] !== "]") {
      const from = read();
      let to = from;
      if (characters[at] === "-" && characters[at + 1] !== "]") {
        at += 1;
        to = read();
      }
      if (to < from) throw invalid();
      ranges.push([from, to]);
    }
    at += 1;
    return ranges;
  };
  while (at < characters.length) {
    const character = characters[at];
    if (character === "*" || character === "+" || character === "]") throw invalid();
    let ranges: readonly Range[];
    if (character === ".") {
      ranges = ANYTHING;
      at += 1;
    } else if (character === "[") {
      at += 1;
      ranges = readSet();
    } else {
      const point = read();
      ranges = [[point, point]];
    }
    const flag = characters[at];
    if (flag === "*" || flag === "+") at += 1;
    tokens.push({ ranges, canRepeat: flag === "*" || flag === "+", canBeAbsent: flag === "*" });
  }
  return tokens;
}
