/**
 * Finds expressions that can never hold because of the types of what stands in them: an argument that a built-in does not
 * take, two sides that are never equal, a path into a value that has no such member. Types are those of constants, of
 * what built-ins and rules answer, and of what variables were bound to; input and base data may be anything. Where `with`
 * puts something in a document's or function's place nothing is checked.
 */
import { type Problem, problemAt, type Source } from "../problem.ts";
import {
  ANY,
  arrayOf,
  boundType,
  joinTypes,
  STRING,
  setOf,
  type Type,
  typeOfValue,
  typesMeet,
  typesWithin,
  typeUnder,
  writeType,
} from "../types.ts";
import { type Key, keyOf } from "../value.ts";
import type { PlannedGroup, PlannedRule } from "./emit-group.ts";
import type { Pattern, PlanBody, PlanTerm, Step } from "./plan.ts";
import type { Names } from "./resolve.ts";
import { pathText, type RuleGroup } from "./rule-tree.ts";

/** Checks rules whose groups are given so that each comes after those that it needs. */
export function checkTypes(ordered: readonly RuleGroup[], planned: readonly PlannedGroup[], names: Names): Problem[] {
  const types = new Map<number, Type>();
  const problems: Problem[] = [];
  const functions = new Map<Key, number>(
    ordered.filter(({ kind }) => kind === "function").map(({ id, path }) => [keyOf(path), id]),
  );
  for (const { id } of ordered) {
    const group = planned[id];
    if (group === undefined) continue;
    const results: Type[] = [];
    const keys: Type[] = [];
    for (const rule of [...group.rules, ...group.defaults]) {
      const checker = new Checker(rule.site.source, types, functions, names);
      const { value, key } = checker.rule(rule);
      results.push(value);
      keys.push(key);
      for (const problem of checker.problems) problems.push(problem);
    }
    types.set(id, boundType(typeOfGroup(group, joinTypes(results), joinTypes(keys))));
  }
  return problems;
}

function typeOfGroup(group: PlannedGroup, value: Type, key: Type): Type {
  switch (group.group.kind) {
    case "value":
    case "function":
      return value;
    case "set":
      return setOf(value);
    case "object": {
      const isFlat = group.rules.every((rule) => rule.tail.length === 1 && !rule.isMultiValue);
      return { kind: "object", members: [], rest: { key, value: isFlat ? value : ANY } };
    }
  }
}

/** Arrays of exactly these items, of which there may be very many. */
function listOf(items: readonly Type[]): Type {
  return { kind: "array", items, rest: undefined };
}

class Checker {
  readonly problems: Problem[] = [];
  readonly #source: Source;
  readonly #groups: ReadonlyMap<number, Type>;
  readonly #functions: ReadonlyMap<Key, number>;
  readonly #names: Names;
  readonly #slots: Type[] = [];
  /** Greater than 0 where nothing is reported. */
  #silent = 0;
  #at = 0;

  constructor(source: Source, groups: ReadonlyMap<number, Type>, functions: ReadonlyMap<Key, number>, names: Names) {
    this.#source = source;
    this.#groups = groups;
    this.#functions = functions;
    this.#names = names;
  }

  rule(rule: PlannedRule): { readonly value: Type; readonly key: Type } {
    this.#at = rule.site.at;
    const values: Type[] = [];
    let key: Type = ANY;
    for (const [index, branch] of rule.branches.entries()) {
      for (const step of rule.args) this.#step(step);
      this.#body(branch.body);
      this.#at = branch.valueAt;
      const [first] = rule.tail;
      if (index === 0 && first !== undefined) key = this.#term(first);
      values.push(this.#term(branch.value));
    }
    return { value: joinTypes(values), key };
  }

  #report(at: number, message: string): void {
    if (this.#silent === 0) this.problems.push(problemAt(this.#source, "rego_type_error", at, message));
  }

  #body(body: PlanBody): void {
    for (const literal of body) {
      this.#at = literal.at;
      for (const step of literal.steps) this.#step(step);
    }
  }

  #inner(body: PlanBody): void {
    const at = this.#at;
    this.#body(body);
    this.#at = at;
  }

  #step(step: Step): void {
    switch (step.op) {
      case "test":
      case "defined":
        this.#term(step.term);
        return;
      case "bind":
        this.#slots[step.slot] = this.#term(step.term);
        return;
      case "equal": {
        const left = this.#term(step.left);
        const right = this.#term(step.right);
        if (!typesMeet(left, right)) {
          this.#report(this.#at, `match error: left: ${writeType(left)}, right: ${writeType(right)}`);
        }
        return;
      }
      case "match": {
        const type = this.#term(step.term);
        if (!this.#pattern(step.pattern, type)) {
          this.#report(this.#at, `match error: left and right are never equal; one is ${writeType(type)}`);
        }
        return;
      }
      case "never":
        this.#report(this.#at, "match error: the sides have different shapes");
        return;
      case "scan": {
        const type = this.#term(step.source);
        const within = typesWithin(type);
        if (within === undefined && step.isRef) {
          this.#report(this.#at, `undefined ref: there is nothing to go through in ${writeType(type)}`);
        }
        this.#pattern(step.key, within?.key ?? ANY);
        this.#pattern(step.value, within?.value ?? ANY);
        return;
      }
      case "walk":
        for (const key of step.path) this.#pattern(key, ANY);
        this.#pattern(step.value, ANY);
        return;
      case "relate": {
        const type = this.#term(step.call);
        this.#pattern(step.value, typesWithin(type)?.value ?? ANY);
        return;
      }
      case "not":
        this.#inner(step.body);
        return;
      case "every": {
        const within = typesWithin(this.#term(step.domain));
        if (step.key !== undefined) this.#slots[step.key] = within?.key ?? ANY;
        this.#slots[step.value] = within?.value ?? ANY;
        this.#inner(step.body);
        return;
      }
      case "with":
        for (const { replacement } of step.modifiers) if (replacement.kind === "value") this.#term(replacement.term);
        this.#silent += 1;
        for (const inner of step.steps) this.#step(inner);
        this.#silent -= 1;
        return;
      case "print":
        for (const part of step.parts) this.#inner(part.body);
        return;
    }
  }

  /** Gives types to what a pattern binds; false when no value of the type has this shape. */
  #pattern(pattern: Pattern, type: Type): boolean {
    switch (pattern.kind) {
      case "any":
        return true;
      case "bind":
        this.#slots[pattern.slot] = type;
        return true;
      case "equal":
        return typesMeet(this.#term(pattern.term), type);
      case "array": {
        let fits = typesMeet(type, listOf(pattern.items.map(() => ANY)));
        for (const [index, item] of pattern.items.entries()) {
          const under = typeUnder(type, { kind: "number" }, index) ?? ANY;
          if (!this.#pattern(item, under)) fits = false;
        }
        return fits;
      }
      case "object": {
        let fits = true;
        for (const [key, value] of pattern.entries) {
          const name = key.kind === "constant" ? key.value : undefined;
          const under = typeUnder(type, this.#term(key), name);
          if (!this.#pattern(value, under ?? ANY) || under === undefined) fits = false;
        }
        return fits;
      }
    }
  }

  #term(term: PlanTerm): Type {
    return boundType(this.#typeOf(term));
  }

  #typeOf(term: PlanTerm): Type {
    switch (term.kind) {
      case "constant":
        return typeOfValue(term.value);
      case "local":
        return this.#slots[term.slot] ?? ANY;
      case "input":
      case "base":
      case "extent":
        return ANY;
      case "descend":
        for (const step of term.path) this.#term(step);
        return ANY;
      case "group":
        return this.#groups.get(term.group.id) ?? ANY;
      case "lookUp":
        return this.#lookUp(term);
      case "call":
        return this.#call(term);
      case "array":
        return listOf(term.items.map((item) => this.#term(item)));
      case "set":
        return setOf(joinTypes(term.items.map((item) => this.#term(item))));
      case "object": {
        const entries = term.entries.map(([key, value]) => ({ key, type: this.#term(key), value: this.#term(value) }));
        const members = entries.flatMap(({ key, value }) =>
          key.kind === "constant" ? [{ key: key.value, value }] : [],
        );
        const open = entries.filter(({ key }) => key.kind !== "constant");
        const rest =
          open.length === 0
            ? undefined
            : { key: joinTypes(open.map(({ type }) => type)), value: joinTypes(open.map(({ value }) => value)) };
        return { kind: "object", members, rest };
      }
      case "comprehension": {
        this.#inner(term.body);
        const value = this.#term(term.value);
        if (term.of === "array") return arrayOf(value);
        if (term.of === "set") return setOf(value);
        const key = term.key === undefined ? ANY : this.#term(term.key);
        return { kind: "object", members: [], rest: { key, value } };
      }
      case "template":
        for (const part of term.parts) if (typeof part !== "string") this.#inner(part.body);
        return STRING;
    }
  }

  #lookUp(term: Extract<PlanTerm, { kind: "lookUp" }>): Type {
    let type = this.#term(term.base);
    let text = term.base.kind === "group" ? pathText(term.base.group.path) : writeType(type);
    for (const step of term.path) {
      const name = step.kind === "constant" ? step.value : undefined;
      const key = this.#term(step);
      const under = typeUnder(type, key, name);
      if (under === undefined) {
        const member = step.kind === "constant" ? pathText([step.value]).slice("data".length) : `[${writeType(key)}]`;
        this.#report(this.#at, `undefined ref: ${text}${member}: there is none in ${writeType(type)}`);
        return ANY;
      }
      if (name !== undefined) text += pathText([name]).slice("data".length);
      type = under;
    }
    return type;
  }

  #call(term: Extract<PlanTerm, { kind: "call" }>): Type {
    const args = term.args.map((arg) => this.#term(arg));
    if (term.callee.kind === "function") {
      const id = this.#functions.get(keyOf(term.callee.path));
      return id === undefined ? ANY : (this.#groups.get(id) ?? ANY);
    }
    const builtin = this.#names.builtins.get(term.callee.name);
    if (builtin === undefined) return ANY;
    const wanted = builtin.type.args;
    if (!args.every((arg, index) => typesMeet(arg, wanted[index] ?? ANY))) {
      const have = args.map(writeType).join(", ");
      const want = wanted.map(writeType).join(", ");
      this.#report(term.at, `${builtin.name}: invalid argument(s): have: (${have}), want: (${want})`);
    }
    return builtin.type.result;
  }
}
