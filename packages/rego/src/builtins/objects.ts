/** Built-ins on objects. Those that take paths into a value are in json-paths.ts and json-patch.ts. */
import { ANY, ANY_OBJECT, arrayOf, BOOLEAN, setOf, unionOf } from "../types.ts";
import {
  equalValues,
  isArray,
  isObject,
  isSet,
  keyOf,
  lookUp,
  memberOf,
  ObjectBuilder,
  type PlainObject,
  sortedEntries,
  sortedKeys,
  type Value,
  type ValueObject,
  ValueSet,
} from "../value.ts";
import {
  arrayOperand,
  type Builtin,
  type BuiltinEnvironment,
  BuiltinError,
  builtin,
  elementError,
  objectOperand,
  operandError,
} from "./builtin.ts";

type ObjectValue = PlainObject | ValueObject;

const KEYS = unionOf(arrayOf(ANY), ANY_OBJECT, setOf(ANY));

export const OBJECTS: readonly Builtin[] = [
  builtin("object.get", [ANY_OBJECT, ANY, ANY], ANY, (_, object, path, fallback) => {
    const start = objectOperand(object, 1);
    if (!isArray(path)) return memberOf(start, path) ?? fallback;
    let value: Value | undefined = start;
    for (const step of path) {
      value = lookUp(value, step);
      if (value === undefined) return fallback;
    }
    return value;
  }),
  builtin("object.keys", [ANY_OBJECT], setOf(ANY), (_, object) => new ValueSet(sortedKeys(objectOperand(object, 1)))),
  builtin("object.filter", [ANY_OBJECT, KEYS], ANY_OBJECT, (_, object, keys) => {
    const whole = objectOperand(object, 1);
    const kept = new ObjectBuilder();
    for (const key of keysOperand(keys)) {
      const value = memberOf(whole, key);
      if (value !== undefined) kept.set(key, value);
    }
    return kept.finish();
  }),
  builtin("object.remove", [ANY_OBJECT, KEYS], ANY_OBJECT, (_, object, keys) => {
    const whole = objectOperand(object, 1);
    const removed = new Set([...keysOperand(keys)].map(keyOf));
    const kept = new ObjectBuilder();
    for (const [key, value] of sortedEntries(whole)) if (!removed.has(keyOf(key))) kept.set(key, value);
    return kept.finish();
  }),
  builtin("object.union", [ANY_OBJECT, ANY_OBJECT], ANY_OBJECT, (environment, a, b) =>
    unite(environment, objectOperand(a, 1), objectOperand(b, 2)),
  ),
  builtin("object.union_n", [arrayOf(ANY_OBJECT)], ANY_OBJECT, (environment, objects) => {
    let union: ObjectValue = {};
    for (const object of arrayOperand(objects, 1)) {
      if (!isObject(object)) throw elementError(1, "array", "object", object);
      union = unite(environment, union, object);
    }
    return union;
  }),
  builtin("object.subset", [KEYS, KEYS], BOOLEAN, (environment, whole, part) => {
    const answer = isSubset(environment, whole, part);
    if (answer !== undefined) return answer;
    throw new BuiltinError("eval_type_error", "both arguments object.subset must be of the same type or array and set");
  }),
];

function keysOperand(value: Value): Iterable<Value> {
  if (isArray(value)) return value;
  if (isSet(value)) return value.members();
  if (isObject(value)) return sortedKeys(value);
  throw operandError(2, ["object", "set", "array"], value);
}

/** The members of both; where both have an object the two are united, and else the second counts. */
function unite(environment: BuiltinEnvironment, a: ObjectValue, b: ObjectValue): ObjectValue {
  const union = new ObjectBuilder();
  const entries = sortedEntries(a);
  environment.spend(1 + entries.length);
  for (const [key, value] of entries) union.set(key, value);
  for (const [key, value] of sortedEntries(b)) {
    const under = memberOf(a, key);
    union.set(
      key,
      under !== undefined && isObject(under) && isObject(value) ? unite(environment, under, value) : value,
    );
  }
  return union.finish();
}

/** Whether a collection has all of another; undefined where the two cannot be compared. */
function isSubset(environment: BuiltinEnvironment, whole: Value, part: Value): boolean | undefined {
  environment.spend(1);
  if (isObject(whole) && isObject(part)) {
    return sortedEntries(part).every(([key, value]) => {
      const member = memberOf(whole, key);
      return member !== undefined && (isSubset(environment, member, value) ?? equalValues(member, value));
    });
  }
  if (isSet(whole) && isSet(part)) {
    for (const member of part.members()) if (!whole.has(member)) return false;
    return true;
  }
  if (isArray(whole) && isArray(part)) return hasRun(environment, whole, part);
  if (isArray(whole) && isSet(part)) {
    const members = new ValueSet(whole);
    for (const member of part.members()) if (!members.has(member)) return false;
    return true;
  }
  return undefined;
}

/** Whether the items of one array stand one after another in the other. */
function hasRun(environment: BuiltinEnvironment, whole: readonly Value[], part: readonly Value[]): boolean {
  for (let start = 0; start + part.length <= whole.length; start += 1) {
    let length = 0;
    while (length < part.length && equalValues(whole[start + length] as Value, part[length] as Value)) length += 1; // within
    environment.spend(1 + length);
    if (length === part.length) return true;
  }
  return false;
}
