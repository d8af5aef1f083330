/**
 * What would be decided about a call now, by the judgement that decides, its rates and what its budgets hold: nothing is
 * committed, counted, reserved, held or sent, and nothing is evidence. Others may draw on the same rates and budgets before
 * the call is made. What only the way of a call itself shows is not foreseen: its upstream, its idempotency key, an authority
 * that moves meanwhile, a journal that does not answer.
 *
 * A preview that says no tells what a denial would, so it has the limit of denials; a counter of its own, since whoever
 * previews must not be able to keep denials out of the log. A rate needs none: it is in memory, and told to whoever has it.
 */
import { makeUuidv7, REASONS, type Reason } from "@writ/contract";
import type { CounterReadings } from "./counter-readings.ts";
import type { Denial } from "./denial.ts";
import type { DenialLimit } from "./denial-limit.ts";
import type { Authenticated, Preview } from "./gate.ts";
import { budgetData, countedReason } from "./handle-call.ts";
import type { Attempt, Judge, Judged } from "./judge-call.ts";
import { type AgentCall, type Clock, Failure, type Random, type StatePort } from "./ports.ts";
import type { CallRates } from "./rates/call-rates.ts";

export interface PreviewDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly state: StatePort;
  readonly judge: Judge;
  readonly counters: Pick<CounterReadings, "foresee">;
  readonly rates: Pick<CallRates, "look">;
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
    if (judged.kind === "allow") return await previewLimits(deps, attempt, judged);
    const denial = { tenantId, node: judged.recordedNode, reason: countedReason(attempt, judged) };
    const admitted = deps.denials.admit(denial, deps.clock.nowMs());
    // It may rest on a stale state, like every denial.
    await deps.state.catchUp(tenantId, signal);
    const onHead = deps.judge(attempt);
    if (onHead.kind === "allow") {
      deps.denials.withdraw(denial, admitted);
      return await previewLimits(deps, attempt, onHead);
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

/** Of a call that is allowed but for its rates and what its budgets have left; in the order of the call. */
async function previewLimits(deps: PreviewDeps, { authenticated }: Attempt, judged: Judged): Promise<Preview> {
  const { tenantId, agentId } = authenticated;
  const { recordedNode, entry, rates } = judged;
  if (rates.length > 0) {
    const admission = deps.rates.look({ tenantId, root: entry.root }, rates, deps.clock.monotonicMs());
    if (admission.kind === "refused") {
      const { reason, retryAfterSeconds } = admission;
      return denied(reason, { check: "rates", retryAfterSeconds });
    }
  }
  const { wouldDeny } = entry;
  if (entry.claims.length === 0) return { kind: "allowed", wouldDeny };
  const foreseen = await deps.counters.foresee({ tenantId, recordedNode, agentId }, entry);
  switch (foreseen.kind) {
    case "fits":
      return { kind: "allowed", wouldDeny };
    case "limited":
      return denied("rate_lookups", { retryAfterSeconds: foreseen.retryAfterSeconds });
    case "refused":
      return limited(deps, { tenantId, node: recordedNode, reason: "budget_exhausted" }, () =>
        denied("budget_exhausted", { check: "budget", ...budgetData(foreseen.claim, foreseen.remaining) }),
      );
    case "refused_nodes":
      return limited(deps, { tenantId, node: recordedNode, reason: "budget_nodes" }, () =>
        denied("budget_nodes", { check: "budget" }),
      );
  }
}

/** Whoever has been told no too often is told so, and no more. */
function limited(deps: PreviewDeps, denial: Parameters<DenialLimit["admit"]>[0], tell: () => Preview): Preview {
  const admitted = deps.denials.admit(denial, deps.clock.nowMs());
  if (admitted.kind !== "summarise") return tell();
  return denied("rate_denials", { retryAfterSeconds: admitted.retryAfterSeconds });
}

function denied(reason: Reason, data: Denial["data"] = {}): Preview {
  return { kind: "denied", denial: { reason, detail: REASONS[reason].sentence, hidden: false, data } };
}
