/** OPA's published compliance cases, where they are at hand. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type ConformanceReport, readCaseList, runConformance } from "./conformance.fixture.ts";

const ROOT = join(import.meta.dirname, "../../..");
const CASES = join(ROOT, "../shared/opa-cases");
const SHARE_MAX = 0.01;
const TIMEOUT_MS = 120_000;

/** Without the cases there is nothing to run, which CI must not take for success. */
const isRun = existsSync(CASES) || process.env["CI"] === "true";

describe.skipIf(!isRun)("OPA's compliance cases", () => {
  let report: ConformanceReport;
  let expected: ReadonlyMap<string, string>;

  beforeAll(async () => {
    if (!existsSync(CASES)) throw new TypeError(`there are no cases at ${CASES}`);
    expected = await readCaseList(join(ROOT, "cases/rego/expected-failures"));
    report = await runConformance(CASES);
  }, TIMEOUT_MS);

  test("pass, but for those that are expected to fail", () => {
    expect(report.failed.filter(({ name }) => !expected.has(name))).toEqual([]);
  });

  test("that are expected to fail do fail", () => {
    const failed = new Set(report.failed.map(({ name }) => name));
    expect([...expected.keys()].filter((name) => !failed.has(name))).toEqual([]);
  });

  test("that are out of scope are those which the list names", async () => {
    const listed = await readCaseList(join(ROOT, "cases/rego/out-of-scope"));
    expect(report.outOfScope.map(({ name }) => name)).toEqual([...listed.keys()]);
  });

  test("fail in no more than one of a hundred", () => {
    const count = report.passed + report.failed.length;
    expect(expected.size).toBeLessThanOrEqual(count * SHARE_MAX);
  });
});
