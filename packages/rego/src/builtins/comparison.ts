/** Built-ins that compare any two values, with their operators, and the membership tests behind `in`. */
import { ANY, BOOLEAN } from "../types.ts";
import {
  compareValues,
  equalValues,
  isArray,
  isObject,
  isSet,
  lookUp,
  memberOf,
  type Value,
  ValueObject,
} from "../value.ts";
import { type Builtin, builtin } from "./builtin.ts";

export const COMPARISON: readonly Builtin[] = [
  builtin("equal", [ANY, ANY], BOOLEAN, (_, a, b) => equalValues(a, b), { infix: "==" }),
  builtin("neq", [ANY, ANY], BOOLEAN, (_, a, b) => !equalValues(a, b), { infix: "!=" }),
  builtin("lt", [ANY, ANY], BOOLEAN, (_, a, b) => compareValues(a, b) < 0, { infix: "<" }),
  builtin("lte", [ANY, ANY], BOOLEAN, (_, a, b) => compareValues(a, b) <= 0, { infix: "<=" }),
  builtin("gt", [ANY, ANY], BOOLEAN, (_, a, b) => compareValues(a, b) > 0, { infix: ">" }),
  builtin("gte", [ANY, ANY], BOOLEAN, (_, a, b) => compareValues(a, b) >= 0, { infix: ">=" }),
  builtin("internal.member_2", [ANY, ANY], BOOLEAN, (_, value, collection) => hasMember(collection, value), {
    infix: "in",
  }),
  builtin(
    "internal.member_3",
    [ANY, ANY, ANY],
    BOOLEAN,
    (_, key, value, collection) => {
      const found =
        isSet(collection) || isArray(collection) || isObject(collection) ? lookUp(collection, key) : undefined;
      return found !== undefined && equalValues(found, value);
    },
    { infix: "in" },
  ),
];

/** Whether a collection has a value: among its items, members, or the values of its keys. */
function hasMember(collection: Value, value: Value): boolean {
  if (isArray(collection)) {
    if (typeof value !== "object" || value === null) return collection.includes(value);
    return collection.some((item) => equalValues(item, value));
  }
  if (isSet(collection)) return collection.has(value);
  if (!isObject(collection)) return false;
  if (collection instanceof ValueObject) {
    for (const [, member] of collection.entries()) if (equalValues(member, value)) return true;
    return false;
  }
  return Object.keys(collection).some((name) => {
    const member = memberOf(collection, name);
    return member !== undefined && equalValues(member, value);
  });
}
