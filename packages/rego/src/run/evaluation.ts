/**
 * The state of one evaluation: its documents, what `with` has put in place, values of rules that are known already, and
 * how far it may go. Compiled code gets it with every call.
 *
 * The value of a rule is kept under a *stamp*. Each scope in which documents are replaced has a stamp of its own, so that
 * values of one scope are never taken for those of another, and leaving it restores the stamp of the scope around it.
 */
import { type BuiltinEnvironment, BuiltinError } from "../builtins/builtin.ts";
import { fuel } from "../fuel.ts";
import { NumberTooLarge } from "../number.ts";
import { type Problem, problemAt, type Source } from "../problem.ts";
import { isObject, keyOf, lookUp, memberOf, ObjectBuilder, sortedEntries, type Value } from "../value.ts";

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

/** Steps between two looks at the clock. */
const STEPS_BETWEEN_LOOKS = 10_000;

export class Evaluation {
  input: Value | undefined;
  data: Value;
  stamp = 1;
  mocks: Mocks | undefined = undefined;
  /** Paths under `data` that `with` has replaced: rules at or below them do not count. */
  shadows: readonly (readonly Value[])[] | undefined = undefined;
  readonly environment: BuiltinEnvironment;
  readonly isStrict: boolean;
  readonly stamps: Float64Array;
  readonly values: (Value | undefined)[];
  readonly limits: Limits;
  /** Documents of nodes without a group, by node, with the stamp under which they were made. */
  readonly extents = new Map<object, { readonly stamp: number; readonly value: Value }>();
  /** Called with what compiled code with marks reports; see trace.ts. */
  trace: Tracer | undefined = undefined;
  #lastStamp = 1;

  constructor(parts: {
    input: Value | undefined;
    data: Value;
    environment: BuiltinEnvironment;
    isStrict: boolean;
    groups: number;
    limits: Limits;
  }) {
    this.input = parts.input;
    this.data = parts.data;
    this.environment = parts.environment;
    this.isStrict = parts.isStrict;
    this.limits = parts.limits;
    this.stamps = new Float64Array(parts.groups);
    this.values = [];
  }

  newStamp(): void {
    this.#lastStamp += 1;
    this.stamp = this.#lastStamp;
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

  isShadowed(path: readonly Value[]): boolean {
    return this.shadows?.some((target) => isPrefix(target, path)) ?? false;
  }
}

function isPrefix(target: readonly Value[], path: readonly Value[]): boolean {
  return target.length <= path.length && target.every((step, index) => keyOf(step) === keyOf(path[index] as Value));
}

/** What happens while code with marks runs. */
export interface Tracer {
  enterRule(rule: number): void;
  leaveRule(rule: number, value: Value | undefined): void;
  enter(mark: number): void;
  hold(mark: number, frame: Frame): void;
}

/** Runs `work` with a bound on its steps and its time. Throws `EvaluationFault` when one is reached. */
export function withLimits<T>(limits: Limits, nowMs: (() => number) | undefined, work: () => T): T {
  const { left, onEmpty } = fuel;
  const end = nowMs === undefined ? 0 : nowMs() + limits.timeMs;
  let granted = 0;
  const grant = () => {
    if (granted >= limits.steps) {
      throw new EvaluationFault("eval_limit_error", `evaluation takes more than ${limits.steps} steps`);
    }
    if (nowMs !== undefined && granted > 0 && nowMs() > end) {
      throw new EvaluationFault("eval_limit_error", `evaluation takes longer than ${limits.timeMs} ms`);
    }
    const portion = Math.min(STEPS_BETWEEN_LOOKS, limits.steps - granted);
    granted += portion;
    return portion;
  };
  fuel.left = grant();
  fuel.onEmpty = () => {
    // What was asked for may be more than one portion.
    while (fuel.left < 0) fuel.left += grant();
  };
  try {
    return work();
  } catch (cause) {
    // The only unbounded recursion is over deep values and long chains of rules; V8 says so with a RangeError.
    if (cause instanceof RangeError && /call stack/i.test(cause.message)) {
      throw new EvaluationFault("eval_limit_error", "evaluation goes too deep");
    }
    throw cause;
  } finally {
    fuel.left = left;
    fuel.onEmpty = onEmpty;
  }
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
