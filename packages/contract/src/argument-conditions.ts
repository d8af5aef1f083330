/**
 * Conditions on the arguments of a call, as `args` caveats and rules write them: JSON Pointer (RFC 6901) → operators.
 * One evaluator for tokens and policy, so that the same words mean the same thing. It answers in three values,
 * because a condition that cannot be judged (the argument is missing, or of another type) means "no" to whoever would
 * permit by it and "yes" to whoever would deny by it; which of the two is the caller's to say.
 *
 * `absent: true` means that the argument may be missing. Alone it permits nothing else; beside other operators, an
 * argument that is there must satisfy all of them.
 */
import { compareNumbers, ExactNumber, equalJson, foldName, type JsonObject, type JsonValue } from "./strict-json.ts";

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
export type ArgumentOperator = (typeof ARGUMENT_OPERATORS)[number];

/** Pointers in one set of conditions, and elements of one list operand, at most. */
export const CONDITION_POINTERS_MAX = 64;
export const CONDITION_OPERANDS_MAX = 1_000;
const POINTER_LENGTH_MAX = 512;

export type ConditionOutcome =
  | { readonly kind: "holds" }
  /** The argument is there, comparable, and outside. */
  | { readonly kind: "fails"; readonly pointer: string; readonly operator: ArgumentOperator }
  /** The argument is missing or of a type that the operator does not compare. */
  | { readonly kind: "unknown"; readonly pointer: string; readonly operator: ArgumentOperator };

export interface CompiledConditions {
  /** `fails` when any condition fails; else `unknown` when any cannot be judged; else `holds`. */
  evaluate(args: JsonObject): ConditionOutcome;
}

export type CompiledConditionsResult =
  | { readonly kind: "compiled"; readonly conditions: CompiledConditions }
  | { readonly kind: "malformed"; readonly pointer: string; readonly operator: string; readonly detail: string };

type Verdict = "holds" | "fails" | "unknown";
type Test = (value: JsonValue) => Verdict;

const HOLDS: ConditionOutcome = { kind: "holds" };

/** Compiles `{"/pointer": {"operator": operand}}`; every pointer and operator must hold. Empty sets are malformed. */
export function compileArgumentConditions(source: JsonValue): CompiledConditionsResult {
  if (!isObject(source)) return malformed("", "", "the conditions are not an object of JSON Pointers");
  const pointers = Object.keys(source);
  if (pointers.length === 0) return malformed("", "", "there is no condition");
  if (pointers.length > CONDITION_POINTERS_MAX) return malformed("", "", "there are too many pointers");
  const conditions: Condition[] = [];
  for (const pointer of pointers) {
    const steps = parsePointer(pointer);
    if (steps === undefined) return malformed(pointer, "", "not a JSON Pointer: it starts with / and escapes ~ as ~0");
    const operators = source[pointer];
    if (operators === undefined || !isObject(operators)) return malformed(pointer, "", "not an object of operators");
    const names = Object.keys(operators);
    if (names.length === 0) return malformed(pointer, "", "there is no operator");
    const tests: Condition["tests"][number][] = [];
    let mayBeAbsent = false;
    for (const name of names) {
      if (!isOperator(name)) return malformed(pointer, name, "unknown operator");
      const operand = operators[name] as JsonValue; // `name` is a key of `operators`
      if (name === "absent") {
        if (operand !== true) return malformed(pointer, name, "the operand is not true");
        mayBeAbsent = true;
        continue;
      }
      const test = compileOperator(name, operand);
      if (typeof test === "string") return malformed(pointer, name, test);
      tests.push({ operator: name, test });
    }
    conditions.push({ pointer, steps, mayBeAbsent, tests });
  }
  return {
    kind: "compiled",
    conditions: {
      evaluate(args) {
        let unknown: ConditionOutcome | undefined;
        for (const condition of conditions) {
          const outcome = evaluateCondition(condition, args);
          if (outcome.kind === "fails") return outcome;
          if (outcome.kind === "unknown") unknown ??= outcome;
        }
        return unknown ?? HOLDS;
      },
    },
  };
}

interface Condition {
  readonly pointer: string;
  readonly steps: readonly string[];
  readonly mayBeAbsent: boolean;
  readonly tests: readonly { readonly operator: Exclude<ArgumentOperator, "absent">; readonly test: Test }[];
}

function evaluateCondition({ pointer, steps, mayBeAbsent, tests }: Condition, args: JsonObject): ConditionOutcome {
  const value = valueAt(args, steps);
  if (value === undefined && mayBeAbsent) return HOLDS;
  const first = tests[0];
  if (first === undefined) return { kind: value === DOUBTFUL ? "unknown" : "fails", pointer, operator: "absent" };
  if (value === undefined || value === DOUBTFUL) return { kind: "unknown", pointer, operator: first.operator };
  let unknown: ConditionOutcome | undefined;
  for (const { operator, test } of tests) {
    const outcome = test(value);
    if (outcome === "fails") return { kind: "fails", pointer, operator };
    if (outcome === "unknown") unknown ??= { kind: "unknown", pointer, operator };
  }
  return unknown ?? HOLDS;
}

function malformed(pointer: string, operator: string, detail: string): CompiledConditionsResult {
  return { kind: "malformed", pointer, operator, detail };
}

function isOperator(name: string): name is ArgumentOperator {
  return (ARGUMENT_OPERATORS as readonly string[]).includes(name);
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isNumber(value: JsonValue): value is number | ExactNumber {
  return typeof value === "number" || value instanceof ExactNumber;
}

function typeOf(value: JsonValue): "null" | "boolean" | "string" | "number" | "array" | "object" {
  if (value === null) return "null";
  if (isNumber(value)) return "number";
  if (isArray(value)) return "array";
  if (typeof value === "object") return "object";
  return typeof value === "string" ? "string" : "boolean";
}

/** The reference tokens of a JSON Pointer (RFC 6901 section 3); undefined when it is none, or the empty one. */
function parsePointer(pointer: string): readonly string[] | undefined {
  if (!pointer.startsWith("/") || pointer.length > POINTER_LENGTH_MAX || /~(?![01])/.test(pointer)) return undefined;
  return pointer
    .slice(1)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** Missing by that name, but there under one that differs in case only: a lenient reader would find it. */
const DOUBTFUL = Symbol("doubtful");

function valueAt(args: JsonObject, steps: readonly string[]): JsonValue | typeof DOUBTFUL | undefined {
  let value: JsonValue | undefined = args;
  for (const step of steps) {
    if (typeof value !== "object" || value === null || value instanceof ExactNumber) return undefined;
    if (isArray(value)) {
      if (!/^(0|[1-9][0-9]{0,8})$/.test(step)) return undefined;
      value = value[Number(step)];
    } else {
      const next: JsonValue | undefined = Object.hasOwn(value, step) ? value[step] : undefined;
      if (next === undefined && hasFolded(value, step)) return DOUBTFUL;
      value = next;
    }
  }
  return value;
}

function hasFolded(object: JsonObject, name: string): boolean {
  const folded = foldName(name);
  return Object.keys(object).some((other) => foldName(other) === folded);
}

/** The test of one operator, or what is wrong with its operand. */
function compileOperator(operator: Exclude<ArgumentOperator, "absent">, operand: JsonValue): Test | string {
  switch (operator) {
    case "eq":
      return (value) => equals(value, operand);
    case "in": {
      const list = listOf(operand, () => true);
      if (list === undefined) return "the operand is not a list with at least one element";
      return (value) => any(list, (element) => equals(value, element));
    }
    case "min":
      if (!isNumber(operand)) return "the operand is not a number";
      return (value) => (isNumber(value) ? verdict(compareNumbers(value, operand) >= 0) : "unknown");
    case "max":
      if (!isNumber(operand)) return "the operand is not a number";
      return (value) => (isNumber(value) ? verdict(compareNumbers(value, operand) <= 0) : "unknown");
    case "prefix":
      if (typeof operand !== "string" || operand === "") return "the operand is not a text";
      return (value) => (typeof value === "string" ? verdict(value.startsWith(operand)) : "unknown");
    case "suffix":
      if (typeof operand !== "string" || operand === "") return "the operand is not a text";
      return (value) => (typeof value === "string" ? verdict(value.endsWith(operand)) : "unknown");
    case "max_length":
      if (typeof operand !== "number" || !Number.isSafeInteger(operand) || operand < 0) {
        return "the operand is not a whole number";
      }
      // In UTF-16 code units: the strictest of the usual counts of characters.
      return (value) => (typeof value === "string" ? verdict(value.length <= operand) : "unknown");
    case "host": {
      const list = listOf(operand, isHostPattern);
      if (list === undefined)
        return "the operand is not a host name such as example.com or *.example.com, in lower case";
      return (value) => {
        const host = typeof value === "string" ? hostOf(value) : undefined;
        // Each element passed isHostPattern.
        return host === undefined ? "unknown" : verdict(list.some((pattern) => hostMatches(host, pattern as string)));
      };
    }
    case "cidr": {
      const list = listOf(operand, (element) => typeof element === "string" && parseCidr(element) !== undefined);
      if (list === undefined) return "the operand is not an address range such as 10.0.0.0/8 or fd00::/8";
      const ranges = list.map((element) => parseCidr(element as string) as Range); // each passed parseCidr
      return (value) => {
        const address = typeof value === "string" ? parseAddress(value) : undefined;
        return address === undefined ? "unknown" : verdict(ranges.some((range) => within(address, range)));
      };
    }
  }
}

function verdict(holds: boolean): Verdict {
  return holds ? "holds" : "fails";
}

/** One value or a list of them, each of which must pass `check`. */
function listOf(operand: JsonValue, check: (element: JsonValue) => boolean): readonly JsonValue[] | undefined {
  const list = isArray(operand) ? operand : typeof operand === "string" ? [operand] : [];
  if (list.length === 0 || list.length > CONDITION_OPERANDS_MAX || !list.every(check)) return undefined;
  return list;
}

function equals(value: JsonValue, operand: JsonValue): Verdict {
  if (typeOf(value) !== typeOf(operand)) return "unknown";
  return verdict(equalJson(value, operand));
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

// --- hosts ------------------------------------------------------------------------------------------------------

const HOST = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,62})(?:\.[a-z0-9](?:[a-z0-9-]{0,62}))*$/;

function isHostPattern(pattern: JsonValue): boolean {
  return typeof pattern === "string" && HOST.test(pattern.startsWith("*.") ? pattern.slice(2) : pattern);
}

function hostMatches(host: string, pattern: string): boolean {
  // `*.example.com` is any name below example.com, at any depth, and not example.com itself.
  return pattern.startsWith("*.")
    ? host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1
    : host === pattern;
}

/**
 * The host of a URL, in lower case. Deliberately narrower than any URL parser: user information,
 * backslashes, control characters, escapes and non-ASCII names have readings that differ between parsers, so a text
 * with any of them before its path has no host here.
 */
function hostOf(text: string): string | undefined {
  const match = /^[a-z][a-z0-9+.-]*:\/\/([a-z0-9.-]+)(?::[0-9]{1,5})?(?:[/?#][\x21-\x5b\x5d-\x7e]*)?$/i.exec(text);
  const host = match?.[1]?.toLowerCase();
  return host !== undefined && HOST.test(host) ? host : undefined;
}

// --- addresses --------------------------------------------------------------------------------------------------

interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

interface Range extends Address {
  readonly prefix: number;
}

function parseCidr(text: string): Range | undefined {
  const slash = text.indexOf("/");
  const address = slash < 0 ? undefined : parseAddress(text.slice(0, slash));
  if (address === undefined) return undefined;
  const length = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(length) || Number(length) > address.bits) return undefined;
  const range = { ...address, prefix: Number(length) };
  // Bits beyond the prefix would suggest a narrower range than is meant.
  return address.value === head(address, range.prefix) << BigInt(address.bits - range.prefix) ? range : undefined;
}

function head(address: Address, prefix: number): bigint {
  return address.value >> BigInt(address.bits - prefix);
}

function within(address: Address, range: Range): boolean {
  return address.bits === range.bits && head(address, range.prefix) === head(range, range.prefix);
}

/** An IPv4 or IPv6 literal without zone. Leading zeros and IPv4-mapped addresses have two readings: none here. */
function parseAddress(text: string): Address | undefined {
  if (!text.includes(":")) {
    const value = parseIpv4(text);
    return value === undefined ? undefined : { bits: 32, value };
  }
  if (text.length > 45) return undefined;
  const tail = text.slice(text.lastIndexOf(":") + 1);
  let groups = text;
  if (tail.includes(".")) {
    const v4 = parseIpv4(tail);
    if (v4 === undefined) return undefined;
    groups = `${text.slice(0, text.length - tail.length)}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  }
  const halves = groups.split("::");
  if (halves.length > 2) return undefined;
  const parts = halves.map((half) => (half === "" ? [] : half.split(":")));
  const left = parts[0] ?? [];
  const right = parts[1] ?? [];
  const missing = 8 - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  let value = 0n;
  for (const group of [...left, ...Array<string>(missing).fill("0"), ...right]) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    value = (value << 16n) | BigInt(Number.parseInt(group, 16));
  }
  return value >> 32n === 0xffffn ? undefined : { bits: 128, value };
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(Number(part));
  }
  return value;
}
