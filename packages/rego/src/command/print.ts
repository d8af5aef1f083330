/** How values, problems and explanations are printed. */
import { writeJson } from "../json.ts";
import { type Problem, writeProblem } from "../problem.ts";
import type { Explanation } from "../program.ts";
import type { EvaluationError } from "../run/evaluation.ts";
import type { RuleRun } from "../run/trace.ts";
import { isArray, isObject, isSet, sortedEntries, type Value, writeValue } from "../value.ts";

/** A value as JSON over several lines; exact where JSON.stringify would round. */
export function writePretty(value: Value, indent = ""): string {
  const inner = `${indent}  `;
  if (isArray(value) || isSet(value)) {
    const items = isArray(value) ? value : value.sorted();
    if (items.length === 0) return "[]";
    return `[\n${items.map((item) => inner + writePretty(item, inner)).join(",\n")}\n${indent}]`;
  }
  if (!isObject(value)) return writeJson(value);
  const entries = sortedEntries(value);
  if (entries.length === 0) return "{}";
  const members = entries.map(([key, member]) => {
    const name = typeof key === "string" ? key : writeJson(key);
    return `${inner}${JSON.stringify(name)}: ${writePretty(member, inner)}`;
  });
  return `{\n${members.join(",\n")}\n${indent}}`;
}

export function writeEvaluationError(error: EvaluationError): string {
  const place = error.line === 0 ? "" : `${error.file}:${error.line}: `;
  return `${place}${error.code}: ${error.message}`;
}

/** An error in the shape of OPA's JSON. */
export function errorJson(error: Problem | EvaluationError): Value {
  const hint = "hint" in error && error.hint !== "" ? ` (${error.hint})` : "";
  const place = { file: error.file, row: error.line, col: error.column };
  return {
    code: error.code,
    message: error.message + hint,
    ...(error.line === 0 ? {} : { location: place }),
  };
}

export function writeProblems(problems: readonly Problem[]): string {
  const count = problems.length === 1 ? "1 error occurred" : `${problems.length} errors occurred`;
  return `${count}: ${problems.map(writeProblem).join("\n")}\n`;
}

/** The rules that ran, each with its expressions; `onlyFails` leaves out what held. */
export function writeExplanation(explanation: Explanation, onlyFails: boolean): string {
  const lines = explanation.runs.filter((run) => !onlyFails || run.outcome === "failed").flatMap(describeRun);
  if (explanation.leftOut > 0) lines.push(`… and ${explanation.leftOut} more`);
  return lines.map((line) => `${line}\n`).join("");
}

function describeRun(run: RuleRun): string[] {
  const indent = "  ".repeat(run.depth);
  const values = run.values.length === 0 ? "" : ` = ${run.values.map(writeValue).join(", ")}`;
  const head = `${indent}${run.file}:${run.line}: ${run.path} ${run.outcome}${values}`;
  const expressions = run.expressions.map((each) => {
    const outcome = each.held > 0 ? "held" : "FAILED";
    return `${indent}  ${run.file}:${each.line}: ${outcome} ${each.text}${describeValues(each.values)}`;
  });
  return [head, ...expressions];
}

export function describeValues(values: Readonly<Record<string, Value>>): string {
  const names = Object.keys(values);
  if (names.length === 0) return "";
  return ` (${names.map((name) => `${name} = ${writeValue(values[name] as Value)}`).join(", ")})`; // own names
}

/** Rows under a head, in columns. */
export function writeTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const rule = `+${widths.map((width) => "-".repeat(width + 2)).join("+")}+\n`;
  const write = (row: readonly string[]) =>
    `|${widths.map((width, column) => ` ${(row[column] ?? "").padEnd(width)} `).join("|")}|\n`;
  return rule + write(head) + rule + rows.map(write).join("") + rule;
}
