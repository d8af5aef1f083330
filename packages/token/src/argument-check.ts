/**
 * The operators of the `args` caveat: what one argument, found by a JSON Pointer (RFC 6901), must be. Compiled once
 * from the caveat, run on every call. Whatever is missing, of another type or readable in two ways fails the check.
 *
 * `absent: true` means that the argument may be missing. Alone it permits nothing else; beside other operators, an
 * argument that is there must satisfy all of them.
 */
import { compareNumbers, ExactNumber, equalJson, foldName, type JsonObject, type JsonValue } from "@writ/contract";
import {
  type AddressPrefix,
  isHostPattern,
  isWithinPrefix,
  matchesHost,
  readAddress,
  readAddressPrefix,
  readUrlHost,
} from "./network-name.ts";

export interface ArgumentCheck {
  readonly pointer: string;
  readonly path: readonly string[];
  /** Whether a missing argument is permitted. */
  readonly mayBeAbsent: boolean;
  /** None, when nothing but a missing argument is permitted. */
  readonly operators: readonly Operator[];
}

interface Operator {
  readonly name: string;
  readonly holds: (value: JsonValue) => boolean;
}

const POINTER_LENGTH_MAX = 256;
const LIST_LENGTH_MAX = 256;

/** The name of the operator that does not hold for these arguments, or undefined when all hold. */
export function failedOperator(check: ArgumentCheck, args: JsonObject): string | undefined {
  const found = findArgument(args, check.path);
  if (found.kind === "missing") return check.mayBeAbsent ? undefined : "presence";
  if (found.kind === "doubtful") return "absent";
  if (check.operators.length === 0) return "absent";
  for (const operator of check.operators) if (!operator.holds(found.value)) return operator.name;
  return undefined;
}

/** Compiles the operators for one pointer; undefined when they are malformed. */
export function compileArgumentCheck(pointer: string, operators: JsonValue): ArgumentCheck | undefined {
  const path = readPointer(pointer);
  if (path === undefined || !isObject(operators)) return undefined;
  const names = Object.keys(operators);
  if (names.length === 0) return undefined;
  const compiled: Operator[] = [];
  let mayBeAbsent = false;
  for (const name of names) {
    const operand = operators[name] as JsonValue; // an own name
    if (name === "absent") {
      if (operand !== true) return undefined;
      mayBeAbsent = true;
      continue;
    }
    const holds = compileOperator(name, operand);
    if (holds === undefined) return undefined;
    compiled.push({ name, holds });
  }
  return { pointer, path, mayBeAbsent, operators: compiled };
}

function compileOperator(name: string, operand: JsonValue): ((value: JsonValue) => boolean) | undefined {
  switch (name) {
    case "eq":
      return (value) => equalJson(value, operand);
    case "in": {
      if (!isList(operand)) return undefined;
      return (value) => operand.some((element) => equalJson(value, element));
    }
    case "min":
      return isNumber(operand) ? (value) => isNumber(value) && compareNumbers(value, operand) >= 0 : undefined;
    case "max":
      return isNumber(operand) ? (value) => isNumber(value) && compareNumbers(value, operand) <= 0 : undefined;
    case "prefix":
      return typeof operand === "string"
        ? (value) => typeof value === "string" && value.startsWith(operand)
        : undefined;
    case "suffix":
      return typeof operand === "string" ? (value) => typeof value === "string" && value.endsWith(operand) : undefined;
    case "max_length": {
      // In UTF-16 code units: the strictest of the usual counts of characters, and the one that costs nothing.
      if (typeof operand !== "number" || !Number.isSafeInteger(operand) || operand < 0) return undefined;
      return (value) => typeof value === "string" && value.length <= operand;
    }
    case "host": {
      const patterns = readTexts(operand);
      if (!patterns?.every(isHostPattern)) return undefined;
      return (value) => {
        const host = typeof value === "string" ? readUrlHost(value) : undefined;
        return host !== undefined && patterns.some((pattern) => matchesHost(pattern, host));
      };
    }
    case "cidr": {
      const prefixes: AddressPrefix[] = [];
      for (const text of readTexts(operand) ?? [""]) {
        const prefix = readAddressPrefix(text);
        if (prefix === undefined) return undefined;
        prefixes.push(prefix);
      }
      return (value) => {
        const address = typeof value === "string" ? readAddress(value) : undefined;
        return address !== undefined && prefixes.some((prefix) => isWithinPrefix(prefix, address));
      };
    }
    default:
      return undefined;
  }
}

/** One text, or a list of them. */
function readTexts(operand: JsonValue): readonly string[] | undefined {
  if (typeof operand === "string") return [operand];
  if (!isList(operand)) return undefined;
  const texts: string[] = [];
  for (const element of operand) {
    if (typeof element !== "string") return undefined;
    texts.push(element);
  }
  return texts;
}

type Found =
  | { readonly kind: "found"; readonly value: JsonValue }
  | { readonly kind: "missing" }
  /** Missing by that name, but there under one that differs in case only: a lenient reader would find it. */
  | { readonly kind: "doubtful" };

const MISSING: Found = { kind: "missing" };

function findArgument(args: JsonObject, path: readonly string[]): Found {
  let value: JsonValue = args;
  for (const name of path) {
    let next: JsonValue | undefined;
    if (isArray(value)) {
      next = /^(?:0|[1-9][0-9]{0,8})$/.test(name) ? value[Number(name)] : undefined;
    } else if (isObject(value)) {
      next = Object.hasOwn(value, name) ? value[name] : undefined;
      if (next === undefined && hasFolded(value, name)) return { kind: "doubtful" };
    }
    if (next === undefined) return MISSING;
    value = next;
  }
  return { kind: "found", value };
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

/** The reference tokens of a JSON Pointer (RFC 6901 section 4), or undefined when it is none. */
function readPointer(pointer: string): readonly string[] | undefined {
  if (pointer === "") return [];
  if (!pointer.startsWith("/") || pointer.length > POINTER_LENGTH_MAX || /~(?![01])/.test(pointer)) return undefined;
  return pointer
    .slice(1)
    .split("/")
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function isNumber(value: JsonValue): value is number | ExactNumber {
  return typeof value === "number" || value instanceof ExactNumber;
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return isArray(value) && value.length > 0 && value.length <= LIST_LENGTH_MAX;
}

function isObject(value: JsonValue): value is JsonObject {
  return value !== null && typeof value === "object" && !isArray(value) && !(value instanceof ExactNumber);
}
