/**
 * What would be decided about a call now, by the judgement that decides and what its budgets hold: nothing is committed,
 * reserved, held or sent, and nothing is evidence. Others may draw on the same budgets before the call is made; whether a
 * token may have another counter of its own is found in the commit alone.
 *
 * A preview that says no tells what a denial would, so it has the limit of denials; a counter of its own, since whoever
 * previews must not be able to keep denials out of the log.
 */
import { makeUuidv7, REASONS, type Reason } from "@writ/contract";
import type { CounterReadings } from "./counter-readings.ts";
import type { Denial } from "./denial.ts";
import type { DenialLimit } from "./denial-limit.ts";
import type { Authenticated, Preview } from "./gate.ts";
import { budgetData, countedReason } from "./handle-call.ts";
import type { Attempt, Judge, Judged } from "./judge-call.ts";
import { type AgentCall, type Clock, Failure, type Random, type StatePort } from "./ports.ts";

export interface PreviewDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly state: StatePort;
  readonly judge: Judge;
  readonly counters: Pick<CounterReadings, "readNow">;
  /** Not the one of calls. */
  readonly denials: DenialLimit;
  readonly closedReason: () => Reason | undefined;
  readonly log: { error(fields: object, message: string): void };
}

/** How long a preview may wait for the head. */
const WAIT_MS = 5_000;

/** Never throws: what cannot be judged would not be allowed. */
export async function previewCall(deps: PreviewDeps, authenticated: Authenticated, call: AgentCall): Promise<Preview> {
  try {
    const closed = deps.closedReason();
    if (closed !== undefined) return denied(closed);
    const { tenantId } = authenticated;
    const signal = AbortSignal.timeout(WAIT_MS);
    const state = deps.state.current(tenantId) ?? (await deps.state.load(tenantId, signal));
    if (state === undefined) return denied("state_unavailable");
    const callId = makeUuidv7(deps.clock.nowMs(), deps.random.bytes(10));
    const salt = deps.random.bytes(16);
    const attempt: Attempt = { authenticated, call, callId, salt, notBeforeMs: 0, child: undefined };
    const judged = deps.judge(attempt);
    if (judged.kind === "allow") return await previewBudgets(deps, attempt, judged);
    const denial = { tenantId, node: judged.recordedNode, reason: countedReason(attempt, judged) };
    const admitted = deps.denials.admit(denial, deps.clock.nowMs());
    // It may rest on a stale state, like every denial.
    await deps.state.catchUp(tenantId, signal);
    const onHead = deps.judge(attempt);
    if (onHead.kind === "allow") {
      deps.denials.withdraw(denial, admitted);
      return await previewBudgets(deps, attempt, onHead);
    }
    if (admitted.kind === "summarise") {
      return denied("rate_denials", { retryAfterSeconds: admitted.retryAfterSeconds });
    }
    const told = onHead.entry.denial;
    return told === undefined ? denied("internal_error") : { kind: "denied", denial: told };
  } catch (error) {
    // A Failure of a port becomes a denial; anything else is a fault of ours and becomes one, too (unknown means no).
    if (error instanceof Failure) return denied(error.reason);
    deps.log.error({ error }, "a preview failed inside the gateway");
    return denied("internal_error");
  }
}

/** Of a call that is allowed but for what its budgets have left. */
async function previewBudgets(deps: PreviewDeps, { authenticated }: Attempt, judged: Judged): Promise<Preview> {
  const claims = judged.entry.claims.filter(({ mode }) => mode === "hard");
  const { wouldDeny } = judged.entry;
  if (claims.length === 0) return { kind: "allowed", wouldDeny };
  const { tenantId, agentId } = authenticated;
  const { recordedNode } = judged;
  const reading = await deps.counters.readNow({ tenantId, recordedNode, agentId }, claims);
  if (reading.kind === "limited") return denied("rate_lookups", { retryAfterSeconds: reading.retryAfterSeconds });
  for (const [index, claim] of claims.entries()) {
    const left = claim.limit - (reading.totals[index] ?? 0);
    if (claim.amount <= left) continue;
    const denial = { tenantId, node: recordedNode, reason: "budget_exhausted" } as const;
    const admitted = deps.denials.admit(denial, deps.clock.nowMs());
    if (admitted.kind === "summarise") {
      return denied("rate_denials", { retryAfterSeconds: admitted.retryAfterSeconds });
    }
    return denied("budget_exhausted", { check: "budget", ...budgetData(claim, left) });
  }
  return { kind: "allowed", wouldDeny };
}

function denied(reason: Reason, data: Denial["data"] = {}): Preview {
  return { kind: "denied", denial: { reason, detail: REASONS[reason].sentence, hidden: false, data } };
}
