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

export type Admission =
  | { readonly kind: "record" }
  | { readonly kind: "summarise"; readonly retryAfterSeconds: number };

export interface DenialLimit {
  /** record: becomes an event of its own. summarise: counted here, answered with `rate_denials`. */
  admit(denial: { tenantId: string; node: string; reason: Reason }, nowMs: number): Admission;
  /** Gives back what `admit` counted: on the head, the denial turned out to be none. */
  withdraw(denial: { tenantId: string; node: string; reason: Reason }, admission: Admission): void;
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

  /** The denial's own counter, or the one that it shares when there are too many. */
  function keyOf(denial: { tenantId: string; node: string; reason: Reason }): { key: string; own: boolean } {
    const exact = `${denial.tenantId}/${denial.node}/${denial.reason}`;
    const own = counters.has(exact) || counters.size < COUNTERS_MAX;
    return { key: own ? exact : `${denial.tenantId}//${denial.reason}`, own };
  }

  return {
    admit({ tenantId, node, reason }, nowMs) {
      const { key, own } = keyOf({ tenantId, node, reason });
      let counter = counters.get(key);
      if (counter === undefined) {
        counter = {
          tenantId,
          node: own ? node : "",
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
    withdraw(denial, admission) {
      const counter = counters.get(keyOf(denial).key);
      if (counter === undefined) return;
      // The window may have ended since: then there is nothing to give back.
      if (admission.kind === "record") counter.recorded = Math.max(0, counter.recorded - 1);
      else counter.summarised = Math.max(0, counter.summarised - 1);
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
