/**
 * `node bench/journal.ts`: what one batch of the journal costs by itself. `commitJournal` is called on a Postgres that
 * calls fsync and on the embedded database, one batch after the other; no gateway, no HTTP.
 *   --only postgres|pglite   one of the two
 *   --rounds N               rounds of every size (3); each figure is the median of the rounds
 *   --calls N                calls a round and size (6,400)
 *   --json                   prints one object and nothing else
 * A batch of size n holds the allows of n calls with four claims each, and the outcomes of the n calls before them.
 * Columns: `p50` is the median round trip of a batch. `server` is CPU a call of the database: of its one backend
 * process, or of all threads but the main one where the database is a thread. `client` is CPU a call of the main
 * thread between calling `commitJournal` and its answer: packing, sending, reading. Compare CPU and not round trips
 * where others use the machine; `commit` is the round trip of a one-row insert on the same connection, which no batch can
 * be below.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { encodeEvent } from "@writ/audit";
import { type BudgetClaim, makeUuidv7, windowAt } from "@writ/contract";
import { type Database, migrate, openPostgres } from "@writ/db";
import { commitJournal, createTenant, ensureInstance, type HeadMark, type JournalEntry } from "@writ/history";
import { freshPglite, migrationsDirectory, startPostgres } from "@writ/testkit";

const SIZES = [1, 16, 64, 128] as const;
const TOKENS = 16;
const AGENTS = 4;
const COMMITS = 300;

/** One engine, set up: CPU clocks are in microseconds, each since some moment of its own. */
interface Engine {
  readonly name: "postgres" | "pglite";
  readonly gateway: Database;
  readonly control: Database;
  readonly owner: Database;
  serverCpuUs(): Promise<number>;
  close(): Promise<void>;
}

interface Figures {
  readonly p50Ms: number;
  readonly serverUs: number;
  readonly clientUs: number;
}

interface Report {
  readonly engine: Engine["name"];
  readonly commitMs: number;
  /** By size. */
  readonly sizes: Readonly<Record<number, Figures>>;
}

const newId = (): string => makeUuidv7(Date.now(), randomBytes(10));
const newHex = (bytes: number): string => randomBytes(bytes).toString("hex");
const GATEWAY = newId();

async function main(): Promise<void> {
  const only = option("--only");
  const rounds = Number(option("--rounds") ?? 3);
  const calls = Number(option("--calls") ?? 6_400);
  const reports: Report[] = [];
  for (const start of [startServer, startEmbedded]) {
    if (only !== undefined && (start === startServer) !== (only === "postgres")) continue;
    const engine = await start();
    try {
      reports.push(await measure(engine, rounds, calls));
    } finally {
      await engine.close();
    }
  }
  const json = process.argv.includes("--json");
  process.stdout.write(json ? `${JSON.stringify(reports)}\n` : reports.map(table).join("\n"));
}

function option(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

async function startServer(): Promise<Engine> {
  const server = await startPostgres({ fsync: true });
  const url = await server.createDatabase("journal");
  const open = (role: "gateway" | "control" | "migrate"): Database =>
    openPostgres({ url, role, poolMax: 1, applicationName: "writ-bench" });
  const [gateway, control, owner] = [open("gateway"), open("control"), open("migrate")];
  await migrate(owner, migrationsDirectory);
  const rows = await gateway.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  const schedule = `/proc/${rows[0]?.pid}/schedstat`;
  return {
    name: "postgres",
    gateway,
    control,
    owner,
    // The first field is the time on a CPU in nanoseconds; /proc/<pid>/stat has it in hundredths of a second only.
    serverCpuUs: async () => Number((await readFile(schedule, "utf8")).split(" ")[0]) / 1000,
    close: async () => {
      await Promise.all([gateway.close(), control.close(), owner.close()]);
      await server.stop();
    },
  };
}

async function startEmbedded(): Promise<Engine> {
  const { handle, remove } = await freshPglite();
  return {
    name: "pglite",
    gateway: handle.as("gateway", { queue: "journal" }),
    control: handle.as("control"),
    owner: handle.as("migrate"),
    serverCpuUs: async () => {
      const [all, own] = [process.cpuUsage(), process.threadCpuUsage()];
      return all.user + all.system - own.user - own.system;
    },
    close: remove,
  };
}

async function measure(engine: Engine, rounds: number, calls: number): Promise<Report> {
  await ensureInstance(engine.control, { nowMs: Date.now(), newId });
  const tenantId = newId();
  await createTenant(engine.control, { tenantId, nowMs: Date.now(), newId }, async (command) => {
    const value = { name: "bench", status: "active", tokenLifetimeMaxSeconds: 60, budgetNodesMax: 1_000 } as const;
    await command.put({ kind: "tenant", id: tenantId, value }, 0);
  });
  const source = makeCalls(tenantId);
  const marks = new Map<string, HeadMark>();
  await run(engine, source, marks, 16, 800);
  const measured = new Map<number, Figures[]>(SIZES.map((size) => [size, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const size of SIZES) {
      measured.get(size)?.push(await run(engine, source, marks, size, Math.min(calls, size * 1_000)));
    }
  }
  const sizes = Object.fromEntries(
    [...measured].map(([size, figures]): [number, Figures] => [
      size,
      {
        p50Ms: median(figures.map(({ p50Ms }) => p50Ms)),
        serverUs: median(figures.map(({ serverUs }) => serverUs)),
        clientUs: median(figures.map(({ clientUs }) => clientUs)),
      },
    ]),
  );
  return { engine: engine.name, commitMs: await measureCommit(engine.owner), sizes };
}

type Allow = Extract<JournalEntry, { kind: "allow" }>;

/** Commits `calls` calls in batches of `size`. The outcomes of the last batch are committed behind the measurement. */
async function run(
  engine: Engine,
  source: CallSource,
  marks: Map<string, HeadMark>,
  size: number,
  calls: number,
): Promise<Figures> {
  let open: Allow[] = Array.from({ length: size }, () => source.allow());
  await commit(engine, marks, open);
  const times: number[] = [];
  let clientUs = 0;
  let serverUs = 0;
  const batches = Math.ceil(calls / size);
  for (let batch = 0; batch < batches; batch += 1) {
    const allows = Array.from({ length: size }, () => source.allow());
    const entries = [...allows, ...open.map((allow) => source.outcome(allow))];
    const serverBefore = await engine.serverCpuUs();
    const clientBefore = process.threadCpuUsage();
    const startMs = performance.now();
    await commit(engine, marks, entries);
    times.push(performance.now() - startMs);
    const client = process.threadCpuUsage(clientBefore);
    clientUs += client.user + client.system;
    serverUs += (await engine.serverCpuUs()) - serverBefore;
    open = allows;
  }
  await commit(
    engine,
    marks,
    open.map((allow) => source.outcome(allow)),
  );
  return { p50Ms: median(times), serverUs: serverUs / batches / size, clientUs: clientUs / batches / size };
}

async function commit(engine: Engine, marks: Map<string, HeadMark>, entries: readonly JournalEntry[]): Promise<void> {
  const answer = await commitJournal(engine.gateway, { id: newId(), gatewayId: GATEWAY, marks, entries });
  const other = answer.results.find((result) => result.kind !== "committed");
  if (other !== undefined) throw new Error(`an entry was not committed: ${other.kind}`);
  for (const [tenantId, head] of answer.heads) marks.set(tenantId, head);
}

interface CallSource {
  allow(): Allow;
  outcome(allow: Allow): JournalEntry;
}

/** Calls of sixteen tokens of four agents of one principal, with the events that a gateway would write for them. */
function makeCalls(tenantId: string): CallSource {
  const [principalId, tenantCounter, principalCounter] = [newId(), newHex(16), newHex(16)];
  const agents = Array.from({ length: AGENTS }, () => ({ id: newId(), counter: newHex(16) }));
  const tokens = Array.from({ length: TOKENS }, () => ({ node: newHex(16), root: newHex(16), counter: newHex(16) }));
  const [definition, policy] = [newHex(32), newHex(32)];
  let made = 0;
  const claim = (counter: string, scope: BudgetClaim["scope"], scopeId: string, window: BudgetClaim["window"]) => {
    const { startMs, endMs } = windowAt(window, Date.now());
    const [unit, mode] = ["calls", "hard"] as const;
    return {
      ...{ counter, scope, scopeId, unit, window, windowStartMs: startMs, windowEndMs: endMs },
      ...{ amount: 1, limit: 1_000_000_000, mode },
    };
  };
  return {
    allow() {
      const token = tokens[made % TOKENS];
      const agent = agents[made % AGENTS];
      made += 1;
      if (token === undefined || agent === undefined) throw new TypeError("there is no such token");
      const [callId, nowMs] = [newId(), Date.now()];
      const claims: BudgetClaim[] = [
        claim(token.counter, "node", token.node, "total"),
        claim(agent.counter, "agent", agent.id, "day"),
        claim(principalCounter, "principal", principalId, "month"),
        claim(tenantCounter, "tenant", tenantId, "month"),
      ];
      const event = encodeEvent({
        event: "call.decided",
        id: newId(),
        timeMs: nowMs,
        tenantId,
        fields: {
          callId,
          decision: "allow",
          reasons: ["policy_allow"],
          agentId: agent.id,
          principalId,
          node: token.node,
          root: token.root,
          action: "tool.call",
          protocol: "mcp",
          upstream: "bench",
          tool: "transfer",
          definition,
          revision: 1,
          policy,
          validUntil: nowMs + 600_000,
          arguments: newHex(32),
          input: newHex(32),
          claims: claims.map(({ windowStartMs, windowEndMs: _, ...rest }) => ({ ...rest, windowStart: windowStartMs })),
          gateway: GATEWAY,
          ruleId: "small-transfers",
        },
      });
      return {
        ...{ kind: "allow", tenantId, callId, revision: 1, validUntilMs: nowMs + 600_000, claims },
        ...{ root: token.root, budgetNodesMax: 1_000, salt: randomBytes(16), ...event },
      };
    },
    outcome(allow) {
      const fields = { callId: allow.callId, status: "200", responseBytes: 512, digest: newHex(32), durationMs: 3 };
      const event = encodeEvent({ event: "call.completed", id: newId(), timeMs: Date.now(), tenantId, fields });
      return { kind: "outcome", tenantId, callId: allow.callId, outcome: "completed", ...event };
    },
  };
}

/** Median milliseconds of a one-row insert. */
async function measureCommit(owner: Database): Promise<number> {
  await owner.query("CREATE TABLE public.bench_commit (at timestamptz)");
  const times: number[] = [];
  for (let index = 0; index < COMMITS; index += 1) {
    const startMs = performance.now();
    await owner.query("INSERT INTO public.bench_commit VALUES (now())");
    times.push(performance.now() - startMs);
  }
  return median(times);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function table(report: Report): string {
  const rows = Object.entries(report.sizes).map(([size, { p50Ms, serverUs, clientUs }]) =>
    [
      size.padStart(5),
      p50Ms.toFixed(2).padStart(9),
      serverUs.toFixed(1).padStart(10),
      clientUs.toFixed(1).padStart(10),
    ].join(" "),
  );
  return [
    `${report.engine} (commit ${report.commitMs.toFixed(2)} ms, ${cpus()[0]?.model ?? "unknown processor"}, node ${process.version})`,
    ` size    p50 ms  server µs  client µs`,
    ...rows,
    "",
  ].join("\n");
}

await main();
