/**
 * Kills Postgres itself under load and starts it again: no call goes on without evidence, what is open is cut when
 * contact is lost, and the same process serves again by itself.
 */
import { startPostgres, uniqueDatabaseName } from "@writ/testkit";
import type { HistoryReport } from "../invariants/check-history.ts";
import { callTool } from "./load.ts";
import { makeRandom } from "./random.ts";
import { makeRig, UPSTREAM, until } from "./rig.ts";

export interface PostgresCrashOptions {
  readonly kills: number;
  readonly seed: number;
  readonly progress?: (line: string) => void;
}

export interface PostgresCrashReport extends HistoryReport {
  readonly reasons: ReadonlyMap<string, number>;
  /** Milliseconds from each long kill to the last byte of a stream that was open. */
  readonly lastByteMs: readonly number[];
  /** Calls that reached the upstream while the server was surely down. */
  readonly forwardedWhileDown: number;
}

const RECOVERED_WITHIN_MS = 30_000;
const NOT_READY_WITHIN_MS = 8_000;
/** Every third time the server stays away until the gateway has noticed; else it comes back at once. */
const LONG_EVERY = 3;
/** What was committed before the kill is sent within this time or not at all. */
const SENT_WITHIN_MS = 1_000;

export async function killPostgresUnderLoad(options: PostgresCrashOptions): Promise<PostgresCrashReport> {
  const { kills, progress } = options;
  const random = makeRandom(options.seed);
  const server = await startPostgres();
  const databaseUrl = await server.createDatabase(uniqueDatabaseName());
  const rig = await makeRig({ random, databaseUrl });
  const lastByteMs: number[] = [];
  let forwardedWhileDown = 0;
  try {
    const limited = rig.limitedToken(300);
    const load = rig.load({ tokens: [limited, limited, ...new Array<string>(6).fill(rig.token)] });
    const answered = (): number => load.told.filter((told) => told.kind === "answered").length;
    const isReady = async (): Promise<boolean> => (await fetch(`${rig.writ().gatewayUrl}/readyz`)).ok;
    for (let kill = 1; kill <= kills; kill += 1) {
      const long = kill % LONG_EVERY === 1;
      let lastByteAt = 0;
      let streamed = false;
      const stream = callTool({
        gatewayUrl: rig.writ().gatewayUrl,
        upstream: UPSTREAM,
        token: rig.token,
        tool: "slow",
        argumentsText: `{"steps":1000000,"wait":true,"id":"stream ${kill}"}`,
        onBytes: () => {
          lastByteAt = performance.now();
          streamed = true;
        },
      });
      await until("the stream has begun", RECOVERED_WITHIN_MS, () => streamed);
      await new Promise((resolve) => setTimeout(resolve, random() * 700));
      const killedAt = performance.now();
      // One in three is an orderly restart of the server, which ends sessions in the middle of their transactions.
      if (kill % LONG_EVERY !== 0) await server.kill9();
      if (long) {
        await new Promise((resolve) => setTimeout(resolve, SENT_WITHIN_MS));
        const before = rig.upstream.calls.length;
        await until("the gateway says that it is not ready", NOT_READY_WITHIN_MS, async () => !(await isReady()));
        await stream;
        lastByteMs.push(Math.round(lastByteAt - killedAt));
        forwardedWhileDown += rig.upstream.calls.length - before;
      }
      // A session of the killed server may take a moment to notice, and holds its shared memory until then.
      await until("Postgres has started again", RECOVERED_WITHIN_MS, () =>
        server.restart().then(
          () => true,
          () => false,
        ),
      );
      const before = answered();
      await until("calls are answered again", RECOVERED_WITHIN_MS, () => answered() > before + 5);
      await until("the gateway says that it is ready", RECOVERED_WITHIN_MS, isReady);
      progress?.(`kill ${kill}: ${JSON.stringify([...load.reasons])}, ${load.lost()} lost, ${lastByteMs.at(-1)} ms`);
    }
    await load.stop();
    return { ...(await rig.check({ drained: true })), reasons: load.reasons, lastByteMs, forwardedWhileDown };
  } finally {
    await rig.dispose();
    await server.stop();
  }
}
