/**
 * Code for a group of rules: which of them are run, how their values become the group's one document, and when that is a
 * conflict. A frame holds the arguments of a function, then the result as it grows, then the variables of the rules,
 * which run one after the other in the same frame.
 */
import { burn } from "../fuel.ts";
import { type Evaluation, EvaluationFault, type Frame, type Site } from "../run/evaluation.ts";
import { equalValues, type Key, keyOf, lookUp, ObjectBuilder, type Value, ValueSet } from "../value.ts";
import type { GroupCode } from "./documents.ts";
import { type EmitContext, Emitter, type Predicate, type StepCode, type TermCode } from "./emit.ts";
import type { Pattern, PlanBody, PlanTerm, Step } from "./plan.ts";
import { buildRuleIndex, demandsOf } from "./rule-index.ts";
import { pathText, type RuleGroup } from "./rule-tree.ts";

/** A rule whose bodies are ordered. */
export interface PlannedRule {
  readonly group: RuleGroup;
  /** The constant part of its name, from `data` on. */
  readonly path: readonly Value[];
  readonly site: Site;
  /** Takes the arguments apart. */
  readonly args: readonly Step[];
  readonly branches: readonly PlannedBranch[];
  /** Steps from the group's document to what the rule defines; evaluated after the first branch's body. */
  readonly tail: readonly PlanTerm[];
  readonly isMultiValue: boolean;
  readonly frameSize: number;
  /** The number of this rule among all, for a tracer. */
  readonly id: number;
}

export interface PlannedBranch {
  readonly at: number;
  readonly valueAt: number;
  readonly body: PlanBody;
  readonly value: PlanTerm;
}

export interface PlannedGroup {
  readonly group: RuleGroup;
  readonly rules: readonly PlannedRule[];
  readonly defaults: readonly PlannedRule[];
  /** Of sets and objects: the rules planned for one key, which is given. */
  readonly keyed: () => readonly PlannedRule[];
}

/** Keys of a document that are looked at one by one during a scope; after that the whole document is made. */
const KEYED_MAX = 16;

/** What runs one rule; true when nobody needs to look further. */
type RuleCode = Predicate;

export function emitGroup(planned: PlannedGroup, context: EmitContext, isTraced: boolean): Omit<GroupCode, "group"> {
  const { group } = planned;
  const { id } = group;
  const all = emitRules(planned, planned.rules, context, isTraced, false);
  let keyed: RulesCode | undefined;
  const value = (evaluation: Evaluation): Value | undefined => {
    const { memory, stamp } = evaluation;
    if (memory.stamps[id] === stamp) return memory.values[id];
    const made = all.run(evaluation, new Array(all.frameSize));
    memory.keep(id, stamp, made);
    return made;
  };
  return {
    frameSize: all.frameSize,
    call: all.run,
    value,
    valueAt(evaluation, key) {
      const { memory, stamp } = evaluation;
      if (memory.stamps[id] === stamp || (group.kind !== "set" && group.kind !== "object")) {
        const whole = value(evaluation);
        return whole === undefined ? undefined : lookUp(whole, key);
      }
      const known = evaluation.keyed(id);
      const name = keyOf(key);
      if (known.has(name)) return known.get(name);
      if (known.size >= KEYED_MAX) return lookUp(value(evaluation) as Value, key); // sets and objects are always defined
      keyed ??= emitRules(planned, planned.keyed(), context, isTraced, true);
      const frame: Frame = new Array(keyed.frameSize);
      frame[group.arity + 1] = key;
      const part = keyed.run(evaluation, frame);
      const found = part === undefined ? undefined : lookUp(part, key);
      known.set(name, found);
      return found;
    },
  };
}

interface RulesCode {
  readonly frameSize: number;
  /** Runs the rules that apply, and answers what they make together. */
  readonly run: (evaluation: Evaluation, frame: Frame) => Value | undefined;
}

/** Code for rules of a group; `isKeyed` when they are planned for one key. */
function emitRules(
  planned: PlannedGroup,
  plans: readonly PlannedRule[],
  context: EmitContext,
  isTraced: boolean,
  isKeyed: boolean,
): RulesCode {
  const { group } = planned;
  const slot = group.arity; // of the result
  const isSingle = group.kind === "value" || group.kind === "function";
  const frameSize = [...plans, ...planned.defaults].reduce((most, rule) => Math.max(most, rule.frameSize), slot + 2);
  const onlyConstant = isSingle ? commonConstant(planned) : undefined;
  const stopsEarly = onlyConstant !== undefined || (isKeyed && group.kind === "set");
  const rules = plans.map((rule) => ({
    item: traced(emitRule(rule, slot, context, stopsEarly), rule.id, isTraced),
    demands: demandsOfRule(rule, (place) => place < slot || (isKeyed && place === slot + 1)),
  }));
  const all = rules.map(({ item }) => item);
  const index = buildRuleIndex(rules);
  const stopsAtFirst = stopsEarly && !isTraced;
  const start = startOf(group);
  const finish = finishOf(planned, slot, context);
  return {
    frameSize,
    run(evaluation, frame) {
      burn(1);
      frame[slot] = start();
      const chosen = index === undefined ? all : index.select(evaluation, frame);
      for (let at = 0; at < chosen.length; at += 1) {
        if ((chosen[at] as RuleCode)(evaluation, frame) && stopsAtFirst) break; // within
      }
      return finish(evaluation, frame);
    },
  };
}

function startOf(group: RuleGroup): () => unknown {
  switch (group.kind) {
    case "set":
      return () => new ValueSet();
    case "object":
      return () => new DocumentBuilder();
    default:
      return () => undefined;
  }
}

function finishOf(planned: PlannedGroup, slot: number, context: EmitContext): TermCode {
  const defaults = planned.defaults.map((rule) => emitDefault(rule, context));
  switch (planned.group.kind) {
    case "set":
      return (_, frame) => frame[slot] as ValueSet; // put there at the start
    case "object":
      return (evaluation, frame) => {
        const builder = frame[slot] as DocumentBuilder; // put there at the start
        for (const { path, value } of defaults) {
          const steps = path.map((step) => step(evaluation, frame) as Value); // constants
          const given = value(evaluation, frame);
          if (given !== undefined) builder.putDefault(steps, given);
        }
        return builder.finish();
      };
    default: {
      const [only] = defaults;
      if (only === undefined) return (_, frame) => frame[slot] as Value | undefined; // what the rules left
      return (evaluation, frame) => {
        const value = frame[slot] as Value | undefined; // what the rules left
        return value === undefined ? only.value(evaluation, frame) : value;
      };
    }
  }
}

function emitDefault(rule: PlannedRule, context: EmitContext): { path: readonly TermCode[]; value: TermCode } {
  const emitter = new Emitter(context, rule.site.source);
  const value = rule.branches[0]?.value ?? { kind: "constant", value: null };
  return { path: rule.tail.map((step) => emitter.term(step)), value: emitter.term(value) };
}

/** The value of all rules of a group, when they have one and the same: the first that applies then decides. */
function commonConstant(planned: PlannedGroup): Value | undefined {
  let common: Value | undefined;
  for (const rule of planned.rules) {
    for (const { value } of rule.branches) {
      if (value.kind !== "constant") return undefined;
      if (common !== undefined && !equalValues(common, value.value)) return undefined;
      common = value.value;
    }
  }
  return common;
}

function demandsOfRule(rule: PlannedRule, isGiven: (slot: number) => boolean): ReturnType<typeof demandsOf> {
  const [first, ...others] = rule.branches;
  // What an else branch demands says nothing of the rule.
  return demandsOf(rule.args, first === undefined || others.length > 0 ? [] : first.body, isGiven);
}

function emitRule(rule: PlannedRule, slot: number, context: EmitContext, stopsEarly: boolean): RuleCode {
  const emitter = new Emitter(context, rule.site.source);
  const branches = rule.branches.map((branch) => {
    const value = emitter.term(branch.value);
    const tracedValue: TermCode = (evaluation, frame) => {
      const made = value(evaluation, frame);
      evaluation.trace?.produce(rule.id, made);
      return made;
    };
    const end = emitEnd(rule, branch, slot, emitter, context.mark === undefined ? value : tracedValue, stopsEarly);
    return emitter.body(branch.body, end, false);
  });
  const code = branches.length === 1 && branches[0] !== undefined ? branches[0] : inTurn(branches, rule.frameSize - 1);
  return rule.args.length === 0 ? code : emitter.steps(rule.args, code, false);
}

/** Branches of which the first that holds counts; the last place of the frame tells that one did. */
function inTurn(branches: readonly StepCode[], held: number): StepCode {
  return (evaluation, frame) => {
    frame[held] = undefined;
    for (const branch of branches) {
      if (branch(evaluation, frame)) return true;
      if (frame[held] !== undefined) return false;
    }
    return false;
  };
}

/** What is done each time when the body of a branch holds. */
function emitEnd(
  rule: PlannedRule,
  branch: PlannedBranch,
  slot: number,
  emitter: Emitter,
  value: TermCode,
  stopsEarly: boolean,
): StepCode {
  const site: Site = { source: rule.site.source, at: branch.at };
  const held = rule.branches.length > 1 ? rule.frameSize - 1 : undefined;
  switch (rule.group.kind) {
    case "set":
      return (evaluation, frame) => {
        const member = value(evaluation, frame);
        if (member !== undefined) {
          burn(1);
          (frame[slot] as ValueSet).add(member); // put there at the start
        }
        return stopsEarly && member !== undefined;
      };
    case "object": {
      const tail = rule.tail.map((step) => emitter.term(step));
      const { isMultiValue } = rule;
      const isGround = rule.tail.every((step) => step.kind === "constant");
      return (evaluation, frame) => {
        const path: Value[] = [];
        for (const step of tail) {
          const key = step(evaluation, frame);
          if (key === undefined) return false;
          path.push(key);
        }
        const leaf = value(evaluation, frame);
        if (leaf === undefined) return false;
        burn(path.length + 1);
        (frame[slot] as DocumentBuilder).put(path, leaf, isMultiValue, isGround, site); // put there at the start
        if (held !== undefined) frame[held] = true;
        return false;
      };
    }
    case "value":
    case "function": {
      const stops = stopsEarly || isSettledEarly(rule, branch);
      const name = pathText(rule.group.path);
      const message =
        rule.group.kind === "function"
          ? `functions must not produce multiple outputs for same inputs: ${name}`
          : `complete rules must not produce multiple outputs: ${name}`;
      return (evaluation, frame) => {
        const result = value(evaluation, frame);
        if (result === undefined) return false;
        const earlier = frame[slot] as Value | undefined; // what this rule or another left
        if (earlier === undefined) frame[slot] = result;
        else if (!equalValues(earlier, result)) throw new EvaluationFault("eval_conflict_error", message, site);
        if (held !== undefined) frame[held] = true;
        return stops;
      };
    }
  }
}

/** Whether the value is the same however often the body holds: it needs nothing that is bound in several ways. */
function isSettledEarly(rule: PlannedRule, branch: PlannedBranch): boolean {
  const steps = [...rule.args, ...branch.body.flatMap((literal) => literal.steps)];
  const first = steps.findIndex(({ op }) => op === "scan" || op === "walk" || op === "relate" || op === "with");
  if (first < 0) return true;
  const settled = new Set<number>();
  for (let slot = 0; slot < rule.group.arity; slot += 1) settled.add(slot);
  for (const step of steps.slice(0, first)) {
    if (step.op === "bind") settled.add(step.slot);
    else if (step.op === "match") addSlots(step.pattern, settled);
  }
  return isSettled(branch.value, settled);
}

function addSlots(pattern: Pattern, slots: Set<number>): void {
  if (pattern.kind === "bind") slots.add(pattern.slot);
  else if (pattern.kind === "array") for (const item of pattern.items) addSlots(item, slots);
  else if (pattern.kind === "object") for (const [, value] of pattern.entries) addSlots(value, slots);
}

function isSettled(term: PlanTerm, settled: ReadonlySet<number>): boolean {
  const areSettled = (terms: readonly PlanTerm[]) => terms.every((inner) => isSettled(inner, settled));
  switch (term.kind) {
    case "constant":
    case "input":
    case "base":
    case "group":
    case "extent":
      return true;
    case "local":
      return settled.has(term.slot);
    case "lookUp":
      return isSettled(term.base, settled) && areSettled(term.path);
    case "call":
      return areSettled(term.args);
    case "array":
    case "set":
      return areSettled(term.items);
    case "object":
      return areSettled(term.entries.flat());
    default:
      return false;
  }
}

/** Code that tells a tracer when the rule begins and ends. */
function traced(code: RuleCode, id: number, isTraced: boolean): RuleCode {
  if (!isTraced) return code;
  return (evaluation, frame) => {
    evaluation.trace?.enterRule(id);
    const done = code(evaluation, frame);
    evaluation.trace?.leaveRule(id);
    return done;
  };
}

/** A document that rules with paths put together: objects, and at the ends values or sets. */
class DocumentBuilder {
  readonly #root: Inner = { kind: "inner", below: new Map() };

  put(path: readonly Value[], value: Value, isMember: boolean, isGround: boolean, site: Site): void {
    const conflict = () =>
      new EvaluationFault(
        "eval_conflict_error",
        isGround ? "complete rules must not produce multiple outputs" : "object keys must be unique",
        site,
      );
    let inner = this.#root;
    for (const [index, step] of path.entries()) {
      const key = keyOf(step);
      const there = inner.below.get(key);
      if (index === path.length - 1) {
        if (there === undefined) {
          const node: Outer = isMember ? { kind: "set", set: new ValueSet([value]) } : { kind: "value", value };
          inner.below.set(key, [step, node]);
        } else if (isMember) {
          if (there[1].kind !== "set") throw conflict();
          there[1].set.add(value);
        } else if (there[1].kind !== "value" || !equalValues(there[1].value, value)) throw conflict();
        return;
      }
      if (there === undefined) {
        const next: Inner = { kind: "inner", below: new Map() };
        inner.below.set(key, [step, next]);
        inner = next;
      } else if (there[1].kind === "inner") inner = there[1];
      else throw conflict();
    }
  }

  /** Puts a value where there is none. */
  putDefault(path: readonly Value[], value: Value): void {
    let inner = this.#root;
    for (const [index, step] of path.entries()) {
      const key = keyOf(step);
      const there = inner.below.get(key);
      if (index === path.length - 1) {
        if (there === undefined) inner.below.set(key, [step, { kind: "value", value }]);
        return;
      }
      if (there === undefined) {
        const next: Inner = { kind: "inner", below: new Map() };
        inner.below.set(key, [step, next]);
        inner = next;
      } else if (there[1].kind === "inner") inner = there[1];
      else return;
    }
  }

  finish(): Value {
    return finishInner(this.#root);
  }
}

interface Inner {
  readonly kind: "inner";
  readonly below: Map<Key, [Value, Inner | Outer]>;
}

type Outer = { readonly kind: "value"; readonly value: Value } | { readonly kind: "set"; readonly set: ValueSet };

function finishInner(inner: Inner): Value {
  const builder = new ObjectBuilder();
  for (const [key, node] of inner.below.values()) {
    if (node.kind === "inner") builder.set(key, finishInner(node));
    else builder.set(key, node.kind === "set" ? node.set : node.value);
  }
  return builder.finish();
}
