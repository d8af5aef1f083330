/**
 * The decision to put a child token on record: the ordinary decision about `token.attenuate`, then whether the child
 * is one step below the presenter, readable, not yet known, and whether its carves can be taken from somewhere.
 */
import { BUDGET_UNITS, type BudgetClaim, type Reason, type RecordedNode, WINDOWS } from "@writ/contract";
import { parseCaveatText } from "@writ/token";
import { carveClaims, carveSoftClaims } from "./budget-claims.ts";
import { judge } from "./judge.ts";
import type { AttenuationAttempt, AttenuationJudgement, Check } from "./judgement.ts";
import type { TenantState } from "./tenant-state.ts";

/** Caveats that a child adds, at most: what a token can hold. */
const CHILD_CAVEATS_MAX = 64;
/** Counters that one carve may touch; more would be a path longer than a token can be. */
const CARVES_MAX = BUDGET_UNITS.length * WINDOWS.length;

/** An offline child cannot be put on record later: a gateway records only children that it makes. */
const UNRECORDED_PARENT =
  "a budget is set aside only from a token that is on record with all above it: minted, or made by a gateway " +
  "(writ token attenuate --record). This one, or one above it, was made offline: ask with the recorded token above it, and give the child its caveats";

/** Judges the recording of a child. Never throws. The claims take its carves from the counters above it. */
export function judgeAttenuation(state: TenantState, attempt: AttenuationAttempt): AttenuationJudgement {
  const judgement = judge(state, attempt);
  const { decision } = judgement;
  if (decision.kind !== "allow") return { ...judgement, record: undefined, softClaims: [] };
  const deny = ({ reason, detail, check }: Refusal): AttenuationJudgement => ({
    ...judgement,
    decision: {
      kind: "deny",
      reasons: [reason],
      detail,
      hidden: false,
      revision: decision.revision,
      policyDigest: decision.policyDigest,
    },
    claims: [],
    rates: [],
    check,
    record: undefined,
    softClaims: [],
  });
  try {
    if (attempt.request.action !== "token.attenuate") {
      return deny(refusal("access_incomplete", "the action is not token.attenuate", "describe"));
    }
    const refused = childRefusal(state, attempt);
    if (refused !== undefined) return deny(refused);
    const taken = takeCarves(state, attempt);
    if (taken.kind === "refused") return deny(taken.refusal);
    let { validUntilMs } = decision;
    for (const { windowEndMs } of taken.claims) validUntilMs = Math.min(validUntilMs, windowEndMs);
    return {
      ...judgement,
      decision: { ...decision, reasons: [...decision.reasons, "attenuation_recorded"], validUntilMs },
      claims: taken.claims,
      softClaims: taken.softClaims,
      record: { id: attempt.child.path.at(-1) ?? "", value: recordOf(state, attempt) },
    };
  } catch {
    // A check that throws denies.
    return deny(refusal("internal_error", "a check failed to run", "combine"));
  }
}

interface Refusal {
  readonly reason: Reason;
  readonly detail: string;
  readonly check: Check;
}

function refusal(reason: Reason, detail: string, check: Check): Refusal {
  return { reason, detail, check };
}

function childRefusal(state: TenantState, { token, request, child, nowMs }: AttenuationAttempt): Refusal | undefined {
  const node = child.path.at(-1);
  const isBelow = child.path.length === token.path.length + 1 && token.path.every((id, at) => child.path[at] === id);
  if (node === undefined || !isBelow || !/^[0-9a-f]{32}$/.test(node)) {
    return refusal("access_incomplete", "the child is not one step below the presenter", "describe");
  }
  if (state.get("revocation", node) !== undefined) return refusal("token_revoked", "", "standing");
  if (state.get("node", node) !== undefined || state.get("root_token", node) !== undefined) {
    return refusal("access_incomplete", "the child is on record already", "describe");
  }
  const meanings = child.caveats.slice(0, CHILD_CAVEATS_MAX).map((text) => parseCaveatText(text).meaning.kind);
  if (child.caveats.length > CHILD_CAVEATS_MAX) return refusal("caveat_malformed", "too many caveats", "clear");
  if (meanings.includes("unknown")) return refusal("caveat_unknown", "the child holds an unknown caveat", "clear");
  if (meanings.includes("malformed")) return refusal("caveat_malformed", "the child holds a malformed caveat", "clear");
  if (meanings.filter((kind) => kind === "id").length !== 1) {
    return refusal("caveat_malformed", "the child does not have exactly one id", "clear");
  }
  if (!(nowMs < child.expiresAtMs))
    return refusal(
      "token_expired",
      "the child would have expired already: its exp, or its parent's, is not after now",
      "clear",
    );
  if (child.agentId === undefined) return undefined;
  const agent = state.get("agent", child.agentId);
  if (agent?.status !== "active") return refusal("agent_inactive", "", "standing");
  // Calls are charged to every agent and principal of the chain: nobody names a stranger whose budgets would pay.
  if (agent.principalId !== token.principalId) {
    return refusal("access_incomplete", "the delegate belongs to another principal", "describe");
  }
  if (state.get("principal", agent.principalId)?.status !== "active") {
    return refusal("principal_inactive", "", "standing");
  }
  if (state.killed("agent", child.agentId) || state.killed("principal", agent.principalId)) {
    return refusal("kill_engaged", "", "standing");
  }
  // Policy allowed what its input named; a delegate that it did not see was not allowed.
  const named = Object.hasOwn(request.context.arguments, "agent") ? request.context.arguments["agent"] : undefined;
  return named === agent.name || named === child.agentId
    ? undefined
    : refusal("access_incomplete", "the arguments do not name the delegate as agent", "describe");
}

type Taken =
  | { readonly kind: "taken"; readonly claims: readonly BudgetClaim[]; readonly softClaims: readonly BudgetClaim[] }
  | { readonly kind: "refused"; readonly refusal: Refusal };

function takeCarves(state: TenantState, { token, child, nowMs }: AttenuationAttempt): Taken {
  const refuse = (detail: string): Taken => ({ kind: "refused", refusal: refusal("budget_carve", detail, "budgets") });
  if (child.carves.length > CARVES_MAX) return refuse("there are too many carves");
  // Holders make unrecorded nodes for nothing: no budget is kept in counters of theirs.
  const isRecorded = token.path.every((node) => state.nearestRecorded([node]) === node);
  if (child.carves.length > 0 && !isRecorded) return refuse(UNRECORDED_PARENT);
  const claims: BudgetClaim[] = [];
  const softClaims: BudgetClaim[] = [];
  const seen = new Set<string>();
  for (const carve of child.carves) {
    const { unit, window, amount } = carve;
    if (!BUDGET_UNITS.includes(unit) || !WINDOWS.includes(window)) return refuse("unknown unit or window");
    if (!Number.isSafeInteger(amount) || amount < 1) return refuse("an amount is not a positive whole number");
    if (seen.has(`${unit} ${window}`)) return refuse("a unit and window is named twice");
    seen.add(`${unit} ${window}`);
    const taken = carveClaims({ state, token, limits: token.limits, nowMs }, carve);
    if (taken === undefined) return refuse("the parent has no hard budget of its own in that unit and window");
    claims.push(...taken);
    softClaims.push(...carveSoftClaims({ state, token, limits: token.limits, nowMs }, carve));
  }
  return { kind: "taken", claims, softClaims };
}

function recordOf(state: TenantState, { token, child, nowMs }: AttenuationAttempt): RecordedNode {
  const parent = state.nearestRecorded(token.path);
  // What lies unrecorded between the recorded parent and the child is recorded with it.
  const between = token.segments.slice(token.path.indexOf(parent) + 1);
  const presenter = token.path.reduce((agentId, node) => state.get("node", node)?.agentId ?? agentId, token.agentId);
  return {
    parent,
    root: token.rootNode,
    agentId: child.agentId ?? presenter,
    caveats: [...between.flatMap((segment) => segment.caveats.map(({ text }) => text)), ...child.caveats],
    carves: child.carves,
    recordedAtMs: nowMs,
    expiresAtMs: Math.min(child.expiresAtMs, token.expiresAtMs),
  };
}
