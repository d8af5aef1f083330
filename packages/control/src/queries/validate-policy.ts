/** Compiles a rules file and runs the tests beside its rules. Stores nothing. */
import { createHash } from "node:crypto";
import type { PolicyProblem, PolicyTestOutcome, PolicyValidateAnswer } from "@writ/contract/admin";
import { compileRules, runRuleTests } from "@writ/policy";
import { Problem } from "../problem.ts";

function digestPolicy(source: string): string {
  return createHash("sha256").update(source, "utf8").digest("hex");
}

export function validatePolicy(source: string): PolicyValidateAnswer {
  const digest = digestPolicy(source);
  const compilation = compileRules(source, { digest });
  if (compilation.kind === "problems") {
    const problems: readonly PolicyProblem[] = compilation.problems.map(({ line, column, message, hint }) => ({
      line,
      column,
      message: hint === "" ? message : `${message} (${hint})`,
    }));
    return { valid: false, digest, problems, tests: [] };
  }
  const tests: readonly PolicyTestOutcome[] = runRuleTests(compilation).map((test) => ({
    name: test.name,
    passed: test.kind === "passed",
    message: test.detail,
  }));
  return { valid: tests.every((test) => test.passed), digest, problems: [], tests };
}

/** Problem `policy_invalid` for a rules file that does not compile. */
export function requireReadable({ problems }: Pick<PolicyValidateAnswer, "problems">): void {
  const first = problems[0];
  if (first === undefined) return;
  const { line, column, message } = first;
  throw new Problem("policy_invalid", `Line ${line}, column ${column}: ${message}`, { problems });
}
