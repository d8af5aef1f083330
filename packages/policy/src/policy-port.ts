/**
 * What every policy language must offer: one complete, versioned input and one answer. The rules file and Rego fill
 * this port alike. It deliberately knows nothing of tokens: a policy sees the identifier and the minted segment, both
 * as recorded by the control plane, and never what a holder appended.
 */
import type {
  Action,
  ArgumentCondition,
  JsonObject,
  Obligation,
  Reason,
  RequestContext,
  Resource,
} from "@writ/contract";

export interface PolicyAgent {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface PolicyPrincipal {
  readonly id: string;
  readonly name: string;
  /** anonymous: nobody presented a credential, and agent and principal have the name that is kept for that. */
  readonly type: "person" | "team" | "service" | "anonymous";
}

export interface PolicySubject {
  /** The agent whose permission is asked; a policy is asked once for each recorded agent of the chain. */
  readonly agent: PolicyAgent;
  readonly principal: PolicyPrincipal;
  /** Recorded agents from the root to the presenter, whichever of them is asked about. */
  readonly actorChain: readonly PolicyAgent[];
}

/** What a list knows of a tool before anybody has called it: everything but the arguments. */
export interface ListableInput {
  readonly version: 1;
  readonly subject: PolicySubject;
  readonly action: Action;
  readonly resource: Resource;
  readonly context: {
    readonly protocol: RequestContext["protocol"];
    /** Milliseconds since the epoch. */
    readonly timeMs: number;
    /** Caveat texts of the minted segment, as recorded; never those that a holder appended. */
    readonly mintedCaveats: readonly string[];
  };
}

/** Everything that a policy may rest on. A new fact is a new optional member; a changed meaning is a new version. */
export interface PolicyInput extends ListableInput {
  readonly context: ListableInput["context"] & {
    /** The arguments exactly as they will be forwarded. */
    readonly arguments: JsonObject;
    /** There is a body that nobody has read as arguments: what a policy says of arguments cannot be judged. */
    readonly argumentsUnseen?: true;
  };
}

export type PolicyResult =
  | {
      readonly kind: "allow" | "deny" | "step_up";
      readonly reason: Reason;
      /** What decided, in the words of the policy's author; "" when nothing matched. */
      readonly ruleId: string;
      readonly obligations: readonly Obligation[];
      /** Milliseconds since the epoch until which the same input gives the same answer; for allows. */
      readonly validUntilMs: number;
    }
  /** The policy failed. The caller denies with `policy_error`. */
  | { readonly kind: "error"; readonly detail: string };

/** yes: some arguments surely pass. no: none can, and the tool is hidden. perhaps: it depends on the arguments. */
export interface Listable {
  readonly kind: "yes" | "no" | "perhaps";
  /** Milliseconds since the epoch until which the answer stands. */
  readonly validUntilMs: number;
}

/** Of an argument: the condition must hold, or with `negated` it must fail; what cannot be judged does neither. */
export interface ArgumentAssertion {
  readonly condition: ArgumentCondition;
  readonly negated: boolean;
}

/** What the arguments of every call that is allowed surely meet; a call that meets it may be denied all the same. */
export interface PolicyAssertions {
  readonly all: readonly ArgumentAssertion[];
  /** Of each list, one alternative whole. */
  readonly any: readonly (readonly (readonly ArgumentAssertion[])[])[];
  /** Milliseconds since the epoch until which the answer stands. */
  readonly validUntilMs: number;
}

/** What a policy may say of a call whose arguments are not known: the least that it permits, and the most. */
export interface PolicyBounds {
  readonly least: PolicyResult;
  readonly most: PolicyResult;
}

/** Synchronous and pure: the same input gives the same answer until `validUntilMs`. */
export interface PolicyPort {
  /** SHA-256 (hex) of the policy document. */
  readonly digest: string;
  decide(input: PolicyInput): PolicyResult;
  listable(input: ListableInput): Listable;
  /** For what a caller is shown; absent where a language cannot tell. No decision rests on it. */
  assertions?(input: ListableInput): PolicyAssertions;
  /** For reports on calls whose arguments nobody kept; absent where a language cannot tell. No decision rests on it. */
  bounds?(input: ListableInput): PolicyBounds;
}

/** A place in a policy document that is wrong, with what to write instead where that is known; lines count from 1. */
export interface PolicyProblem {
  readonly message: string;
  readonly line: number;
  readonly column: number;
  /** "" when there is nothing to suggest. */
  readonly hint: string;
}
