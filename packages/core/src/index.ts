export { type CanonicalDefinition, canonicalDefinition, canonicalInstructions } from "./canonical-definition.ts";
export { type CatalogueComparison, compareCatalogue, pinnedTextOf, type SeenCatalogue } from "./compare-catalogue.ts";
export { describe } from "./describe.ts";
export { findHttpRoute } from "./http-routes.ts";
export {
  type DefinitionListing,
  explain,
  judge,
  listDefinitions,
  listNamed,
  listTools,
  type TokenBudgets,
  type ToolListing,
  tokenBudgets,
} from "./judge.ts";
export { judgeAttenuation } from "./judge-attenuation.ts";
export {
  type AnonymousSubject,
  type AssertedSubject,
  type Attempt,
  type AttenuationAttempt,
  type AttenuationJudgement,
  CHECKS,
  type Check,
  type DescribeInput,
  type Explanation,
  type Judgement,
  type Presenter,
  type StageOutcome,
} from "./judgement.ts";
export { narrowDefinition, type SchemaAssertions, writeAssertions } from "./narrow-schema.ts";
export { type ObservedUpstream, observedUpstreams } from "./observe-mode.ts";
export { hasToken, isAssertable, isAsserted, makeAnonymous } from "./presenter.ts";
export { createRetrial, type RecordedCall, type Retrial } from "./retry-policy.ts";
export { buildState, type StateOptions, type StatePolicy, type TenantState } from "./tenant-state.ts";
