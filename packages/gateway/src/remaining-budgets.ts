/**
 * What is left of a token's budgets, for its holder: a look, not an attempt, and no promise, since others may draw on the
 * same counters. How much of what others' calls move it may know is decided here.
 */
import type { BudgetClaim, Reason } from "@writ/contract";
import { tokenBudgets } from "@writ/core";
import type { VerifiedToken } from "@writ/token";
import { isOwn } from "./budget-left.ts";
import type { CounterReadings } from "./counter-readings.ts";
import type { Authenticated, RemainingBudget, RemainingBudgets } from "./gate.ts";
import { type Clock, Failure, type StatePort } from "./ports.ts";

export interface RemainingBudgetsOptions {
  readonly clock: Clock;
  readonly state: StatePort;
  readonly counters: Pick<CounterReadings, "readRecent">;
  readonly tokenOf: (authenticated: Authenticated) => VerifiedToken;
  /** Counts a token that does not stand. */
  readonly rejected: (reason: Reason) => void;
}

/** How long a denial may wait for the head before it is answered. */
const CATCH_UP_MS = 5_000;

export function createRemainingBudgets(
  options: RemainingBudgetsOptions,
): (authenticated: Authenticated) => Promise<RemainingBudgets> {
  const { clock, state, counters } = options;

  return async (authenticated) => {
    const token = options.tokenOf(authenticated);
    const { tenantId } = token;
    let current = state.current(tenantId);
    if (current === undefined) return { kind: "denied", reason: "state_unavailable" };
    const presenter = { token, nowMs: clock.nowMs() };
    let read = tokenBudgets(current, presenter);
    if (read.kind === "denied") {
      // A token that was minted a moment ago may not have reached this process.
      try {
        current = (await state.catchUp(tenantId, AbortSignal.timeout(CATCH_UP_MS))) ?? current;
      } catch (error) {
        // A failure of the database: nobody is told anything.
        if (error instanceof Failure) return { kind: "denied", reason: error.reason };
        throw error;
      }
      read = tokenBudgets(current, presenter);
      if (read.kind === "denied") {
        options.rejected(read.reason);
        return read;
      }
    }
    // What only counts is nothing that a holder could run out of.
    const claims = read.claims.filter(({ mode }) => mode !== "shadow");
    const asker = { tenantId, recordedNode: read.recordedNode, agentId: token.agentId };
    try {
      const reading = await counters.readRecent(asker, claims);
      if (reading.kind === "limited") {
        return { kind: "denied", reason: "rate_lookups", retryAfterSeconds: reading.retryAfterSeconds };
      }
      const budgets = claims.map((claim, index) => describeLeft(claim, reading.totals[index] ?? 0, token.agentId));
      return { kind: "read", budgets };
    } catch (error) {
      // A failure of the database: nobody is told anything of their budgets.
      if (error instanceof Failure) return { kind: "denied", reason: error.reason };
      throw error;
    }
  };
}

/**
 * The counters of its nodes and of its agent are its own, and told exactly. What principal and tenant have left, or the
 * agents that handed it its token, others' calls move: how many these make is not for it to know.
 */
function describeLeft(claim: BudgetClaim, total: number, agentId: string): RemainingBudget {
  const { scope, unit, window, mode, limit, windowEndMs } = claim;
  return {
    scope,
    unit,
    window,
    mode,
    limit,
    ...(isOwn(claim, agentId) ? { remaining: Math.max(0, limit - total) } : {}),
    exhausted: total >= limit,
    ...(window === "total" ? {} : { resetsAt: new Date(windowEndMs).toISOString() }),
  };
}
