/** SIGTERM under load, on both databases. */
import { describe, expect, test } from "vitest";
import { drainUnderLoad } from "./drain.ts";

const seed = Number(process.env["WRIT_TEST_SEED"] ?? 1);
const DRAINS = 3;

describe.each(["pglite", "postgres"] as const)("on %s", (engine) => {
  test(`a drain under load ends at once and leaves every answer settled (seed ${seed})`, async () => {
    const report = await drainUnderLoad({ engine, drains: DRAINS, seed });
    expect(report.problems).toEqual([]);
    expect(report.exitCodes).toEqual(new Array(DRAINS).fill(0));
    expect(report.lapsedGateways).toBe(0);
    expect(report.outcomes.completed).toBeGreaterThan(DRAINS * 10);
  });
});
