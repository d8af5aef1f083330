import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ProgramRun, runProgram } from "./run-program.ts";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "writ-ci-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Runs .ci/run in a folder of its own, where `npm` is `script`. */
async function runCi(script: string): Promise<ProgramRun> {
  mkdirSync(join(folder, ".ci"));
  cpSync(join(import.meta.dirname, "../.ci/run"), join(folder, ".ci/run"));
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/npm"), `#!/bin/sh\n[ "$1" = ci ] && exit 0\nmkdir -p test-results\n${script}\n`);
  chmodSync(join(folder, "bin/npm"), 0o755);
  return await runProgram("bash", [join(folder, ".ci/run")], {
    cwd: folder,
    timeoutMs: 20_000,
    environment: { PATH: `${join(folder, "bin")}${delimiter}${process.env["PATH"]}` },
  });
}

function lastLine(run: ProgramRun): string | undefined {
  return run.stdout.trimEnd().split("\n").at(-1);
}

test("a green run ends with its total and exits with zero", async () => {
  const run = await runCi("echo '5 passed, 0 failed, 0 skipped' > test-results/total.txt; echo noise");

  expect(lastLine(run)).toBe("5 passed, 0 failed, 0 skipped");
  expect(run.exitCode).toBe(0);
});

test("a run that wrote no total, and one whose total cannot be read, have failed", async () => {
  const run = await runCi("echo '7 passed, 0 failed, 0 skipped'");

  expect(lastLine(run)).toBe("0 passed, 1 failed, 0 skipped");
  expect(run.exitCode).toBe(1);
});

test("npm's own failure fails the run, whatever the total says", async () => {
  const run = await runCi("echo '5 passed, 0 failed, 0 skipped' > test-results/total.txt; exit 3");

  expect(lastLine(run)).toBe("5 passed, 0 failed, 0 skipped");
  expect(run.exitCode).toBe(1);
});

test.each(["0 passed, 0 failed, 0 skipped", "5 passed, 1 failed, 0 skipped", "5 passed, 0 failed, 1 skipped"])(
  "a total of %s fails the run even when npm exits with zero",
  async (total) => {
    const run = await runCi(`echo '${total}' > test-results/total.txt`);

    expect(lastLine(run)).toBe(total);
    expect(run.exitCode).toBe(1);
  },
);
