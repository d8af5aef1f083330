/**
 * `npm test`: the checks, then every vitest project, one after the other and each within a time limit of its own, so
 * that a hanging test cannot hang the run. All parts run even when one fails; the last line is the total.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { runChecks } from "./check.ts";
import { runProgram } from "./run-program.ts";
import { addSummary, clearSummaries, readSummaries, SUMMARY_FILE, totalOf } from "./summary.ts";

const root = join(import.meta.dirname, "..");

/** The vitest projects of vitest.config.ts in their order; each bounds a run that hangs; together they take some 22 minutes on two cores. */
const PROJECTS = [
  { name: "unit", timeoutMs: 5.5 * 60_000 },
  { name: "whole", timeoutMs: 20 * 60_000 },
] as const;

/** The total as .ci/run prints it. */
const TOTAL_FILE = join(dirname(SUMMARY_FILE), "total.txt");

clearSummaries(SUMMARY_FILE);
rmSync(TOTAL_FILE, { force: true });

addSummary(SUMMARY_FILE, await runChecks(root));

for (const project of PROJECTS) {
  process.stdout.write(`\n# ${project.name}\n`);
  const run = await runProgram(
    process.execPath,
    [join(root, "node_modules/vitest/vitest.mjs"), "run", "--project", project.name],
    { cwd: root, timeoutMs: project.timeoutMs, echo: true, environment: { WRIT_TEST_PART: project.name } },
  );
  const reported = readSummaries(SUMMARY_FILE).find((summary) => summary.part === project.name);
  // vitest may fail beside its tests, or be stopped after it reported: that counts too.
  if (run.exitCode !== 0 && reported?.failed === 0) {
    addSummary(SUMMARY_FILE, { part: `${project.name}, exit code ${run.exitCode}`, passed: 0, failed: 1, skipped: 0 });
  }
}

const total = totalOf(readSummaries(SUMMARY_FILE), {
  expected: ["checks", ...PROJECTS.map((project) => project.name)],
  skips: process.env["CI"] === undefined || process.env["CI"] === "" ? "accepted" : "refused",
});
mkdirSync(dirname(TOTAL_FILE), { recursive: true });
writeFileSync(TOTAL_FILE, `${total.line}\n`);
process.stdout.write(`\n${total.kind === "bad" ? `${total.why}\n` : ""}${total.line}\n`);
process.exitCode = total.kind === "good" ? 0 : 1;
