/** What holds for every policy: the same answer each time, however rules are found and expressions are ordered. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { writeJson } from "./json.ts";
import { writeProblem } from "./problem.ts";
import { compile, type EvaluateOptions, type Program } from "./program.ts";
import type { Value } from "./value.ts";

function program(text: string): Program {
  const compiled = compile([{ file: "t.rego", text: `package t\n${text}` }]);
  if (compiled.kind === "problems") throw new TypeError(`${compiled.problems.map(writeProblem).join("\n")}\n${text}`);
  return compiled.program;
}

function outcome(subject: Program, query: string, options: EvaluateOptions): string {
  const answer = subject.evaluate(query, options);
  if (answer.kind === "value") return writeJson(answer.value);
  return answer.kind === "error" ? answer.error.code : "undefined";
}

const small = fc.integer({ min: 0, max: 3 });
const name = fc.constantFrom("a", "b", "c");
const json: fc.Arbitrary<Value> = fc.jsonValue({ maxDepth: 3 }).map((value) => value as Value); // no -0: JSON has one zero
const input = fc.record({ a: small, b: small, c: fc.array(small, { maxLength: 3 }) });

/** Conditions that need no variables of each other. */
const condition = fc.oneof(
  fc.tuple(name, small).map(([field, value]) => `input.${field} == ${value}`),
  fc.tuple(name, small).map(([field, value]) => `input.${field} != ${value}`),
  fc.tuple(name, small).map(([field, value]) => `not input.${field} > ${value}`),
  fc.tuple(name, fc.array(small, { minLength: 1, maxLength: 3 })).map(([field, all]) => `input.${field} in {${all}}`),
  small.map((value) => `some item in input.c; item >= ${value}`),
  small.map((value) => `every item in input.c { item < ${value} }`),
  small.map((value) => `count([item | some item in input.c; item == ${value}]) > 0`),
);

const rules = fc.array(fc.tuple(small, fc.uniqueArray(condition, { minLength: 1, maxLength: 3 })), { maxLength: 8 });

/** Rules for one document; `item` is declared once in each body. */
function writeRules(head: (value: number) => string, all: readonly (readonly [number, readonly string[]])[]): string {
  return all
    .map(([value, conditions]) => {
      const body = conditions.map((text, index) => text.replaceAll("item", `item${index}`));
      return `${head(value)} if {\n  ${body.join("\n  ")}\n}\n`;
    })
    .join("");
}

test("the same policy gives the same answer to the same input, each time and compiled again", () => {
  fc.assert(
    fc.property(rules, rules, fc.array(input, { minLength: 1, maxLength: 4 }), (complete, partial, inputs) => {
      const text = `default p := "none"\n${writeRules((value) => `p := ${value}`, complete)}\ns contains "never" if false\n${writeRules((value) => `s contains ${value}`, partial)}`;
      const subject = program(text);
      const answers = () => inputs.map((each) => outcome(subject, "[data.t.s, data.t.p]", { input: each }));
      const first = answers();
      expect(answers()).toEqual(first);
      const again = program(text);
      expect(inputs.map((each) => outcome(again, "[data.t.s, data.t.p]", { input: each }))).toEqual(first);
    }),
    { numRuns: 150 },
  );
});

test("finding rules by what they demand changes no answer", () => {
  fc.assert(
    fc.property(rules, input, (all, given) => {
      const found = program(`s contains "never" if false\n${writeRules((value) => `s contains ${value}`, all)}`);
      // Inside a list, a demand is not seen.
      const hidden = all.map(
        ([value, conditions]) =>
          [
            value,
            conditions.map((text) => text.replace(/^(input\.\w) (==|in) (.*)$/, "[1 | $1 $2 $3] == [1]")),
          ] as const,
      );
      const looked = program(`s contains "never" if false\n${writeRules((value) => `s contains ${value}`, hidden)}`);
      expect(outcome(found, "data.t.s", { input: given })).toBe(outcome(looked, "data.t.s", { input: given }));
    }),
    { numRuns: 300 },
  );
});

test("the order in which expressions are written changes no answer", () => {
  const expressions = ["x = input.c[i]", "y = x + 1", "z = [y, i]", "z = [k, l]", "k > 0", "m = {k: l}", "not y == 2"];
  fc.assert(
    fc.property(fc.shuffledSubarray(expressions, { minLength: expressions.length }), input, (shuffled, given) => {
      const text = (body: readonly string[]) => `p contains [x, y, z, m] if {\n${body.join("\n")}\n}`;
      const wanted = outcome(program(text(expressions)), "data.t.p", { input: given });
      expect(outcome(program(text(shuffled)), "data.t.p", { input: given })).toBe(wanted);
    }),
    { numRuns: 200 },
  );
});

test("with leaves no trace behind its expression", () => {
  const subject = program(`f(x) := x
g(_) := "g"
seen := [object, data.base, f(1), count([1])]
object := o if { o := input } else := "no input"
p := [before, inside, after] if {
  before := seen
  inside := seen with input as data.new with data.base as data.new with f as g with count as 9
  after := seen
}
q contains [x, seen] if some x in inner
inner contains y if { some y in input.c; seen with input as {"c": [4]} with f as g }`);
  fc.assert(
    fc.property(json, json, (given, replacement) => {
      const options = { input: given, data: { base: 1, new: replacement } };
      const text = outcome(subject, "data.t.p", options);
      const seen = outcome(subject, "data.t.seen", options);
      expect(text.startsWith(`[${seen},[${writeJson(replacement)},`)).toBe(true);
      expect(text.endsWith(`],${seen}]`)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test("a key of a document has what the whole document has there", () => {
  const subject = program(`q[x] := y if some x, y in input.o
q[x][y] := z if some [x, y, z] in input.deep
s contains x if some x in input.list
one := {k: q[k] | some k in input.keys}
all := {k: whole[k] | whole := q; some k in input.keys}
found := [s[k] | some k in input.keys]
wanted := [k | set := s; some k in input.keys; set[k]]`);
  const key = fc.constantFrom<Value>("a", "b", 1, 2, null, true);
  const given = fc.record({
    o: fc.dictionary(fc.constantFrom("a", "b"), small),
    deep: fc.array(fc.tuple(fc.constantFrom<Value>(1, 2, null), small, small), { maxLength: 3 }),
    list: fc.array(key, { maxLength: 4 }),
    keys: fc.array(key, { maxLength: 6 }),
  });
  fc.assert(
    fc.property(given, (each) => {
      const options = { input: each as unknown as Value }; // plain JSON by its making
      const whole = outcome(subject, "data.t.all", options);
      // A contradiction elsewhere in the document is no matter of the key.
      if (whole !== "eval_conflict_error") expect(outcome(subject, "data.t.one", options)).toBe(whole);
      expect(outcome(subject, "data.t.found", options)).toBe(outcome(subject, "data.t.wanted", options));
    }),
    { numRuns: 300 },
  );
});
