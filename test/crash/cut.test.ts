/** The connection to Postgres cut at the message that commits. Many times more in a soak (`test/soak/crash.ts`). */
import { expect, test } from "vitest";
import { cutAtCommit } from "./cut.ts";

const seed = Number(process.env["WRIT_TEST_SEED"] ?? 1);

test(`trap-62 an unanswered commit denies its calls, is resolved, and is never forwarded (seed ${seed})`, async () => {
  const report = await cutAtCommit({ cuts: 24, seed });
  expect(report.problems).toEqual([]);
  expect(report.reasons.get("journal_unavailable")).toBeGreaterThan(0);
  // Batches that had committed before they were cut off: their allows ended unsent.
  expect(report.outcomes.aborted).toBeGreaterThan(0);
  expect(report.forwarded).toBeGreaterThan(0);
});
