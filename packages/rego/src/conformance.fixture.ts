/**
 * Runs OPA compliance cases against the engine and says which pass. Used by the command `npm run conformance:rego` and
 * by the tests that hold the engine to them.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import {
  builtin,
  compareValues,
  compile,
  type EvaluateOptions,
  keyOf,
  NULL,
  objectOf,
  parseJson,
  STRING,
  type Value,
  ValueSet,
  writeJson,
  writeProblem,
} from "./index.ts";
import { nodeCryptography } from "./node.ts";

/** Where OPA's published cases lie: beside the checkout, since they are not ours. */
export const OPA_CASES = join(import.meta.dirname, "../../../../shared/opa-cases");

/**
 * Whether tests over OPA's cases run. Without the cases there is nothing to run: that is said, and CI must not take it for
 * success, so that the tests run there and fail.
 */
export function runsOpaCases(): boolean {
  if (existsSync(OPA_CASES)) return true;
  process.stderr.write(`there are no OPA compliance cases at ${OPA_CASES}\n`);
  return process.env["CI"] === "true";
}

export interface ConformanceReport {
  readonly passed: number;
  readonly failed: readonly FailedCase[];
  readonly outOfScope: readonly { readonly name: string; readonly reason: string }[];
  readonly ms: number;
}

export interface FailedCase {
  readonly name: string;
  readonly note: string;
  /** What came instead of what was wanted. */
  readonly detail: string;
}

interface Case {
  readonly note: string;
  readonly query: string;
  readonly modules?: readonly string[];
  readonly data?: Value;
  readonly input?: Value;
  readonly input_term?: string;
  readonly want_result?: readonly Readonly<Record<string, Value>>[];
  readonly want_error_code?: string;
  readonly want_error?: string;
  readonly strict_error?: boolean;
  readonly sort_bindings?: boolean;
}

/** Reads a list of cases: names with a reason after them, one a line. */
export async function readCaseList(file: string): Promise<ReadonlyMap<string, string>> {
  const entries = new Map<string, string>();
  for (const line of (await readFile(file, "utf8")).split("\n")) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [name = "", ...reason] = line.split(" ");
    if (reason.length === 0) throw new TypeError(`${file}: ${name} has no reason`);
    entries.set(name, reason.join(" "));
  }
  return entries;
}

/**
 * Runs the cases of one file, or of all files of a folder; `rewrite` may change their modules. Rejects when there are
 * none. Out of scope is what calls a built-in that the engine refuses, and does not put another in its place.
 */
export async function runConformance(
  path: string,
  rewrite: (module: string) => string = (module) => module,
): Promise<ConformanceReport> {
  const files = (await stat(path)).isDirectory()
    ? (await readdir(path)).filter((name) => name.endsWith(".json")).map((name) => join(path, name))
    : [path];
  const begin = performance.now();
  let passed = 0;
  const failed: FailedCase[] = [];
  const skipped: { name: string; reason: string }[] = [];
  for (const file of files.sort()) {
    const read = parseJson(await readFile(file, "utf8"));
    if (read.kind === "fault") throw new TypeError(`${file} is no JSON: ${read.message}`);
    const { cases } = read.value as { cases?: unknown }; // the format of the cases
    if (!Array.isArray(cases)) continue;
    // The format of the cases, as their README describes it.
    for (const [index, each] of (cases as Case[]).entries()) {
      const name = `${basename(file, ".json")}/${index}`;
      const detail = runCase({ ...each, modules: (each.modules ?? []).map(rewrite) });
      const refused = detail === undefined ? null : /the built-in [\w.]+ is not offered: [^;]*/.exec(detail);
      if (detail === undefined) passed += 1;
      else if (refused !== null) skipped.push({ name, reason: refused[0] });
      else failed.push({ name, note: each.note, detail });
    }
  }
  if (passed + failed.length + skipped.length === 0) throw new TypeError(`${path} has no cases`);
  return { passed, failed, outOfScope: skipped, ms: Math.round(performance.now() - begin) };
}

const CRYPTOGRAPHY = nodeCryptography();

/** A built-in of the cases' own. Time stands still during an evaluation, so that there is nothing to wait for. */
const SLEEP = builtin("test.sleep", [STRING], NULL, () => null);

/** What is wrong with the outcome of a case; undefined when nothing is. */
function runCase(each: Case): string | undefined {
  const outcome = outcomeOf(each);
  const wantsError = each.want_error_code !== undefined || each.want_error !== undefined;
  if (typeof outcome === "string") {
    if (!wantsError) return outcome;
    for (const wanted of [each.want_error_code, each.want_error]) {
      if (wanted !== undefined && !outcome.includes(wanted)) return `${outcome}, wanted ${wanted}`;
    }
    return undefined;
  }
  const found = `results ${outcome.map((result) => writeJson(result)).join(" ")}`;
  if (wantsError) return `${found}, wanted ${each.want_error_code ?? each.want_error}`;
  const key = (results: readonly Value[]) => keyOf(new ValueSet(results.map((result) => comparable(result, each))));
  const wanted = each.want_result ?? [];
  return key(outcome) === key(wanted)
    ? undefined
    : `${found}, wanted ${wanted.map((result) => writeJson(result)).join(" ")}`;
}

/** The results of a case's query, or the text of its error. */
function outcomeOf(each: Case): readonly Value[] | string {
  const modules = (each.modules ?? []).map((text, index) => ({ file: `test-${index}.rego`, text }));
  const compiled = compile(modules, { builtins: [SLEEP] });
  if (compiled.kind === "problems") return compiled.problems.map(writeProblem).join("; ");
  const { program } = compiled;
  const prepared = program.prepare(each.query);
  if (prepared.kind === "problems") return prepared.problems.map(writeProblem).join("; ");
  let { input } = each;
  if (each.input_term !== undefined) {
    const term = program.evaluate(each.input_term);
    if (term.kind !== "value") return `the input term ${each.input_term} has no value`;
    input = term.value;
  }
  const options: EvaluateOptions = {
    input,
    data: each.data ?? {},
    strictBuiltinErrors: each.strict_error === true,
    cryptography: CRYPTOGRAPHY,
    randomBytes: (count) => randomBytes(count),
    timeNs: BigInt(Date.now()) * 1_000_000n,
    nowMs: () => performance.now(),
  };
  const answer = prepared.query.results(options);
  if (answer.kind !== "error") return answer.results;
  const { file, line, code, message } = answer.error;
  return `${file}:${line}: ${code}: ${message}`;
}

/** A result as the cases write it: sets as arrays; and where they say so, arrays in no order. */
function comparable(result: Value, each: Case): Value {
  const read = parseJson(writeJson(result));
  const value = read.kind === "value" ? read.value : null;
  if (each.sort_bindings !== true) return value;
  // A result is an object of variables; a list in it was read from JSON.
  return objectOf(
    Object.entries(value as Readonly<Record<string, Value>>).map(([name, member]) => [
      name,
      Array.isArray(member) ? [...(member as Value[])].sort(compareValues) : member,
    ]),
  );
}
