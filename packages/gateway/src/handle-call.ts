/**
 * The only function with the control flow of a call, from a verified credential to the settled outcome. Every
 * protocol goes through it, listing and delegation included. What it calls is a pure function (`@writ/core`) or a
 * port; every `Failure` of a port is caught here and becomes a denial, and nothing is sent before `journal.commit` has
 * resolved.
 *
 *     judge ──deny──────────────▶ commit the denial ─▶ denied
 *       │ allow                     ▲
 *     count in its rates ──no room──┘
 *       │
 *     hold the upstream ─▶ commit (judged again while authority moves) ─▶ send ─▶ answer ─▶ settle
 *
 * A delegation waits for its turn before it is judged, and commits together with the child that it puts on record.
 */
import { type AuditEvent, type BudgetClaim, makeUuidv7, REASONS, type Reason } from "@writ/contract";
import type { Delegations } from "./delegations.ts";
import type { Denial } from "./denial.ts";
import type { DenialLimit } from "./denial-limit.ts";
import { encodeBroken } from "./encode-denial.ts";
import type { Authenticated, CallEnd, CallSink } from "./gate.ts";
import { type AskedQuestion, type Question, questionCall, readInputRequests } from "./input-requests.ts";
import type { InputStates } from "./input-state.ts";
import { type Attempt, isForwarded, type Judge, type Judged } from "./judge-call.ts";
import type { OpenCall, OpenCalls } from "./open-calls.ts";
import {
  type AgentCall,
  type ClientAnswer,
  type Committed,
  type DecisionEntry,
  Failure,
  type HoldRequest,
  type HttpCall,
  LISTEN_METHOD,
  type OutcomeEntry,
  type Ports,
  type SendOutcome,
  type Slot,
  type UpstreamMessage,
} from "./ports.ts";
import type { CallRates, RateAdmission } from "./rates/call-rates.ts";
import { updatedUri } from "./updated-uri.ts";
import { withoutOwnCode } from "./upstream-error.ts";

export interface HandleCallDeps extends Ports {
  readonly judge: Judge;
  readonly openCalls: OpenCalls;
  readonly denials: DenialLimit;
  readonly rates: Pick<CallRates, "admit">;
  readonly delegations: Delegations;
  readonly inputStates: InputStates;
  /** Names this process in events. */
  readonly gatewayId: string;
  readonly log: { error(fields: object, message: string): void };
  /** True once the gateway has lost contact to the database or is draining. */
  readonly closedReason: () => Reason | undefined;
}

type CountedJudge = (attempt: Attempt) => Judged;

/** The lists that an upstream gives and that hold only what their reader may know of. */
const FILTERED: ReadonlySet<AgentCall["action"]> = new Set(["resource.list", "prompt.list"]);
/** An allow that is not sent within this time of its commit is aborted. */
const SEND_WITHIN_MS = 250;
/** How long a call may wait for a slot and session of its upstream. */
const HOLD_WAIT_MS = 5_000;
/** How long a denial may wait for the head before it is answered. */
const CATCH_UP_MS = 5_000;
/**
 * How often one attempt starts over because the world moved under it: a delegation most of all, whose child is recorded
 * on one revision.
 */
const ROUNDS_MAX = 8;

export async function handleCall(
  deps: HandleCallDeps,
  authenticated: Authenticated,
  attempted: AgentCall,
  sink: CallSink,
  cut: AbortController,
): Promise<CallEnd> {
  let callId = "";
  try {
    callId = makeUuidv7(deps.clock.nowMs(), deps.random.bytes(10));
    const salt = deps.random.bytes(16);
    const closed = deps.closedReason();
    if (closed !== undefined) return denied(callId, closed, "", false, {});
    const state =
      deps.state.current(authenticated.tenantId) ?? (await deps.state.load(authenticated.tenantId, cut.signal));
    if (state === undefined) return denied(callId, "state_unavailable", "", false, {});
    const call =
      attempted.resumes === undefined ? attempted : deps.inputStates.open({ ...authenticated, call: attempted });
    const attempt: Attempt = { authenticated, call, callId, salt, notBeforeMs: 0, child: undefined };
    return call.action === "token.attenuate"
      ? await delegate(deps, attempt, sink, cut)
      : await runRounds(deps, attempt, sink, cut);
  } catch (error) {
    // A Failure of a port becomes a denial; anything else is a fault of ours and becomes one, too (unknown means no).
    if (error instanceof Failure) return denied(callId, error.reason, "", false, {});
    deps.log.error({ callId, error }, "a call failed inside the gateway");
    return denied(callId, "internal_error", "", false, {});
  }
}

/** A delegation has a rate and a turn, because each that is recorded moves the authority that the others rest on. */
async function delegate(deps: HandleCallDeps, first: Attempt, sink: CallSink, cut: AbortController): Promise<CallEnd> {
  const { authenticated, call, callId } = first;
  const begun = deps.delegations.begin(authenticated, call);
  if (begun.kind === "limited") {
    return denied(callId, "rate_attenuations", "", false, { retryAfterSeconds: begun.retryAfterSeconds });
  }
  const work = async (): Promise<CallEnd> => {
    // It may have waited for its turn.
    const closed = deps.closedReason();
    if (closed !== undefined) return denied(callId, closed, "", false, {});
    return runRounds(deps, { ...first, child: begun.child }, sink, cut);
  };
  const end = await deps.delegations.inTurn(authenticated.tenantId, work);
  return end ?? denied(callId, "gateway_overloaded", "", false, {});
}

async function runRounds(deps: HandleCallDeps, first: Attempt, sink: CallSink, cut: AbortController): Promise<CallEnd> {
  let attempt = first;
  const judge = createCountedJudge(deps, first, sink);
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const judged = judge(attempt);
    if (RATE_REASONS.has(judged.reason)) return recordDenial(deps, attempt, judged);
    const step =
      judged.kind === "allow"
        ? await allow(deps, attempt, judged, { judge, sink, cut })
        : await denyOnHead(deps, attempt, judged);
    if (step.kind !== "again") return step;
    attempt = { ...attempt, notBeforeMs: Math.max(attempt.notBeforeMs, step.notBeforeMs) };
  }
  return recordDenial(deps, attempt, deps.judge(attempt).denyAs("state_stale", "commit", {}));
}

/**
 * Judges an attempt, and counts it in its rates once, however often it is judged. Only where the decision allows: what it
 * denies uses up nothing of anybody's rate, so that neither a revoked token nor a call that is not permitted stands in the
 * way of others. Where a rate has no room, the attempt is denied for it from then on.
 */
function createCountedJudge(deps: HandleCallDeps, { authenticated }: Attempt, sink: CallSink): CountedJudge {
  let admission: RateAdmission | undefined;
  return (attempt) => {
    const judged = deps.judge(attempt);
    if (judged.rates.length === 0) return judged;
    if (admission === undefined) {
      const rated = { tenantId: authenticated.tenantId, root: judged.entry.root };
      admission = deps.rates.admit(rated, judged.rates, deps.clock.monotonicMs());
      sink.rated?.(admission.standings);
    }
    if (admission.kind === "admitted") return judged;
    const { reason, retryAfterSeconds } = admission;
    return judged.denyAs(reason, "rates", { retryAfterSeconds });
  };
}

/** The round came to nothing that was recorded: judge anew, at a time no earlier than `notBeforeMs`. */
type Again = { readonly kind: "again"; readonly notBeforeMs: number };
/** Why an upstream could not be held. */
const HOLD_REASONS: ReadonlySet<Reason> = new Set(["upstream_unavailable", "upstream_address_refused"]);
/** Denials for a rate of the attempt itself. */
const RATE_REASONS: ReadonlySet<Reason> = new Set(["rate_agent", "rate_tenant", "rate_endpoint", "rate_token"]);
const AGAIN: Again = { kind: "again", notBeforeMs: 0 };

/** A denial that may rest on a stale state: judged again on the head, where it may turn out to be none. */
function denyOnHead(deps: HandleCallDeps, attempt: Attempt, judged: Judged): Promise<CallEnd | Again> {
  return deny(deps, attempt, judged, { isFinal: false }, () => {
    const again = deps.judge(attempt);
    return again.kind === "allow" ? "withdraw" : again.entry;
  });
}

/** Records a denial that no further look at authority can lift (a spent budget, a missing slot). */
async function recordDenial(deps: HandleCallDeps, attempt: Attempt, judged: Judged): Promise<CallEnd> {
  const { reason, data, check } = denialOf(judged);
  const end = await deny(
    deps,
    attempt,
    judged,
    { isFinal: true },
    () => deps.judge(attempt).denyAs(reason, check, data).entry,
  );
  return end.kind === "again" ? denied(attempt.callId, reason, "", false, data) : end;
}

async function deny(
  deps: HandleCallDeps,
  attempt: Attempt,
  judged: Judged,
  { isFinal }: { readonly isFinal: boolean },
  rejudge: () => DecisionEntry | "withdraw",
): Promise<CallEnd | Again> {
  const { tenantId } = attempt.authenticated;
  const denial = { tenantId, node: judged.recordedNode, reason: countedReason(attempt, judged) };
  const admitted = deps.denials.admit(denial, deps.clock.nowMs());
  if (admitted.kind === "summarise") {
    // It is not put on record, where its revision would be compared with the head: that is done here. All calls of a
    // tenant that wait for the head share one reading of it.
    if (!isFinal) {
      await deps.state.catchUp(tenantId, AbortSignal.timeout(CATCH_UP_MS));
      if (rejudge() === "withdraw") {
        deps.denials.withdraw(denial, admitted);
        return AGAIN;
      }
    }
    // Whoever has to wait for a rate is told for how long, on record or not.
    if (RATE_REASONS.has(judged.reason)) return deniedAs(attempt.callId, judged.entry);
    const { retryAfterSeconds } = admitted;
    return denied(attempt.callId, "rate_denials", REASONS.rate_denials.sentence, false, { retryAfterSeconds });
  }
  const { result, entry } = await deps.journal.commit(judged.entry, rejudge);
  switch (result.kind) {
    case "committed":
      return deniedAs(attempt.callId, entry);
    case "withdrawn":
      deps.denials.withdraw(denial, admitted);
      return AGAIN;
    case "recorded":
    case "stale":
    case "expired":
    case "refused":
    case "refused_carve":
    case "refused_nodes":
    case "duplicate":
      return denied(attempt.callId, "state_stale", "", false, {});
  }
}

/**
 * Under which reason a denial is counted. All that is answered as an unknown tool shares one counter, and so does all that
 * is answered as an unknown resource or prompt: with counters of their own, whoever had used up that of names that do
 * not exist could tell which ones do.
 */
export function countedReason({ call }: Attempt, judged: Judged): Reason {
  if (judged.entry.denial?.hidden !== true) return judged.reason;
  if (call.named !== undefined) return "named_unknown";
  return call.action === "tool.call" ? "tool_unknown" : judged.reason;
}

async function allow(
  deps: HandleCallDeps,
  attempt: Attempt,
  judged: Judged,
  { judge, sink, cut }: { readonly judge: CountedJudge; readonly sink: CallSink; readonly cut: AbortController },
): Promise<CallEnd | Again> {
  let slot: Slot | undefined;
  try {
    if (judged.hold !== undefined && isForwarded(attempt.call)) {
      try {
        slot = await deps.upstreams.hold({ ...judged.hold, waitMs: HOLD_WAIT_MS, signal: cut.signal });
      } catch (error) {
        // An upstream that cannot be had is a denial with evidence; every other failure is handled by the caller.
        if (!(error instanceof Failure) || !HOLD_REASONS.has(error.reason)) throw error;
        return await recordDenial(deps, attempt, judged.denyAs(error.reason, "hold", error.data));
      }
    }
    const rejudge = (): DecisionEntry | "withdraw" => {
      const again = judge(attempt);
      // What is held must be what would be sent to now; else start over and hold anew.
      return again.kind === "allow" && !isSameHold(judged.hold, again.hold) ? "withdraw" : again.entry;
    };
    const committed =
      judged.child === undefined
        ? await deps.journal.commit(judged.entry, rejudge)
        : await deps.delegations.commit(judged.entry, judged.child);
    return await goOn(deps, attempt, judged, { slot, committed, sink, cut });
  } finally {
    slot?.release();
  }
}

/** Of a body that was passed on as a stream: what went by, and, when all of it did, its salted digest. */
interface BodySent {
  requestBytes: number;
  requestDigest?: string;
}

/** The same stream, and into `sent` what of it has gone by. Nothing is kept of it. */
async function* noteStream(
  stream: AsyncIterable<Uint8Array>,
  digest: ReturnType<Judge["startDigest"]>,
  sent: BodySent,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    digest.update(chunk);
    sent.requestBytes += chunk.length;
    yield chunk;
  }
  sent.requestDigest = digest.end();
}

interface Held {
  readonly slot: Slot | undefined;
  readonly committed: Committed;
  readonly sink: CallSink;
  readonly cut: AbortController;
}

async function goOn(deps: HandleCallDeps, attempt: Attempt, judged: Judged, held: Held): Promise<CallEnd | Again> {
  const { result, entry } = held.committed;
  switch (result.kind) {
    case "committed":
      if (entry.kind === "deny") return deniedAs(attempt.callId, entry);
      return isForwarded(attempt.call) ? send(deps, attempt, held) : answerLocally(deps, attempt, held, judged.hold);
    case "recorded":
      return answerLocally(deps, attempt, held, undefined);
    case "refused": {
      const data = budgetData(result.claim, result.remaining);
      return recordDenial(deps, attempt, judged.denyAs("budget_exhausted", "budget", data));
    }
    case "refused_carve":
      return recordDenial(deps, attempt, judged.denyAs("budget_carve", "budget", { remaining: result.remaining }));
    case "refused_nodes":
      return recordDenial(deps, attempt, judged.denyAs("budget_nodes", "budget", {}));
    case "duplicate": {
      const { firstCallId } = result;
      return recordDenial(deps, attempt, judged.denyAs("duplicate_key", "commit", { firstCallId }));
    }
    case "expired":
      return { kind: "again", notBeforeMs: result.databaseTimeMs };
    case "withdrawn":
      return AGAIN;
    case "stale":
      return recordDenial(deps, attempt, judged.denyAs("state_stale", "commit", {}));
  }
}

function isSameHold(held: Judged["hold"], wanted: Judged["hold"]): boolean {
  if (held === undefined || wanted === undefined) return held === wanted;
  return (
    held.upstreamId === wanted.upstreamId &&
    held.isolationKey === wanted.isolationKey &&
    (held.upstream === wanted.upstream || JSON.stringify(held.upstream) === JSON.stringify(wanted.upstream))
  );
}

/** An answer of Writ's own: a list, a session, a recorded child. Its outcome was committed with its decision. */
async function answerLocally(
  deps: HandleCallDeps,
  attempt: Attempt,
  { sink, cut, committed }: Pick<Held, "sink" | "cut" | "committed">,
  server: Judged["hold"],
): Promise<CallEnd> {
  if (attempt.call.protocol === "decision") return giveDecision(deps, attempt, committed.entry, sink);
  sink.allowed(attempt.callId, undefined, committed.entry.wouldDeny);
  await sink.local(
    server === undefined ? deps.judge.answer(attempt) : await capabilitiesOf(deps, { ...server, signal: cut.signal }),
  );
  return { kind: "answered", callId: attempt.callId };
}

/**
 * The decision itself is the answer: it is on record and charged, and it is given unless authority has moved behind the
 * commit and no longer allows it. What is done with it is enforced elsewhere.
 */
async function giveDecision(
  deps: HandleCallDeps,
  attempt: Attempt,
  entry: DecisionEntry,
  sink: CallSink,
): Promise<CallEnd> {
  const { callId } = attempt;
  const review = reviewCommitted(deps, attempt, entry);
  if (review.kind === "falls") return denied(callId, review.reason, "", false, {});
  sink.allowed(callId, undefined, entry.wouldDeny);
  await sink.local("");
  return { kind: "answered", callId, wouldDeny: entry.wouldDeny };
}

/** What the server behind a session can do; "" when that cannot be learnt now, which does not keep it from opening. */
async function capabilitiesOf(deps: HandleCallDeps, request: Omit<HoldRequest, "waitMs">): Promise<string> {
  try {
    return await deps.upstreams.capabilities({ ...request, waitMs: HOLD_WAIT_MS });
  } catch (error) {
    // A failure of the upstream: the session tells of nothing that depends on its server.
    if (error instanceof Failure && error.reason === "upstream_unavailable") return "";
    throw error;
  }
}

async function send(
  deps: HandleCallDeps,
  attempt: Attempt,
  { sink, cut: cutter, slot, committed }: Held,
): Promise<CallEnd> {
  const { authenticated, callId } = attempt;
  const { message, http } = attempt.call;
  const startedMs = deps.clock.monotonicMs();
  const settle = (outcome: OutcomeEntry["outcome"], event: AuditEvent): void => {
    deps.journal.settle({ tenantId: authenticated.tenantId, callId, outcome, event });
  };
  const eventBase = (): { id: string; timeMs: number; tenantId: string } => {
    const timeMs = deps.clock.nowMs();
    return { id: makeUuidv7(timeMs, deps.random.bytes(10)), timeMs, tenantId: authenticated.tenantId };
  };
  const abort = (status: string, reason: Reason): CallEnd => {
    settle("aborted", { event: "call.aborted", ...eventBase(), fields: { callId, status } });
    return { kind: "broken", callId, reason, detail: REASONS[reason].sentence };
  };

  const { result } = committed;
  if (result.kind !== "committed" || slot === undefined) return abort("nothing was held", "internal_error");
  const closed = deps.closedReason();
  if (closed !== undefined) return abort(closed, closed);
  if (cutter.signal.aborted) return abort("client gone", "fault_timeout");
  if (startedMs - result.committedAtMonotonicMs > SEND_WITHIN_MS)
    return abort("not sent in time", "gateway_overloaded");
  const review = reviewCommitted(deps, attempt, committed.entry);
  if (review.kind === "falls") return abort(review.reason, review.reason);

  let cutReason: Reason | undefined;
  const cut = (reason: Reason): void => {
    cutReason ??= reason;
    cutter.abort();
  };
  const open: OpenCall = {
    tenantId: authenticated.tenantId,
    callId,
    validUntilMs: review.validUntilMs,
    lasts: message?.method === LISTEN_METHOD,
    cut,
    rejudge: () => {
      const again = deps.judge(attempt);
      return again.kind === "allow"
        ? { kind: "stands", validUntilMs: again.entry.validUntilMs }
        : { kind: "falls", reason: again.reason };
    },
  };
  deps.openCalls.add(open);

  let digest = "";
  let answered = false;
  let outcome: SendOutcome;
  const body = http?.body?.kind === "stream" ? http.body : undefined;
  const sent: BodySent | undefined = body === undefined ? undefined : { requestBytes: 0 };
  try {
    sink.allowed(callId, result.left, committed.entry.wouldDeny);
    const passMessage = (passed: UpstreamMessage): Promise<SendOutcome> =>
      slot.send(
        passed,
        {
          notification: (method, params) => {
            if (cutter.signal.aborted || !mayHear(deps, attempt, method, params)) return;
            return sink.notification(method, params);
          },
          request: (method, params) => askAgent(deps, attempt, { method, params }, sink, cutter.signal),
          response: (member, json) => {
            if (cutter.signal.aborted) return;
            if (member === "result" && passed.input === true) {
              const asked = readInputRequests(json);
              if (asked !== undefined) {
                answered = true;
                digest = deps.judge.digest(attempt, json);
                return passInputRequests(deps, attempt, { asked, json }, sink, cutter.signal);
              }
            }
            const passable = member === "error" ? withoutOwnCode(json) : json;
            const isList = member === "result" && FILTERED.has(attempt.call.action);
            const told = isList ? deps.judge.filter(attempt, json) : passable;
            digest = deps.judge.digest(attempt, told);
            answered = true;
            return sink.response(member, told);
          },
        },
        cutter.signal,
      );
    const passHttp = async (passed: HttpCall): Promise<SendOutcome> => {
      const told = deps.judge.startDigest(attempt);
      const end = await slot.sendHttp(
        body === undefined || sent === undefined
          ? passed
          : { ...passed, body: { ...body, stream: noteStream(body.stream, deps.judge.startDigest(attempt), sent) } },
        {
          head: (status, headers) => (cutter.signal.aborted ? undefined : sink.http?.head(status, headers)),
          data(chunk) {
            if (cutter.signal.aborted) return;
            told.update(chunk);
            return sink.http?.data(chunk);
          },
        },
        cutter.signal,
      );
      if (end.kind === "completed") digest = told.end();
      answered = end.kind === "completed";
      return end;
    };
    if (http !== undefined) outcome = await passHttp(withKey(http, committed.entry));
    else if (message !== undefined) outcome = await passMessage(message);
    else outcome = { kind: "aborted", detail: "there is nothing to send" };
  } catch (error) {
    // The port promises not to throw: whatever happened, the call may have been sent.
    deps.log.error({ callId, error }, "an upstream adapter threw");
    outcome = { kind: "unknown", detail: "the upstream adapter failed" };
  } finally {
    const kept = sink.kept?.();
    if (kept === undefined) deps.openCalls.remove(callId);
    else keepOpen(deps, open, cutter, kept);
  }

  const durationMs = Math.max(0, Math.round(deps.clock.monotonicMs() - startedMs));
  switch (outcome.kind) {
    case "completed":
      settle("completed", {
        event: "call.completed",
        ...eventBase(),
        fields: {
          callId,
          status: outcome.error ? "error" : (cutReason ?? "ok"),
          responseBytes: outcome.bytes,
          ...(digest === "" ? {} : { digest }),
          durationMs,
          ...(outcome.notifications === 0 ? {} : { messages: outcome.notifications }),
          ...sent,
        },
      });
      break;
    case "failed":
      settle("failed", {
        event: "call.failed",
        ...eventBase(),
        fields: {
          callId,
          status: cutReason ?? outcome.detail,
          responseBytes: outcome.bytes,
          durationMs,
          ...(outcome.notifications === 0 ? {} : { messages: outcome.notifications }),
          ...sent,
        },
      });
      break;
    case "aborted":
      settle("aborted", {
        event: "call.aborted",
        ...eventBase(),
        fields: { callId, status: cutReason ?? outcome.detail },
      });
      break;
    case "unknown":
      settle("unknown", {
        event: "call.unknown",
        ...eventBase(),
        fields: { callId, status: cutReason ?? outcome.detail, ...sent },
      });
      break;
  }
  if (answered) return { kind: "answered", callId };
  const reason = cutReason ?? (outcome.kind === "aborted" ? "upstream_unavailable" : "upstream_failed");
  return { kind: "broken", callId, reason, detail: REASONS[reason].sentence };
}

/** A call has ended, and its answer is kept for its agent: as long as that lasts, it must be allowed. */
function keepOpen(deps: HandleCallDeps, open: OpenCall, cutter: AbortController, kept: Promise<void>): void {
  // Nobody comes back to a gateway that takes no calls. The outcome is not another one for that.
  if (deps.closedReason() !== undefined) cutter.abort();
  open.lasts = true;
  // Never rejects: it only says when.
  void kept.then(() => deps.openCalls.remove(open.callId));
}

/** Agents that share an upstream's credential could meet in its memory of keys: it gets one that names the node, too. */
function withKey(call: HttpCall, { key }: DecisionEntry): HttpCall {
  if (key === undefined) return call;
  const own = `"${Buffer.from(key).toString("base64url")}"`;
  return { ...call, headers: [...call.headers, "idempotency-key", own] };
}

/** Whether the agent may be told of this. An update of a resource is told to whom its subscription is still allowed. */
function mayHear(deps: HandleCallDeps, attempt: Attempt, method: string, params: string): boolean {
  if (method !== "notifications/resources/updated") return true;
  const uri = updatedUri(params);
  if (uri === undefined) return false;
  const named = { kind: "resource", name: uri } as const;
  const call: AgentCall = { ...attempt.call, action: "resource.subscribe", named, message: undefined };
  return deps.judge({ ...attempt, call }).kind === "allow";
}

const NOT_ALLOWED: ClientAnswer = { member: "error", json: '{"code":-32601,"message":"Method not found"}' };

/**
 * An upstream asks the agent something while it works on a call of that agent: an attempt of its own, on record before
 * the agent sees it. A refusal is answered like a method that the agent does not have. Never rejects.
 */
async function askAgent(
  deps: HandleCallDeps,
  attempt: Attempt,
  question: Question,
  sink: CallSink,
  signal: AbortSignal,
): Promise<ClientAnswer> {
  if (sink.request === undefined) return NOT_ALLOWED;
  let answer = NOT_ALLOWED;
  const judged = await decideQuestion(deps, attempt, question, signal, async () => {
    answer = (await sink.request?.(question.method, question.params)) ?? NOT_ALLOWED;
  });
  return judged === "allowed" ? answer : NOT_ALLOWED;
}

/** An answer that asks the agent for input: it passes when all that it asks for is allowed, and otherwise not at all. */
async function passInputRequests(
  deps: HandleCallDeps,
  attempt: Attempt,
  { asked, json }: { readonly asked: readonly AskedQuestion[]; readonly json: string },
  sink: CallSink,
  signal: AbortSignal,
): Promise<void> {
  for (const question of asked) {
    const judged = await decideQuestion(deps, attempt, question, signal, async () => undefined);
    if (signal.aborted) return;
    if (judged !== "allowed") {
      return sink.response("error", encodeBroken("upstream_input_refused", attempt.callId));
    }
  }
  const told = deps.inputStates.seal({ ...attempt.authenticated, call: attempt.call }, asked, json);
  if (told === undefined) return sink.response("error", encodeBroken("upstream_input_refused", attempt.callId));
  return sink.response("result", told);
}

/** Decides about one question, has it asked when it is allowed, and looks again before the answer is used. */
async function decideQuestion(
  deps: HandleCallDeps,
  { authenticated, call }: Attempt,
  asked: Question,
  signal: AbortSignal,
  ask: () => Promise<void>,
): Promise<"allowed" | "refused"> {
  const question = questionCall(call, asked);
  if (question === undefined) return "refused";
  const cut = new AbortController();
  const onAbort = (): void => cut.abort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const nothing = (): void => undefined;
    const sink = { allowed: nothing, notification: nothing, response: nothing, local: ask };
    const end = await handleCall(deps, authenticated, question, sink, cut);
    if (end.kind !== "answered" || signal.aborted) return "refused";
    // An answer may take as long as a person does.
    const salt = new Uint8Array(16);
    const again = deps.judge({
      authenticated,
      call: question,
      callId: end.callId,
      salt,
      notBeforeMs: 0,
      child: undefined,
    });
    return again.kind === "allow" ? "allowed" : "refused";
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Authority may have moved behind the commit, while nobody knew yet that this call would be open and had to be
 * reviewed.
 */
function reviewCommitted(
  deps: HandleCallDeps,
  attempt: Attempt,
  entry: DecisionEntry,
): ReturnType<OpenCall["rejudge"]> {
  try {
    const isMoved = deps.state.current(entry.tenantId)?.revision !== entry.revision;
    if (!isMoved) return { kind: "stands", validUntilMs: entry.validUntilMs };
    const again = deps.judge(attempt);
    if (again.kind !== "allow") return { kind: "falls", reason: again.reason };
    return { kind: "stands", validUntilMs: again.entry.validUntilMs };
  } catch (error) {
    // A defect of ours: the call, which is on record as allowed and surely not sent, ends as aborted.
    deps.log.error({ callId: attempt.callId, error }, "a committed call could not be reviewed");
    return { kind: "falls", reason: "internal_error" };
  }
}

function denied(callId: string, reason: Reason, detail: string, hidden: boolean, data: Denial["data"]): CallEnd {
  return {
    kind: "denied",
    callId,
    denial: { reason, detail: detail === "" ? REASONS[reason].sentence : detail, hidden, data },
  };
}

function denialOf(judged: Judged): { reason: Reason; check: string; data: Denial["data"] } {
  const data = judged.entry.denial?.data ?? {};
  const check = typeof data["check"] === "string" ? data["check"] : "";
  return { reason: judged.reason, check, data };
}

/** The denial that an entry put on record, for the agent. */
function deniedAs(callId: string, entry: DecisionEntry): CallEnd {
  const { denial } = entry;
  if (denial === undefined) return denied(callId, "internal_error", "", false, {});
  return { kind: "denied", callId, denial };
}

/** What an agent is told of a claim that did not fit. */
export function budgetData(claim: BudgetClaim, remaining: number): Denial["data"] {
  return {
    remaining: Math.max(0, remaining),
    // Calls are what is meant where nothing is said.
    ...(claim.unit === "calls" ? {} : { unit: claim.unit }),
    ...(claim.window === "total" ? {} : { resetsAt: new Date(claim.windowEndMs).toISOString() }),
    scope: claim.scope,
    window: claim.window,
    limit: claim.limit,
  };
}
