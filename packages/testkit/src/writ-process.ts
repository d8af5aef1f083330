/**
 * Writ as a user runs it: the `writ` command in a process of its own, with a data directory and configuration of its
 * own, ready when this resolves. The process ends with the test that started it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { copyMigratedPglite } from "./database-template.ts";

const WRIT_BIN = fileURLToPath(new URL("../../cli/bin/writ.mjs", import.meta.url));
const READY_WITHIN_MS = 60_000;
/** What is kept of a process's standard error, for the message when it fails. */
const STDERR_KEPT = 20_000;

export interface WritProcessOptions {
  readonly command: "serve" | "gateway" | "control";
  /** A directory to go on with; a new temporary one when left out. */
  readonly directory?: string;
  /** Postgres; the embedded database when left out. */
  readonly databaseUrl?: string;
  /**
   * Who makes the embedded database of a new temporary directory: the testkit, by a copy of one that was migrated and
   * has never been started on (what a start makes itself, keys, tenants and logs, is in no copy), unless `writ` is said,
   * for what is about a first start. A directory that was given is left as it is.
   */
  readonly databaseBy?: "writ";
  /** Shared by all processes on one database; made when left out. */
  readonly masterKey?: string;
  /** The token audience that all gateways of one database share. */
  readonly audience?: string;
  /** Further environment (`WRIT_…`). */
  readonly env?: Readonly<Record<string, string>>;
}

export interface WritProcess {
  readonly directory: string;
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  readonly tenantId: string;
  /** Of the zero-configuration start: the starter agent's token and the instance's admin key. */
  readonly token: string;
  readonly adminKey: string;
  readonly masterKey: string;
  readonly pid: number;
  /** Milliseconds from spawn to ready. */
  readonly startedInMs: number;
  readonly exited: Promise<number | null>;
  stderr(): string;
  /** Resident memory in MB. */
  rssMb(): Promise<number>;
  kill9(): Promise<void>;
  /** SIGTERM, and the exit code that follows. */
  stop(): Promise<number | null>;
  /** Stops it and removes its directory. */
  dispose(): Promise<void>;
}

/** A configuration as the ready line prints it; see `writ serve --json`. */
interface ReadyLine {
  readonly gatewayUrl?: string;
  readonly adminUrl?: string;
  readonly tenantId?: string;
  readonly tokenFile?: string;
  readonly adminKeyFile?: string;
}

export async function startWrit(options: WritProcessOptions): Promise<WritProcess> {
  const directory = options.directory ?? (await mkdtemp(path.join(tmpdir(), "writ-process-")));
  const masterKey = options.masterKey ?? (await keptMasterKey(directory));
  if (options.directory === undefined && options.databaseUrl === undefined && options.databaseBy !== "writ") {
    await mkdir(path.join(directory, "data"), { mode: 0o700 });
    await copyMigratedPglite(path.join(directory, "data", "db"));
  }
  const startedAt = performance.now();
  const child = spawn(process.execPath, [WRIT_BIN, options.command, "--json"], {
    cwd: directory,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: directory,
      WRIT_DATA_DIR: path.join(directory, "data"),
      WRIT_GATEWAY_PORT: "0",
      WRIT_CONTROL_PORT: "0",
      WRIT_GATEWAY_AUDIENCE: options.audience ?? "http://writ.test",
      WRIT_KEYS_MASTER_KEY: masterKey,
      WRIT_LOG_LEVEL: "warn",
      ...(options.databaseUrl === undefined ? {} : { WRIT_DATABASE_URL: options.databaseUrl }),
      ...options.env,
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const kill = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", kill);
  const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  void exited.then(() => process.off("exit", kill));
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });
  let ready: ReadyLine;
  try {
    ready = await readReadyLine(child, exited);
  } catch (error) {
    kill();
    throw new Error(`writ ${options.command} did not become ready: ${stderr}`, { cause: error });
  }
  const startedInMs = performance.now() - startedAt;
  const fromFile = async (file: string | undefined): Promise<string> =>
    file === undefined ? "" : (await readFile(file, "utf8")).trim();

  const writ: WritProcess = {
    directory,
    gatewayUrl: ready.gatewayUrl ?? "",
    adminUrl: ready.adminUrl ?? "",
    tenantId: ready.tenantId ?? "",
    token: await fromFile(ready.tokenFile),
    adminKey: await fromFile(ready.adminKeyFile),
    masterKey,
    pid: child.pid ?? 0,
    startedInMs,
    exited,
    stderr: () => stderr,
    async rssMb() {
      const status = await readFile(`/proc/${child.pid}/status`, "utf8");
      return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
    },
    async kill9() {
      kill();
      await exited;
    },
    stop() {
      child.kill("SIGTERM");
      return exited;
    },
    async dispose() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        const timer = setTimeout(kill, 10_000);
        await exited;
        clearTimeout(timer);
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
  return writ;
}

/** A directory that is started again is opened with the key it was made with. */
async function keptMasterKey(directory: string): Promise<string> {
  const file = path.join(directory, "test-master.key");
  try {
    return (await readFile(file, "utf8")).trim();
  } catch {
    // The first start in this directory.
    const key = randomBytes(32).toString("base64");
    await writeFile(file, key, { mode: 0o600 });
    return key;
  }
}

async function readReadyLine(child: ChildProcess, exited: Promise<number | null>): Promise<ReadyLine> {
  const { stdout } = child;
  if (stdout === null) throw new Error("the process has no standard output");
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<ReadyLine>((resolve, reject) => {
      let text = "";
      stdout.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        const end = text.indexOf("\n");
        if (end < 0) return;
        // The line is written by the command under test in the shape of its ready report.
        resolve(JSON.parse(text.slice(0, end)) as ReadyLine);
      });
      void exited.then((code) => reject(new Error(`it exited with ${code}`)));
      timer = setTimeout(() => reject(new Error(`not ready within ${READY_WITHIN_MS} ms`)), READY_WITHIN_MS);
    });
  } finally {
    clearTimeout(timer);
  }
}
