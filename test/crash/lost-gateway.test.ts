/** One of two gateways killed, another frozen and woken, on one Postgres. */
import { expect, test } from "vitest";
import { loseGateways } from "./lost-gateway.ts";

const seed = Number(process.env["WRIT_TEST_SEED"] ?? 1);

test(`trap-16 two writers, one lost and one woken from the dead, make one history (seed ${seed})`, async () => {
  const report = await loseGateways({ seed });
  expect(report.problems).toEqual([]);
  expect(report.lapsedGateways).toBe(2);
  // What the frozen gateway had sent was declared unknown, and its outcome was said when it woke.
  expect(report.settledLate).toBeGreaterThan(0);
});
