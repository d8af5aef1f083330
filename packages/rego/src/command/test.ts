/** `rego test`: runs the rules that are tests, and shows where those that fail stopped. */
import { parseArgs } from "node:util";
import { compile, type EvaluateOptions, type Program } from "../program.ts";
import { runTests, type TestRun } from "../run/run-tests.ts";
import { Coverage, type RuleRun } from "../run/trace.ts";
import type { Value } from "../value.ts";
import {
  type CommandContext,
  CommandError,
  oneOf,
  REFUSED_EVERYWHERE,
  readTimeout,
  refuseOptions,
} from "./command-context.ts";
import { type CoverageReport, coverageReport } from "./coverage-report.ts";
import { loadFiles } from "./load-files.ts";
import { nodeEnvironment } from "./node-environment.ts";
import { describeValues, errorJson, writeEvaluationError, writePretty, writeProblems } from "./print.ts";

/** As OPA has it: 1 when the tests cannot be run, 2 when one does not pass or too few lines are covered. */
const EXIT_ERROR = 1;
const EXIT_NOT_PASSED = 2;

/** Rules below a test that are shown when it fails. */
const FAILED_RUNS_MAX = 10;
const RULE = "-".repeat(80);

export const TEST_HELP = `rego test [options] <path>...

Runs the rules whose names begin with test_; skips those whose names begin with todo_test_.

  -v, --verbose                shows every test, and what print said
  -r, --run <pattern>          only tests whose path matches this regular expression
  -c, --coverage               prints which lines were reached, as JSON
      --threshold <percent>    exits with 2 when fewer lines are covered; implies --coverage
  -f, --format <format>        pretty (default), json
  -z, --exit-zero-on-skipped   skipped tests do not count
      --fail-on-empty          exits with 1 when there are no tests
      --count <number>         runs the tests so often, until one does not pass
      --timeout <duration>     ends each test after this time (5s), as 500ms or 3s
`;

const REFUSED = {
  ...REFUSED_EVERYWHERE,
  "--bench": "there is no benchmark of tests",
  "--explain": "a test that fails shows where it stopped, with the values",
  "-p": "tests run one after the other",
  "--parallel": "tests run one after the other",
  "--var-values": "values are always shown",
  "-w": "files are not watched",
  "--watch": "files are not watched",
};

export async function runTest(argv: readonly string[], context: CommandContext): Promise<number> {
  refuseOptions(argv, REFUSED, EXIT_ERROR);
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      verbose: { type: "boolean", short: "v", default: false },
      run: { type: "string", short: "r", default: "" },
      coverage: { type: "boolean", short: "c", default: false },
      threshold: { type: "string" },
      format: { type: "string", short: "f", default: "pretty" },
      "exit-zero-on-skipped": { type: "boolean", short: "z", default: false },
      "fail-on-empty": { type: "boolean", default: false },
      count: { type: "string", default: "1" },
      timeout: { type: "string" },
    },
  });
  const format = oneOf("format", values.format, ["pretty", "json"], EXIT_ERROR);
  const threshold = readThreshold(values.threshold);
  const pattern = readPattern(values.run);
  const timeMs = readTimeout(values.timeout, EXIT_ERROR);
  const count = readCount(values.count);
  if (positionals.length === 0)
    throw new CommandError(EXIT_ERROR, "Give the files or folders with the tests: rego test policy/.");
  const { modules, data } = await loadFiles(positionals, context.directory, EXIT_ERROR);
  const compiled = compile(modules);
  if (compiled.kind === "problems") {
    context.note(writeProblems(compiled.problems));
    return EXIT_ERROR;
  }
  const { program } = compiled;
  const limits = timeMs === undefined ? {} : { limits: { timeMs } };
  const options: EvaluateOptions = { ...nodeEnvironment(context), data, ...limits };
  const isFine = (run: TestRun) =>
    run.outcome.kind === "passed" || (run.outcome.kind === "skipped" && values["exit-zero-on-skipped"]);
  for (let round = 0; round < count; round += 1) {
    const coverage = values.coverage || threshold !== undefined ? new Coverage() : undefined;
    const withCoverage = coverage === undefined ? options : { ...options, coverage };
    const runs = runTests(program, withCoverage, (path) => pattern.test(path));
    if (coverage !== undefined) {
      const failures = runs.filter((run) => isBad(run));
      if (failures.length > 0) context.note(describeFailures(program, failures, options));
      const report = coverageReport(coverage.report(), program.modules);
      context.out(`${JSON.stringify(report, undefined, 2)}\n`);
      if (threshold !== undefined && report.coverage < threshold) {
        context.note(describeThreshold(report, threshold));
        return EXIT_NOT_PASSED;
      }
    } else if (format === "json") context.out(`${writePretty(runs.map(jsonOf))}\n`);
    else context.out(describe(program, runs, options, values.verbose));
    if (!runs.every(isFine)) return EXIT_NOT_PASSED;
    if (runs.length === 0 && values["fail-on-empty"]) throw new CommandError(EXIT_ERROR, "No tests were run.");
  }
  return 0;
}

const COUNT_MAX = 1_000_000;

function readCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > COUNT_MAX) {
    throw new CommandError(EXIT_ERROR, `--count is a number from 1 to ${COUNT_MAX}; not ${JSON.stringify(text)}.`);
  }
  return count;
}

function readThreshold(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 100)) {
    throw new CommandError(EXIT_ERROR, `--threshold is a number from 0 to 100; not ${JSON.stringify(text)}.`);
  }
  return value;
}

function readPattern(text: string): RegExp {
  try {
    return new RegExp(text, "u");
  } catch {
    // A fault of the command line.
    throw new CommandError(EXIT_ERROR, `--run is no regular expression: ${JSON.stringify(text)}.`);
  }
}

function isBad(run: TestRun): boolean {
  return run.outcome.kind === "failed" || run.outcome.kind === "error";
}

const WORDS = { passed: "PASS", failed: "FAIL", error: "ERROR", skipped: "SKIPPED" } as const;

function describe(program: Program, runs: readonly TestRun[], options: EvaluateOptions, verbose: boolean): string {
  if (runs.length === 0) return "no tests: none of the rules has a name that begins with test_\n";
  let text = "";
  const failures = runs.filter(isBad);
  if (failures.length > 0) text += describeFailures(program, failures, options);
  const shown = verbose ? runs : runs.filter((run) => run.outcome.kind !== "passed");
  if (failures.length > 0) text += `\nSUMMARY\n${RULE}\n`;
  let file: string | undefined;
  for (const run of shown) {
    if (run.file !== file) text += `${run.file}:\n`;
    file = run.file;
    text += `${run.path}: ${WORDS[run.outcome.kind]}\n`;
    if (verbose) for (const note of run.notes) text += `  ${note}\n`;
  }
  if (shown.length > 0) text += `${RULE}\n`;
  for (const kind of ["passed", "failed", "error", "skipped"] as const) {
    const count = runs.filter((run) => run.outcome.kind === kind).length;
    if (count > 0) text += `${WORDS[kind]}: ${count}/${runs.length}\n`;
  }
  return text;
}

function describeFailures(program: Program, failures: readonly TestRun[], options: EvaluateOptions): string {
  let text = `FAILURES\n${RULE}\n`;
  for (const run of failures) {
    text += `${run.path}: ${WORDS[run.outcome.kind]}\n`;
    if (run.outcome.kind === "error") text += `\n  ${writeEvaluationError(run.outcome.error)}\n\n`;
    else text += `\n${describeFailure(program, run, options)}\n`;
  }
  return text;
}

/** The line at which a test stopped, with the values so far, and those of the rules that it asked and that failed too. */
function describeFailure(program: Program, run: TestRun, options: EvaluateOptions): string {
  const { runs } = program.explain(run.path, options);
  const failed = runs.filter((each) => each.outcome === "failed").slice(0, FAILED_RUNS_MAX);
  const lines = failed.map(describeStop);
  if (lines.length === 0) lines.push(`  ${run.file}:${run.line}: ${run.path} is false`);
  return lines.map((line) => `${line}\n`).join("");
}

function describeStop(run: RuleRun): string {
  const indent = "  ".repeat(run.depth + 1);
  const stop = run.expressions.find((each) => each.held === 0);
  if (stop === undefined) return `${indent}${run.file}:${run.line}: ${run.path} has no value`;
  const values: Record<string, Value> = {};
  for (const each of run.expressions) if (each.held > 0) Object.assign(values, each.values);
  return `${indent}${run.file}:${stop.line}: ${run.path}: ${stop.text}${describeValues(values)}`;
}

function jsonOf(run: TestRun): Value {
  const names = run.path.split(".");
  const { outcome } = run;
  return {
    location: { file: run.file, row: run.line, col: 1 },
    package: names.slice(0, -1).join("."),
    name: names.at(-1) ?? "",
    ...(outcome.kind === "failed" ? { fail: true } : {}),
    ...(outcome.kind === "skipped" ? { skip: true } : {}),
    ...(outcome.kind === "error" ? { error: errorJson(outcome.error) } : {}),
    ...(run.notes.length === 0 ? {} : { output: run.notes.join("\n") }),
  };
}

function describeThreshold(report: CoverageReport, threshold: number): string {
  const files = Object.entries(report.files).flatMap(([file, { not_covered: ranges = [] }]) =>
    ranges.map(({ start, end }) => `  ${file}:${start.row}${end.row === start.row ? "" : `-${end.row}`}\n`),
  );
  const head = `Code coverage threshold not met: got ${report.coverage} instead of ${threshold}. Lines not covered:\n`;
  return head + files.join("");
}
