import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runProgram } from "./run-program.ts";
import { readSummaries, totalOf } from "./summary.ts";

const good = { part: "unit", passed: 3, failed: 0, skipped: 0 };

test("parts that all passed add up to a good total", () => {
  const total = totalOf([good, { ...good, part: "checks" }], { expected: ["unit", "checks"], skips: "refused" });

  expect(total).toEqual({ kind: "good", line: "6 passed, 0 failed, 0 skipped" });
});

test("a failure, a part that did not report, nothing passed, and a skip in CI each make the total bad", () => {
  const options = { expected: ["unit"], skips: "refused" } as const;

  expect(totalOf([{ ...good, failed: 1 }], options)).toMatchObject({ kind: "bad" });
  expect(totalOf([], options)).toMatchObject({ kind: "bad", line: "0 passed, 1 failed, 0 skipped" });
  expect(totalOf([], { expected: [], skips: "refused" })).toMatchObject({ kind: "bad", why: "nothing passed" });
  expect(
    totalOf(
      [
        { ...good, passed: 0 },
        { ...good, part: "checks" },
      ],
      options,
    ),
  ).toMatchObject({
    kind: "bad",
    why: "nothing passed in unit",
  });
  expect(totalOf([{ ...good, skipped: 1 }], options)).toMatchObject({ kind: "bad" });
  expect(totalOf([{ ...good, skipped: 1 }], { ...options, skips: "accepted" })).toMatchObject({ kind: "good" });
});

test("the reporter counts passed, failed and skipped tests, and a file that does not load as failed", async () => {
  const root = join(import.meta.dirname, "..");
  const folder = mkdtempSync(join(tmpdir(), "writ-summary-"));
  try {
    const summaryFile = join(folder, "summary.ndjson");
    writeFileSync(
      join(folder, "counted.test.mjs"),
      `import { expect, test } from "vitest";
       test("passes", () => {});
       test("passes too", () => {});
       test("fails", () => { expect(1).toBe(2); });
       test.skip("is skipped", () => {});`,
    );
    writeFileSync(join(folder, "broken.test.mjs"), `import "./not-there.mjs";`);
    writeFileSync(
      join(folder, "vitest.config.mjs"),
      `import { vitestSummary } from ${JSON.stringify(join(root, "tools/vitest-summary.ts"))};
       export default { test: {
         include: ["*.test.mjs"],
         alias: { vitest: ${JSON.stringify(join(root, "node_modules/vitest/dist/index.js"))} },
         reporters: [vitestSummary("probe", ${JSON.stringify(summaryFile)})],
       } };`,
    );

    const run = await runProgram(process.execPath, [join(root, "node_modules/vitest/vitest.mjs"), "run"], {
      cwd: folder,
      timeoutMs: 25_000,
    });

    expect(run.exitCode).not.toBe(0);
    expect(readSummaries(summaryFile), run.output).toEqual([{ part: "probe", passed: 2, failed: 2, skipped: 1 }]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a program that hangs is stopped with all its children, and its exit code says so", async () => {
  const script = `require("node:child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], {
    stdio: "inherit" }); console.log("started"); setInterval(() => {}, 1000);`;

  const run = await runProgram(process.execPath, ["-e", script], { cwd: import.meta.dirname, timeoutMs: 500 });

  // The child holds the same pipes: this line is reached only because it was ended too.
  expect(run.exitCode).toBe(124);
});
