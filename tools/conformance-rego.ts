/**
 * `npm run conformance:rego -- [--cases PATH] [--json]`: runs OPA compliance cases against the Rego engine. Fails when a
 * case fails that cases/rego/expected-failures does not list. That none listed there passes is looked at by the test.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { OPA_CASES, readCaseList, runConformance } from "../packages/rego/src/conformance.fixture.ts";

const ROOT = join(import.meta.dirname, "..");

if (import.meta.main) process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      cases: { type: "string" },
      json: { type: "boolean", default: false },
      verbose: { type: "boolean", default: false },
    },
  });
  const path = values.cases ?? OPA_CASES;
  if (!existsSync(path)) {
    process.stderr.write(`there are no cases at ${path}; name them with --cases\n`);
    return values.cases !== undefined || process.env["CI"] === "true" ? 1 : 0;
  }
  const expected = await readCaseList(join(ROOT, "cases/rego/expected-failures"));
  const report = await runConformance(path);
  const failed = report.failed.map(({ name }) => name);
  if (values.json) {
    const { passed, ms } = report;
    process.stdout.write(`${JSON.stringify({ passed, failed, out_of_scope: report.outOfScope, ms })}\n`);
  } else {
    for (const { name, note, detail } of report.failed) {
      if (values.verbose || !expected.has(name)) process.stdout.write(`FAILED  ${name} (${note}): ${detail}\n`);
    }
    process.stdout.write(
      `${report.passed} passed, ${failed.length} failed (${failed.filter((name) => expected.has(name)).length} expected), ` +
        `${report.outOfScope.length} out of scope, ${report.ms} ms\n`,
    );
  }
  return failed.every((name) => expected.has(name)) ? 0 : 1;
}
