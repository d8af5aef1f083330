/**
 * Types, for the signatures of built-ins and for the checks at compile time. They say which values an expression may
 * have; `any` is every value. What an expression has when it is undefined is not a matter of types.
 */
import { isArray, isObject, isSet, keyOf, kindOf, sortedEntries, type Value, writeValue } from "./value.ts";

export type Type =
  | { readonly kind: "any" | "null" | "boolean" | "number" | "string" }
  /** The first items have types of their own; `rest` is the type of all that follow, if there may be any. */
  | { readonly kind: "array"; readonly items: readonly Type[]; readonly rest: Type | undefined }
  | { readonly kind: "set"; readonly of: Type }
  /** Members that are surely there, and the types of any others. */
  | { readonly kind: "object"; readonly members: readonly MemberType[]; readonly rest: RestType | undefined }
  | { readonly kind: "union"; readonly of: readonly Type[] };

export interface MemberType {
  readonly key: Value;
  readonly value: Type;
}

export interface RestType {
  readonly key: Type;
  readonly value: Type;
}

export interface FunctionType {
  readonly args: readonly Type[];
  readonly result: Type;
}

export const ANY: Type = { kind: "any" };
export const NULL: Type = { kind: "null" };
export const BOOLEAN: Type = { kind: "boolean" };
export const NUMBER: Type = { kind: "number" };
export const STRING: Type = { kind: "string" };
export const ANY_OBJECT: Type = { kind: "object", members: [], rest: { key: ANY, value: ANY } };

/** Arrays of any length of one type of item. */
export function arrayOf(rest: Type): Type {
  return { kind: "array", items: [], rest };
}

/** Arrays of exactly these items. */
export function tupleOf(items: readonly Type[]): Type {
  return { kind: "array", items, rest: undefined };
}

export function setOf(of: Type): Type {
  return { kind: "set", of };
}

/** Objects of any number of members. */
export function dictionaryOf(key: Type, value: Type): Type {
  return { kind: "object", members: [], rest: { key, value } };
}

/** Objects with these members, and others where `rest` is given. */
export function recordOf(members: Readonly<Record<string, Type>>, rest?: RestType): Type {
  return { kind: "object", members: Object.entries(members).map(([key, value]) => ({ key, value })), rest };
}

export function unionOf(...of: readonly Type[]): Type {
  return { kind: "union", of };
}

/** Alternatives of a union; more make it `any`. */
const ALTERNATIVES_MAX = 16;
/** How deep types go, how many members of a value they list, and how many parts they have; beyond it stands `any`. */
const DEPTH_MAX = 5;
const LISTED_MAX = 64;
const PARTS_MAX = 300;

/** The type itself, or one that says less when it has too many parts: types built from types would grow without end. */
export function boundType(type: Type): Type {
  if (countParts(type, PARTS_MAX, 0) >= 0) return type;
  switch (type.kind) {
    case "array":
      return arrayOf(ANY);
    case "set":
      return setOf(ANY);
    case "object":
      return ANY_OBJECT;
    default:
      return ANY;
  }
}

/** What is left of a number after all parts of a type are counted; negative when it is not enough. */
function countParts(type: Type, start: number, depth: number): number {
  if (depth > 2 * DEPTH_MAX) return -1;
  let left = start - 1;
  for (const part of partsOf(type)) {
    if (left < 0) return left;
    left = countParts(part, left, depth + 1);
  }
  return left;
}

function partsOf(type: Type): readonly Type[] {
  switch (type.kind) {
    case "array":
      return type.rest === undefined ? type.items : [...type.items, type.rest];
    case "set":
      return [type.of];
    case "object": {
      const values = type.members.map(({ value }) => value);
      return type.rest === undefined ? values : [...values, type.rest.key, type.rest.value];
    }
    case "union":
      return type.of;
    default:
      return [];
  }
}

/** The type that a value alone has. */
export function typeOfValue(value: Value, depth = 0): Type {
  if (depth > DEPTH_MAX) return ANY;
  if (isArray(value)) {
    if (value.length > LISTED_MAX) return arrayOf(ANY);
    return tupleOf(value.map((item) => typeOfValue(item, depth + 1)));
  }
  if (isSet(value)) {
    if (value.size > LISTED_MAX) return setOf(ANY);
    return setOf(joinTypes(value.members().map((member) => typeOfValue(member, depth + 1))));
  }
  if (isObject(value)) {
    const entries = sortedEntries(value);
    if (entries.length > LISTED_MAX) return ANY_OBJECT;
    const members = entries.map(([key, member]) => ({ key, value: typeOfValue(member, depth + 1) }));
    return { kind: "object", members, rest: undefined };
  }
  const kind = kindOf(value);
  switch (kind) {
    case "null":
    case "boolean":
    case "number":
    case "string":
      return { kind };
    default:
      return ANY;
  }
}

/** The type of what has one of several types; of none, as of the members of an empty set, anything. */
export function joinTypes(types: readonly Type[]): Type {
  const joined = new Map<string, Type>();
  for (const type of types.flatMap((each) => (each.kind === "union" ? each.of : [each]))) {
    if (type.kind === "any") return ANY;
    joined.set(writeType(type), type);
  }
  if (joined.size === 0 || joined.size > ALTERNATIVES_MAX) return ANY;
  const [only, ...others] = joined.values();
  return only !== undefined && others.length === 0 ? only : { kind: "union", of: [...joined.values()] };
}

/** Whether some value has both types. */
export function typesMeet(a: Type, b: Type): boolean {
  if (a.kind === "any" || b.kind === "any") return true;
  if (a.kind === "union") return a.of.some((each) => typesMeet(each, b));
  if (b.kind === "union") return b.of.some((each) => typesMeet(a, each));
  if (a.kind === "array" && b.kind === "array") {
    const length = Math.max(a.items.length, b.items.length);
    for (let index = 0; index < length; index += 1) {
      const left = a.items[index] ?? a.rest;
      const right = b.items[index] ?? b.rest;
      // Where one must have an item that the other has no room for, they have no value in common.
      if (left === undefined || right === undefined || !typesMeet(left, right)) return false;
    }
    return true; // beyond, both may be at their end
  }
  if (a.kind === "object" && b.kind === "object") return membersMeet(a, b) && membersMeet(b, a);
  // Two sets have the empty one in common, but whoever compares sets of different things is wrong, as in OPA.
  if (a.kind === "set" && b.kind === "set") return typesMeet(a.of, b.of);
  return a.kind === b.kind;
}

type ObjectType = Extract<Type, { kind: "object" }>;

function membersMeet(a: ObjectType, b: ObjectType): boolean {
  return a.members.every(({ key, value }) => {
    const other = b.members.find((member) => keyOf(member.key) === keyOf(key))?.value;
    if (other !== undefined) return typesMeet(value, other);
    if (b.rest === undefined && a.rest !== undefined) return true; // options of a built-in, which may be left out
    return b.rest !== undefined && (!typesMeet(typeOfValue(key), b.rest.key) || typesMeet(value, b.rest.value));
  });
}

function isEmptyArray(type: Type): boolean {
  return type.kind === "array" && type.items.length === 0 && type.rest === undefined;
}

/** The type of what stands under a key in values of a type; undefined when nothing ever does. */
export function typeUnder(type: Type, key: Type, constant: Value | undefined): Type | undefined {
  switch (type.kind) {
    case "any":
      return ANY;
    case "union": {
      // Of an array that is empty nothing is known of what another alternative may have.
      const found = type.of.flatMap((each) => (isEmptyArray(each) ? ANY : (typeUnder(each, key, constant) ?? [])));
      return found.length === 0 ? undefined : joinTypes(found);
    }
    case "array": {
      if (!typesMeet(key, NUMBER)) return undefined;
      if (typeof constant === "number") return type.items[constant] ?? type.rest;
      const all = type.rest === undefined ? type.items : [...type.items, type.rest];
      return all.length === 0 ? undefined : joinTypes(all);
    }
    case "set":
      return typesMeet(key, type.of) ? type.of : undefined;
    case "object": {
      if (constant !== undefined) {
        const member = type.members.find((each) => keyOf(each.key) === keyOf(constant));
        if (member !== undefined) return member.value;
      }
      const found =
        constant === undefined
          ? type.members.filter((each) => typesMeet(typeOfValue(each.key), key)).map(({ value }) => value)
          : [];
      if (type.rest !== undefined && typesMeet(type.rest.key, key)) found.push(type.rest.value);
      return found.length === 0 ? undefined : joinTypes(found);
    }
    default:
      return undefined;
  }
}

/** The types of keys and of values when going through values of a type; undefined when there is nothing to go through. */
export function typesWithin(type: Type): { readonly key: Type; readonly value: Type } | undefined {
  const parts: { key: Type; value: Type }[] = [];
  for (const each of type.kind === "union" ? type.of : [type]) {
    if (each.kind === "any") return { key: ANY, value: ANY };
    if (each.kind === "array") {
      const items = each.rest === undefined ? each.items : [...each.items, each.rest];
      parts.push({ key: NUMBER, value: joinTypes(items) });
    } else if (each.kind === "set") parts.push({ key: each.of, value: each.of });
    else if (each.kind === "object") {
      const keys = each.members.map(({ key }) => typeOfValue(key));
      const values = each.members.map(({ value }) => value);
      if (each.rest !== undefined) {
        keys.push(each.rest.key);
        values.push(each.rest.value);
      }
      parts.push({ key: joinTypes(keys), value: joinTypes(values) });
    }
  }
  if (parts.length === 0) return undefined;
  return { key: joinTypes(parts.map(({ key }) => key)), value: joinTypes(parts.map(({ value }) => value)) };
}

/** A type as OPA writes it. */
export function writeType(type: Type): string {
  switch (type.kind) {
    case "array": {
      if (type.items.length === 0) return `array[${type.rest === undefined ? "" : writeType(type.rest)}]`;
      const items = `array<${type.items.map(writeType).join(", ")}>`;
      return type.rest === undefined ? items : `${items}[${writeType(type.rest)}]`;
    }
    case "set":
      return `set[${writeType(type.of)}]`;
    case "object": {
      const members = type.members.map(({ key, value }) => `${writeValue(key)}: ${writeType(value)}`).join(", ");
      const rest = type.rest === undefined ? "" : `[${writeType(type.rest.key)}: ${writeType(type.rest.value)}]`;
      return type.members.length === 0 ? `object${rest}` : `object<${members}>${rest}`;
    }
    case "union":
      return `any<${type.of.map(writeType).join(", ")}>`;
    default:
      return type.kind;
  }
}
