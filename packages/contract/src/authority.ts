/**
 * Authority: everything a decision rests on that only a command can change. Each object is a record of one of
 * these closed kinds, with a version of its own; changing any moves the tenant's revision. The gateway's state is
 * built from nothing else. Shapes are of the stored JSON value.
 */
import type { Action } from "./actions.ts";
import type { BudgetMode, BudgetScope, BudgetUnit, Window } from "./budgets.ts";
import type { RatePeriod, RateScope } from "./rates.ts";

/** The tenant that stands for the instance: its kill switch binds every tenant, its log is the instance's. */
export const INSTANCE_TENANT = "00000000-0000-0000-0000-000000000000";

/** No tenant permits a root token that lives longer, in seconds. */
export const TOKEN_LIFETIME_MAX_SECONDS = 366 * 86_400;

export interface TenantSettings {
  readonly name: string;
  readonly status: "active" | "suspended";
  /** Longest life of a root token without holder key, in seconds; at most `TOKEN_LIFETIME_MAX_SECONDS`. */
  readonly tokenLifetimeMaxSeconds: number;
  /** Largest number of distinct budget counters below one root. */
  readonly budgetNodesMax: number;
}

export interface Principal {
  readonly name: string;
  readonly type: "person" | "team" | "service";
  readonly status: "active" | "suspended";
}

export interface Agent {
  readonly name: string;
  readonly principalId: string;
  readonly status: "active" | "suspended";
  readonly labels: Readonly<Record<string, string>>;
}

/** AES-256-GCM under the master key, bound to where it belongs: base64 of nonce ‖ ciphertext ‖ tag. */
export interface WrappedSecret {
  readonly wrapped: string;
}

/** A secret that goes to the upstream with each request: named here, and held by a file of the gateway's operator. */
export interface UpstreamCredential {
  readonly in: "header" | "query";
  /** Of the header or of the parameter. */
  readonly name: string;
  /** A file in the gateway's `upstreams.credentialsDir`. */
  readonly file: string;
  /** Before the value of a header, such as `Bearer `. */
  readonly prefix?: string;
}

interface HttpTransport {
  readonly type: "http";
  readonly url: string;
  readonly credentials?: readonly UpstreamCredential[];
}

/** A plain HTTP API; what of it can be reached is what its routes say. */
export interface HttpApiTransport {
  readonly type: "http_api";
  /** The base URL: a request's path is appended to its path. */
  readonly url: string;
  /** The first that matches a request is the request's; one that none matches is refused. */
  readonly routes: readonly HttpRoute[];
  readonly credentials?: readonly UpstreamCredential[];
}

export const HTTP_ROUTE_KINDS = ["public", "capability", "deny"] as const;
export type HttpRouteKind = (typeof HTTP_ROUTE_KINDS)[number];

export interface HttpRoute {
  /** Methods and path, as `compileHttpPattern` reads them: `GET,HEAD /v1/items/*`. Also its name. */
  readonly match: string;
  /**
   * capability: token and policy decide. public: the same, and whoever has no token may ask as `ANONYMOUS`, at an address
   * of its own. deny: refused, whatever they say.
   */
  readonly kind: HttpRouteKind;
}

interface StdioTransport<Value> {
  readonly type: "stdio";
  readonly command: string;
  readonly args: readonly string[];
  /** The child's whole environment besides PATH and HOME; nothing is inherited. */
  readonly env: Readonly<Record<string, Value>>;
  /** An absolute path on the gateway's machine: where the child is started. Absent: where the gateway was. */
  readonly cwd?: string;
}

/** As the admin API takes it, and shows it with `***` for each value of the environment. */
export type UpstreamTransport = HttpTransport | HttpApiTransport | StdioTransport<string>;
/** As it is stored. */
export type StoredTransport = HttpTransport | HttpApiTransport | StdioTransport<WrappedSecret>;

export interface Upstream {
  /** Unique in the tenant: `[a-z0-9][a-z0-9-]{0,62}`; also the last segment of its MCP endpoint. */
  readonly name: string;
  readonly transport: StoredTransport;
  readonly isolation: "shared" | "principal" | "session";
  readonly status: "active" | "suspended";
  readonly timeoutMs: number;
  readonly concurrencyMax: number;
  /** Absent until its catalogue was approved for the first time. */
  readonly lock?: UpstreamLock;
}

/** What was approved of an upstream besides its tools. Quarantined: none of its tools can be called. */
export interface UpstreamLock {
  /** The JSON text of its instructions as it gave them; `""` (two quotes) when it gave none. */
  readonly instructions: string;
  /** SHA-256 (hex) of their canonical form. */
  readonly digest: string;
  readonly status: "active" | "quarantined";
}

/** One pinned tool of an upstream; the object's id is `<upstream name>/<tool name>`. */
export interface Tool {
  readonly upstream: string;
  readonly name: string;
  /** The definition as the upstream gave it: the JSON text of the member of `tools`, byte for byte. */
  readonly definition: string;
  /** SHA-256 (hex) of the definition's canonical form: the same for all spellings that mean the same. */
  readonly digest: string;
  readonly status: "active" | "quarantined";
}

export interface RootKey {
  /** active: mints and verifies. verifying: verifies only. retired: refused. Object id = key id (`k` of a token). */
  readonly status: "active" | "verifying" | "retired";
  /** AES-256-GCM under the master key: base64 of nonce ‖ ciphertext ‖ tag. */
  readonly wrapped: string;
}

/** A minted root token; the object's id is its node (hex). The token itself is never stored. */
export interface RootToken {
  readonly agentId: string;
  readonly principalId: string;
  readonly keyId: string;
  readonly label: string;
  /** The minted segment: caveats as their JSON texts, in order. Policy may see these and no others. */
  readonly caveats: readonly string[];
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** A recorded child; the object's id is its node (hex). */
export interface RecordedNode {
  readonly parent: string;
  readonly root: string;
  /** The agent it was handed to when that was allowed by decision; else the parent's. */
  readonly agentId: string;
  /** All caveats between the parent and this node, as JSON texts, the closing `id` caveat included. */
  readonly caveats: readonly string[];
  readonly carves: readonly Carve[];
  readonly recordedAtMs: number;
  readonly expiresAtMs: number;
}

/** A part of the nearest ancestor's budget that was set aside for a node and all below it. */
export interface Carve {
  readonly unit: BudgetUnit;
  readonly window: Window;
  readonly amount: number;
}

/** The object's id is the node (hex) that ended, with all below it. */
export interface Revocation {
  readonly reason: string;
  readonly at: "control" | "gateway";
  readonly revokedAtMs: number;
}

/** The active policy document; the object's id is always `active`. */
export interface ActivePolicy {
  readonly versionId: string;
  readonly language: "rules";
  readonly source: string;
  /** SHA-256 (hex) of `source`. */
  readonly digest: string;
}

export interface BudgetRule {
  readonly scope: BudgetScope;
  /** node hex, agent id, principal id, `upstream/tool`, upstream name or "" for the tenant. */
  readonly scopeId: string;
  readonly unit: BudgetUnit;
  readonly window: Window;
  readonly limit: number;
  readonly mode: BudgetMode;
}

/** How often may be attempted, whatever it is; unique in scope, name and period. */
export interface RateRule {
  readonly scope: RateScope;
  /** agent id, upstream name or "" for the tenant. */
  readonly scopeId: string;
  /** Of all gateways together: each has an equal part of it. */
  readonly limit: number;
  readonly per: RatePeriod;
}

/** One entry of the tenant's price list. */
export interface Price {
  /** `upstream/tool` or `upstream/METHOD /path`, where `*` stands for any run of characters within its part; unique. */
  readonly pattern: string;
  /** Whole credits of one call; 0 is free. */
  readonly credits: number;
}

export const KILL_SCOPES = ["instance", "tenant", "agent", "principal", "upstream", "tool"] as const;
export type KillScope = (typeof KILL_SCOPES)[number];

/** An engaged kill switch; the object's id is `<scope>:<scopeId>`. Released = deleted. */
export interface Kill {
  readonly scope: KillScope;
  /** "" for instance and tenant; agent or principal id; upstream name; `upstream/tool`. */
  readonly scopeId: string;
  readonly reason: string;
  readonly engagedAtMs: number;
}

/**
 * Somebody who asks for decisions on behalf of agents and enforces them elsewhere. Lists name what it may ask; what is
 * in none of them it may not.
 */
export interface EnforcementPoint {
  readonly name: string;
  /** SHA-256 (hex) of its key, which itself is not stored. */
  readonly digest: string;
  /** Ids of the agents that it may assert as subjects. */
  readonly agents: readonly string[];
  /** Ids of principals all of whose agents it may assert. */
  readonly principals: readonly string[];
  readonly actions: readonly Action[];
  /** Names of upstreams; `*` for all. */
  readonly upstreams: readonly string[];
  readonly createdAtMs: number;
  readonly createdBy: string;
  /** Absent: until it is revoked. */
  readonly expiresAtMs?: number;
}

/** How long an upstream may be under observation. */
export const OBSERVE_DAYS_MAX = 14;
export const OBSERVE_MS_MAX = OBSERVE_DAYS_MAX * 86_400_000;

/**
 * An upstream under observation: what the policy would deny of it is allowed, and said. The object's id is that of the
 * upstream, so that another one of the same name is not under it.
 */
export interface ObserveMode {
  /** The upstream's name. */
  readonly upstream: string;
  readonly startedAtMs: number;
  readonly startedBy: string;
  /** No later than `OBSERVE_MS_MAX` after its start; what says otherwise is no observation. */
  readonly untilMs: number;
}

export interface AuthorityValues {
  readonly tenant: TenantSettings;
  readonly principal: Principal;
  readonly agent: Agent;
  readonly upstream: Upstream;
  readonly tool: Tool;
  readonly root_key: RootKey;
  readonly root_token: RootToken;
  readonly node: RecordedNode;
  readonly revocation: Revocation;
  readonly policy: ActivePolicy;
  readonly budget: BudgetRule;
  readonly rate: RateRule;
  readonly price: Price;
  readonly kill: Kill;
  readonly enforcement_point: EnforcementPoint;
  readonly observe_mode: ObserveMode;
}

export type AuthorityKind = keyof AuthorityValues;

export const AUTHORITY_KINDS = [
  "tenant",
  "principal",
  "agent",
  "upstream",
  "tool",
  "root_key",
  "root_token",
  "node",
  "revocation",
  "policy",
  "budget",
  "rate",
  "price",
  "kill",
  "enforcement_point",
  "observe_mode",
] as const satisfies readonly AuthorityKind[];

/** One object of authority, tagged by kind. */
export type AuthorityObject = {
  [K in AuthorityKind]: {
    readonly kind: K;
    readonly id: string;
    readonly version: number;
    readonly value: AuthorityValues[K];
  };
}[AuthorityKind];

/** One change: the new object, or the name of one that ended. Applied in (revision, position) order. */
export type AuthorityChange =
  | { readonly type: "put"; readonly object: AuthorityObject }
  | { readonly type: "delete"; readonly kind: AuthorityKind; readonly id: string };

/** What the state of one tenant is built from: one consistent snapshot. */
export interface AuthoritySnapshot {
  readonly tenantId: string;
  readonly revision: number;
  /** The instance's revision that the same snapshot saw. */
  readonly instanceRevision: number;
  readonly epoch: number;
  readonly objects: readonly AuthorityObject[];
  /** Objects of the instance (its kill switch); the same for every tenant. */
  readonly instanceObjects: readonly AuthorityObject[];
}
