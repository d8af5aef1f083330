/**
 * Checks every call against the signature of what it calls: that there are as many arguments as it takes, or one more to
 * take the result where the call stands alone; and that a built-in which is not offered is replaced by some `with`.
 */
import { type Problem, problemAt } from "../problem.ts";
import { keyOf } from "../value.ts";
import type { Names } from "./resolve.ts";
import type { ResolvedRule } from "./resolved.ts";
import { pathText } from "./rule-tree.ts";
import { visitRule } from "./visit.ts";

export function checkCalls(rules: readonly ResolvedRule[], names: Names): Problem[] {
  const problems: Problem[] = [];
  const replaced = new Set<string>();
  for (const rule of rules) {
    visitRule(rule, {
      literal(literal) {
        for (const { target } of literal.with) {
          if (target.kind === "callee" && target.callee.kind === "builtin") replaced.add(target.callee.name);
        }
      },
    });
  }
  for (const rule of rules) {
    visitRule(rule, {
      term(term, isStatement) {
        if (term.kind !== "call") return;
        const { callee } = term;
        const name = callee.kind === "builtin" ? callee.name : pathText(callee.path);
        const builtin = callee.kind === "builtin" ? names.builtins.get(callee.name) : undefined;
        const arity =
          callee.kind === "builtin" ? (builtin?.type.args.length ?? 0) : (names.functions.get(keyOf(callee.path)) ?? 0);
        const count = term.args.length;
        if (builtin !== undefined && typeof builtin.run !== "function" && !replaced.has(name)) {
          problems.push(
            problemAt(
              rule.source,
              "rego_type_error",
              term.at,
              `the built-in ${name} is not offered: ${builtin.run.refused}`,
            ),
          );
        } else if (name === "print") return;
        else if (count !== arity && !(isStatement && count === arity + 1)) {
          const message = `${name}: arity mismatch: it takes ${arity} arguments, and ${count} are given`;
          problems.push(problemAt(rule.source, "rego_type_error", term.at, message));
        }
      },
    });
  }
  return problems;
}
