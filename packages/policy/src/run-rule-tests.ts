/** Runs the tests that stand beside the rules of a file against those rules. Prints nothing. */
import { ANONYMOUS } from "@writ/contract";
import type { CompiledRules } from "./compile-rules.ts";
import type { PolicyInput, PolicyResult } from "./policy-port.ts";
import type { RuleTest } from "./rules-document.ts";

export interface RuleTestResult {
  readonly name: string;
  readonly line: number;
  readonly kind: "passed" | "failed";
  /** What was decided instead; "" for a test that passed. */
  readonly detail: string;
}

export function runRuleTests(compiled: Pick<CompiledRules, "policy" | "tests">): readonly RuleTestResult[] {
  return compiled.tests.map((test) => {
    const input = inputOf(test);
    const result = compiled.policy.decide(input);
    const { listed } = test.expect;
    const detail =
      mismatch(test, result) ??
      (listed === undefined || compiled.policy.listable(input).kind === listed
        ? undefined
        : `listed is ${compiled.policy.listable(input).kind} instead of ${listed}`);
    return { name: test.name, line: test.line, kind: detail === undefined ? "passed" : "failed", detail: detail ?? "" };
  });
}

function mismatch({ expect }: RuleTest, result: PolicyResult): string | undefined {
  if (result.kind === "error") return `the rules failed: ${result.detail}`;
  const agrees =
    result.kind === expect.kind &&
    (expect.reason === undefined || expect.reason === result.reason) &&
    (expect.rule === undefined || expect.rule === result.ruleId);
  if (agrees) return undefined;
  return `${result.kind} (${result.reason}) by ${result.ruleId === "" ? "no rule" : `rule ${result.ruleId}`}`;
}

/** Whoever presented no credential has no principal but itself. */
function principalOf({ agent, principal }: RuleTest["call"]): PolicyInput["subject"]["principal"] {
  return agent === ANONYMOUS
    ? { id: ANONYMOUS, name: ANONYMOUS, type: "anonymous" }
    : { id: principal, name: principal, type: "person" };
}

/** The input of a test: names stand for identifiers, and the chain is the agent alone. */
function inputOf({ call }: RuleTest): PolicyInput {
  const agent = { id: call.agent, name: call.agent, labels: call.labels };
  return {
    version: 1,
    subject: {
      agent,
      principal: principalOf(call),
      actorChain: [agent],
    },
    action: call.action,
    resource: {
      upstream: call.upstream,
      kind: call.kind,
      name: call.name,
      definitionDigest: "",
      ...(call.http === undefined ? {} : { http: call.http }),
    },
    context: {
      protocol: call.http === undefined ? "mcp" : "http",
      timeMs: call.timeMs,
      mintedCaveats: [],
      arguments: call.arguments,
    },
  };
}
