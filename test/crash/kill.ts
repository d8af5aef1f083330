/**
 * Kills Writ at random moments under load, starts it again in the same directory, and checks what is left. The sizes
 * are the caller's: a few kills in CI, fifty in a soak.
 */
import { freshDatabase, sharedPostgres } from "@writ/testkit";
import type { HistoryReport } from "../invariants/check-history.ts";
import type { KeyedCall } from "./load.ts";
import { makeRandom } from "./random.ts";
import { makeRig, until } from "./rig.ts";

export interface KillOptions {
  readonly engine: "pglite" | "postgres";
  readonly kills: number;
  readonly seed: number;
  /** Called after each kill. */
  readonly progress?: (line: string) => void;
}

export interface KillReport extends HistoryReport {
  /** Calls whose connection broke before an answer. */
  readonly lost: number;
  /** Calls that were made again under their key after they had been allowed. */
  readonly duplicates: number;
}

/** The load runs at most this long before each kill. */
const LOAD_MS_MAX = 1_200;
/** Answers before each other kill, however slow the machine; the rest may come before any. */
const TOLD_MIN = 20;
const TOLD_WITHIN_MS = 60_000;
/** Calls of a token of its own each round: its budget is spent across a kill. */
const LIMIT = 100;

export async function killUnderLoad({ engine, kills, seed, progress }: KillOptions): Promise<KillReport> {
  const random = makeRandom(seed);
  const databaseUrl = engine === "postgres" ? await freshDatabase(await sharedPostgres()) : undefined;
  const rig = await makeRig({ random, ...(databaseUrl === undefined ? {} : { databaseUrl }) });
  let lost = 0;
  let duplicates = 0;
  let again: readonly KeyedCall[] = [];
  try {
    // The token of the round before goes on after the restart: what it had left is what the log says.
    let earlier = rig.limitedToken(LIMIT);
    for (let kill = 1; kill <= kills; kill += 1) {
      const later = rig.limitedToken(LIMIT);
      const load = rig.load({
        tokens: [earlier, earlier, later, later, rig.token, rig.token, rig.token, rig.token],
        again,
      });
      earlier = later;
      await new Promise((resolve) => setTimeout(resolve, 30 + random() * LOAD_MS_MAX));
      if (kill % 2 === 0) await until("calls are answered", TOLD_WITHIN_MS, () => load.told.length >= TOLD_MIN);
      await rig.writ().kill9();
      await load.stop();
      lost += load.lost();
      duplicates += load.reasons.get("duplicate_key") ?? 0;
      again = load.unanswered();
      progress?.(`kill ${kill}: ${load.told.length} told, ${load.lost()} lost ${JSON.stringify([...load.reasons])}`);
      await rig.restart();
    }
    return { ...(await rig.check()), lost, duplicates };
  } finally {
    await rig.dispose();
  }
}
