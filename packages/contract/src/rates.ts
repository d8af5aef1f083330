/**
 * Rate vocabulary: limits on attempts in a moving window of a period. What is exact over all gateways is a budget; a rate
 * is kept in the memory of each gateway.
 */

export const RATE_PERIODS = ["second", "minute", "hour"] as const;
export type RatePeriod = (typeof RATE_PERIODS)[number];

/** What an administrator can limit. endpoint: whatever is attempted on one upstream, by whichever door it comes. */
export const RATE_SCOPES = ["agent", "tenant", "endpoint"] as const;
export type RateScope = (typeof RATE_SCOPES)[number];

export const RATE_LIMIT_MAX = 1_000_000;

/** One rate that an attempt is counted in. */
export interface RateClaim {
  /** node: the caveat `rate` of a token. */
  readonly scope: RateScope | "node";
  /** What the scope names: agent id, tenant id, upstream name, node hex. */
  readonly scopeId: string;
  readonly limit: number;
  readonly per: RatePeriod;
}

const PERIODS_MS: Readonly<Record<RatePeriod, number>> = { second: 1_000, minute: 60_000, hour: 3_600_000 };

export function ratePeriodMs(per: RatePeriod): number {
  return PERIODS_MS[per];
}

export function isRateLimit(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= RATE_LIMIT_MAX;
}

export function isRatePeriod(value: unknown): value is RatePeriod {
  return RATE_PERIODS.some((period) => period === value);
}
