/**
 * Types, for the signatures of built-ins and for the checks at compile time. They say which values an expression may
 * have; `any` is every value. What an expression has when it is undefined is not a matter of types.
 */
import type { Value } from "./value.ts";

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
export function tupleOf(...items: readonly Type[]): Type {
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
