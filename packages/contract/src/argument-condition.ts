/**
 * A condition on one argument of a call, as `args` caveats and rules write it: a JSON Pointer (RFC 6901) and operators.
 * One evaluator for tokens and policy, so that the same words mean the same thing; compiled once, run on every call. It
 * answers in three values, because a condition that cannot be judged (the argument is missing, of another type or
 * readable in two ways) means "no" to whoever would permit by it and "yes" to whoever would deny by it; which of the
 * two is the caller's to say.
 *
 * `absent: true` means that the argument may be missing. Alone it permits nothing else; beside other operators, an
 * argument that is there must satisfy all of them.
 */
import {
  type AddressPrefix,
  isHostPattern,
  isWithinPrefix,
  matchesHost,
  readAddress,
  readAddressPrefix,
  readUrlHost,
} from "./network-name.ts";
import {
  compareNumbers,
  equalJson,
  foldName,
  isJsonArray,
  isJsonNumber,
  isJsonObject,
  type JsonObject,
  type JsonValue,
} from "./strict-json.ts";

export const ARGUMENT_OPERATORS = [
  "eq",
  "in",
  "min",
  "max",
  "prefix",
  "suffix",
  "max_length",
  "host",
  "cidr",
  "absent",
] as const;
type ArgumentOperator = (typeof ARGUMENT_OPERATORS)[number];

const POINTER_LENGTH_MAX = 512;
/** Elements of one list operand. */
const OPERANDS_MAX = 1_000;

export type ConditionOutcome =
  | { readonly kind: "holds" }
  /** The argument is there, comparable, and outside. */
  | { readonly kind: "fails"; readonly operator: ArgumentOperator }
  /** The argument is missing, of a type that the operator does not compare, or readable in two ways. */
  | { readonly kind: "unknown"; readonly operator: ArgumentOperator };

export interface ArgumentCondition {
  readonly pointer: string;
  /** The reference tokens of the pointer. */
  readonly steps: readonly string[];
  /** As they were written; each of them is known and has an operand that it can be compared with. */
  readonly operators: JsonObject;
  /** `fails` when any operator fails; else `unknown` when any cannot be judged; else `holds`. */
  evaluate(args: JsonObject): ConditionOutcome;
}

export type ConditionCompilation =
  | { readonly kind: "compiled"; readonly condition: ArgumentCondition }
  /** `operator` is "" when it is the pointer or the whole that cannot be read. */
  | { readonly kind: "malformed"; readonly operator: string; readonly detail: string };

type Verdict = "holds" | "fails" | "unknown";
type Test = (value: JsonValue) => Verdict;

interface OperatorTest {
  readonly operator: Exclude<ArgumentOperator, "absent">;
  readonly test: Test;
}

const HOLDS: ConditionOutcome = { kind: "holds" };

/** Compiles `{"operator": operand}` for the argument at `pointer`; every operator must hold, and there is one at least. */
export function compileArgumentCondition(pointer: string, operators: JsonValue): ConditionCompilation {
  const steps = readPointer(pointer);
  if (steps === undefined) return malformed("", "not a JSON Pointer: it starts with / and escapes ~ as ~0");
  if (!isJsonObject(operators)) return malformed("", "not an object of operators");
  const names = Object.keys(operators);
  if (names.length === 0) return malformed("", "there is no operator");
  const tests: OperatorTest[] = [];
  let mayBeAbsent = false;
  for (const name of names) {
    if (!isOperator(name)) return malformed(name, "unknown operator");
    const operand = operators[name] as JsonValue; // `name` is a key of `operators`
    if (name === "absent") {
      if (operand !== true) return malformed(name, "the operand is not true");
      mayBeAbsent = true;
      continue;
    }
    const test = compileOperator(name, operand);
    if (typeof test === "string") return malformed(name, test);
    tests.push({ operator: name, test });
  }
  return {
    kind: "compiled",
    condition: {
      pointer,
      steps,
      operators,
      evaluate: (args) => evaluateTests(valueAt(args, steps), tests, mayBeAbsent),
    },
  };
}

function evaluateTests(
  value: JsonValue | typeof DOUBTFUL | undefined,
  tests: readonly OperatorTest[],
  mayBeAbsent: boolean,
): ConditionOutcome {
  if (value === undefined && mayBeAbsent) return HOLDS;
  const first = tests[0];
  if (first === undefined) return { kind: value === DOUBTFUL ? "unknown" : "fails", operator: "absent" };
  if (value === undefined || value === DOUBTFUL) return { kind: "unknown", operator: first.operator };
  let unknown: ConditionOutcome | undefined;
  for (const { operator, test } of tests) {
    const outcome = test(value);
    if (outcome === "fails") return { kind: "fails", operator };
    if (outcome === "unknown") unknown ??= { kind: "unknown", operator };
  }
  return unknown ?? HOLDS;
}

function malformed(operator: string, detail: string): ConditionCompilation {
  return { kind: "malformed", operator, detail };
}

function isOperator(name: string): name is ArgumentOperator {
  return (ARGUMENT_OPERATORS as readonly string[]).includes(name);
}

/** The reference tokens of a JSON Pointer (RFC 6901 section 4), or undefined when it is none. */
function readPointer(pointer: string): readonly string[] | undefined {
  if (pointer === "") return [];
  if (!pointer.startsWith("/") || pointer.length > POINTER_LENGTH_MAX || /~(?![01])/.test(pointer)) return undefined;
  return pointer
    .slice(1)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** Missing by that name, but there under one that differs in case only: a lenient reader would find it. */
const DOUBTFUL = Symbol("doubtful");

function valueAt(args: JsonObject, steps: readonly string[]): JsonValue | typeof DOUBTFUL | undefined {
  let value: JsonValue = args;
  for (const step of steps) {
    let next: JsonValue | undefined;
    if (isJsonArray(value)) {
      next = /^(?:0|[1-9][0-9]{0,8})$/.test(step) ? value[Number(step)] : undefined;
    } else if (isJsonObject(value)) {
      next = Object.hasOwn(value, step) ? value[step] : undefined;
      if (next === undefined && hasFolded(value, step)) return DOUBTFUL;
    }
    if (next === undefined) return undefined;
    value = next;
  }
  return value;
}

/** The folded names of arguments, kept as long as they are: a token may ask hundreds of times for what is missing. */
const foldingsByObject = new WeakMap<JsonObject, ReadonlySet<string>>();

function hasFolded(object: JsonObject, name: string): boolean {
  let foldings = foldingsByObject.get(object);
  if (foldings === undefined) {
    foldings = new Set(Object.keys(object).map(foldName));
    foldingsByObject.set(object, foldings);
  }
  return foldings.has(foldName(name));
}

/** The test of one operator, or what is wrong with its operand. */
function compileOperator(operator: OperatorTest["operator"], operand: JsonValue): Test | string {
  switch (operator) {
    case "eq":
      return (value) => equals(value, operand);
    case "in": {
      const list = isJsonArray(operand) ? listOf(operand, (element) => element) : undefined;
      if (list === undefined) return "the operand is not a list with at least one element";
      return (value) => any(list, (element) => equals(value, element));
    }
    case "min":
      if (!isJsonNumber(operand)) return "the operand is not a number";
      return (value) => (isJsonNumber(value) ? verdict(compareNumbers(value, operand) >= 0) : "unknown");
    case "max":
      if (!isJsonNumber(operand)) return "the operand is not a number";
      return (value) => (isJsonNumber(value) ? verdict(compareNumbers(value, operand) <= 0) : "unknown");
    case "prefix":
      if (typeof operand !== "string") return "the operand is not a text";
      return (value) => (typeof value === "string" ? verdict(value.startsWith(operand)) : "unknown");
    case "suffix":
      if (typeof operand !== "string") return "the operand is not a text";
      return (value) => (typeof value === "string" ? verdict(value.endsWith(operand)) : "unknown");
    case "max_length":
      if (typeof operand !== "number" || !Number.isSafeInteger(operand) || operand < 0) {
        return "the operand is not a whole number";
      }
      // In UTF-16 code units: the strictest of the usual counts of characters, and the one that costs nothing.
      return (value) => (typeof value === "string" ? verdict(value.length <= operand) : "unknown");
    case "host": {
      const patterns = listOf(operand, (element) =>
        typeof element === "string" && isHostPattern(element) ? element : undefined,
      );
      if (patterns === undefined)
        return "the operand is not a host name such as example.com or *.example.com, in lower case";
      return (value) => {
        const host = typeof value === "string" ? readUrlHost(value) : undefined;
        return host === undefined ? "unknown" : verdict(patterns.some((pattern) => matchesHost(pattern, host)));
      };
    }
    case "cidr": {
      const prefixes = listOf<AddressPrefix>(operand, (element) =>
        typeof element === "string" ? readAddressPrefix(element) : undefined,
      );
      if (prefixes === undefined) return "the operand is not an address range such as 10.0.0.0/8 or fd00::/8";
      return (value) => {
        const address = typeof value === "string" ? readAddress(value) : undefined;
        return address === undefined ? "unknown" : verdict(prefixes.some((prefix) => isWithinPrefix(prefix, address)));
      };
    }
  }
}

function verdict(holds: boolean): Verdict {
  return holds ? "holds" : "fails";
}

/** What `read` makes of one value, or of each in a list; undefined where it reads none or any as undefined. */
function listOf<T>(operand: JsonValue, read: (element: JsonValue) => T | undefined): readonly T[] | undefined {
  const elements = isJsonArray(operand) ? operand : [operand];
  if (elements.length === 0 || elements.length > OPERANDS_MAX) return undefined;
  const list: T[] = [];
  for (const element of elements) {
    const one = read(element);
    if (one === undefined) return undefined;
    list.push(one);
  }
  return list;
}

/** Values of different types have no common measure. */
function equals(value: JsonValue, operand: JsonValue): Verdict {
  return equalJson(value, operand) ? "holds" : typeOf(value) === typeOf(operand) ? "fails" : "unknown";
}

function typeOf(value: JsonValue): string {
  if (value === null) return "null";
  if (isJsonNumber(value)) return "number";
  return isJsonArray(value) ? "array" : typeof value;
}

function any(list: readonly JsonValue[], test: (element: JsonValue) => Verdict): Verdict {
  let outcome: Verdict = "fails";
  for (const element of list) {
    const one = test(element);
    if (one === "holds") return "holds";
    if (one === "unknown") outcome = "unknown";
  }
  return outcome;
}
