/** The decision: allow, deny or step_up, with its reasons. What is done about it is the gateway's. */
import type { Reason } from "./reasons.ts";

/** Something the gateway must do for an allow to stand. An unknown kind denies. */
export interface Obligation {
  readonly kind: string;
}

/** What the policy says of a call that is allowed only because its upstream is under observation. */
export interface WouldDeny {
  readonly reason: Reason;
  /** The rule that would have denied it; "" when none did. */
  readonly ruleId: string;
}

interface DecisionBase {
  /** Codes of the closed list, on allows as well as denials; never empty. */
  readonly reasons: readonly Reason[];
  /** The revision of the tenant's authority that the decision rests on. */
  readonly revision: number;
  /** SHA-256 (hex) of the active policy document; "" when there is none. */
  readonly policyDigest: string;
}

export interface Allow extends DecisionBase {
  readonly kind: "allow";
  readonly obligations: readonly Obligation[];
  /** Milliseconds since the epoch: the least expiry the decision relied on. */
  readonly validUntilMs: number;
  readonly wouldDeny?: WouldDeny;
}

export interface Deny extends DecisionBase {
  readonly kind: "deny";
  /** What the agent may be told beyond the code: the check that failed, in words that reveal no hidden rule. */
  readonly detail: string;
  /** True when the resource must be answered exactly like one that does not exist. */
  readonly hidden: boolean;
}

export interface StepUp extends DecisionBase {
  readonly kind: "step_up";
  readonly detail: string;
}

export type Decision = Allow | Deny | StepUp;
