export {
  type CompiledRules,
  compileRules,
  type RulesCompilation,
  type RuleTrace,
  traceRules,
} from "./compile-rules.ts";
export { diffLines } from "./diff-lines.ts";
export type {
  ArgumentAssertion,
  Listable,
  ListableInput,
  PolicyAgent,
  PolicyAssertions,
  PolicyBounds,
  PolicyInput,
  PolicyPort,
  PolicyPrincipal,
  PolicyProblem,
  PolicyResult,
  PolicySubject,
} from "./policy-port.ts";
export { RULES_MAX, RULES_SOURCE_LENGTH_MAX, type Rule, type RuleTest } from "./rules-document.ts";
export { type RuleTestResult, runRuleTests } from "./run-rule-tests.ts";
