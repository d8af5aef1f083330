/**
 * Built-ins that make one value of a collection: `count`, `sum`, `product`, `max`, `min`, `sort`; and `any` and `all`, for
 * policies that have them still.
 */
import { addNumbers, multiplyNumbers, type RegoNumber } from "../number.ts";
import { ANY, ANY_OBJECT, arrayOf, BOOLEAN, NUMBER, STRING, setOf, unionOf } from "../types.ts";
import {
  compareValues,
  isArray,
  isNumber,
  isObject,
  isSet,
  kindOf,
  objectSize,
  sortValues,
  type Value,
} from "../value.ts";
import { type Builtin, builtin, collectionOperand, elementError, operandError } from "./builtin.ts";
import { countCharacters } from "./text.ts";

const COLLECTION = unionOf(arrayOf(ANY), setOf(ANY));
const NUMBERS = unionOf(arrayOf(NUMBER), setOf(NUMBER));

export const AGGREGATES: readonly Builtin[] = [
  builtin("count", [unionOf(STRING, arrayOf(ANY), ANY_OBJECT, setOf(ANY))], NUMBER, (_, value) => {
    if (isArray(value)) return value.length;
    if (isSet(value)) return value.size;
    if (isObject(value)) return objectSize(value);
    if (typeof value === "string") return countCharacters(value);
    throw operandError(1, ["array", "object", "set", "string"], value);
  }),
  builtin("sum", [NUMBERS], NUMBER, (_, value) => fold(value, 0, addNumbers)),
  builtin("product", [NUMBERS], NUMBER, (_, value) => fold(value, 1, multiplyNumbers)),
  builtin("max", [COLLECTION], ANY, (_, value) => extreme(value, 1)),
  builtin("min", [COLLECTION], ANY, (_, value) => extreme(value, -1)),
  builtin("sort", [COLLECTION], arrayOf(ANY), (_, value) => {
    if (isSet(value)) return value.sorted();
    return sortValues([...collectionOperand(value, 1)]);
  }),
  builtin("any", [COLLECTION], BOOLEAN, (_, value) => collectionOperand(value, 1).includes(true), {
    deprecated: "use true in xs",
  }),
  builtin("all", [COLLECTION], BOOLEAN, (_, value) => collectionOperand(value, 1).every((member) => member === true), {
    deprecated: "use every x in xs { x }",
  }),
];

function fold(value: Value, start: RegoNumber, step: (a: RegoNumber, b: RegoNumber) => RegoNumber): RegoNumber {
  let result = start;
  for (const member of collectionOperand(value, 1)) {
    if (!isNumber(member)) throw elementError(1, kindOf(value), "number", member);
    result = step(result, member);
  }
  return result;
}

/** The member that comes last (1) or first (-1); undefined when there is none. */
function extreme(value: Value, sign: 1 | -1): Value | undefined {
  let found: Value | undefined;
  for (const member of collectionOperand(value, 1)) {
    if (found === undefined || compareValues(member, found) * sign > 0) found = member;
  }
  return found;
}
