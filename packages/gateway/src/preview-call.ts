/**
 * What would be decided about a call now, by the judgement that decides: nothing is committed, reserved, held or sent,
 * and nothing is evidence. Whether a budget has anything left is found in the commit, and so not here.
 *
 * A preview that says no tells what a denial would, so it has the limit of denials; a counter of its own, since whoever
 * previews must not be able to keep denials out of the log.
 */
import { makeUuidv7, REASONS, type Reason } from "@writ/contract";
import type { Denial } from "./denial.ts";
import type { DenialLimit } from "./denial-limit.ts";
import type { Authenticated, Preview } from "./gate.ts";
import { countedReason } from "./handle-call.ts";
import type { Attempt, Judge } from "./judge-call.ts";
import { type AgentCall, type Clock, Failure, type Random, type StatePort } from "./ports.ts";

export interface PreviewDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly state: StatePort;
  readonly judge: Judge;
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
    if (judged.kind === "allow") return { kind: "allowed" };
    const denial = { tenantId, node: judged.recordedNode, reason: countedReason(attempt, judged) };
    const admitted = deps.denials.admit(denial, deps.clock.nowMs());
    // It may rest on a stale state, like every denial.
    await deps.state.catchUp(tenantId, signal);
    const onHead = deps.judge(attempt);
    if (onHead.kind === "allow") {
      deps.denials.withdraw(denial, admitted);
      return { kind: "allowed" };
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

function denied(reason: Reason, data: Denial["data"] = {}): Preview {
  return { kind: "denied", denial: { reason, detail: REASONS[reason].sentence, hidden: false, data } };
}
