/** Postgres killed under load and started again. Many times more in a soak (`test/soak/crash.ts`). */
import { expect, test } from "vitest";
import { killPostgresUnderLoad } from "./postgres-crash.ts";

const seed = Number(process.env["WRIT_TEST_SEED"] ?? 1);
/** Open streams hear nothing any more this long after contact is lost. */
const STREAMS_CUT_WITHIN_MS = 5_000;

test(`R-EVIDENCE-3 trap-12 with the audit store killed, what is forwarded is recorded and the rest is denied (seed ${seed})`, async () => {
  const report = await killPostgresUnderLoad({ kills: 4, seed });
  expect(report.problems).toEqual([]);
  expect(report.forwardedWhileDown).toBe(0);
  expect(report.reasons.get("journal_unavailable")).toBeGreaterThan(0);
  expect(report.reasons.get("state_unavailable")).toBeGreaterThan(0);
  expect(report.lastByteMs).toHaveLength(2);
  expect(Math.max(...report.lastByteMs)).toBeLessThan(STREAMS_CUT_WITHIN_MS);
});
