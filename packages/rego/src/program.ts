/**
 * What a user of the engine holds: modules compiled together, against which queries are evaluated. Everything that an
 * evaluation may reach comes from its options: the input, base data, the time, randomness, cryptography.
 */
import {
  type Builtin,
  type BuiltinEnvironment,
  builtinError,
  type Cryptography,
  makePreparedCache,
  type PreparedCache,
} from "./builtins/builtin.ts";
import { BUILTINS } from "./builtins/registry.ts";
import { Code, type Compiled, compileModules, compileQuery, type QueryCode } from "./compile/compile.ts";
import { burn } from "./fuel.ts";
import type { Problem } from "./problem.ts";
import {
  Evaluation,
  type EvaluationError,
  EvaluationFault,
  isTooDeep,
  type Limits,
  Memory,
  restoreScope,
  scopeOf,
  type Tracer,
  withinLimits,
} from "./run/evaluation.ts";
import { type Coverage, type Mark, type RuleRun, RunRecorder } from "./run/trace.ts";
import type { Module } from "./syntax/ast.ts";
import { parseModule, parseQuery } from "./syntax/parser.ts";
import { isArray, isObject, objectOf, type Value, ValueObject, ValueSet } from "./value.ts";

export interface ModuleText {
  /** Its name in problems. */
  readonly file: string;
  readonly text: string;
}

export interface CompileOptions {
  /** Built-ins beside those of the engine; one of the same name counts. */
  readonly builtins?: readonly Builtin[];
}

export interface EvaluateOptions {
  /** Undefined when absent: `input` is undefined then. */
  readonly input?: Value | undefined;
  /** Base documents under `data`. */
  readonly data?: Value;
  /** Nanoseconds since the epoch, for `time.now_ns`; a function is asked once at most. */
  readonly timeNs?: bigint | (() => bigint);
  /** Milliseconds of a clock that only goes forward, for the bound on time. */
  readonly nowMs?: () => number;
  readonly randomBytes?: (count: number) => Uint8Array;
  readonly cryptography?: Cryptography;
  /** Errors of built-ins end the evaluation, instead of making their expressions undefined. */
  readonly strictBuiltinErrors?: boolean;
  readonly limits?: Partial<Limits>;
  /** Gets what `trace` and `print` say. */
  readonly onNote?: (text: string) => void;
  /** Collects which lines are reached; evaluation is slower then. */
  readonly coverage?: Coverage;
}

/** An answer with the rules that ran for it. */
export interface Explanation {
  readonly answer: Answer;
  readonly runs: readonly RuleRun[];
  /** Runs that are not listed, because there were too many. */
  readonly leftOut: number;
}

export type Answer =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "undefined" }
  | { readonly kind: "error"; readonly error: EvaluationError };

export type Results =
  /** For each way in which the query holds, the values of its variables. */
  | { readonly kind: "results"; readonly results: readonly Readonly<Record<string, Value>>[] }
  | { readonly kind: "error"; readonly error: EvaluationError };

export type ProgramCompiled =
  | { readonly kind: "program"; readonly program: Program }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

export type QueryPrepared =
  | { readonly kind: "query"; readonly query: Query }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

const DEFAULT_LIMITS: Limits = {
  steps: 20_000_000,
  timeMs: 5_000,
  stringLength: 10_000_000,
  resultSize: 1_000_000,
};

/** Queries that a program remembers by their texts. */
const QUERIES_MAX = 100;

/** Compiles modules together. */
export function compile(modules: readonly (ModuleText | Module)[], options: CompileOptions = {}): ProgramCompiled {
  const problems: Problem[] = [];
  const parsed: Module[] = [];
  for (const module of modules) {
    if ("source" in module) {
      parsed.push(module);
      continue;
    }
    const read = parseModule(module.file, module.text);
    if (read.kind === "module") parsed.push(read.module);
    else problems.push(...read.problems);
  }
  if (problems.length > 0) return { kind: "problems", problems };
  const builtins = new Map([...BUILTINS, ...(options.builtins ?? [])].map((builtin) => [builtin.name, builtin]));
  const result = compileModules(parsed, builtins);
  if (result.kind === "problems") return result;
  return { kind: "program", program: new Program(result.compiled) };
}

/** Whatever answers queries: compiled modules, and in their place a bundle that was compiled elsewhere. */
export interface Evaluator {
  evaluate(query: string, options?: EvaluateOptions): Answer;
}

/** Compiled modules. */
export class Program implements Evaluator {
  readonly #compiled: Compiled;
  readonly #code: Code;
  readonly #queries = new Map<string, Query>();
  readonly #prepared = makePreparedCache();
  #marked: { readonly code: Code; readonly marks: readonly Mark[] } | undefined;

  constructor(compiled: Compiled) {
    this.#compiled = compiled;
    this.#code = new Code(compiled);
    this.#code.fill();
  }

  get modules(): readonly Module[] {
    return this.#compiled.modules;
  }

  /**
   * Compiles a query, once for each text. `head` is the beginning of a module, `package a` and any imports: the query may
   * name what rules of that module could.
   */
  prepare(text: string, head = ""): QueryPrepared {
    const key = head === "" ? text : `${text}\n${head}`;
    const known = this.#queries.get(key);
    if (known !== undefined) return { kind: "query", query: known };
    const read = parseQuery(text);
    if (read.kind === "problems") return read;
    let within: Module | undefined;
    if (head !== "") {
      const begun = parseModule("query", head);
      if (begun.kind === "problems") return begun;
      within = begun.module;
    }
    const result = compileQuery(this.#compiled, this.#code, read.source, read.body, within);
    if (result.kind === "problems") return result;
    const withMarks = () => {
      const { code, marks } = this.#withMarks();
      const marked = compileQuery(this.#compiled, code, read.source, read.body, within);
      if (marked.kind === "problems") throw new TypeError("a query compiles once and not again");
      return { query: marked.query, code, planned: this.#compiled.planned, marks };
    };
    const query = new Query(this.#code, result.query, this.#prepared, withMarks);
    if (this.#queries.size >= QUERIES_MAX) {
      const [oldest] = this.#queries.keys();
      if (oldest !== undefined) this.#queries.delete(oldest);
    }
    this.#queries.set(key, query);
    return { kind: "query", query };
  }

  /**
   * The value of a query; see `Query.evaluate`. A query that is none is a mistake of the caller's, and a `TypeError`; one
   * that the modules give no sense, as a document that is a function, is answered with an error.
   */
  evaluate(text: string, options: EvaluateOptions = {}): Answer {
    const query = this.#queries.get(text) ?? this.#mustPrepare(text);
    return query instanceof Query ? query.evaluate(options) : query;
  }

  /** The value of a query, with the rules that ran for it, on which lines and with which values. */
  explain(text: string, options: EvaluateOptions = {}): Explanation {
    const query = this.#mustPrepare(text);
    return query instanceof Query ? query.explain(options) : { answer: query, runs: [], leftOut: 0 };
  }

  #mustPrepare(text: string): Query | Answer {
    const prepared = this.prepare(text);
    if (prepared.kind === "query") return prepared.query;
    const [problem] = prepared.problems;
    if (problem?.code !== "rego_type_error") throw new TypeError(`not a query: ${problem?.message ?? text}`);
    const { message, file, line, column } = problem;
    return { kind: "error", error: { code: "eval_type_error", message, file, line, column } };
  }

  /** The same plans as code that tells a tracer where it is. */
  #withMarks(): { readonly code: Code; readonly marks: readonly Mark[] } {
    if (this.#marked === undefined) {
      const marks: Mark[] = [];
      const code = new Code(this.#compiled, (source, at, end, binds) => marks.push({ source, at, end, binds }) - 1);
      code.fill();
      this.#marked = { code, marks };
    }
    return this.#marked;
  }
}

/** A query as code that tells a tracer where it is. */
interface MarkedQuery {
  readonly query: QueryCode;
  readonly code: Code;
  readonly planned: Compiled["planned"];
  readonly marks: readonly Mark[];
}

/** A compiled query. */
export class Query {
  readonly #code: Code;
  readonly #query: QueryCode;
  readonly #prepared: PreparedCache;
  readonly #withMarks: () => MarkedQuery;
  #marked: MarkedQuery | undefined;

  constructor(code: Code, query: QueryCode, prepared: PreparedCache, withMarks: () => MarkedQuery) {
    this.#code = code;
    this.#query = query;
    this.#prepared = prepared;
    this.#withMarks = withMarks;
  }

  /** The value of a query that is one term; of any other, `true` when it holds. */
  evaluate(options: EvaluateOptions): Answer {
    if (options.coverage === undefined) return this.#evaluate(this.#query, this.#code, options, undefined);
    const { query, code, planned, marks } = this.#marks();
    options.coverage.attach(planned, marks);
    return this.#evaluate(query, code, options, options.coverage);
  }

  explain(options: EvaluateOptions): Explanation {
    const { query, code, planned, marks } = this.#marks();
    const recorder = new RunRecorder(planned, marks);
    const answer = this.#evaluate(query, code, options, recorder);
    return { answer, ...recorder.finish() };
  }

  /** All ways in which the query holds, in order. */
  results(options: EvaluateOptions): Results {
    const { variables, frameSize } = this.#query;
    try {
      return this.#run(this.#code, options, undefined, (evaluation) => {
        const results: Record<string, Value>[] = [];
        const code = this.#query.run((frame) => {
          burn(1);
          const bindings: [string, Value][] = [];
          for (const { name, slot } of variables) {
            const value = frame[slot] as Value | undefined; // unbound only inside bodies of its own
            if (value !== undefined) bindings.push([name, value]);
          }
          results.push(objectOf(bindings) as Record<string, Value>); // names are strings
          return false;
        });
        code(evaluation, new Array(frameSize));
        checkResult(results, evaluation.limits);
        return { kind: "results", results } as const;
      });
    } catch (cause) {
      return { kind: "error", error: errorOf(cause) };
    }
  }

  #marks(): MarkedQuery {
    this.#marked ??= this.#withMarks();
    return this.#marked;
  }

  #evaluate(query: QueryCode, code: Code, options: EvaluateOptions, trace: Tracer | undefined): Answer {
    const { term, holds, frameSize } = query;
    try {
      return this.#run(code, options, trace, (evaluation): Answer => {
        const frame = new Array(frameSize);
        const value = term === undefined ? holds(evaluation, frame) || undefined : term(evaluation, frame);
        if (value === undefined) return { kind: "undefined" };
        checkResult(value, evaluation.limits);
        return { kind: "value", value };
      });
    } catch (cause) {
      return { kind: "error", error: errorOf(cause) };
    }
  }

  #run<T>(code: Code, options: EvaluateOptions, trace: Tracer | undefined, work: (evaluation: Evaluation) => T): T {
    const limits = options.limits === undefined ? DEFAULT_LIMITS : { ...DEFAULT_LIMITS, ...options.limits };
    const memory = code.memories.pop() ?? new Memory(code.groups);
    const evaluation = new Evaluation({
      input: options.input,
      data: options.data ?? {},
      environment: new Environment(options, this.#prepared),
      isStrict: options.strictBuiltinErrors === true,
      memory,
      limits,
      nowMs: options.nowMs,
      trace,
    });
    try {
      return withinLimits(evaluation, (begun) => {
        const scope = scopeOf(begun);
        try {
          return work(begun);
        } catch (cause) {
          // A chain of rules may be longer than the stack is deep: what its rules are is found from the other end then.
          if (!isTooDeep(cause) || trace !== undefined) throw cause;
          restoreScope(begun, scope);
          code.evaluateUpwards(begun);
          return work(begun);
        }
      });
    } finally {
      code.memories.push(memory);
    }
  }
}

/** What ended an evaluation, as a value: a fault as it is, and a failure of ours so that the caller can refuse. */
function errorOf(cause: unknown): EvaluationError {
  if (cause instanceof EvaluationFault) return cause.error;
  const message = cause instanceof Error ? cause.message : String(cause);
  return { code: "eval_internal_error", message, file: "", line: 0, column: 0 };
}

/** Bounds the answer, so that whoever goes through it is done in time. */
function checkResult(value: Value, limits: Limits): void {
  if (countMembers(value, limits.resultSize) < 0) {
    throw new EvaluationFault("eval_limit_error", `the answer has more than ${limits.resultSize} members`);
  }
}

/** What is left of a number after all members of a value are counted; negative when it is not enough. */
function countMembers(value: Value, start: number): number {
  let left = start - 1;
  if (typeof value !== "object" || value === null) return left;
  if (isArray(value) || value instanceof ValueSet) {
    for (const member of isArray(value) ? value : value.members()) {
      left = countMembers(member, left);
      if (left < 0) break;
    }
  } else if (value instanceof ValueObject) {
    for (const [key, member] of value.entries()) {
      left = countMembers(member, countMembers(key, left));
      if (left < 0) break;
    }
  } else if (isObject(value)) {
    for (const name of Object.keys(value)) {
      const member = value[name];
      if (member !== undefined) left = countMembers(member, left);
      if (left < 0) break;
    }
  }
  return left;
}

/** What built-ins may reach during an evaluation with these options. */
export function makeEnvironment(options: EvaluateOptions, prepared: PreparedCache): BuiltinEnvironment {
  return new Environment(options, prepared);
}

class Environment implements BuiltinEnvironment {
  readonly prepared: PreparedCache;
  readonly #options: EvaluateOptions;
  #perEvaluation: Map<string, Value> | undefined;
  #timeNs: bigint | undefined;

  constructor(options: EvaluateOptions, prepared: PreparedCache) {
    this.#options = options;
    this.prepared = prepared;
  }

  get perEvaluation(): Map<string, Value> {
    this.#perEvaluation ??= new Map();
    return this.#perEvaluation;
  }

  timeNs(): bigint {
    const { timeNs } = this.#options;
    if (timeNs === undefined) throw builtinError("there is no clock");
    this.#timeNs ??= typeof timeNs === "bigint" ? timeNs : timeNs();
    return this.#timeNs;
  }

  randomBytes(count: number): Uint8Array {
    if (this.#options.randomBytes === undefined) throw builtinError("there is no source of randomness");
    return this.#options.randomBytes(count);
  }

  cryptography(): Cryptography {
    if (this.#options.cryptography === undefined) throw builtinError("there is no cryptography");
    return this.#options.cryptography;
  }

  spend(steps: number): void {
    burn(steps);
  }

  note(text: string): void {
    this.#options.onNote?.(text);
  }
}
