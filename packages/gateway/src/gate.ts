/**
 * The one gate between protocol adapters and everything else (one implementation: `handle-call.ts`). Adapters read
 * headers and bodies and write answers; they can neither judge nor reach an upstream.
 */
import type { BudgetClaim, Reason } from "@writ/contract";
import type { BudgetLeft } from "./budget-left.ts";
import type { Denial } from "./denial.ts";
import type { AgentCall, AnswerSink, HttpSink } from "./ports.ts";
import type { RateStanding } from "./rates/rate-standing.ts";

export interface Gate {
  /**
   * Stage 2: the credential from the header, before any body is parsed: its spelling, its key, its signature.
   * Whether it may do anything is judged by `handleCall`. A promise only while a tenant's state has to be loaded.
   */
  authenticate(input: AuthenticateInput): Authentication | Promise<Authentication>;
  /** The same for the key of an enforcement point, `wpep_…`, which speaks for others and never for itself. */
  authenticatePoint(input: AuthenticateInput): PointAuthentication | Promise<PointAuthentication>;
  /** For a request without a credential, at an address that is not there but for public routes. */
  admitPublic(request: PublicRequest): Authentication | Promise<Authentication>;
  /** The agent that an enforcement point says is asking. Whether it may say so is judged by `handleCall`. */
  assertSubject(point: AuthenticatedPoint, agentId: string): Authenticated;
  /**
   * The upstreams on which this agent may open a session, on the head, for an endpoint that leads to all of them. It is
   * put on no record and allows nothing: what is done on any of them is an attempt of its own. Never rejects.
   */
  reachable(authenticated: Authenticated): Promise<readonly string[]>;
  /** What is left of the token's budgets. On no record, and no promise. Never throws. */
  remainingBudgets(authenticated: Authenticated): Promise<RemainingBudgets>;
  /** What `handleCall` would decide now, as far as budgets and all before them decide it. Does nothing. Never throws. */
  preview(authenticated: Authenticated, call: AgentCall): Promise<Preview>;
  /**
   * Stages 4–12: judge, hold, commit, send, answer, settle. Never throws. Resolves when the call has ended. `cut` is the
   * call's own: aborted by whoever no longer wants it (the peer is gone, it was cancelled) or no longer allows it.
   */
  handleCall(authenticated: Authenticated, call: AgentCall, sink: CallSink, cut: AbortController): Promise<CallEnd>;
}

export interface AuthenticateInput {
  /** The Authorization header as it came. */
  readonly authorization: string | undefined;
  readonly remoteAddress: string;
  /** The enforcement point that passes the credential on: the address is its own, and nobody knows the presenter's. */
  readonly relayedBy?: string;
}

export interface PublicRequest {
  /** As the address has it. */
  readonly unverifiedTenantId: string;
  readonly upstream: string;
  /** In their one spelling. */
  readonly method: string;
  readonly path: string;
  readonly remoteAddress: string;
}

export type Authentication =
  | Authenticated
  | { readonly kind: "rejected"; readonly reason: Reason; readonly detail: string };

export type PointAuthentication =
  | AuthenticatedPoint
  | { readonly kind: "rejected"; readonly reason: Reason; readonly detail: string };

/** Only `authenticatePoint` makes one that `assertSubject` accepts. */
export interface AuthenticatedPoint {
  readonly kind: "authenticated_point";
  readonly tenantId: string;
  readonly enforcementPointId: string;
}

/** Only `authenticate`, `admitPublic` and `assertSubject` make one that `handleCall` accepts: the token behind it is not the adapters' to read. */
export interface Authenticated {
  readonly kind: "authenticated";
  readonly tenantId: string;
  /** Identifies the exact bytes of the token; sessions are bound to it. */
  readonly tokenDigest: string;
  readonly agentId: string;
  /** Where it is presented from, for a token that asks for it; absent where that is not known. */
  readonly address?: string;
  /** The enforcement point that passed the token on; absent where its holder presents it. */
  readonly relayedBy?: string;
}

export interface RemainingBudget {
  readonly scope: BudgetClaim["scope"];
  readonly unit: BudgetClaim["unit"];
  readonly window: BudgetClaim["window"];
  readonly mode: BudgetClaim["mode"];
  readonly limit: number;
  /** Of the token's nodes and its agent; what others' calls move is told by `exhausted` alone. */
  readonly remaining?: number;
  readonly exhausted: boolean;
  /** When the window ends, in ISO 8601; absent where it does not. */
  readonly resetsAt?: string;
}

export type RemainingBudgets =
  | { readonly kind: "read"; readonly budgets: readonly RemainingBudget[] }
  | { readonly kind: "denied"; readonly reason: Reason; readonly retryAfterSeconds?: number };

export interface CallSink extends AnswerSink {
  /** Of a request of an HTTP API: takes its answer, in place of the methods of `AnswerSink`. */
  readonly http?: HttpSink;
  /** Where the rates stand that the attempt was counted in, or refused for; before anything else, if it has any. */
  rated?(standings: readonly RateStanding[]): void;
  /**
   * The decision is committed: headers may now be sent, with the callId, what it left of the agent's own budgets, and what
   * the policy would have denied the call for if its upstream were not under observation.
   */
  allowed(callId: string, left?: readonly BudgetLeft[], wouldDeny?: Reason): void;
  /**
   * Asked when the call has ended: resolves when nothing of its answer is kept any more for an agent that may come back for
   * it; undefined where nothing is. Until then the call is reviewed, and its cut ends what is kept.
   */
  kept?(): Promise<void> | undefined;
  /** An answer that Writ gives itself (a list from the pinned catalogue, a recorded child). */
  local(json: string): void | Promise<void>;
}

export type Preview =
  | { readonly kind: "allowed"; readonly wouldDeny?: Reason | undefined }
  | { readonly kind: "denied"; readonly denial: Denial };

export type CallEnd =
  /** `sink.response` or `sink.local` was called. */
  | { readonly kind: "answered"; readonly callId: string; readonly wouldDeny?: Reason | undefined }
  /** Nothing was given to the sink. */
  | { readonly kind: "denied"; readonly callId: string; readonly denial: Denial }
  /** Allowed, then the upstream failed or the call was cut; the sink got no response, or a part of an HTTP one. */
  | { readonly kind: "broken"; readonly callId: string; readonly reason: Reason; readonly detail: string };
