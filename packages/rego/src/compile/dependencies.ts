/**
 * Which documents a rule needs, and the refusal of rules that need themselves. A reference with variables needs every
 * document that it could lead to.
 */
import { type Problem, problemAt } from "../problem.ts";
import { keyOf, type Value } from "../value.ts";
import type { ResolvedRule, ResolvedTerm } from "./resolved.ts";
import { pathText, type RuleGroup, type RuleTree, type TreeNode } from "./rule-tree.ts";
import { visitRule } from "./visit.ts";

/** Names of a way back that are listed. */
const NAMES_MAX = 20;

/** The groups that each group needs, by id. */
export type Dependencies = readonly ReadonlySet<number>[];

export function collectDependencies(tree: RuleTree): Dependencies {
  return tree.groups.map((group) => {
    const needed = new Set<number>();
    for (const { rule } of [...group.rules, ...group.defaults]) {
      for (const other of groupsNeeded(rule, tree)) needed.add(other.id);
    }
    return needed;
  });
}

function groupsNeeded(rule: ResolvedRule, tree: RuleTree): RuleGroup[] {
  const found: RuleGroup[] = [];
  // The head of a reference is seen again by itself: what was a part of a longer path is skipped then.
  const heads = new Set<ResolvedTerm>();
  visitRule(rule, {
    term(term) {
      if (term.kind === "call" && term.callee.kind === "function") {
        collectAt(tree.root, term.callee.path, true, found);
      } else if (term.kind === "ref" && term.head.kind === "root" && term.head.root === "data") {
        heads.add(term.head);
        const path = term.path.map((step) => (step.kind === "constant" ? step.value : undefined));
        collectAt(tree.root, path, false, found);
      } else if (term.kind === "root" && term.root === "data" && !heads.has(term))
        collectAt(tree.root, [], false, found);
    },
    literal(literal) {
      for (const { replacement } of literal.with) {
        if (replacement.kind === "callee" && replacement.callee.kind === "function") {
          collectAt(tree.root, replacement.callee.path, true, found);
        }
      }
    },
  });
  return found;
}

/** The groups on a path; undefined steps are open. */
function collectAt(root: TreeNode, path: readonly (Value | undefined)[], isCall: boolean, found: RuleGroup[]): void {
  let level: TreeNode[] = [root];
  for (const step of path) {
    const next: TreeNode[] = [];
    for (const node of level) {
      if (step === undefined) for (const child of node.children.values()) next.push(child);
      else {
        const child = node.children.get(keyOf(step));
        if (child !== undefined) next.push(child);
      }
    }
    level = [];
    for (const node of next) {
      if (node.group === undefined) level.push(node);
      else if (isCall || node.group.kind !== "function") found.push(node.group);
    }
  }
  for (let node = level.pop(); node !== undefined; node = level.pop()) {
    if (node.group !== undefined && node.group.kind !== "function") found.push(node.group);
    for (const child of node.children.values()) level.push(child);
  }
}

/** Problems of the groups that need themselves, each with the way that leads back. */
export function refuseRecursion(tree: RuleTree, dependencies: Dependencies): Problem[] {
  const problems: Problem[] = [];
  const state = new Uint8Array(tree.groups.length); // 0 not seen, 1 on the way, 2 done
  for (const { id } of tree.groups) {
    if (state[id] !== 0) continue;
    const way: { id: number; rest: number[] }[] = [{ id, rest: [...(dependencies[id] ?? [])] }];
    state[id] = 1;
    for (let top = way.at(-1); top !== undefined; top = way.at(-1)) {
      const next = top.rest.pop();
      if (next === undefined) {
        state[top.id] = 2;
        way.pop();
      } else if (state[next] === 0) {
        state[next] = 1;
        way.push({ id: next, rest: [...(dependencies[next] ?? [])] });
      } else if (state[next] === 1) {
        const start = way.findIndex((entry) => entry.id === next);
        const ids = [...way.slice(start).map((entry) => entry.id), next];
        const names = ids.map((each) => nameOf(tree, each));
        if (names.length > NAMES_MAX) names.splice(NAMES_MAX / 2, names.length - NAMES_MAX, "…");
        const group = tree.groups[next];
        const rule = group?.rules[0]?.rule ?? group?.defaults[0]?.rule;
        if (rule === undefined) continue;
        const message = `rule ${names[0]} is recursive: ${names.join(" -> ")}`;
        problems.push(problemAt(rule.source, "rego_recursion_error", rule.rule.at, message));
      }
    }
  }
  return problems;
}

function nameOf(tree: RuleTree, id: number): string {
  return pathText(tree.groups[id]?.path ?? []);
}
/** The groups in an order in which each comes after those that it needs. */
export function inOrder(tree: RuleTree, dependencies: Dependencies): RuleGroup[] {
  const ordered: RuleGroup[] = [];
  const seen = new Uint8Array(tree.groups.length);
  for (const group of tree.groups) {
    const open: { group: RuleGroup; rest: number[] }[] = [];
    const enter = (entered: RuleGroup) => {
      if (seen[entered.id] === 1) return;
      seen[entered.id] = 1;
      open.push({ group: entered, rest: [...(dependencies[entered.id] ?? [])] });
    };
    enter(group);
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const next = top.rest.pop();
      if (next === undefined) {
        ordered.push(top.group);
        open.pop();
      } else {
        const needed = tree.groups[next];
        if (needed !== undefined) enter(needed);
      }
    }
  }
  return ordered;
}
