/** Budget vocabulary: units, windows, scopes, modes, and the arithmetic of UTC calendar windows. */

/** calls: one for each. credits: what the tenant's price list says that the call costs. */
export const BUDGET_UNITS = ["calls", "credits"] as const;
export type BudgetUnit = (typeof BUDGET_UNITS)[number];

export const WINDOWS = ["minute", "hour", "day", "week", "month", "total"] as const;
export type Window = (typeof WINDOWS)[number];

export const BUDGET_SCOPES = ["node", "agent", "principal", "tool", "upstream", "tenant"] as const;
export type BudgetScope = (typeof BUDGET_SCOPES)[number];

/** hard: refused when spent. soft: admitted, and said so by `budget.exceeded`. shadow: only counted. */
export const BUDGET_MODES = ["hard", "soft", "shadow"] as const;
export type BudgetMode = (typeof BUDGET_MODES)[number];

/**
 * One counter that a call draws on. The same counter may be compared with several limits; the least hard one and the
 * least soft one count.
 */
export interface BudgetClaim {
  /** 16 bytes, hex: SHA-256 over scope, scope id, unit and window with lengths; made by core. */
  readonly counter: string;
  readonly scope: BudgetScope;
  /** What the scope names: node hex, agent id, principal id, `upstream/tool`, upstream name, tenant id. */
  readonly scopeId: string;
  readonly unit: BudgetUnit;
  readonly window: Window;
  /** Milliseconds since the epoch; 0 for `total`. */
  readonly windowStartMs: number;
  /** Milliseconds since the epoch; Number.MAX_SAFE_INTEGER for `total`. */
  readonly windowEndMs: number;
  readonly amount: number;
  readonly limit: number;
  readonly mode: BudgetMode;
}

/** A soft limit that a committed call went over. */
export interface BudgetExcess {
  readonly claim: BudgetClaim;
  /** What the counter held right behind the call, compared as with a hard limit: carves and reservations count. */
  readonly used: number;
  /** The window that was charged: the claim's own, or the counter's where that had begun a later one. */
  readonly windowStartMs: number;
}

/** The UTC calendar window that contains `timeMs`; weeks begin on Monday (ISO 8601). */
export function windowAt(window: Window, timeMs: number): { startMs: number; endMs: number } {
  const minute = 60_000;
  const day = 86_400_000;
  switch (window) {
    case "minute":
      return fixed(timeMs, minute);
    case "hour":
      return fixed(timeMs, 60 * minute);
    case "day":
      return fixed(timeMs, day);
    case "week": {
      // 1970-01-05 was the first Monday after the epoch.
      const monday = 4 * day;
      const startMs = Math.floor((timeMs - monday) / (7 * day)) * 7 * day + monday;
      return { startMs, endMs: startMs + 7 * day };
    }
    case "month": {
      const date = new Date(timeMs);
      const year = date.getUTCFullYear();
      const month = date.getUTCMonth();
      return { startMs: Date.UTC(year, month, 1), endMs: Date.UTC(year, month + 1, 1) };
    }
    case "total":
      return { startMs: 0, endMs: Number.MAX_SAFE_INTEGER };
  }
}

function fixed(timeMs: number, lengthMs: number): { startMs: number; endMs: number } {
  const startMs = Math.floor(timeMs / lengthMs) * lengthMs;
  return { startMs, endMs: startMs + lengthMs };
}
