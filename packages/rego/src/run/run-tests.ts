/** Runs the rules of a program that are tests: those whose names begin with `test_`. One passes when it is true. */
import { pathText } from "../compile/rule-tree.ts";
import { lineOf } from "../problem.ts";
import type { EvaluateOptions, Program } from "../program.ts";
import type { EvaluationError } from "./evaluation.ts";

export type TestOutcome =
  | { readonly kind: "passed" }
  /** Undefined or false. */
  | { readonly kind: "failed" }
  | { readonly kind: "error"; readonly error: EvaluationError }
  /** Named `todo_test_`: not run. */
  | { readonly kind: "skipped" };

export interface TestRun {
  /** From `data` on. */
  readonly path: string;
  readonly file: string;
  readonly line: number;
  readonly outcome: TestOutcome;
  /** What `print` and `trace` said. */
  readonly notes: readonly string[];
}

const NAME = /^(todo_)?test_/;

/** Runs all tests, or those whose path is wanted, in the order of the modules. */
export function runTests(
  program: Program,
  options: EvaluateOptions = {},
  isWanted: (path: string) => boolean = () => true,
): TestRun[] {
  const runs = new Map<string, TestRun>();
  for (const { source, rules, package: home } of program.modules) {
    for (const rule of rules) {
      if (rule.head.kind !== "var" || rule.args !== undefined) continue;
      const match = NAME.exec(rule.head.name);
      const path = pathText([...home.path, rule.head.name]);
      if (match === null || runs.has(path) || !isWanted(path)) continue;
      const notes: string[] = [];
      const outcome: TestOutcome =
        match[1] === undefined
          ? outcomeOf(program, path, { ...options, onNote: (text) => notes.push(text) })
          : { kind: "skipped" };
      runs.set(path, { path, file: source.file, line: lineOf(source, rule.at), outcome, notes });
    }
  }
  return [...runs.values()];
}

function outcomeOf(program: Program, path: string, options: EvaluateOptions): TestOutcome {
  const answer = program.evaluate(path, options);
  switch (answer.kind) {
    case "value":
      return { kind: answer.value === false ? "failed" : "passed" };
    case "undefined":
      return { kind: "failed" };
    case "error":
      return answer;
  }
}
