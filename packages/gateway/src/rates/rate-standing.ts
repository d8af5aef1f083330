/** Where a rate stands, and how a gateway's part of it is found. */

export interface RateStanding {
  /** Whose rate it is and of what period, as headers call it: `agent-minute`. */
  readonly name: string;
  /** This gateway's part of the limit. */
  readonly limit: number;
  readonly periodMs: number;
  readonly remaining: number;
  /** Until there is room for more than now. */
  readonly freeInMs: number;
}

/**
 * A gateway's part of a limit that all live gateways share. Where there are more gateways than the limit has units, each
 * admits one in a period that is as many times longer: on average no more than the limit, and in one period at most one a
 * gateway.
 */
export function shareOf(
  rate: { readonly limit: number; readonly periodMs: number },
  liveGateways: number,
): { readonly limit: number; readonly periodMs: number } {
  const { limit, periodMs } = rate;
  if (limit >= liveGateways) return { limit: Math.floor(limit / liveGateways), periodMs };
  return { limit: 1, periodMs: Math.ceil((periodMs * liveGateways) / limit) };
}

/** Whole seconds, and at least one, for whoever has to wait. */
export function waitSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
