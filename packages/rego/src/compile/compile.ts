/**
 * From the texts of modules to code: parse, resolve names, put rules into their tree, refuse recursion and what the
 * signatures of built-ins forbid, order bodies, and make closures. All problems of one stage are reported together.
 */
import type { Builtin } from "../builtins/builtin.ts";
import { type Problem, problemAt, type Source } from "../problem.ts";
import { type Evaluation, EvaluationFault, type Memory, restoreScope, scopeOf } from "../run/evaluation.ts";
import type { Body, Module } from "../syntax/ast.ts";
import { type Key, keyOf, type Value } from "../value.ts";
import { checkCalls } from "./check-calls.ts";
import { checkQueryTypes, checkTypes, type GroupTypes } from "./check-types.ts";
import { collectDependencies, inOrder, refuseRecursion } from "./dependencies.ts";
import type { GroupCode } from "./documents.ts";
import { type EmitContext, Emitter, type StepCode, type TermCode } from "./emit.ts";
import { emitGroup, type PlannedGroup, type PlannedRule } from "./emit-group.ts";
import { Bound, type PlanBody, type PlanContext, Planner, type PlanTerm, type Step, UnsafeFault } from "./plan.ts";
import { CompileFault, collectNames, type Names, resolveModule, resolveQuery } from "./resolve.ts";
import type { Callee, Local, ResolvedBody, ResolvedLiteral, ResolvedRule, ResolvedTerm } from "./resolved.ts";
import { buildRuleTree, type GroupRule, pathText, type RuleGroup, type RuleTree } from "./rule-tree.ts";

/** All that is known of compiled modules. */
export interface Compiled {
  readonly modules: readonly Module[];
  readonly names: Names;
  readonly tree: RuleTree;
  readonly planContext: PlanContext;
  readonly planned: readonly PlannedGroup[];
  /** All groups, each after those that it needs. */
  readonly ordered: readonly RuleGroup[];
  readonly types: GroupTypes;
  readonly builtins: ReadonlyMap<string, Builtin>;
}

export type ModulesCompiled =
  | { readonly kind: "compiled"; readonly compiled: Compiled }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

export function compileModules(modules: readonly Module[], builtins: ReadonlyMap<string, Builtin>): ModulesCompiled {
  const names = collectNames(modules, builtins);
  const resolved = modules.map((module) => resolveModule(module, names));
  const rules = resolved.flatMap((module) => module.rules);
  const found = resolved.flatMap((module) => module.problems);
  if (found.length > 0) return { kind: "problems", problems: found };
  const { tree, problems } = buildRuleTree(modules, rules);
  const planContext = makePlanContext(tree, names);
  const calls = checkCalls(rules, names, "modules");
  const beforePlan = [...problems, ...calls];
  if (beforePlan.length > 0) return { kind: "problems", problems: beforePlan };
  const dependencies = collectDependencies(tree);
  const recursion = refuseRecursion(tree, dependencies);
  const { planned, problems: unsafe } = planAll(tree, planContext);
  if (recursion.length > 0 || unsafe.length > 0) return { kind: "problems", problems: [...recursion, ...unsafe] };
  const ordered = inOrder(tree, dependencies);
  const { types, problems: wrong } = checkTypes(ordered, planned, names);
  if (wrong.length > 0) return { kind: "problems", problems: wrong };
  return { kind: "compiled", compiled: { modules, names, tree, planContext, planned, ordered, types, builtins } };
}

function makePlanContext(tree: RuleTree, names: Names): PlanContext {
  return {
    tree,
    arityOf: (callee: Callee) =>
      callee.kind === "builtin"
        ? (names.builtins.get(callee.name)?.type.args.length ?? 0)
        : (names.functions.get(keyOf(callee.path)) ?? 0),
    isRelation: (callee: Callee) => callee.kind === "builtin" && names.builtins.get(callee.name)?.relation === true,
  };
}

function planAll(
  tree: RuleTree,
  context: PlanContext,
): { readonly planned: readonly PlannedGroup[]; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  let id = 0;
  const planned = tree.groups.map((group): PlannedGroup => {
    const plan = (members: readonly GroupRule[]) =>
      members.flatMap((member): PlannedRule[] => {
        id += 1;
        try {
          return [planRule(group, member, context, id - 1)];
        } catch (cause) {
          if (!(cause instanceof UnsafeFault)) throw cause; // a rule that has no order becomes a problem
          for (const problem of unsafeProblems(member.rule.source, cause)) problems.push(problem);
          return [];
        }
      });
    const first = id;
    return {
      group,
      rules: plan(group.rules),
      defaults: plan(group.defaults),
      keyed: () => group.rules.map((member, index) => planRule(group, member, context, first + index, true)),
    };
  });
  return { planned, problems };
}

function unsafeProblems(source: Source, fault: UnsafeFault): Problem[] {
  const names = new Set(fault.locals.map(({ name }) => (name === "$" ? "_" : name)));
  if (names.size === 0) names.add("_");
  return [...names].map((name) =>
    problemAt(
      source,
      "rego_unsafe_var_error",
      fault.at,
      `var ${name} is unsafe`,
      name === "_" ? "something else must give it a value" : `nothing gives ${name} a value`,
    ),
  );
}

/** Plans a rule; with `isKeyed` for one key or member of the group's document, which is given in its own place. */
function planRule(group: RuleGroup, member: GroupRule, context: PlanContext, id: number, isKeyed = false): PlannedRule {
  const { rule } = member;
  const planner = new Planner(context, Math.max(rule.frameSize, group.arity + 2));
  const given = new Bound();
  const args = planner.args(rule.args ?? [], given);
  const outer = new Set<number>();
  let tail: readonly PlanTerm[] = [];
  const branches = rule.branches.map((branch, index) => {
    const bound = given.fork();
    const key = isKeyed && index === 0 ? (group.kind === "set" ? branch.value : member.tail[0]) : undefined;
    const literals = key === undefined ? branch.body : [givenKey(group.arity + 1, key), ...branch.body];
    if (isKeyed) bound.add(group.arity + 1);
    const body = [...planner.body(literals, bound, outer)];
    const steps: Step[] = [];
    const heads = index === 0 ? [...member.tail, branch.value] : [branch.value];
    const planned = planner.terms(heads, branch.at, bound, outer, steps);
    if (index === 0) tail = planned.slice(0, -1);
    if (steps.length > 0) body.push({ at: branch.at, end: branch.end, steps, binds: [] });
    const value = planned.at(-1) as PlanTerm; // at least the value went in
    return { at: branch.at, valueAt: branch.value.at, body, value };
  });
  if (branches.length > 1) planner.slot(); // for the mark that a branch held
  return {
    group,
    path: rule.path,
    site: { source: rule.source, at: rule.rule.at },
    args,
    branches,
    tail,
    isMultiValue: rule.isMultiValue,
    frameSize: planner.frameSize,
    id,
  };
}

/** The key of a document as an expression: what is given equals it. */
function givenKey(slot: number, key: ResolvedTerm): ResolvedLiteral {
  const { at, end } = key;
  const left: ResolvedTerm = { kind: "local", local: { slot, name: "$" }, at, end };
  return { negated: false, with: [], at, end, expression: { kind: "unify", left, right: key } };
}

/** Errors that evaluation from the bottom up passes over: what needs a rule with an error meets the error again. */
const UPWARDS_ERRORS_MAX = 100;

/** Code for all groups. */
export class Code {
  /** Memories that no evaluation is using: one, unless evaluations run inside each other. */
  readonly memories: Memory[] = [];
  readonly context: EmitContext;
  readonly #tree: RuleTree;
  readonly #ordered: readonly RuleGroup[];
  readonly #planned: readonly PlannedGroup[];
  readonly #made: (GroupCode | undefined)[] = [];
  readonly #unfilled: LazyGroupCode[] = [];
  readonly #isTraced: boolean;

  /** With `mark`, the code tells a tracer where it is. */
  constructor({ tree, planned, ordered, builtins }: Compiled, mark?: EmitContext["mark"]) {
    this.#tree = tree;
    this.#ordered = ordered;
    this.#planned = planned;
    this.#isTraced = mark !== undefined;
    const groups = new Map<Key, RuleGroup>(tree.groups.map((group) => [keyOf(group.path), group]));
    this.context = {
      builtins,
      code: (group) => this.of(group),
      groupAt: (path) => groups.get(keyOf(path)),
      ...(mark === undefined ? {} : { mark }),
    };
  }

  get groups(): number {
    return this.#tree.groups.length;
  }

  of(group: RuleGroup): GroupCode {
    const known = this.#made[group.id];
    if (known !== undefined) return known;
    const code = new LazyGroupCode(group);
    this.#made[group.id] = code;
    this.#unfilled.push(code);
    return code;
  }

  /**
   * Evaluates the documents of rules from the bottom up and remembers them, so that a chain of rules that is longer than
   * the stack is deep needs no more of it. What ends with an error is left to whoever asks for it.
   */
  evaluateUpwards(evaluation: Evaluation): void {
    const scope = scopeOf(evaluation);
    let errors = 0;
    for (const group of this.#ordered) {
      if (group.kind === "function" || errors > UPWARDS_ERRORS_MAX) continue;
      try {
        this.of(group).value(evaluation);
      } catch (cause) {
        // Errors of the evaluation come again where they matter; a limit that is reached stays reached.
        if (!(cause instanceof EvaluationFault) || cause.error.code === "eval_limit_error") throw cause;
        restoreScope(evaluation, scope);
        errors += 1;
      }
    }
  }

  /** Makes the code of all groups, one after the other: a chain of rules may be longer than the stack is deep. */
  fill(): void {
    for (const group of this.#tree.groups) this.of(group);
    for (let code = this.#unfilled.pop(); code !== undefined; code = this.#unfilled.pop()) {
      const planned = this.#planned[code.group.id];
      if (planned === undefined) throw new TypeError(`no plan for ${pathText(code.group.path)}`);
      code.fill(emitGroup(planned, this.context, this.#isTraced));
    }
  }
}

/** A group that calls others may be asked for before it is filled; it is called only later. */
class LazyGroupCode implements GroupCode {
  readonly group: RuleGroup;
  frameSize = 0;
  call: GroupCode["call"];
  value: GroupCode["value"];
  valueAt: GroupCode["valueAt"];

  constructor(group: RuleGroup) {
    this.group = group;
    const unfilled = () => {
      throw new TypeError(`${pathText(group.path)} is called before it is compiled`);
    };
    this.call = unfilled;
    this.value = unfilled;
    this.valueAt = unfilled;
  }

  fill(code: Omit<GroupCode, "group">): void {
    this.frameSize = code.frameSize;
    this.call = code.call;
    this.value = code.value;
    this.valueAt = code.valueAt;
  }
}

/** Code for a query: all ways in which it holds, and its value where it is one term. */
export interface QueryCode {
  readonly variables: readonly Local[];
  readonly frameSize: number;
  /** Runs the query and calls back with the frame, each time that it holds. */
  run(onHold: (frame: unknown[]) => boolean): StepCode;
  /** Whether it holds. */
  readonly holds: StepCode;
  /** The value of a query that is a term without open variables. */
  readonly term: TermCode | undefined;
}

export type QueryCompiled =
  | { readonly kind: "query"; readonly query: QueryCode }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

export function compileQuery(
  compiled: Compiled,
  code: Code,
  source: Source,
  body: Body,
  within?: Module,
): QueryCompiled {
  try {
    const { body: resolved, variables, frameSize } = resolveQuery(source, body, compiled.names, within);
    const problems = checkCalls([queryAsRule(source, body, resolved)], compiled.names, "query");
    if (problems.length > 0) return { kind: "problems", problems };
    const planner = new Planner(compiled.planContext, frameSize);
    const planned = planner.body(resolved, new Bound(), new Set());
    const wrong = checkQueryTypes(source, planned, compiled.types, compiled.names);
    if (wrong.length > 0) return { kind: "problems", problems: wrong };
    const emitter = new Emitter(code.context, source);
    const term = termOfQuery(resolved, planned, planner, emitter);
    const query: QueryCode = {
      variables,
      frameSize: planner.frameSize,
      run: (onHold) => emitter.body(planned, (_, frame) => onHold(frame), true),
      holds: emitter.body(planned, () => true, false),
      term,
    };
    return { kind: "query", query };
  } catch (cause) {
    // Faults of the query become problems; all else is a failure of ours.
    if (cause instanceof UnsafeFault) return { kind: "problems", problems: unsafeProblems(source, cause) };
    if (!(cause instanceof CompileFault)) throw cause;
    return { kind: "problems", problems: [problemAt(source, cause.code, cause.at, cause.message, cause.hint)] };
  }
}

/** The value of a query of one term, whatever `with` puts in place for it; none where there may be several. */
function termOfQuery(
  resolved: ResolvedBody,
  planned: PlanBody,
  planner: Planner,
  emitter: Emitter,
): TermCode | undefined {
  const [literal, ...others] = resolved;
  const [step, ...more] = planned[0]?.steps ?? [];
  if (literal === undefined || others.length > 0 || literal.negated || literal.expression.kind !== "term") return;
  if (step?.op === "test" && more.length === 0) return emitter.term(step.term);
  const [inner = step, ...after] = step?.op === "with" ? step.steps : [];
  if (after.length > 0 || more.length > 0 || (inner?.op !== "test" && inner?.op !== "equal")) return;
  const { at, end } = literal;
  const slot = planner.slot();
  const left: ResolvedTerm = { kind: "local", local: { slot, name: "$" }, at, end };
  const right = literal.expression.term;
  const captured = planner.body([{ ...literal, expression: { kind: "unify", left, right } }], new Bound(), new Set());
  const holds = emitter.body(captured, () => true, false);
  return (evaluation, frame) => (holds(evaluation, frame) ? (frame[slot] as Value) : undefined); // what it was unified with
}

/** A query in the shape in which rules are checked. */
function queryAsRule(source: Source, body: Body, resolved: ResolvedRule["branches"][number]["body"]): ResolvedRule {
  const { at, end } = body;
  const head = { kind: "var", name: "query", at, end } as const;
  const path: Value[] = [];
  return {
    rule: {
      isDefault: false,
      head,
      args: undefined,
      member: undefined,
      value: undefined,
      operator: undefined,
      body,
      otherwise: [],
      at,
      end,
    },
    source,
    path,
    tail: [],
    isMultiValue: false,
    args: undefined,
    branches: [{ at, end, body: resolved, value: { kind: "constant", value: true, at, end } }],
    frameSize: 0,
  };
}
