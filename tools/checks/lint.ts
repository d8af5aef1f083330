/** Format and lint: Biome with the repository's biome.json; warnings count as errors. */
import { fileURLToPath } from "node:url";
import { runProgram } from "../run-program.ts";
import { CHECK_TIMEOUT_MS, type Check } from "./check.ts";

const BIOME = fileURLToPath(new URL("../../node_modules/@biomejs/biome/bin/biome", import.meta.url));

export const lint: Check = {
  name: "lint",
  async run(root) {
    const run = await runProgram(
      process.execPath,
      [BIOME, "check", "--error-on-warnings", "--max-diagnostics=200", "--colors=off"],
      { cwd: root, timeoutMs: CHECK_TIMEOUT_MS },
    );
    const seen = /Checked (\d+) files?/.exec(run.output)?.[1];
    if (run.exitCode !== 0) return { kind: "failed", findings: run.output };
    if (seen === undefined || seen === "0") return { kind: "failed", findings: "biome read no file.\n" };
    return { kind: "passed", seen: `${seen} files` };
  },
};
