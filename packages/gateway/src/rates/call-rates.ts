/**
 * The rates of attempts that passed the decision: those that authority sets for agents, endpoints and tenants, and those
 * of tokens' caveats. In memory, each gateway its part. Which rates an attempt has is `core`'s to say.
 *
 * Rules are authority's, so that nobody but administrators makes windows for them. Nodes are made by holders, for nothing:
 * each root token has a bounded number of windows for the nodes below it, and each tenant for all of its.
 */
import { type RateClaim, type Reason, ratePeriodMs } from "@writ/contract";
import { type Counted, countAttempt, lookAtAttempt } from "./count-attempt.ts";
import { type RateStanding, waitSeconds } from "./rate-standing.ts";
import { createRateTable, type RateGroup } from "./rate-table.ts";

export interface Rated {
  readonly tenantId: string;
  /** Hex of the root node; "" for who has no token. */
  readonly root: string;
}

export type RateAdmission =
  | { readonly kind: "admitted"; readonly standings: readonly RateStanding[] }
  | {
      readonly kind: "refused";
      readonly reason: Reason;
      readonly retryAfterSeconds: number;
      readonly standings: readonly RateStanding[];
    };

export interface CallRates {
  /** Counts one attempt, once, in all of its rates or in none. */
  admit(rated: Rated, claims: readonly RateClaim[], nowMs: number): RateAdmission;
  /** What `admit` would say; counts nothing, and makes room for nothing. */
  look(rated: Rated, claims: readonly RateClaim[], nowMs: number): RateAdmission;
  /** Forgets what is empty, and tells how often windows were shared for lack of room. */
  take(nowMs: number): readonly SharedRates[];
}

/** How often there was no room for a window in one table. */
export interface SharedRates {
  readonly table: "rules" | "tokens" | "addresses";
  readonly count: number;
}

/** A window that is in use all the time takes some 1.5 kB. */
const RULE_WINDOWS_MAX = 20_000;
const NODE_WINDOWS_MAX = 10_000;
const NODE_WINDOWS_OF_TENANT_MAX = 2_000;
const NODE_WINDOWS_OF_ROOT_MAX = 100;

const REASONS_OF = {
  node: "rate_token",
  agent: "rate_agent",
  tenant: "rate_tenant",
  endpoint: "rate_endpoint",
} as const satisfies Record<RateClaim["scope"], Reason>;

export function createCallRates(options: { readonly liveGateways: () => number }): CallRates {
  const rules = createRateTable({ windowsMax: RULE_WINDOWS_MAX });
  const nodes = createRateTable({ windowsMax: NODE_WINDOWS_MAX });

  function windowOf(
    { tenantId, root }: Rated,
    claim: RateClaim,
    { nowMs, counts }: { readonly nowMs: number; readonly counts: boolean },
  ): Counted["windows"] {
    const way = counts ? "find" : "look";
    const { scope, scopeId, per } = claim;
    // Tenant, scope and period are of closed forms without the separator; the free part is last.
    const name = `${tenantId} ${scope} ${per} ${scopeId}`;
    if (scope !== "node") return rules[way](name, [], nowMs);
    const groups: readonly RateGroup[] = [
      { name: `${tenantId} ${root}`, windowsMax: NODE_WINDOWS_OF_ROOT_MAX },
      { name: tenantId, windowsMax: NODE_WINDOWS_OF_TENANT_MAX },
    ];
    return nodes[way](name, groups, nowMs);
  }

  function attempt(
    rated: Rated,
    claims: readonly RateClaim[],
    at: { readonly nowMs: number; readonly counts: boolean },
  ): RateAdmission {
    const { nowMs, counts } = at;
    const counted = claims.map((claim): Counted => {
      const { scope, limit, per } = claim;
      const name = `${scope === "node" ? "token" : scope}-${per}`;
      return { name, limit, periodMs: ratePeriodMs(per), windows: windowOf(rated, claim, at) };
    });
    const found = (counts ? countAttempt : lookAtAttempt)(counted, options.liveGateways(), nowMs);
    if (found.kind === "admitted") return found;
    const scope = claims[found.index]?.scope ?? "tenant";
    const { standings } = found;
    const retryAfterSeconds = waitSeconds(found.waitMs);
    return { kind: "refused", reason: REASONS_OF[scope], retryAfterSeconds, standings };
  }

  return {
    admit: (rated, claims, nowMs) => attempt(rated, claims, { nowMs, counts: true }),
    look: (rated, claims, nowMs) => attempt(rated, claims, { nowMs, counts: false }),
    take(nowMs) {
      rules.sweep(nowMs);
      nodes.sweep(nowMs);
      const taken = [
        { table: "rules", count: rules.takeShared() },
        { table: "tokens", count: nodes.takeShared() },
      ] as const;
      return taken.filter(({ count }) => count > 0);
    },
  };
}
