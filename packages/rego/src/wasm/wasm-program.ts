/**
 * A policy that OPA has compiled to WebAssembly (`opa build -t wasm`), behind the interface of a program, by means of
 * `@open-policy-agent/opa-wasm`, which whoever uses this file installs. What differs from modules compiled here:
 *
 * - Queries are the entry points that were named when it was built: `data.a.b` is `a/b`.
 * - Input and data are copied into its memory; data only when another document is given than the time before.
 * - Steps and time are not bounded, memory is. Built-ins that are not inside the module are the engine's.
 * - Errors of built-ins always make their expressions undefined.
 * - The library reads answers as JSON of JavaScript, so numbers in them are doubles.
 */
import { loadPolicy } from "@open-policy-agent/opa-wasm";
import { type Builtin, type BuiltinEnvironment, BuiltinError, makePreparedCache } from "../builtins/builtin.ts";
import { BUILTINS } from "../builtins/registry.ts";
import { plainJsonOf, writeJson } from "../json.ts";
import { NumberTooLarge } from "../number.ts";
import { type Answer, type EvaluateOptions, type Evaluator, makeEnvironment } from "../program.ts";
import type { Value } from "../value.ts";

export interface WasmOptions {
  /** Built-ins beside those of the engine; one of the same name counts. */
  readonly builtins?: readonly Builtin[];
  /** The most memory that the policy may have, in pages of 64 KiB. */
  readonly memoryPagesMax?: number;
}

export type WasmLoaded =
  | { readonly kind: "program"; readonly program: WasmProgram }
  /** The bytes are no policy. */
  | { readonly kind: "fault"; readonly message: string };

const MEMORY_PAGES = 5;
const MEMORY_PAGES_MAX = 2_048;

/** What of the library is used here. */
type LoadedPolicy = Awaited<ReturnType<typeof loadPolicy>>;

/** Reads a compiled policy. */
export async function loadWasm(bytes: Uint8Array<ArrayBuffer>, options: WasmOptions = {}): Promise<WasmLoaded> {
  const current: { environment: BuiltinEnvironment } = { environment: makeEnvironment({}, makePreparedCache()) };
  const builtins = [...BUILTINS, ...(options.builtins ?? [])];
  const functions = builtins.flatMap(({ name, run }) => {
    if (typeof run !== "function") return [];
    const call = (...operands: Value[]) => {
      try {
        const value = run(current.environment, ...operands);
        return value === undefined ? undefined : plainJsonOf(value);
      } catch (cause) {
        if (cause instanceof BuiltinError || cause instanceof NumberTooLarge) return undefined; // as when not strict
        throw cause;
      }
    };
    return [[name, call] as const];
  });
  const memory = { initial: MEMORY_PAGES, maximum: options.memoryPagesMax ?? MEMORY_PAGES_MAX };
  try {
    const policy = await loadPolicy(bytes, memory, Object.fromEntries(functions));
    return { kind: "program", program: new WasmProgram(policy, current) };
  } catch (cause) {
    return { kind: "fault", message: `not a policy compiled by OPA: ${messageOf(cause)}` };
  }
}

/** A compiled policy; made by `loadWasm`. */
export class WasmProgram implements Evaluator {
  readonly #policy: LoadedPolicy;
  readonly #current: { environment: BuiltinEnvironment };
  readonly #prepared = makePreparedCache();
  readonly #entrypoints: ReadonlyMap<string, string>;
  #data: Value | undefined;

  constructor(policy: LoadedPolicy, current: { environment: BuiltinEnvironment }) {
    this.#policy = policy;
    this.#current = current;
    // The library types entry points loosely: they are names with numbers.
    const names = Object.keys(policy.entrypoints as object);
    this.#entrypoints = new Map(names.map((name) => [`data.${name.replaceAll("/", ".")}`, name]));
  }

  /** Queries that the policy answers. */
  get queries(): readonly string[] {
    return [...this.#entrypoints.keys()];
  }

  /** The value of an entry point. A query that is none is a mistake of the caller's. */
  evaluate(query: string, options: EvaluateOptions = {}): Answer {
    const entrypoint = this.#entrypoints.get(query);
    if (entrypoint === undefined) {
      throw new TypeError(`${query} is no entry point of the policy; they are ${this.queries.join(", ")}`);
    }
    this.#current.environment = makeEnvironment(options, this.#prepared);
    try {
      this.#putData(options.data ?? {});
      const input = options.input === undefined ? undefined : bytesOf(options.input);
      return answerOf(this.#policy.evaluate(input, entrypoint));
    } catch (cause) {
      // A trap, an abort or a refusal of the library ends the evaluation, as a bound does.
      return {
        kind: "error",
        error: { code: "eval_internal_error", message: messageOf(cause), file: "", line: 0, column: 0 },
      };
    }
  }

  #putData(data: Value): void {
    if (data === this.#data) return;
    this.#data = undefined;
    this.#policy.setData(bytesOf(data));
    this.#data = data;
  }
}

/** JSON as the library takes it without writing it again, so that numbers stay exact on the way in. */
function bytesOf(value: Value): ArrayBuffer {
  return new TextEncoder().encode(writeJson(value)).buffer;
}

/** The library answers with a list of results; an entry point has one or none. */
function answerOf(results: unknown): Answer {
  const [first] = results as readonly { readonly result: Value }[]; // in the ABI of OPA
  return first === undefined ? { kind: "undefined" } : { kind: "value", value: first.result };
}

/** The library throws texts as well as errors. */
function messageOf(cause: unknown): string {
  if (cause instanceof Error) return cause.message;
  const { message } = Object(cause) as { message?: unknown };
  return typeof message === "string" ? message : String(cause);
}
