/**
 * The state of one evaluation: its documents, what `with` has put in place, values of rules that are known already, and
 * how far it may go. Compiled code gets it with every call.
 *
 * The value of a rule is kept under a *stamp*. Each scope in which documents are replaced has a stamp of its own, so that
 * values of one scope are never taken for those of another, and leaving it restores the stamp of the scope around it.
 */
import { type BuiltinEnvironment, BuiltinError } from "../builtins/builtin.ts";
import { fuel, type Payer } from "../fuel.ts";
import { NumberTooLarge } from "../number.ts";
import { type Problem, problemAt, type Source } from "../problem.ts";
import { isObject, type Key, keyOf, lookUp, memberOf, ObjectBuilder, sortedEntries, type Value } from "../value.ts";

export type EvaluationErrorCode =
  | "eval_builtin_error"
  | "eval_type_error"
  | "eval_conflict_error"
  | "eval_with_merge_error"
  /** A bound was reached: steps, time, depth or size. */
  | "eval_limit_error"
  | "eval_internal_error";

/** Why an evaluation ended without an answer. */
export interface EvaluationError {
  readonly code: EvaluationErrorCode;
  readonly message: string;
  readonly file: string;
  /** 0 when no place is known. */
  readonly line: number;
  readonly column: number;
}

/** Ends an evaluation; caught where it was begun. */
export class EvaluationFault {
  readonly error: EvaluationError;

  constructor(code: EvaluationErrorCode, message: string, site?: Site) {
    const place: Pick<Problem, "file" | "line" | "column"> =
      site === undefined ? { file: "", line: 0, column: 0 } : problemAt(site.source, "rego_compile_error", site.at, "");
    this.error = { code, message, file: place.file, line: place.line, column: place.column };
  }
}

/** A place in a module. */
export interface Site {
  readonly source: Source;
  readonly at: number;
}

/** The variables of a rule at work; the places are known at compile time. */
export type Frame = unknown[];

/** What stands in for a function. */
export type Mock =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "call"; readonly call: (evaluation: Evaluation, args: readonly Value[]) => Value | undefined };

/** Built-ins by name, functions by the id of their group. */
export type Mocks = ReadonlyMap<string | number, Mock>;

export interface Limits {
  /** Steps: about one for each iteration, call, and member of a value that is looked at. */
  readonly steps: number;
  /** Milliseconds, by the clock that is given. */
  readonly timeMs: number;
  /** Characters of a string that a built-in makes. */
  readonly stringLength: number;
  /** Members of the answer, counted through all its depth. */
  readonly resultSize: number;
}

/** Longer strings are no part of a key for arguments. */
const KEY_PART_LENGTH_MAX = 500;

/** Steps between two looks at the clock. */
const STEPS_BETWEEN_LOOKS = 10_000;

/**
 * Values of rules that are known, by the group's id, for one evaluation after the other: a stamp is never used twice, so
 * that nothing need be cleared but what would be kept alive.
 */
export class Memory {
  readonly stamps: number[];
  readonly values: (Value | undefined)[];
  /** How often each function was called. */
  readonly calls: number[];
  lastStamp = 0;
  #touched: number[] = [];
  #called: number[] = [];

  constructor(groups: number) {
    this.stamps = new Array(groups).fill(0);
    this.values = new Array(groups).fill(undefined);
    this.calls = new Array(groups).fill(0);
  }

  /** Counts a call of a function; answers how many there were before. */
  countCall(id: number): number {
    const count = this.calls[id] ?? 0;
    if (count === 0) this.#called.push(id);
    this.calls[id] = count + 1;
    return count;
  }

  keep(id: number, stamp: number, value: Value | undefined): void {
    this.stamps[id] = stamp;
    this.values[id] = value;
    this.#touched.push(id);
  }

  /** Lets go of all values. */
  release(): void {
    for (const id of this.#touched) this.values[id] = undefined;
    this.#touched = [];
    for (const id of this.#called) this.calls[id] = 0;
    this.#called = [];
  }
}

export class Evaluation implements Payer {
  input: Value | undefined;
  data: Value;
  /** Base data as it was given, whatever `with` has put in its place. */
  readonly base: Value;
  stamp: number;
  mocks: Mocks | undefined = undefined;
  /** Paths under `data` that `with` has replaced: rules at or below them do not count. */
  shadows: readonly (readonly Value[])[] | undefined = undefined;
  readonly environment: BuiltinEnvironment;
  readonly isStrict: boolean;
  readonly memory: Memory;
  readonly limits: Limits;
  readonly trace: Tracer | undefined;
  readonly #nowMs: (() => number) | undefined;
  #endMs: number | undefined;
  #granted = 0;
  #keyed: Map<number, { readonly stamp: number; readonly parts: Map<Key, Value | undefined> }> | undefined;
  #identities: Map<object, number> | undefined;
  #extents: Map<object, { readonly stamp: number; readonly value: Value }> | undefined;

  constructor(parts: {
    input: Value | undefined;
    data: Value;
    environment: BuiltinEnvironment;
    isStrict: boolean;
    memory: Memory;
    limits: Limits;
    nowMs: (() => number) | undefined;
    trace: Tracer | undefined;
  }) {
    this.input = parts.input;
    this.data = parts.data;
    this.base = parts.data;
    this.environment = parts.environment;
    this.isStrict = parts.isStrict;
    this.memory = parts.memory;
    this.limits = parts.limits;
    this.#nowMs = parts.nowMs;
    this.trace = parts.trace;
    parts.memory.lastStamp += 1;
    this.stamp = parts.memory.lastStamp;
  }

  newStamp(): void {
    this.memory.lastStamp += 1;
    this.stamp = this.memory.lastStamp;
  }

  /** Documents of nodes without a group, by node, with the stamp under which they were made. */
  get extents(): Map<object, { readonly stamp: number; readonly value: Value }> {
    this.#extents ??= new Map();
    return this.#extents;
  }

  /** Parts of a group's document that are known in this scope, by key. */
  keyed(group: number): Map<Key, Value | undefined> {
    this.#keyed ??= new Map();
    const known = this.#keyed.get(group);
    if (known !== undefined && known.stamp === this.stamp) return known.parts;
    const parts = new Map<Key, Value | undefined>();
    this.#keyed.set(group, { stamp: this.stamp, parts });
    return parts;
  }

  /** A key for arguments: scalars by value, the others by identity. None for long strings: it would cost too much. */
  keyOfArguments(frame: Frame, count: number): string | undefined {
    let key = "";
    for (let index = 0; index < count; index += 1) {
      const arg = frame[index];
      if (typeof arg === "object" && arg !== null) {
        this.#identities ??= new Map();
        let identity = this.#identities.get(arg);
        if (identity === undefined) {
          identity = this.#identities.size;
          this.#identities.set(arg, identity);
        }
        key += `#${identity},`;
      } else if (typeof arg === "string" && arg.length > KEY_PART_LENGTH_MAX) return undefined;
      else if (typeof arg === "string") key += `${arg.length}:${arg},`;
      else key += `${arg},`;
    }
    return key;
  }

  refuel(): number {
    const { steps, timeMs } = this.limits;
    if (this.#granted >= steps) {
      throw new EvaluationFault("eval_limit_error", `evaluation takes more than ${steps} steps`);
    }
    if (this.#granted > 0 && this.#nowMs !== undefined) {
      // The first look comes after the first portion, so that short evaluations never look.
      const now = this.#nowMs();
      this.#endMs ??= now + timeMs;
      if (now > this.#endMs) {
        throw new EvaluationFault("eval_limit_error", `evaluation takes longer than ${timeMs} ms`);
      }
    }
    const portion = Math.min(STEPS_BETWEEN_LOOKS, steps - this.#granted);
    this.#granted += portion;
    return portion;
  }

  /** What a built-in threw, as an error of the evaluation under strict evaluation, and else as undefined. */
  builtinFailed(name: string, cause: unknown, site: Site): undefined {
    let error: BuiltinError;
    if (cause instanceof BuiltinError) error = cause;
    else if (cause instanceof NumberTooLarge) error = new BuiltinError("eval_builtin_error", cause.message);
    else throw cause; // a limit, or a failure of ours
    if (this.isStrict) throw new EvaluationFault(error.code, `${name}: ${error.message}`, site);
    return undefined;
  }

  /** Bounds what a built-in made. */
  checkSize(value: Value | undefined): Value | undefined {
    if (typeof value === "string" && value.length > this.limits.stringLength) {
      throw new EvaluationFault("eval_limit_error", `a string is longer than ${this.limits.stringLength} characters`);
    }
    return value;
  }

  /** Puts a document at a path under `data`, which hides the rules there. */
  replaceData(path: readonly Value[], value: Value, site: Site): void {
    for (let length = 1; length < path.length; length += 1) {
      const above = path.slice(0, length);
      const there = this.isShadowed(above) ? undefined : lookUpPath(this.base, above);
      if (there !== undefined && !isObject(there)) {
        throw new EvaluationFault("eval_with_merge_error", "real and replacement data could not be merged", site);
      }
    }
    this.data = putAt(this.data, path, value);
    this.shadows = [...(this.shadows ?? []), path];
  }

  isShadowed(path: readonly Value[]): boolean {
    return this.shadows?.some((target) => isPrefix(target, path)) ?? false;
  }
}

function isPrefix(target: readonly Value[], path: readonly Value[]): boolean {
  // No step is looked for beyond the path.
  return target.length <= path.length && target.every((step, index) => keyOf(step) === keyOf(path[index] as Value));
}

/** Is told what code with marks does; see trace.ts. */
export interface Tracer {
  enterRule(rule: number): void;
  /** The rule's body held, and this is its value, or its member. */
  produce(rule: number, value: Value | undefined): void;
  leaveRule(rule: number): void;
  enter(mark: number): void;
  hold(mark: number, frame: Frame): void;
}

/** Runs `work` within the limits of an evaluation. Throws `EvaluationFault` when one is reached. */
export function withinLimits<T>(evaluation: Evaluation, work: (evaluation: Evaluation) => T): T {
  const { left, payer } = fuel;
  fuel.payer = evaluation;
  fuel.left = evaluation.refuel();
  try {
    return work(evaluation);
  } catch (cause) {
    if (isTooDeep(cause)) throw new EvaluationFault("eval_limit_error", "evaluation goes too deep");
    // And a string, array or integer beyond what JavaScript has makes another one.
    if (cause instanceof RangeError && /string length|array length|BigInt/i.test(cause.message)) {
      throw new EvaluationFault("eval_limit_error", "evaluation makes too large a value");
    }
    throw cause;
  } finally {
    fuel.left = left;
    fuel.payer = payer;
    evaluation.memory.release();
  }
}

/** The only unbounded recursion is over deep values and long chains of rules; V8 says so with a RangeError. */
export function isTooDeep(cause: unknown): boolean {
  return cause instanceof RangeError && /call stack/i.test(cause.message);
}

/** The value at the end of a path; undefined when a step leads nowhere. */
export function lookUpPath(start: Value | undefined, path: readonly Value[]): Value | undefined {
  let value = start;
  for (const step of path) {
    if (value === undefined) return undefined;
    value = lookUp(value, step);
  }
  return value;
}

/** A copy of a document with a value put at a path; what is no object on the way gives way. */
export function putAt(document: Value | undefined, path: readonly Value[], value: Value): Value {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  const builder = new ObjectBuilder();
  let below: Value | undefined;
  if (document !== undefined && isObject(document)) {
    for (const [key, member] of sortedEntries(document)) builder.set(key, member);
    below = memberOf(document, step);
  }
  builder.set(step, putAt(below, rest, value));
  return builder.finish();
}

/** What `with` changes. */
export interface Scope {
  readonly input: Value | undefined;
  readonly data: Value;
  readonly stamp: number;
  readonly mocks: Evaluation["mocks"];
  readonly shadows: Evaluation["shadows"];
}

export function scopeOf({ input, data, stamp, mocks, shadows }: Evaluation): Scope {
  return { input, data, stamp, mocks, shadows };
}

export function restoreScope(evaluation: Evaluation, scope: Scope): void {
  evaluation.input = scope.input;
  evaluation.data = scope.data;
  evaluation.stamp = scope.stamp;
  evaluation.mocks = scope.mocks;
  evaluation.shadows = scope.shadows;
}
