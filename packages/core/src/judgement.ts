/** The shapes of a judged attempt: what goes in, what comes out. No logic. */
import type {
  AccessRequest,
  Action,
  Allow,
  ANONYMOUS,
  BudgetClaim,
  Carve,
  Deny,
  HttpResource,
  JsonObject,
  RateClaim,
  RecordedNode,
  RequestContext,
} from "@writ/contract";
import type { VerifiedToken } from "@writ/token";

/** Made only for an enforcement point whose key was compared. Whether it may assert this agent is judged each time. */
export interface AssertedSubject {
  readonly enforcementPointId: string;
  readonly tenantId: string;
  /** As the enforcement point named it. */
  readonly agentId: string;
  /** The agent's; "" when it has none. */
  readonly principalId: string;
  readonly rootNode: "";
  readonly path: readonly [];
  readonly segments: readonly [];
}

/**
 * Nobody presented a credential. Made only for a request that a public route takes; whether one does is judged each time.
 */
export interface AnonymousSubject {
  readonly tenantId: string;
  readonly agentId: typeof ANONYMOUS;
  readonly principalId: typeof ANONYMOUS;
  readonly rootNode: "";
  readonly path: readonly [];
  readonly segments: readonly [];
}

export type Presenter = VerifiedToken | AssertedSubject | AnonymousSubject;

/** One attempt, complete: the decision is a pure function of it and the state. */
export interface Attempt {
  readonly token: Presenter;
  /** The enforcement point that shows a token of somebody else; absent where its holder presents it. */
  readonly relayedBy?: string | undefined;
  readonly request: AccessRequest;
  /** What `aud` caveats are compared with (`gateway.audience`). */
  readonly audience: string;
  readonly nowMs: number;
}

/** The stages of the decision, in their order. */
export const CHECKS = [
  "standing",
  "describe",
  "clear",
  "resource",
  "policy",
  "obligations",
  "budgets",
  "rates",
  "combine",
] as const;
export type Check = (typeof CHECKS)[number];

export interface Judgement {
  /** Never step_up: until approvals exist it is a denial with `step_up_unavailable`. */
  readonly decision: Allow | Deny;
  /** Counters that the call draws on; empty for denials and for actions that are not charged. */
  readonly claims: readonly BudgetClaim[];
  /** Rates that the attempt is counted in; empty for denials. */
  readonly rates: readonly RateClaim[];
  /** The rule that decided; "" when none did. */
  readonly ruleId: string;
  /** The stage that decided: of a denial the one that denied, of an allow `combine`. */
  readonly check: Check;
  /** Whether the denial must be answered exactly as for a tool that does not exist. Equals `decision.hidden`. */
  readonly hidden: boolean;
  /**
   * What floods and caches are keyed by: the nearest recorded node of the path, of an asserted subject the enforcement
   * point and the agent, or `ANONYMOUS`. "" when nothing of it is on record.
   */
  readonly recordedNode: string;
}

export interface StageOutcome {
  readonly check: Check;
  readonly outcome: "passed" | "denied" | "not_reached";
  /** What was looked at and found, for administrators and the token's own holder; "" when not reached. */
  readonly detail: string;
}

export interface Explanation {
  readonly judgement: Judgement;
  readonly stages: readonly StageOutcome[];
}

/** What a protocol adapter knows of an attempt; `describe` adds what authority knows of it. */
export interface DescribeInput {
  readonly token: Presenter;
  /** The agent that a question names as its subject; absent: the presenter. */
  readonly subject?: string | undefined;
  readonly action: Action;
  /** The upstream's name; "" for actions on none. */
  readonly upstream: string;
  /** The tool's name; "" where the action has none. */
  readonly tool: string;
  /** Of an action on a resource or prompt: which. */
  readonly named?: { readonly kind: "resource" | "prompt"; readonly name: string } | undefined;
  /** Of an HTTP request: what it asks for, in its one spelling. */
  readonly http?: HttpResource | undefined;
  readonly arguments: JsonObject;
  readonly argumentsUnseen?: true | undefined;
  /** Where the presenter is, as far as a listener saw it. */
  readonly address?: string | undefined;
  readonly callId: string;
  readonly protocol: RequestContext["protocol"];
  readonly nowMs: number;
}

export interface AttenuationAttempt extends Attempt {
  readonly token: VerifiedToken;
  readonly child: {
    /** The child's nodes from the root; the last is the child's own. */
    readonly path: readonly string[];
    /** The caveats that the child adds, as JSON texts, the closing `id` included. */
    readonly caveats: readonly string[];
    readonly carves: readonly Carve[];
    /** The agent that it is handed to; absent keeps the presenter's. */
    readonly agentId?: string;
    readonly expiresAtMs: number;
  };
}

export interface AttenuationJudgement extends Judgement {
  /** What to record when the decision allows and every claim fits; undefined for denials. */
  readonly record: { readonly id: string; readonly value: RecordedNode } | undefined;
  /** Soft limits of the counters that the claims take from: nothing is refused by them, but passing one is said. */
  readonly softClaims: readonly BudgetClaim[];
}
