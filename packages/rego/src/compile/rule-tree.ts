/**
 * The rules of all modules as a tree of the documents that they define under `data`. A node with a group is a document
 * made by rules: a value, a function, a set, or an object that several rules put together. Nodes without a group are
 * packages and names on the way; there, base data shows through.
 *
 * Rules whose path has variables (`a.b[x].c`) belong to the node of their constant part (`a.b`), and take all rules
 * below that node with them.
 */
import type { Problem } from "../problem.ts";
import { problemAt } from "../problem.ts";
import type { Module } from "../syntax/ast.ts";
import { type Key, keyOf, type Value, writeValue } from "../value.ts";
import type { ResolvedRule, ResolvedTerm } from "./resolved.ts";

export interface TreeNode {
  readonly path: readonly Value[];
  readonly children: Map<Key, TreeNode>;
  readonly rules: ResolvedRule[];
  isPackage: boolean;
  group: RuleGroup | undefined;
}

/** The rules that together make one document or one function. */
export interface RuleGroup {
  /** Counted from 0. */
  readonly id: number;
  readonly path: readonly Value[];
  readonly kind: "value" | "function" | "set" | "object";
  readonly rules: readonly GroupRule[];
  /** Default rules: one, or one for each constant path in an object. */
  readonly defaults: readonly GroupRule[];
  /** Of functions. */
  readonly arity: number;
}

export interface GroupRule {
  readonly rule: ResolvedRule;
  /** Steps from the group's document to what the rule defines. */
  readonly tail: readonly ResolvedTerm[];
}

export interface RuleTree {
  readonly root: TreeNode;
  readonly groups: readonly RuleGroup[];
}

export function buildRuleTree(
  modules: readonly Module[],
  rules: readonly ResolvedRule[],
): { readonly tree: RuleTree; readonly problems: readonly Problem[] } {
  const root = makeNode([]);
  for (const module of modules) nodeAt(root, module.package.path).isPackage = true;
  for (const rule of rules) nodeAt(root, rule.path).rules.push(rule);
  const groups: RuleGroup[] = [];
  const problems: Problem[] = [];
  const open = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.rules.length > 0) groupRules(node, groups, problems);
    for (const child of [...node.children.values()].reverse()) open.push(child);
  }
  return { tree: { root, groups }, problems };
}

function makeNode(path: readonly Value[]): TreeNode {
  return { path, children: new Map(), rules: [], isPackage: false, group: undefined };
}

function nodeAt(root: TreeNode, path: readonly Value[]): TreeNode {
  let node = root;
  for (const [index, step] of path.entries()) {
    const key = keyOf(step);
    let child = node.children.get(key);
    if (child === undefined) {
      child = makeNode(path.slice(0, index + 1));
      node.children.set(key, child);
    }
    node = child;
  }
  return node;
}

/** Makes the group of a node that has rules. */
function groupRules(node: TreeNode, groups: RuleGroup[], problems: Problem[]): void {
  const [first] = node.rules;
  if (first === undefined) return;
  const refuse = (rule: ResolvedRule, message: string) =>
    problems.push(problemAt(rule.source, "rego_type_error", rule.rule.at, message));
  const name = pathText(node.path);
  if (node.isPackage) refuse(first, `package ${name} conflicts with rule ${name}`);
  const members: GroupRule[] = node.rules.map((rule) => ({ rule, tail: rule.tail }));
  const below: GroupRule[] = [];
  for (const child of node.children.values()) collectBelow(child, node.path.length, below);
  if (members.some(({ tail }) => tail.length > 0)) {
    node.children.clear();
    for (const member of below) members.push(member);
  } else if (below.length > 0) {
    const others = [...new Set(below.map(({ rule }) => pathText(rule.path)))].sort();
    refuse(first, `rule ${name} conflicts with [${others.join(", ")}]`);
  }
  const all = members.filter(({ rule }) => !rule.rule.isDefault);
  const defaults = members.filter(({ rule }) => rule.rule.isDefault);
  const isFunction = members.some(({ rule }) => rule.args !== undefined);
  const hasTail = members.some(({ tail }) => tail.length > 0);
  const isSet = members.some(({ rule }) => rule.isMultiValue);
  let kind: RuleGroup["kind"] = "value";
  if (isFunction) kind = "function";
  else if (hasTail) kind = "object";
  else if (isSet) kind = "set";
  const arity = first.args?.length ?? 0;
  const conflicts = members.some(({ rule }) => {
    if (isFunction) return rule.args?.length !== arity;
    return kind === "set" && !rule.isMultiValue;
  });
  if (conflicts) refuse(first, `conflicting rules ${name} found`);
  const defaultPaths = new Set<Key>();
  for (const { rule } of defaults) {
    const key = keyOf(rule.path);
    if (defaultPaths.has(key)) refuse(rule, `multiple default rules ${pathText(rule.path)} found`);
    defaultPaths.add(key);
  }
  node.group = { id: groups.length, path: node.path, kind, rules: all, defaults, arity };
  groups.push(node.group);
}

function collectBelow(start: TreeNode, depth: number, found: GroupRule[]): void {
  const open = [start];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const rule of node.rules) {
      const { at, end } = rule.rule.head;
      const steps = node.path.slice(depth).map((value): ResolvedTerm => ({ kind: "constant", value, at, end }));
      found.push({ rule, tail: [...steps, ...rule.tail] });
    }
    for (const child of node.children.values()) open.push(child);
  }
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A path as Rego writes it, from `data` on. */
export function pathText(path: readonly Value[]): string {
  let text = "data";
  for (const step of path) {
    text += typeof step === "string" && NAME.test(step) ? `.${step}` : `[${writeValue(step)}]`;
  }
  return text;
}
