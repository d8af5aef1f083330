/** Bad input, parser agreement and the fault sweep at the size of a soak: the same tests with many more runs. */
import { join } from "node:path";
import { runProgram } from "../../tools/run-program.ts";

const ROOT = join(import.meta.dirname, "../..");
const TIMEOUT_MS = 60 * 60_000;
/** Runs of each property; the routes of the admin API are many, so each has fewer. */
const SIZES = [
  { part: "test/differential", runs: 1_000_000 },
  { part: "test/bad-input/listener", runs: 3_000 },
  { part: "test/bad-input/files", runs: 100_000 },
  { part: "test/bad-input/admin-api", runs: 300 },
  { part: "test/fault-sweep", runs: 1 },
] as const;

/** Prints a line for each part; throws when a test fails. */
export async function soakInput(say: (line: string) => void): Promise<void> {
  for (const { part, runs } of SIZES) {
    const run = await runProgram(
      process.execPath,
      [join(ROOT, "node_modules/vitest/vitest.mjs"), "run", "--project", "whole", "--testTimeout=3600000", part],
      { cwd: ROOT, timeoutMs: TIMEOUT_MS, environment: { WRIT_FUZZ_RUNS: String(runs) } },
    );
    if (run.exitCode !== 0) throw new Error(`${part}: ${run.output.slice(-2_000)}`);
    say(`input: ${part} held with ${runs} runs of each property`);
  }
}
