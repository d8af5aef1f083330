/**
 * Whether a gateway by itself differs from one with the control plane in its process, on one Postgres: both and the bare
 * proxy in turn, with the processor time of each process by call. Nothing is asked of either control plane meanwhile.
 */
import { type PostgresServer, startWrit } from "@writ/testkit";
import { cpuTimeUs, postgresPids } from "./cpu-time.ts";
import type { LoadPlan, LoadResult } from "./load.ts";
import { type Scenario, setUpScenario } from "./scenario.ts";

export interface PlanesTools {
  readonly postgres: PostgresServer;
  readonly bare: { readonly port: number; readonly pid: number; readonly scenario: Scenario };
  readonly upstreamPort: number;
  readonly load: (plan: LoadPlan) => Promise<LoadResult>;
  readonly say: (text: string) => void;
  readonly phases: { readonly warmupMs: number; readonly closedMs: number; readonly rounds: number };
}

interface PlanesRound {
  readonly rps: number;
  /** Processor time of a call: of what it passes through, and of all Postgres processes. */
  readonly proxy_us: number;
  readonly database_us: number;
  /** Of the control plane where it is a process of its own. */
  readonly control_us: number;
}

export interface PlanesColumn {
  readonly name: "bare" | "serve" | "gateway and control";
  readonly rounds: readonly PlanesRound[];
  readonly rps: number;
  /** Of the bare proxy's rate in the same round, in the middle. */
  readonly ratio: number;
}

const CONNECTIONS = 128;

export async function measurePlanes(tools: PlanesTools): Promise<readonly PlanesColumn[]> {
  const { postgres, phases, say } = tools;
  const together = await startWrit({ command: "serve", databaseUrl: await postgres.createDatabase("bench_together") });
  const databaseUrl = await postgres.createDatabase("bench_apart");
  const control = await startWrit({ command: "control", databaseUrl });
  const gateway = await startWrit({ command: "gateway", databaseUrl, masterKey: control.masterKey });
  try {
    const scenarioOf = ({ adminUrl, adminKey }: typeof control): Promise<Scenario> =>
      setUpScenario({ adminUrl, adminKey, upstreamPort: tools.upstreamPort, tenant: "default" });
    const portOf = (url: string): number => Number(new URL(url).port);
    const targets = [
      { name: "bare", ...tools.bare, controlPid: 0 },
      {
        name: "serve",
        port: portOf(together.gatewayUrl),
        pid: together.pid,
        scenario: await scenarioOf(together),
        controlPid: 0,
      },
      {
        name: "gateway and control",
        port: portOf(gateway.gatewayUrl),
        pid: gateway.pid,
        scenario: await scenarioOf(control),
        controlPid: control.pid,
      },
    ] as const;
    const found = new Map<PlanesColumn["name"], PlanesRound[]>(targets.map(({ name }) => [name, []]));
    for (let round = 0; round < phases.rounds; round += 1) {
      for (const { name, port, pid, scenario, controlPid } of targets) {
        say(`round ${round + 1} of ${phases.rounds}: ${name}`);
        const database = postgresPids();
        const times = (): readonly number[] => [cpuTimeUs([pid]), cpuTimeUs(database), cpuTimeUs([controlPid])];
        const before = times();
        const { rps, answered } = await tools.load({
          host: "127.0.0.1",
          port,
          ...scenario,
          mode: "closed",
          connections: CONNECTIONS,
          rate: 0,
          warmupMs: phases.warmupMs,
          durationMs: phases.closedMs,
        });
        const [proxy_us = 0, database_us = 0, control_us = 0] = times().map(
          (us, at) => Math.round(((us - (before[at] ?? 0)) / Math.max(1, answered)) * 10) / 10,
        );
        found.get(name)?.push({ rps, proxy_us, database_us, control_us });
      }
    }
    const bare = found.get("bare") ?? [];
    return [...found].map(([name, rounds]) => ({
      name,
      rounds,
      rps: middle(rounds.map(({ rps }) => rps)),
      ratio: middle(rounds.map(({ rps }, at) => Math.round((rps / (bare[at]?.rps ?? rps)) * 1000) / 1000)),
    }));
  } finally {
    await gateway.dispose();
    await control.dispose();
    await together.dispose();
  }
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
