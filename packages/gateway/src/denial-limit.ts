/**
 * Floods cannot fill the log: per nearest recorded node and reason the first denials of a minute become events of
 * their own, the rest one `call.denied_summary`. Keyed by recorded nodes only, because a holder makes nodes for
 * nothing (trap 63), and bounded.
 */
import type { Reason } from "@writ/contract";

export interface DenialSummary {
  readonly tenantId: string;
  readonly node: string;
  readonly reason: Reason;
  readonly count: number;
  readonly fromTimeMs: number;
  readonly toTimeMs: number;
}

export interface DenialLimit {
  /** record: becomes an event of its own. summarise: counted here, answered with `rate_denials`. */
  admit(
    denial: { tenantId: string; node: string; reason: Reason },
    nowMs: number,
  ): { kind: "record" } | { kind: "summarise"; retryAfterSeconds: number };
  /** Takes the summaries of windows that have ended by `nowMs`; all of them when `all` is set. */
  take(nowMs: number, all?: boolean): readonly DenialSummary[];
}

const WINDOW_MS = 60_000;
/** Events of their own, per node, reason and minute. */
export const DENIALS_RECORDED_MAX = 20;
/** Counters held at once; beyond, everything new shares one counter per tenant and reason. */
const COUNTERS_MAX = 10_000;

interface Counter {
  readonly tenantId: string;
  readonly node: string;
  readonly reason: Reason;
  windowStartMs: number;
  recorded: number;
  summarised: number;
  lastMs: number;
}

export function createDenialLimit(): DenialLimit {
  const counters = new Map<string, Counter>();
  return {
    admit({ tenantId, node, reason }, nowMs) {
      const exact = `${tenantId}/${node}/${reason}`;
      const known = counters.has(exact) || counters.size < COUNTERS_MAX;
      const key = known ? exact : `${tenantId}//${reason}`;
      let counter = counters.get(key);
      if (counter === undefined) {
        counter = {
          tenantId,
          node: known ? node : "",
          reason,
          windowStartMs: nowMs,
          recorded: 0,
          summarised: 0,
          lastMs: nowMs,
        };
        counters.set(key, counter);
      } else if (nowMs - counter.windowStartMs >= WINDOW_MS && counter.summarised === 0) {
        counter.windowStartMs = nowMs;
        counter.recorded = 0;
      }
      counter.lastMs = nowMs;
      if (counter.recorded < DENIALS_RECORDED_MAX) {
        counter.recorded += 1;
        return { kind: "record" };
      }
      counter.summarised += 1;
      return {
        kind: "summarise",
        retryAfterSeconds: Math.max(1, Math.ceil((counter.windowStartMs + WINDOW_MS - nowMs) / 1000)),
      };
    },
    take(nowMs, all = false) {
      const summaries: DenialSummary[] = [];
      for (const [key, counter] of counters) {
        if (!all && nowMs - counter.windowStartMs < WINDOW_MS) continue;
        if (counter.summarised > 0) {
          const { tenantId, node, reason, summarised: count, windowStartMs: fromTimeMs, lastMs: toTimeMs } = counter;
          summaries.push({ tenantId, node, reason, count, fromTimeMs, toTimeMs });
        }
        counters.delete(key);
      }
      return summaries;
    },
  };
}
