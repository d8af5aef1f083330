/** Every requirement is cited by the name of a test, and every number that a test cites is a known one. */
import { globSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { REQUIREMENTS } from "./requirements.ts";

const ROOT = new URL("..", import.meta.url).pathname;
/** Mistakes that parts not built yet could make: tests may cite them already. */
const KNOWN_MAX = 64;

const cited = new Set(
  globSync(["packages/*/src/**/*.{test,contract}.ts", "test/**/*.test.ts", "tools/**/*.test.ts"], { cwd: ROOT })
    .filter((file) => !file.includes("node_modules") && !file.endsWith("requirements.test.ts"))
    .flatMap((file) => readFileSync(`${ROOT}/${file}`, "utf8").match(/trap-\d+/g) ?? []),
);

it.each(REQUIREMENTS)("$id is cited by a test: $sentence", ({ id }) => {
  expect([...cited]).toContain(id);
});

it("no id is there twice, and none that is cited is unknown", () => {
  expect(new Set(REQUIREMENTS.map(({ id }) => id)).size).toBe(REQUIREMENTS.length);
  const unknown = [...cited].filter((id) => Number(id.slice("trap-".length)) > KNOWN_MAX || !/^trap-\d\d$/.test(id));
  expect(unknown).toEqual([]);
});
