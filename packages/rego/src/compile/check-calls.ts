/**
 * Checks every call against the signature of what it calls: that there are as many arguments as it takes, or one more to
 * take the result where the call stands alone; that a built-in which is not offered is replaced by some `with`, and
 * replaces none; and that modules call no deprecated built-in, as in OPA, which lets queries do so.
 */
import { notOffered } from "../builtins/builtin.ts";
import { type Problem, problemAt } from "../problem.ts";
import { keyOf } from "../value.ts";
import type { Names } from "./resolve.ts";
import type { ResolvedRule } from "./resolved.ts";
import { pathText } from "./rule-tree.ts";
import { visitRule } from "./visit.ts";

export function checkCalls(rules: readonly ResolvedRule[], names: Names, where: "modules" | "query"): Problem[] {
  const problems: Problem[] = [];
  const report = (rule: ResolvedRule, at: number, message: string, hint = "") =>
    problems.push(problemAt(rule.source, "rego_type_error", at, message, hint));
  const replaced = new Set<string>();
  for (const rule of rules) {
    visitRule(rule, {
      literal(literal) {
        for (const { target, replacement, at } of literal.with) {
          if (target.kind === "callee" && target.callee.kind === "builtin") replaced.add(target.callee.name);
          if (replacement.kind !== "callee" || replacement.callee.kind !== "builtin") continue;
          const run = names.builtins.get(replacement.callee.name)?.run;
          if (typeof run === "object" && run.standIn === undefined)
            report(rule, at, notOffered(replacement.callee.name, run.refused));
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
          report(rule, term.at, notOffered(name, builtin.run.refused));
        } else if (builtin?.deprecated !== undefined && where === "modules") {
          report(rule, term.at, `deprecated built-in function calls in expression: ${name}`, builtin.deprecated);
        } else if (name === "print") return;
        else if (count !== arity && !(isStatement && count === arity + 1)) {
          report(rule, term.at, `${name}: arity mismatch: it takes ${arity} arguments, and ${count} are given`);
        }
      },
    });
  }
  return problems;
}
