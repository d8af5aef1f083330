/**
 * What a call left of the budgets that are its agent's own, as the header `Writ-Budget`. Says nothing of what others' calls
 * move. Pure.
 */
import type { BudgetClaim, BudgetExcess } from "@writ/contract";

/** A hard limit of the agent's own, and what its counter held right behind the call. */
export type BudgetLeft = BudgetExcess;

/** Limits that one answer tells of: those with the least share left. */
const TOLD_MAX = 4;

/** Claims are remembered, so the same list comes again and again. */
const known = new WeakMap<readonly BudgetClaim[], readonly BudgetClaim[]>();

/** Those claims of a call that only its own token and agent draw on: of its nodes, and of the agent that presents it. */
export function ownClaims(claims: readonly BudgetClaim[], agentId: string): readonly BudgetClaim[] {
  let own = known.get(claims);
  if (own === undefined) {
    own = claims.filter((claim) => claim.mode === "hard" && isOwn(claim, agentId));
    known.set(claims, own);
  }
  return own;
}

/** Whether exactly how much is left of it may be told to this agent: others' calls do not move it. */
export function isOwn({ scope, scopeId }: BudgetClaim, agentId: string): boolean {
  return scope === "node" || (scope === "agent" && scopeId === agentId);
}

/** A List of Structured Fields (RFC 9651), such as `node;unit=calls;window=day;limit=9;remaining=4;resets=1790000000`. */
export function writeBudgetHeader(left: readonly BudgetLeft[]): Readonly<Record<string, string>> {
  if (left.length === 0) return {};
  const share = ({ claim, used }: BudgetLeft): number => (claim.limit - used) / Math.max(claim.limit, 1);
  const told = [...left].sort((one, other) => share(one) - share(other)).slice(0, TOLD_MAX);
  const items = told.map(({ claim, used }) => {
    const { scope, unit, window, limit, windowEndMs } = claim;
    const resets = window === "total" ? "" : `;resets=${Math.ceil(windowEndMs / 1000)}`;
    return `${scope};unit=${unit};window=${window};limit=${limit};remaining=${Math.max(0, limit - used)}${resets}`;
  });
  return { "writ-budget": items.join(", ") };
}
