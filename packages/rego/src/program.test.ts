import { describe, expect, test } from "vitest";
import { builtin } from "./builtins/builtin.ts";
import { writeJson } from "./json.ts";
import { Decimal } from "./number.ts";
import { writeProblem } from "./problem.ts";
import { compile, type EvaluateOptions, type Program } from "./program.ts";
import { runTests } from "./run/run-tests.ts";
import { Coverage } from "./run/trace.ts";
import { STRING } from "./types.ts";
import { ObjectBuilder, ValueSet } from "./value.ts";

function program(...texts: string[]): Program {
  const compiled = compile(texts.map((text, index) => ({ file: `m${index}.rego`, text })));
  if (compiled.kind === "problems") throw new TypeError(compiled.problems.map(writeProblem).join("\n"));
  return compiled.program;
}

/** The value of `data.t.p` as JSON; or the code of an error, or "undefined". */
function valueText(text: string, options: EvaluateOptions = {}): string {
  const answer = program(`package t\n${text}`).evaluate("data.t.p", options);
  if (answer.kind === "value") return writeJson(answer.value);
  return answer.kind === "error" ? answer.error.code : answer.kind;
}

function problemsOf(text: string): string[] {
  const compiled = compile([{ file: "t.rego", text: `package t\n${text}` }]);
  return compiled.kind === "problems" ? compiled.problems.map(writeProblem) : [];
}

describe("a query", () => {
  test.each([
    [
      '1 + "a"',
      "query:1:1: rego_type_error: plus: invalid argument(s): have: (number, string), want: (number, number)",
    ],
    ["data.t.p.foo", "query:1:1: rego_type_error: undefined ref: data.t.p.foo: there is none in number"],
    ['data.t.f("a")', "query:1:1: rego_type_error: data.t.f: invalid argument(s): have: (string), want: (number)"],
  ])("%s is refused for its types", (query, problem) => {
    const prepared = program("package t\np := 1\nf(x) := x + 1").prepare(query);
    expect(prepared.kind === "problems" && prepared.problems.map(writeProblem)).toEqual([problem]);
  });

  test("that the modules give no sense is answered with an error, explained or not", () => {
    const ill = program("package writ\ndecision(x) := x");
    const answer = { kind: "error", error: { code: "eval_type_error" } };
    expect(ill.evaluate("data.writ.decision")).toMatchObject(answer);
    expect(ill.explain("data.writ.decision")).toMatchObject({ answer, runs: [] });
    expect(() => ill.evaluate("data.writ.")).toThrow(TypeError);
  });
});

describe("an input", () => {
  test("is used as it is, without being copied", () => {
    const input = { roles: ["a", "b"], nested: { list: [1, 2, 3] } };
    const answer = program("package t\np := input.nested").evaluate("data.t.p", { input });
    expect(answer.kind === "value" && answer.value).toBe(input.nested);
  });

  test("has no members but its own", () => {
    for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
      expect(valueText(`p := input.${name}`, { input: {} })).toBe("undefined");
      expect(valueText(`p := input["${name}"]`, { input: Object.create(null) })).toBe("undefined");
      expect(valueText(`p := input[input.x]`, { input: { x: name } })).toBe("undefined");
    }
    expect(valueText("p := input.list.length", { input: { list: [1] } })).toBe("undefined");
    expect(valueText("p := input.big.exponent", { input: { big: new Decimal(123456789012345678901n, 0) } })).toBe(
      "undefined",
    );
    expect(valueText('p := input["size"]', { input: new ValueSet([1]) })).toBe("undefined");
  });

  test("may have a member of any name", () => {
    const builder = new ObjectBuilder();
    builder.set("__proto__", { admin: true });
    expect(valueText("p := input.__proto__.admin", { input: builder.finish() })).toBe("true");
    expect(valueText('p := {k: v | some k, v in {"__proto__": 1, "a": 2}}')).toBe('{"__proto__":1,"a":2}');
  });

  test("that is missing is undefined, not null", () => {
    expect(valueText("p if not input")).toBe("true");
    expect(valueText("p := input", { input: null })).toBe("null");
    expect(valueText("p if input == false", { input: false })).toBe("true");
  });
});

describe("expressions", () => {
  test.each([
    ["p if { y > 1; y = x + 1; x = 1 }", "true"],
    ["p := x if { [x, [1, y]] = [y, [z, 3]]; z == 1 }", "3"],
    ['p := [a, b] if { {"x": a, "y": [b, _]} := {"x": 1, "y": [2, 3]} }', "[1,2]"],
    ["p if { {1, 2} == {2, 1}; {1} != {2}; [1] < [1, 2]; {} < set() }", "true"],
    ["p := [x | some x in {3, 1, 2}]", "[1,2,3]"],
    ['p := [k | some k, _ in {"b": 1, "a": 2, "\u{1f600}": 3, "\uffee": 4}]', '["a","b","\uffee","\u{1f600}"]'],
    ["p := {x: y | some x, y in [5, 6]}", '{"0":5,"1":6}'],
    ["p if { every x in [] { x > 1 } }", "true"],
    ["p if { every i, x in [0, 1] { i == x } }", "true"],
    ["p if { every x in 5 { x } }", "undefined"],
    ["p if { not false; not input.a; not 1 > 2 }", "true"],
    ['p if { 2 in {"a": 2}; "a", 2 in {"a": 2}; not 3 in [1] }', "true"],
    ["p := x if { x := 1 } else := 2", "1"],
    ['p := "a" if false else := "b" if input.x else := "c"', '"c"'],
    ["p := 9007199254740993 + 1", "9007199254740994"],
    ["p := 0.1 + 0.2", "0.3"],
    ["p := {1, 2, 3} - {2} | {5} & {5}", "[1,3,5]"],
    ['p := $"{1 + 1} {input.x} \\{x}"', '"2 <undefined> {x}"'],
    ['p := x if { x = input.a with input as {"a": 1} }', "1"],
    ["p := [x | x := [1, 2][_]; not x == 1]", "[2]"],
    ["p := count([x | some x in [1, 2, 3]; x > 1])", "2"],
    ["p := 1 / 0", "undefined"],
    ["p := x[2] if x := [i | some i in [1, 2]]", "undefined"],
    ["p if { a := [1, 2, 3]; a[i] == 3; i == 2 }", "true"],
    ['p if { s := {"a", "b"}; s.a; s["b"] }', "true"],
  ] as const)("such as %s give %s", (text, wanted) => expect(valueText(text)).toBe(wanted));
});

describe("documents", () => {
  test("are made of rules and base data together, rules before data", () => {
    const modules = [
      "package a.b\np := 1\nq contains x if some x in [1, 2]",
      "package a.c.d\nf(x) := x\nr := 2 if false",
    ];
    const answer = program(...modules).evaluate("data.a", { data: { a: { b: { p: "hidden", z: 0 }, e: true } } });
    expect(answer.kind === "value" && writeJson(answer.value)).toBe(
      '{"b":{"p":1,"q":[1,2],"z":0},"c":{"d":{}},"e":true}',
    );
  });

  test("are reached by paths with variables", () => {
    const text = `p := [k | some k; data.t.items[k].on]
items.a.on := true
items.b.on := false
items.c.off := true`;
    expect(valueText(text, { data: { t: { items: { z: { on: 1 } } } } })).toBe('["a","z"]');
  });

  test("of which one key is asked are what the whole document has there", () => {
    const text = `q[x] := y if { some x, y in {"a": 1, "b": 2} }
q.c := 3
s contains x if some x in ["a", "b"]
whole := q
p := [q.a, whole.a, q[input.k], whole[input.k], q.c, s.a, q.none] if false else := [q.a, whole.a, q[input.k], whole[input.k], q.c, s.a]`;
    expect(valueText(text, { input: { k: "b" } })).toBe('[1,1,2,2,3,"a"]');
  });

  test("that rules contradict each other about are errors with their places", () => {
    const answer = program("package t\np := 1 if input.a\n\np := 2 if input.b").evaluate("data.t.p", {
      input: { a: 1, b: 1 },
    });
    expect(answer).toMatchObject({ kind: "error", error: { code: "eval_conflict_error", file: "m0.rego", line: 4 } });
    expect(valueText("p[x] := y if { x := [1, 1][y] }")).toBe("eval_conflict_error");
    expect(valueText("p := {x: y | x := [1, 1][y]}")).toBe("eval_conflict_error");
    expect(valueText("f(x) := 1\nf(x) := 2\np := f(1)")).toBe("eval_conflict_error");
    expect(valueText("p := x if some x in [1, 2]")).toBe("eval_conflict_error");
    expect(valueText("p := x if some x in [1, 1]")).toBe("1");
  });
});

describe("with", () => {
  test("replaces input, data, functions and built-ins for one expression", () => {
    const text = `f(x) := x
g(_) := "g"
q := [input.a, data.base, f(1), count([1, 2])]
p := [q, r, q] if { r := q with input.a as 2 with data.base as 3 with f as g with count as 7 }`;
    const options = { input: { a: 1 }, data: { base: 0 } };
    expect(valueText(text, options)).toBe('[[1,0,1,2],[2,3,"g",7],[1,0,1,2]]');
  });

  test("never takes what is known of one scope for another", () => {
    const text = `q[x] := input.v if some x in ["a"]
f(x) := [x, input.v]
often := [f(1) | some _ in numbers.range(1, 30)]
p := [q.a, often[29], inside, q.a, often[29], f(1)] if { inside := [q.a, often[29], f(1)] with input.v as "in" }`;
    expect(valueText(text, { input: { v: "out" } })).toBe(
      '["out",[1,"out"],["in",[1,"in"],[1,"in"]],"out",[1,"out"],[1,"out"]]',
    );
  });

  test("keeps a function that stands in for another from itself", () => {
    expect(valueText("f(x) := x\ng(x) := f(x) + 1\np := x if x := f(1) with f as g")).toBe("2");
  });

  test("shadows rules below the path that it replaces", () => {
    expect(valueText('p := x if { x := data.t.q with data.t.q as "new" }\nq := "old"')).toBe('"new"');
    expect(valueText('p := x if { x := data.u with data.u as {"z": 1} }', { data: { u: 1 } })).toBe('{"z":1}');
  });

  test("does not put a document below data that is none", () => {
    const options = { data: { a: "text" } };
    expect(valueText("p := x if { x := data.a with data.a.b as 1 }", options)).toBe("eval_with_merge_error");
    expect(valueText("p := x if { x := data.a with data.a as 2 with data.a.b as 1 }", options)).toBe('{"b":1}');
  });

  test("of an undefined value makes the expression undefined", () => {
    expect(valueText("p if { true with input as input.none }")).toBe("undefined");
  });
});

describe("what cannot be compiled", () => {
  test.each([
    ["p if x == 1", "rego_unsafe_var_error: var x is unsafe"],
    ["p if not input.x[_] == 1", "rego_unsafe_var_error: var _ is unsafe"],
    ["p if { [x | some x in [1]; x > y]; y == 2 }", "rego_unsafe_var_error: var y is unsafe"],
    ["p := x if { x := 1; x := 2 }", "rego_compile_error: var x assigned above"],
    ["p if { y := x; x := 1; y == 1 }", "rego_compile_error: var x referenced above"],
    ["f(x) := y if { x := 1; y := x }", "rego_compile_error: arg x redeclared"],
    ["p if { some x }", "rego_compile_error: declared var x unused"],
    ["p if { input := 1 }", "rego_compile_error: variables must not shadow input"],
    ["data := 1", "rego_compile_error: rules must not shadow data"],
    ["q := p\np := q", "rego_recursion_error: rule data.t.q is recursive: data.t.q -> data.t.p -> data.t.q"],
    ["p := data.t", "rego_recursion_error: rule data.t.p is recursive"],
    ["p := data[x] if x := input.x", "rego_recursion_error: rule data.t.p is recursive"],
    ["p := count(1)", "rego_type_error: count: invalid argument(s)"],
    ["p := count([], 1, 2)", "rego_type_error: count: arity mismatch"],
    ["p := coutn([])", "rego_type_error: undefined function coutn (hint: did you mean count?)"],
    ['p if 1 == "a"', "rego_type_error: match error: left: number, right: string"],
    ['q := {"a": 1}\np := q.b', "rego_type_error: undefined ref: data.t.q.b"],
    ["p := http.send({})", "rego_type_error: the built-in http.send is not offered"],
    ["p := 1\np contains 2", "rego_type_error: conflicting rules data.t.p found"],
    ["p := 1\np.q := 2", "rego_type_error: rule data.t.p conflicts with [data.t.p.q]"],
    ["f(x) := 1\nf(x, y) := 2", "rego_type_error: conflicting rules data.t.f found"],
    ["default p := 1\ndefault p := 2", "rego_type_error: multiple default rules data.t.p found"],
    ["default p := input.x", "rego_compile_error: illegal default rule"],
    [
      "p if { true with foo.bar as 1 }",
      "rego_compile_error: with keyword target must reference existing input, data, or a function",
    ],
    ["f(x) := x\ng(x, y) := x\np if f(1) with f as g", "rego_type_error: with keyword cannot replace a function"],
    ["import data.a\nimport data.b.a\np := 1", "rego_compile_error: import must not shadow import data.a"],
  ])("is told: %s", (text, message) => expect(problemsOf(text).join("\n")).toContain(message));

  test("is told with file, line and column", () => {
    expect(problemsOf("\n\n  p if {\n    x == 1\n  }")).toEqual([
      "t.rego:5:5: rego_unsafe_var_error: var x is unsafe (hint: nothing gives x a value)",
    ]);
  });
});

describe("a query", () => {
  test("gives all values of its variables", () => {
    const prepared = program("package t\nq[x] := y if some x, y in [5, 6]").prepare("data.t.q[i] = x; x > 4");
    if (prepared.kind === "problems") throw new TypeError("it compiles");
    expect(prepared.query.results({})).toEqual({
      kind: "results",
      results: [
        { i: 0, x: 5 },
        { i: 1, x: 6 },
      ],
    });
    expect(prepared.query.evaluate({})).toEqual({ kind: "value", value: true });
  });

  test("that is wrong has problems", () => {
    expect(program("package t\np := 1").prepare("data.t.p == ")).toMatchObject({ kind: "problems" });
    expect(program("package t\np := 1").prepare("x > 1")).toMatchObject({
      kind: "problems",
      problems: [{ code: "rego_unsafe_var_error" }],
    });
  });
});

describe("built-ins", () => {
  test("of the caller stand beside those of the engine", () => {
    const shout = builtin("shout", [STRING], STRING, (_, text) => `${String(text)}!`);
    const compiled = compile([{ file: "t.rego", text: 'package t\np := shout("a")' }], { builtins: [shout] });
    if (compiled.kind === "problems") throw new TypeError("it compiles");
    expect(compiled.program.evaluate("data.t.p")).toEqual({ kind: "value", value: "a!" });
  });

  test("that fail make an expression undefined, and end a strict evaluation with their place", () => {
    const subject = program('package t\np := "fell back" if not q\nq := 1 % 0');
    expect(subject.evaluate("data.t.p")).toEqual({ kind: "value", value: "fell back" });
    expect(subject.evaluate("data.t.p", { strictBuiltinErrors: true })).toMatchObject({
      kind: "error",
      error: { code: "eval_builtin_error", message: "rem: modulo by zero", line: 3, column: 6 },
    });
  });

  test("may evaluate another query of the same program", () => {
    const again = builtin("again", [], STRING, () => {
      const answer = compiled.kind === "program" ? compiled.program.evaluate("data.t.q", { input: 2 }) : undefined;
      return answer?.kind === "value" ? answer.value : undefined;
    });
    const compiled = compile([{ file: "t.rego", text: "package t\nq := input\np := [q, again(), q]" }], {
      builtins: [again],
    });
    if (compiled.kind === "problems") throw new TypeError("it compiles");
    expect(compiled.program.evaluate("data.t.p", { input: 1 })).toEqual({ kind: "value", value: [1, 2, 1] });
  });
});

describe("rego.parse_module", () => {
  test("answers with the syntax tree that OPA writes", () => {
    const text = "package a.b\np contains x if { some x in input.y; not x == _ } # why";
    const answer = program('package t\np := rego.parse_module("x.rego", input)').evaluate("data.t.p", { input: text });
    const ref = (...path: string[]) => ({
      type: "ref",
      value: path.map((value, index) => ({ type: index === 0 ? "var" : "string", value })),
    });
    const variable = (value: string) => ({ type: "var", value });
    expect(answer).toMatchObject({
      kind: "value",
      value: {
        package: { path: [variable("data"), { type: "string", value: "a" }, { type: "string", value: "b" }] },
        rules: [
          {
            head: { name: "p", ref: [variable("p")], key: variable("x") },
            body: [
              {
                index: 0,
                terms: {
                  symbols: [{ type: "call", value: [ref("internal", "member_2"), variable("x"), ref("input", "y")] }],
                },
              },
              { index: 1, negated: true, terms: [ref("equal"), variable("x"), variable("$0")] },
            ],
          },
        ],
      },
    });
  });

  test("is an error for what is no module", () => {
    const answer = program('package t\np := rego.parse_module("x.rego", input)').evaluate("data.t.p", {
      input: "package foo.",
      strictBuiltinErrors: true,
    });
    expect(answer).toMatchObject({
      error: { message: "rego.parse_module: rego_parse_error: unexpected eof token: expected ident" },
    });
  });
});

describe("an explanation", () => {
  test("tells which rules ran, how far they came, and with which values", () => {
    const subject = program(`package t

allow if {
  some role in input.roles
  role == "admin"
  input.age > limit
}

limit := 18

allow if input.never`);
    const { answer, runs } = subject.explain("data.t.allow", { input: { roles: ["x", "admin"], age: 17 } });
    expect(answer).toEqual({ kind: "undefined" });
    expect(runs.map(({ path, line, depth, outcome }) => [path, line, depth, outcome])).toEqual([
      ["data.t.allow", 3, 0, "failed"],
      ["data.t.limit", 9, 1, "held"],
      ["data.t.allow", 11, 0, "failed"],
    ]);
    expect(runs[0]?.expressions).toEqual([
      { line: 4, column: 3, text: "some role in input.roles", reached: 1, held: 2, values: { role: "admin" } },
      { line: 5, column: 3, text: 'role == "admin"', reached: 2, held: 1, values: { role: "admin" } },
      { line: 6, column: 3, text: "input.age > limit", reached: 1, held: 0, values: {} },
    ]);
    expect(runs[1]?.values).toEqual([18]);
  });
});

describe("tests in Rego", () => {
  const subject = program(
    `package t
allow if input.x == 1
deny if input.y
unused if input.z`,
    `package t_test
import data.t
test_allow if t.allow with input.x as 1
test_deny if { print("denies"); t.deny with input as {} }
test_false := false
todo_test_later := false
test_error := 1 / data.zero`,
  );

  test("are run, each with its outcome and what it printed", () => {
    const runs = runTests(subject, { strictBuiltinErrors: true, data: { zero: 0 } });
    expect(runs.map(({ path, outcome, notes }) => [path, outcome.kind, notes])).toEqual([
      ["data.t_test.test_allow", "passed", []],
      ["data.t_test.test_deny", "failed", ["denies"]],
      ["data.t_test.test_false", "failed", []],
      ["data.t_test.todo_test_later", "skipped", []],
      ["data.t_test.test_error", "error", []],
    ]);
    expect(runTests(subject, {}, (path) => path.includes("allow"))).toHaveLength(1);
  });

  test("show which lines they reach", () => {
    const coverage = new Coverage();
    runTests(subject, { coverage });
    expect(coverage.report()[0]).toEqual({ file: "m0.rego", covered: [2], notCovered: [3, 4] });
  });
});
