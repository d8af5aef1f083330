/**
 * Finds expressions that can never hold because of the types of what stands in them: an argument that a built-in does not
 * take, two sides that are never equal, a path into a value that has no such member. Types are those of constants, of
 * what built-ins and rules answer, and of what variables were bound to; input and base data may be anything. Where `with`
 * puts something in a document's or function's place nothing is checked, and within `every` only paths are, as in OPA.
 *
 * What a function takes is what its arguments are written as, and what the built-ins, functions and comparisons that they
 * are given to in its body take; of several rules and branches, what any of them takes.
 */
import { type Problem, problemAt, type Source } from "../problem.ts";
import {
  ANY,
  arrayOf,
  boundType,
  type FunctionType,
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

/** The types of documents and functions, as far as they are known. */
export interface GroupTypes {
  /** Of values, by the ids of groups. */
  readonly values: Map<number, Type>;
  /** Of what functions take and answer, by their paths. */
  readonly functions: Map<Key, FunctionType>;
}

export interface TypesChecked {
  readonly types: GroupTypes;
  readonly problems: readonly Problem[];
}

/** Checks rules whose groups are given so that each comes after those that it needs. */
export function checkTypes(
  ordered: readonly RuleGroup[],
  planned: readonly PlannedGroup[],
  names: Names,
): TypesChecked {
  const types: GroupTypes = { values: new Map(), functions: new Map() };
  const problems: Problem[] = [];
  for (const { id } of ordered) {
    const group = planned[id];
    if (group === undefined) continue;
    const results: Type[] = [];
    const keys: Type[] = [];
    const args: Type[][] = Array.from({ length: group.group.arity }, () => []);
    for (const rule of [...group.rules, ...group.defaults]) {
      const checker = new Checker(rule.site.source, types, names);
      const checked = checker.rule(rule);
      results.push(checked.value);
      keys.push(checked.key);
      for (const [index, taken] of args.entries()) taken.push(...checked.args.map((branch) => branch[index] ?? ANY));
      for (const problem of checker.problems) problems.push(problem);
    }
    const type = boundType(typeOfGroup(group, joinTypes(results), joinTypes(keys)));
    types.values.set(id, type);
    if (group.group.kind === "function") {
      const taken = args.map((each) => boundType(joinTypes(each)));
      types.functions.set(keyOf(group.group.path), { args: taken, result: type });
    }
  }
  return { types, problems };
}

/** Checks a query against modules that are checked. */
export function checkQueryTypes(source: Source, body: PlanBody, types: GroupTypes, names: Names): readonly Problem[] {
  const checker = new Checker(source, types, names);
  checker.query(body);
  return checker.problems;
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
  readonly #types: GroupTypes;
  readonly #names: Names;
  #slots: Type[] = [];
  /** Slots of arguments of which nothing else is known than what takes them. */
  #open = new Set<number>();
  /** Greater than 0 where nothing is reported, and where only undefined references are. */
  #silent = 0;
  #lenient = 0;
  #at = 0;

  constructor(source: Source, types: GroupTypes, names: Names) {
    this.#source = source;
    this.#types = types;
    this.#names = names;
  }

  query(body: PlanBody): void {
    this.#body(body);
  }

  /** The types of its value and of the first key of its path, and of its arguments for each branch. */
  rule(rule: PlannedRule): { readonly value: Type; readonly key: Type; readonly args: readonly (readonly Type[])[] } {
    this.#at = rule.site.at;
    const values: Type[] = [];
    const args: Type[][] = [];
    let key: Type = ANY;
    for (const [index, branch] of rule.branches.entries()) {
      this.#slots = [];
      this.#open = new Set(Array.from({ length: rule.group.arity }, (_, slot) => slot));
      const patterns = new Map<number, Pattern>();
      for (const step of rule.args) {
        this.#step(step);
        if (step.op === "match" && step.term.kind === "local") patterns.set(step.term.slot, step.pattern);
      }
      this.#body(branch.body);
      this.#at = branch.valueAt;
      if (index === 0) key = rule.tail.map((step) => this.#term(step))[0] ?? ANY;
      values.push(this.#term(branch.value));
      args.push(
        Array.from({ length: rule.group.arity }, (_, slot) => {
          const pattern = patterns.get(slot);
          return pattern === undefined ? (this.#slots[slot] ?? ANY) : this.#typeOfPattern(pattern);
        }),
      );
    }
    return { value: joinTypes(values), key, args };
  }

  /** What a pattern matches, by what is known of its variables. */
  #typeOfPattern(pattern: Pattern): Type {
    switch (pattern.kind) {
      case "any":
        return ANY;
      case "bind":
        return this.#slots[pattern.slot] ?? ANY;
      case "equal":
        return this.#term(pattern.term);
      case "array":
        return listOf(pattern.items.map((item) => this.#typeOfPattern(item)));
      case "object": {
        const members = pattern.entries.map(([key, value]) => ({ key, value: this.#typeOfPattern(value) }));
        return {
          kind: "object",
          members: members.flatMap(({ key, value }) => (key.kind === "constant" ? [{ key: key.value, value }] : [])),
          rest: undefined,
        };
      }
    }
  }

  /** An argument that is given to what takes a type has that type. */
  #narrow(term: PlanTerm, type: Type): void {
    if (term.kind !== "local" || !this.#open.has(term.slot) || type.kind === "any") return;
    this.#open.delete(term.slot);
    this.#slots[term.slot] = type;
  }

  /** Runs without learning anything of arguments: what stands there need not hold for the rule to hold. */
  #aside(work: () => void): void {
    const open = this.#open;
    this.#open = new Set();
    work();
    this.#open = open;
  }

  #reportType(at: number, message: string): void {
    if (this.#lenient === 0) this.#report(at, message);
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
    this.#aside(() => this.#body(body));
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
          this.#reportType(this.#at, `match error: left: ${writeType(left)}, right: ${writeType(right)}`);
        }
        this.#narrow(step.left, right);
        this.#narrow(step.right, left);
        return;
      }
      case "match": {
        const type = this.#term(step.term);
        if (!this.#pattern(step.pattern, type)) {
          this.#reportType(this.#at, `match error: left and right are never equal; one is ${writeType(type)}`);
        }
        this.#narrow(step.term, this.#typeOfPattern(step.pattern));
        return;
      }
      case "never":
        this.#reportType(this.#at, "match error: the sides have different shapes");
        return;
      case "scan": {
        const type = this.#term(step.source);
        const within = typesWithin(type);
        if (within === undefined && (step.isRef || step.source.kind !== "constant")) {
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
        this.#lenient += 1;
        this.#inner(step.body);
        this.#lenient -= 1;
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
      case "equal": {
        const fits = typesMeet(this.#term(pattern.term), type);
        // As in OPA, nothing is known of a variable that is held against what may be anything.
        if (type.kind === "any" && pattern.term.kind === "local") this.#slots[pattern.term.slot] = ANY;
        return fits;
      }
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
        if (term.group.kind === "function") {
          this.#report(this.#at, `function ${pathText(term.group.path)} used as reference, not called`);
          return ANY;
        }
        return this.#types.values.get(term.group.id) ?? ANY;
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
    const { callee } = term;
    const args = term.args.map((arg) => this.#term(arg));
    const type =
      callee.kind === "function"
        ? this.#types.functions.get(keyOf(callee.path))
        : this.#names.builtins.get(callee.name)?.type;
    if (type === undefined) return ANY;
    const wanted = type.args;
    if (!args.every((arg, index) => typesMeet(arg, wanted[index] ?? ANY))) {
      const name = callee.kind === "function" ? pathText(callee.path) : callee.name;
      const have = args.map(writeType).join(", ");
      const want = wanted.map(writeType).join(", ");
      this.#reportType(term.at, `${name}: invalid argument(s): have: (${have}), want: (${want})`);
    }
    for (const [index, arg] of term.args.entries()) this.#narrow(arg, wanted[index] ?? ANY);
    return type.result;
  }
}
