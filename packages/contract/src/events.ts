/**
 * The catalogue of audit events: every name that code may emit, its version, and its fields with their shapes.
 * docs/reference/events.md is generated from this file, and a test fails when code emits what it lacks.
 * Every event also has the envelope `v` (integer), `event` (name), `id` (UUIDv7), `time` (ms, the writer's clock)
 * and `tenant` (UUID); its place (sequence, commit time, previous hash) is the link's, not the event's.
 */
export type FieldType = "string" | "integer" | "boolean" | "strings" | "object" | "objects";

export interface EventEntry {
  readonly version: number;
  readonly category:
    | "call"
    | "token"
    | "registry"
    | "policy"
    | "budget"
    | "kill"
    | "log"
    | "auth"
    | "gateway"
    | "catalogue";
  readonly sentence: string;
  readonly fields: Readonly<Record<string, FieldType>>;
  /** Fields that may be absent. */
  readonly optional?: readonly string[];
}

const admin = { by: "string", version: "integer" } as const;

/** What is said of every attempt that was judged, behind its call, reasons and decision. */
const attempt = {
  agentId: "string",
  principalId: "string",
  node: "string",
  root: "string",
  enforcementPoint: "string",
  action: "string",
  protocol: "string",
  upstream: "string",
  tool: "string",
  resource: "string",
  route: "string",
  method: "string",
  definition: "string",
  revision: "integer",
  policy: "string",
  validUntil: "integer",
  arguments: "string",
  input: "string",
  claims: "objects",
  gateway: "string",
  ruleId: "string",
  wouldDeny: "object",
} as const;

/**
 * `node` and `root` are a token's, `enforcementPoint` is there for a subject that was asserted without one, `wouldDeny`
 * (reason, and rule where there is one) for an allow that only observe mode made one.
 */
const attemptOptional = [
  "node",
  "root",
  "enforcementPoint",
  "tool",
  "resource",
  "route",
  "method",
  "definition",
  "policy",
  "validUntil",
  "arguments",
  "input",
  "claims",
  "ruleId",
  "wouldDeny",
  "upstream",
] as const;

/** Of a request body that was passed on as a stream: the bytes that went by, and the digest when all of them did. */
const streamed = { requestBytes: "integer", requestDigest: "string" } as const;
const streamedOptional = ["requestBytes", "requestDigest"] as const;

export const EVENTS = {
  "call.decided": {
    version: 1,
    category: "call",
    sentence: "An attempt was judged; an allow of it may be forwarded once this event is committed.",
    // `idempotencyKey` is a salted digest.
    fields: {
      callId: "string",
      decision: "string",
      reasons: "strings",
      check: "string",
      ...attempt,
      idempotencyKey: "string",
    },
    optional: [...attemptOptional, "check", "idempotencyKey"],
  },
  "decision.given": {
    version: 1,
    category: "call",
    sentence:
      "An attempt was judged and allowed for somebody else to enforce: it was charged at once, and what became of it is not known.",
    fields: { callId: "string", reasons: "strings", ...attempt },
    optional: attemptOptional,
  },
  "call.completed": {
    version: 1,
    category: "call",
    sentence: "An allowed call was forwarded and its answer arrived whole.",
    fields: {
      callId: "string",
      status: "string",
      responseBytes: "integer",
      digest: "string",
      durationMs: "integer",
      messages: "integer",
      ...streamed,
    },
    optional: ["digest", "messages", ...streamedOptional],
  },
  "call.failed": {
    version: 1,
    category: "call",
    sentence: "An allowed call was sent, and the upstream or the stream broke.",
    fields: {
      callId: "string",
      status: "string",
      responseBytes: "integer",
      digest: "string",
      durationMs: "integer",
      messages: "integer",
      ...streamed,
    },
    optional: ["digest", "messages", ...streamedOptional],
  },
  "call.aborted": {
    version: 1,
    category: "call",
    sentence: "An allowed call was surely not sent; its reservations were released.",
    fields: { callId: "string", status: "string" },
  },
  "call.unknown": {
    version: 1,
    category: "call",
    sentence: "An allowed call may have been sent; its reservations stay charged.",
    fields: { callId: "string", status: "string", ...streamed },
    optional: streamedOptional,
  },
  "call.settled_late": {
    version: 1,
    category: "call",
    sentence: "The outcome of a call recorded as unknown became known.",
    fields: { callId: "string", outcome: "string", status: "string" },
  },
  "call.reconciled": {
    version: 1,
    category: "call",
    sentence: "An administrator said what became of a call recorded as unknown.",
    fields: { by: "string", callId: "string", outcome: "string" },
  },
  "call.denied_summary": {
    version: 1,
    category: "call",
    sentence: "Denials of one recorded node and reason beyond the first twenty of a minute, counted.",
    fields: {
      node: "string",
      reason: "string",
      count: "integer",
      fromTime: "integer",
      toTime: "integer",
      gateway: "string",
    },
  },
  "auth.rejected": {
    version: 1,
    category: "auth",
    sentence: "Unauthenticated or unverifiable requests, counted and sampled.",
    fields: { reason: "string", count: "integer", fromTime: "integer", toTime: "integer", gateway: "string" },
  },
  "token.minted": {
    version: 1,
    category: "token",
    sentence: "A root token was minted.",
    fields: {
      ...admin,
      node: "string",
      agentId: "string",
      principalId: "string",
      keyId: "string",
      caveats: "strings",
      expiresAt: "integer",
    },
  },
  "token.attenuated": {
    version: 1,
    category: "token",
    sentence: "A child was recorded by the gateway, at a holder's request.",
    fields: {
      callId: "string",
      node: "string",
      parent: "string",
      root: "string",
      agentId: "string",
      caveats: "strings",
      carves: "objects",
      expiresAt: "integer",
    },
  },
  "token.revoked": {
    version: 1,
    category: "token",
    sentence: "A node was revoked, with all below it.",
    fields: { ...admin, node: "string", reason: "string" },
  },
  "token.banned": {
    version: 1,
    category: "token",
    sentence: "The gateway itself ended a node (a narrowing command).",
    fields: { node: "string", reason: "string", gateway: "string" },
  },
  "token.pruned": {
    version: 1,
    category: "token",
    sentence: "Root tokens that expired long ago, and what was recorded or revoked below them, ended on record too.",
    fields: { by: "string", rootTokens: "integer", nodes: "integer", revocations: "integer" },
  },
  "budget.refunded": {
    version: 1,
    category: "budget",
    sentence: "What remained of a carve returned to the counters it came from.",
    fields: { node: "string", counter: "string", amount: "integer", cause: "string" },
  },
  "budget.exceeded": {
    version: 1,
    category: "budget",
    sentence:
      "An allowed call went over a soft limit, or a carve; each gateway says so once a minute at most for each, of calls and of carves.",
    fields: {
      callId: "string",
      scope: "string",
      scopeId: "string",
      unit: "string",
      window: "string",
      windowStart: "integer",
      limit: "integer",
      used: "integer",
      mode: "string",
    },
  },
  "root_key.created": {
    version: 1,
    category: "token",
    sentence: "A root key was created.",
    fields: { ...admin, keyId: "string" },
  },
  "root_key.rotated": {
    version: 1,
    category: "token",
    sentence: "A new root key mints; the one before verifies.",
    fields: { ...admin, keyId: "string", previous: "string" },
  },
  "root_key.retired": {
    version: 1,
    category: "token",
    sentence: "A root key was retired; its tokens are refused.",
    fields: { ...admin, keyId: "string" },
  },
  "tenant.created": {
    version: 1,
    category: "registry",
    sentence: "A tenant was created.",
    fields: { ...admin, tenantId: "string" },
  },
  "tenant.updated": {
    version: 1,
    category: "registry",
    sentence: "A tenant's settings changed.",
    fields: { ...admin, changed: "strings" },
  },
  "principal.created": {
    version: 1,
    category: "registry",
    sentence: "A principal was registered.",
    fields: { ...admin, principalId: "string" },
  },
  "principal.updated": {
    version: 1,
    category: "registry",
    sentence: "A principal changed.",
    fields: { ...admin, principalId: "string", changed: "strings" },
  },
  "agent.created": {
    version: 1,
    category: "registry",
    sentence: "An agent was registered.",
    fields: { ...admin, agentId: "string", principalId: "string" },
  },
  "agent.updated": {
    version: 1,
    category: "registry",
    sentence: "An agent changed.",
    fields: { ...admin, agentId: "string", changed: "strings" },
  },
  "upstream.created": {
    version: 1,
    category: "registry",
    sentence: "An upstream was registered.",
    fields: { ...admin, upstreamId: "string", upstream: "string" },
  },
  "upstream.updated": {
    version: 1,
    category: "registry",
    sentence: "An upstream changed.",
    fields: { ...admin, upstreamId: "string", changed: "strings" },
  },
  "upstream.removed": {
    version: 1,
    category: "registry",
    sentence: "An upstream was removed, with its tools.",
    fields: { ...admin, upstreamId: "string", upstream: "string" },
  },
  "upstream.unavailable": {
    version: 1,
    category: "gateway",
    sentence: "A gateway gave an upstream up for a while, after so many failures in a row.",
    fields: { upstream: "string", failures: "integer", status: "string", gateway: "string" },
  },
  "upstream.available": {
    version: 1,
    category: "gateway",
    sentence: "An upstream that was given up answers that gateway again.",
    fields: { upstream: "string", gateway: "string" },
  },
  "catalogue.pinned": {
    version: 1,
    category: "catalogue",
    sentence: "The tools of an upstream were pinned by digest; flagged ones are named, and those that were held back.",
    fields: { ...admin, upstream: "string", tools: "integer", digest: "string", flags: "objects", held: "strings" },
    optional: ["flags", "held"],
  },
  "catalogue.approved": {
    version: 1,
    category: "catalogue",
    sentence: "What an upstream gives now was approved as a review showed it, flags included.",
    fields: {
      ...admin,
      upstream: "string",
      review: "string",
      approved: "objects",
      unpinned: "strings",
      instructions: "string",
      flags: "objects",
    },
    optional: ["instructions", "flags"],
  },
  "catalogue.rejected": {
    version: 1,
    category: "catalogue",
    sentence: "What an upstream gives now was refused as a review showed it; what is pinned of it is quarantined.",
    fields: { ...admin, upstream: "string", review: "string", rejected: "strings", instructions: "boolean" },
  },
  "catalogue.changed": {
    version: 1,
    category: "catalogue",
    sentence:
      "An upstream lists something else than when it was read last: what is new is pending, what is gone or changed is named.",
    fields: {
      upstream: "string",
      digest: "string",
      added: "strings",
      missing: "strings",
      changed: "strings",
      instructions: "string",
    },
  },
  "tool.quarantined": {
    version: 1,
    category: "catalogue",
    sentence:
      "A pinned tool is defined otherwise by its upstream; the gateway itself quarantined it (a narrowing command).",
    fields: { upstream: "string", tool: "string", pinned: "string", seen: "string", gateway: "string" },
  },
  "upstream.quarantined": {
    version: 1,
    category: "catalogue",
    sentence:
      "An upstream gives other instructions than the pinned ones; the gateway itself quarantined all its tools (a narrowing command).",
    fields: { upstream: "string", pinned: "string", seen: "string", gateway: "string" },
  },
  "catalogue.read": {
    version: 1,
    category: "catalogue",
    sentence: "The gateway itself read an upstream's catalogue.",
    fields: { upstream: "string", status: "string", tools: "integer" },
  },
  "observe.started": {
    version: 1,
    category: "policy",
    sentence:
      "An upstream was put under observation, or its observation got another end: what the policy would deny of it is allowed until then.",
    fields: { ...admin, upstreamId: "string", upstream: "string", until: "integer" },
  },
  "observe.stopped": {
    version: 1,
    category: "policy",
    sentence: "The observation of an upstream was ended before or after its time: the policy denies again.",
    fields: { ...admin, upstreamId: "string", upstream: "string" },
  },
  "policy.proposed": {
    version: 1,
    category: "policy",
    sentence: "A policy version was stored.",
    fields: { ...admin, versionId: "string", digest: "string" },
  },
  "policy.activated": {
    version: 1,
    category: "policy",
    sentence: "A policy version was made the active one.",
    fields: { ...admin, versionId: "string", digest: "string", previous: "string" },
  },
  "budget.created": {
    version: 1,
    category: "budget",
    sentence: "A budget rule was created.",
    fields: { ...admin, budgetId: "string" },
  },
  "budget.updated": {
    version: 1,
    category: "budget",
    sentence: "A budget rule changed.",
    fields: { ...admin, budgetId: "string", changed: "strings" },
  },
  "budget.removed": {
    version: 1,
    category: "budget",
    sentence: "A budget rule was removed.",
    fields: { ...admin, budgetId: "string" },
  },
  "rate.created": {
    version: 1,
    category: "budget",
    sentence: "A rate was set.",
    fields: { ...admin, rateId: "string" },
  },
  "rate.updated": {
    version: 1,
    category: "budget",
    sentence: "A rate's limit changed.",
    fields: { ...admin, rateId: "string", changed: "strings" },
  },
  "rate.removed": {
    version: 1,
    category: "budget",
    sentence: "A rate was removed.",
    fields: { ...admin, rateId: "string" },
  },
  "rate.shared": {
    version: 1,
    category: "gateway",
    sentence:
      "A gateway had no room to count some addresses, tokens or rules by themselves: they shared one rate, so often.",
    fields: { gateway: "string", table: "string", count: "integer" },
  },
  "price.created": {
    version: 1,
    category: "budget",
    sentence: "An entry was added to the price list.",
    fields: { ...admin, priceId: "string", credits: "integer" },
  },
  "price.updated": {
    version: 1,
    category: "budget",
    sentence: "An entry of the price list changed.",
    fields: { ...admin, priceId: "string", credits: "integer" },
  },
  "price.removed": {
    version: 1,
    category: "budget",
    sentence: "An entry of the price list was removed.",
    fields: { ...admin, priceId: "string" },
  },
  "kill.engaged": {
    version: 1,
    category: "kill",
    sentence: "A kill switch was engaged.",
    fields: { ...admin, scope: "string", scopeId: "string", reason: "string" },
  },
  "kill.released": {
    version: 1,
    category: "kill",
    sentence: "A kill switch was released.",
    fields: { ...admin, scope: "string", scopeId: "string" },
  },
  "admin_key.created": {
    version: 1,
    category: "auth",
    sentence: "An admin key was created.",
    fields: { ...admin, keyId: "string", permissions: "strings" },
  },
  "admin_key.revoked": {
    version: 1,
    category: "auth",
    sentence: "An admin key was revoked.",
    fields: { ...admin, keyId: "string" },
  },
  "enforcement_point.created": {
    version: 1,
    category: "auth",
    sentence: "An enforcement point was given a key, with the subjects that it may assert and what it may ask about.",
    fields: {
      ...admin,
      enforcementPointId: "string",
      agents: "strings",
      principals: "strings",
      actions: "strings",
      upstreams: "strings",
      expiresAt: "integer",
    },
    optional: ["expiresAt"],
  },
  "enforcement_point.revoked": {
    version: 1,
    category: "auth",
    sentence: "An enforcement point's key was revoked.",
    fields: { ...admin, enforcementPointId: "string" },
  },
  "log.opened": { version: 1, category: "log", sentence: "The first event of a log.", fields: { epoch: "integer" } },
  "log.recovered": {
    version: 1,
    category: "log",
    sentence: "A new epoch was opened after a restore; the first event of it.",
    fields: {
      ...admin,
      epoch: "integer",
      previousEpoch: "integer",
      previousSequence: "integer",
      previousHash: "string",
    },
  },
  "log.sealed": {
    version: 1,
    category: "log",
    sentence: "A keyed seal over an earlier link, made outside the database.",
    fields: { epoch: "integer", sequence: "integer", hash: "string", keyId: "string", seal: "string" },
  },
  "gateway.started": {
    version: 1,
    category: "gateway",
    sentence: "A gateway process started, with its dangerous options.",
    fields: { gateway: "string", version: "string", dangerous: "strings" },
  },
  "gateway.lapsed": {
    version: 1,
    category: "gateway",
    sentence: "A gateway's lease lapsed; its open calls became unknown.",
    fields: { gateway: "string", calls: "integer" },
  },
  "gateway.stopped": {
    version: 1,
    category: "gateway",
    sentence: "A gateway process drained and stopped.",
    fields: { gateway: "string" },
  },
} as const satisfies Record<string, EventEntry>;

export type EventName = keyof typeof EVENTS;

type FieldValue<T extends FieldType> = T extends "string"
  ? string
  : T extends "integer"
    ? number
    : T extends "boolean"
      ? boolean
      : T extends "strings"
        ? readonly string[]
        : T extends "object"
          ? Readonly<Record<string, unknown>>
          : readonly Readonly<Record<string, unknown>>[];

type OptionalFields<N extends EventName> = (typeof EVENTS)[N] extends { readonly optional: readonly (infer O)[] }
  ? O
  : never;
type Fields<N extends EventName> = (typeof EVENTS)[N]["fields"];
type Required<N extends EventName> = Exclude<keyof Fields<N>, OptionalFields<N>>;
type Optional<N extends EventName> = Extract<keyof Fields<N>, OptionalFields<N>>;

/** An event before it is encoded: the envelope and the fields its catalogue entry names. */
export type AuditEvent = {
  [N in EventName]: {
    readonly event: N;
    readonly id: string;
    readonly timeMs: number;
    readonly tenantId: string;
    readonly fields: {
      readonly [K in Required<N>]: Fields<N>[K] extends FieldType ? FieldValue<Fields<N>[K]> : never;
    } & {
      /** `undefined` counts as absent. */
      readonly [K in Optional<N>]?: Fields<N>[K] extends FieldType ? FieldValue<Fields<N>[K]> | undefined : never;
    };
  };
}[EventName];
