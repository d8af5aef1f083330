/**
 * `npm run check`: every judgement that needs no running program of ours: types, lint, dead code, layers, reference
 * pages and tidiness. Prints one line for each and what the failed ones found.
 */
import type { Check } from "./checks/check.ts";
import { deadCode } from "./checks/dead-code.ts";
import { layers } from "./checks/layers.ts";
import { lint } from "./checks/lint.ts";
import { reference } from "./checks/reference.ts";
import { tidy } from "./checks/tidy.ts";
import { types } from "./checks/types.ts";
import type { Summary } from "./summary.ts";

const CHECKS: readonly Check[] = [types, lint, deadCode, layers, reference, tidy];

/** Runs all checks over the repository at `root`, prints them, and returns their count as a part of the summary. */
export async function runChecks(root: string): Promise<Summary> {
  let passed = 0;
  const outcomes = CHECKS.map(async (check) => ({ check, outcome: await check.run(root) }));
  for (const pending of outcomes) {
    const { check, outcome } = await pending;
    if (outcome.kind === "passed") {
      passed += 1;
      process.stdout.write(`ok      ${check.name} (${outcome.seen})\n`);
    } else {
      process.stdout.write(`FAILED  ${check.name}\n${outcome.findings.trimEnd()}\n`);
    }
  }
  return { part: "checks", passed, failed: CHECKS.length - passed, skipped: 0 };
}

if (import.meta.main) {
  const summary = await runChecks(`${import.meta.dirname}/..`);
  process.exitCode = summary.failed === 0 ? 0 : 1;
}
