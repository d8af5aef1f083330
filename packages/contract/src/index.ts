export {
  type AccessRequest,
  ANONYMOUS,
  type HttpResource,
  type RequestContext,
  type Resource,
  type Subject,
} from "./access-request.ts";
export { ACTIONS, type Action, isAction, isCharged } from "./actions.ts";
export {
  ARGUMENT_OPERATORS,
  type ArgumentCondition,
  compileArgumentCondition,
} from "./argument-condition.ts";
export {
  type ActivePolicy,
  type Agent,
  AUTHORITY_KINDS,
  type AuthorityChange,
  type AuthorityKind,
  type AuthorityObject,
  type AuthoritySnapshot,
  type AuthorityValues,
  type BudgetRule,
  type Carve,
  type EnforcementPoint,
  HTTP_ROUTE_KINDS,
  type HttpRoute,
  INSTANCE_TENANT,
  KILL_SCOPES,
  type Kill,
  type KillScope,
  OBSERVE_DAYS_MAX,
  OBSERVE_MS_MAX,
  type ObserveMode,
  type Price,
  type Principal,
  type RateRule,
  type RecordedNode,
  type Revocation,
  type RootKey,
  type RootToken,
  type StoredTransport,
  type TenantSettings,
  TOKEN_LIFETIME_MAX_SECONDS,
  type Tool,
  type Upstream,
  type UpstreamCredential,
  type UpstreamLock,
  type UpstreamTransport,
  type WrappedSecret,
} from "./authority.ts";
export {
  BUDGET_MODES,
  BUDGET_SCOPES,
  BUDGET_UNITS,
  type BudgetClaim,
  type BudgetExcess,
  type BudgetMode,
  type BudgetScope,
  type BudgetUnit,
  WINDOWS,
  type Window,
  windowAt,
} from "./budgets.ts";
export type { Allow, Decision, Deny, Obligation, StepUp, WouldDeny } from "./decision.ts";
export { type AuditEvent, EVENTS, type EventEntry, type EventName, type FieldType } from "./events.ts";
export { compileHttpPath, compileHttpPattern, type HttpPathPattern, type HttpPattern } from "./http-pattern.ts";
export {
  HTTP_TARGET_LENGTH_MAX,
  type HttpMethodReading,
  type HttpTarget,
  type HttpTargetReading,
  readHttpMethod,
  readHttpSegment,
  readHttpTarget,
} from "./http-target.ts";
export { nearestName } from "./nearest-name.ts";
export {
  type Address,
  type AddressPrefix,
  isHostPattern,
  isWithinPrefix,
  matchesHost,
  readAddressPrefix,
  readAnyAddress,
  readPeerAddress,
} from "./network-name.ts";
export {
  isRateLimit,
  isRatePeriod,
  RATE_LIMIT_MAX,
  RATE_PERIODS,
  RATE_SCOPES,
  type RateClaim,
  type RatePeriod,
  type RateScope,
  ratePeriodMs,
} from "./rates.ts";
export { isReason, REASONS, type Reason, type ReasonEntry } from "./reasons.ts";
export {
  compareNumbers,
  ExactNumber,
  equalJson,
  foldName,
  isJsonArray,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  memberCut,
  parseStrictJson,
  parseStrictJsonText,
  type Span,
  type StrictJson,
  type StrictJsonOptions,
  writeJson,
} from "./strict-json.ts";
export { compileGlob, compileToolPattern, type ToolPattern } from "./tool-pattern.ts";
export { makeUuidv7, uuidv7Time } from "./uuid.ts";
