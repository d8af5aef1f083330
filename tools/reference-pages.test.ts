import { globSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ACTIONS, EVENTS, REASONS } from "@writ/contract";
import { expect, test } from "vitest";
import { reference } from "./checks/reference.ts";
import { referencePages } from "./reference-pages.ts";

const ROOT = join(import.meta.dirname, "..");

function committedPage(name: string): string {
  return readFileSync(join(ROOT, "docs/reference", name), "utf8");
}

/** The names between backticks that `pattern` finds in a page, in order. */
function namesIn(text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? "");
}

test("the page of reasons and the list of reasons name the same codes, in either direction", () => {
  expect(namesIn(committedPage("reasons.md"), /^\| `(\w+)` \|/gm)).toEqual(Object.keys(REASONS));
});

test("the page of events and the catalogue name the same events, in either direction", () => {
  const named = namesIn(committedPage("events.md"), /^### `([\w.]+)`$/gm);

  expect([...named].sort()).toEqual(Object.keys(EVENTS).sort());
});

test("the page of actions and the list of actions name the same actions, in either direction", () => {
  expect(namesIn(committedPage("actions.md"), /^\| `([\w.]+)` \|/gm)).toEqual([...ACTIONS]);
});

test("the check refuses a page that is missing, out of date or left over", async () => {
  const root = await mkdtemp(join(tmpdir(), "writ-reference-"));
  try {
    expect(await reference.run(root)).toMatchObject({ kind: "failed" });
    for (const page of await referencePages()) {
      await mkdir(dirname(join(root, page.path)), { recursive: true });
      await writeFile(join(root, page.path), page.text);
    }
    expect(await reference.run(root)).toMatchObject({ kind: "passed" });
    await writeFile(join(root, "docs/reference/reasons.md"), "out of date");
    await writeFile(join(root, "docs/reference/left-over.md"), "nobody generates this");

    const outcome = await reference.run(root);

    expect(outcome.kind === "failed" ? outcome.findings.split("\n").length - 1 : 0).toBe(2);
  } finally {
    await rm(root, { recursive: true });
  }
});

/** Everything that can emit an event or give a reason: sources and migrations, without contract itself and tests. */
function productText(): string {
  const files = ["packages/*/src/**/*.ts", "migrations/*.sql"]
    .flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
    .filter((file) => !/^packages\/(?:contract|testkit)\/|\.(?:test|contract|fixture)\.ts$|\/fixtures\//.test(file));
  return files.map((file) => readFileSync(join(ROOT, file), "utf8")).join("\n");
}

test("every event of the catalogue is emitted by some code", () => {
  const text = productText();

  const silent = Object.keys(EVENTS).filter((name) => !text.includes(`"${name}"`) && !text.includes(`'${name}'`));

  expect(silent).toEqual([]);
});

test("every reason of the list is given by some code", () => {
  const text = productText();

  const silent = Object.keys(REASONS).filter((code) => !text.includes(`"${code}"`) && !text.includes(`'${code}'`));

  expect(silent).toEqual([]);
});

test("no code emits an event that the catalogue lacks", () => {
  const emitted = [...productText().matchAll(/\bevent:\s*"([^"]+)"/g)].map((match) => match[1] ?? "");

  expect(emitted.filter((name) => !Object.hasOwn(EVENTS, name))).toEqual([]);
});
