import { expect, test } from "vitest";
import { ROUTES } from "../api/routes.ts";
import { createLazyValidators } from "./lazy-validators.ts";

/** More than any route takes, so that whatever a route's schema says it has something to refuse. */
const MALFORMED = "\u0000".repeat(100_000);

test("the schema of every route compiles, and refuses what is nothing like it", () => {
  const compile = createLazyValidators();
  let parts = 0;
  for (const { route, query, body } of ROUTES) {
    for (const [httpPart, schema] of [
      ["querystring", query],
      ["body", body],
    ] as const) {
      if (schema === undefined) continue;
      const validate = compile({ method: route.method, url: route.path, httpPart, schema });
      expect(validate(MALFORMED), `${route.method} ${route.path}`).toMatchObject({ error: [expect.anything()] });
      parts += 1;
    }
  }
  expect(parts).toBeGreaterThan(50);
});

test("a value is judged alike each time, and says what is wrong", () => {
  const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
  const validate = createLazyValidators()({ method: "POST", url: "/", httpPart: "body", schema });

  expect(validate({})).toMatchObject({ error: [{ message: "must have required property 'name'" }] });
  expect(validate({ name: "a" })).toBe(true);
  expect(validate({ name: 1 })).toMatchObject({ error: [{ instancePath: "/name" }] });
});
