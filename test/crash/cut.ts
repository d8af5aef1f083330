/**
 * Cuts the connection between Writ and Postgres at the exact message that commits a batch, under load: before the
 * server has it, or after the server has carried it out and before Writ hears of it. Sometimes no new connection is
 * let through for a while, so that the fate of a batch stays unknown for longer.
 */
import { freshDatabase, sharedPostgres, startTcpProxy } from "@writ/testkit";
import type { HistoryReport } from "../invariants/check-history.ts";
import { makeRandom } from "./random.ts";
import { makeRig, type Rig, until } from "./rig.ts";

export interface CutOptions {
  readonly cuts: number;
  readonly seed: number;
  readonly progress?: (line: string) => void;
}

export interface CutReport extends HistoryReport {
  readonly reasons: ReadonlyMap<string, number>;
}

const RECOVERED_WITHIN_MS = 20_000;
/** Long enough for the retries of the journal to fail, short of the loss of contact. */
const REFUSED_MS_MAX = 1_500;
const LIMIT = 400;
const EVENTS = ['"call.decided"', '"call.decided"', '"call.completed"', '"log.sealed"'];
/** A network that swallows everything: shorter and longer than what a statement and contact may take. */
const SILENT_MS_MAX = 6_000;
const SILENT_EVERY = 12;
const CHURN_EVERY = 4;

export async function cutAtCommit({ cuts, seed, progress }: CutOptions): Promise<CutReport> {
  const random = makeRandom(seed);
  const server = await sharedPostgres();
  const proxy = await startTcpProxy(server.port);
  const checkUrl = await freshDatabase(server);
  const rig = await makeRig({ random, databaseUrl: proxy.url(checkUrl), checkUrl });
  try {
    const limited = rig.limitedToken(LIMIT);
    const load = rig.load({ tokens: [limited, limited, ...new Array<string>(6).fill(rig.token)] });
    for (let cut = 1; cut <= cuts; cut += 1) {
      const when = random() < 0.5 ? "before" : "after";
      // Where authority moves all the time, batches are judged again under the lock and end with a COMMIT of their own.
      const churning = cut % CHURN_EVERY === 0;
      // They travel in the same statement; what else a batch holds is left to chance.
      const text = EVENTS[Math.floor(random() * EVENTS.length)] ?? "";
      const happened = proxy.cutOnce({ at: churning ? "commit" : { text }, when });
      const churn = churning ? startChurn(rig) : undefined;
      await happened;
      if (random() < 0.3) {
        proxy.setRefusing(true);
        proxy.cutAll();
        await new Promise((resolve) => setTimeout(resolve, random() * REFUSED_MS_MAX));
        proxy.setRefusing(false);
      }
      if (cut % SILENT_EVERY === 0) {
        proxy.setSilent(true);
        await new Promise((resolve) => setTimeout(resolve, random() * SILENT_MS_MAX));
        proxy.setSilent(false);
      }
      await churn?.stop();
      const before = answered(load.told);
      await until("calls are answered again", RECOVERED_WITHIN_MS, () => answered(load.told) > before + 5);
      progress?.(
        `cut ${cut} ${when} ${churning ? "COMMIT" : text}: ${JSON.stringify([...load.reasons])}, ${load.lost()} lost`,
      );
    }
    await load.stop();
    return { ...(await rig.check({ drained: true })), reasons: load.reasons };
  } finally {
    await rig.dispose();
    await proxy.close();
  }
}

function answered(told: readonly { readonly kind: string }[]): number {
  let count = 0;
  for (const { kind } of told) if (kind === "answered") count += 1;
  return count;
}

/** Commands, one after the other, that each move the revision. Any of them may be cut. */
function startChurn(rig: Rig): { stop(): Promise<void> } {
  let stopping = false;
  const running = (async () => {
    while (!stopping) await rig.admin("POST", "/tokens", { agent: "assistant" }).catch(() => undefined);
  })();
  return {
    stop() {
      stopping = true;
      return running;
    },
  };
}
