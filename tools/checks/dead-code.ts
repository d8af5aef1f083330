/** Dead code: knip finds exports, files and dependencies that nothing uses, and dependencies that nobody lists. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runProgram } from "../run-program.ts";
import { CHECK_TIMEOUT_MS, type Check } from "./check.ts";

const KNIP = fileURLToPath(new URL("../../node_modules/knip/bin/knip.js", import.meta.url));

export const deadCode: Check = {
  name: "dead code",
  async run(root) {
    if (!existsSync(join(root, "knip.json"))) return { kind: "failed", findings: "there is no knip.json\n" };
    const run = await runProgram(process.execPath, [KNIP, "--no-progress", "--no-config-hints"], {
      cwd: root,
      timeoutMs: CHECK_TIMEOUT_MS,
    });
    if (run.exitCode !== 0) return { kind: "failed", findings: run.output };
    return { kind: "passed", seen: "every export is used" };
  },
};
