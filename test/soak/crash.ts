/**
 * The crash proofs at the size of a soak: fifty kills of Writ on each database, cuts at the commit and kills of
 * Postgres by the hundred, the first start interrupted every 50 ms.
 */
import { startWrit } from "@writ/testkit";
import { cutAtCommit } from "../crash/cut.ts";
import { drainUnderLoad } from "../crash/drain.ts";
import { interruptFirstStart } from "../crash/first-start.ts";
import { killUnderLoad } from "../crash/kill.ts";
import { killPostgresUnderLoad } from "../crash/postgres-crash.ts";
import type { HistoryReport } from "../invariants/check-history.ts";

const KILLS = 50;
const CUTS = 300;
const POSTGRES_KILLS = 30;
const DRAINS = 20;
const FIRST_START_STEP_MS = 50;
/** A first start takes this long at most on a machine that is slow. */
const FIRST_START_MS_MAX = 10_000;

/** Prints a line for each proof; throws when an invariant does not hold. */
export async function soakCrash(say: (line: string) => void): Promise<void> {
  const seed = Number(process.env["WRIT_TEST_SEED"] ?? Date.now() % 1_000_000);
  say(`crash: seed ${seed}`);
  for (const engine of ["pglite", "postgres"] as const) {
    const report = await killUnderLoad({ engine, kills: KILLS, seed });
    conclude(say, `${KILLS} kills on ${engine}`, report);
    conclude(say, `${DRAINS} drains on ${engine}`, await drainUnderLoad({ engine, drains: DRAINS, seed }));
  }
  conclude(say, `${CUTS} cuts at the commit`, await cutAtCommit({ cuts: CUTS, seed }));
  const crashed = await killPostgresUnderLoad({ kills: POSTGRES_KILLS, seed });
  conclude(say, `${POSTGRES_KILLS} kills of Postgres, last bytes ${crashed.lastByteMs.join(" ")} ms`, crashed);

  const whole = await startWrit({ command: "serve", databaseBy: "writ" });
  await whole.dispose();
  const endMs = Math.min(FIRST_START_MS_MAX, whole.startedInMs + 500);
  let starts = 0;
  for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
    for (let afterMs = FIRST_START_STEP_MS; afterMs < endMs; afterMs += FIRST_START_STEP_MS) {
      const { problems } = await interruptFirstStart(signal, afterMs);
      if (problems.length > 0)
        throw new Error(`${signal} after ${afterMs} ms of the first start: ${problems.join("; ")}`);
      starts += 1;
    }
  }
  say(`crash: ${starts} first starts interrupted every ${FIRST_START_STEP_MS} ms: whole after the next`);
}

function conclude(say: (line: string) => void, what: string, report: HistoryReport): void {
  const { completed, failed, aborted, unknown } = report.outcomes;
  if (report.problems.length > 0) throw new Error(`${what}: ${report.problems.join("; ")}`);
  say(
    `crash: ${what}: ${report.entries} entries verified, ${report.allowed} allowed, ${report.forwarded} forwarded; ` +
      `${completed} completed, ${failed} failed, ${aborted} aborted, ${unknown} unknown, ${report.settledLate} settled late`,
  );
}
