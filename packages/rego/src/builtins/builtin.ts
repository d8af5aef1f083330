/**
 * The shape of a built-in function: its name and type, and what it does with values. A built-in is a pure function of
 * its operands and of the `BuiltinEnvironment`, its only way to a clock, randomness, cryptography or memory.
 *
 * It answers with a value; or with `undefined`, which makes the expression undefined, as for a key that is not there; or
 * it throws what `builtinError`, `operandError` or `elementError` makes, which under strict evaluation ends the
 * evaluation with that error and otherwise makes the expression undefined too. It throws nothing else on purpose. The
 * engine puts the built-in's name before the message.
 *
 * The engine has checked the number of operands, not their types: `stringOperand` and its siblings do.
 */
import { bigintOfNumber, type RegoNumber } from "../number.ts";
import type { FunctionType, Type } from "../types.ts";
import {
  isArray,
  isNumber,
  isObject,
  isSet,
  type Kind,
  kindOf,
  type PlainObject,
  type Value,
  type ValueObject,
  type ValueSet,
} from "../value.ts";

export type BuiltinFunction = (environment: BuiltinEnvironment, ...operands: Value[]) => Value | undefined;

export interface Builtin {
  readonly name: string;
  readonly type: FunctionType;
  /** The operator that stands for it between two operands. */
  readonly infix?: string;
  /** Its answer depends on more than the operands. */
  readonly nondeterministic?: true;
  /** Its answer is an array of results, and the expression has each of them in turn. */
  readonly relation?: true;
  /** What to write instead. Modules may not call it, as in OPA; queries may. */
  readonly deprecated?: string;
  /** What it does; or why it cannot be called here: then only `with` may name it, to put a function in its place. */
  readonly run: BuiltinFunction | RefusedBuiltin;
}

interface RefusedBuiltin {
  readonly refused: string;
  /** What it does where `with` puts it in the place of another. */
  readonly standIn?: BuiltinFunction;
}

interface BuiltinTraits {
  readonly infix?: string;
  readonly nondeterministic?: true;
  readonly relation?: true;
  readonly deprecated?: string;
}

/** A built-in: `builtin("startswith", [STRING, STRING], BOOLEAN, (_, text, prefix) => …)`. */
export function builtin(
  name: string,
  args: readonly Type[],
  result: Type,
  run: BuiltinFunction,
  traits: BuiltinTraits = {},
): Builtin {
  return { name, type: { args, result }, run, ...traits };
}

/** A built-in whose name and type are known, and which is not offered, for the reason given. */
export function refusedBuiltin(
  name: string,
  args: readonly Type[],
  result: Type,
  refused: string,
  standIn?: BuiltinFunction,
): Builtin {
  return { name, type: { args, result }, run: standIn === undefined ? { refused } : { refused, standIn } };
}

/** What is said of a call of a built-in that is not offered, wherever it is found. */
export function notOffered(name: string, why: string): string {
  return `the built-in ${name} is not offered: ${why}`;
}

/** What a built-in may reach besides its operands. */
export interface BuiltinEnvironment {
  /** Nanoseconds since the epoch; the same during one evaluation. Throws a built-in error when there is no clock. */
  timeNs(): bigint;
  /** Random bytes; throws a built-in error when there is no source of them. */
  randomBytes(count: number): Uint8Array;
  /** Throws a built-in error when there is none. */
  cryptography(): Cryptography;
  /** What must answer alike during one evaluation (`rand.intn`, `uuid.rfc4122`), by built-in and operands. */
  readonly perEvaluation: Map<string, Value>;
  /** What was prepared from operands and serves later evaluations too (patterns): bounded, the oldest go first. */
  readonly prepared: PreparedCache;
  /**
   * Accounts for work or output beyond the size of the operands, before it is done: one for about every hundred
   * nanoseconds or for every item made. Ends the evaluation when its bound is reached.
   */
  spend(steps: number): void;
  /** Keeps a note for whoever evaluates (`trace`, `print`); not a part of any answer. */
  note(text: string): void;
}

/** A bounded memory of what was made from texts, such as compiled patterns; made by `makePreparedCache`. */
export interface PreparedCache {
  /** What `make` made for this area and text, now or earlier. What `make` throws is not kept. */
  get<T>(area: string, text: string, make: (text: string) => T): T;
}

/** Entries of one area of a `PreparedCache`. */
const PREPARED_MAX = 1_000;

export function makePreparedCache(): PreparedCache {
  const areas = new Map<string, Map<string, unknown>>();
  return {
    get<T>(area: string, text: string, make: (text: string) => T): T {
      let entries = areas.get(area);
      if (entries === undefined) {
        entries = new Map();
        areas.set(area, entries);
      }
      const known = entries.get(text);
      if (known !== undefined) return known as T; // an area holds what one function makes
      const made = make(text);
      if (entries.size >= PREPARED_MAX) {
        const [oldest] = entries.keys();
        if (oldest !== undefined) entries.delete(oldest);
      }
      entries.set(text, made);
      return made;
    },
  };
}

export type HashAlgorithm = "md5" | "sha1" | "sha256" | "sha384" | "sha512";

/** How a signature is made; `raw` is the two numbers one after the other, each as long as the curve's. */
export type SignatureScheme =
  | { readonly kind: "rsa_pkcs1" | "rsa_pss"; readonly hash: HashAlgorithm }
  | { readonly kind: "ecdsa"; readonly hash: HashAlgorithm; readonly encoding: "der" | "raw" }
  | { readonly kind: "ed25519" };

/** Cryptography, synchronous; the caller of the engine provides it. node.ts has that of Node. */
export interface Cryptography {
  hash(algorithm: HashAlgorithm, bytes: Uint8Array): Uint8Array;
  hmac(algorithm: HashAlgorithm, key: Uint8Array, bytes: Uint8Array): Uint8Array;
  /**
   * Whether the holder of a key signed the bytes; false too for a key, or a signature, of another kind. The key is
   * SubjectPublicKeyInfo in DER; it comes as the same array each time, and is never changed, so that what is made of it
   * may be kept. A signature with RSA-PSS may have a salt of any length.
   */
  verify(scheme: SignatureScheme, spki: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean;
  /** Signs with a private key, given as the members of its JWK; throws when the key is of no use. */
  sign(scheme: SignatureScheme, jwk: Readonly<Record<string, string>>, bytes: Uint8Array): Uint8Array;
}

/**
 * What a built-in throws. Deliberately no `Error`: taking a stack costs more than most built-ins, and the engine turns
 * each into undefined or into an error of the evaluation at the call itself.
 */
export class BuiltinError {
  readonly code: "eval_builtin_error" | "eval_type_error";
  readonly message: string;

  constructor(code: BuiltinError["code"], message: string) {
    this.code = code;
    this.message = message;
  }
}

export function builtinError(message: string): BuiltinError {
  return new BuiltinError("eval_builtin_error", message);
}

/** `operandError(2, ["set", "array"], value)`: operand 2 must be one of {set, array} but got … */
export function operandError(position: number, expected: readonly string[], got: Value): BuiltinError {
  const wanted = expected.length === 1 ? expected[0] : `one of {${expected.join(", ")}}`;
  return new BuiltinError("eval_type_error", `operand ${position} must be ${wanted} but got ${kindOf(got)}`);
}

/** `elementError(1, "array", "string", item)`: operand 1 must be array of string but got array containing … */
export function elementError(position: number, composite: Kind, expected: string, got: Value): BuiltinError {
  const message = `operand ${position} must be ${composite} of ${expected}s but got ${composite} containing ${kindOf(got)}`;
  return new BuiltinError("eval_type_error", message);
}

export function stringOperand(value: Value, position: number): string {
  if (typeof value !== "string") throw operandError(position, ["string"], value);
  return value;
}

export function numberOperand(value: Value, position: number): RegoNumber {
  if (!isNumber(value)) throw operandError(position, ["number"], value);
  return value;
}

/** A number that must be an integer, of any size. */
export function bigintOperand(value: Value, position: number): bigint {
  const integer = bigintOfNumber(numberOperand(value, position));
  if (integer === undefined) {
    throw new BuiltinError(
      "eval_type_error",
      `operand ${position} must be integer number but got floating-point number`,
    );
  }
  return integer;
}

/** A number that must be an integer within ±(2^53 − 1). */
export function integerOperand(value: Value, position: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  bigintOperand(value, position);
  throw new BuiltinError("eval_type_error", `operand ${position} must be a smaller integer`);
}

export function booleanOperand(value: Value, position: number): boolean {
  if (typeof value !== "boolean") throw operandError(position, ["boolean"], value);
  return value;
}

export function arrayOperand(value: Value, position: number): readonly Value[] {
  if (!isArray(value)) throw operandError(position, ["array"], value);
  return value;
}

export function setOperand(value: Value, position: number): ValueSet {
  if (!isSet(value)) throw operandError(position, ["set"], value);
  return value;
}

export function objectOperand(value: Value, position: number): PlainObject | ValueObject {
  if (!isObject(value)) throw operandError(position, ["object"], value);
  return value;
}

/** The members of an array or set, a set's in order. */
export function collectionOperand(value: Value, position: number): readonly Value[] {
  if (isArray(value)) return value;
  if (isSet(value)) return value.sorted();
  throw operandError(position, ["set", "array"], value);
}

/** The members of an array or set, all of which must be strings. */
export function stringsOperand(value: Value, position: number): readonly string[] {
  const members = collectionOperand(value, position);
  for (const member of members) {
    if (typeof member !== "string") throw elementError(position, kindOf(value), "string", member);
  }
  return members as readonly string[]; // checked in the loop
}
