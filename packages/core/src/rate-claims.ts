/**
 * Which rates an attempt is counted in: those of its token's segments, and the tenant's rules for its agents, its upstream
 * and the tenant. Whether there is room in them is found where they are counted, in each gateway.
 */
import type { RateClaim } from "@writ/contract";
import type { NodeRate } from "@writ/token";
import type { TenantState } from "./tenant-state.ts";

export interface RateClaimOptions {
  readonly state: TenantState;
  readonly rates: readonly NodeRate[];
  readonly chain: readonly string[];
  /** "" for what is attempted on none. */
  readonly upstream: string;
}

const NONE: readonly RateClaim[] = Object.freeze([]);

/** One for each scope, name and period: of several limits the least. */
export function rateClaims({ state, rates, chain, upstream }: RateClaimOptions): readonly RateClaim[] {
  if (rates.length === 0 && !state.hasRateRules()) return NONE;
  const claims: RateClaim[] = rates.map(({ node, limit, per }) => ({ scope: "node", scopeId: node, limit, per }));
  for (const agentId of new Set(chain)) claims.push(...state.rateRules("agent", agentId));
  if (upstream !== "") claims.push(...state.rateRules("endpoint", upstream));
  claims.push(...state.rateRules("tenant", ""));
  return claims;
}
