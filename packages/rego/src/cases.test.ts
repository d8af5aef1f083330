/** Runs the engine's own cases of cases/rego: what the compliance cases of OPA leave out. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type JsonRead, parseJson, writeJson } from "./json.ts";
import { writeProblem } from "./problem.ts";
import { type Answer, compile } from "./program.ts";
import type { Limits } from "./run/evaluation.ts";
import type { Value } from "./value.ts";

interface RegoCase {
  readonly name: string;
  readonly modules?: readonly (readonly string[])[];
  readonly generate?: Readonly<Record<string, { repeat: string; times: number; join?: string }>>;
  readonly problems?: readonly string[];
  readonly input?: string;
  readonly data?: string;
  readonly strict?: boolean;
  readonly limits?: Partial<Limits>;
  readonly queries?: readonly { query: string; value?: string; undefined?: true; error?: string }[];
}

const FOLDER = join(import.meta.dirname, "../../../cases/rego");

function mustRead(read: JsonRead): Value {
  if (read.kind === "fault") throw new TypeError(read.message);
  return read.value;
}

/** The texts of a case, with what is generated put in. */
function fill(each: RegoCase, text: string): string {
  return text.replace(/\$\{(\w+)\}/g, (whole, name: string) => {
    const made = each.generate?.[name];
    if (made === undefined) return whole;
    return Array.from({ length: made.times }, (_, index) => made.repeat.replace(/\$\{i\}/g, String(index))).join(
      made.join ?? "",
    );
  });
}

function describeAnswer(answer: Answer): string {
  switch (answer.kind) {
    case "value":
      return writeJson(answer.value);
    case "undefined":
      return "undefined";
    case "error":
      return `${answer.error.code}: ${answer.error.message}`;
  }
}

function run(each: RegoCase): void {
  const modules = (each.modules ?? []).map((lines, index) => ({
    file: `${index}.rego`,
    text: fill(each, lines.join("\n")),
  }));
  const compiled = compile(modules);
  if (compiled.kind === "problems") {
    expect(compiled.problems.map((problem) => writeProblem({ ...problem, hint: "" }))).toEqual(each.problems);
    return;
  }
  expect(each.problems).toBeUndefined();
  let ms = 0;
  const options = {
    ...(each.input === undefined ? {} : { input: mustRead(parseJson(fill(each, each.input))) }),
    data: mustRead(parseJson(fill(each, each.data ?? "{}"))),
    strictBuiltinErrors: each.strict === true,
    ...(each.limits === undefined ? {} : { limits: each.limits }),
    ...(each.limits?.timeMs === undefined ? {} : { nowMs: () => ms++ }),
  };
  for (const { query, value, undefined: isUndefined, error } of each.queries ?? []) {
    const expected = error ?? (isUndefined === true ? "undefined" : value);
    expect(describeAnswer(compiled.program.evaluate(fill(each, query), options)), query).toBe(expected);
  }
}

const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json") && name !== "schema.json");

test("there are cases", () => expect(files.length).toBeGreaterThan(3));

describe.each(files)("%s", (file) => {
  // The schema beside the cases says what is in them.
  const { cases } = JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as { cases: readonly RegoCase[] };
  test.each(cases)("$name", (each) => run(each));
});
