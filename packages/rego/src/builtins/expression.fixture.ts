/** What tests of built-ins share: a table of Rego expressions and of what each is. */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { compile, writeValue } from "../index.ts";

/** An expression, and its value as Rego writes it; or `undefined`; or `error: ` and how the error goes on. */
export type Row = readonly [expression: string, wanted: string];

/** Makes a test of each row. */
export function testExpressions(rows: readonly Row[]): void {
  test.each(rows)("%s is %s", (expression, wanted) => {
    const found = valueText(expression);
    if (wanted.startsWith("error: ")) expect(found).toContain(wanted);
    else expect(found).toBe(wanted);
  });
}

export function valueText(expression: string, input?: unknown): string {
  const compiled = compile([]);
  if (compiled.kind === "problems") throw new TypeError("no modules have no problems");
  const answer = compiled.program.evaluate(expression, {
    ...(input === undefined ? {} : { input: input as never }), // plain JSON
    strictBuiltinErrors: true,
    randomBytes: (count) => randomBytes(count),
  });
  switch (answer.kind) {
    case "value":
      return writeValue(answer.value);
    case "undefined":
      return "undefined";
    case "error":
      return `error: ${answer.error.message}`;
  }
}
