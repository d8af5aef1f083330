/**
 * What Writ's strict reader accepts is read alike by others: Node's own parser, secure-json-parse, and Python's json,
 * whose readings were made once and are data (cases/differential). A document with two readings would be judged in one
 * and executed in the other.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { ExactNumber, type JsonValue, parseStrictJson, parseStrictJsonText } from "@writ/contract";
import fc from "fast-check";
import { expect, it } from "vitest";

/** The parser that the control plane's server brings along; found through that server, as nothing here depends on it. */
const control = createRequire(new URL("../../packages/control/package.json", import.meta.url));
// The shape is that of the package's own documentation.
const secureJson = createRequire(control.resolve("fastify"))("secure-json-parse") as {
  parse(text: string, reviver: undefined, options: object): unknown;
};

interface Case {
  readonly text: string;
  readonly strict: "value" | "fault";
  /** Python's reading in canonical form, or null where it refuses. */
  readonly python: string | null;
}

// Data of our own, made by tools/differential-python.py.
const CASES = JSON.parse(
  readFileSync(new URL("../../cases/differential/python.json", import.meta.url), "utf8"),
) as readonly Case[];
const RUNS = Number(process.env["WRIT_FUZZ_RUNS"] ?? 5_000);

/** Every value written out in one way; numbers by the double that is nearest, as other parsers hold them. */
function canonical(value: unknown): string {
  if (value instanceof ExactNumber) return number(Number(value.lexeme));
  if (typeof value === "number") return number(value);
  if (typeof value === "string") return `s${[...value].map((point) => point.codePointAt(0)?.toString(16)).join(".")}`;
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.entries(value as Record<string, unknown>); // all other values of JSON are objects
  return `{${members
    .map(([name, member]) => `${canonical(name)}:${canonical(member)}`)
    .sort()
    .join(",")}}`;
}

/** The bits of the double, so that no printing rule differs between languages. */
function number(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value === 0 ? 0 : value);
  return `n${view.getBigUint64(0).toString(16).padStart(16, "0")}`;
}

function strict(text: string): JsonValue | undefined {
  const read = parseStrictJsonText(text);
  return read.kind === "value" ? read.value : undefined;
}

it("the cases are many, and hold documents of both kinds", () => {
  expect(CASES.length).toBeGreaterThan(80);
  expect(CASES.filter((each) => each.strict === "value").length).toBeGreaterThan(30);
  expect(CASES.filter((each) => each.strict === "fault").length).toBeGreaterThan(30);
});

it.each(CASES)("trap-22 trap-55 the strict reader and Python agree on $text", ({ text, strict: expected, python }) => {
  const read = parseStrictJson(Buffer.from(text));
  expect(read.kind).toBe(expected);
  if (read.kind === "value") expect(canonical(read.value)).toBe(python);
});

/** Text near JSON: pieces of documents in any order, so that most of it is almost right. */
const pieces = fc.constantFrom(
  ...'{}[],:"\\ \n\t'.split(""),
  "null",
  "true",
  "false",
  "NaN",
  "0",
  "-0",
  "-1",
  "1.10",
  "01",
  "1e400",
  "1E-7",
  "9007199254740993",
  '"a"',
  '"A"',
  '"__proto__"',
  '"\\u0041"',
  '"\\ud83d\\ude00"',
  '"\\ud800"',
  "\u00a0",
  "\u2028",
  "\ufeff",
  "😀",
);
const almostJson = fc.array(pieces, { maxLength: 24 }).map((parts) => parts.join(""));
const spaced = fc
  .tuple(fc.json({ maxDepth: 6 }), fc.constantFrom("", " ", "\n", "\t\r"))
  .map(([text, space]) => space + text + space);

it("whatever text the strict reader accepts, Node and secure-json-parse read alike", () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(spaced, almostJson, fc.string({ unit: "binary", maxLength: 40 })), (text) => {
      const value = strict(text);
      if (value === undefined) return;
      accepted += 1;
      expect(canonical(JSON.parse(text))).toBe(canonical(value));
      const options = { protoAction: "ignore", constructorAction: "ignore" } as const;
      expect(canonical(secureJson.parse(text, undefined, options))).toBe(canonical(value));
    }),
    { numRuns: RUNS, seed: 20_261_121 },
  );
  expect(accepted).toBeGreaterThan(RUNS / 10);
});
