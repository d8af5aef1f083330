/**
 * Who presents an attempt: the holder of a verified token, an agent that an enforcement point speaks for, or nobody. The
 * latter two have no token: no nodes, no caveats and no budgets of either. What is asserted has the standing, policy and
 * budgets of the agent all the same, and the bounds of the enforcement point in place of the caveats. Where nobody is,
 * nothing but a public route is reached. Here is what differs between them, and nothing else of the decision.
 */
import { type Action, ANONYMOUS, type EnforcementPoint, type Reason } from "@writ/contract";
import { type Clearing, clearCaveats, listsAction, listsTool, type VerifiedToken } from "@writ/token";
import type { AnonymousSubject, AssertedSubject, Attempt, Presenter } from "./judgement.ts";
import type { TenantState } from "./tenant-state.ts";

export function isAsserted(presenter: Presenter): presenter is AssertedSubject {
  return "enforcementPointId" in presenter;
}

export function isAnonymous(presenter: Presenter): presenter is AnonymousSubject {
  // A token that names this agent is a token all the same, and an enforcement point can name anybody.
  return presenter.agentId === ANONYMOUS && !hasToken(presenter) && !isAsserted(presenter);
}

export function hasToken(presenter: Presenter): presenter is VerifiedToken {
  return "textDigest" in presenter;
}

export function makeAnonymous(tenantId: string): AnonymousSubject {
  return { tenantId, agentId: ANONYMOUS, principalId: ANONYMOUS, rootNode: "", path: [], segments: [] };
}

const NEVER_ENDS = Number.MAX_SAFE_INTEGER;

/** Why an asserted subject cannot be judged at all; an agent outside the set is one that does not exist. */
export function assertionDenial(state: TenantState, subject: AssertedSubject, nowMs: number): Reason | undefined {
  const point = state.get("enforcement_point", subject.enforcementPointId);
  if (point === undefined || !(nowMs < (point.expiresAtMs ?? NEVER_ENDS))) return "point_key_invalid";
  return isAssertable(state, point, subject.agentId) === "outside" ? "agent_inactive" : undefined;
}

/** Whether the agent exists and belongs to the set that the enforcement point may assert. */
export function isAssertable(state: TenantState, point: EnforcementPoint, agentId: string): "within" | "outside" {
  const agent = state.get("agent", agentId);
  if (agent === undefined) return "outside";
  return point.agents.includes(agentId) || point.principals.includes(agent.principalId) ? "within" : "outside";
}

/** Clears what bounds the presenter: a token's caveats, what the enforcement point may ask about, or both. */
export function clearPresenter(state: TenantState, attempt: Attempt): Clearing {
  const { token, request, relayedBy } = attempt;
  if (isAsserted(token)) return clearQuestion(state, token.enforcementPointId, attempt);
  if (!hasToken(token)) return clearAnonymous(request);
  const relaying = relayedBy === undefined ? undefined : clearQuestion(state, relayedBy, attempt);
  if (relaying?.kind === "prohibited") return relaying;
  const clearing = clearCaveats(token, { ...attempt });
  if (clearing.kind === "prohibited" || relaying === undefined) return clearing;
  return { ...clearing, validUntilMs: Math.min(clearing.validUntilMs, relaying.validUntilMs) };
}

/** Whether an enforcement point may ask about the attempt, whoever it is of. */
function clearQuestion(state: TenantState, enforcementPointId: string, { request, nowMs }: Attempt): Clearing {
  const point = state.get("enforcement_point", enforcementPointId);
  const validUntilMs = point?.expiresAtMs ?? NEVER_ENDS;
  if (point === undefined || nowMs >= validUntilMs) return prohibited("point_key_invalid");
  const { upstream } = request.resource;
  const isListed = point.upstreams.includes("*") || point.upstreams.includes(upstream);
  if (!isListed || !point.actions.includes(request.action)) return prohibited("point_question");
  return { kind: "cleared", validUntilMs, limits: [], rates: [] };
}

function prohibited(reason: Reason): Clearing {
  return { kind: "prohibited", reason, detail: "", hidden: false };
}

/** It attempts nothing but a request of its own; which routes take one is judged with the upstream. */
function clearAnonymous({ action, context }: Attempt["request"]): Clearing {
  if (action === "http.request" && context.protocol === "http") {
    return { kind: "cleared", validUntilMs: NEVER_ENDS, limits: [], rates: [] };
  }
  return { kind: "prohibited", reason: "route_not_public", detail: "", hidden: true };
}

/** Whether anything that the presenter holds hides the tool from it. */
export function showsTool(presenter: Presenter, upstream: string, tool: string): "listed" | "hidden" {
  return hasToken(presenter) ? listsTool(presenter, upstream, tool) : "listed";
}

export function showsAction(presenter: Presenter, action: Action): "listed" | "hidden" {
  return hasToken(presenter) ? listsAction(presenter, action) : "listed";
}

/** What floods and caches of the presenter are keyed by: something recorded, or "" (trap 63). */
export function recordedKey(state: TenantState, presenter: Presenter): string {
  if (hasToken(presenter)) return state.nearestRecorded(presenter.path);
  if (!isAsserted(presenter)) return ANONYMOUS;
  const { enforcementPointId, agentId } = presenter;
  const point = state.get("enforcement_point", enforcementPointId);
  if (point === undefined) return "";
  const isKnown = isAssertable(state, point, agentId) === "within";
  return isKnown ? `${enforcementPointId}/${agentId}` : enforcementPointId;
}
