/** Runs the official conformance suite, in a process of its own, and reads what it found. */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { OUT_OF_SCOPE } from "./expected-failures.ts";

const SUITE = join(
  dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/package.json")),
  "dist/index.js",
);

/** By scenario and check: what the suite said of it, and why. */
export type Findings = ReadonlyMap<string, { readonly status: string; readonly detail: string }>;

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

/** What the suite says of a server: what a revision requires, or, of one without such a list, what it has for it. */
export function runServerSuite(
  url: string,
  revision: string,
  list: "requirements" | "spec-version",
): Promise<Findings> {
  return runSuite(["server", "--url", url, `--${list}`, revision]);
}

/** What the suite says of a client: a command that is given the URL of a server and told of the scenario by its environment. */
export function runClientSuite(
  command: string,
  scenario: string,
  revision: string,
  environment: Readonly<Record<string, string>>,
): Promise<Findings> {
  return runSuite(["client", "--command", command, "--scenario", scenario, "--spec-version", revision], environment);
}

async function runSuite(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Findings> {
  const directory = await mkdtemp(join(tmpdir(), "writ-conformance-"));
  try {
    const child = spawn(process.execPath, [SUITE, ...args, "-o", directory], {
      env: { PATH: process.env["PATH"] ?? "", HOME: directory, ...environment },
      stdio: "ignore",
    });
    await new Promise((resolve) => child.once("close", resolve));
    const findings = new Map<string, { status: string; detail: string }>();
    for (const file of await readdir(directory, { recursive: true })) {
      const scenario = /^(?:server-)?(.+)-\d{4}-\d\d-\d\dT[\d-]+Z\/checks\.json$/.exec(file)?.[1];
      if (scenario === undefined || OUT_OF_SCOPE.test(scenario)) continue;
      const checks = JSON.parse(await readFile(join(directory, file), "utf8")) as readonly Check[]; // the suite's own
      for (const { id, status, errorMessage = "" } of checks) {
        const key = `${scenario}/${id}`;
        // A check that is made several times counts as its worst.
        if (weightOf(status) >= weightOf(findings.get(key)?.status))
          findings.set(key, { status, detail: errorMessage });
      }
    }
    return findings;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What was not made at all says less than any finding. */
function weightOf(status: string | undefined): number {
  return ["SKIPPED", "INFO", "SUCCESS", "WARNING", "FAILURE"].indexOf(status ?? "");
}
