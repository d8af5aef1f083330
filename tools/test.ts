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

/** The vitest projects of vitest.config.ts in their order; together with the checks they stay below 25 minutes. */
const PROJECTS = [
  { name: "unit", timeoutMs: 9 * 60_000 },
  { name: "whole", timeoutMs: 13 * 60_000 },
] as const;

/** The total as .ci/run prints it. */
const TOTAL_FILE = join(dirname(SUMMARY_FILE), "total.txt");

clearSummaries(SUMMARY_FILE);
rmSync(TOTAL_FILE, { force: true });

addSummary(SUMMARY_FILE, await runChecks(root));

let stopped = false;
for (const project of PROJECTS) {
  process.stdout.write(`\n# ${project.name}\n`);
  const run = await runProgram(
    process.execPath,
    [join(root, "node_modules/vitest/vitest.mjs"), "run", "--project", project.name],
    { cwd: root, timeoutMs: project.timeoutMs, echo: true, environment: { WRIT_TEST_PART: project.name } },
  );
  if (run.exitCode !== 0) stopped = true;
}

const total = totalOf(readSummaries(SUMMARY_FILE), {
  expected: ["checks", ...PROJECTS.map((project) => project.name)],
  skips: process.env["CI"] === undefined || process.env["CI"] === "" ? "accepted" : "refused",
});
const bad = total.kind === "bad" || stopped;
mkdirSync(dirname(TOTAL_FILE), { recursive: true });
writeFileSync(TOTAL_FILE, `${total.line}\n`);
process.stdout.write(`\n${total.kind === "bad" ? `${total.why}\n` : ""}${total.line}\n`);
process.exitCode = bad ? 1 : 0;
