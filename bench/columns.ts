/**
 * The further columns of a full run, all on Postgres: many tenants, several gateways on one tenant, tokens never seen
 * before, and calls while the log is exported. Each is one closed-loop phase, to be compared with the simple case of
 * the same run.
 */
import { hash, randomBytes } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { attenuateToken, makeTokenHash } from "@writ/sdk";
import { createAdminClient } from "@writ/sdk/admin";
import { type PostgresServer, startWrit, type WritProcess } from "@writ/testkit";
import type { LoadPlan, LoadResult } from "./load.ts";
import { type Scenario, setUpScenario } from "./scenario.ts";

export interface ColumnTools {
  readonly postgres: PostgresServer;
  readonly upstreamPort: number;
  readonly load: (plan: LoadPlan) => Promise<LoadResult>;
  readonly say: (text: string) => void;
  readonly durationMs: number;
}

export interface ExtraColumn {
  readonly name: string;
  readonly rps: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly denied: number;
  readonly errors: number;
}

/** Distinct tokens of the cold column: more than a gateway remembers. */
const COLD_TOKENS = 20_000;

export async function measureColumns(tools: ColumnTools): Promise<readonly ExtraColumn[]> {
  return [...(await measureOneTenant(tools)), ...(await measureTenants(tools)), ...(await measureGateways(tools))];
}

async function measureOneTenant(tools: ColumnTools): Promise<readonly ExtraColumn[]> {
  const databaseUrl = await tools.postgres.createDatabase("bench_columns");
  const writ = await startWrit({ command: "serve", databaseUrl });
  try {
    const scenario = await setUp(tools, writ, "default");
    const plan = planFor(tools, writ, scenario, 64);
    tools.say("one tenant, warm token");
    const warm = toColumn("1 tenant", await tools.load(plan));
    tools.say("tokens never seen before");
    const cold = toColumn("cold tokens", await tools.load({ ...plan, tokensFile: await writeColdTokens(scenario) }));
    tools.say("while the log is exported");
    const admin = createAdminClient({ url: writ.adminUrl, key: writ.adminKey, timeoutMs: 120_000 });
    const stopping = new AbortController();
    const exporting = exportUntil(admin, stopping.signal);
    const during = toColumn("during an export", await tools.load(plan));
    stopping.abort();
    await exporting;
    return [warm, cold, during];
  } finally {
    await writ.dispose();
  }
}

async function measureTenants(tools: ColumnTools): Promise<readonly ExtraColumn[]> {
  const columns: ExtraColumn[] = [];
  for (const count of [100, 1_000]) {
    const databaseUrl = await tools.postgres.createDatabase(`bench_tenants_${count}`);
    const writ = await startWrit({ command: "serve", databaseUrl });
    try {
      const admin = createAdminClient({ url: writ.adminUrl, key: writ.adminKey, timeoutMs: 60_000 });
      const tokens: string[] = [];
      let scenario: Scenario | undefined;
      for (let index = 0; index < count; index += 1) {
        const tenant = `bench-${index}`;
        await admin.call("tenants.create", { body: { name: tenant } });
        scenario = await setUp(tools, writ, tenant);
        tokens.push((scenario.headers["authorization"] ?? "").slice("Bearer ".length));
        if ((index + 1) % 100 === 0) tools.say(`${index + 1} of ${count} tenants made`);
      }
      if (scenario === undefined) continue;
      const tokensFile = await writeLines(tokens);
      const result = await tools.load({ ...planFor(tools, writ, scenario, 64), tokensFile });
      columns.push(toColumn(`${count} tenants`, result));
    } finally {
      await writ.dispose();
    }
  }
  return columns;
}

async function measureGateways(tools: ColumnTools): Promise<readonly ExtraColumn[]> {
  const columns: ExtraColumn[] = [];
  for (const count of [1, 2, 4]) {
    tools.say(`${count} gateways on one tenant`);
    const databaseUrl = await tools.postgres.createDatabase(`bench_gateways_${count}`);
    const first = await startWrit({ command: "serve", databaseUrl });
    const others: WritProcess[] = [];
    try {
      const scenario = await setUp(tools, first, "default");
      for (let index = 1; index < count; index += 1) {
        others.push(await startWrit({ command: "gateway", databaseUrl, masterKey: first.masterKey }));
      }
      const results = await Promise.all(
        [first, ...others].map((writ) => tools.load(planFor(tools, writ, scenario, Math.ceil(64 / count)))),
      );
      const sum = (pick: (result: LoadResult) => number): number =>
        results.reduce((total, result) => total + pick(result), 0);
      const worst = (pick: (result: LoadResult) => number): number => Math.max(...results.map(pick));
      columns.push({
        name: `${count} ${count === 1 ? "gateway" : "gateways"}`,
        rps: Math.round(sum(({ rps }) => rps)),
        p50_ms: worst(({ p50_ms }) => p50_ms),
        p99_ms: worst(({ p99_ms }) => p99_ms),
        denied: sum(({ denied }) => denied),
        errors: sum(({ errors }) => errors),
      });
    } finally {
      for (const writ of others) await writ.dispose();
      await first.dispose();
    }
  }
  return columns;
}

function setUp(tools: ColumnTools, writ: WritProcess, tenant: string): Promise<Scenario> {
  const { adminUrl, adminKey } = writ;
  return setUpScenario({ adminUrl, adminKey, upstreamPort: tools.upstreamPort, tenant });
}

function planFor(tools: ColumnTools, writ: WritProcess, scenario: Scenario, connections: number): LoadPlan {
  return {
    host: "127.0.0.1",
    port: Number(new URL(writ.gatewayUrl).port),
    ...scenario,
    mode: "closed",
    connections,
    rate: 0,
    warmupMs: 3_000,
    durationMs: tools.durationMs,
  };
}

function toColumn(name: string, result: LoadResult): ExtraColumn {
  const { rps, p50_ms, p99_ms, denied, errors } = result;
  return { name, rps, p50_ms, p99_ms, denied, errors };
}

async function writeColdTokens(scenario: Scenario): Promise<string> {
  const sha256 = makeTokenHash((data) => hash("sha256", data, "buffer"));
  const parent = (scenario.headers["authorization"] ?? "").slice("Bearer ".length);
  const tokens = Array.from({ length: COLD_TOKENS }, () => {
    const made = attenuateToken(sha256, parent, { id: randomBytes(8).toString("hex"), caveats: ['{"depth":0}'] });
    if (made.kind !== "attenuated") throw new Error(`a token could not be attenuated: ${made.kind}`);
    return made.token;
  });
  return writeLines(tokens);
}

async function writeLines(lines: readonly string[]): Promise<string> {
  const file = path.join(await mkdtemp(path.join(tmpdir(), "writ-bench-")), "tokens");
  await writeFile(file, `${lines.join("\n")}\n`, { mode: 0o600 });
  return file;
}

async function exportUntil(admin: ReturnType<typeof createAdminClient>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const stream = await admin.call("audit.export", { params: { tenant: "default" }, query: {} });
    for await (const _chunk of stream) if (signal.aborted) return;
  }
}
