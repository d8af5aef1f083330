/**
 * The count of everything that one `npm test` ran. Each part (the checks, every vitest run) adds a line to one file,
 * and whoever wants the total adds them up: nobody has to read a tool's prose.
 */
import { appendFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

export interface Summary {
  /** Which part this is: "checks", or the name of a vitest run. */
  readonly part: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Where a run keeps its parts; ignored by git. */
export const SUMMARY_FILE = join(import.meta.dirname, "..", "test-results", "summary.ndjson");

/** Forgets the parts of an earlier run. */
export function clearSummaries(file: string): void {
  rmSync(file, { force: true });
}

export function addSummary(file: string, summary: Summary): void {
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, `${JSON.stringify(summary)}\n`);
}

/** The parts so far; none when nothing has reported. */
export function readSummaries(file: string): readonly Summary[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return []; // nothing ran: the total below says so, and fails
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Summary); // written by addSummary alone
}

export type Total =
  | { readonly kind: "good"; readonly line: string }
  | { readonly kind: "bad"; readonly line: string; readonly why: string };

/**
 * Adds up the parts. Bad when anything failed, when nothing passed (in all, or in one part), when an expected part has not reported, and where
 * `skips` is "refused" (in CI) when anything was skipped.
 */
export function totalOf(
  summaries: readonly Summary[],
  options: { readonly expected: readonly string[]; readonly skips: "accepted" | "refused" },
): Total {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const summary of summaries) {
    passed += summary.passed;
    failed += summary.failed;
    skipped += summary.skipped;
  }
  const missing = options.expected.filter((part) => !summaries.some((summary) => summary.part === part));
  failed += missing.length;
  const line = `${passed} passed, ${failed} failed, ${skipped} skipped`;
  if (missing.length > 0) return { kind: "bad", line, why: `did not report: ${missing.join(", ")}` };
  if (failed > 0) return { kind: "bad", line, why: "something failed" };
  if (passed === 0) return { kind: "bad", line, why: "nothing passed" };
  const idle = summaries.find((summary) => summary.passed === 0);
  if (idle !== undefined) return { kind: "bad", line, why: `nothing passed in ${idle.part}` };
  if (skipped > 0 && options.skips === "refused") return { kind: "bad", line, why: "nothing may be skipped in CI" };
  return { kind: "good", line };
}
