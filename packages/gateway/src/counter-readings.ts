/**
 * Reads what counters hold for those who ask about their own budgets. So that nobody keeps the database busy with it, the
 * readings of one second are counted by recorded node and agent, of which a holder cannot make new ones for nothing as
 * it can of tokens. Decides nothing.
 */
import type { BudgetClaim } from "@writ/contract";
import type { Claiming, ForeseenClaims } from "@writ/history";
import type { Clock } from "./ports.ts";

export interface CounterStore {
  /** What each counter holds in the window of its claim. Failure `state_unavailable`. */
  totals(tenantId: string, claims: readonly BudgetClaim[]): Promise<readonly number[]>;
  /** What the commit would say of them now; moves nothing. Failure `state_unavailable`. */
  foresee(tenantId: string, claiming: Claiming): Promise<ForeseenClaims>;
}

/** Who asks. */
export interface Asker {
  readonly tenantId: string;
  readonly recordedNode: string;
  readonly agentId: string;
}

export type CounterReading =
  /** One total for each claim. */
  { readonly kind: "read"; readonly totals: readonly number[] } | Limited;

/** It has been asked for too often in this second. */
interface Limited {
  readonly kind: "limited";
  readonly retryAfterSeconds: number;
}

export interface CounterReadings {
  /** What a commit would say of them now. Failure `state_unavailable`. */
  foresee(asker: Asker, claiming: Claiming): Promise<ForeseenClaims | Limited>;
  /** As they were at some moment of this second. Failure `state_unavailable`. */
  readRecent(asker: Asker, claims: readonly BudgetClaim[]): Promise<CounterReading>;
}

/** Readings of the database in one second, for one recorded node and agent. */
const READINGS_MAX = 10;
/** Recorded nodes and agents told apart in one second; others have to wait for the next. */
const ASKERS_MAX = 5_000;
/** Of a counter that nobody has read. */
const NOTHING_LEFT = Number.POSITIVE_INFINITY;
const LIMITED: Limited = { kind: "limited", retryAfterSeconds: 1 };

interface Kept {
  readings: number;
  /** By counter and window. */
  readonly totals: Map<string, Promise<number>>;
}

export function createCounterReadings(options: {
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly store: CounterStore;
}): CounterReadings {
  const { clock, store } = options;
  let second = Number.NEGATIVE_INFINITY;
  let askers = new Map<string, Kept>();

  function keptOf({ tenantId, recordedNode, agentId }: Asker): Kept | undefined {
    const now = Math.floor(clock.monotonicMs() / 1000);
    if (now !== second) {
      second = now;
      askers = new Map();
    }
    const key = JSON.stringify([tenantId, recordedNode, agentId]);
    let kept = askers.get(key);
    if (kept === undefined) {
      if (askers.size >= ASKERS_MAX) return undefined;
      kept = { readings: 0, totals: new Map() };
      askers.set(key, kept);
    }
    return kept;
  }

  return {
    async foresee(asker, claiming) {
      const kept = keptOf(asker);
      if (kept === undefined || kept.readings >= READINGS_MAX) return LIMITED;
      kept.readings += 1;
      return store.foresee(asker.tenantId, claiming);
    },
    async readRecent(asker, claims) {
      const kept = keptOf(asker);
      if (kept === undefined) return LIMITED;
      const { totals } = kept;
      const unknown = claims.filter((claim) => !totals.has(nameOf(claim)));
      if (unknown.length > 0) {
        if (kept.readings >= READINGS_MAX) return LIMITED;
        kept.readings += 1;
        const read = store.totals(asker.tenantId, unknown);
        for (const [index, claim] of unknown.entries()) {
          const total = read.then((all) => all[index] ?? 0);
          // Whoever waits for it gets the failure of the database; it is not remembered.
          total.catch(() => totals.delete(nameOf(claim)));
          totals.set(nameOf(claim), total);
        }
      }
      const wanted = claims.map((claim) => totals.get(nameOf(claim)) ?? NOTHING_LEFT);
      return { kind: "read", totals: await Promise.all(wanted) };
    },
  };
}

function nameOf({ counter, windowStartMs }: BudgetClaim): string {
  return `${counter} ${windowStartMs}`;
}
