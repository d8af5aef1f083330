/**
 * What is wrong with a text: where, and what to write instead. Problems are values; every stage before evaluation
 * returns them. Also the text of a module and how offsets become lines and columns.
 */

/** OPA's names for the stage that refuses. */
export type ProblemCode =
  | "rego_parse_error"
  | "rego_compile_error"
  | "rego_type_error"
  | "rego_unsafe_var_error"
  | "rego_recursion_error";

export interface Problem {
  readonly code: ProblemCode;
  readonly message: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** In characters, from 1. */
  readonly column: number;
  /** What to write instead; "" when there is nothing to suggest. */
  readonly hint: string;
}

export interface Source {
  readonly file: string;
  readonly text: string;
  /** Offsets at which lines begin. */
  readonly lineStarts: readonly number[];
}

/** A piece of a source: from `at` up to `end`, as offsets. */
export interface Span {
  readonly at: number;
  readonly end: number;
}

export function makeSource(file: string, text: string): Source {
  const lineStarts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lineStarts.push(at + 1);
  return { file, text, lineStarts };
}

/** The line of an offset, from 1. */
export function lineOf(source: Source, offset: number): number {
  let low = 0;
  let high = source.lineStarts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    // The bounds keep it within the list.
    if ((source.lineStarts[middle] as number) <= offset)
      low = middle; // within the list by the bounds
    else high = middle - 1;
  }
  return low + 1;
}

export function problemAt(source: Source, code: ProblemCode, offset: number, message: string, hint = ""): Problem {
  const line = lineOf(source, offset);
  const start = source.lineStarts[line - 1] ?? 0;
  let column = 1;
  for (const _ of source.text.slice(start, offset)) column += 1;
  return { code, message, file: source.file, line, column, hint };
}

/** A problem in one line, as OPA prints it, with the hint after it. */
export function writeProblem(problem: Problem): string {
  const place = `${problem.file}:${problem.line}:${problem.column}`;
  return `${place}: ${problem.code}: ${problem.message}${problem.hint === "" ? "" : ` (hint: ${problem.hint})`}`;
}
