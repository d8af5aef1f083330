/** Rules files and configuration files of any text: read whole, or refused with a place and a sentence; never a crash. */
import { compileRules } from "@writ/policy";
import { ConfigError, loadConfig } from "@writ/runtime";
import fc from "fast-check";
import { expect, it } from "vitest";

const RUNS = Number(process.env["WRIT_FUZZ_RUNS"] ?? 1_500);
const SEED = 20_261_121;

/** Pieces of YAML and of our own words, in any order. */
const piece = fc.constantFrom(
  ..."version: 1\n|rules:\n|  - id: a\n|    effect: allow\n|    match: {}\n|    match: { tool: [|]\n| }\n|when: { args: { /a: { min: |1e999|tests:\n|&a |*a|<<: *a\n|!!js/function |!!binary |? |: |- |\t|\u0000|'|\"|---\n|...\n|%TAG ! x\n|gateway:\n|  port: |99999|-1|null|~|database:\n|  url: |[[[[|{{{{|__proto__: |constructor: |#|>\n|mode: production\n|keys:\n|0x10|.inf|9007199254740993".split(
    "|",
  ),
  "|\n",
);
const text = fc.oneof(
  fc.array(piece, { maxLength: 40 }).map((parts) => parts.join("")),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.json().map((json) => `version: 1\nrules: ${json}\n`),
);

const HOSTILE: readonly string[] = [
  "[".repeat(20_000),
  `${"a: {".repeat(3_000)}`,
  // Each line names the one before ten times: ten to the ninth when it is written out.
  `a0: &a0 [x,x]\n${Array.from({ length: 9 }, (_, at) => `a${at + 1}: &a${at + 1} [${`*a${at},`.repeat(10)}]`).join("\n")}\nversion: 1\nrules: *a9\n`,
  "&a [*a]",
];

function rules(source: string): void {
  const result = compileRules(source, { digest: "d" });
  if (result.kind !== "problems") return;
  expect(result.problems.length).toBeGreaterThan(0);
  for (const { line, column, message } of result.problems) {
    expect(Math.min(line, column)).toBeGreaterThanOrEqual(1);
    expect(message).not.toBe("");
  }
}

function config(source: string): void {
  try {
    loadConfig({ file: { path: "/srv/writ.yaml", text: source }, environment: {}, directory: "/srv" });
  } catch (error) {
    // A fault of the file is a ConfigError with its places; anything else is a crash.
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
  }
}

it.each([
  ["rules", rules],
  ["configuration", config],
] as const)("a file of %s of any text is read or refused with its problems", (_, read) => {
  fc.assert(fc.property(text, read), { numRuns: RUNS, seed: SEED });
});

it.each([
  ["rules", rules],
  ["configuration", config],
] as const)("a hostile file of %s is refused within bounds", (_, read) => {
  for (const source of HOSTILE) read(source);
});
