/**
 * Values, as every part of the engine and every built-in sees them. Plain JSON is used as it is, without being converted
 * or copied:
 *
 * | Rego    | here |
 * |---------|------|
 * | null, boolean, string | the same in JavaScript |
 * | number  | a JavaScript number, or a `Decimal` where no double stands for it (number.ts) |
 * | array   | a JavaScript array without holes |
 * | object  | a plain object when all keys are strings, with any prototype or none; else a `ValueObject` |
 * | set     | a `ValueSet` |
 *
 * `undefined` is not a value; it stands for Rego's undefined. A plain object is read with `memberOf`, which sees own
 * members only, and built with an `ObjectBuilder`, which picks the representation; so there is exactly one for each
 * value. Values are never changed once they can be seen by others.
 *
 * The order of values is OPA's: null, false, true, numbers, strings by code point, arrays, objects, sets. Reading and
 * writing JSON is in json.ts.
 */
import { Boxed } from "./boxed.ts";
import { burn } from "./fuel.ts";
import { compareNumbers, Decimal, type RegoNumber, writeNumber } from "./number.ts";
import { quoteText } from "./quote.ts";

export type Value = null | boolean | RegoNumber | string | readonly Value[] | PlainObject | ValueObject | ValueSet;

export interface PlainObject {
  readonly [key: string]: Value;
}

/** Rego's name of a value's type, as `type_name` answers it. */
export type Kind = "null" | "boolean" | "number" | "string" | "array" | "object" | "set";

export function kindOf(value: Value): Kind {
  switch (typeof value) {
    case "string":
      return "string";
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    default:
      if (value === null) return "null";
      if (Array.isArray(value)) return "array";
      return value instanceof Boxed ? value.kind : "object";
  }
}

export function isArray(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

export function isSet(value: Value | undefined): value is ValueSet {
  return value instanceof ValueSet;
}

export function isObject(value: Value | undefined): value is PlainObject | ValueObject {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    (!(value instanceof Boxed) || value.kind === "object")
  );
}

export function isNumber(value: Value | undefined): value is RegoNumber {
  return typeof value === "number" || value instanceof Decimal;
}

/**
 * What tells a value from every other in a `Map`: equal values have the same key. Numbers, booleans, null and nearly all
 * strings are their own; the others have a text that begins with NUL, as has a string that begins with NUL.
 */
export type Key = null | boolean | number | string;

const MARK = "\u0000";

export function keyOf(value: Value): Key {
  if (typeof value === "string") return value.charCodeAt(0) === 0 ? `${MARK}s${value}` : value;
  if (typeof value !== "object" || value === null) return value;
  return MARK + keyTextOf(value);
}

/** A text that only equal values share. Members are ordered by their own texts, not in the order of values. */
function keyTextOf(value: Value): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
    case "boolean":
      return String(value);
    default:
      break;
  }
  if (value === null) return "null";
  if (isArray(value)) {
    burn(value.length + 1);
    let text = "[";
    for (const item of value) text += `${keyTextOf(item)},`;
    return `${text}]`;
  }
  if (value instanceof Decimal) return `${value.coefficient}e${value.exponent}`;
  if (value instanceof ValueSet || value instanceof ValueObject) return value.keyText();
  const names = Object.keys(value);
  burn(names.length + 1);
  const members = names.map((name) => `${JSON.stringify(name)}:${keyTextOf(value[name] as Value)}`); // own names
  return `{${members.sort().join(",")}}`;
}

/** Sets up to this size are lists: comparing a few members costs less than naming them. */
const LISTED_MAX = 8;

/** A set. Add to it only while nobody else has it. */
export class ValueSet extends Boxed {
  readonly kind = "set";
  /** All members, in the order in which they were added. */
  readonly #members: Value[] = [];
  /** The keys of the members, once there are many. */
  #keys: Set<Key> | undefined;
  #sorted: readonly Value[] | undefined;
  #keyText: string | undefined;

  constructor(members: Iterable<Value> = []) {
    super();
    for (const member of members) this.add(member);
  }

  get size(): number {
    return this.#members.length;
  }

  /** Adds a member; false when it was there. */
  add(member: Value): boolean {
    if (this.#keys === undefined) {
      if (this.#isListed(member)) return false;
      if (this.#members.length === LISTED_MAX) this.#keys = new Set([...this.#members, member].map(keyOf));
    } else {
      const key = keyOf(member);
      if (this.#keys.has(key)) return false;
      this.#keys.add(key);
    }
    this.#members.push(member);
    this.#sorted = undefined;
    this.#keyText = undefined;
    return true;
  }

  has(value: Value): boolean {
    return this.#keys === undefined ? this.#isListed(value) : this.#keys.has(keyOf(value));
  }

  #isListed(value: Value): boolean {
    const members = this.#members;
    for (let index = 0; index < members.length; index += 1) {
      if (equalValues(members[index] as Value, value)) return true; // within the list
    }
    return false;
  }

  /** The members in the order of values. */
  sorted(): readonly Value[] {
    this.#sorted ??= sortValues([...this.#members]);
    return this.#sorted;
  }

  /** The members in the order in which they were added. */
  members(): readonly Value[] {
    return this.#members;
  }

  keyText(): string {
    this.#keyText ??= `<${this.#members.map(keyTextOf).sort().join(",")}>`;
    return this.#keyText;
  }
}

/** An object with at least one key that is not a string; made by `ObjectBuilder` alone. */
export class ValueObject extends Boxed {
  readonly kind = "object";
  readonly #entries: ReadonlyMap<Key, readonly [Value, Value]>;
  #sorted: readonly (readonly [Value, Value])[] | undefined;
  #keyText: string | undefined;

  constructor(entries: ReadonlyMap<Key, readonly [Value, Value]>) {
    super();
    this.#entries = entries;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(keyOf(key))?.[1];
  }

  entries(): IterableIterator<readonly [Value, Value]> {
    return this.#entries.values();
  }

  /** The entries in the order of their keys. */
  sorted(): readonly (readonly [Value, Value])[] {
    this.#sorted ??= [...this.#entries.values()].sort((a, b) => compareValues(a[0], b[0]));
    return this.#sorted;
  }

  keyText(): string {
    if (this.#keyText === undefined) {
      const texts = [];
      for (const [key, value] of this.#entries.values()) texts.push(`${keyTextOf(key)}:${keyTextOf(value)}`);
      this.#keyText = `{${texts.sort().join(",")}}`;
    }
    return this.#keyText;
  }
}

/** Builds an object of any keys. `finish` ends its use. */
export class ObjectBuilder {
  #plain: Record<string, Value> = {};
  #entries: Map<Key, readonly [Value, Value]> | undefined;

  /** The value under a key so far. */
  get(key: Value): Value | undefined {
    if (this.#entries !== undefined) return this.#entries.get(keyOf(key))?.[1];
    return typeof key === "string" ? ownMember(this.#plain, key) : undefined;
  }

  /** Puts a value under a key, over one that was there. */
  set(key: Value, value: Value): void {
    if (this.#entries === undefined) {
      if (typeof key === "string") {
        setMember(this.#plain, key, value);
        return;
      }
      this.#entries = new Map();
      for (const name of Object.keys(this.#plain)) {
        this.#entries.set(keyOf(name), [name, this.#plain[name] as Value]); // an own member, just listed
      }
    }
    this.#entries.set(keyOf(key), [key, value]);
  }

  finish(): PlainObject | ValueObject {
    return this.#entries === undefined ? this.#plain : new ValueObject(this.#entries);
  }
}

/** Sets a member of a plain object under construction, whatever its name. */
export function setMember(object: Record<string, Value>, name: string, value: Value): void {
  if (name === "__proto__") {
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  } else object[name] = value;
}

/** Builds an object from entries; later ones win. */
export function objectOf(entries: Iterable<readonly [Value, Value]>): PlainObject | ValueObject {
  const builder = new ObjectBuilder();
  for (const [key, value] of entries) builder.set(key, value);
  return builder.finish();
}

function ownMember(object: PlainObject, name: string): Value | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** The value under a key of an object; undefined when there is none. */
export function memberOf(object: PlainObject | ValueObject, key: Value): Value | undefined {
  if (object instanceof ValueObject) return object.get(key);
  return typeof key === "string" ? ownMember(object, key) : undefined;
}

export function objectSize(object: PlainObject | ValueObject): number {
  if (object instanceof ValueObject) return object.size;
  let size = 0;
  for (const name of Object.keys(object)) if (object[name] !== undefined) size += 1;
  return size;
}

/** The keys of an object in the order of values. */
export function sortedKeys(object: PlainObject | ValueObject): readonly Value[] {
  if (object instanceof ValueObject) return object.sorted().map(([key]) => key);
  return sortNames(Object.keys(object).filter((name) => object[name] !== undefined));
}

/** The entries of an object in the order of their keys. */
export function sortedEntries(object: PlainObject | ValueObject): readonly (readonly [Value, Value])[] {
  if (object instanceof ValueObject) return object.sorted();
  const entries: [Value, Value][] = [];
  for (const name of sortNames(Object.keys(object))) {
    const value = object[name];
    if (value !== undefined) entries.push([name, value]);
  }
  return entries;
}

/** Looks one step into a value, as a reference does: an array by index, an object by key, a set by member. */
export function lookUp(value: Value, key: Value): Value | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (isArray(value)) return typeof key === "number" ? value[key] : undefined;
  if (value instanceof Boxed) {
    if (value instanceof ValueObject) return value.get(key);
    return value instanceof ValueSet && value.has(key) ? key : undefined;
  }
  return typeof key === "string" ? ownMember(value, key) : undefined;
}

export function equalValues(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (isArray(a)) {
    if (!isArray(b) || a.length !== b.length) return false;
    burn(1 + (a.length >> 3));
    for (let index = 0; index < a.length; index += 1) {
      if (!equalValues(a[index] as Value, b[index] as Value)) return false; // within both, which have no holes
    }
    return true;
  }
  if (isArray(b)) return false;
  if (a instanceof Boxed || b instanceof Boxed) return equalBoxed(a, b);
  return equalMembers(a, b);
}

/** Members that are undefined do not count: JSON has none. */
function equalMembers(a: PlainObject, b: PlainObject): boolean {
  const names = Object.keys(a);
  burn(names.length);
  let size = 0;
  for (const name of names) {
    const left = a[name];
    if (left === undefined) continue;
    const right = ownMember(b, name);
    if (right === undefined || !equalValues(left, right)) return false;
    size += 1;
  }
  return size === objectSize(b);
}

function equalBoxed(a: Value, b: Value): boolean {
  if (a instanceof ValueSet) {
    if (!(b instanceof ValueSet) || a.size !== b.size) return false;
    for (const member of a.members()) if (!b.has(member)) return false;
    return true;
  }
  if (a instanceof ValueObject) {
    if (!(b instanceof ValueObject) || a.size !== b.size) return false;
    for (const [key, value] of a.entries()) {
      const other = b.get(key);
      if (other === undefined || !equalValues(value, other)) return false;
    }
    return true;
  }
  return a instanceof Decimal && b instanceof Decimal && a.coefficient === b.coefficient && a.exponent === b.exponent;
}

const RANK: Readonly<Record<Kind, number>> = { null: 0, boolean: 1, number: 2, string: 3, array: 4, object: 5, set: 6 };

/** Negative, zero or positive, as `a` comes before, equals or comes after `b`. */
export function compareValues(a: Value, b: Value): number {
  if (a === b) return 0;
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : 1;
  if (typeof a === "string" && typeof b === "string") return compareStrings(a, b);
  burn(1);
  const kind = kindOf(a);
  const rank = RANK[kind] - RANK[kindOf(b)];
  if (rank !== 0) return rank;
  // Both are of the same kind, which is what the casts rest on.
  switch (kind) {
    case "null":
      return 0;
    case "boolean":
      return a === false ? -1 : 1;
    case "number":
      return compareNumbers(a as RegoNumber, b as RegoNumber);
    case "string":
      return compareStrings(a as string, b as string);
    case "array":
      return compareLists(a as readonly Value[], b as readonly Value[]);
    case "set":
      return compareLists((a as ValueSet).sorted(), (b as ValueSet).sorted());
    case "object":
      return compareObjects(a as PlainObject | ValueObject, b as PlainObject | ValueObject);
  }
}

function compareLists(a: readonly Value[], b: readonly Value[]): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    burn(1);
    const order = compareValues(a[index] as Value, b[index] as Value); // within both
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareObjects(a: PlainObject | ValueObject, b: PlainObject | ValueObject): number {
  const left = sortedEntries(a);
  const right = sortedEntries(b);
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    const [key, value] = left[index] as readonly [Value, Value]; // within both
    const [otherKey, otherValue] = right[index] as readonly [Value, Value]; // likewise
    const order = compareValues(key, otherKey) || compareValues(value, otherValue);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** Orders strings by code point, which is the order of their UTF-8 bytes; JavaScript's `<` orders UTF-16 units. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  let index = 0;
  while (index < length && a.charCodeAt(index) === b.charCodeAt(index)) index += 1;
  if (index === length) return a.length - b.length;
  return pointOrder(a.charCodeAt(index)) - pointOrder(b.charCodeAt(index));
}

/** Units of surrogates stand for code points above all other units. */
function pointOrder(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** Sorts in place, in the order of values. */
export function sortValues(values: Value[]): Value[] {
  return values.length < 2 ? values : values.sort(compareValues);
}

const ORDERED_OTHERWISE = /[\ud800-\uffff]/;

function sortNames(names: string[]): string[] {
  if (names.length < 2) return names;
  return names.some((name) => ORDERED_OTHERWISE.test(name)) ? names.sort(compareStrings) : names.sort();
}

/** A value as Rego writes it: sets in braces, `set()` when empty; for messages, templates and `sprintf`. */
export function writeValue(value: Value): string {
  switch (typeof value) {
    case "string":
      return writeText(value);
    case "number":
      return writeNumber(value);
    case "boolean":
      return String(value);
    default:
      break;
  }
  if (value === null) return "null";
  burn(1);
  if (isArray(value)) return `[${value.map(writeValue).join(", ")}]`;
  if (value instanceof Decimal) return writeNumber(value);
  if (value instanceof ValueSet) return value.size === 0 ? "set()" : `{${value.sorted().map(writeValue).join(", ")}}`;
  return `{${sortedEntries(value)
    .map(([key, member]) => `${writeValue(key)}: ${writeValue(member)}`)
    .join(", ")}}`;
}

/** Where Go quotes otherwise than JavaScript: controls, and what cannot be printed. */
const QUOTED_OTHERWISE = /[^ -~]/;

function writeText(text: string): string {
  return QUOTED_OTHERWISE.test(text) ? quoteText(text) : JSON.stringify(text);
}
