/**
 * What the admin API reads and writes, as JSON. Views are an object's id and version beside its stored value; inputs
 * leave out what Writ chooses. Secrets appear in the answers that make them and nowhere else.
 */
import type { Action } from "../actions.ts";
import type {
  ActivePolicy,
  Agent,
  BudgetRule,
  EnforcementPoint,
  Kill,
  ObserveMode,
  Price,
  Principal,
  RateRule,
  RecordedNode,
  Revocation,
  RootToken,
  TenantSettings,
  Upstream,
  UpstreamTransport,
} from "../authority.ts";
import type { BudgetMode, BudgetScope, BudgetUnit, Window } from "../budgets.ts";
import type { Reason } from "../reasons.ts";
import type { AdminGrant } from "./permissions.ts";
import type { ToolFlagCode } from "./tool-flags.ts";

export interface ObjectIdentity {
  readonly id: string;
  /** Moves with each change of this object; a PATCH or DELETE names the one it saw. */
  readonly version: number;
}

/** One page, in a stable order. `next` goes into `after` of the next request; absent on the last page. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}

export interface PageQuery {
  readonly after?: string;
  /** 1–500; 100 when left out. */
  readonly limit?: number;
}

export interface TenantView extends ObjectIdentity, TenantSettings {}
export interface TenantCreate {
  readonly name: string;
  readonly tokenLifetimeMaxSeconds?: number;
  readonly budgetNodesMax?: number;
}
export interface TenantUpdate {
  readonly version: number;
  readonly name?: string;
  readonly status?: "active" | "suspended";
  readonly tokenLifetimeMaxSeconds?: number;
  readonly budgetNodesMax?: number;
}

export interface PrincipalView extends ObjectIdentity, Principal {}
export interface PrincipalCreate {
  readonly name: string;
  readonly type: "person" | "team" | "service";
}
export interface PrincipalUpdate {
  readonly version: number;
  readonly name?: string;
  readonly status?: "active" | "suspended";
}

export interface AgentView extends ObjectIdentity, Agent {}
export interface AgentCreate {
  readonly name: string;
  /** Id or name of the principal. */
  readonly principal: string;
  readonly labels?: Readonly<Record<string, string>>;
}
export interface AgentUpdate {
  readonly version: number;
  readonly name?: string;
  readonly status?: "active" | "suspended";
  readonly labels?: Readonly<Record<string, string>>;
}

/** Of a stdio transport's `env` the names are shown; each value is `***`, whoever asks. */
export interface UpstreamView extends ObjectIdentity, Omit<Upstream, "transport"> {
  readonly transport: UpstreamTransport;
  readonly toolsPinned: number;
  readonly breaker: BreakerView;
}
/** Whether gateways try the upstream: each finds that out for itself, and says so within some seconds. */
export interface BreakerView {
  /**
   * open: at least one live gateway does not try it now. half_open: none does so, and at least one finds out by a probe
   * whether it answers again, or will with the next call. closed: live gateways simply try it. unknown: none is alive.
   */
  readonly state: "closed" | "open" | "half_open" | "unknown";
  /** Live gateways for which it is in that state. */
  readonly gateways: number;
  readonly liveGateways: number;
  /** When it is open: the last of these gateways tries it again then. */
  readonly untilMs?: number;
}
export interface UpstreamCreate {
  readonly name: string;
  /**
   * A stdio transport is taken from keys of the instance only: its command runs on the gateway's machine. So is one with
   * credentials: whoever says where they go can send them anywhere.
   */
  readonly transport: UpstreamTransport;
  readonly isolation?: "shared" | "principal" | "session";
  readonly timeoutMs?: number;
  readonly concurrencyMax?: number;
}
export interface UpstreamUpdate {
  readonly version: number;
  /**
   * Replaced as a whole. A value of `env` that is exactly `***` keeps the stored one of that name, or is refused. To
   * give a stdio transport or one with credentials, or to replace one, takes a key of the instance.
   */
  readonly transport?: UpstreamTransport;
  readonly isolation?: "shared" | "principal" | "session";
  readonly status?: "active" | "suspended";
  readonly timeoutMs?: number;
  readonly concurrencyMax?: number;
}

export interface ToolView extends ObjectIdentity {
  readonly upstream: string;
  readonly name: string;
  readonly status: "active" | "quarantined";
  readonly digest: string;
  /** The definition's JSON text, byte for byte as it was pinned. */
  readonly definition: string;
}
export interface PinAnswer {
  readonly upstream: string;
  readonly tools: readonly {
    readonly name: string;
    readonly digest: string;
    readonly change: ToolChange;
    readonly flags: readonly ToolFlag[];
  }[];
  readonly digest: string;
  readonly observedAtMs: number;
}
/** held: flagged, so that it is pinned by name only. pending: new or changed since, so that it waits for a review. */
export type ToolChange = "added" | "pending" | "held" | "unchanged" | "removed";

/** What a reviewer should look at. A flag permits nothing. */
export interface ToolFlag {
  readonly code: ToolFlagCode;
  readonly detail: string;
}

/** An upstream's catalogue as it was read last, beside what is pinned of it. */
export interface CatalogueReview {
  readonly upstream: string;
  /** SHA-256 (hex) of everything that is shown here: what an approval names, so that it approves nothing else. */
  readonly review: string;
  readonly observedAtMs: number;
  /** Whether anything waits for an approval or a rejection. */
  readonly pending: boolean;
  readonly tools: readonly ReviewedTool[];
  readonly instructions: ReviewedInstructions;
}
interface Reviewed {
  /** restored: quarantined, and given again as it is pinned. */
  readonly change: "unchanged" | "added" | "changed" | "missing" | "restored";
  /** pending: not pinned, and so not callable. rejected: neither, and refused by an administrator. */
  readonly status: "active" | "quarantined" | "pending" | "rejected";
  /** Digests; absent where there is none. */
  readonly pinned?: string;
  readonly seen?: string;
  readonly flags: readonly ToolFlag[];
  /**
   * Lines that begin with a space, `-` or `+`, and `@@` between parts that are not beside each other: from what is
   * pinned to what was seen, or where it is given as pinned again, to what led to its quarantine. Hidden characters are
   * written as `\u{…}`.
   */
  readonly diff: readonly string[];
}
export interface ReviewedTool extends Reviewed {
  readonly name: string;
}
export interface ReviewedInstructions extends Reviewed {}

export interface CatalogueDecide {
  /** `review` of the answer that was looked at. Problem `version_conflict` when anything of it is different now. */
  readonly review: string;
  /** Names of tools; with neither of the two, everything that is pending. */
  readonly tools?: readonly string[];
  readonly instructions?: boolean;
}
export interface CatalogueDecideAnswer {
  readonly upstream: string;
  readonly tools: readonly string[];
  readonly instructions: boolean;
}

export interface RootKeyView extends ObjectIdentity {
  readonly status: "active" | "verifying" | "retired";
}
export interface RootKeyRotateAnswer {
  readonly key: RootKeyView;
  readonly previous: string;
}

export interface TokenView extends ObjectIdentity, RootToken {
  /** Hex of the node: the same as `id`. */
  readonly node: string;
  readonly revoked?: Revocation;
}
export interface TokenMint {
  /** Id or name of the agent. */
  readonly agent: string;
  /** Each an object with exactly one member, or its JSON text where the exact spelling matters. */
  readonly caveats?: readonly (string | Readonly<Record<string, unknown>>)[];
  /** 24 hours, or the tenant's maximum if that is less, when left out. */
  readonly expiresInSeconds?: number;
  readonly label?: string;
}
export interface TokenMintAnswer {
  /** The token. It is not stored: this is the only time that it appears. */
  readonly token: string;
  readonly node: string;
  readonly agentId: string;
  readonly principalId: string;
  readonly expiresAtMs: number;
  readonly caveats: readonly string[];
}

export interface NodeView {
  readonly node: string;
  readonly kind: "root" | "recorded" | "unrecorded";
  readonly root?: RootToken;
  readonly recorded?: RecordedNode;
  readonly revoked?: Revocation;
  /** Recorded children, with theirs, to the depth limit of a tree. */
  readonly children: readonly NodeView[];
}
export interface NodeRevoke {
  readonly reason: string;
}
export interface NodeRevokeAnswer {
  readonly node: string;
  readonly revokedAtMs: number;
  /** False when the node had been revoked before; nothing was changed then. */
  readonly changed: boolean;
}

export interface PolicyView extends ObjectIdentity, ActivePolicy {}
export interface PolicyVersionView {
  readonly id: string;
  readonly language: "rules";
  readonly digest: string;
  readonly createdBy: string;
  readonly createdAtMs: number;
  readonly active: boolean;
  /** Left out in lists. */
  readonly source?: string;
}
export interface PolicySource {
  readonly source: string;
  /** Stores the version although its tests fail. */
  readonly skipTests?: boolean;
}
export interface PolicyProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}
export interface PolicyTestOutcome {
  readonly name: string;
  readonly passed: boolean;
  readonly message: string;
}
export interface PolicyValidateAnswer {
  readonly valid: boolean;
  readonly digest: string;
  readonly problems: readonly PolicyProblem[];
  readonly tests: readonly PolicyTestOutcome[];
}
export interface PolicyActivate {
  /** Id of the version that the caller believes active; null when there is none. */
  readonly expectedActive: string | null;
}
export interface PolicyDiffAnswer {
  readonly from: string;
  readonly to: string;
  readonly lines: readonly { readonly kind: "same" | "added" | "removed"; readonly text: string }[];
}

export interface PolicyTry {
  readonly source: string;
  /** A sequence; events after it. Left out: from the first of the epoch. */
  readonly after?: number;
  readonly epoch?: number;
  /** Only calls on this upstream. */
  readonly upstream?: string;
  /** Only calls decided since, in milliseconds since the epoch. */
  readonly sinceMs?: number;
}
/** Calls of one agent on one thing, about which the rules would have said one and the same. */
export interface PolicyTryGroup {
  /**
   * arguments: it depends on the arguments, of which the log holds salted digests. unknown: it cannot be recomputed, as
   * `why` says: what the call was on is not on record (name), who made it is not any more (gone), or the rules fail.
   */
  readonly outcome: "allow" | "deny" | "arguments" | "unknown";
  /** What was decided then. observed: allowed by observe mode alone. */
  readonly decided: "allow" | "deny" | "observed";
  readonly agentId: string;
  readonly action: string;
  readonly upstream: string;
  /** The tool or route; absent for what has neither. */
  readonly name?: string;
  /** Of a deny. */
  readonly reason?: Reason;
  /** The rule that decides, or that asks for arguments; absent when none does. */
  readonly ruleId?: string;
  readonly why?: "name" | "gone" | "policy";
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}
export interface PolicyTryAnswer {
  readonly digest: string;
  /** Calls that reached the policy then. */
  readonly calls: number;
  /** Calls that were refused before any policy was asked, and are no part of this. */
  readonly before: number;
  readonly groups: readonly PolicyTryGroup[];
  /** Goes into `after` of the next request; absent at the end of the log. */
  readonly next?: number;
}

/** An upstream's observation; its id is the upstream's. */
export interface ObserveView extends ObjectIdentity, ObserveMode {
  /** False when its time is over: the policy denies again. */
  readonly active: boolean;
}
export interface ObserveStart {
  /** From now; 1,209,600 (14 days) at most, from when it began if it is under way. */
  readonly seconds: number;
}

export interface BudgetView extends ObjectIdentity, BudgetRule {}
export interface BudgetCreate {
  readonly scope: BudgetScope;
  /** As in `BudgetRule`; agents and principals may be named by id or name. */
  readonly scopeId: string;
  readonly unit: BudgetUnit;
  readonly window: Window;
  readonly limit: number;
  readonly mode: BudgetMode;
}
export interface BudgetUpdate {
  readonly version: number;
  readonly limit?: number;
  readonly mode?: BudgetMode;
}
/** Where one budget rule stands in its current window. */
export interface BudgetUsage {
  readonly budgetId: string;
  readonly scope: BudgetScope;
  readonly scopeId: string;
  readonly unit: BudgetUnit;
  readonly window: Window;
  readonly mode: BudgetMode;
  readonly limit: number;
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  /** Settled on the actual. */
  readonly used: number;
  /** Held for calls without an outcome. */
  readonly reserved: number;
  /** Charged for calls that may have run. */
  readonly unknown: number;
  /** Set aside for recorded children. */
  readonly carved: number;
}

/** A call that may have run: its gateway ended, or its upstream never said. It stays charged until that is known. */
export interface UnknownCallView {
  readonly callId: string;
  readonly openedMs: number;
  /** Of the gateway that made it. */
  readonly gatewayId: string;
  /** How many counters it is charged to. */
  readonly counters: number;
}
/** ran: the charge stays. not_run: it is given back, in windows that are not over. */
export interface CallReconcile {
  readonly outcome: "ran" | "not_run";
}
export interface CallReconcileAnswer extends CallReconcile {
  readonly callId: string;
}

export interface RateView extends ObjectIdentity, RateRule {}
/** As in `RateRule`; an agent may be named by id or name. */
export type RateCreate = RateRule;
export interface RateUpdate {
  readonly version: number;
  readonly limit: number;
}

export interface PriceView extends ObjectIdentity, Price {}
export type PriceCreate = Price;
export interface PriceUpdate {
  readonly version: number;
  readonly credits: number;
}

export interface KillView extends ObjectIdentity, Kill {}
export interface KillEngage {
  readonly reason: string;
}

export interface AuditEventView {
  readonly epoch: number;
  readonly sequence: number;
  /** Milliseconds since the epoch, the database's clock at commit. */
  readonly committedAtMs: number;
  readonly hash: string;
  readonly leaf: string;
  /** The event, read from the bytes that were hashed. */
  readonly event: Readonly<Record<string, unknown>>;
  /** Those bytes, as text. */
  readonly text: string;
}
export interface AuditEventsQuery {
  /** A sequence; events after it. -1 or left out begins at the first of the epoch. */
  readonly after?: number;
  readonly limit?: number;
  readonly epoch?: number;
  readonly event?: string;
  readonly callId?: string;
  /** Only decisions that observe mode made allows. */
  readonly wouldDeny?: true;
}
export interface AuditVerifyAnswer {
  readonly status: "intact" | "damaged";
  readonly epoch: number;
  /** First and last sequence that this run checked; equal to `size - 1` when there was nothing new. */
  readonly fromSequence: number;
  readonly toSequence: number;
  readonly size: number;
  readonly hash: string;
  readonly root: string;
  readonly checkpointsChecked: number;
  /** Of an earlier epoch: the last entry that a checkpoint speaks of and that a restore has lost; absent when none was. */
  readonly lostThrough?: number;
  /** The first damage; `findings` has all that are named. */
  readonly damage?: AuditFinding;
  readonly findings: readonly AuditFinding[];
}
export interface AuditFinding {
  readonly sequence: number;
  /** The last entry of a stretch that is damaged as a whole. */
  readonly through?: number;
  /** `mutated`, `removed_middle`, `truncated` and so on: the verifier's names. */
  readonly kind: string;
  readonly detail: string;
}
export interface CheckpointView {
  readonly epoch: number;
  readonly size: number;
  readonly root: string;
  /** The signed note, as published. */
  readonly note: string;
}
export interface LogRecover {
  readonly reason: string;
  /** The highest epoch that a gateway says it has seen; only where no checkpoint knows of it. */
  readonly epochAfter?: number;
}
export interface LogRecoverAnswer {
  readonly epoch: number;
  /** Where the old log ended. */
  readonly previousEpoch: number;
  readonly previousSequence: number;
  readonly previousHash: string;
}

export interface ExplainRequest {
  /** The token itself: in the body only, kept nowhere. A node alone cannot be explained: its caveats are the token's. */
  readonly token: string;
  readonly action?: "tool.call" | "tool.list" | "mcp.session" | "token.attenuate";
  readonly upstream: string;
  readonly tool?: string;
  /** The arguments' JSON text exactly as an agent would send it; `{}` when left out. */
  readonly argumentsText?: string;
  /** Where the token would be presented from; left out: not known. */
  readonly address?: string;
}
export interface ExplainStage {
  readonly stage: string;
  readonly status: "passed" | "denied" | "skipped";
  readonly reason?: Reason;
  readonly detail: string;
}
export interface ExplainAnswer {
  readonly decision: "allow" | "deny" | "step_up";
  readonly reasons: readonly Reason[];
  readonly detail: string;
  readonly revision: number;
  readonly policyDigest: string;
  readonly stages: readonly ExplainStage[];
}

export interface EnforcementPointView extends ObjectIdentity, Omit<EnforcementPoint, "digest"> {}
export interface EnforcementPointCreate {
  readonly name: string;
  /** Ids or names of the agents that it may assert as subjects. These or `principals`, or both. */
  readonly agents?: readonly string[];
  /** Ids or names of principals all of whose agents it may assert. */
  readonly principals?: readonly string[];
  readonly actions: readonly Action[];
  /** Names of upstreams; `*` for all. */
  readonly upstreams: readonly string[];
  /** Cut to the end of the key that makes this one, which is also what it is when left out; the answer's view says. */
  readonly expiresInSeconds?: number;
}
export interface EnforcementPointCreateAnswer {
  /** The key, `wpep_…`. Only its hash is stored: this is the only time that it appears. */
  readonly key: string;
  readonly view: EnforcementPointView;
}

export interface AdminKeyView {
  readonly id: string;
  readonly name: string;
  /** Absent for keys of the instance. */
  readonly tenantId?: string;
  readonly permissions: readonly AdminGrant[];
  readonly createdBy: string;
  readonly createdAtMs: number;
  readonly expiresAtMs?: number;
  readonly revokedAtMs?: number;
}
export interface AdminKeyCreate {
  readonly name: string;
  readonly permissions: readonly AdminGrant[];
  /** Cut to the end of the key that makes this one, which is also what it is when left out; the answer's view says. */
  readonly expiresInSeconds?: number;
}
export interface AdminKeyCreateAnswer {
  /** The key, `wadm_…`. Only its hash is stored: this is the only time that it appears. */
  readonly key: string;
  readonly view: AdminKeyView;
}
