/**
 * The JSON shapes of the admin API as schemas: what is refused before a handler runs, and what the OpenAPI document
 * says. They write down packages/contract/src/admin; a test compares the two by use.
 */
import {
  ACTIONS,
  HTTP_ROUTE_KINDS,
  OBSERVE_DAYS_MAX,
  RATE_LIMIT_MAX,
  RATE_PERIODS,
  RATE_SCOPES,
  TOKEN_LIFETIME_MAX_SECONDS,
} from "@writ/contract";
import { TOOL_FLAGS, type ToolFlagCode } from "@writ/contract/admin";
import { EPOCH_MAX } from "@writ/history";
import Type, { type TSchema } from "typebox";

const closed = { additionalProperties: false } as const;
const object = <P extends Record<string, TSchema>>(properties: P) => Type.Object(properties, closed);
const oneOf = <const T extends readonly string[]>(values: T) => Type.Union(values.map((value) => Type.Literal(value)));
const text = (maxLength: number, minLength = 1) => Type.String({ minLength, maxLength });
const optional = Type.Optional;

/** Names of agents, principals and tenants: printable, not padded, at most 128 characters. */
const name = Type.String({ minLength: 1, maxLength: 128, pattern: "^[^\\s\\p{C}](?:[^\\p{C}]*[^\\s\\p{C}])?$" });
const slug = Type.String({ minLength: 1, maxLength: 63, pattern: "^[a-z0-9][a-z0-9-]{0,62}$" });
const version = Type.Integer({ minimum: 1 });
const reference = text(128);
const status = oneOf(["active", "suspended"]);
const labels = Type.Record(Type.String({ pattern: "^[A-Za-z0-9._/-]{1,64}$" }), Type.String({ maxLength: 256 }), {
  maxProperties: 32,
});
const lifetime = Type.Integer({ minimum: 1, maximum: TOKEN_LIFETIME_MAX_SECONDS });
const reason = text(512);
const digits = Type.String({ pattern: "^[0-9]{1,15}$" });
const objectId = { id: Type.String(), version: Type.Integer() };
const scope = oneOf(["node", "agent", "principal", "tool", "upstream", "tenant"]);
const unit = oneOf(["calls", "credits"]);
const window = oneOf(["minute", "hour", "day", "week", "month", "total"]);
const mode = oneOf(["hard", "soft", "shadow"]);
const timeMs = Type.Integer();

const credentials = optional(
  Type.Array(
    object({
      in: oneOf(["header", "query"]),
      name: Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$" }),
      file: Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$" }),
      prefix: optional(Type.String({ pattern: "^[A-Za-z0-9][ -~]{0,31}$" })),
    }),
    { minItems: 1, maxItems: 8 },
  ),
);
const transport = Type.Union([
  object({
    type: Type.Literal("http"),
    url: Type.String({ minLength: 1, maxLength: 2048, pattern: "^https?://" }),
    credentials,
  }),
  object({
    type: Type.Literal("http_api"),
    url: Type.String({ minLength: 1, maxLength: 2048, pattern: "^https?://" }),
    routes: Type.Array(object({ match: text(1024), kind: oneOf(HTTP_ROUTE_KINDS) }), { minItems: 1, maxItems: 256 }),
    credentials,
  }),
  object({
    type: Type.Literal("stdio"),
    command: text(4096),
    args: Type.Array(Type.String({ maxLength: 4096 }), { maxItems: 128 }),
    env: Type.Record(Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]{0,127}$" }), Type.String({ maxLength: 32_768 }), {
      maxProperties: 64,
    }),
    cwd: optional(Type.String({ minLength: 1, maxLength: 4096, pattern: "^(?:/|[A-Za-z]:[\\\\/])[^\\u0000]*$" })),
  }),
]);
const isolation = oneOf(["shared", "principal", "session"]);
const timeoutMs = Type.Integer({ minimum: 100, maximum: 3_600_000 });
const concurrencyMax = Type.Integer({ minimum: 1, maximum: 10_000 });

export const page = (item: TSchema) => object({ items: Type.Array(item), next: optional(Type.String()) });
export const pageQuery = object({ after: optional(text(512)), limit: optional(digits) });
export const versionQuery = object({ version: digits });

export const tenantView = object({
  ...objectId,
  name: Type.String(),
  status,
  tokenLifetimeMaxSeconds: Type.Integer(),
  budgetNodesMax: Type.Integer(),
});
const budgetNodesMax = Type.Integer({ minimum: 1, maximum: 1_000_000 });
export const tenantCreate = object({
  name: slug,
  tokenLifetimeMaxSeconds: optional(lifetime),
  budgetNodesMax: optional(budgetNodesMax),
});
export const tenantUpdate = object({
  version,
  name: optional(slug),
  status: optional(status),
  tokenLifetimeMaxSeconds: optional(lifetime),
  budgetNodesMax: optional(budgetNodesMax),
});

const principalType = oneOf(["person", "team", "service"]);
export const principalView = object({ ...objectId, name: Type.String(), type: principalType, status });
export const principalCreate = object({ name, type: principalType });
export const principalUpdate = object({ version, name: optional(name), status: optional(status) });

export const agentView = object({
  ...objectId,
  name: Type.String(),
  principalId: Type.String(),
  status,
  labels: Type.Record(Type.String(), Type.String()),
});
export const agentCreate = object({ name, principal: reference, labels: optional(labels) });
export const agentUpdate = object({
  version,
  name: optional(name),
  status: optional(status),
  labels: optional(labels),
});

export const upstreamView = object({
  ...objectId,
  name: Type.String(),
  transport,
  isolation,
  status,
  timeoutMs: Type.Integer(),
  concurrencyMax: Type.Integer(),
  toolsPinned: Type.Integer(),
  breaker: object({
    state: oneOf(["closed", "open", "half_open", "unknown"]),
    gateways: Type.Integer(),
    liveGateways: Type.Integer(),
    untilMs: optional(Type.Integer()),
  }),
});
export const upstreamCreate = object({
  name: slug,
  transport,
  isolation: optional(isolation),
  timeoutMs: optional(timeoutMs),
  concurrencyMax: optional(concurrencyMax),
});
export const upstreamUpdate = object({
  version,
  transport: optional(transport),
  isolation: optional(isolation),
  status: optional(status),
  timeoutMs: optional(timeoutMs),
  concurrencyMax: optional(concurrencyMax),
});
export const toolView = object({
  ...objectId,
  upstream: Type.String(),
  name: Type.String(),
  status: oneOf(["active", "quarantined"]),
  digest: Type.String(),
  definition: Type.String(),
});
const toolFlag = object({
  // The names of a closed list.
  code: oneOf(Object.keys(TOOL_FLAGS) as ToolFlagCode[]),
  detail: Type.String(),
});
const reviewed = {
  change: oneOf(["unchanged", "added", "changed", "missing", "restored"]),
  status: oneOf(["active", "quarantined", "pending", "rejected"]),
  pinned: optional(Type.String()),
  seen: optional(Type.String()),
  flags: Type.Array(toolFlag),
  diff: Type.Array(Type.String()),
};
export const catalogueReview = object({
  upstream: Type.String(),
  review: Type.String(),
  observedAtMs: timeMs,
  pending: Type.Boolean(),
  tools: Type.Array(object({ name: Type.String(), ...reviewed })),
  instructions: object(reviewed),
});
export const catalogueDecide = object({
  review: Type.String({ pattern: "^[0-9a-f]{64}$" }),
  tools: optional(Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 2_000 })),
  instructions: optional(Type.Boolean()),
});
export const catalogueDecideAnswer = object({
  upstream: Type.String(),
  tools: Type.Array(Type.String()),
  instructions: Type.Boolean(),
});
export const pinAnswer = object({
  upstream: Type.String(),
  tools: Type.Array(
    object({
      name: Type.String(),
      digest: Type.String(),
      change: oneOf(["added", "pending", "held", "unchanged", "removed"]),
      flags: Type.Array(toolFlag),
    }),
  ),
  digest: Type.String(),
  observedAtMs: timeMs,
});

export const rootKeyView = object({ ...objectId, status: oneOf(["active", "verifying", "retired"]) });
export const rootKeyRotateAnswer = object({ key: rootKeyView, previous: Type.String() });

const revocation = object({ reason: Type.String(), at: oneOf(["control", "gateway"]), revokedAtMs: timeMs });
const rootToken = {
  agentId: Type.String(),
  principalId: Type.String(),
  keyId: Type.String(),
  label: Type.String(),
  caveats: Type.Array(Type.String()),
  issuedAtMs: timeMs,
  expiresAtMs: timeMs,
};
export const tokenView = object({ ...objectId, ...rootToken, node: Type.String(), revoked: optional(revocation) });
export const tokenMint = object({
  agent: reference,
  caveats: optional(
    Type.Array(
      Type.Union([text(8_192, 2), Type.Record(Type.String(), Type.Unknown(), { minProperties: 1, maxProperties: 1 })]),
      {
        maxItems: 60,
      },
    ),
  ),
  expiresInSeconds: optional(lifetime),
  label: optional(Type.String({ maxLength: 128 })),
});
export const tokenMintAnswer = object({
  token: Type.String(),
  node: Type.String(),
  agentId: Type.String(),
  principalId: Type.String(),
  expiresAtMs: timeMs,
  caveats: Type.Array(Type.String()),
});
export const nodeView = object({
  node: Type.String(),
  kind: oneOf(["root", "recorded", "unrecorded"]),
  root: optional(object(rootToken)),
  recorded: optional(Type.Unknown()),
  revoked: optional(revocation),
  children: Type.Array(Type.Unknown()),
});
export const nodeRevoke = object({ reason });
export const nodeRevokeAnswer = object({ node: Type.String(), revokedAtMs: timeMs, changed: Type.Boolean() });

export const policyView = object({
  ...objectId,
  versionId: Type.String(),
  language: Type.Literal("rules"),
  source: Type.String(),
  digest: Type.String(),
});
export const policyVersionView = object({
  id: Type.String(),
  language: Type.Literal("rules"),
  digest: Type.String(),
  createdBy: Type.String(),
  createdAtMs: timeMs,
  active: Type.Boolean(),
  source: optional(Type.String()),
});
export const policySource = object({
  source: Type.String({ maxLength: 524_288 }),
  skipTests: optional(Type.Boolean()),
});
export const policyValidateAnswer = object({
  valid: Type.Boolean(),
  digest: Type.String(),
  problems: Type.Array(object({ line: Type.Integer(), column: Type.Integer(), message: Type.String() })),
  tests: Type.Array(object({ name: Type.String(), passed: Type.Boolean(), message: Type.String() })),
});
const sequence = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const policyTry = object({
  source: Type.String({ maxLength: 524_288 }),
  after: optional(sequence),
  epoch: optional(Type.Integer({ minimum: 1, maximum: EPOCH_MAX })),
  upstream: optional(text(63)),
  sinceMs: optional(sequence),
});
export const policyTryAnswer = object({
  digest: Type.String(),
  calls: Type.Integer(),
  before: Type.Integer(),
  groups: Type.Array(
    object({
      outcome: oneOf(["allow", "deny", "arguments", "unknown"]),
      decided: oneOf(["allow", "deny", "observed"]),
      agentId: Type.String(),
      action: Type.String(),
      upstream: Type.String(),
      name: optional(Type.String()),
      reason: optional(Type.String()),
      ruleId: optional(Type.String()),
      why: optional(oneOf(["name", "gone", "policy"])),
      count: Type.Integer(),
      firstMs: timeMs,
      lastMs: timeMs,
    }),
  ),
  next: optional(Type.Integer()),
});
export const policyActivate = object({ expectedActive: Type.Union([text(64), Type.Null()]) });
export const policyDiffQuery = object({ from: text(64), to: text(64) });
export const policyDiffAnswer = object({
  from: Type.String(),
  to: Type.String(),
  lines: Type.Array(object({ kind: oneOf(["same", "added", "removed"]), text: Type.String() })),
});

export const observeView = object({
  ...objectId,
  upstream: Type.String(),
  startedAtMs: timeMs,
  startedBy: Type.String(),
  untilMs: timeMs,
  active: Type.Boolean(),
});
export const observeStart = object({
  seconds: Type.Integer({ minimum: 60, maximum: OBSERVE_DAYS_MAX * 86_400 }),
});

const limit = Type.Integer({ minimum: 0, maximum: 1_000_000_000_000 });
const budget = { scope, scopeId: Type.String({ maxLength: 512 }), unit, window, limit, mode };
export const budgetView = object({ ...objectId, ...budget });
export const budgetCreate = object(budget);
export const budgetUpdate = object({ version, limit: optional(limit), mode: optional(mode) });
export const budgetUsage = object({
  budgetId: Type.String(),
  ...budget,
  windowStartMs: timeMs,
  windowEndMs: timeMs,
  used: Type.Integer(),
  reserved: Type.Integer(),
  unknown: Type.Integer(),
  carved: Type.Integer(),
});

export const unknownCall = object({
  callId: Type.String(),
  openedMs: timeMs,
  gatewayId: Type.String(),
  counters: Type.Integer(),
});
const ranOutcome = oneOf(["ran", "not_run"]);
export const callReconcile = object({ outcome: ranOutcome });
export const callReconcileAnswer = object({ callId: Type.String(), outcome: ranOutcome });

const rateLimit = Type.Integer({ minimum: 1, maximum: RATE_LIMIT_MAX });
const rate = {
  scope: oneOf(RATE_SCOPES),
  scopeId: Type.String({ maxLength: 512 }),
  limit: rateLimit,
  per: oneOf(RATE_PERIODS),
};
export const rateView = object({ ...objectId, ...rate });
export const rateCreate = object(rate);
export const rateUpdate = object({ version, limit: rateLimit });

const credits = limit;
export const priceView = object({ ...objectId, pattern: Type.String(), credits });
export const priceCreate = object({ pattern: Type.String({ minLength: 3, maxLength: 512 }), credits });
export const priceUpdate = object({ version, credits });

export const killView = object({
  ...objectId,
  scope: oneOf(["instance", "tenant", "agent", "principal", "upstream", "tool"]),
  scopeId: Type.String(),
  reason: Type.String(),
  engagedAtMs: timeMs,
});
export const killEngage = object({ reason });

export const auditEventsQuery = object({
  after: optional(digits),
  limit: optional(digits),
  epoch: optional(digits),
  event: optional(text(64)),
  callId: optional(text(64)),
  wouldDeny: optional(Type.Literal("true")),
});
export const auditEventView = object({
  epoch: Type.Integer(),
  sequence: Type.Integer(),
  committedAtMs: timeMs,
  hash: Type.String(),
  leaf: Type.String(),
  event: Type.Record(Type.String(), Type.Unknown()),
  text: Type.String(),
});
export const auditVerifyQuery = object({ full: optional(oneOf(["true", "false"])), epoch: optional(digits) });
const auditFinding = object({
  sequence: Type.Integer(),
  through: optional(Type.Integer()),
  kind: Type.String(),
  detail: Type.String(),
});
export const auditVerifyAnswer = object({
  status: oneOf(["intact", "damaged"]),
  epoch: Type.Integer(),
  fromSequence: Type.Integer(),
  toSequence: Type.Integer(),
  size: Type.Integer(),
  hash: Type.String(),
  root: Type.String(),
  checkpointsChecked: Type.Integer(),
  lostThrough: optional(Type.Integer()),
  damage: optional(auditFinding),
  findings: Type.Array(auditFinding),
});
export const auditExportQuery = object({ epoch: optional(digits) });
export const checkpointView = object({
  epoch: Type.Integer(),
  size: Type.Integer(),
  root: Type.String(),
  note: Type.String(),
});
export const logRecover = object({
  reason,
  epochAfter: optional(Type.Integer({ minimum: 1, maximum: EPOCH_MAX - 1 })),
});
export const logRecoverAnswer = object({
  epoch: Type.Integer(),
  previousEpoch: Type.Integer(),
  previousSequence: Type.Integer(),
  previousHash: Type.String(),
});

export const explainRequest = object({
  token: text(16_384),
  action: optional(oneOf(["tool.call", "tool.list", "mcp.session", "token.attenuate"])),
  upstream: Type.String({ maxLength: 63 }),
  tool: optional(Type.String({ maxLength: 256 })),
  argumentsText: optional(Type.String({ maxLength: 524_288 })),
  address: optional(text(64)),
});
export const explainAnswer = object({
  decision: oneOf(["allow", "deny", "step_up"]),
  reasons: Type.Array(Type.String()),
  detail: Type.String(),
  revision: Type.Integer(),
  policyDigest: Type.String(),
  stages: Type.Array(
    object({
      stage: Type.String(),
      status: oneOf(["passed", "denied", "skipped"]),
      reason: optional(Type.String()),
      detail: Type.String(),
    }),
  ),
});

const actions = Type.Array(oneOf(ACTIONS), { minItems: 1, maxItems: ACTIONS.length, uniqueItems: true });
const upstreamNames = Type.Array(Type.Union([Type.Literal("*"), slug]), {
  minItems: 1,
  maxItems: 1_000,
  uniqueItems: true,
});
const references = Type.Array(reference, { maxItems: 1_000, uniqueItems: true });
export const enforcementPointView = object({
  ...objectId,
  name: Type.String(),
  agents: Type.Array(Type.String()),
  principals: Type.Array(Type.String()),
  actions,
  upstreams: upstreamNames,
  createdAtMs: timeMs,
  createdBy: Type.String(),
  expiresAtMs: optional(timeMs),
});
export const enforcementPointCreate = object({
  name,
  agents: optional(references),
  principals: optional(references),
  actions,
  upstreams: upstreamNames,
  expiresInSeconds: optional(Type.Integer({ minimum: 60, maximum: 10 * 366 * 86_400 })),
});
export const enforcementPointCreateAnswer = object({ key: Type.String(), view: enforcementPointView });

export const adminKeyView = object({
  id: Type.String(),
  name: Type.String(),
  tenantId: optional(Type.String()),
  permissions: Type.Array(Type.String()),
  createdBy: Type.String(),
  createdAtMs: timeMs,
  expiresAtMs: optional(timeMs),
  revokedAtMs: optional(timeMs),
});
export const adminKeyCreate = object({
  name,
  permissions: Type.Array(text(64), { minItems: 1, maxItems: 64, uniqueItems: true }),
  expiresInSeconds: optional(Type.Integer({ minimum: 60, maximum: 10 * 366 * 86_400 })),
});
export const adminKeyCreateAnswer = object({ key: Type.String(), view: adminKeyView });

export const problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.String(),
  requestId: Type.String(),
});
