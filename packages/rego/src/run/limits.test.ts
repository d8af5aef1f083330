/** Every bound of an evaluation, and texts and inputs made to break one: the end is an error, never a value. */
import { describe, expect, test } from "vitest";
import { writeProblem } from "../problem.ts";
import { type Answer, compile, type EvaluateOptions } from "../program.ts";
import type { Value } from "../value.ts";

function evaluate(text: string, options: EvaluateOptions = {}): Answer {
  const compiled = compile([{ file: "t.rego", text: `package t\n${text}` }]);
  if (compiled.kind === "problems") throw new TypeError(compiled.problems.map(writeProblem).join("\n").slice(0, 500));
  return compiled.program.evaluate("data.t.p", options);
}

function lines(count: number, line: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => `${line(index)}\n`).join("");
}

function nested(depth: number): Value {
  let value: Value = 1;
  for (let index = 0; index < depth; index += 1) value = [value];
  return value;
}

const ONE_HUNDRED_THOUSAND = { steps: 100_000 };

describe("the bound on steps", () => {
  test.each([
    ["a join of many lists", "p if { n := numbers.range(1, 100); n[a] + n[b] + n[c] + n[d] == 0 }"],
    ["a range of a hundred thousand million", "p := numbers.range(1, 100000000000)"],
    ["a range beyond every double", "p := numbers.range(1, 1e300)"],
    [
      "values that double in size when compared",
      `a0 := [1]\nb0 := [1]\n${lines(60, (i) => `a${i + 1} := [a${i}, a${i}]\nb${i + 1} := [b${i}, b${i}]`)}p if a60 == b60`,
    ],
    [
      "values that double in size as keys",
      `a0 := [1]\n${lines(60, (i) => `a${i + 1} := [a${i}, a${i}]`)}p := {x | some i in numbers.range(1, 20); x := [i, a60]}`,
    ],
    [
      "values that double in size when written",
      `a0 := [1]\n${lines(60, (i) => `a${i + 1} := [a${i}, a${i}]`)}p := $"{a60}"`,
    ],
    [
      "rules that double under with",
      `q0 := input\n${lines(40, (i) => `q${i + 1} := [x, y] if { x := q${i} with input as 1; y := q${i} with input as 2 }`)}p := q40`,
    ],
    [
      "every over a list in every over a list",
      "p if { n := numbers.range(1, 1000); every a in n { every b in n { a + b > 0 } } }",
    ],
  ])("ends %s", (_, text) => {
    const answer = evaluate(text, { limits: ONE_HUNDRED_THOUSAND });
    expect(answer).toMatchObject({ kind: "error", error: { code: "eval_limit_error", message: /steps/ } });
  });

  test("is not used up by an evaluation before", () => {
    const compiled = compile([{ file: "t.rego", text: "package t\np := count(numbers.range(1, 60000))" }]);
    if (compiled.kind === "problems") throw new TypeError("it compiles");
    for (let run = 0; run < 3; run += 1) {
      expect(compiled.program.evaluate("data.t.p", { limits: ONE_HUNDRED_THOUSAND })).toEqual({
        kind: "value",
        value: 60_000,
      });
    }
  });

  test("does not end a function that doubles: its answers are kept", () => {
    const text = `f0(x) := x\n${lines(50, (i) => `f${i + 1}(x) := f${i}(x) + f${i}(x)`)}p := f50(1)`;
    expect(evaluate(text, { limits: ONE_HUNDRED_THOUSAND })).toEqual({ kind: "value", value: 2 ** 50 });
  });
});

describe("the bound on time", () => {
  test("ends an evaluation that takes longer by the clock it is given", () => {
    let now = 0;
    const nowMs = () => {
      now += 10;
      return now;
    };
    const text = "p if { n := numbers.range(1, 1000); n[a] + n[b] + n[c] == 0 }";
    const answer = evaluate(text, { nowMs, limits: { timeMs: 100, steps: 1_000_000_000 } });
    expect(answer).toMatchObject({ kind: "error", error: { code: "eval_limit_error", message: /100 ms/ } });
    expect(now).toBeLessThan(200);
  });
});

describe("the bound on depth", () => {
  const input = nested(100_000);

  test.each([
    ["comparing", "p if [input] == [input[0]]"],
    ["ordering", "p if input < input[0]"],
    ["naming", "p := {[input], [input[0]], 1, 2, 3, 4, 5, 6, 7, 8, 9}"],
    ["writing", 'p := $"{input}"'],
    ["answering", "p := input"],
  ])("ends %s a value that is too deep", (_, text) => {
    expect(evaluate(text, { input })).toMatchObject({
      kind: "error",
      error: { code: "eval_limit_error", message: /deep/ },
    });
  });

  test("does not end a chain of rules that is longer than the stack is deep", () => {
    const chain = lines(20_000, (i) => `r${i} := r${i + 1} + 1`);
    expect(evaluate(`${chain}r20000 := 1\np := r0`)).toEqual({ kind: "value", value: 20_001 });
    // What is wrong at its end is an error, if only that the chain is long. Rules that end with an error do not matter where nobody asks for them.
    expect(
      evaluate(`${chain}r20000 := 1\np := r0\nwrong := 1\nwrong := 2 if input.x == 1`, { input: { x: 1 } }),
    ).toEqual({
      kind: "value",
      value: 20_001,
    });
    expect(evaluate(`${chain}r20000 := 1\nr20000 := 2 if input.x == 1\np := r0`, { input: { x: 1 } })).toMatchObject({
      kind: "error",
      error: { code: "eval_limit_error" },
    });
  });

  test("ends a chain of functions, or of rules under with, that is too long", () => {
    const functions = `${lines(20_000, (i) => `f${i}(x) := f${i + 1}(x)`)}f20000(x) := x\np := f0(1)`;
    const rules = `${lines(20_000, (i) => `r${i} := r${i + 1}`)}r20000 := input\np if r0 with input as 1`;
    for (const text of [functions, rules]) {
      expect(evaluate(text)).toMatchObject({ kind: "error", error: { code: "eval_limit_error", message: /deep/ } });
    }
  });
});

describe("the bounds on sizes", () => {
  test("end a string that doubles", () => {
    const text = `a0 := "0123456789"\n${lines(40, (i) => `a${i + 1} := $"{a${i}}{a${i}}"`)}p := count(a40)`;
    expect(evaluate(text)).toMatchObject({ kind: "error", error: { code: "eval_limit_error", message: /string/ } });
  });

  test("end an answer that doubles", () => {
    const text = `a0 := [1]\n${lines(60, (i) => `a${i + 1} := [a${i}, a${i}]`)}p := a60`;
    expect(evaluate(text)).toMatchObject({ kind: "error", error: { code: "eval_limit_error", message: /answer/ } });
  });

  test("make a number that squares undefined, as any error of a built-in", () => {
    expect(evaluate(`a0 := 10\n${lines(40, (i) => `a${i + 1} := a${i} * a${i}`)}p := a40`)).toEqual({
      kind: "undefined",
    });
  });
});

describe("texts of many parts", () => {
  test("compile, when they are long bodies, long chains of else, or many rules", () => {
    expect(evaluate(`p if {\nx0 := 1\n${lines(5_000, (i) => `x${i + 1} := x${i} + 1`)}}`)).toEqual({
      kind: "value",
      value: true,
    });
    expect(evaluate(`p if {\n${lines(1_000, (i) => `some x${i} in [1]`)}}`)).toEqual({ kind: "value", value: true });
    const chain = `p := 0 if false${lines(2_000, (i) => ` else := ${i} if input.x == ${i}`).replaceAll("\n", "")}`;
    expect(evaluate(chain, { input: { x: 1_999 } })).toEqual({ kind: "value", value: 1_999 });
  });

  test("compile in reasonable time: a module of ten thousand lines", () => {
    const rules = lines(1_000, (i) =>
      [
        `r${i} := x if {`,
        "  some role in input.roles",
        `  role == "role${i}"`,
        "  x := {",
        `    "id": ${i},`,
        `    "names": [name | some name in input.names; name != "n${i}"],`,
        "  }",
        `  count(x.names) > ${i % 7}`,
        "}",
      ].join("\n"),
    );
    const text = `package t\n${rules}p := r7\n`;
    const begin = performance.now();
    const compiled = compile([{ file: "t.rego", text }]);
    process.stdout.write(`${text.split("\n").length} lines compiled in ${Math.round(performance.now() - begin)} ms\n`);
    expect(compiled.kind).toBe("program");
  });

  test("with a ring of ten thousand rules are refused as recursive", () => {
    const compiled = compile([
      { file: "t.rego", text: `package t\n${lines(10_000, (i) => `r${i} := r${(i + 1) % 10_000}`)}` },
    ]);
    expect(compiled).toMatchObject({ kind: "problems", problems: [{ code: "rego_recursion_error" }] });
  });
});
