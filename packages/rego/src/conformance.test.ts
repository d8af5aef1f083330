/** OPA's published compliance cases, where they are at hand. */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type ConformanceReport,
  OPA_CASES,
  readCaseList,
  runConformance,
  runsOpaCases,
} from "./conformance.fixture.ts";

const ROOT = join(import.meta.dirname, "../../..");
const SHARE_MAX = 0.01;
const TIMEOUT_MS = 120_000;

describe.skipIf(!runsOpaCases())("OPA's compliance cases", () => {
  let report: ConformanceReport;
  let expected: ReadonlyMap<string, string>;

  beforeAll(async () => {
    expected = await readCaseList(join(ROOT, "cases/rego/expected-failures"));
    report = await runConformance(OPA_CASES);
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
