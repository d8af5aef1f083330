/** How values are looked into and gone through while rules run. */
import { Boxed } from "../boxed.ts";
import { burn } from "../fuel.ts";
import { isArray, isObject, isSet, lookUp, sortedEntries, type Value, ValueObject, ValueSet } from "../value.ts";

export function isCollection(value: Value): boolean {
  return isArray(value) || isSet(value) || isObject(value);
}

/** What is under a name in a value. */
export function member(value: Value | undefined, name: string): Value | undefined {
  if (typeof value !== "object" || value === null || isArray(value)) return undefined;
  if (value instanceof Boxed) return lookUp(value, name);
  const found = value[name];
  return found !== undefined && Object.hasOwn(value, name) ? found : undefined;
}

/** Looks one step into base data, where paths are texts: `data.list[2]` finds the key `"2"` of an object too. */
export function lookUpStored(value: Value, key: Value): Value | undefined {
  return typeof key === "number" && isObject(value) ? lookUp(value, String(key)) : lookUp(value, key);
}

/** Calls `visit` with each key and value of a collection until it answers true; a set's members are their own keys. */
export function eachMember(value: Value, ordered: boolean, visit: (key: Value, value: Value) => boolean): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      burn(1);
      if (visit(index, value[index] as Value)) return true; // no holes
    }
    return false;
  }
  if (value instanceof ValueSet) {
    for (const member of ordered ? value.sorted() : value.members()) {
      burn(1);
      if (visit(member, member)) return true;
    }
    return false;
  }
  if (!isObject(value)) return false;
  if (ordered || value instanceof ValueObject) {
    for (const [key, member] of sortedEntries(value)) {
      burn(1);
      if (visit(key, member)) return true;
    }
    return false;
  }
  for (const name of Object.keys(value)) {
    burn(1);
    const member = value[name];
    if (member !== undefined && visit(name, member)) return true;
  }
  return false;
}
