/** Runs the official conformance suite against a server, in a process of its own, and reads what it found. */
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

export async function runSuite(url: string, revision: string): Promise<Findings> {
  const directory = await mkdtemp(join(tmpdir(), "writ-conformance-"));
  try {
    const child = spawn(
      process.execPath,
      [SUITE, "server", "--url", url, "--requirements", revision, "-o", directory],
      {
        env: { PATH: process.env["PATH"] ?? "", HOME: directory },
        stdio: "ignore",
      },
    );
    await new Promise((resolve) => child.once("close", resolve));
    const findings = new Map<string, { status: string; detail: string }>();
    for (const run of await readdir(directory)) {
      const scenario = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(run)?.[1];
      if (scenario === undefined || OUT_OF_SCOPE.test(scenario)) continue;
      const checks = JSON.parse(await readFile(join(directory, run, "checks.json"), "utf8")) as readonly Check[]; // the suite's own
      for (const { id, status, errorMessage = "" } of checks) {
        const key = `${scenario}/${id}`;
        // A check that is made several times counts as its worst.
        if (findings.get(key)?.status !== "FAILURE") findings.set(key, { status, detail: errorMessage });
      }
    }
    return findings;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
