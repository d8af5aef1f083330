/**
 * Counts one attempt in several rates at once: in all of them when each has room, in none when one has not. So whoever is
 * refused has used up nothing. Decides nothing else.
 */
import { countIn, countOne, firstFreeMs, joinMovingWindows, type MovingWindow, waitMs } from "./moving-window.ts";
import { type RateStanding, shareOf } from "./rate-standing.ts";

export interface Counted {
  readonly name: string;
  /** Of all gateways together. */
  readonly limit: number;
  readonly periodMs: number;
  /** As `RateTable.find` gives them. */
  readonly windows: readonly [MovingWindow, ...MovingWindow[]];
}

export type CountedAttempt =
  | { readonly kind: "admitted"; readonly standings: readonly RateStanding[] }
  | {
      readonly kind: "refused";
      /** Which of the rates has no room for longest. */
      readonly index: number;
      readonly waitMs: number;
      readonly standings: readonly RateStanding[];
    };

export function countAttempt(rates: readonly Counted[], liveGateways: number, nowMs: number): CountedAttempt {
  return attempt(rates, { liveGateways, nowMs, counts: true });
}

/** What would become of it: it is counted nowhere. */
export function lookAtAttempt(rates: readonly Counted[], liveGateways: number, nowMs: number): CountedAttempt {
  return attempt(rates, { liveGateways, nowMs, counts: false });
}

function attempt(
  rates: readonly Counted[],
  { liveGateways, nowMs, counts }: { readonly liveGateways: number; readonly nowMs: number; readonly counts: boolean },
): CountedAttempt {
  const shares = rates.map((rate) => {
    const share = shareOf(rate, liveGateways);
    const used = rate.windows.reduce((sum, window) => sum + countIn(window, share.periodMs, nowMs), 0);
    return { ...share, used };
  });
  let index = -1;
  let longestMs = 0;
  for (const [at, { limit, periodMs, used }] of shares.entries()) {
    if (used < limit) continue;
    const ms = waitMs(joined(rates, at), periodMs, limit, nowMs);
    if (index < 0 || ms > longestMs) [index, longestMs] = [at, ms];
  }
  const isAdmitted = index < 0;
  // Two of the rates may share a window, where the attempt is one all the same.
  if (isAdmitted && counts)
    for (const window of new Set(rates.map(({ windows: [first] }) => first))) countOne(window, nowMs);
  const standings = shares.map(({ limit, periodMs, used }, at): RateStanding => {
    const remaining = Math.max(0, limit - used - (isAdmitted ? 1 : 0));
    const freeInMs = firstFreeMs(joined(rates, at), periodMs, nowMs);
    return { name: rates[at]?.name ?? "", limit, periodMs, remaining, freeInMs };
  });
  return isAdmitted ? { kind: "admitted", standings } : { kind: "refused", index, waitMs: longestMs, standings };
}

function joined(rates: readonly Counted[], at: number): MovingWindow {
  const windows = rates[at]?.windows ?? [];
  const [only] = windows;
  return windows.length === 1 && only !== undefined ? only : joinMovingWindows(windows);
}
