/**
 * Types: TypeScript 7 over the whole repository. The compiler is named by its package, because TypeScript 6 is
 * installed beside it (dependency-cruiser needs its API) and both bring a program called `tsc`.
 */
import { fileURLToPath } from "node:url";
import { runProgram } from "../run-program.ts";
import { CHECK_TIMEOUT_MS, type Check } from "./check.ts";

const TSC = fileURLToPath(new URL("../../node_modules/ts7/bin/tsc", import.meta.url));

export const types: Check = {
  name: "types",
  async run(root) {
    const run = await runProgram(process.execPath, [TSC, "-p", ".", "--listFilesOnly"], {
      cwd: root,
      timeoutMs: CHECK_TIMEOUT_MS,
    });
    const files = run.stdout.split("\n").filter((line) => line.endsWith(".ts") && !line.includes("/node_modules/"));
    if (files.length === 0) return { kind: "failed", findings: "tsc read no source file.\n" };
    const check = await runProgram(process.execPath, [TSC, "-p", ".", "--pretty", "false"], {
      cwd: root,
      timeoutMs: CHECK_TIMEOUT_MS,
    });
    if (check.exitCode !== 0) return { kind: "failed", findings: check.output };
    return { kind: "passed", seen: `${files.length} files` };
  },
};
