/**
 * Two gateways on one Postgres, both under load with the same tokens; one is killed, and another is frozen until the
 * first has declared it lost, and then goes on where it was. There is one history all the same.
 */
import { freshDatabase, sharedPostgres, startWrit, type WritProcess } from "@writ/testkit";
import type { HistoryReport } from "../invariants/check-history.ts";
import { callTool } from "./load.ts";
import { makeRandom } from "./random.ts";
import { makeRig, UPSTREAM, until } from "./rig.ts";

/** The length of a lease, its renewals, and a slow machine. */
const LOST_WITHIN_MS = 40_000;
const READY_WITHIN_MS = 20_000;
const LOAD_MS = 600;

export async function loseGateways({ seed }: { readonly seed: number }): Promise<HistoryReport> {
  const databaseUrl = await freshDatabase(await sharedPostgres());
  const rig = await makeRig({ random: makeRandom(seed), databaseUrl });
  const history = await rig.openHistory();
  const others: WritProcess[] = [];
  const startOther = async (): Promise<WritProcess> => {
    const other = await startWrit({ command: "gateway", databaseUrl, masterKey: rig.writ().masterKey });
    others.push(other);
    return other;
  };
  const leases = async (): Promise<number> => {
    const rows = await history.query<{ count: number }>("SELECT count(*)::int4 AS count FROM gateway_lease");
    return rows[0]?.count ?? 0;
  };
  try {
    const shared = rig.limitedToken(300);
    const tokens = [shared, shared, rig.token, rig.token];
    const killed = await startOther();
    const first = rig.load({ tokens });
    const second = rig.load({ tokens, gatewayUrl: killed.gatewayUrl });
    await new Promise((resolve) => setTimeout(resolve, LOAD_MS));
    await killed.kill9();
    await second.stop();

    const frozen = await startOther();
    const third = rig.load({ tokens, gatewayUrl: frozen.gatewayUrl });
    await new Promise((resolve) => setTimeout(resolve, LOAD_MS));
    // A stream that is surely open when its gateway freezes.
    let streamed = false;
    const stream = callTool({
      gatewayUrl: frozen.gatewayUrl,
      upstream: UPSTREAM,
      token: rig.token,
      tool: "slow",
      argumentsText: '{"steps":1000000,"wait":true,"id":"stream"}',
      onBytes: () => {
        streamed = true;
      },
    });
    await until("the stream has begun", READY_WITHIN_MS, () => streamed);
    process.kill(frozen.pid, "SIGSTOP");
    await first.stop();
    await until("both lost gateways have been declared so", LOST_WITHIN_MS, async () => (await leases()) === 1);
    process.kill(frozen.pid, "SIGCONT");
    await until("the frozen gateway is ready again", READY_WITHIN_MS, async () => {
      return (await fetch(`${frozen.gatewayUrl}/readyz`)).ok;
    });
    await third.stop();
    await frozen.stop();
    await stream;
    return await rig.check();
  } finally {
    for (const other of others) await other.dispose();
    await history.close();
    await rig.dispose();
  }
}
