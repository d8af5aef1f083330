/**
 * Orders the expressions of bodies so that every variable has a value before it is needed, and takes expressions apart
 * into steps that a machine without unification can run: at each place it is known which variables are bound. A body
 * for which no order exists is unsafe, and refused.
 *
 * The order is that of the text, except that an expression waits until what it needs is bound by others; several passes
 * are made until all are placed. References with unbound variables (`input.roles[i]`) become steps of their own that
 * go through all possibilities, before the expression that they stand in.
 */
import type { Span } from "../problem.ts";
import { keyOf, type Value } from "../value.ts";
import { localsOf, localsOfBodyDeep, localsOfClosure, localsOfLiteral } from "./locals.ts";
import type {
  Callee,
  Local,
  ResolvedBody,
  ResolvedLiteral,
  ResolvedRef,
  ResolvedTerm,
  ResolvedWith,
  TemplateExpression,
} from "./resolved.ts";
import type { RuleGroup, RuleTree, TreeNode } from "./rule-tree.ts";
import { childrenOf } from "./visit.ts";

/** A term all of whose variables are bound where it is evaluated. */
export type PlanTerm =
  | { readonly kind: "constant"; readonly value: Value }
  | { readonly kind: "local"; readonly slot: number }
  | { readonly kind: "input" }
  /** All base data. */
  | { readonly kind: "base" }
  | { readonly kind: "group"; readonly group: RuleGroup }
  /** The document at a node without a group: what rules and base data below it make. */
  | { readonly kind: "extent"; readonly node: TreeNode }
  /** Steps down from such a node, of which the first is not constant. */
  | { readonly kind: "descend"; readonly node: TreeNode; readonly path: readonly PlanTerm[] }
  | { readonly kind: "lookUp"; readonly base: PlanTerm; readonly path: readonly PlanTerm[] }
  | { readonly kind: "call"; readonly callee: Callee; readonly args: readonly PlanTerm[]; readonly at: number }
  | { readonly kind: "array" | "set"; readonly items: readonly PlanTerm[] }
  | { readonly kind: "object"; readonly entries: readonly (readonly [PlanTerm, PlanTerm])[]; readonly at: number }
  | PlanComprehension
  | { readonly kind: "template"; readonly parts: readonly (string | PlanTemplatePart)[] };

export interface PlanComprehension {
  readonly kind: "comprehension";
  readonly of: "array" | "set" | "object";
  readonly body: PlanBody;
  readonly key: PlanTerm | undefined;
  readonly value: PlanTerm;
  /** Where the collection grows. */
  readonly slot: number;
  readonly at: number;
}

export interface PlanTemplatePart {
  readonly body: PlanBody;
  readonly slot: number;
}

/** What a value is taken apart with; binds variables on the way. */
export type Pattern =
  | { readonly kind: "any" }
  | { readonly kind: "bind"; readonly slot: number }
  | { readonly kind: "equal"; readonly term: PlanTerm }
  | { readonly kind: "array"; readonly items: readonly Pattern[] }
  | { readonly kind: "object"; readonly entries: readonly (readonly [PlanTerm, Pattern])[] };

export type Step =
  /** The term is defined, and not false. */
  | { readonly op: "test"; readonly term: PlanTerm }
  | { readonly op: "defined"; readonly term: PlanTerm }
  | { readonly op: "bind"; readonly slot: number; readonly term: PlanTerm }
  | { readonly op: "equal"; readonly left: PlanTerm; readonly right: PlanTerm }
  | { readonly op: "match"; readonly pattern: Pattern; readonly term: PlanTerm }
  | { readonly op: "never" }
  /** Each key and value of a collection in turn. */
  | {
      readonly op: "scan";
      readonly source: PlanTerm;
      readonly key: Pattern;
      value: Pattern;
      /** Whether a reference with an open variable goes through it; else `some … in`. */
      readonly isRef: boolean;
    }
  /** Each document on paths down from a node without a group; some steps are open. */
  | { readonly op: "walk"; readonly node: TreeNode; readonly path: readonly Pattern[]; value: Pattern }
  /** Each result of a built-in that has several. */
  | { readonly op: "relate"; readonly call: PlanTerm; value: Pattern }
  | { readonly op: "not"; readonly body: PlanBody }
  | {
      readonly op: "every";
      readonly domain: PlanTerm;
      readonly key: number | undefined;
      readonly value: number;
      readonly body: PlanBody;
    }
  | {
      readonly op: "with";
      readonly modifiers: readonly PlanWith[];
      readonly steps: readonly Step[];
      /** Where the scope around is kept. */
      readonly slot: number;
    }
  /** Prints its arguments, defined or not. */
  | { readonly op: "print"; readonly parts: readonly PlanTemplatePart[] };

export interface PlanWith {
  readonly at: number;
  readonly target: ResolvedWith["target"];
  readonly replacement:
    | { readonly kind: "callee"; readonly callee: Callee }
    | { readonly kind: "value"; readonly term: PlanTerm };
}

export type PlanBody = readonly PlanLiteral[];

export interface PlanLiteral extends Span {
  readonly steps: readonly Step[];
  /** Slots that are bound when it holds, by the names that were written. */
  readonly binds: readonly Local[];
}

/** A body that cannot be ordered; thrown, and caught where a rule is planned. */
export class UnsafeFault {
  readonly at: number;
  readonly locals: readonly Local[];

  constructor(at: number, locals: readonly Local[]) {
    this.at = at;
    this.locals = locals;
  }
}

/** Which variables are bound; a fork forgets what it adds. */
export class Bound {
  readonly #below: Bound | undefined;
  readonly #slots: Set<number>;

  constructor(slots: Iterable<number> = [], below?: Bound) {
    this.#slots = new Set(slots);
    this.#below = below;
  }

  has(slot: number): boolean {
    return this.#slots.has(slot) || (this.#below?.has(slot) ?? false);
  }

  add(slot: number): void {
    this.#slots.add(slot);
  }

  fork(): Bound {
    return new Bound([], this);
  }

  addAll(other: Bound): void {
    for (const slot of other.#slots) this.#slots.add(slot);
  }
}

export interface PlanContext {
  readonly tree: RuleTree;
  arityOf(callee: Callee): number;
  isRelation(callee: Callee): boolean;
}

/** Thrown inside, when a literal must wait for others. */
class Waiting {
  readonly locals: readonly Local[];

  constructor(locals: readonly Local[]) {
    this.locals = locals;
  }
}

const NOTHING: readonly Local[] = [];

export class Planner {
  readonly #context: PlanContext;
  #frameSize: number;
  readonly #closures = new Map<ResolvedTerm, ReadonlySet<Local>>();

  /** `frameSize` is what the resolved rule needs; the plan may need more. */
  constructor(context: PlanContext, frameSize: number) {
    this.#context = context;
    this.#frameSize = frameSize;
  }

  get frameSize(): number {
    return this.#frameSize;
  }

  /**
   * Orders a body. `outer` are the variables of the bodies around it: those that it shares must be bound, which the
   * caller has seen to. What it binds is added to `bound`.
   */
  body(body: ResolvedBody, bound: Bound, outer: ReadonlySet<number>): PlanBody {
    const visible = new Set(outer);
    for (const literal of body) for (const local of localsOfLiteral(literal)) visible.add(local.slot);
    const planned: PlanLiteral[] = [];
    let waiting = body.map((literal) => ({ literal, until: NOTHING }));
    while (waiting.length > 0) {
      const later: { literal: ResolvedLiteral; until: readonly Local[] }[] = [];
      for (const { literal, until } of waiting) {
        // It is tried again only when something that it waits for is bound.
        if (until.length > 0 && !until.some(({ slot }) => bound.has(slot))) {
          later.push({ literal, until });
          continue;
        }
        const trial = bound.fork();
        try {
          planned.push({ at: literal.at, end: literal.end, ...this.#literal(literal, trial, visible) });
          bound.addAll(trial);
        } catch (cause) {
          if (!(cause instanceof Waiting)) throw cause; // an expression that must wait is tried again
          later.push({ literal, until: cause.locals });
        }
      }
      if (later.length === waiting.length) throw this.#unsafe(later);
      waiting = later;
    }
    return planned;
  }

  /** Plans terms that follow a body, such as a rule's value. Steps that they need are added to `steps`. */
  terms(
    terms: readonly ResolvedTerm[],
    at: number,
    bound: Bound,
    outer: ReadonlySet<number>,
    steps: Step[],
  ): PlanTerm[] {
    try {
      const hoisted = this.#hoist(terms, bound, outer, steps);
      return terms.map((term) => this.#term(term, bound, outer, hoisted));
    } catch (cause) {
      if (cause instanceof Waiting) throw new UnsafeFault(at, cause.locals); // nothing follows that could bind it
      throw cause;
    }
  }

  /** Plans the patterns of arguments, which stand in the first slots. */
  args(args: readonly ResolvedTerm[], bound: Bound): Step[] {
    const steps: Step[] = [];
    for (let slot = 0; slot < args.length; slot += 1) bound.add(slot);
    for (const [slot, arg] of args.entries()) {
      if (arg.kind === "local" && arg.local.slot === slot) continue;
      const pattern = this.#pattern(arg, bound, new Set(), new Map());
      const term: PlanTerm = { kind: "local", slot };
      steps.push(
        pattern.kind === "equal" ? { op: "equal", left: term, right: pattern.term } : { op: "match", pattern, term },
      );
    }
    return steps;
  }

  /** All variables in a term with bodies of its own. */
  #closure(term: ResolvedTerm): ReadonlySet<Local> {
    let locals = this.#closures.get(term);
    if (locals === undefined) {
      locals = localsOfClosure(term);
      this.#closures.set(term, locals);
    }
    return locals;
  }

  /** A new place in the frame. */
  slot(): number {
    this.#frameSize += 1;
    return this.#frameSize - 1;
  }

  #unsafe(waiting: readonly { readonly literal: ResolvedLiteral; readonly until: readonly Local[] }[]): UnsafeFault {
    const locals = new Map<number, Local>();
    for (const { until } of waiting) for (const local of until) locals.set(local.slot, local);
    return new UnsafeFault(waiting[0]?.literal.at ?? 0, [...locals.values()]);
  }

  // Literals

  #literal(literal: ResolvedLiteral, bound: Bound, visible: ReadonlySet<number>): Pick<PlanLiteral, "steps" | "binds"> {
    const modifiers = literal.with.map((modifier) => this.#with(modifier, bound, visible));
    const inner = literal.negated ? bound.fork() : bound;
    if (literal.negated) this.#requireAll(literal, bound);
    if (literal.isClosed === true) this.#requireOthers(literal, bound);
    let steps = this.#expression(literal, inner, visible);
    if (literal.negated) {
      steps = [{ op: "not", body: [{ at: literal.at, end: literal.end, steps, binds: [] }] }];
    }
    // What replaces is evaluated before what is negated: where it is undefined, so is all.
    if (modifiers.length > 0) steps = [{ op: "with", modifiers, steps, slot: this.slot() }];
    const binds = [...localsOfLiteral(literal)].filter(({ name }) => name !== "_" && name !== "$");
    return { steps, binds };
  }

  #with(modifier: ResolvedWith, bound: Bound, visible: ReadonlySet<number>): PlanWith {
    const { target, replacement, at } = modifier;
    if (replacement.kind === "callee") return { at, target, replacement };
    const term = this.#term(replacement.term, bound, visible, new Map());
    return { at, target, replacement: { kind: "value", term } };
  }

  /** All variables on the right of an equation that was made for one on the left. */
  #requireOthers({ expression }: ResolvedLiteral, bound: Bound): void {
    if (expression.kind !== "unify") return;
    const unbound = [...localsOf(expression.right)].filter(({ slot }) => !bound.has(slot));
    if (unbound.length > 0) throw new Waiting(unbound);
  }

  /** A negated expression binds nothing, so that all its variables must be bound. */
  #requireAll(literal: ResolvedLiteral, bound: Bound): void {
    const unbound = [...localsOfLiteral({ ...literal, with: [] })].filter(({ slot }) => !bound.has(slot));
    if (unbound.length > 0) throw new Waiting(unbound);
  }

  #expression(literal: ResolvedLiteral, bound: Bound, visible: ReadonlySet<number>): Step[] {
    const { expression } = literal;
    const steps: Step[] = [];
    switch (expression.kind) {
      case "term":
        this.#statement(expression.term, bound, visible, steps);
        return steps;
      case "unify": {
        const hoisted = this.#hoist([expression.left, expression.right], bound, visible, steps);
        this.#unify([[expression.left, expression.right]], bound, visible, hoisted, steps);
        return steps;
      }
      case "someIn": {
        const patterns = expression.key === undefined ? [expression.value] : [expression.key, expression.value];
        const hoisted = this.#hoist([expression.domain, ...patterns], bound, visible, steps);
        const source = this.#term(expression.domain, bound, visible, hoisted);
        const key: Pattern =
          expression.key === undefined ? { kind: "any" } : this.#pattern(expression.key, bound, visible, hoisted);
        steps.push({
          op: "scan",
          source,
          key,
          value: this.#pattern(expression.value, bound, visible, hoisted),
          isRef: false,
        });
        return steps;
      }
      case "not": {
        this.#requireCaptured(localsOfBodyDeep(expression.body), bound, visible);
        steps.push({ op: "not", body: this.body(expression.body, bound.fork(), visible) });
        return steps;
      }
      case "every": {
        const hoisted = this.#hoist([expression.domain], bound, visible, steps);
        const domain = this.#term(expression.domain, bound, visible, hoisted);
        this.#requireCaptured(localsOfBodyDeep(expression.body), bound, visible);
        const inner = bound.fork();
        if (expression.key !== undefined) inner.add(expression.key.slot);
        inner.add(expression.value.slot);
        const body = this.body(expression.body, inner, visible);
        steps.push({ op: "every", domain, key: expression.key?.slot, value: expression.value.slot, body });
        return steps;
      }
    }
  }

  /** A term that stands alone: a test, or a call whose last argument takes the result. */
  #statement(term: ResolvedTerm, bound: Bound, visible: ReadonlySet<number>, steps: Step[]): void {
    if (term.kind === "call" && term.callee.kind === "builtin") {
      if (term.callee.name === "print") {
        steps.push({ op: "print", parts: term.args.map((arg) => this.#printed(arg, bound, visible)) });
        return;
      }
      const [left, right] = term.args;
      if (term.callee.name === "equal" && left !== undefined && right !== undefined && term.args.length === 2) {
        const hoisted = this.#hoist([left, right], bound, visible, steps);
        const sides = [left, right].map((side) => this.#term(side, bound, visible, hoisted));
        steps.push({ op: "equal", left: sides[0] as PlanTerm, right: sides[1] as PlanTerm }); // two went in
        return;
      }
    }
    if (term.kind === "call") {
      const arity = this.#context.arityOf(term.callee);
      const output = term.args[arity];
      if (output !== undefined) {
        const call: ResolvedTerm = { ...term, args: term.args.slice(0, arity) };
        const hoisted = this.#hoist([...call.args, output], bound, visible, steps);
        if (this.#context.isRelation(term.callee)) {
          const planned = this.#term(call, bound, visible, hoisted);
          steps.push({ op: "relate", call: planned, value: this.#pattern(output, bound, visible, hoisted) });
        } else this.#unify([[call, output]], bound, visible, hoisted, steps);
        return;
      }
    }
    const hoisted = this.#hoist([term], bound, visible, steps);
    const planned = this.#term(term, bound, visible, hoisted);
    steps.push({ op: "test", term: planned });
  }

  #printed(arg: ResolvedTerm, bound: Bound, visible: ReadonlySet<number>): PlanTemplatePart {
    const slot = this.slot();
    const term = this.#term(arg, bound, visible, new Map());
    return { slot, body: [{ at: arg.at, end: arg.end, steps: [{ op: "bind", slot, term }], binds: [] }] };
  }

  /** Makes pairs of terms equal, binding what is open on either side, in whichever order works. */
  #unify(
    pairs: readonly (readonly [ResolvedTerm, ResolvedTerm])[],
    bound: Bound,
    visible: ReadonlySet<number>,
    hoisted: Hoisted,
    steps: Step[],
  ): void {
    let open = [...pairs];
    while (open.length > 0) {
      const later: (readonly [ResolvedTerm, ResolvedTerm])[] = [];
      let progress = false;
      for (const [left, right] of open) {
        const parts = this.#unifyPair(left, right, bound, visible, hoisted, steps);
        if (parts === undefined) later.push([left, right]);
        else {
          progress = true;
          for (const part of parts) later.push(part);
        }
      }
      if (!progress) {
        throw new Waiting(later.flat().flatMap((term) => this.#unboundOf(term, bound, visible, hoisted)));
      }
      open = later;
    }
  }

  /** Steps for one pair, and the pairs that remain; undefined when it must wait. */
  #unifyPair(
    left: ResolvedTerm,
    right: ResolvedTerm,
    bound: Bound,
    visible: ReadonlySet<number>,
    hoisted: Hoisted,
    steps: Step[],
  ): readonly (readonly [ResolvedTerm, ResolvedTerm])[] | undefined {
    const leftReady = this.#isReady(left, bound, visible, hoisted);
    const rightReady = this.#isReady(right, bound, visible, hoisted);
    if (leftReady && rightReady) {
      const l = this.#term(left, bound, visible, hoisted);
      steps.push({ op: "equal", left: l, right: this.#term(right, bound, visible, hoisted) });
      return [];
    }
    if (rightReady && isOpenPattern(left)) return this.#matchPair(left, right, bound, visible, hoisted, steps);
    if (leftReady && isOpenPattern(right)) return this.#matchPair(right, left, bound, visible, hoisted, steps);
    if (left.kind === "array" && right.kind === "array") {
      if (left.items.length !== right.items.length) {
        steps.push({ op: "never" });
        for (const local of [...localsOf(left), ...localsOf(right)]) bound.add(local.slot);
        return [];
      }
      return left.items.map((item, index) => [item, right.items[index] as ResolvedTerm]); // of the same length
    }
    if (left.kind === "object" && right.kind === "object") return pairsOfObjects(left.entries, right.entries);
    return undefined;
  }

  #matchPair(
    open: ResolvedTerm,
    ready: ResolvedTerm,
    bound: Bound,
    visible: ReadonlySet<number>,
    hoisted: Hoisted,
    steps: Step[],
  ): readonly [] {
    const term = this.#term(ready, bound, visible, hoisted);
    const pattern = this.#pattern(open, bound, visible, hoisted);
    const last = steps.at(-1);
    const isAside =
      term.kind === "local" &&
      hoisted.has(ready) &&
      (last?.op === "scan" || last?.op === "walk" || last?.op === "relate") &&
      last.value.kind === "bind" &&
      last.value.slot === term.slot;
    if (isAside)
      last.value = pattern; // put aside just before, for this alone: it goes into the pattern at once
    else if (pattern.kind === "bind") steps.push({ op: "bind", slot: pattern.slot, term });
    else if (pattern.kind === "any") steps.push({ op: "defined", term });
    else steps.push({ op: "match", pattern, term });
    return [];
  }

  // Terms

  /** Steps for every reference in the terms that has open variables, and the place where its value is put. */
  #hoist(terms: readonly ResolvedTerm[], bound: Bound, visible: ReadonlySet<number>, steps: Step[]): Hoisted {
    const hoisted: Hoisted = new Map();
    let open = terms.flatMap((term) => this.#openTerms(term, bound));
    while (open.length > 0) {
      const later: ResolvedTerm[] = [];
      for (const term of open) {
        if (!this.#tryHoist(term, bound, visible, hoisted, steps)) later.push(term);
      }
      if (later.length === open.length) break; // the caller finds what is missing
      open = later;
    }
    return hoisted;
  }

  /** References with open variables and calls with several results, inner ones before outer ones. */
  #openTerms(term: ResolvedTerm, bound: Bound): ResolvedTerm[] {
    const found: ResolvedTerm[] = [];
    const visit = (inner: ResolvedTerm): void => {
      for (const child of childrenOf(inner)) visit(child);
      if (inner.kind === "ref" && inner.path.some((step) => isOpenPattern(step) && hasUnbound(step, bound))) {
        found.push(inner);
      } else if (inner.kind === "call" && this.#context.isRelation(inner.callee)) found.push(inner);
    };
    visit(term);
    return found;
  }

  #tryHoist(term: ResolvedTerm, bound: Bound, visible: ReadonlySet<number>, hoisted: Hoisted, steps: Step[]): boolean {
    if (term.kind === "call") {
      if (!term.args.every((arg) => this.#isReady(arg, bound, visible, hoisted))) return false;
      const call = this.#plainCall(term, bound, visible, hoisted);
      const slot = this.slot();
      steps.push({ op: "relate", call, value: { kind: "bind", slot } });
      hoisted.set(term, { kind: "local", slot });
      return true;
    }
    if (term.kind !== "ref") return false;
    const isReady = (part: ResolvedTerm) => this.#isReady(part, bound, visible, hoisted);
    if (!isReady(term.head)) return false;
    if (!term.path.every((step) => isReady(step) || (isOpenPattern(step) && this.#keysReady(step, isReady))))
      return false;
    hoisted.set(term, this.#scanRef(term, bound, visible, hoisted, steps));
    return true;
  }

  /** Parts of an open pattern that are no patterns themselves must be ready. */
  #keysReady(pattern: ResolvedTerm, isReady: (part: ResolvedTerm) => boolean): boolean {
    switch (pattern.kind) {
      case "array":
        return pattern.items.every((item) => isReady(item) || (isOpenPattern(item) && this.#keysReady(item, isReady)));
      case "object":
        return pattern.entries.every(
          ([key, value]) =>
            isReady(key) && (isReady(value) || (isOpenPattern(value) && this.#keysReady(value, isReady))),
        );
      default:
        return true;
    }
  }

  /** Steps that go through a reference with open variables; its value is the term returned. */
  #scanRef(ref: ResolvedRef, bound: Bound, visible: ReadonlySet<number>, hoisted: Hoisted, steps: Step[]): PlanTerm {
    const isReady = (step: ResolvedTerm) => this.#isReady(step, bound, visible, hoisted);
    let { base, rest } = this.#baseOf(ref, bound, visible, hoisted);
    if (base.kind === "extent") {
      const { node } = base;
      // The first open step is at a node without a group, so that documents of rules may lie on any path.
      const path = rest.map((step): Pattern => {
        if (isReady(step)) return { kind: "equal", term: this.#term(step, bound, visible, hoisted) };
        return this.#pattern(step, bound, visible, hoisted);
      });
      const slot = this.slot();
      steps.push({ op: "walk", node, path, value: { kind: "bind", slot } });
      return { kind: "local", slot };
    }
    let path: PlanTerm[] = [];
    for (; rest.length > 0; rest = rest.slice(1)) {
      const step = rest[0] as ResolvedTerm; // not empty
      if (isReady(step)) {
        path.push(this.#term(step, bound, visible, hoisted));
        continue;
      }
      const slot = this.slot();
      const key = this.#pattern(step, bound, visible, hoisted);
      steps.push({ op: "scan", source: makeLookUp(base, path), key, value: { kind: "bind", slot }, isRef: true });
      base = { kind: "local", slot };
      path = [];
    }
    return makeLookUp(base, path);
  }

  /** Where a reference begins once its constant steps are followed as far as rules go, and the steps that remain. */
  #baseOf(
    ref: ResolvedRef,
    bound: Bound,
    visible: ReadonlySet<number>,
    hoisted: Hoisted,
  ): { base: PlanTerm; rest: readonly ResolvedTerm[] } {
    if (ref.head.kind !== "root" || ref.head.root === "input") {
      return { base: this.#term(ref.head, bound, visible, hoisted), rest: ref.path };
    }
    let node = this.#context.tree.root;
    for (const [index, step] of ref.path.entries()) {
      if (step.kind !== "constant") return { base: { kind: "extent", node }, rest: ref.path.slice(index) };
      const child = node.children.get(keyOf(step.value));
      // Beyond the rules there is only base data.
      if (child === undefined) return { base: { kind: "base" }, rest: ref.path };
      if (child.group !== undefined) return { base: groupTerm(child.group), rest: ref.path.slice(index + 1) };
      node = child;
    }
    return { base: { kind: "extent", node }, rest: [] };
  }

  #isReady(term: ResolvedTerm, bound: Bound, visible: ReadonlySet<number>, hoisted: Hoisted): boolean {
    return this.#unboundOf(term, bound, visible, hoisted).length === 0;
  }

  /** What must be bound before a term can be evaluated. */
  #unboundOf(term: ResolvedTerm, bound: Bound, visible: ReadonlySet<number>, hoisted: Hoisted): Local[] {
    if (hoisted.has(term)) return [];
    switch (term.kind) {
      case "local":
        return bound.has(term.local.slot) ? [] : [term.local];
      case "comprehension":
      case "template":
        return [...this.#closure(term)].filter(({ slot }) => visible.has(slot) && !bound.has(slot));
      case "call":
        if (this.#context.isRelation(term.callee)) return [{ slot: -1, name: "_" }]; // never without steps of its own
        return term.args.flatMap((arg) => this.#unboundOf(arg, bound, visible, hoisted));
      default:
        return childrenOf(term).flatMap((child) => this.#unboundOf(child, bound, visible, hoisted));
    }
  }

  #requireCaptured(locals: Iterable<Local>, bound: Bound, visible: ReadonlySet<number>): void {
    const unbound = [...locals].filter(({ slot }) => visible.has(slot) && !bound.has(slot));
    if (unbound.length > 0) throw new Waiting(unbound);
  }

  #term(term: ResolvedTerm, bound: Bound, visible: ReadonlySet<number>, hoisted: Hoisted): PlanTerm {
    const aside = hoisted.get(term);
    if (aside !== undefined) return aside;
    switch (term.kind) {
      case "constant":
        return { kind: "constant", value: term.value };
      case "local":
        if (!bound.has(term.local.slot)) throw new Waiting([term.local]);
        return { kind: "local", slot: term.local.slot };
      case "root":
        return term.root === "input" ? { kind: "input" } : { kind: "extent", node: this.#context.tree.root };
      case "ref":
        return this.#ref(term, bound, visible, hoisted);
      case "call":
        if (this.#context.isRelation(term.callee) && !this.#isReady(term, bound, visible, hoisted)) {
          const arity = this.#context.arityOf(term.callee);
          if (term.args.length !== arity) throw new Waiting([]);
          return this.#plainCall(term, bound, visible, hoisted);
        }
        return this.#plainCall(term, bound, visible, hoisted);
      case "array":
      case "set":
        return { kind: term.kind, items: term.items.map((item) => this.#term(item, bound, visible, hoisted)) };
      case "object":
        return {
          kind: "object",
          at: term.at,
          entries: term.entries.map(([key, value]) => [
            this.#term(key, bound, visible, hoisted),
            this.#term(value, bound, visible, hoisted),
          ]),
        };
      case "comprehension": {
        this.#requireCaptured(this.#closure(term), bound, visible);
        const inner = bound.fork();
        const seen = new Set(visible);
        for (const literal of term.body) for (const local of localsOfLiteral(literal)) seen.add(local.slot);
        const body = [...this.body(term.body, inner, visible)];
        const steps: Step[] = [];
        const heads = term.key === undefined ? [term.value] : [term.key, term.value];
        const planned = this.terms(heads, term.at, inner, seen, steps);
        if (steps.length > 0) body.push({ at: term.at, end: term.end, steps, binds: [] });
        return {
          kind: "comprehension",
          of: term.of,
          body,
          key: term.key === undefined ? undefined : planned[0],
          value: planned.at(-1) as PlanTerm, // at least one went in
          slot: this.slot(),
          at: term.at,
        };
      }
      case "template":
        return {
          kind: "template",
          parts: term.parts.map((part) => (typeof part === "string" ? part : this.#templatePart(part, bound, visible))),
        };
    }
  }

  #templatePart(part: TemplateExpression, bound: Bound, visible: ReadonlySet<number>): PlanTemplatePart {
    this.#requireCaptured(localsOfBodyDeep(part.body), bound, visible);
    const body = this.body(part.body, bound.fork(), visible);
    return { body, slot: part.result.slot };
  }

  #plainCall(
    term: Extract<ResolvedTerm, { kind: "call" }>,
    bound: Bound,
    visible: ReadonlySet<number>,
    hoisted: Hoisted,
  ): PlanTerm {
    const args = term.args.map((arg) => this.#term(arg, bound, visible, hoisted));
    return { kind: "call", callee: term.callee, args, at: term.at };
  }

  #ref(ref: ResolvedRef, bound: Bound, visible: ReadonlySet<number>, hoisted: Hoisted): PlanTerm {
    const { base, rest } = this.#baseOf(ref, bound, visible, hoisted);
    const path = rest.map((step) => this.#term(step, bound, visible, hoisted));
    if (base.kind === "extent" && path.length > 0) return { kind: "descend", node: base.node, path };
    return makeLookUp(base, path);
  }

  /** A pattern whose open variables are bound by it. */
  #pattern(term: ResolvedTerm, bound: Bound, visible: ReadonlySet<number>, hoisted: Hoisted): Pattern {
    if (term.kind === "local" && !bound.has(term.local.slot)) {
      bound.add(term.local.slot);
      return term.local.name === "_" ? { kind: "any" } : { kind: "bind", slot: term.local.slot };
    }
    if (this.#isReady(term, bound, visible, hoisted)) {
      return { kind: "equal", term: this.#term(term, bound, visible, hoisted) };
    }
    if (term.kind === "array") {
      return { kind: "array", items: term.items.map((item) => this.#pattern(item, bound, visible, hoisted)) };
    }
    if (term.kind === "object") {
      return {
        kind: "object",
        entries: term.entries.map(([key, value]) => [
          this.#term(key, bound, visible, hoisted),
          this.#pattern(value, bound, visible, hoisted),
        ]),
      };
    }
    throw new Waiting(this.#unboundOf(term, bound, visible, hoisted));
  }
}

/** Where the values of references with open variables are put aside. */
type Hoisted = Map<ResolvedTerm, PlanTerm>;

function groupTerm(group: RuleGroup): PlanTerm {
  return { kind: "group", group };
}

function makeLookUp(base: PlanTerm, path: readonly PlanTerm[]): PlanTerm {
  if (path.length === 0) return base;
  return base.kind === "lookUp"
    ? { kind: "lookUp", base: base.base, path: [...base.path, ...path] }
    : { kind: "lookUp", base, path };
}

/** What may bind variables where it stands: a variable, or a collection of fixed shape. */
function isOpenPattern(term: ResolvedTerm): boolean {
  return term.kind === "local" || term.kind === "array" || term.kind === "object";
}

function hasUnbound(term: ResolvedTerm, bound: Bound): boolean {
  for (const local of localsOf(term)) if (!bound.has(local.slot)) return true;
  return false;
}

function pairsOfObjects(
  left: readonly (readonly [ResolvedTerm, ResolvedTerm])[],
  right: readonly (readonly [ResolvedTerm, ResolvedTerm])[],
): readonly (readonly [ResolvedTerm, ResolvedTerm])[] | undefined {
  if (left.length !== right.length) return undefined;
  const pairs: [ResolvedTerm, ResolvedTerm][] = [];
  for (const [key, value] of left) {
    if (key.kind !== "constant") return undefined;
    const other = right.find(([name]) => name.kind === "constant" && keyOf(name.value) === keyOf(key.value));
    if (other === undefined) return undefined;
    pairs.push([value, other[1]]);
  }
  return pairs;
}
