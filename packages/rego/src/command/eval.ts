/** `rego eval`: evaluates a query against modules, data and an input. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { writeJson } from "../json.ts";
import { compile, type EvaluateOptions, type Program, type Query } from "../program.ts";
import { Coverage } from "../run/trace.ts";
import type { Literal } from "../syntax/ast.ts";
import { parseQuery } from "../syntax/parser.ts";
import { compareValues, type Value } from "../value.ts";
import {
  type CommandContext,
  CommandError,
  oneOf,
  REFUSED_EVERYWHERE,
  readTimeout,
  refuseOptions,
} from "./command-context.ts";
import { coverageReport } from "./coverage-report.ts";
import { loadFiles, parseDocument, readValue } from "./load-files.ts";
import { nodeEnvironment } from "./node-environment.ts";
import { errorJson, writeEvaluationError, writeExplanation, writePretty, writeProblems, writeTable } from "./print.ts";

/** As OPA has it: 1 is an answer that --fail or --fail-defined asked about, or a wrong command line; 2 is no answer. */
const EXIT_FAIL = 1;
const EXIT_REFUSED = 1;
const EXIT_ERROR = 2;

const FORMATS = ["json", "pretty", "raw", "values", "bindings", "discard"] as const;
const EXPLAIN = ["off", "full", "notes", "fails", "debug"] as const;

const REFUSED = {
  ...REFUSED_EVERYWHERE,
  "-O": "nothing is evaluated before the input is known",
  "--count": "see the benchmark of the engine for times",
  "--disable-inlining": "there is no partial evaluation",
  "--entrypoint": "there is no partial evaluation",
  "-e": "there is no partial evaluation",
  "--instrument": "there are no metrics",
  "--metrics": "there are no metrics",
  "--optimize": "nothing is evaluated before the input is known",
  "--partial": "there is no partial evaluation; ask again once all inputs are known",
  "-p": "there is no partial evaluation; ask again once all inputs are known",
  "--profile": "there are no metrics; --coverage tells which lines were reached",
  "--show-builtin-errors": "--strict-builtin-errors shows the first",
  "--unknowns": "there is no partial evaluation; ask again once all inputs are known",
  "-u": "there is no partial evaluation; ask again once all inputs are known",
};

export const EVAL_HELP = `rego eval [options] <query>

Evaluates a query and prints what it is.

  -d, --data <path>            modules and data: a file or a folder; may be repeated
  -i, --input <file>           the input, JSON or YAML
  -I, --stdin-input            reads the input from standard input
      --stdin                  reads the query from standard input
      --package <path>         the query may name the rules of this package
      --import <path>          and what is imported so; may be repeated
  -f, --format <format>        json (default), pretty, raw, values, bindings, discard
      --fail                   exits with 1 when the query is undefined
      --fail-defined           exits with 1 when the query is not undefined
      --strict-builtin-errors  errors of built-ins end the evaluation
      --coverage               adds which lines were reached
      --timeout <duration>     ends the evaluation after this time, as 500ms or 3s
      --explain <mode>         off (default), full, notes, fails, debug (the same as full)
`;

interface Row {
  readonly bindings: Readonly<Record<string, Value>>;
  readonly expressions: readonly { readonly value: Value; readonly text: string; readonly at: Value }[];
}

export async function runEval(argv: readonly string[], context: CommandContext): Promise<number> {
  refuseOptions(argv, REFUSED, EXIT_REFUSED);
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      data: { type: "string", short: "d", multiple: true, default: [] },
      input: { type: "string", short: "i" },
      "stdin-input": { type: "boolean", short: "I", default: false },
      stdin: { type: "boolean", default: false },
      format: { type: "string", short: "f", default: "json" },
      fail: { type: "boolean", default: false },
      "fail-defined": { type: "boolean", default: false },
      "strict-builtin-errors": { type: "boolean", default: false },
      coverage: { type: "boolean", default: false },
      explain: { type: "string", default: "off" },
      package: { type: "string", default: "" },
      import: { type: "string", multiple: true, default: [] },
      timeout: { type: "string" },
    },
  });
  const format = oneOf("format", values.format, FORMATS, EXIT_REFUSED);
  const explain = oneOf("explain", values.explain, EXPLAIN, EXIT_REFUSED);
  if (positionals.length !== (values.stdin ? 0 : 1)) {
    throw new CommandError(EXIT_REFUSED, "Give one query, in quotes: rego eval -d policy.rego 'data.example.allow'.");
  }
  for (const [one, other] of [
    ["stdin", "stdin-input"],
    ["stdin-input", "input"],
    ["fail", "fail-defined"],
  ] as const) {
    if (values[one] && values[other]) throw new CommandError(EXIT_REFUSED, `Give --${one} or --${other}, not both.`);
  }
  const timeMs = readTimeout(values.timeout, EXIT_REFUSED);
  const text = positionals[0] ?? (await context.readInput());
  const head = headOf(values.package, values.import);
  const { modules, data } = await loadFiles(values.data, context.directory, EXIT_ERROR);
  let input: Value | undefined;
  if (values.input !== undefined) input = await readValue(resolve(context.directory, values.input), EXIT_ERROR);
  else if (values["stdin-input"]) input = parseDocument("standard input", await context.readInput(), EXIT_ERROR);

  const compiled = compile(modules);
  if (compiled.kind === "problems") {
    const errors = compiled.problems.map(errorJson);
    return reportErrors(format, errors, writeProblems(compiled.problems), context);
  }
  const { program } = compiled;
  const notes: string[] = [];
  const options: EvaluateOptions = {
    ...nodeEnvironment(context),
    input,
    data,
    strictBuiltinErrors: values["strict-builtin-errors"],
    ...(timeMs === undefined ? {} : { limits: { timeMs } }),
    onNote: (note) => notes.push(note),
  };
  const outcome = evaluate(program, text, head, options);
  if (outcome.kind === "errors") return reportErrors(format, outcome.errors, outcome.text, context);
  for (const note of notes) context.note(`${note}\n`);
  const coverage = new Coverage();
  if (values.coverage) outcome.query.evaluate({ ...options, coverage });
  if (explain === "full" || explain === "fails" || explain === "debug") {
    const explanation = writeExplanation(outcome.query.explain(options), explain === "fails");
    if (format === "json") context.note(explanation);
    else context.out(explanation);
  }
  const { rows } = outcome;
  print(format, rows, values.coverage ? coverageReport(coverage.report(), program.modules) : undefined, context);
  const isDefined = rows.length > 0;
  return (values.fail && !isDefined) || (values["fail-defined"] && isDefined) ? EXIT_FAIL : 0;
}

type Outcome =
  | { readonly kind: "rows"; readonly rows: readonly Row[]; readonly query: Query }
  | { readonly kind: "errors"; readonly errors: readonly Value[]; readonly text: string };

/** Names for the values of expressions; no variable of a user's is named so. */
const VALUE_NAME = "__value_of_expression_";

/** All answers of the query with the value of each expression. */
function evaluate(program: Program, text: string, head: string, options: EvaluateOptions): Outcome {
  const read = parseQuery(text);
  if (read.kind === "problems") {
    return { kind: "errors", errors: read.problems.map(errorJson), text: writeProblems(read.problems) };
  }
  // Compiled as it was written first, so that problems name its places.
  const plain = program.prepare(text, head);
  if (plain.kind === "problems") {
    return { kind: "errors", errors: plain.problems.map(errorJson), text: writeProblems(plain.problems) };
  }
  const { literals } = read.body;
  const written = literals.map((literal) => text.slice(literal.at, literal.end));
  const captured = literals.map((literal, index) => hasValue(literal) && `${VALUE_NAME}${index} := ${written[index]}`);
  const rewritten = program.prepare(written.map((each, index) => captured[index] || each).join("; "), head);
  const query = rewritten.kind === "query" ? rewritten.query : plain.query;
  const answer = query.results(options);
  if (answer.kind === "error") {
    return { kind: "errors", errors: [errorJson(answer.error)], text: `${writeEvaluationError(answer.error)}\n` };
  }
  const rows = answer.results.flatMap((result): Row[] => {
    const expressions = written.map((each, index) => ({
      value: result[`${VALUE_NAME}${index}`] ?? true,
      text: each,
      at: placeOf(text, literals[index]?.at ?? 0),
    }));
    // Of several expressions none may be false.
    if (expressions.length > 1 && expressions.some(({ value }) => value === false)) return [];
    const bindings = Object.fromEntries(Object.entries(result).filter(([name]) => !name.startsWith(VALUE_NAME)));
    return [{ bindings, expressions }];
  });
  return { kind: "rows", rows, query: plain.query };
}

/** The beginning of a module in which the query could stand; "" when none is asked for. */
function headOf(name: string, imports: readonly string[]): string {
  if (name === "" && imports.length === 0) return "";
  return [`package ${name === "" ? "query" : name}`, ...imports.map((each) => `import ${each}`)].join("\n");
}

/** Whether an expression has a value besides that it holds. */
function hasValue(literal: Literal): boolean {
  return !literal.negated && literal.expression.kind === "term";
}

function placeOf(text: string, at: number): Value {
  const before = text.slice(0, at);
  return { row: before.split("\n").length, col: at - before.lastIndexOf("\n") };
}

function reportErrors(
  format: (typeof FORMATS)[number],
  errors: readonly Value[],
  text: string,
  context: CommandContext,
): number {
  if (format === "json") context.out(`${writePretty({ errors })}\n`);
  else context.note(text);
  return EXIT_ERROR;
}

function print(
  format: (typeof FORMATS)[number],
  rows: readonly Row[],
  coverage: ReturnType<typeof coverageReport> | undefined,
  context: CommandContext,
): void {
  switch (format) {
    case "json":
      context.out(`${writePretty(jsonOf(rows, coverage))}\n`);
      return;
    case "discard":
      context.out(`${writePretty({ result: "discarded" })}\n`);
      return;
    case "values":
      for (const row of rows) context.out(`${writePretty(row.expressions.map(({ value }) => value))}\n`);
      break;
    case "bindings":
      for (const row of rows) context.out(`${writePretty(row.bindings)}\n`);
      break;
    case "raw":
      for (const row of rows) {
        const texts = row.expressions.map(({ value }) => (typeof value === "string" ? value : writeJson(value)));
        context.out(`${texts.join(" ")}\n`);
      }
      break;
    case "pretty":
      context.out(prettyOf(rows));
      break;
  }
  if (coverage !== undefined) context.out(`${JSON.stringify(coverage, undefined, 2)}\n`);
}

function jsonOf(rows: readonly Row[], coverage: ReturnType<typeof coverageReport> | undefined): Value {
  const result = rows.map((row) => ({
    expressions: row.expressions.map(({ value, text, at }) => ({ value, text, location: at })),
    ...(Object.keys(row.bindings).length === 0 ? {} : { bindings: row.bindings }),
  }));
  return {
    ...(result.length === 0 ? {} : { result }),
    // Texts and numbers under names: a value as it is.
    ...(coverage === undefined ? {} : { coverage: coverage as unknown as Value }),
  };
}

function prettyOf(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return "undefined\n";
  const names = Object.keys(first.bindings);
  const [only] = first.expressions;
  if (rows.length === 1 && names.length === 0 && first.expressions.length === 1 && only !== undefined) {
    return `${writePretty(only.value)}\n`;
  }
  // Expressions that only hold say nothing beside the variables.
  const shown = first.expressions.flatMap(({ text }, index) =>
    rows.every((row) => compareValues(row.expressions[index]?.value ?? null, true) === 0) ? [] : [{ text, index }],
  );
  const head = [...names, ...shown.map(({ text }) => text)];
  if (head.length === 0) return "true\n";
  const cells = rows.map((row) => [
    ...names.map((name) => writeJson(row.bindings[name] ?? null)),
    ...shown.map(({ index }) => writeJson(row.expressions[index]?.value ?? null)),
  ]);
  return writeTable(head, cells);
}
