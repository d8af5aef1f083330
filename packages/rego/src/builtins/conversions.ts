/**
 * Built-ins that make one type of another. The `cast_` ones are kept for policies that have them: they answer with a value
 * that is of the type already, and are an error otherwise.
 */
import { doubleOfNumber, parseNumber } from "../number.ts";
import { ANY, ANY_OBJECT, arrayOf, BOOLEAN, NULL, NUMBER, STRING, setOf, type Type, unionOf } from "../types.ts";
import { isArray, isNumber, isSet, type Kind, kindOf, type Value, ValueSet } from "../value.ts";
import { type Builtin, builtin, builtinError, operandError } from "./builtin.ts";

export const CONVERSIONS: readonly Builtin[] = [
  builtin("to_number", [unionOf(NULL, BOOLEAN, NUMBER, STRING)], NUMBER, (_, value) => {
    if (value === null || value === false) return 0;
    if (value === true) return 1;
    if (isNumber(value)) return value;
    if (typeof value !== "string") throw operandError(1, ["null", "boolean", "number", "string"], value);
    return numberOfText(value);
  }),
  builtin(
    "cast_array",
    [ANY],
    arrayOf(ANY),
    (_, value) => {
      if (isArray(value)) return value;
      if (isSet(value)) return value.sorted();
      throw operandError(1, ["array", "set"], value);
    },
    { deprecated: "use [x | some x in xs]" },
  ),
  builtin(
    "cast_set",
    [ANY],
    setOf(ANY),
    (_, value) => {
      if (isSet(value)) return value;
      if (isArray(value)) return new ValueSet(value);
      throw operandError(1, ["array", "set"], value);
    },
    { deprecated: "use {x | some x in xs}" },
  ),
  cast("string", STRING),
  cast("boolean", BOOLEAN),
  cast("null", NULL),
  cast("object", ANY_OBJECT),
];

function cast(kind: Kind, type: Type): Builtin {
  return builtin(
    `cast_${kind}`,
    [ANY],
    type,
    (_, value) => {
      if (kindOf(value) !== kind) throw operandError(1, [kind], value);
      return value;
    },
    { deprecated: `ask is_${kind}` },
  );
}

/** Forms that Go reads as numbers and that JSON does not have: a plus sign, and no digits on one side of the point. */
const NUMBER_FORM = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function numberOfText(text: string): Value {
  if (/^[+-]*(?:inf|infinity|nan)$/i.test(text)) throw operandError(1, ["valid number string"], text);
  const invalid = () => builtinError(`strconv.ParseFloat: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (!NUMBER_FORM.test(text)) throw invalid();
  const sign = text.startsWith("-") ? "-" : "";
  const [mantissa = "", exponent] = text.replace(/^[+-]/, "").split(/[eE]/);
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = whole.replace(/^0+(?=\d)/, "") || "0";
  const plain = `${sign}${digits}${fraction === "" ? "" : `.${fraction}`}${exponent === undefined ? "" : `e${exponent}`}`;
  const number = parseNumber(plain);
  if (number === undefined || !Number.isFinite(doubleOfNumber(number))) {
    throw builtinError(`strconv.ParseFloat: parsing ${JSON.stringify(text)}: value out of range`);
  }
  return number;
}
