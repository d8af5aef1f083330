/**
 * `npm run bench`: an authorized call beside a bare proxy of the same runtime, on both databases, in one run.
 *   --quick   short phases, under 50 s in all
 *   --json    prints one object and nothing else
 *   --base    the three columns only
 *   --doors   the doors only: lists, streams, plain HTTP and decisions for others, beside the bare proxy
 *   --planes  a gateway by itself beside one with the control plane in its process, only
 * A full run draws docs/pictures/bench.svg, and also measures the doors, many tenants, several gateways, cold tokens and an
 * export.
 * Every process (generator, upstream, what is measured, database) shares this machine's cores, and traffic stays on
 * loopback. Raw latencies are kept in bench/results/.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { startPostgres, startWrit, type WritProcess } from "@writ/testkit";
import { drawChart } from "./chart.ts";
import { type ExtraColumn, measureColumns } from "./columns.ts";
import { measureCommit } from "./commit-time.ts";
import { cpuTimeUs, postgresPids } from "./cpu-time.ts";
import { type DoorColumn, measureDoors } from "./doors.ts";
import type { LoadPlan, LoadResult } from "./load.ts";
import { measurePlanes, type PlanesColumn } from "./planes.ts";
import { CALL_BODY, CALL_HEADERS, type Scenario, setUpScenario } from "./scenario.ts";

interface Phases {
  /** Calls before the first round, so that code is compiled: a gateway needs some twenty seconds of full load for that. */
  readonly firstMs: number;
  readonly warmupMs: number;
  readonly closedMs: number;
  readonly openMs: number;
  readonly rounds: number;
}

const FULL: Phases = { firstMs: 25_000, warmupMs: 3_000, closedMs: 10_000, openMs: 10_000, rounds: 3 };
const QUICK: Phases = { firstMs: 4_500, warmupMs: 1_000, closedMs: 3_000, openMs: 2_000, rounds: 1 };
const CLOSED_CONNECTIONS = 128;
const OPEN_CONNECTIONS = 128;
const OPEN_RATE = 1_000;
const FIRST_ATTEMPTS = 20;

interface Column {
  readonly rps: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly open_loop: { readonly rate: number; readonly p50_ms: number; readonly p99_ms: number };
  readonly errors: number;
  readonly denied: number;
  readonly rss_mb: number;
  /** Processor time of one call under full load: of what stands between agent and upstream, and of its database. */
  readonly cpu_us: { readonly proxy: number; readonly database: number };
}

/** One phase of closed loop and one of open loop, and what the closed one cost. */
interface Round {
  readonly closed: LoadResult;
  readonly open: LoadResult;
  readonly cpu_us: Column["cpu_us"];
}

const here = path.dirname(fileURLToPath(import.meta.url));
const children = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** A part of the benchmark by itself, on Postgres. */
async function measureAlone(part: "doors" | "planes", phases: Phases, say: (text: string) => void): Promise<string> {
  const upstream = await startScript("upstream.ts", []);
  const bare = bareTarget(await startScript("bare-proxy.ts", [String(upstream.port)]));
  const postgres = await startPostgres({ fsync: true });
  // Always in turns: what the machine does besides falls on all of them.
  const { warmupMs, rounds } = FULL;
  const tools = { postgres, bare, upstreamPort: upstream.port, load, say, phases: { ...phases, warmupMs, rounds } };
  const started = { load: loadavg()[0] ?? 0, machine: machine() };
  try {
    if (part === "planes") return print({ planes: await measurePlanes(tools), ...started }, planesTable);
    const writ = await startWrit({ command: "serve", databaseUrl: await postgres.createDatabase("bench_doors") });
    try {
      return print({ doors: await measureDoors({ ...tools, writ }), ...started }, doorsTable);
    } finally {
      await writ.dispose();
    }
  } finally {
    await postgres.stop();
  }
}

function print<T extends object>(report: T, table: (report: T) => string): string {
  return process.argv.includes("--json") ? `${JSON.stringify(report)}\n` : table(report);
}

function machine(): object {
  return { cores: availableParallelism(), cpu: cpus()[0]?.model ?? "", node: process.version };
}

function bareTarget(bare: { readonly child: ChildProcess; readonly port: number }): Target {
  const headers = { ...CALL_HEADERS, authorization: "Bearer agent" };
  return { port: bare.port, pid: bare.child.pid ?? 0, scenario: { path: "/mcp", headers, body: CALL_BODY } };
}

async function main(): Promise<void> {
  const quick = process.argv.includes("--quick");
  const json = process.argv.includes("--json");
  const phases = quick ? QUICK : FULL;
  const say = (text: string): void => {
    if (!json) process.stderr.write(`${text}\n`);
  };
  const started = performance.now();
  for (const part of ["doors", "planes"] as const) {
    if (!process.argv.includes(`--${part}`)) continue;
    process.stdout.write(await measureAlone(part, phases, say));
    for (const child of children) child.kill("SIGTERM");
    return;
  }

  const upstream = await startScript("upstream.ts", []);
  const bare = await startScript("bare-proxy.ts", [String(upstream.port)]);
  const beside = bareTarget(bare);

  say("starting Writ on the embedded database");
  const firstStart = await startWrit({ command: "serve", databaseBy: "writ" });
  const directory = firstStart.directory;
  await setUpScenario({
    adminUrl: firstStart.adminUrl,
    adminKey: firstStart.adminKey,
    upstreamPort: upstream.port,
    tenant: "default",
  }).then((scenario) => writeFile(path.join(directory, "scenario.json"), JSON.stringify(scenario)));
  await firstStart.stop();
  const coldAt = performance.now();
  const embedded = await startWrit({ command: "serve", directory });
  // Written above by this run.
  const embeddedScenario = JSON.parse(await readFile(path.join(directory, "scenario.json"), "utf8")) as Scenario;
  await firstDecision(embedded, embeddedScenario);
  const coldStartMs = Math.round(performance.now() - coldAt);

  const port = (url: string): number => Number(new URL(url).port);
  const onEmbedded = { port: port(embedded.gatewayUrl), pid: embedded.pid, scenario: embeddedScenario };

  say("warming up Writ on the embedded database; starting Postgres and Writ on it");
  const [{ postgres, databaseUrl, onServer, serverScenario }] = await Promise.all([
    startOnServer(upstream.port),
    warmUp(onEmbedded, phases),
  ]);
  const onPostgres = { port: port(onServer.gatewayUrl), pid: onServer.pid, scenario: serverScenario };
  say("warming up Writ on Postgres, and the bare proxy");
  await Promise.all([warmUp(onPostgres, phases), warmUp(beside, phases)]);

  const results: Record<"bare" | "writ_pglite" | "writ_postgres", Round[]> = {
    bare: [],
    writ_pglite: [],
    writ_postgres: [],
  };
  const targets: Record<keyof typeof results, Target> = {
    bare: beside,
    writ_pglite: onEmbedded,
    writ_postgres: onPostgres,
  };
  for (let round = 0; round < phases.rounds; round += 1) {
    for (const name of ["bare", "writ_pglite", "writ_postgres"] as const) {
      say(`round ${round + 1} of ${phases.rounds}: ${name}`);
      results[name].push(await measure(targets[name], phases));
    }
  }
  const commitMs = await measureCommit(databaseUrl, quick ? 200 : 1_000);
  const alone = await startWrit({ command: "gateway", databaseUrl, masterKey: onServer.masterKey });
  await firstDecision(alone, serverScenario);
  const gatewayRssMb = await alone.rssMb();
  await alone.dispose();
  const columns = {
    bare: column(results.bare, await rss(bare.child.pid)),
    writ_pglite: column(results.writ_pglite, await embedded.rssMb()),
    writ_postgres: column(results.writ_postgres, await onServer.rssMb()),
  };

  const report = {
    ...columns,
    ratio_pglite: ratio(columns.writ_pglite.rps, columns.bare.rps),
    ratio_postgres: ratio(columns.writ_postgres.rps, columns.bare.rps),
    commit_ms: commitMs,
    // The bare proxy's latency is that of the round trips to and through the upstream.
    open_p50_aim_ms: Math.round((1.5 * (commitMs + columns.bare.open_loop.p50_ms) + 0.3) * 100) / 100,
    gateway_rss_mb: gatewayRssMb,
    cold_start_ms: coldStartMs,
    first_start_ms: Math.round(firstStart.startedInMs),
    machine: machine(),
    quick,
    seconds: Math.round((performance.now() - started) / 1000),
  };
  await embedded.dispose();
  const isWhole = !quick && !process.argv.includes("--base");
  const shared = { upstreamPort: upstream.port, load, say };
  const doors = isWhole ? await measureDoors({ ...shared, bare: beside, writ: onServer, phases }) : [];
  await onServer.dispose();
  const further = isWhole ? await measureColumns({ ...shared, postgres, durationMs: phases.closedMs }) : [];
  await keepRaw({ ...report, doors, further }, results);
  if (!quick) await writeChart(report);
  await postgres.stop();
  for (const child of children) child.kill("SIGTERM");
  const tables = (): string => table(report) + (isWhole ? doorsTable({ doors }) : "") + furtherTable(further);
  process.stdout.write(json ? `${JSON.stringify({ ...report, doors, further })}\n` : tables());
}

interface Target {
  readonly port: number;
  readonly pid: number;
  readonly scenario: Scenario;
}

async function startOnServer(upstreamPort: number) {
  const postgres = await startPostgres({ fsync: true });
  const databaseUrl = await postgres.createDatabase("bench");
  const onServer = await startWrit({ command: "serve", databaseUrl });
  const { adminUrl, adminKey } = onServer;
  const serverScenario = await setUpScenario({ adminUrl, adminKey, upstreamPort, tenant: "default" });
  return { postgres, databaseUrl, onServer, serverScenario };
}

async function warmUp(target: Target, phases: Phases): Promise<void> {
  await load(closedLoop(target, { warmupMs: 0, durationMs: phases.firstMs }));
}

function closedLoop(target: Target, lasting: Pick<LoadPlan, "warmupMs" | "durationMs">): LoadPlan {
  const { port, scenario } = target;
  return {
    host: "127.0.0.1",
    port,
    ...scenario,
    mode: "closed",
    connections: CLOSED_CONNECTIONS,
    rate: 0,
    ...lasting,
  };
}

async function measure(target: Target, phases: Phases): Promise<Round> {
  const database = postgresPids();
  const before = { proxy: cpuTimeUs([target.pid]), database: cpuTimeUs(database) };
  const closed = await load(closedLoop(target, { warmupMs: phases.warmupMs, durationMs: phases.closedMs }));
  const perCall = (us: number): number => Math.round((us / Math.max(1, closed.answered)) * 10) / 10;
  const cpu_us = {
    proxy: perCall(cpuTimeUs([target.pid]) - before.proxy),
    database: perCall(cpuTimeUs(database) - before.database),
  };
  const open = await load({
    host: "127.0.0.1",
    port: target.port,
    ...target.scenario,
    mode: "open",
    connections: OPEN_CONNECTIONS,
    rate: OPEN_RATE,
    warmupMs: 500,
    durationMs: phases.openMs,
  });
  return { closed, open, cpu_us };
}

async function load(plan: LoadPlan): Promise<LoadResult> {
  const directory = await mkdtemp(path.join(tmpdir(), "writ-bench-"));
  const child = spawn(process.execPath, [path.join(here, "load.ts"), JSON.stringify(plan)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.add(child);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  children.delete(child);
  await rm(directory, { recursive: true, force: true });
  if (code !== 0) throw new Error(`the load generator exited with ${code}`);
  // Printed by load.ts in this very type.
  return JSON.parse(text) as LoadResult;
}

function column(rounds: readonly Round[], rssMb: number): Column {
  const closed = middle(
    rounds.map((round) => round.closed),
    ({ rps }) => rps,
  );
  const open = middle(
    rounds.map((round) => round.open),
    ({ rps }) => rps,
  );
  const all = rounds.flatMap((round) => [round.closed, round.open]);
  return {
    rps: closed.rps,
    p50_ms: closed.p50_ms,
    p99_ms: closed.p99_ms,
    open_loop: { rate: OPEN_RATE, p50_ms: open.p50_ms, p99_ms: open.p99_ms },
    errors: all.reduce((sum, result) => sum + result.errors, 0),
    denied: all.reduce((sum, result) => sum + result.denied, 0),
    rss_mb: rssMb,
    cpu_us: middle(
      rounds.map((round) => round.cpu_us),
      ({ proxy, database }) => proxy + database,
    ),
  };
}

/** The one with the middle value. */
function middle<T>(results: readonly T[], value: (result: T) => number): T {
  const sorted = [...results].sort((a, b) => value(a) - value(b));
  const found = sorted[Math.floor(sorted.length / 2)];
  if (found === undefined) throw new Error("nothing was measured");
  return found;
}

/** Calls until a call is allowed: on a busy machine the first may come too late to be sent. */
async function firstDecision(writ: WritProcess, scenario: Scenario): Promise<void> {
  let told = "";
  for (let attempt = 1; attempt <= FIRST_ATTEMPTS; attempt += 1) {
    const response = await fetch(writ.gatewayUrl + scenario.path, {
      method: "POST",
      headers: scenario.headers,
      body: scenario.body.replace("{{n}}", String(attempt)),
    });
    told = `${response.status} ${(await response.text()).slice(0, 300)}`;
    if (told.includes('"result"')) return;
  }
  throw new Error(`the first calls were not allowed: ${told}`);
}

async function startScript(file: string, args: readonly string[]): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [path.join(here, file), ...args], { stdio: ["ignore", "pipe", "inherit"] });
  children.add(child);
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.setEncoding("utf8").once("data", (text: string) => resolve(Number(text.trim())));
    child.once("exit", (code) => reject(new Error(`${file} exited with ${code}`)));
  });
  return { child, port };
}

async function rss(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
}

function ratio(value: number, base: number): number {
  return base === 0 ? 0 : Math.round((value / base) * 1000) / 1000;
}

async function keepRaw(report: object, results: object): Promise<void> {
  const directory = path.join(here, "results");
  await mkdir(directory, { recursive: true });
  const name = new Date().toISOString().replaceAll(":", "-");
  await writeFile(path.join(directory, `${name}.json`), JSON.stringify({ report, results }));
}

async function writeChart(report: Record<"bare" | "writ_pglite" | "writ_postgres", Column>): Promise<void> {
  const names = { bare: "bare proxy", writ_pglite: "Writ, embedded", writ_postgres: "Writ, Postgres" } as const;
  const columns = (["bare", "writ_pglite", "writ_postgres"] as const).map((key) => {
    const { rps, open_loop } = report[key];
    return { name: names[key], rps, p50Ms: open_loop.p50_ms, p99Ms: open_loop.p99_ms };
  });
  const machine = `${availableParallelism()} cores shared by generator, upstream, gateway and database; Node ${process.version}`;
  await writeFile(
    path.join(here, "../docs/pictures/bench.svg"),
    drawChart("An authorized call beside a bare proxy", machine, columns),
  );
}

function doorsTable({ doors }: { readonly doors: readonly DoorColumn[] }): string {
  const row = (cells: readonly (string | number)[]): string =>
    `${String(cells[0]).padEnd(24)}${cells
      .slice(1)
      .map((cell) => String(cell).padStart(12))
      .join("")}\n`;
  const head = row(["door", "bare rps", "writ rps", "ratio", "p50 ms", "p99 ms", "denied", "errors"]);
  const rows = doors.map(({ name, bare, writ, ratio: of }) =>
    row([name, bare?.rps ?? "–", writ.rps, of ?? "–", writ.p50_ms, writ.p99_ms, writ.denied, writ.errors]),
  );
  const errors = doors
    .filter(({ writ }) => writ.firstError !== "")
    .map(({ name, writ }) => `${name}: ${writ.firstError}\n`);
  return head + rows.join("") + errors.join("");
}

function planesTable({ planes }: { readonly planes: readonly PlanesColumn[] }): string {
  return planes
    .map(({ name, rps, ratio: of, rounds }) => {
      const each = rounds.map((one) => `${one.rps} (${one.proxy_us} + ${one.database_us} + ${one.control_us} µs)`);
      return `${name.padEnd(24)}${String(rps).padStart(12)}${String(of).padStart(8)}   ${each.join(", ")}\n`;
    })
    .join("");
}

function furtherTable(columns: readonly ExtraColumn[]): string {
  return columns
    .map(({ name, rps, p50_ms, p99_ms, denied, errors }) => {
      const cells = [rps, p50_ms, p99_ms, denied, errors].map((cell) => String(cell).padStart(12)).join("");
      return `${name.padEnd(20)}${cells}\n`;
    })
    .join("");
}

function table(report: Record<"bare" | "writ_pglite" | "writ_postgres", Column> & Record<string, unknown>): string {
  const row = (name: string, cells: readonly (string | number)[]): string =>
    `${name.padEnd(16)}${cells.map((cell) => String(cell).padStart(12)).join("")}\n`;
  const names = ["rps", "p50 ms", "p99 ms", "open p50", "open p99", "errors", "denied", "rss MB", "cpu µs", "db µs"];
  let text = row("", names);
  for (const name of ["bare", "writ_pglite", "writ_postgres"] as const) {
    const { rps, p50_ms, p99_ms, open_loop, errors, denied, rss_mb, cpu_us } = report[name];
    const cells = [rps, p50_ms, p99_ms, open_loop.p50_ms, open_loop.p99_ms, errors, denied, rss_mb];
    text += row(name, [...cells, cpu_us.proxy, cpu_us.database]);
  }
  for (const name of [
    "ratio_pglite",
    "ratio_postgres",
    "commit_ms",
    "open_p50_aim_ms",
    "cold_start_ms",
    "first_start_ms",
    "gateway_rss_mb",
  ]) {
    text += `${name.padEnd(16)}${String(report[name]).padStart(12)}\n`;
  }
  return text;
}

await main();
