/**
 * Every requirement is cited by the name of a test or stands in the list of what none covers yet, every id that a test
 * cites is a known one, and the promises are those of SECURITY.md. Whether a test proves what it cites is not seen here.
 */
import { globSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { REQUIREMENTS, UNCOVERED } from "./requirements.ts";

const ROOT = new URL("..", import.meta.url).pathname;
/** Mistakes that parts not built yet could make: tests may cite them already. */
const KNOWN_MAX = 64;

const cited = new Set(
  globSync(["packages/*/src/**/*.{test,contract}.ts", "test/**/*.test.ts", "tools/**/*.test.ts"], { cwd: ROOT })
    .filter((file) => !file.includes("node_modules") && !file.endsWith("requirements.test.ts"))
    .flatMap((file) => readFileSync(`${ROOT}/${file}`, "utf8").match(/trap-\d+|\bR-[A-Z]+-\d+/g) ?? []),
);
const uncovered = new Set(UNCOVERED.map(({ id }) => id));

it.each(REQUIREMENTS.filter(({ id }) => !uncovered.has(id)))("$id is cited by a test: $sentence", ({ id }) => {
  expect([...cited]).toContain(id);
});

it("what is listed as uncovered is a requirement, is listed once, and is cited by no test", () => {
  const known = new Set(REQUIREMENTS.map(({ id }) => id));
  expect(UNCOVERED.filter(({ id }) => !known.has(id) || cited.has(id))).toEqual([]);
  expect(uncovered.size).toBe(UNCOVERED.length);
});

it("no id is there twice, and none that is cited is unknown", () => {
  const known = new Set(REQUIREMENTS.map(({ id }) => id));
  expect(known.size).toBe(REQUIREMENTS.length);
  const isKnown = (id: string): boolean =>
    id.startsWith("R-") ? known.has(id) : /^trap-\d\d$/.test(id) && Number(id.slice("trap-".length)) <= KNOWN_MAX;
  expect([...cited].filter((id) => !isKnown(id))).toEqual([]);
});

it("SECURITY.md and the manifest make the same promises in the same words", () => {
  const page = readFileSync(`${ROOT}/SECURITY.md`, "utf8");
  // A promise goes on in the indented lines below its first.
  const promises = [...page.matchAll(/^- \*\*(R-[^*]+)\*\*(.*(?:\n {2}\S.*)*)/gm)].map(([, id, text = ""]) => ({
    id,
    sentence: text.replace(/\s+/g, " ").trim(),
  }));
  expect(promises.length).toBeGreaterThan(0);
  expect(REQUIREMENTS.filter(({ id }) => id.startsWith("R-"))).toEqual(promises);
});
