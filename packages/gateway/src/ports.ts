/**
 * The interfaces that `handleCall` needs and nothing else gives it. Every one that does I/O takes an AbortSignal or
 * has a bound of its own; every one may throw a `Failure`, which `handleCall` turns into a denial.
 */
import type {
  Action,
  AuditEvent,
  BudgetClaim,
  Carve,
  HttpResource,
  JsonObject,
  Reason,
  Upstream,
} from "@writ/contract";
import type { TenantState } from "@writ/core";
import type { BudgetLeft } from "./budget-left.ts";
import type { Denial } from "./denial.ts";

/** Wall clock in milliseconds since the epoch, and a monotonic one. */
export interface Clock {
  nowMs(): number;
  /** Milliseconds from an arbitrary start, never going back. */
  monotonicMs(): number;
}

/** Cryptographic randomness. */
export interface Random {
  bytes(length: number): Uint8Array;
}

/** Something of ours, a store or an upstream, is broken. Thrown by ports, caught in `handleCall` only. */
export class Failure extends Error {
  readonly reason: Reason;
  /** What a denial for it says besides the reason. */
  readonly data: { readonly retryAfterSeconds?: number };
  constructor(reason: Reason, message: string, options?: { cause?: unknown; retryAfterSeconds?: number }) {
    super(message, options);
    this.name = "Failure";
    this.reason = reason;
    this.data = options?.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: options.retryAfterSeconds };
  }
}

/** The tenant's authority in memory. */
export interface StatePort {
  /** The state to decide on, synchronously; undefined when this tenant is unknown or not loaded yet. */
  current(tenantId: string): TenantState | undefined;
  /** Loads a tenant that is not in memory; undefined when there is none. Failure `state_unavailable`. */
  load(tenantId: string, signal: AbortSignal): Promise<TenantState | undefined>;
  /** Brings the state to the head of the database at the time of the call, or later. */
  catchUp(tenantId: string, signal: AbortSignal): Promise<TenantState | undefined>;
}

/** What a decision puts on record. The journal owns revision checks, budgets and the log; see `journal/`. */
export interface DecisionEntry {
  readonly kind: "allow" | "deny";
  readonly tenantId: string;
  readonly callId: string;
  readonly revision: number;
  /** Milliseconds since the epoch; for denials ignored. */
  readonly validUntilMs: number;
  readonly claims: readonly BudgetClaim[];
  /** Hex of the root node: bounds the number of counters that holders can make below it. */
  readonly root: string;
  /** How many counters of scope node there may be below that root. */
  readonly budgetNodesMax: number;
  /** 16 bytes; kept beside the log, never in it: what the digests in `event` are salted with. */
  readonly salt: Uint8Array;
  readonly event: AuditEvent;
  /** What the agent is told when `kind` is deny. */
  readonly denial: Denial | undefined;
  /** Of an allow that only observe mode made one: what the policy would have denied it for. */
  readonly wouldDeny?: Reason;
  /** For answers that Writ gives itself (a list, a session): recorded in the same transaction. */
  readonly outcome: AuditEvent | undefined;
  /** An allow that is over with its commit and has no outcome: what it claims is used at once, and nothing is leased. */
  readonly isOver?: true;
  /** Of an allow: those of its claims of which the commit shall say what is left. */
  readonly tell?: readonly BudgetClaim[];
  /** Of an allow: 32 bytes that it takes, a digest of its idempotency key. */
  readonly key?: Uint8Array;
}

export type CommitResult =
  /** Of a delegation: committed together with its child. */
  | { readonly kind: "recorded" }
  | {
      readonly kind: "committed";
      readonly sequence: number;
      readonly epoch: number;
      /** Milliseconds on the monotonic clock: no later than the commit, as far as can be known. */
      readonly committedAtMonotonicMs: number;
      /** What the counters that were to be told of held right behind it; absent when there are none. */
      readonly left?: readonly BudgetLeft[];
    }
  /** A claim did not fit. Nothing was recorded; the caller records the denial. */
  | { readonly kind: "refused"; readonly claim: BudgetClaim; readonly remaining: number }
  /** A counter has less left than a child would set aside. Nothing was recorded; the caller records the denial. */
  | { readonly kind: "refused_carve"; readonly remaining: number }
  /** The root token already has as many budget counters below it as the tenant permits. Nothing was recorded. */
  | { readonly kind: "refused_nodes" }
  /** Another call has its key. Nothing was recorded; the caller records the denial. */
  | { readonly kind: "duplicate"; readonly firstCallId: string }
  /** `validUntilMs` had passed on the database's clock. Nothing was recorded. */
  | { readonly kind: "expired"; readonly databaseTimeMs: number }
  /** Authority moved more often than the journal was willing to decide again. Nothing was recorded. */
  | { readonly kind: "stale" }
  /** Judged again, the attempt came out so differently that the caller must start over. Nothing was recorded. */
  | { readonly kind: "withdrawn" };

export interface Committed {
  readonly result: CommitResult;
  /** The entry that was committed: the first one, or the last that `judge` returned. */
  readonly entry: DecisionEntry;
}

export interface JournalPort {
  /**
   * Puts one decision on durable record. `judge` is called again, synchronously, each time that the tenant's
   * authority has moved since the entry was made; the entry it returns then is the one that is committed.
   * Resolves only after COMMIT. Failure `journal_unavailable` or `head_regressed` when it is not known to be
   * committed (the journal then makes sure that it ends as aborted).
   */
  commit(entry: DecisionEntry, judge: () => DecisionEntry | "withdraw"): Promise<Committed>;
  /** Books the outcome of a committed allow. Never throws; kept until it is on record or the lease lapses. */
  settle(outcome: OutcomeEntry): void;
  /** Puts an event on record that is bound to no decision (a summary, a catalogue read). Never throws; bounded. */
  record(event: AuditEvent): void;
}

export interface OutcomeEntry {
  readonly tenantId: string;
  readonly callId: string;
  readonly outcome: "completed" | "failed" | "aborted" | "unknown";
  readonly event: AuditEvent;
}

/**
 * The method that listens to what belongs to no request, until it is cut. Sessions of revisions that lack it do the same
 * in their own way.
 */
export const LISTEN_METHOD = "subscriptions/listen";

/** One MCP request towards an upstream: JSON texts, spliced and never re-serialised. */
export interface UpstreamMessage {
  readonly method: string;
  /** JSON text of `params` exactly as judged, but for the progress token (removed) when `progress` is set. */
  readonly params: string;
  /** Whether progress notifications are wanted; the upstream side makes the token. */
  readonly progress: boolean;
  /** The name of the tool or prompt, or the URI, for protocols that route by header; "" where there is none. */
  readonly name: string;
  /**
   * JSON text of what the agent can be asked for, as far as Writ passes such requests on; absent: nothing. Only upstreams
   * of the stateless revision are told with each request.
   */
  readonly clientCapabilities?: string;
  /** Whether the agent can be answered that its input is required. */
  readonly input?: boolean;
  /** JSON text of the least level of log messages that the agent wants of this request. */
  readonly logLevel?: string;
}

/** What an agent answers to a request of an upstream: JSON text of the value of `result` or `error`. */
export interface ClientAnswer {
  readonly member: "result" | "error";
  readonly json: string;
}

/** Where the parts of one answer go, in order. A method that returns a promise is back-pressure. */
export interface AnswerSink {
  /** JSON text of the `params` of a notification that belongs to this call, its progress token removed. */
  notification(method: string, params: string): void | Promise<void>;
  /**
   * The upstream asks the agent something on behalf of this call; absent where nobody can be asked. Never rejects. What
   * the agent may be asked has been decided when this is called by `handleCall`, not when an upstream calls it.
   */
  request?(method: string, params: string): Promise<ClientAnswer>;
  /** JSON text of the value of `result` or `error` of the response. Called at most once, last. */
  response(member: "result" | "error", json: string): void | Promise<void>;
}

export type SendOutcome =
  | { readonly kind: "completed"; readonly bytes: number; readonly notifications: number; readonly error: boolean }
  /** Sent, and the upstream or the stream broke; or the answer was cut by us. */
  | {
      readonly kind: "failed";
      readonly detail: string;
      readonly bytes: number;
      readonly notifications: number;
      /** The upstream said that it can answer nothing now (HTTP 5xx). */
      readonly unavailable?: boolean;
    }
  /** Surely not sent. */
  | { readonly kind: "aborted"; readonly detail: string }
  /** May have been sent. */
  | { readonly kind: "unknown"; readonly detail: string };

/** A place on an upstream, held before the commit so that nothing waits between commit and send. */
export interface Slot {
  /** Never throws; one use. `signal` cuts the call (sends a cancellation upstream when the protocol has one). */
  send(message: UpstreamMessage, sink: AnswerSink, signal: AbortSignal): Promise<SendOutcome>;
  /** The same for a request of an HTTP API, which MCP servers do not take. */
  sendHttp(call: HttpCall, sink: HttpSink, signal: AbortSignal): Promise<SendOutcome>;
  /** Gives the slot back, used or not. Idempotent. */
  release(): void;
}

export interface UpstreamPort {
  /**
   * Failure `upstream_unavailable` when no slot or session can be had within `waitMs`, `upstream_address_refused` when
   * its address is one that must not be connected to.
   */
  hold(request: HoldRequest): Promise<Slot>;
  /**
   * JSON text of what the server says that it can do, from a session that is open or is opened for it; takes no slot.
   * Failure `upstream_unavailable`.
   */
  capabilities(request: HoldRequest): Promise<string>;
}

export interface HoldRequest {
  readonly tenantId: string;
  readonly upstreamId: string;
  readonly upstream: Upstream;
  /** Who must not share an upstream session with others, by the upstream's declared isolation; "" when shared. */
  readonly isolationKey: string;
  /** Whose call it is: where calls wait for a slot, agents take turns. */
  readonly agentKey: string;
  /** JSON text of what the agent can be asked for; agents of whom it differs share no session. Absent: nothing. */
  readonly clientCapabilities?: string;
  /** To listen: that lasts, so it takes no slot, and has a limit of its own. */
  readonly listens?: boolean;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/** One request of an HTTP API. */
export interface HttpCall {
  readonly target: HttpResource;
  /** Names and values in turn, without any that is about a connection, and without the agent's credential. */
  readonly headers: readonly string[];
  readonly body:
    | { readonly kind: "bytes"; readonly bytes: Uint8Array }
    /** Passed on as it comes, once the request is allowed; read by nobody before. */
    | { readonly kind: "stream"; readonly stream: AsyncIterable<Uint8Array> }
    | undefined;
}

/** Where the answer of an HTTP API goes, in order. */
export interface HttpSink {
  /** Called at most once, first. A `location` is a target below the upstream's base URL. */
  head(status: number, headers: Readonly<Record<string, string | string[]>>): void;
  /** A promise is back-pressure. */
  data(chunk: Uint8Array): void | Promise<void>;
}

/** What an agent can attempt at this gateway: the actions of the closed list that an adapter makes calls of. */
export type AgentAction = Exclude<Action, "model.generate" | "model.list">;

/** The call as the protocol adapter read it: what will be judged and what will be sent, from the same bytes. */
export interface AgentCall {
  /** decision: somebody else enforces what is decided; nothing is sent. */
  readonly protocol: "mcp" | "http" | "api" | "decision";
  readonly action: AgentAction;
  readonly upstream: string;
  readonly tool: string;
  /** Of an action on a resource or prompt: its URI or name. */
  readonly named?: { readonly kind: "resource" | "prompt"; readonly name: string } | undefined;
  /** Of an HTTP request: what is judged of it, and what goes upstream once it is allowed. */
  readonly http?: HttpCall;
  readonly arguments: JsonObject;
  /** There is a body of which nobody knows the arguments. */
  readonly argumentsUnseen?: true;
  /** JSON text of the arguments exactly as received, for the salted digest; "" where there are none. */
  readonly argumentsText: string;
  /** By name, a header that may repeat an argument, of revisions whose tools ask for such. */
  readonly mirroredHeader?: (name: string) => MirroredHeader;
  /** What goes upstream once allowed; undefined where Writ answers by itself. */
  readonly message: UpstreamMessage | undefined;
  /** Of a request that goes on where its upstream asked for input (MCP 2026-07-28). */
  readonly resumes?: Resumption;
  /** For token.attenuate: the child that is asked for. */
  readonly child: ChildRequest | undefined;
  /** The MCP session, where the revision has one; for isolation "session". */
  readonly mcpSession: string | undefined;
  /** JSON text of what the agent can be asked for, in one of few spellings; absent: nothing. */
  readonly clientCapabilities?: string;
  /** The agent that a question names as its subject; absent: whoever presents the credential. */
  readonly subject?: string;
  /** Of a question about an HTTP request: what it asks for, in its one spelling. */
  readonly target?: HttpResource;
  /** What is forwarded is forwarded once under it; absent where the agent gave none. */
  readonly idempotencyKey?: string;
}

/** A header that repeats an argument, as it came. */
export type MirroredHeader =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "absent" | "unreadable" };

/** What a request says of the input that its upstream asked for, and what is known of that. */
export type Resumption =
  /** As it came: the names of the answers, and the state that they came with. */
  | { readonly kind: "claimed"; readonly answers: readonly string[]; readonly state: string | undefined }
  /** Answers to these questions, which this agent was asked for this request; what else it gave is not sent. */
  | { readonly kind: "asked"; readonly questions: readonly { readonly method: string; readonly params: string }[] }
  | { readonly kind: "unasked" };

/** A child of the presented token, as a holder asks for it. */
export interface ChildRequest {
  /** The text of the very token that was authenticated. */
  readonly parentText: string;
  /** JSON texts of the caveats to add; no `id`. */
  readonly caveats: readonly string[];
  readonly carves: readonly Carve[];
  /** The agent that the child is handed to; undefined keeps the presenter's. */
  readonly agentId: string | undefined;
}

export interface Ports {
  readonly clock: Clock;
  readonly random: Random;
  readonly state: StatePort;
  readonly journal: JournalPort;
  readonly upstreams: UpstreamPort;
}
