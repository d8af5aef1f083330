/**
 * Turns the core's pure judgement of one attempt into what is put on record: the event, the salted digests, the
 * budget claims. Synchronous; called again each time that authority moves. Does no I/O and waits for nothing.
 */
import { createHash } from "node:crypto";
import { type SaltedDigest, saltedDigest, startSaltedDigest } from "@writ/audit";
import {
  type AuditEvent,
  type BudgetClaim,
  type EventName,
  type JsonObject,
  makeUuidv7,
  type RateClaim,
  REASONS,
  type Reason,
  type Tool,
} from "@writ/contract";
import {
  type AttenuationJudgement,
  type Attempt as CoreAttempt,
  describe,
  findHttpRoute,
  hasToken,
  isAssertable,
  isAsserted,
  type Judgement,
  judge,
  judgeAttenuation,
  listDefinitions,
  listNamed,
  narrowDefinition,
  type Presenter,
  type SchemaAssertions,
  type TenantState,
  writeAssertions,
} from "@writ/core";
import type { VerifiedToken } from "@writ/token";
import { ownClaims } from "./budget-left.ts";
import type { Denial } from "./denial.ts";
import { filterList } from "./filter-list.ts";
import type { Authenticated } from "./gate.ts";
import { idempotencyDigest } from "./idempotency-key.ts";
import { questionCall } from "./input-requests.ts";
import type { Child } from "./make-child.ts";
import { findDisagreement, type MirroredArgument, readMirroredArguments } from "./mirrored-arguments.ts";
import {
  type AgentCall,
  type Clock,
  type DecisionEntry,
  type HoldRequest,
  LISTEN_METHOD,
  type Random,
  type StatePort,
} from "./ports.ts";
import { createRememberedTexts } from "./remembered-texts.ts";
import type { ChildRecord } from "./store/child-store.ts";

export interface Attempt {
  readonly authenticated: Authenticated;
  readonly call: AgentCall;
  readonly callId: string;
  readonly salt: Uint8Array;
  /** The decision's time is no earlier: the database's clock was seen to be ahead. */
  readonly notBeforeMs: number;
  /** Of a delegation; made once, so that every look is at the same child. */
  readonly child: Child | undefined;
}

/** Who attempts something, on which call and when. */
interface Presented extends Pick<Attempt, "authenticated" | "callId"> {
  readonly token: Presenter;
  readonly nowMs: number;
}

/** What of a call is judged. */
type DescribedCall = Pick<
  AgentCall,
  | "subject"
  | "action"
  | "upstream"
  | "tool"
  | "named"
  | "http"
  | "target"
  | "arguments"
  | "argumentsUnseen"
  | "protocol"
>;

export interface Judged {
  readonly kind: "allow" | "deny";
  readonly entry: DecisionEntry;
  /** The first reason of the decision. */
  readonly reason: Reason;
  /** What must be held before the commit, or asked behind it; undefined for what concerns no upstream's server. */
  readonly hold: Omit<HoldRequest, "waitMs" | "signal"> | undefined;
  readonly recordedNode: string;
  /** Rates that an allowed attempt is counted in, once. */
  readonly rates: readonly RateClaim[];
  /** Of an allowed delegation: what goes on record with the decision, or not at all. */
  readonly child: JudgedChild | undefined;
  /** The same attempt denied for another reason, found outside the pure decision. */
  denyAs(reason: Reason, check: string, data: Denial["data"]): Judged;
}

export interface JudgedChild extends Pick<ChildRecord, "record" | "path" | "carves" | "soft"> {
  /** `token.attenuated`. */
  readonly event: AuditEvent;
}

export interface Judge {
  (attempt: Attempt): Judged;
  /** The answer that Writ itself gives to an allowed list, session or delegation. */
  answer(attempt: Attempt): string;
  /** Names of the upstreams on which the agent may open a session. */
  reachable(authenticated: Authenticated): readonly string[];
  /** A page of an upstream's list (JSON text of a result) without what the presenter may not know of. */
  filter(attempt: Attempt, json: string): string;
  /** Salted digest of an answer. */
  digest(attempt: Attempt, text: string): string;
  /** The same of one that comes in parts. */
  startDigest(attempt: Attempt): SaltedDigest;
}

export interface JudgeOptions {
  readonly state: StatePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly audience: string;
  readonly gatewayId: string;
  /** Whether each charged call is told what it left of its agent's own budgets. */
  readonly tellsBudgets: boolean;
  readonly presenterOf: (authenticated: Authenticated) => Presenter;
}

/** What is remembered of lists of tools, and of narrowed definitions. */
const LISTS_CHARACTERS_MAX = 32 * 1024 * 1024;
const NARROWED_CHARACTERS_MAX = 16 * 1024 * 1024;

export function createJudge(options: JudgeOptions): Judge {
  const { clock, random, audience, gatewayId, presenterOf } = options;
  const lists = createRememberedTexts(LISTS_CHARACTERS_MAX);
  const narrowed = createRememberedTexts(NARROWED_CHARACTERS_MAX);

  /** Lists are made anew on each revision, and most of their definitions are narrowed as they were before. */
  function narrow(definition: string, assertions: SchemaAssertions): string {
    if (assertions.all.length === 0 && assertions.any.length === 0) return definition;
    const make = () => ({ text: narrowDefinition(definition, assertions), validUntilMs: Number.MAX_SAFE_INTEGER });
    return narrowed.get(`${writeAssertions(assertions)}\n${definition}`, 0, make);
  }

  /** What the core judges; in one place, so that nothing is described without saying where it comes from. */
  function attemptOf(
    state: TenantState,
    { authenticated, token, callId, nowMs }: Presented,
    call: DescribedCall,
  ): CoreAttempt {
    const request = describe(state, {
      token,
      subject: call.subject,
      action: call.action,
      upstream: call.upstream,
      tool: call.tool,
      named: call.named,
      http: targetOf(call),
      arguments: call.arguments,
      argumentsUnseen: call.argumentsUnseen,
      address: authenticated.address,
      callId,
      protocol: call.protocol,
      nowMs,
    });
    return { token, relayedBy: authenticated.relayedBy, request, audience, nowMs };
  }

  function judgeCall(attempt: Attempt): Judged {
    const nowMs = Math.max(clock.nowMs(), attempt.notBeforeMs);
    const token = presenterOf(attempt.authenticated);
    const state = options.state.current(attempt.authenticated.tenantId);
    if (state === undefined)
      return denial(attempt, undefined, token, nowMs, "state_unavailable", "state", "", false, {});
    const { authenticated, call, callId, child } = attempt;
    const presented = { authenticated, callId, token, nowMs };
    const judgement = judgeWith(state, attemptOf(state, presented, call), child);
    const { decision } = judgement;
    if (decision.kind !== "allow") {
      const reason = decision.reasons[0] ?? "internal_error";
      const data = { check: judgement.check };
      return denial(
        attempt,
        state,
        token,
        nowMs,
        reason,
        judgement.check,
        decision.detail,
        decision.hidden,
        data,
        judgement,
      );
    }
    // Seen after the rest, so that it tells nothing to a holder whose delegation would be denied anyway.
    if (child?.kind === "refused") {
      const { reason, detail } = child;
      return denial(attempt, state, token, nowMs, reason, "clear", detail, false, { check: "clear" }, judgement);
    }
    // Likewise: of a tool that somebody may not call, nothing is told about its arguments.
    if (call.mirroredHeader !== undefined && disagrees(state, call, call.mirroredHeader)) {
      return denial(attempt, state, token, nowMs, "fault_header", "headers", "", false, {}, judgement);
    }
    if (call.resumes !== undefined) {
      const refused = refusedAnswer(state, call, (question) => attemptOf(state, presented, question));
      if (refused !== undefined) {
        const { reason, check } = refused;
        return denial(attempt, state, token, nowMs, reason, check, "", false, { check }, judgement);
      }
    }
    const upstream = state.upstreamByName(call.upstream);
    const event = decided(attempt, state, token, nowMs, {
      decision: "allow",
      reasons: decision.reasons,
      check: "",
      judgement,
    });
    return {
      kind: "allow",
      reason: decision.reasons[0] ?? "policy_allow",
      recordedNode: judgement.recordedNode,
      rates: judgement.rates,
      child:
        child === undefined || judgement.record === undefined
          ? undefined
          : {
              record: judgement.record,
              path: child.judged.path,
              carves: carvesOf(state, child.node, judgement.claims),
              soft: judgement.softClaims ?? [],
              event: attenuated(attempt, token, nowMs, judgement.record),
            },
      hold:
        isQuestion(call) || (!isForwarded(call) && call.action !== "mcp.session") || upstream === undefined
          ? undefined
          : {
              tenantId: state.tenantId,
              upstreamId: upstream.id,
              upstream: upstream.value,
              isolationKey: isolationKey(upstream.value.isolation, token, call),
              agentKey: token.agentId,
              ...(call.message?.method === LISTEN_METHOD ? { listens: true } : {}),
              ...(call.clientCapabilities === undefined ? {} : { clientCapabilities: call.clientCapabilities }),
            },
      entry: {
        kind: "allow",
        tenantId: state.tenantId,
        callId: attempt.callId,
        revision: state.revision,
        validUntilMs: decision.validUntilMs,
        claims: judgement.claims,
        root: token.rootNode,
        budgetNodesMax: state.get("tenant", state.tenantId)?.budgetNodesMax ?? 0,
        salt: attempt.salt,
        event,
        denial: undefined,
        ...(decision.wouldDeny === undefined ? {} : { wouldDeny: decision.wouldDeny.reason }),
        outcome: !isForwarded(call) && !isQuestion(call) ? localOutcome(attempt, state.tenantId, nowMs) : undefined,
        ...(isQuestion(call) ? { isOver: true } : {}),
        ...(options.tellsBudgets && isForwarded(call) && judgement.claims.length > 0
          ? { tell: ownClaims(judgement.claims, token.agentId) }
          : {}),
        ...(call.idempotencyKey === undefined || !isForwarded(call)
          ? {}
          : { key: idempotencyDigest(judgement.recordedNode, call.idempotencyKey) }),
      },
      denyAs: (reason, check, data) =>
        denial(attempt, state, token, nowMs, reason, check, "", false, { check, ...data }, judgement),
    };
  }

  function denial(
    attempt: Attempt,
    state: TenantState | undefined,
    token: Presenter,
    nowMs: number,
    reason: Reason,
    check: string,
    detail: string,
    hidden: boolean,
    data: Denial["data"],
    judgement?: Judgement,
  ): Judged {
    const event = decided(attempt, state, token, nowMs, { decision: "deny", reasons: [reason], check, judgement });
    const { tenantId } = attempt.authenticated;
    return {
      kind: "deny",
      reason,
      recordedNode: judgement?.recordedNode ?? "",
      rates: [],
      child: undefined,
      hold: undefined,
      entry: {
        kind: "deny",
        tenantId,
        callId: attempt.callId,
        revision: state?.revision ?? 0,
        validUntilMs: 0,
        claims: [],
        root: token.rootNode,
        budgetNodesMax: 0,
        salt: attempt.salt,
        event,
        denial: { reason, detail: detail === "" ? REASONS[reason].sentence : detail, hidden, data },
        outcome: undefined,
      },
      denyAs: (other, otherCheck, otherData) =>
        denial(
          attempt,
          state,
          token,
          nowMs,
          other,
          otherCheck,
          "",
          false,
          { check: otherCheck, ...otherData },
          judgement,
        ),
    };
  }

  function decided(
    attempt: Attempt,
    state: TenantState | undefined,
    token: Presenter,
    nowMs: number,
    verdict: {
      decision: "allow" | "deny";
      reasons: readonly Reason[];
      check: string;
      judgement: Judgement | undefined;
    },
  ): AuditEvent {
    const { call, callId, salt } = attempt;
    const { judgement } = verdict;
    const upstream = state?.upstreamByName(call.upstream);
    const pinned = call.tool === "" ? undefined : state?.get("tool", `${call.upstream}/${call.tool}`);
    const target = targetOf(call);
    const route =
      target === undefined || upstream === undefined
        ? undefined
        : findHttpRoute(upstream.value.transport, target.method, target.path);
    const policyDigest = judgement?.decision.policyDigest ?? "";
    const validUntilMs = judgement?.decision.kind === "allow" ? judgement.decision.validUntilMs : undefined;
    // Names that authority does not know are the agent's own words: they are logged as digests, like its arguments.
    const tool = pinned !== undefined || call.tool === "" ? call.tool : `sha256:${saltedDigest(salt, call.tool)}`;
    const input = describeInput({
      attempt,
      nowMs,
      revision: state?.revision ?? 0,
      policyDigest,
      token: describeToken(token),
      definitionDigest: pinned?.digest ?? "",
    });
    const envelope = {
      id: makeUuidv7(nowMs, random.bytes(10)),
      timeMs: nowMs,
      tenantId: attempt.authenticated.tenantId,
    };
    // What is undefined is absent.
    const fields = {
      callId,
      reasons: verdict.reasons,
      ...describePresenter(state, token, salt),
      action: call.action,
      protocol: call.protocol,
      upstream: upstream === undefined ? undefined : call.upstream,
      tool: tool === "" ? undefined : tool,
      // Nothing that authority knows: it is the agent's own word.
      resource: resourceText(call) === "" ? undefined : `sha256:${saltedDigest(salt, resourceText(call))}`,
      route: route?.match,
      method: route === undefined ? undefined : target?.method,
      definition: pinned?.digest,
      revision: state?.revision ?? 0,
      policy: policyDigest === "" ? undefined : policyDigest,
      validUntil: validUntilMs === undefined || validUntilMs >= Number.MAX_SAFE_INTEGER ? undefined : validUntilMs,
      arguments: call.argumentsText === "" ? undefined : saltedDigest(salt, call.argumentsText),
      input: saltedDigest(salt, input),
      claims:
        judgement === undefined || judgement.claims.length === 0 || verdict.decision === "deny"
          ? undefined
          : describeClaims(judgement.claims),
      gateway: gatewayId,
      ruleId: judgement === undefined || judgement.ruleId === "" ? undefined : judgement.ruleId,
      wouldDeny: verdict.decision === "allow" ? describeWouldDeny(judgement) : undefined,
    };
    if (verdict.decision === "allow" && isQuestion(call)) return { event: "decision.given", ...envelope, fields };
    const { decision, check } = verdict;
    return {
      event: "call.decided",
      ...envelope,
      fields: {
        decision,
        check: check === "" ? undefined : check,
        ...fields,
        ...(call.idempotencyKey === undefined ? {} : { idempotencyKey: saltedDigest(salt, call.idempotencyKey) }),
      },
    };
  }

  function attenuated(
    attempt: Attempt,
    token: Presenter,
    nowMs: number,
    { id: node, value }: JudgedChild["record"],
  ): AuditEvent {
    return {
      event: "token.attenuated",
      id: makeUuidv7(nowMs, random.bytes(10)),
      timeMs: nowMs,
      tenantId: attempt.authenticated.tenantId,
      fields: {
        callId: attempt.callId,
        node,
        parent: token.path.at(-1) ?? token.rootNode,
        root: token.rootNode,
        agentId: value.agentId,
        caveats: value.caveats,
        carves: value.carves.map((carve) => ({ ...carve })),
        expiresAt: value.expiresAtMs,
      },
    };
  }

  function localOutcome(attempt: Attempt, tenantId: string, nowMs: number): AuditEvent {
    const event: EventName = "call.completed";
    const id = makeUuidv7(nowMs, random.bytes(10));
    return {
      event,
      id,
      timeMs: nowMs,
      tenantId,
      fields: { callId: attempt.callId, status: "local", responseBytes: 0, durationMs: 0 },
    };
  }

  return Object.assign(judgeCall, {
    answer(attempt: Attempt): string {
      if (attempt.child?.kind === "made") return describeChild(attempt.child);
      const state = options.state.current(attempt.authenticated.tenantId);
      if (attempt.call.action !== "tool.list" || state === undefined) return "";
      const nowMs = Math.max(clock.nowMs(), attempt.notBeforeMs);
      const token = presenterOf(attempt.authenticated);
      const listed = attemptOf(state, { ...attempt, token, nowMs }, attempt.call);
      const { tenantId, epoch, revision, instanceRevision } = state;
      const { protocol, upstream } = attempt.call;
      // Everything that a list rests on but the time. An upstream's name comes last: the caller chose it.
      const presenter = hasToken(token) ? token.textDigest : attempt.authenticated.tokenDigest;
      const key = [tenantId, epoch, revision, instanceRevision, presenter, protocol, upstream].join(" ");
      return lists.get(key, nowMs, () => {
        const { definitions, validUntilMs } = listDefinitions(state, listed, narrow);
        return { text: `[${definitions.join(",")}]`, validUntilMs };
      });
    },
    reachable(authenticated: Authenticated): readonly string[] {
      const state = options.state.current(authenticated.tenantId);
      if (state === undefined) return [];
      const nowMs = clock.nowMs();
      const token = presenterOf(authenticated);
      const nothing: JsonObject = Object.create(null);
      const asked = { action: "mcp.session", tool: "", arguments: nothing, protocol: "mcp" } as const;
      // Nothing comes of it, so it has no call of its own.
      const presented = { authenticated, token, nowMs, callId: gatewayId };
      return state
        .upstreamNames()
        .filter(
          (upstream) => judge(state, attemptOf(state, presented, { ...asked, upstream })).decision.kind === "allow",
        );
    },
    filter(attempt: Attempt, json: string): string {
      const state = options.state.current(attempt.authenticated.tenantId);
      if (state === undefined) return "{}";
      const nowMs = Math.max(clock.nowMs(), attempt.notBeforeMs);
      const token = presenterOf(attempt.authenticated);
      const listed = attemptOf(state, { ...attempt, token, nowMs }, attempt.call);
      return filterList(json, (kind, names) => listNamed(state, listed, { kind, names }));
    },
    digest(attempt: Attempt, text: string): string {
      return saltedDigest(attempt.salt, text);
    },
    startDigest: (attempt: Attempt) => startSaltedDigest(attempt.salt),
  });
}

/** What a pinned definition wants repeated in headers; a definition is read once. */
const mirroredOf = new WeakMap<Tool, readonly MirroredArgument[]>();

/** Whether the headers that repeat arguments say something else than the arguments do (MCP 2026-07-28). */
function disagrees(state: TenantState, call: AgentCall, headerOf: NonNullable<AgentCall["mirroredHeader"]>): boolean {
  const tool = state.get("tool", `${call.upstream}/${call.tool}`);
  if (tool === undefined) return false;
  let mirrored = mirroredOf.get(tool);
  if (mirrored === undefined) {
    const read = readMirroredArguments(tool.definition);
    mirrored = read.kind === "valid" ? read.mirrored : [];
    mirroredOf.set(tool, mirrored);
  }
  return mirrored.length > 0 && findDisagreement(mirrored, call.arguments, headerOf) !== undefined;
}

/** Whether an allowed attempt goes to an upstream; the others are answered by Writ itself. */
export function isForwarded({ message, http }: AgentCall): boolean {
  return message !== undefined || http !== undefined;
}

/** What an HTTP request, forwarded or asked about, is of. */
function targetOf({ http, target }: Pick<AgentCall, "http" | "target">): AgentCall["target"] {
  return http?.target ?? target;
}

/** What the attempt is on, where authority knows no name of it: the asker's own word. */
function resourceText(call: AgentCall): string {
  const { named } = call;
  const target = targetOf(call);
  if (target !== undefined) return `${target.path}${target.query === "" ? "" : `?${target.query}`}`;
  return named?.name ?? "";
}

/** Whether only the decision is asked for: nothing is sent, and nothing comes back. */
function isQuestion({ protocol }: AgentCall): boolean {
  return protocol === "decision";
}

/** What the policy would have denied an allow for, when only observe mode made it one. */
function describeWouldDeny(judgement: Judgement | undefined): Readonly<Record<string, string>> | undefined {
  if (judgement?.decision.kind !== "allow" || judgement.decision.wouldDeny === undefined) return undefined;
  const { reason, ruleId } = judgement.decision.wouldDeny;
  return { reason, ...(ruleId === "" ? {} : { ruleId }) };
}

/** Who attempted it, as events tell it. An agent that could not be asserted is the enforcement point's own word. */
function describePresenter(
  state: TenantState | undefined,
  token: Presenter,
  salt: Uint8Array,
): {
  readonly agentId: string;
  readonly principalId: string;
  readonly node?: string;
  readonly root?: string;
  readonly enforcementPoint?: string;
} {
  const { agentId, principalId, rootNode: root } = token;
  if (hasToken(token)) return { agentId, principalId, node: token.path.at(-1) ?? root, root };
  if (!isAsserted(token)) return { agentId, principalId };
  const { enforcementPointId: enforcementPoint } = token;
  const point = state?.get("enforcement_point", enforcementPoint);
  const isKnown = state !== undefined && point !== undefined && isAssertable(state, point, agentId) === "within";
  return isKnown
    ? { agentId, principalId, enforcementPoint }
    : { agentId: `sha256:${saltedDigest(salt, agentId)}`, principalId: "", enforcementPoint };
}

/** Judges the attempt, and of a delegation the recording of its child. */
function judgeWith(
  state: TenantState,
  attempt: CoreAttempt,
  child: Child | undefined,
): Judgement & Partial<Pick<AttenuationJudgement, "record" | "softClaims">> {
  if (child?.kind === "made") {
    const { token } = attempt;
    if (!hasToken(token)) throw new TypeError("who has no token delegates none");
    return judgeAttenuation(state, { ...attempt, token, child: child.judged });
  }
  return judge(state, attempt);
}

/** Why what an agent answers to its upstream must not go there: nobody asked, or it may not be asked any more. */
function refusedAnswer(
  state: TenantState,
  call: AgentCall,
  attemptOf: (question: AgentCall) => CoreAttempt,
): { readonly reason: Reason; readonly check: string } | undefined {
  const { resumes } = call;
  if (resumes?.kind !== "asked") return { reason: "access_input_unasked", check: "describe" };
  for (const asked of resumes.questions) {
    const question = questionCall(call, asked);
    if (question === undefined) return { reason: "access_input_unasked", check: "describe" };
    const { decision, check } = judge(state, attemptOf(question));
    if (decision.kind !== "allow") return { reason: decision.reasons[0] ?? "internal_error", check };
  }
  return undefined;
}

/** What the child sets aside, out of which counters. */
function carvesOf(state: TenantState, node: string, claims: readonly BudgetClaim[]): JudgedChild["carves"] {
  return claims.map(({ counter, unit, window, windowStartMs, amount, mode, limit }) => ({
    parentCounter: counter,
    childCounter: state.counterId("node", node, unit, window),
    windowStartMs,
    amount,
    limit: mode === "hard" ? limit : -1,
  }));
}

/** JSON text of a recorded child, for the holder who asked for it. */
function describeChild({ text: token, node, judged }: Extract<Child, { kind: "made" }>): string {
  const carves = judged.carves.map((carve) => ({ ...carve, remaining: carve.amount }));
  return JSON.stringify({ token, node, expiresAt: new Date(judged.expiresAtMs).toISOString(), carves });
}

/**
 * What the decision rested on, as one JSON text: an array of the format's version, call, time, revision, policy digest,
 * the token (its path of nodes, and each segment's caveats; of an asserted subject instead the enforcement point and the
 * agent, of nobody the word for that, and no caveats), action, protocol, upstream, tool, definition digest and
 * the arguments' text; of an action on a resource or prompt also which, of an HTTP request
 * its method, path and query, of a token that names networks the address, of one that was passed on by whom. The event commits to it with a salted digest.
 */
function describeInput(parts: {
  readonly attempt: Attempt;
  readonly nowMs: number;
  readonly revision: number;
  readonly policyDigest: string;
  /** JSON text. */
  readonly token: string;
  readonly definitionDigest: string;
}): string {
  const { call, callId } = parts.attempt;
  // An identifier of ours has nothing to escape.
  const before = `[1,"${callId}",${parts.nowMs},${parts.revision},${JSON.stringify(parts.policyDigest)}`;
  const { action, protocol, upstream, tool, argumentsText, named } = call;
  const target = targetOf(call);
  const { address, relayedBy } = parts.attempt.authenticated;
  const known: string[] = [action, protocol, upstream, tool, parts.definitionDigest, argumentsText];
  if (named !== undefined) known.push(named.kind, named.name);
  if (target !== undefined) known.push("http", target.method, target.path, target.query);
  if (address !== undefined) known.push("address", address);
  if (relayedBy !== undefined) known.push("relayed_by", relayedBy);
  const after = JSON.stringify(known);
  return `${before},${parts.token},${after.slice(1)}`;
}

/** JSON text of a token's part of the decision input; a verified token is presented many times. */
const describedTokens = new WeakMap<Presenter, string>();

function describeToken(token: Presenter): string {
  let text = describedTokens.get(token);
  if (text === undefined) {
    const caveats = hasToken(token)
      ? token.segments.map((segment) => segment.caveats.map((caveat) => caveat.text))
      : [];
    const path = hasToken(token) ? token.path : describeTokenless(token);
    text = `${JSON.stringify(path)},${JSON.stringify(caveats)}`;
    describedTokens.set(token, text);
  }
  return text;
}

function describeTokenless(presenter: Exclude<Presenter, VerifiedToken>): readonly string[] {
  return isAsserted(presenter)
    ? ["enforcement_point", presenter.enforcementPointId, presenter.agentId]
    : [presenter.agentId];
}

/** Claims as events tell them; the core hands out the same list as long as nothing has changed. */
const describedClaims = new WeakMap<readonly BudgetClaim[], readonly Readonly<Record<string, unknown>>[]>();

function describeClaims(claims: readonly BudgetClaim[]): readonly Readonly<Record<string, unknown>>[] {
  let described = describedClaims.get(claims);
  if (described === undefined) {
    described = Object.freeze(claims.map((claim) => Object.freeze(describeClaim(claim))));
    describedClaims.set(claims, described);
  }
  return described;
}

function describeClaim(claim: BudgetClaim): Record<string, unknown> {
  const { counter, scope, scopeId, unit, window, windowStartMs, amount, limit, mode } = claim;
  return { counter, scope, scopeId, unit, window, windowStart: windowStartMs, amount, limit, mode };
}

/** Who must not share an upstream session with others; digested, because it names people and sessions. */
function isolationKey(isolation: "shared" | "principal" | "session", token: Presenter, call: AgentCall): string {
  switch (isolation) {
    case "shared":
      return "";
    case "principal":
      return token.principalId;
    case "session":
      return createHash("sha256")
        .update(`${token.principalId}/${token.path.at(-1) ?? ""}/${call.mcpSession ?? ""}`)
        .digest("hex");
  }
}
