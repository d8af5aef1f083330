/**
 * Turns plans into closures. Each step gets what comes after it when it is made, and calls it once for every way in which
 * the step holds; the answer `true` means that nobody needs to look further. Steps that hold in at most one way are
 * predicates, and runs of them are checked in a row.
 */
import { type Builtin, notOffered } from "../builtins/builtin.ts";
import { burn } from "../fuel.ts";
import type { Source } from "../problem.ts";
import { eachMember, isCollection, lookUpStored, member } from "../run/collections.ts";
import {
  type Evaluation,
  EvaluationFault,
  type Frame,
  lookUpPath,
  type Mock,
  putAt,
  restoreScope,
  type Scope,
  type Site,
  scopeOf,
} from "../run/evaluation.ts";
import {
  compareValues,
  equalValues,
  isArray,
  isObject,
  isSet,
  lookUp,
  memberOf,
  ObjectBuilder,
  objectSize,
  setMember,
  sortedEntries,
  type Value,
  ValueSet,
  writeValue,
} from "../value.ts";
import { type CodeOfGroups, Documents, type Place } from "./documents.ts";
import type { Pattern, PlanBody, PlanComprehension, PlanTemplatePart, PlanTerm, PlanWith, Step } from "./plan.ts";
import type { Callee } from "./resolved.ts";
import type { RuleGroup } from "./rule-tree.ts";

export type TermCode = (evaluation: Evaluation, frame: Frame) => Value | undefined;
export type Predicate = (evaluation: Evaluation, frame: Frame) => boolean;
/** A step with all that comes after it. */
export type StepCode = (evaluation: Evaluation, frame: Frame) => boolean;

export interface EmitContext extends CodeOfGroups {
  readonly builtins: ReadonlyMap<string, Builtin>;
  groupAt(path: readonly Value[]): RuleGroup | undefined;
  /** A number for a place that is reported to a tracer; undefined when nothing is. */
  readonly mark?: (source: Source, at: number, end: number, binds: PlanBody[number]["binds"]) => number;
}

const SUCCEED: StepCode = () => true;

export class Emitter {
  readonly #context: EmitContext;
  readonly #source: Source;

  constructor(context: EmitContext, source: Source) {
    this.#context = context;
    this.#source = source;
  }

  /** Code for a body, with what is done for each way in which it holds. `ordered`: members come in their order. */
  body(body: PlanBody, next: StepCode, ordered: boolean): StepCode {
    const makeMark = this.#context.mark;
    if (makeMark === undefined) {
      const steps = body.flatMap((literal) => literal.steps);
      return this.steps(steps, next, ordered);
    }
    let code = next;
    for (const literal of [...body].reverse()) {
      const mark = makeMark(this.#source, literal.at, literal.end, literal.binds);
      const after = code;
      const inner = this.steps(
        literal.steps,
        (evaluation, frame) => {
          evaluation.trace?.hold(mark, frame);
          return after(evaluation, frame);
        },
        ordered,
      );
      code = (evaluation, frame) => {
        evaluation.trace?.enter(mark);
        return inner(evaluation, frame);
      };
    }
    return code;
  }

  steps(steps: readonly Step[], next: StepCode, ordered: boolean): StepCode {
    let code = next;
    let run: Predicate[] = [];
    for (let index = steps.length - 1; index >= 0; index -= 1) {
      const step = steps[index] as Step; // within the steps
      const predicate = this.#predicate(step);
      if (predicate !== undefined) {
        run.unshift(predicate);
        continue;
      }
      code = this.#iterate(step, inARow(run, code), ordered);
      run = [];
    }
    return inARow(run, code);
  }

  // Steps that hold in at most one way

  #predicate(step: Step): Predicate | undefined {
    switch (step.op) {
      case "test": {
        const term = this.term(step.term);
        return (evaluation, frame) => {
          const value = term(evaluation, frame);
          return value !== undefined && value !== false;
        };
      }
      case "defined": {
        const term = this.term(step.term);
        return (evaluation, frame) => term(evaluation, frame) !== undefined;
      }
      case "bind": {
        const { slot } = step;
        const term = this.term(step.term);
        return (evaluation, frame) => {
          const value = term(evaluation, frame);
          frame[slot] = value;
          return value !== undefined;
        };
      }
      case "equal":
        return this.#equal(step.left, step.right);
      case "match": {
        const term = this.term(step.term);
        const match = this.#pattern(step.pattern);
        return (evaluation, frame) => {
          const value = term(evaluation, frame);
          return value !== undefined && match(evaluation, frame, value);
        };
      }
      case "never":
        return () => false;
      case "not": {
        const body = this.body(step.body, SUCCEED, false);
        return (evaluation, frame) => !body(evaluation, frame);
      }
      case "every":
        return this.#every(step);
      case "print": {
        const parts = step.parts.map((part) => this.#templatePart(part));
        return (evaluation, frame) => {
          evaluation.environment.note(parts.map((part) => part(evaluation, frame)).join(" "));
          return true;
        };
      }
      default:
        return undefined;
    }
  }

  #equal(left: PlanTerm, right: PlanTerm): Predicate {
    if (left.kind === "constant") return this.#equalConstant(right, left.value);
    if (right.kind === "constant") return this.#equalConstant(left, right.value);
    const l = this.term(left);
    const r = this.term(right);
    return (evaluation, frame) => {
      const a = l(evaluation, frame);
      if (a === undefined) return false;
      const b = r(evaluation, frame);
      return b !== undefined && equalValues(a, b);
    };
  }

  #equalConstant(other: PlanTerm, constant: Value): Predicate {
    const term = this.term(other);
    if (typeof constant !== "object" || constant === null) {
      return (evaluation, frame) => term(evaluation, frame) === constant;
    }
    return (evaluation, frame) => {
      const value = term(evaluation, frame);
      return value !== undefined && equalValues(value, constant);
    };
  }

  #every(step: Extract<Step, { op: "every" }>): Predicate {
    const domain = this.term(step.domain);
    const body = this.body(step.body, SUCCEED, false);
    const { key, value } = step;
    return (evaluation, frame) => {
      const collection = domain(evaluation, frame);
      if (collection === undefined || !isCollection(collection)) return false;
      return !eachMember(collection, false, (k, v) => {
        if (key !== undefined) frame[key] = k;
        frame[value] = v;
        return !body(evaluation, frame);
      });
    };
  }

  // Steps that hold in several ways

  #iterate(step: Step, next: StepCode, ordered: boolean): StepCode {
    switch (step.op) {
      case "scan":
        return this.#scan(step, next, ordered);
      case "walk":
        return this.#walk(step, next);
      case "relate": {
        const call = this.term(step.call);
        const match = this.#pattern(step.value);
        return (evaluation, frame) => {
          const results = call(evaluation, frame);
          if (!isArray(results)) return false;
          for (const result of results) {
            burn(1);
            if (match(evaluation, frame, result) && next(evaluation, frame)) return true;
          }
          return false;
        };
      }
      case "with":
        return this.#with(step, next, ordered);
      default:
        throw new TypeError(`no code for the step ${step.op}`);
    }
  }

  #scan(step: Extract<Step, { op: "scan" }>, next: StepCode, ordered: boolean): StepCode {
    const source = this.term(step.source);
    const key = step.key.kind === "any" ? undefined : this.#pattern(step.key);
    if (key === undefined && step.value.kind === "bind") {
      const { slot } = step.value;
      return (evaluation, frame) => {
        const collection = source(evaluation, frame);
        if (collection === undefined) return false;
        if (isArray(collection)) {
          for (let index = 0; index < collection.length; index += 1) {
            burn(1);
            frame[slot] = collection[index];
            if (next(evaluation, frame)) return true;
          }
          return false;
        }
        return eachMember(collection, ordered, (_, value) => {
          frame[slot] = value;
          return next(evaluation, frame);
        });
      };
    }
    const value = this.#pattern(step.value);
    return (evaluation, frame) => {
      const collection = source(evaluation, frame);
      if (collection === undefined) return false;
      return eachMember(
        collection,
        ordered,
        (k, v) =>
          (key === undefined || key(evaluation, frame, k)) && value(evaluation, frame, v) && next(evaluation, frame),
      );
    };
  }

  /** Paths down from a node without a group, some steps of which are open. */
  #walk(step: Extract<Step, { op: "walk" }>, next: StepCode): StepCode {
    const { node: start } = step;
    const value = this.#pattern(step.value);
    const steps = step.path.map((pattern) =>
      pattern.kind === "equal"
        ? { term: this.term(pattern.term), match: undefined }
        : { term: undefined, match: this.#pattern(pattern) },
    );
    const documents = new Documents(this.#context);
    const arrive: (evaluation: Evaluation, frame: Frame, place: Place) => boolean = (evaluation, frame, place) => {
      const found = documents.valueAt(evaluation, place);
      return found !== undefined && value(evaluation, frame, found) && next(evaluation, frame);
    };
    let go = arrive;
    for (const { term, match } of steps.reverse()) {
      const after = go;
      if (term !== undefined) {
        go = (evaluation, frame, place) => {
          const key = term(evaluation, frame);
          if (key === undefined) return false;
          const below = documents.below(evaluation, place, key);
          return below !== undefined && after(evaluation, frame, below);
        };
      } else {
        go = (evaluation, frame, place) => {
          for (const [key, below] of documents.all(evaluation, place)) {
            burn(1);
            if (match(evaluation, frame, key) && after(evaluation, frame, below)) return true;
          }
          return false;
        };
      }
    }
    return (evaluation, frame) => {
      const place = documents.start(evaluation, start);
      return place !== undefined && go(evaluation, frame, place);
    };
  }

  #with(step: Extract<Step, { op: "with" }>, next: StepCode, ordered: boolean): StepCode {
    const { slot } = step;
    const changes = step.modifiers.map((modifier) => this.#change(modifier));
    // What follows runs in the scope around, which is entered again for as long.
    const inner = this.steps(
      step.steps,
      (evaluation, frame) => {
        const inside = scopeOf(evaluation);
        restoreScope(evaluation, frame[slot] as Scope); // put there below
        const done = next(evaluation, frame);
        restoreScope(evaluation, inside);
        return done;
      },
      ordered,
    );
    return (evaluation, frame) => {
      const outside = scopeOf(evaluation);
      const begin: ((evaluation: Evaluation) => void)[] = [];
      // All values are evaluated outside of the scope, before it begins.
      for (const change of changes) {
        const ready = change(evaluation, frame);
        if (ready === undefined) return false;
        begin.push(ready);
      }
      for (const change of begin) change(evaluation);
      evaluation.newStamp();
      frame[slot] = outside;
      const done = inner(evaluation, frame);
      restoreScope(evaluation, outside);
      return done;
    };
  }

  #change(
    modifier: PlanWith,
  ): (evaluation: Evaluation, frame: Frame) => ((evaluation: Evaluation) => void) | undefined {
    const { target, replacement } = modifier;
    if (target.kind === "callee") {
      const name = this.#mockName(target.callee);
      const makeMock = this.#mock(replacement);
      return (evaluation, frame) => {
        const mock = makeMock(evaluation, frame);
        if (mock === undefined) return undefined;
        return (inside) => {
          inside.mocks = new Map([...(inside.mocks ?? []), [name, mock]]);
        };
      };
    }
    const { path } = target;
    const term = replacement.kind === "value" ? this.term(replacement.term) : () => undefined;
    const site: Site = { source: this.#source, at: modifier.at };
    if (target.kind === "input") {
      return (evaluation, frame) => {
        const value = term(evaluation, frame);
        if (value === undefined) return undefined;
        return (inside) => {
          inside.input = putAt(inside.input, path, value);
        };
      };
    }
    return (evaluation, frame) => {
      const value = term(evaluation, frame);
      if (value === undefined) return undefined;
      return (inside) => {
        inside.replaceData(path, value, site);
      };
    };
  }

  #mockName(callee: Callee): string | number {
    return callee.kind === "builtin" ? callee.name : (this.#context.groupAt(callee.path)?.id ?? -1);
  }

  #mock(replacement: PlanWith["replacement"]): (evaluation: Evaluation, frame: Frame) => Mock | undefined {
    if (replacement.kind === "value") {
      const term = this.term(replacement.term);
      return (evaluation, frame) => {
        const value = term(evaluation, frame);
        return value === undefined ? undefined : { kind: "value", value };
      };
    }
    const { callee } = replacement;
    let call: (evaluation: Evaluation, args: readonly Value[]) => Value | undefined;
    if (callee.kind === "builtin") {
      const builtin = this.#context.builtins.get(callee.name);
      call = (evaluation, args) => callBuiltin(builtin, evaluation, args, { source: this.#source, at: 0 });
    } else {
      const group = this.#context.groupAt(callee.path);
      const code = group === undefined ? undefined : this.#context.code(group);
      call = (evaluation, args) => {
        if (code === undefined) return undefined;
        const frame: Frame = new Array(code.frameSize);
        for (const [index, arg] of args.entries()) frame[index] = arg;
        return code.call(evaluation, frame);
      };
    }
    const mock: Mock = {
      kind: "call",
      call(evaluation, args) {
        // What stands in for a function may call the function itself: within it, nothing is replaced.
        const outside = scopeOf(evaluation);
        evaluation.mocks = undefined;
        evaluation.newStamp();
        const value = call(evaluation, args);
        restoreScope(evaluation, outside);
        return value;
      },
    };
    return () => mock;
  }

  // Patterns

  #pattern(pattern: Pattern): (evaluation: Evaluation, frame: Frame, value: Value) => boolean {
    switch (pattern.kind) {
      case "any":
        return () => true;
      case "bind": {
        const { slot } = pattern;
        return (_, frame, value) => {
          frame[slot] = value;
          return true;
        };
      }
      case "equal": {
        const term = this.term(pattern.term);
        return (evaluation, frame, value) => {
          const wanted = term(evaluation, frame);
          return wanted !== undefined && equalValues(wanted, value);
        };
      }
      case "array": {
        const items = pattern.items.map((item) => this.#pattern(item));
        return (evaluation, frame, value) => {
          if (!isArray(value) || value.length !== items.length) return false;
          for (let index = 0; index < items.length; index += 1) {
            if (items[index]?.(evaluation, frame, value[index] as Value) !== true) return false; // as long as the pattern
          }
          return true;
        };
      }
      case "object": {
        const entries = pattern.entries.map(([key, value]) => [this.term(key), this.#pattern(value)] as const);
        return (evaluation, frame, value) => {
          if (!isObject(value) || objectSize(value) !== entries.length) return false;
          for (const [key, match] of entries) {
            const name = key(evaluation, frame);
            const member = name === undefined ? undefined : memberOf(value, name);
            if (member === undefined || !match(evaluation, frame, member)) return false;
          }
          return true;
        };
      }
    }
  }

  // Terms

  term(term: PlanTerm): TermCode {
    switch (term.kind) {
      case "constant": {
        const { value } = term;
        return () => value;
      }
      case "local": {
        const { slot } = term;
        return (_, frame) => frame[slot] as Value | undefined; // bound before, by the plan
      }
      case "input":
        return (evaluation) => evaluation.input;
      case "base":
        return (evaluation) => evaluation.data;
      case "group":
        return this.#group(term.group);
      case "extent": {
        const documents = new Documents(this.#context);
        const { node } = term;
        return (evaluation) => documents.valueAt(evaluation, documents.start(evaluation, node));
      }
      case "descend":
        return this.#descend(term);
      case "lookUp":
        return this.#lookUp(term);
      case "call":
        return this.#call(term);
      case "array": {
        const items = term.items.map((item) => this.term(item));
        return (evaluation, frame) => {
          const values: Value[] = [];
          for (const item of items) {
            const value = item(evaluation, frame);
            if (value === undefined) return undefined;
            values.push(value);
          }
          return values;
        };
      }
      case "set": {
        const items = term.items.map((item) => this.term(item));
        return (evaluation, frame) => {
          const set = new ValueSet();
          for (const item of items) {
            const value = item(evaluation, frame);
            if (value === undefined) return undefined;
            set.add(value);
          }
          return set;
        };
      }
      case "object":
        return this.#object(term.entries);
      case "comprehension":
        return this.#comprehension(term);
      case "template": {
        const parts = term.parts.map((part) => (typeof part === "string" ? () => part : this.#templatePart(part)));
        return (evaluation, frame) => {
          let text = "";
          for (const part of parts) text += part(evaluation, frame);
          return evaluation.checkSize(text);
        };
      }
    }
  }

  #group(group: RuleGroup): TermCode {
    if (group.kind === "function") return () => undefined;
    const code = this.#context.code(group);
    const { path } = group;
    return (evaluation) => {
      if (evaluation.shadows !== undefined && evaluation.isShadowed(path)) return lookUpPath(evaluation.data, path);
      return code.value(evaluation);
    };
  }

  #descend(term: Extract<PlanTerm, { kind: "descend" }>): TermCode {
    const documents = new Documents(this.#context);
    const { node } = term;
    const path = term.path.map((step) => this.term(step));
    return (evaluation, frame) => {
      let place: Place | undefined = documents.start(evaluation, node);
      for (const step of path) {
        const key = place === undefined ? undefined : step(evaluation, frame);
        if (place === undefined || key === undefined) return undefined;
        place = documents.below(evaluation, place, key);
      }
      return documents.valueAt(evaluation, place);
    };
  }

  #lookUp(term: Extract<PlanTerm, { kind: "lookUp" }>): TermCode {
    const names = term.path.map((step) => (step.kind === "constant" ? step.value : undefined));
    const [key] = term.path;
    if (term.base.kind === "group" && key !== undefined && isCollected(term.base.group)) {
      const start = this.#groupAt(term.base.group, this.term(key));
      const rest = term.path.slice(1).map((step) => this.term(step));
      return rest.length === 0 ? start : lookUpAll(start, rest);
    }
    const base = this.term(term.base);
    if (names.every((name) => typeof name === "string")) {
      const [first = "", second = "", third = ""] = names;
      const fromInput = term.base.kind === "input";
      switch (names.length) {
        case 1:
          if (fromInput) return (evaluation) => member(evaluation.input, first);
          return (evaluation, frame) => member(base(evaluation, frame), first);
        case 2:
          if (fromInput) return (evaluation) => member(member(evaluation.input, first), second);
          return (evaluation, frame) => member(member(base(evaluation, frame), first), second);
        case 3:
          if (fromInput) return (evaluation) => member(member(member(evaluation.input, first), second), third);
          return (evaluation, frame) => member(member(member(base(evaluation, frame), first), second), third);
        default:
          return (evaluation, frame) => {
            let value = base(evaluation, frame);
            for (const name of names) value = member(value, name);
            return value;
          };
      }
    }
    const path = term.path.map((step) => this.term(step));
    if (term.base.kind === "base") return this.#lookUpBase(path);
    const [only] = path;
    if (only !== undefined && path.length === 1) {
      return (evaluation, frame) => {
        const value = base(evaluation, frame);
        if (value === undefined) return undefined;
        const key = only(evaluation, frame);
        return key === undefined ? undefined : lookUp(value, key);
      };
    }
    return lookUpAll(base, path);
  }

  /** What is under a key in the document of a group. */
  #groupAt(group: RuleGroup, key: TermCode): TermCode {
    const code = this.#context.code(group);
    const { path } = group;
    return (evaluation, frame) => {
      const name = key(evaluation, frame);
      if (name === undefined) return undefined;
      if (evaluation.shadows !== undefined && evaluation.isShadowed(path)) {
        return lookUpPath(evaluation.data, [...path, name]);
      }
      return code.valueAt(evaluation, name);
    };
  }

  #lookUpBase(path: readonly TermCode[]): TermCode {
    return (evaluation, frame) => {
      let value: Value | undefined = evaluation.data;
      for (const step of path) {
        const key = step(evaluation, frame);
        if (key === undefined || value === undefined) return undefined;
        value = lookUpStored(value, key);
      }
      return value;
    };
  }

  #object(entries: readonly (readonly [PlanTerm, PlanTerm])[]): TermCode {
    const values = entries.map(([, value]) => this.term(value));
    const names = entries.map(([key]) => (key.kind === "constant" ? key.value : undefined));
    if (names.every((name) => typeof name === "string")) {
      return (evaluation, frame) => {
        const object: Record<string, Value> = {};
        for (let index = 0; index < values.length; index += 1) {
          const value = (values[index] as TermCode)(evaluation, frame); // within
          if (value === undefined) return undefined;
          setMember(object, names[index] as string, value); // all are strings
        }
        return object;
      };
    }
    const keys = entries.map(([key]) => this.term(key));
    return (evaluation, frame) => {
      const builder = new ObjectBuilder();
      for (let index = 0; index < values.length; index += 1) {
        const key = (keys[index] as TermCode)(evaluation, frame); // within
        const value = key === undefined ? undefined : (values[index] as TermCode)(evaluation, frame); // within
        if (key === undefined || value === undefined) return undefined;
        builder.set(key, value);
      }
      return builder.finish();
    };
  }

  #comprehension(term: PlanComprehension): TermCode {
    const { slot } = term;
    const value = this.term(term.value);
    switch (term.of) {
      case "array": {
        const body = this.body(
          term.body,
          (evaluation, frame) => {
            const item = value(evaluation, frame);
            if (item !== undefined) (frame[slot] as Value[]).push(item); // put there below
            return false;
          },
          true,
        );
        return (evaluation, frame) => {
          const items: Value[] = [];
          frame[slot] = items;
          body(evaluation, frame);
          return items;
        };
      }
      case "set": {
        const body = this.body(
          term.body,
          (evaluation, frame) => {
            const item = value(evaluation, frame);
            if (item !== undefined) (frame[slot] as ValueSet).add(item); // put there below
            return false;
          },
          false,
        );
        return (evaluation, frame) => {
          const set = new ValueSet();
          frame[slot] = set;
          body(evaluation, frame);
          return set;
        };
      }
      case "object": {
        const key = term.key === undefined ? () => undefined : this.term(term.key);
        const site: Site = { source: this.#source, at: term.at };
        const body = this.body(
          term.body,
          (evaluation, frame) => {
            const name = key(evaluation, frame);
            const item = name === undefined ? undefined : value(evaluation, frame);
            if (name !== undefined && item !== undefined) {
              addMember(frame[slot] as ObjectBuilder, name, item, site); // put there below
            }
            return false;
          },
          false,
        );
        return (evaluation, frame) => {
          const builder = new ObjectBuilder();
          frame[slot] = builder;
          body(evaluation, frame);
          return builder.finish();
        };
      }
    }
  }

  #templatePart(part: PlanTemplatePart): (evaluation: Evaluation, frame: Frame) => string {
    const { slot } = part;
    const body = this.body(part.body, SUCCEED, true);
    return (evaluation, frame) => {
      if (!body(evaluation, frame)) return "<undefined>";
      const value = frame[slot] as Value; // bound by the body
      return typeof value === "string" ? value : writeValue(value);
    };
  }

  // Calls

  #call(term: Extract<PlanTerm, { kind: "call" }>): TermCode {
    const args = term.args.map((arg) => this.term(arg));
    const site: Site = { source: this.#source, at: term.at };
    if (term.callee.kind === "function") return this.#callFunction(term.callee, args);
    const { name } = term.callee;
    const compare = COMPARISONS.get(name);
    const [first, second] = args;
    if (compare !== undefined && first !== undefined && second !== undefined) {
      return (evaluation, frame) => {
        const a = first(evaluation, frame);
        if (a === undefined) return undefined;
        const b = second(evaluation, frame);
        return b === undefined ? undefined : compare(a, b);
      };
    }
    const collection = term.args[1];
    if (name === "internal.member_2" && first !== undefined && collection?.kind === "constant") {
      const members = membersOf(collection.value);
      if (members !== undefined) {
        return (evaluation, frame) => {
          const value = first(evaluation, frame);
          return value === undefined ? undefined : members.has(value);
        };
      }
    }
    const builtin = this.#context.builtins.get(name);
    const run = builtin === undefined || typeof builtin.run !== "function" ? undefined : builtin.run;
    const isRefused = builtin !== undefined && run === undefined;
    if (run === undefined || args.length === 0 || args.length > 3) {
      return (evaluation, frame) => {
        const values = evaluateAll(args, evaluation, frame);
        if (values === undefined) return undefined;
        const mock = evaluation.mocks?.get(name);
        if (mock !== undefined) return callMock(mock, evaluation, values);
        return isRefused ? refuse(builtin, site) : callBuiltin(builtin, evaluation, values, site);
      };
    }
    const [one, two, three] = args as [TermCode, TermCode | undefined, TermCode | undefined]; // at least one
    return (evaluation, frame) => {
      const a = one(evaluation, frame);
      if (a === undefined) return undefined;
      let b: Value | undefined;
      let c: Value | undefined;
      if (two !== undefined) {
        b = two(evaluation, frame);
        if (b === undefined) return undefined;
        if (three !== undefined) {
          c = three(evaluation, frame);
          if (c === undefined) return undefined;
        }
      }
      if (evaluation.mocks !== undefined) {
        const mock = evaluation.mocks.get(name);
        if (mock !== undefined) return callMock(mock, evaluation, [a, b, c].slice(0, args.length) as Value[]); // as many as there are
      }
      burn(1);
      try {
        return evaluation.checkSize(run(evaluation.environment, a, b as Value, c as Value)); // it takes as many as it has
      } catch (cause) {
        return evaluation.builtinFailed(name, cause, site); // a built-in error; anything else is thrown on
      }
    };
  }

  #callFunction(callee: Extract<Callee, { kind: "function" }>, args: readonly TermCode[]): TermCode {
    const group = this.#context.groupAt(callee.path);
    if (group === undefined) return () => undefined;
    const code = this.#context.code(group);
    const { id, path } = group;
    return (evaluation, frame) => {
      const inner: Frame = new Array(code.frameSize);
      for (let index = 0; index < args.length; index += 1) {
        const value = (args[index] as TermCode)(evaluation, frame); // within
        if (value === undefined) return undefined;
        inner[index] = value;
      }
      burn(1);
      if (evaluation.mocks !== undefined) {
        const mock = evaluation.mocks.get(id);
        if (mock !== undefined) return callMock(mock, evaluation, inner.slice(0, args.length) as Value[]); // just put there
      }
      if (evaluation.shadows !== undefined && evaluation.isShadowed(path)) return undefined;
      if (evaluation.memory.countCall(id) < CALLS_UNKEPT) return code.call(evaluation, inner);
      const known = evaluation.keyed(id);
      const key = evaluation.keyOfArguments(inner, args.length);
      if (key === undefined) return code.call(evaluation, inner);
      if (known.has(key)) return known.get(key);
      const value = code.call(evaluation, inner);
      if (known.size < ANSWERS_MAX) known.set(key, value);
      return value;
    };
  }
}

/** Calls of a function in one evaluation before its answers are kept: keeping costs more than a few calls. */
const CALLS_UNKEPT = 16;

/** Answers of one function that are kept. */
const ANSWERS_MAX = 10_000;

/** Documents of which a part can be made without the rest. */
function isCollected(group: RuleGroup): boolean {
  return group.kind === "set" || group.kind === "object";
}

function lookUpAll(base: TermCode, path: readonly TermCode[]): TermCode {
  return (evaluation, frame) => {
    let value = base(evaluation, frame);
    for (const step of path) {
      if (value === undefined) return undefined;
      const key = step(evaluation, frame);
      if (key === undefined) return undefined;
      value = lookUp(value, key);
    }
    return value;
  };
}

function evaluateAll(args: readonly TermCode[], evaluation: Evaluation, frame: Frame): Value[] | undefined {
  const values: Value[] = [];
  for (const arg of args) {
    const value = arg(evaluation, frame);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

function callMock(mock: Mock, evaluation: Evaluation, args: readonly Value[]): Value | undefined {
  return mock.kind === "value" ? mock.value : mock.call(evaluation, args);
}

/** Only `with` may put something in its place, which it has done elsewhere; nothing here can answer for it. */
function refuse(builtin: Builtin, site: Site): never {
  const why = typeof builtin.run === "function" ? "" : builtin.run.refused;
  throw new EvaluationFault("eval_builtin_error", notOffered(builtin.name, why), site);
}

function callBuiltin(
  builtin: Builtin | undefined,
  evaluation: Evaluation,
  args: readonly Value[],
  site: Site,
): Value | undefined {
  burn(1);
  if (builtin === undefined) return undefined;
  const run = typeof builtin.run === "function" ? builtin.run : builtin.run.standIn;
  if (run === undefined) return refuse(builtin, site);
  try {
    return evaluation.checkSize(run(evaluation.environment, ...args));
  } catch (cause) {
    return evaluation.builtinFailed(builtin.name, cause, site); // a built-in error; anything else is thrown on
  }
}

const COMPARISONS: ReadonlyMap<string, (a: Value, b: Value) => boolean> = new Map<
  string,
  (a: Value, b: Value) => boolean
>([
  ["equal", equalValues],
  ["neq", (a, b) => !equalValues(a, b)],
  ["lt", (a, b) => compareValues(a, b) < 0],
  ["lte", (a, b) => compareValues(a, b) <= 0],
  ["gt", (a, b) => compareValues(a, b) > 0],
  ["gte", (a, b) => compareValues(a, b) >= 0],
]);

function membersOf(value: Value): ValueSet | undefined {
  if (isSet(value)) return value;
  if (isArray(value)) return new ValueSet(value);
  return isObject(value) ? new ValueSet(sortedEntries(value).map(([, member]) => member)) : undefined;
}

/** Adds a member that must not contradict one that is there. */
function addMember(builder: ObjectBuilder, key: Value, value: Value, site: Site): void {
  burn(1);
  const there = builder.get(key);
  if (there === undefined) builder.set(key, value);
  else if (!equalValues(there, value)) {
    throw new EvaluationFault("eval_conflict_error", "object keys must be unique", site);
  }
}

/** Predicates checked one after the other, and then what comes after them. */
function inARow(run: readonly Predicate[], next: StepCode): StepCode {
  const [a, b, c, ...rest] = run;
  if (a === undefined) return next;
  if (next === SUCCEED && b === undefined) return a;
  if (b === undefined) return (evaluation, frame) => a(evaluation, frame) && next(evaluation, frame);
  if (c === undefined) {
    return (evaluation, frame) => a(evaluation, frame) && b(evaluation, frame) && next(evaluation, frame);
  }
  if (rest.length === 0) {
    return (evaluation, frame) =>
      a(evaluation, frame) && b(evaluation, frame) && c(evaluation, frame) && next(evaluation, frame);
  }
  return (evaluation, frame) => {
    for (const predicate of run) if (!predicate(evaluation, frame)) return false;
    return next(evaluation, frame);
  };
}
