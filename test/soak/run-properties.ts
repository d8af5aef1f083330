/** Test files at the size of a soak: the same tests as in every run, with many more runs of each property. */
import { join } from "node:path";
import { runProgram } from "../../tools/run-program.ts";

const ROOT = join(import.meta.dirname, "../..");
const TIMEOUT_MS = 60 * 60_000;

export interface SoakedFile {
  readonly project: "unit" | "whole";
  /** Of the file's path. */
  readonly part: string;
  /** Of each property. */
  readonly runs: number;
}

/** Prints a line for each; throws when a test fails. */
export async function runProperties(
  name: string,
  files: readonly SoakedFile[],
  say: (line: string) => void,
): Promise<void> {
  for (const { project, part, runs } of files) {
    const run = await runProgram(
      process.execPath,
      [join(ROOT, "node_modules/vitest/vitest.mjs"), "run", "--project", project, "--testTimeout=3600000", part],
      { cwd: ROOT, timeoutMs: TIMEOUT_MS, environment: { WRIT_FUZZ_RUNS: String(runs) } },
    );
    if (run.exitCode !== 0) throw new Error(`${part}: ${run.output.slice(-2_000)}`);
    say(`${name}: ${part} held with ${runs} runs of each property`);
  }
}
