/** Stops Writ by SIGTERM at random moments under load and starts it again: a drain leaves nothing to guess. */
import { freshDatabase, sharedPostgres } from "@writ/testkit";
import type { HistoryReport } from "../invariants/check-history.ts";
import { makeRandom } from "./random.ts";
import { makeRig, until } from "./rig.ts";

export interface DrainOptions {
  readonly engine: "pglite" | "postgres";
  readonly drains: number;
  readonly seed: number;
  readonly progress?: (line: string) => void;
}

export interface DrainReport extends HistoryReport {
  readonly exitCodes: readonly (number | null)[];
  readonly lost: number;
}

const LOAD_MS_MAX = 800;
/** Answers before each drain, however slow the machine: a drain that meets no call proves nothing. */
const TOLD_MIN = 20;
const TOLD_WITHIN_MS = 60_000;

export async function drainUnderLoad({ engine, drains, seed, progress }: DrainOptions): Promise<DrainReport> {
  const random = makeRandom(seed);
  const databaseUrl = engine === "postgres" ? await freshDatabase(await sharedPostgres()) : undefined;
  const rig = await makeRig({ random, ...(databaseUrl === undefined ? {} : { databaseUrl }) });
  const exitCodes: (number | null)[] = [];
  let lost = 0;
  try {
    for (let drain = 1; drain <= drains; drain += 1) {
      const load = rig.load();
      await new Promise((resolve) => setTimeout(resolve, 100 + random() * LOAD_MS_MAX));
      await until("calls are answered", TOLD_WITHIN_MS, () => load.told.length >= TOLD_MIN);
      exitCodes.push(await rig.writ().stop());
      await load.stop();
      lost += load.lost();
      progress?.(`drain ${drain}: ${load.told.length} told, ${load.lost()} lost ${JSON.stringify([...load.reasons])}`);
      if (drain < drains) await rig.restart();
    }
    return { ...(await rig.check({ drained: true })), exitCodes, lost };
  } finally {
    await rig.dispose();
  }
}
