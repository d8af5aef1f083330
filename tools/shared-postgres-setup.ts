/**
 * vitest's global setup: one Postgres for a whole run, started only when the sources beside a test file of the run ask
 * the testkit for one. A test that this look misses still works: it then starts a server of its own.
 */
import { globSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { startSharedPostgres } from "@writ/testkit";
import type { TestProject } from "vitest/node";

const ASKS = /\b(?:sharedPostgres|freshDatabase|templateDatabase)\b/;

const ROOT = join(import.meta.dirname, "..");

export default async function setUp(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const { testFiles } = await project.globTestFiles(filtersOf(process.argv));
  const folders = new Set(testFiles.map(folderOf));
  for (const folder of folders) {
    for (const file of globSync(`${folder}/**/*.ts`, {
      cwd: ROOT,
      exclude: ["**/node_modules/**", "**/fixtures/**"],
    })) {
      if (ASKS.test(readFileSync(join(ROOT, file), "utf8"))) return await startSharedPostgres();
    }
  }
  return undefined;
}

/** The names of files on vitest's command line. A value of an option that slips in matches no file or too many. */
function filtersOf(argv: readonly string[]): string[] {
  return argv.slice(2).filter((argument) => /[/.]/.test(argument) && !argument.startsWith("-"));
}

/** `packages/<name>`, or the first folder of anything else. */
function folderOf(file: string): string {
  const parts = relative(ROOT, file).split(sep);
  return parts[0] === "packages" ? `packages/${parts[1]}` : (parts[0] ?? "");
}
