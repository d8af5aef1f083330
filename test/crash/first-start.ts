/**
 * Interrupts the first start of Writ on the embedded database at a chosen moment, then starts it again in the same
 * directory: the state must be whole, as if nothing had happened.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { openPglite } from "@writ/db";
import { startWrit } from "@writ/testkit";
import { checkHistory } from "../invariants/check-history.ts";
import { callTool } from "./load.ts";
import { until } from "./rig.ts";

export const WRIT_BIN = fileURLToPath(new URL("../../packages/cli/bin/writ.mjs", import.meta.url));
const ENDS_WITHIN_MS = 30_000;
const CALLED_WITHIN_MS = 20_000;

export interface InterruptedStart {
  /** What is wrong after the next start; empty when the state is whole. */
  readonly problems: readonly string[];
  /** Whether the start had come to its end before the signal. */
  readonly wasReady: boolean;
  /** The exit code, or the signal that ended the process before it listened for any. */
  readonly exit: number | NodeJS.Signals | null;
}

export async function interruptFirstStart(
  signal: "SIGINT" | "SIGTERM" | "SIGKILL",
  afterMs: number,
): Promise<InterruptedStart> {
  const directory = await mkdtemp(path.join(tmpdir(), "writ-first-start-"));
  const masterKey = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64");
  const problems: string[] = [];
  try {
    const { wasReady, exit } = await startAndSignal({ directory, masterKey, signal, afterMs });
    // Before the process listens for signals it has made nothing, and ends as any program does.
    if (exit !== 0 && exit !== signal) problems.push(`${signal} ended the start with ${exit}`);

    const writ = await startWrit({ command: "serve", directory, masterKey });
    try {
      const admin = async (route: string): Promise<{ readonly toolsPinned?: number; readonly status?: string }> => {
        const response = await fetch(`${writ.adminUrl}/v1/tenants/default${route}`, {
          headers: { authorization: `Bearer ${writ.adminKey}` },
        });
        // Answers of the admin API; a refusal has other members.
        return (await response.json()) as { readonly toolsPinned?: number; readonly status?: string };
      };
      const upstream = await admin("/upstreams/everything");
      if ((upstream.toolsPinned ?? 0) === 0) problems.push("the starter upstream has no pinned tools");
      const verified = await admin("/audit/verify?full=true");
      if (verified.status !== "intact") problems.push(`the log is ${verified.status}`);
      let told = "";
      await until("the starter's call is answered", CALLED_WITHIN_MS, async () => {
        const answer = await callTool({
          gatewayUrl: writ.gatewayUrl,
          upstream: "everything",
          token: writ.token,
          tool: "echo",
          argumentsText: '{"message":"hello"}',
        });
        told = answer.reason ?? answer.kind;
        return told !== "upstream_unavailable";
      });
      if (told !== "answered") problems.push(`the starter's call was told ${told}`);
      for (const file of ["admin-key", "starter-token"]) {
        const { mode } = await stat(path.join(directory, "data", file));
        if ((mode & 0o077) !== 0) problems.push(`${file} is readable by others`);
      }
      const code = await writ.stop();
      if (code !== 0) problems.push(`the next process ended with ${code}`);
    } finally {
      await writ.kill9();
    }
    if (signal !== "SIGKILL") problems.push(...(await checkLog(directory, masterKey)));
    // The next start removes a half-made database; a half-made file of a process that was killed stands in nobody's way.
    const halfMade = signal === "SIGKILL" ? /\.new-/ : /\.new(-|$)/;
    const left = (await readdir(path.join(directory, "data"))).filter((name) => halfMade.test(name));
    if (left.length > 0) problems.push(`half-made files are left: ${left.join(", ")}`);
    return { problems, wasReady, exit };
  } finally {
    // What a killed process had started may have a last word to write.
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function startAndSignal(options: {
  readonly directory: string;
  readonly masterKey: string;
  readonly signal: NodeJS.Signals;
  readonly afterMs: number;
}): Promise<{ readonly wasReady: boolean; readonly exit: number | NodeJS.Signals | null }> {
  const { directory, masterKey, signal, afterMs } = options;
  const child = spawn(process.execPath, [WRIT_BIN, "serve", "--json"], {
    cwd: directory,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: directory,
      WRIT_DATA_DIR: path.join(directory, "data"),
      WRIT_GATEWAY_PORT: "0",
      WRIT_CONTROL_PORT: "0",
      WRIT_GATEWAY_AUDIENCE: "http://writ.test",
      WRIT_KEYS_MASTER_KEY: masterKey,
      WRIT_LOG_LEVEL: "warn",
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  const exited = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once("exit", (code, endedBy) => resolve(code ?? endedBy)),
  );
  let wasReady = false;
  child.stdout.on("data", () => {
    wasReady = true;
  });
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  const readyBefore = wasReady;
  child.kill(signal);
  const late = setTimeout(() => child.kill("SIGKILL"), ENDS_WITHIN_MS);
  const exit = await exited;
  clearTimeout(late);
  return { wasReady: readyBefore, exit };
}

/** Everything that was allowed has ended, and nothing is reserved or leased. */
async function checkLog(directory: string, masterKey: string): Promise<readonly string[]> {
  const handle = await openPglite({ dataDir: path.join(directory, "data", "db") });
  try {
    const report = await checkHistory({
      db: handle.as("migrate"),
      forwarded: [],
      told: [],
      // The starter's upstream is a process of its own and writes nothing down.
      upstream: "",
      masterKey,
      checkpointsFile: path.join(directory, "data-checkpoints", "checkpoints.txt"),
      checkpointKeyFile: path.join(directory, "data", "checkpoint.key"),
    });
    return report.problems;
  } finally {
    await handle.close();
  }
}
