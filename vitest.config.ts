/**
 * Two projects: `unit` beside the sources, many files at a time; `whole` in test/, which starts real processes and so
 * runs alone, one file at a time. tools/test.ts runs both, in this order, each within a time limit.
 */
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { SUMMARY_FILE } from "./tools/summary.ts";
import { vitestSummary } from "./tools/vitest-summary.ts";

const exclude = ["**/node_modules/**", "**/fixtures/**"];

/** Named by tools/test.ts; a run started by hand is not counted. */
const part = process.env["WRIT_TEST_PART"];

export default defineConfig({
  test: {
    reporters: part === undefined ? ["default"] : ["default", vitestSummary(part, SUMMARY_FILE)],
    allowOnly: false,
    passWithNoTests: false,
    teardownTimeout: 20_000,
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "tools/**/*.test.ts"],
          exclude,
          globalSetup: "tools/shared-postgres-setup.ts",
          maxWorkers: Math.max(2, Math.min(4, availableParallelism())),
          // Bounds hang, not slowness: some machines take four times as long as others.
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "whole",
          include: ["test/**/*.test.ts"],
          exclude,
          globalSetup: "tools/shared-postgres-setup.ts",
          fileParallelism: false,
          testTimeout: 420_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
});
