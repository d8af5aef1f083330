/** The real `writ` binary, run as a person and a program run it: beside a Writ of the test, in a directory of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { join } from "node:path";
import type { WritProcess } from "@writ/testkit";
import { REPOSITORY } from "./rig.ts";

/** How a command ended, and what it said to standard output and to standard error. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly notes: string;
}

export interface CommandOptions {
  /** Where it runs, and its home. */
  readonly directory: string;
  /** Beside what it needs to find the Writ, or instead of that. */
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeOptions?: readonly string[];
  readonly timeoutMs?: number;
  /** How it is ended when it takes longer. */
  readonly killSignal?: NodeJS.Signals;
}

export function startCommand(
  writ: Pick<WritProcess, "adminUrl" | "adminKey" | "gatewayUrl">,
  argv: readonly string[],
  { directory, env = {}, nodeOptions = [], timeoutMs = 60_000, killSignal = "SIGTERM" }: CommandOptions,
): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [...nodeOptions, join(REPOSITORY, "packages/cli/bin/writ.mjs"), ...argv], {
    cwd: directory,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: directory,
      WRIT_ADMIN_URL: writ.adminUrl,
      WRIT_ADMIN_KEY: writ.adminKey,
      WRIT_GATEWAY_URL: writ.gatewayUrl,
      ...env,
    },
    // A command that hangs is a failure with a name, not a run without an end.
    timeout: timeoutMs,
    killSignal,
  });
}

export function endOf(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  let out = "";
  let notes = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    notes += text;
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, out, notes })));
}

/** A command that reads nothing, to its end. */
export function runCommand(...parts: Parameters<typeof startCommand>): Promise<Ended> {
  const child = startCommand(...parts);
  child.stdin.end();
  return endOf(child);
}
