/** Writ killed at random moments, on both databases. Fifty times each in a soak (`test/soak/crash.ts`). */
import { describe, expect, test } from "vitest";
import { killUnderLoad } from "./kill.ts";

/** Another seed: WRIT_TEST_SEED=7 vitest run test/crash/kill */
const seed = Number(process.env["WRIT_TEST_SEED"] ?? 1);
const KILLS = 4;

describe.each(["pglite", "postgres"] as const)("on %s", (engine) => {
  test(`R-EVIDENCE-1 R-EVIDENCE-2 R-BUDGET-1 trap-05 trap-07 ${KILLS} kills at random moments lose no record, no budget, no key and no answer (seed ${seed})`, async () => {
    const report = await killUnderLoad({ engine, kills: KILLS, seed });
    expect(report.problems).toEqual([]);
    expect(report.lapsedGateways).toBe(KILLS);
    // Proof of a load: calls ended in each way that a crash leaves, and some were cut in the middle.
    expect(report.forwarded).toBeGreaterThan(KILLS * 5);
    expect(report.outcomes.completed).toBeGreaterThan(0);
    expect(report.outcomes.unknown).toBeGreaterThan(0);
    expect(report.lost).toBeGreaterThan(0);
    expect(report.duplicates).toBeGreaterThan(0);
    expect(report.given).toBeGreaterThan(0);
  });
});
