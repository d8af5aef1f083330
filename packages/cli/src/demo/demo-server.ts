/** A Writ of the demo's own: `writ serve` as a process on a directory and free ports that nobody else uses. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { CliError, EXIT } from "../exit-codes.ts";

const WRIT = fileURLToPath(new URL("../../bin/writ.mjs", import.meta.url));
const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 15_000;
/** What is kept of its log, for the message when it does not start. */
const LOG_CHARACTERS_KEPT = 4_000;

export interface DemoServer {
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  readonly adminKey: string;
  readonly starterToken: string;
  stop(): Promise<void>;
}

/** The environment is made here: settings and keys of whoever runs the demo must not reach it. */
export async function startDemoServer(
  directory: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<DemoServer> {
  const child = spawn(process.execPath, [WRIT, "serve", "--json"], {
    cwd: directory,
    env: {
      PATH: environment["PATH"] ?? "",
      HOME: environment["HOME"] ?? directory,
      WRIT_DATA_DIR: `${directory}/data`,
      WRIT_GATEWAY_PORT: "0",
      WRIT_CONTROL_PORT: "0",
      // The ports differ between the two starts; tokens of the first are for the second as well.
      WRIT_GATEWAY_AUDIENCE: "http://writ.demo",
      WRIT_LOG_LEVEL: "error",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stopNow = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", stopNow);
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  void exited.then(() => process.off("exit", stopNow));
  try {
    const report = await readReport(child, exited);
    return {
      gatewayUrl: report.gatewayUrl,
      adminUrl: report.adminUrl,
      adminKey: (await readFile(report.adminKeyFile, "utf8")).trim(),
      starterToken: (await readFile(report.tokenFile, "utf8")).trim(),
      async stop() {
        child.kill("SIGTERM");
        const timer = setTimeout(stopNow, STOP_WITHIN_MS);
        await exited;
        clearTimeout(timer);
      },
    };
  } catch (error) {
    // A start that failed leaves no process behind; the failure goes on.
    stopNow();
    await exited;
    throw error;
  }
}

interface Report {
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  readonly tokenFile: string;
  readonly adminKeyFile: string;
}

async function readReport(child: ChildProcess, exited: Promise<void>): Promise<Report> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new TypeError("the process has its streams");
  let log = "";
  stderr.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-LOG_CHARACTERS_KEPT);
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    const line = await new Promise<string>((resolve, reject) => {
      const fail = (why: string): void =>
        reject(new CliError(EXIT.failure, "start_failed", `Writ did not start: ${why}.\n${log}`.trimEnd()));
      createInterface({ input: stdout }).once("line", resolve);
      child.once("error", (error) => fail(error.message));
      void exited.then(() => fail("its process ended"));
      timer = setTimeout(() => fail(`it was not ready within ${READY_WITHIN_MS / 1000} s`), READY_WITHIN_MS);
    });
    // Written by the command itself, in the shape of its report.
    return JSON.parse(line) as Report;
  } finally {
    clearTimeout(timer);
  }
}
