/**
 * The one decision about an attempt: synchronous and pure on (state, attempt). Every protocol, the second look in
 * the commit, lists and explanations go through `run`, and nothing else in Writ decides whether a call is allowed.
 *
 *   standing ─▶ describe ─▶ clear ─▶ (a policy?) ─▶ resource ─▶ policy ─▶ obligations ─▶ budgets ─▶ rates ─▶ combine
 *
 * The first denial ends it, and whatever throws denies. Standing comes first, on every decision and every repetition
 * of one, so that nothing is decided again without a look at revocation. A tool that a presenter may not know of is
 * answered the same whether or not it exists; so a lock on one tool speaks only to those who may see the tool.
 *
 * Observe mode is part of the policy's stage and of nothing else: a completed deny or step_up of the policy itself, on an
 * upstream under observation, becomes an allow that says so and goes on to the stages behind it. Every other no stays.
 */
import {
  type Action,
  type BudgetClaim,
  isCharged,
  isReason,
  type Obligation,
  type Reason,
  type Resource,
  type RootToken,
  type Tool,
  type Upstream,
  type WouldDeny,
} from "@writ/contract";
import type { ListableInput, PolicyAssertions, PolicyInput, PolicyPort, PolicyResult } from "@writ/policy";
import { argumentConditions, type VerifiedToken } from "@writ/token";
import { actorChain } from "./actor-chain.ts";
import { callClaims, tokenClaims } from "./budget-claims.ts";
import { incompleteness } from "./describe.ts";
import { findHttpRoute, setsCredential } from "./http-routes.ts";
import {
  type Attempt,
  CHECKS,
  type Check,
  type Explanation,
  type Judgement,
  type Presenter,
  type StageOutcome,
} from "./judgement.ts";
import { narrowDefinition, type SchemaAssertion, type SchemaAssertions } from "./narrow-schema.ts";
import { observedUntilMs } from "./observe-mode.ts";
import { makePolicyInput } from "./policy-input.ts";
import {
  assertionDenial,
  clearPresenter,
  hasToken,
  isAnonymous,
  isAsserted,
  recordedKey,
  showsAction,
  showsTool,
} from "./presenter.ts";
import { rateClaims } from "./rate-claims.ts";
import type { TenantState } from "./tenant-state.ts";

/** Judges one attempt. Never throws, and never allows what it could not judge to the end. */
export function judge(state: TenantState, attempt: Attempt): Judgement {
  return run(state, attempt, undefined);
}

/** The same decision by the same code, with every stage's outcome. */
export function explain(state: TenantState, attempt: Attempt): Explanation {
  const trace = new Map<Check, StageOutcome>();
  const judgement = run(state, attempt, trace);
  const stages = CHECKS.map((check): StageOutcome => {
    return trace.get(check) ?? { check, outcome: "not_reached", detail: "" };
  });
  return { judgement, stages };
}

/** The tools of the attempt's upstream that its presenter may call, arguments being unknown. Sorted by name. */
export interface ToolListing {
  readonly kind: "listed";
  readonly tools: readonly Tool[];
}

/**
 * Lists what a presenter may call on `attempt.request.resource.upstream`; nothing when the attempt does not stand.
 * Whether listing itself is allowed is `judge`'s to say, as for every action.
 */
export function listTools(state: TenantState, attempt: Attempt): ToolListing {
  try {
    const view = presenterView(state, attempt);
    if (standingDenial(view) !== undefined || state.policy.kind !== "active") return { kind: "listed", tools: [] };
    const { upstream } = attempt.request.resource;
    const { tools } = visibleToPolicy(view, state.policy.port, upstream);
    return {
      kind: "listed",
      tools: tools.filter((tool) => showsTool(attempt.token, upstream, tool.name) === "listed"),
    };
  } catch {
    // A check that throws denies, and what is denied is not listed.
    return { kind: "listed", tools: [] };
  }
}

/** Which action an element of a list is shown for. */
const SHOWN_FOR = { resource: "resource.read", prompt: "prompt.get" } as const;

/**
 * Which of the resources or prompts that an upstream lists the presenter may know of: in the order of `names`. Like
 * `listTools`, but of names that authority does not know.
 */
export function listNamed(
  state: TenantState,
  attempt: Attempt,
  { kind, names }: { readonly kind: "resource" | "prompt"; readonly names: readonly string[] },
): readonly ("listed" | "hidden")[] {
  try {
    const view = presenterView(state, attempt);
    const action = SHOWN_FOR[kind];
    const { policy } = state;
    const { upstream } = attempt.request.resource;
    const stands =
      standingDenial(view) === undefined &&
      policy.kind === "active" &&
      state.upstreamByName(upstream)?.value.status === "active" &&
      showsAction(attempt.token, action) === "listed";
    if (!stands) return names.map(() => "hidden");
    const inputs = view.chain.map((agentId) => policyInput(view, agentId));
    const isObserved = observedUntil(view, action) !== undefined;
    return names.map((name) => {
      const resource = { upstream, kind, name, definitionDigest: "" };
      const isHidden = inputs.some((input) => policy.port.listable({ ...input, action, resource }).kind === "no");
      return isHidden && !isObserved ? "hidden" : "listed";
    });
  } catch {
    // A check that throws denies, and what is denied is not listed.
    return names.map(() => "hidden");
  }
}

/** What a presenter may know of its own budgets, or why it may not. */
export type TokenBudgets =
  | { readonly kind: "stands"; readonly claims: readonly BudgetClaim[]; readonly recordedNode: string }
  | { readonly kind: "denied"; readonly reason: Reason };

/** The limits that every call of this token is compared with, whatever it calls, when the token stands. */
export function tokenBudgets(
  state: TenantState,
  presented: { readonly token: VerifiedToken; readonly nowMs: number },
): TokenBudgets {
  try {
    const view = presenterView(state, presented);
    const denial = standingDenial(view);
    if (denial !== undefined) return { kind: "denied", reason: denial.reason };
    const { chain, principals, attempt } = view;
    const { token, nowMs } = attempt;
    const claims = tokenClaims({ state, token, limits: token.limits, nowMs, chain, principals });
    return { kind: "stands", claims, recordedNode: recordedKey(state, token) };
  } catch {
    // A check that throws denies.
    return { kind: "denied", reason: "internal_error" };
  }
}

export interface DefinitionListing {
  /** JSON texts; a definition that nothing narrows is the pinned one, byte for byte. */
  readonly definitions: readonly string[];
  /** Milliseconds since the epoch until which the same state and token give the same list. */
  readonly validUntilMs: number;
}

/**
 * The same tools as their presenter is shown them: with input schemas narrowed by what of its caveats and of the policy
 * can be said in a schema. `narrow` may remember what `narrowDefinition` made.
 */
export function listDefinitions(
  state: TenantState,
  attempt: Attempt,
  narrow: typeof narrowDefinition = narrowDefinition,
): DefinitionListing {
  const { tools } = listTools(state, attempt);
  const { upstream } = attempt.request.resource;
  let validUntilMs = 0;
  try {
    const view = presenterView(state, attempt);
    if (state.policy.kind !== "active" || tools.length === 0) return { definitions: [], validUntilMs };
    const { port } = state.policy;
    const { token } = attempt;
    // Who has no token is shown no lists; an enforcement point's end is looked at in each decision.
    const untilMs = hasToken(token) ? token.expiresAtMs : attempt.nowMs;
    const observed = observedUntil(view, "tool.call");
    validUntilMs = Math.min(untilMs, visibleToPolicy(view, port, upstream).validUntilMs, observed ?? NEVER_CHANGES);
    const definitions = tools.map((tool) => {
      // What the policy asks of arguments is not asked for while it only observes.
      const assertions = assertionsOf(view, observed === undefined ? port : undefined, tool);
      validUntilMs = Math.min(validUntilMs, assertions.validUntilMs);
      return narrow(tool.definition, assertions);
    });
    return { definitions, validUntilMs };
  } catch {
    // What cannot be narrowed is shown as it is pinned: the decision on a call does not rest on it.
    return { definitions: tools.map((tool) => tool.definition), validUntilMs: 0 };
  }
}

/** What the arguments of a call of the tool must meet, by the token and for every agent of the chain by the policy. */
function assertionsOf(view: View, port: PolicyPort | undefined, tool: Tool): PolicyAssertions {
  const { upstream, name } = tool;
  const { token } = view.attempt;
  const conditions = hasToken(token) ? argumentConditions(token, upstream, name) : [];
  const all: SchemaAssertion[] = conditions.map((condition) => ({ condition, negated: false }));
  const any: SchemaAssertions["any"][number][] = [];
  let validUntilMs = NEVER_CHANGES;
  for (const agentId of view.chain) {
    const said = port?.assertions?.(listableInput(view, agentId, tool));
    if (said === undefined) continue;
    all.push(...said.all);
    any.push(...said.any);
    validUntilMs = Math.min(validUntilMs, said.validUntilMs);
  }
  return { all, any, validUntilMs };
}

// --- the run ----------------------------------------------------------------------------------------------------

interface Denial {
  readonly reason: Reason;
  readonly detail: string;
  readonly hidden: boolean;
  readonly ruleId?: string;
  /** Where it is said to have happened, when not in the stage that found it. */
  readonly check?: Check;
}

/** Who attempts something, and when. */
type Presented = Pick<Attempt, "token" | "nowMs">;

/** What is asked of a presenter, whatever it attempts. */
interface PresenterView<A extends Presented = Presented> {
  readonly state: TenantState;
  readonly attempt: A;
  readonly chain: readonly string[];
  readonly principals: readonly string[];
}

/** What every stage looks at. */
type View = PresenterView<Attempt>;

type Trace = Map<Check, StageOutcome> | undefined;

const NEVER_CHANGES = Number.MAX_SAFE_INTEGER;

/** The reason of a stage that throws. */
const FAILED: Readonly<Record<Check, Reason>> = {
  standing: "internal_error",
  describe: "access_incomplete",
  clear: "caveat_failed",
  resource: "internal_error",
  policy: "policy_error",
  obligations: "policy_error",
  budgets: "internal_error",
  rates: "internal_error",
  combine: "internal_error",
};

function run(state: TenantState, attempt: Attempt, trace: Trace): Judgement {
  const progress: { check: Check } = { check: "standing" };
  try {
    return decide(state, attempt, trace, progress);
  } catch {
    // A check that throws is a failure of ours or of a policy; either way the answer is no.
    const denial = { reason: FAILED[progress.check], detail: "a check failed to run", hidden: false };
    return denied(state, attempt, progress.check, denial, trace);
  }
}

function decide(state: TenantState, attempt: Attempt, trace: Trace, progress: { check: Check }): Judgement {
  const { token, request, nowMs } = attempt;
  const deny = (denial: Denial): Judgement => denied(state, attempt, denial.check ?? progress.check, denial, trace);
  const pass = (detail: () => string): void => {
    if (trace !== undefined) trace.set(progress.check, { check: progress.check, outcome: "passed", detail: detail() });
  };

  const view = presenterView(state, attempt);
  const standing = standingDenial(view);
  if (standing !== undefined) return deny(standing);
  const locked = toolLock(view);
  if (locked !== undefined && isVisible(view)) return deny(locked);
  pass(() => `${nameOf(token)}, ${view.chain.length} recorded agent(s), no kill switch covers the call`);

  progress.check = "describe";
  if (request.subject.agentId !== view.chain.at(-1)) return deny(no("access_subject"));
  const lack = incompleteness(request, token, view.chain);
  if (lack !== undefined) return deny({ reason: "access_incomplete", detail: lack, hidden: false });
  pass(() => `${request.action} on ${request.resource.upstream}/${request.resource.name}`);

  progress.check = "clear";
  const clearing = clearPresenter(state, attempt);
  if (clearing.kind !== "cleared") return deny(clearing);
  pass(() => (hasToken(token) ? `${token.segments.length} segment(s) prohibit nothing` : "the presenter may ask"));

  const { policy } = state;
  if (policy.kind !== "active") {
    // Said of every tool alike, whether it exists or not.
    const reason = policy.kind === "none" ? "policy_missing" : "policy_error";
    return deny({ reason, detail: "", hidden: false, check: "policy" });
  }

  progress.check = "resource";
  const missing = resourceDenial(view);
  if (missing !== undefined) return deny({ ...missing, hidden: missing.hidden || isHiddenByPolicy(view, policy.port) });
  pass(() => (request.action === "tool.call" ? `pinned as ${request.resource.definitionDigest}` : "known"));

  progress.check = "policy";
  const verdict = decidePolicy(view, policy.port);
  if (verdict.kind === "denied") return deny(verdict.denial);
  const { wouldDeny } = verdict;
  pass(() =>
    wouldDeny === undefined
      ? `allowed${byRule(verdict.ruleId)}`
      : `under observation: ${wouldDeny.reason}${byRule(wouldDeny.ruleId)} is only recorded`,
  );

  progress.check = "obligations";
  const unknown = verdict.obligations.find(() => true);
  if (unknown !== undefined) {
    // None can be carried out yet, so each is unknown.
    return deny({ reason: "obligation_unknown", detail: "", hidden: false, ruleId: verdict.ruleId });
  }
  pass(() => "none");

  progress.check = "budgets";
  const claims = isCharged(request.action)
    ? callClaims({
        state,
        token,
        limits: clearing.limits,
        nowMs,
        chain: view.chain,
        principals: view.principals,
        upstream: request.resource.upstream,
        tool: request.action === "tool.call" ? request.resource.name : "",
        name: request.resource.name,
        http: request.resource.http,
      })
    : [];
  pass(() => `${new Set(claims.map(({ counter }) => counter)).size} counter(s)`);

  progress.check = "rates";
  const rates = rateClaims({
    state,
    rates: clearing.rates,
    chain: view.chain,
    upstream: request.resource.upstream,
  });
  pass(() => `${rates.length} rate(s)`);

  progress.check = "combine";
  // Kept from a tool that was taken to be invisible: had every later stage passed, it was not.
  if (locked !== undefined) return deny({ ...locked, check: "standing" });
  let validUntilMs = Math.min(clearing.validUntilMs, verdict.validUntilMs, recordUntilMs(state, token, nowMs));
  for (const claim of claims) validUntilMs = Math.min(validUntilMs, claim.windowEndMs);
  // Written so that a time which is not a number is over.
  if (!(nowMs < validUntilMs)) return deny({ reason: "decision_expired", detail: "", hidden: false });
  pass(() => `allowed until ${validUntilMs}`);
  return {
    decision: {
      kind: "allow",
      reasons: [wouldDeny === undefined ? "policy_allow" : "policy_observed"],
      obligations: [],
      revision: state.revision,
      policyDigest: policy.port.digest,
      validUntilMs,
      ...(wouldDeny === undefined ? {} : { wouldDeny }),
    },
    claims,
    rates,
    ruleId: verdict.ruleId,
    check: "combine",
    hidden: false,
    recordedNode: recordedKey(state, token),
  };
}

function byRule(ruleId: string): string {
  return ruleId === "" ? "" : ` by ${ruleId}`;
}

function denied(state: TenantState, attempt: Attempt, check: Check, denial: Denial, trace: Trace): Judgement {
  const { reason, detail, hidden, ruleId = "" } = denial;
  trace?.set(check, { check, outcome: "denied", detail: `${reason}${detail === "" ? "" : `: ${detail}`}` });
  const { policy } = state;
  return {
    decision: {
      kind: "deny",
      reasons: [reason],
      revision: state.revision,
      policyDigest: policy.kind === "active" ? policy.port.digest : policy.kind === "broken" ? policy.digest : "",
      detail,
      hidden,
    },
    claims: [],
    rates: [],
    ruleId,
    check,
    hidden,
    recordedNode: recordedKey(state, attempt.token),
  };
}

function presenterView<A extends Presented>(state: TenantState, attempt: A): PresenterView<A> {
  const chain = actorChain(state, attempt.token);
  const principals = [attempt.token.principalId];
  for (const agentId of chain) {
    const principalId = state.get("agent", agentId)?.principalId;
    if (principalId !== undefined && !principals.includes(principalId)) principals.push(principalId);
  }
  return { state, attempt, chain, principals };
}

// --- standing ---------------------------------------------------------------------------------------------------

function no(reason: Reason, detail = ""): Denial {
  return { reason, detail, hidden: false };
}

/** Whether the token, its agents, its principals and the tenant stand at all, whatever is attempted. */
function standingDenial(view: PresenterView): Denial | undefined {
  const { state, attempt, chain, principals } = view;
  const { token } = attempt;
  if (token.tenantId !== state.tenantId) return no("token_unknown");
  const credential = credentialDenial(view);
  if (credential !== undefined) return no(credential);
  if (state.get("tenant", state.tenantId)?.status !== "active") return no("tenant_inactive");
  const owners = isAnonymous(token) ? undefined : ownersDenial(view);
  if (owners !== undefined) return owners;
  const killed =
    state.killed("instance", "") ||
    state.killed("tenant", "") ||
    chain.some((agentId) => state.killed("agent", agentId)) ||
    principals.some((principalId) => state.killed("principal", principalId));
  return killed ? no("kill_engaged") : undefined;
}

/** Whether the agents of the chain and their principals are there and active. */
function ownersDenial({ state, attempt: { token }, chain, principals }: PresenterView): Denial | undefined {
  for (const agentId of chain) {
    if (state.get("agent", agentId)?.status !== "active") return no("agent_inactive");
  }
  if (state.get("agent", token.agentId)?.principalId !== token.principalId) return no("agent_inactive");
  for (const principalId of principals) {
    if (state.get("principal", principalId)?.status !== "active") return no("principal_inactive");
  }
  return undefined;
}

/** Whether what was presented stands by itself: a token's key, record and nodes, or an enforcement point's key and set. */
function credentialDenial({ state, attempt }: PresenterView): Reason | undefined {
  const { token, nowMs } = attempt;
  if (isAsserted(token)) return assertionDenial(state, token, nowMs);
  if (!hasToken(token)) return undefined;
  const key = state.get("root_key", token.keyId);
  if (key === undefined || (key.status !== "active" && key.status !== "verifying")) return "token_key_unknown";
  // Before what is on record: of what expired long ago nothing is kept there, and the answer stays the same.
  if (!(nowMs < token.expiresAtMs)) return "token_expired";
  const root = state.get("root_token", token.rootNode);
  const agrees =
    root !== undefined &&
    token.path[0] === token.rootNode &&
    root.agentId === token.agentId &&
    root.principalId === token.principalId &&
    root.keyId === token.keyId;
  if (!agrees) return "token_unknown";
  for (const node of token.path) {
    if (state.get("revocation", node) !== undefined) return "token_revoked";
  }
  return nowMs < recordedUntilMs(state, token, root) ? undefined : "token_expired";
}

function nameOf(presenter: Presenter): string {
  if (hasToken(presenter)) return `root ${presenter.rootNode}`;
  return isAsserted(presenter) ? `enforcement point ${presenter.enforcementPointId}` : "nobody";
}

/** Until when what was presented is on record; over at once when it is not. */
function recordUntilMs(state: TenantState, presenter: Presenter, nowMs: number): number {
  // An enforcement point's own end was found when it was cleared.
  if (!hasToken(presenter)) return NEVER_CHANGES;
  const root = state.get("root_token", presenter.rootNode);
  return root === undefined ? nowMs : recordedUntilMs(state, presenter, root);
}

/**
 * When the first record of the path ends. Whoever made a recorded child can make another token of the same node that
 * lives longer: it ends with the record all the same, since what was set aside for the node has been given back by then.
 */
function recordedUntilMs(state: TenantState, token: Pick<Presenter, "path">, root: RootToken): number {
  let untilMs = root.expiresAtMs;
  for (const node of token.path) {
    const recorded = state.get("node", node);
    if (recorded !== undefined) untilMs = Math.min(untilMs, recorded.expiresAtMs);
  }
  return untilMs;
}

/** Actions besides calls whose answers, or whose questions, are an upstream's own words to an agent. */
const ITS_WORDS: ReadonlySet<Action> = new Set([
  "resource.read",
  "resource.list",
  "resource.subscribe",
  "prompt.get",
  "prompt.list",
  "completion",
  "client.sample",
  "client.elicit",
  "client.roots",
]);

/** What stops this one tool, or what else its upstream says: a kill switch or a quarantine. */
function toolLock({ state, attempt }: View): Denial | undefined {
  const { action, resource } = attempt.request;
  if (resource.upstream !== "" && state.killed("upstream", resource.upstream)) return no("kill_engaged");
  if (ITS_WORDS.has(action) && isQuarantined(state, resource.upstream)) return no("upstream_quarantined");
  if (action !== "tool.call") return undefined;
  const id = `${resource.upstream}/${resource.name}`;
  if (state.killed("tool", id)) return no("kill_engaged");
  if (isQuarantined(state, resource.upstream)) return no("tool_quarantined");
  const tool = state.get("tool", id);
  return tool !== undefined && tool.status !== "active" ? no("tool_quarantined") : undefined;
}

/** Whether an upstream is as a whole: it has said other instructions than the pinned ones. */
function isQuarantined(state: TenantState, upstream: string): boolean {
  const lock = state.upstreamByName(upstream)?.value.lock;
  return lock !== undefined && lock.status !== "active";
}

/** Whether the presenter may know that the attempt's tool exists. */
function isVisible(view: View): boolean {
  const { state, attempt } = view;
  const { upstream, name } = attempt.request.resource;
  const { policy } = state;
  if (policy.kind !== "active" || resourceDenial(view) !== undefined) return false;
  return showsTool(attempt.token, upstream, name) === "listed" && !isHiddenByPolicy(view, policy.port);
}

// --- resource ---------------------------------------------------------------------------------------------------

function resourceDenial({ state, attempt }: View): Denial | undefined {
  const { action, resource } = attempt.request;
  if (action === "token.attenuate") return undefined;
  const upstream = state.upstreamByName(resource.upstream)?.value;
  const isApi = upstream?.transport.type === "http_api";
  const known = upstream?.status === "active" && isApi === (action === "http.request");
  if (known && action === "http.request") return routeDenial(upstream, resource, attempt.token);
  if (action !== "tool.call") return known ? undefined : { reason: "upstream_unknown", detail: "", hidden: true };
  const tool = known ? state.get("tool", `${resource.upstream}/${resource.name}`) : undefined;
  if (tool === undefined) return { reason: "tool_unknown", detail: "", hidden: true };
  // The request was described on an older state: what the agent would call is not what would be judged.
  return tool.digest === resource.definitionDigest ? undefined : no("state_stale");
}

/** Whether the route that a request takes lets it go on to the policy. */
function routeDenial({ transport }: Upstream, { name, http }: Resource, presenter: Presenter): Denial | undefined {
  const route = http === undefined ? undefined : findHttpRoute(transport, http.method, http.path);
  // To whom has no token there is nothing but public routes.
  if (isAnonymous(presenter) && route?.kind !== "public") {
    return { reason: "route_not_public", detail: "", hidden: true };
  }
  if (route === undefined) return no("route_unknown");
  // The request was described on an older state.
  if (route.match !== name) return no("state_stale");
  switch (route.kind) {
    case "public":
    case "capability":
      return setsCredential(transport, http?.query ?? "") === "sets" ? no("route_parameter") : undefined;
    default:
      // Unknown kinds refuse as the one that says so.
      return no("route_denied");
  }
}

// --- policy -----------------------------------------------------------------------------------------------------

type PolicyVerdict =
  | {
      readonly kind: "allowed";
      readonly ruleId: string;
      readonly obligations: readonly Obligation[];
      readonly validUntilMs: number;
      readonly wouldDeny: WouldDeny | undefined;
    }
  | { readonly kind: "denied"; readonly denial: Denial };

/**
 * Asks the policy for every recorded agent of the chain; one that denies denies, and the presenter's rule is named. Under
 * observation every agent is asked, since what is no completed answer denies all the same.
 */
function decidePolicy(view: View, port: PolicyPort): PolicyVerdict {
  let validUntilMs = NEVER_CHANGES;
  let ruleId = "";
  let stepUp: Denial | undefined;
  let wouldDeny: WouldDeny | undefined;
  let wouldStepUp: WouldDeny | undefined;
  const obligations: Obligation[] = [];
  for (const agentId of view.chain) {
    const result = port.decide(policyInput(view, agentId));
    if (result.kind === "allow") {
      validUntilMs = Math.min(validUntilMs, result.validUntilMs);
      ruleId = result.ruleId;
      obligations.push(...result.obligations);
      continue;
    }
    const observed = observe(view, result);
    if (observed !== undefined) {
      validUntilMs = Math.min(validUntilMs, observed.untilMs);
      obligations.push(...observed.obligations);
      if (result.kind === "step_up") wouldStepUp ??= observed.wouldDeny;
      else wouldDeny ??= observed.wouldDeny;
    } else if (result.kind === "step_up") {
      stepUp ??= { reason: "step_up_unavailable", detail: "", hidden: false, ruleId: result.ruleId };
    } else {
      return { kind: "denied", denial: policyDenial(view, port, result) };
    }
  }
  if (stepUp !== undefined) return { kind: "denied", denial: stepUp };
  wouldDeny ??= wouldStepUp;
  return { kind: "allowed", ruleId: wouldDeny?.ruleId ?? ruleId, obligations, validUntilMs, wouldDeny };
}

/** A denial of the policy; unknown kinds of result are errors. */
function policyDenial(view: View, port: PolicyPort, result: PolicyResult): Denial {
  const hidden = isHiddenByPolicy(view, port);
  if (result.kind !== "deny") return { reason: "policy_error", detail: "", hidden };
  return { reason: result.reason, detail: "", hidden, ruleId: result.ruleId };
}

// --- observe mode -----------------------------------------------------------------------------------------------

/** Until when the attempt's upstream is under observation for this action; undefined when it is not. */
function observedUntil({ state, attempt }: View, action: Action): number | undefined {
  // Nothing but the policy stands between a stranger and a public route.
  if (isAnonymous(attempt.token)) return undefined;
  const { upstream } = attempt.request.resource;
  return observedUntilMs(state, { upstream, action, nowMs: attempt.nowMs });
}

interface Observed {
  readonly wouldDeny: WouldDeny;
  readonly obligations: readonly Obligation[];
  readonly untilMs: number;
}

/** What an allow in place of this answer must say; undefined when the answer stands: it is no completed no, or nothing is observed. */
function observe(view: View, result: PolicyResult): Observed | undefined {
  if (result.kind !== "deny" && result.kind !== "step_up") return undefined;
  const { reason, ruleId, obligations } = result;
  if (!isReason(reason) || typeof ruleId !== "string" || !Array.isArray(obligations)) return undefined;
  const untilMs = observedUntil(view, view.attempt.request.action);
  if (untilMs === undefined) return undefined;
  const wouldDeny = { reason: result.kind === "step_up" ? "step_up_unavailable" : reason, ruleId } as const;
  // A policy need not say until when it denies.
  const saidUntilMs = view.attempt.nowMs < result.validUntilMs ? result.validUntilMs : NEVER_CHANGES;
  return { wouldDeny, obligations, untilMs: Math.min(untilMs, saidUntilMs) };
}

/** The kinds of resource that are answered as unknown to whom no rule could allow them. */
const HIDEABLE: ReadonlySet<Resource["kind"]> = new Set(["tool", "resource", "prompt"]);

/** Whether what is attempted is hidden from some agent of the chain; what cannot be said hides, and what is observed is not. */
function isHiddenByPolicy(view: View, port: PolicyPort): boolean {
  const { action, resource } = view.attempt.request;
  if (!HIDEABLE.has(resource.kind)) return false;
  try {
    const said = view.chain.map((agentId) => port.listable(policyInput(view, agentId)).kind);
    return said.includes("no") && observedUntil(view, action) === undefined;
  } catch {
    // A policy that fails to say whether a tool may be known of does not make it known.
    return true;
  }
}

/** The complete input of a policy, for one agent of the chain. The token contributes what is on record, only. */
function policyInput(view: View, agentId: string): PolicyInput {
  const { state, attempt, chain } = view;
  const { request, token, nowMs } = attempt;
  const { principalId } = token;
  const rootNode = hasToken(token) ? token.rootNode : undefined;
  const { action, resource, context } = request;
  return makePolicyInput(state, { agentId, chain, principalId, rootNode, action, resource, context, nowMs });
}

// --- lists ------------------------------------------------------------------------------------------------------

/** Lists kept for one revision, at most. Keys name recorded nodes and known upstreams only. */
const LISTS_MAX = 4_096;

interface KeptList {
  readonly tools: readonly Tool[];
  readonly validUntilMs: number;
}

/** The tools of an upstream that policy and locks leave to the recorded chain; what caveats leave is not kept. */
function visibleToPolicy(view: View, port: PolicyPort, upstream: string): KeptList {
  const { state, attempt } = view;
  if (state.upstreamByName(upstream)?.value.status !== "active" || isQuarantined(state, upstream)) {
    return { tools: [], validUntilMs: NEVER_CHANGES };
  }
  const key = `list ${recordedKey(state, attempt.token)} ${attempt.request.context.protocol} ${upstream}`;
  // Only this function writes keys that begin with "list".
  const kept = state.derived.get(key) as KeptList | undefined;
  if (kept !== undefined && attempt.nowMs < kept.validUntilMs) return kept;
  const observed = observedUntil(view, "tool.call");
  let validUntilMs = observed ?? NEVER_CHANGES;
  const tools = state.toolsOf(upstream).filter((tool) => {
    if (tool.status !== "active" || state.killed("tool", `${upstream}/${tool.name}`)) return false;
    return view.chain.every((agentId) => {
      const listable = port.listable(listableInput(view, agentId, tool));
      validUntilMs = Math.min(validUntilMs, listable.validUntilMs);
      const isShown = listable.kind === "yes" || listable.kind === "perhaps";
      return isShown || (listable.kind === "no" && observed !== undefined);
    });
  });
  if (state.derived.size >= LISTS_MAX) state.derived.clear();
  const list = { tools, validUntilMs };
  state.derived.set(key, list);
  return list;
}

/** The input of a policy about a tool that nobody has called yet. */
function listableInput(view: View, agentId: string, { upstream, name, digest }: Tool): ListableInput {
  const { context, ...rest } = policyInput(view, agentId);
  const { arguments: _, ...known } = context;
  const resource = { upstream, kind: "tool", name, definitionDigest: digest } as const;
  return { ...rest, action: "tool.call", resource, context: known };
}
