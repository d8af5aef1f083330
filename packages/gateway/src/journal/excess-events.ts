/**
 * Makes the event that says that a soft limit was passed, so seldom that no flood of calls can fill the log: once a
 * minute for each counter, window and limit. Decides nothing about calls and puts nothing on record itself.
 */
import { type AuditEvent, type BudgetExcess, makeUuidv7 } from "@writ/contract";
import type { Clock, Random } from "../ports.ts";

/** How long nothing more is said of one counter, window and limit. */
const QUIET_MS = 60_000;
/** Limits that are quiet at once; beyond, nothing is said of others until one's minute is over. */
const QUIET_MAX = 10_000;

export type ExcessEvent =
  | { readonly kind: "event"; readonly event: AuditEvent }
  /** It was said less than a minute ago. */
  | { readonly kind: "said" }
  /** It is not said because so much else was in this minute. */
  | { readonly kind: "full" };

export interface ExcessEvents {
  /** What is to be recorded of this call and this limit. */
  make(call: { readonly tenantId: string; readonly callId: string }, excess: BudgetExcess): ExcessEvent;
}

export function createExcessEvents(options: { readonly clock: Clock; readonly random: Random }): ExcessEvents {
  const { clock, random } = options;
  /** When each was said, by the monotonic clock; the oldest first. */
  const quiet = new Map<string, number>();

  return {
    make({ tenantId, callId }, { claim, used, windowStartMs }) {
      const now = clock.monotonicMs();
      for (const [key, saidMs] of quiet) {
        if (now - saidMs < QUIET_MS) break;
        quiet.delete(key);
      }
      const key = `${tenantId} ${claim.counter} ${windowStartMs} ${claim.limit}`;
      if (quiet.has(key)) return { kind: "said" };
      if (quiet.size >= QUIET_MAX) return { kind: "full" };
      quiet.set(key, now);
      const timeMs = clock.nowMs();
      const { scope, scopeId, unit, window, limit, mode } = claim;
      const fields = { callId, scope, scopeId, unit, window, windowStart: windowStartMs, limit, used, mode };
      const id = makeUuidv7(timeMs, random.bytes(10));
      return { kind: "event", event: { event: "budget.exceeded", id, timeMs, tenantId, fields } };
    },
  };
}
