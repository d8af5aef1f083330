/**
 * What is left of a token's own budgets, for its holder: a look, not an attempt, and no promise, since others may draw on
 * the same counters. Each token is looked up once a second at most.
 */
import type { BudgetClaim, Reason } from "@writ/contract";
import { tokenBudgets } from "@writ/core";
import type { VerifiedToken } from "@writ/token";
import type { Authenticated, RemainingBudget, RemainingBudgets } from "./gate.ts";
import { type Clock, Failure, type StatePort } from "./ports.ts";

export interface CounterStore {
  /** What each counter holds in the window of its claim. Failure `state_unavailable`. */
  totals(tenantId: string, claims: readonly BudgetClaim[]): Promise<readonly number[]>;
}

export interface RemainingBudgetsOptions {
  readonly clock: Clock;
  readonly state: StatePort;
  readonly counters: CounterStore;
  readonly tokenOf: (authenticated: Authenticated) => VerifiedToken;
  /** Counts a token that does not stand. */
  readonly rejected: (reason: Reason) => void;
}

/** How long a denial may wait for the head before it is answered. */
const CATCH_UP_MS = 5_000;
/** How long an answer is given again. */
const KEPT_MS = 1_000;
/** Answers kept at once; beyond, all are forgotten. */
const KEPT_MAX = 1_000;

export function createRemainingBudgets(
  options: RemainingBudgetsOptions,
): (authenticated: Authenticated) => Promise<RemainingBudgets> {
  const { clock, state, counters } = options;
  let kept = new Map<string, { readonly untilMs: number; readonly answer: Promise<readonly RemainingBudget[]> }>();

  async function look(tenantId: string, claims: readonly BudgetClaim[]): Promise<readonly RemainingBudget[]> {
    const totals = await counters.totals(tenantId, claims);
    return claims.map(({ scope, unit, window, mode, limit, windowEndMs }, index) => ({
      scope,
      unit,
      window,
      mode,
      limit,
      remaining: Math.max(0, limit - (totals[index] ?? 0)),
      ...(window === "total" ? {} : { resetsAt: new Date(windowEndMs).toISOString() }),
    }));
  }

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
    const key = `${authenticated.tokenDigest} ${current.revision}`;
    let known = kept.get(key);
    if (known === undefined || known.untilMs <= clock.monotonicMs()) {
      if (kept.size >= KEPT_MAX) kept = new Map();
      known = { untilMs: clock.monotonicMs() + KEPT_MS, answer: look(tenantId, claims) };
      kept.set(key, known);
    }
    try {
      return { kind: "read", budgets: await known.answer };
    } catch (error) {
      // A failure of the database: nobody is told anything of their budgets.
      kept.delete(key);
      if (error instanceof Failure) return { kind: "denied", reason: error.reason };
      throw error;
    }
  };
}
