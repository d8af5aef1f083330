/** A vitest reporter that adds the counts of its run to the summary; what is shown is for vitest's own reporters. */
import type { Reporter, TestModule } from "vitest/node";
import { addSummary } from "./summary.ts";

/** `part` names the run, `file` is where its counts go. */
export function vitestSummary(part: string, file: string): Reporter {
  return {
    onTestRunEnd(modules, unhandledErrors, reason) {
      let passed = 0;
      let failed = unhandledErrors.length;
      let skipped = 0;
      for (const module of modules) {
        for (const test of module.children.allTests()) {
          const { state } = test.result();
          if (state === "passed") passed += 1;
          else if (state === "skipped") skipped += 1;
          else failed += 1; // failed, or still pending when the run was stopped
        }
        failed += brokenModule(module);
      }
      if (reason !== "passed" && failed === 0) failed = 1;
      addSummary(file, { part, passed, failed, skipped });
    },
  };
}

/** A file that could not be loaded, or whose hooks failed, has failed even when none of its tests has. */
function brokenModule(module: TestModule): number {
  const failedTests = [...module.children.allTests("failed")].length;
  return module.state() === "failed" && failedTests === 0 ? 1 : 0;
}
