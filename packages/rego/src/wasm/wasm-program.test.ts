import { expect, test } from "vitest";
import { builtin } from "../builtins/builtin.ts";
import { parseNumber } from "../number.ts";
import { compile, type Evaluator } from "../program.ts";
import { ANY, NUMBER } from "../types.ts";
import type { Value } from "../value.ts";
import { tinyPolicy } from "./tiny-policy.fixture.ts";
import { loadWasm, type WasmOptions, type WasmProgram } from "./wasm-program.ts";

async function loaded(options?: WasmOptions): Promise<WasmProgram> {
  const result = await loadWasm(tinyPolicy(), options);
  if (result.kind === "fault") throw new TypeError(result.message);
  return result.program;
}

/** What the fixture does, in Rego. */
function sameInRego(): Evaluator {
  const text = "package tiny\n\necho := input\n\nnothing if false\n\nbase := data.base\n\nsize := count(input)\n";
  const compiled = compile([{ file: "tiny.rego", text }]);
  if (compiled.kind === "problems") throw new TypeError(compiled.problems[0]?.message);
  return compiled.program;
}

test("a compiled policy has its entry points as queries", async () => {
  expect((await loaded()).queries).toEqual([
    "data.tiny.echo",
    "data.tiny.nothing",
    "data.tiny.base",
    "data.tiny.trap",
    "data.tiny.size",
  ]);
});

test.each<[string, Value | undefined]>([
  ["data.tiny.echo", { roles: ["admin"], name: "Ada" }],
  ["data.tiny.echo", "é😀"],
  ["data.tiny.echo", false],
  ["data.tiny.echo", 0],
  ["data.tiny.echo", undefined],
  ["data.tiny.nothing", 1],
  ["data.tiny.size", [1, 2, 3]],
  ["data.tiny.size", 5],
])("a compiled policy and a program of modules answer alike: %s of %j", async (query, input) => {
  const options = { input };
  const answer = (await loaded()).evaluate(query, options);
  expect(answer).toEqual(sameInRego().evaluate(query, options));
});

test("a compiled policy sees the data of each evaluation", async () => {
  const program = await loaded();
  const data = { a: [1] };
  expect(program.evaluate("data.tiny.base", { data })).toEqual({ kind: "value", value: data });
  expect(program.evaluate("data.tiny.base", { data })).toEqual({ kind: "value", value: data });
  expect(program.evaluate("data.tiny.base", { data: { b: 2 } })).toEqual({ kind: "value", value: { b: 2 } });
  expect(program.evaluate("data.tiny.base")).toEqual({ kind: "value", value: {} });
});

test("an input larger than the memory at hand makes it grow, up to its bound", async () => {
  const input = "x".repeat(1_000_000);
  expect((await loaded({ memoryPagesMax: 100 })).evaluate("data.tiny.echo", { input }).kind).not.toBe("undefined");
  expect((await loaded({ memoryPagesMax: 6 })).evaluate("data.tiny.echo", { input }).kind).toBe("error");
});

test("a built-in of the caller's is called with the values of the policy", async () => {
  const count = builtin("count", [ANY], NUMBER, (_, value) => [value, parseNumber("7") ?? null]);
  const program = await loaded({ builtins: [count] });
  expect(program.evaluate("data.tiny.size", { input: { a: 1 } })).toEqual({ kind: "value", value: [{ a: 1 }, 7] });
});

test("a trap is an error of the evaluation, and the next evaluation answers", async () => {
  const program = await loaded();
  expect(program.evaluate("data.tiny.trap")).toMatchObject({ kind: "error", error: { code: "eval_internal_error" } });
  expect(program.evaluate("data.tiny.echo", { input: 1 })).toEqual({ kind: "value", value: 1 });
});

test("a query that is no entry point is refused, and bytes that are no policy are a fault", async () => {
  const program = await loaded();
  expect(() => program.evaluate("data.tiny.other")).toThrow(/no entry point/);
  expect(await loadWasm(new Uint8Array([1, 2, 3]))).toMatchObject({ kind: "fault" });
});
