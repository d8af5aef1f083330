/** Built-ins that read amounts with a unit: `units.parse` with SI prefixes, `units.parse_bytes` for bytes. */
import { ceilNumber, compareNumbers, floorNumber, parseNumber, type RegoNumber } from "../number.ts";
import { NUMBER, STRING } from "../types.ts";
import { type Builtin, builtin, builtinError, stringOperand } from "./builtin.ts";

/** A unit as `factor × 10^power`. */
type Unit = readonly [factor: bigint, power: number];

/** Digits after the point that are read; more are refused. */
const DIGITS_MAX = 20_000;

const NONE: Unit = [1n, 0];

const SUFFIXES: ReadonlyMap<string, Unit> = new Map<string, Unit>([
  ["", NONE],
  ["m", [1n, -3]],
  ...["k", "m", "g", "t", "p", "e"].flatMap((letter, index): [string, Unit][] => {
    const decimal: Unit = [1n, 3 * (index + 1)];
    const binary: Unit = [1n << BigInt(10 * (index + 1)), 0];
    const upper = letter.toUpperCase();
    // A small m alone is a thousandth.
    const small: [string, Unit][] = letter === "m" ? [] : [[letter, decimal]];
    return [
      ...small,
      [upper, decimal],
      [`${letter}i`, binary],
      [`${upper}i`, binary],
      [`${letter}I`, binary],
      [`${upper}I`, binary],
    ];
  }),
]);

const BYTE_UNITS: ReadonlyMap<string, Unit> = new Map<string, Unit>([
  ["", NONE],
  ...["k", "m", "g", "t", "p", "e"].flatMap((letter, index): [string, Unit][] => {
    const decimal: Unit = [1n, 3 * (index + 1)];
    const binary: Unit = [1n << BigInt(10 * (index + 1)), 0];
    return [
      [letter, decimal],
      [`${letter}b`, decimal],
      [`${letter}i`, binary],
      [`${letter}ib`, binary],
    ];
  }),
]);

export const UNITS: readonly Builtin[] = [
  builtin("units.parse", [STRING], NUMBER, (_, text) => parseAmount(stringOperand(text, 1), SUFFIXES, "")),
  builtin("units.parse_bytes", [STRING], NUMBER, (_, text) => {
    const bytes = parseAmount(stringOperand(text, 1).toLowerCase(), BYTE_UNITS, "byte ");
    return compareNumbers(bytes, 0) < 0 ? ceilNumber(bytes) : floorNumber(bytes);
  }),
];

function parseAmount(text: string, units: ReadonlyMap<string, Unit>, noun: string): RegoNumber {
  const plain = text.replaceAll('"', "");
  if (plain.includes(" ")) throw builtinError("spaces not allowed in resource strings");
  const end = endOfNumber(plain);
  if (end === 0) throw builtinError(`no ${noun}amount provided`);
  const unit = units.get(plain.slice(end));
  if (unit === undefined) throw builtinError(`${noun}unit ${plain.slice(end)} not recognized`);
  const amount = multiply(plain.slice(0, end), unit);
  if (amount === undefined) throw builtinError(`could not parse ${noun}amount to a number`);
  return amount;
}

/** Where the unit begins. An `e` belongs to the number when digits or a sign follow it. */
function endOfNumber(text: string): number {
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] ?? "";
    if (/[\d.+-]/.test(character)) continue;
    if (character !== "e" && character !== "E") return index;
    const next = text[index + 1] ?? "";
    if (!/[\d+-]/.test(next)) return index;
    if (/[+-]/.test(next)) index += 1;
  }
  return text.length;
}

/** Digits after the point that an amount is rounded to, as in OPA. */
const PLACES = 10;

/** The product, rounded away from zero at halves; undefined when the text is no number. */
function multiply(text: string, [factor, power]: Unit): RegoNumber | undefined {
  const match = /^([+-]?)(?:(\d+)\.?(\d*)|\.(\d+))(?:[eE]([+-]?\d{1,6}))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = "", whole = "", after = "", only = "", exponent = "0"] = match;
  const fraction = after + only;
  const digits = BigInt(whole + fraction) * factor;
  const scale = Number(exponent) + power - fraction.length;
  if (scale < -DIGITS_MAX) return digits.toString().length + scale < -PLACES ? 0 : undefined;
  const unit = scale < -PLACES ? 10n ** BigInt(-PLACES - scale) : 1n;
  return parseNumber(`${sign === "-" ? "-" : ""}${(digits + unit / 2n) / unit}e${Math.max(scale, -PLACES)}`);
}
