/**
 * Numbers of any size, as Rego has them: every number is a decimal. A JavaScript number stands for the decimal that
 * `String` prints for it; a decimal that no JavaScript number prints (2^53 + 1, 1e400, twenty digits) is a `Decimal`.
 * Each decimal thus has exactly one representation, so that `===` tells equal JavaScript numbers. NaN and the
 * infinities are not values.
 *
 * Arithmetic on integers is exact. On other decimals it is that of OPA: binary floating point with 64 bits of mantissa,
 * answered with the fewest digits that read back to the same (`0.1 + 0.2` is `0.3`).
 */
import { Boxed } from "./boxed.ts";

/** A decimal that no JavaScript number stands for: `coefficient × 10^exponent`, the coefficient no multiple of ten. */
export class Decimal extends Boxed {
  readonly kind = "number";
  readonly coefficient: bigint;
  readonly exponent: number;

  /** Only for this file: everywhere else a decimal is made by `parseNumber` and the operations. */
  constructor(coefficient: bigint, exponent: number) {
    super();
    this.coefficient = coefficient;
    this.exponent = exponent;
  }
}

export type RegoNumber = number | Decimal;

/** No number has its first digit further than this from its decimal point, nor more digits; a larger one is refused. */
const DIGITS_MAX = 20_000;

/** Mantissa bits of arithmetic on what is not an integer; OPA's. */
const MANTISSA_BITS = 64;

/** Thrown by operations whose answer has more digits than `DIGITS_MAX`. */
export class NumberTooLarge extends Error {
  constructor() {
    super(`a number has more than ${DIGITS_MAX} digits`);
  }
}

const NUMBER_TEXT = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** Reads a JSON number; undefined for any other text and for a number that is too large. */
export function parseNumber(text: string): RegoNumber | undefined {
  if (text.length > DIGITS_MAX) return undefined;
  const match = NUMBER_TEXT.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = "", exponent = "0"] = match;
  if (whole.length > 1 && whole.startsWith("0")) return undefined;
  if (exponent.length > 9) return undefined;
  if (fraction === "" && exponent === "0" && whole.length <= 15) return Number(text) + 0; // `-0` is 0
  const coefficient = BigInt(whole + fraction);
  try {
    return decimalOf(sign === "-" ? -coefficient : coefficient, Number(exponent) - fraction.length);
  } catch {
    return undefined; // too large: the one thing that decimalOf throws
  }
}

/** The one text of a number: an integer in full, as far as it has no more than 400 zeros; all else as JavaScript would. */
export function writeNumber(value: RegoNumber): string {
  if (typeof value === "number") {
    return Number.isInteger(value) && Math.abs(value) >= 1e21 ? writeDecimal(partsOf(value)) : String(value);
  }
  return writeDecimal(value);
}

function writeDecimal({ coefficient, exponent }: DecimalParts): string {
  if (exponent >= 0 && exponent <= 400) return `${coefficient}${"0".repeat(exponent)}`;
  const negative = coefficient < 0n;
  const digits = (negative ? -coefficient : coefficient).toString();
  const point = digits.length + exponent; // place of the decimal point, counted from the first digit
  let text: string;
  if (exponent < 0 && point > 0) text = `${digits.slice(0, point)}.${digits.slice(point)}`;
  else if (exponent < 0 && point > -6) text = `0.${"0".repeat(-point)}${digits}`;
  else {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    text = `${digits[0]}${fraction}e${point - 1 < 0 ? "-" : "+"}${Math.abs(point - 1)}`;
  }
  return negative ? `-${text}` : text;
}

/** Negative, zero or positive, as `a` is below, equal to or above `b`; exact. */
export function compareNumbers(a: RegoNumber, b: RegoNumber): number {
  // Printing shortest keeps the order of doubles, so two of them compare as they are.
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  const left = partsOf(a);
  const right = partsOf(b);
  const sign = signOf(left.coefficient);
  if (sign !== signOf(right.coefficient)) return sign - signOf(right.coefficient);
  if (sign === 0) return 0;
  const reach = reachOf(left) - reachOf(right);
  if (reach !== 0) return reach > 0 ? sign : -sign;
  const exponent = Math.min(left.exponent, right.exponent);
  return signOf(scaled(left, exponent) - scaled(right, exponent));
}

export function addNumbers(a: RegoNumber, b: RegoNumber): RegoNumber {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    if (Number.isSafeInteger(a) && Number.isSafeInteger(b) && Number.isSafeInteger(sum)) return sum;
  }
  const left = partsOf(a);
  const right = partsOf(b);
  if (isWhole(left) && isWhole(right)) return decimalOf(scaled(left, 0) + scaled(right, 0), 0);
  return decimalOfBinary(addBinary(binaryOf(left), binaryOf(right)));
}

export function subtractNumbers(a: RegoNumber, b: RegoNumber): RegoNumber {
  return addNumbers(a, negateNumber(b));
}

export function negateNumber(a: RegoNumber): RegoNumber {
  return typeof a === "number" ? 0 - a : new Decimal(-a.coefficient, a.exponent);
}

export function multiplyNumbers(a: RegoNumber, b: RegoNumber): RegoNumber {
  if (typeof a === "number" && typeof b === "number") {
    const product = a * b;
    if (Number.isSafeInteger(a) && Number.isSafeInteger(b) && Number.isSafeInteger(product)) return product + 0;
  }
  const left = partsOf(a);
  const right = partsOf(b);
  if (isWhole(left) && isWhole(right)) {
    return decimalOf(left.coefficient * right.coefficient, left.exponent + right.exponent);
  }
  const x = binaryOf(left);
  const y = binaryOf(right);
  return decimalOfBinary(roundBinary(x.mantissa * y.mantissa, 1n, x.exponent + y.exponent));
}

/** The quotient; undefined when `b` is zero. */
export function divideNumbers(a: RegoNumber, b: RegoNumber): RegoNumber | undefined {
  if (b === 0) return undefined;
  if (typeof a === "number" && typeof b === "number") {
    const quotient = a / b;
    if (Number.isSafeInteger(a) && Number.isSafeInteger(b) && Number.isInteger(quotient)) return quotient + 0;
  }
  const left = partsOf(a);
  const right = partsOf(b);
  if (isWhole(left) && isWhole(right)) {
    const numerator = scaled(left, 0);
    const denominator = scaled(right, 0);
    if (numerator % denominator === 0n) return decimalOf(numerator / denominator, 0);
  }
  const x = binaryOf(left);
  const y = binaryOf(right);
  const sign = y.mantissa < 0n ? -1n : 1n;
  return decimalOfBinary(roundBinary(x.mantissa * sign, y.mantissa * sign, x.exponent - y.exponent));
}

/** The remainder, with the sign of `a`, of integers; the caller has checked that both are, and that `b` is not zero. */
export function remainderOfIntegers(a: RegoNumber, b: RegoNumber): RegoNumber {
  if (typeof a === "number" && typeof b === "number" && Number.isSafeInteger(a) && Number.isSafeInteger(b)) {
    return (a % b) + 0;
  }
  return decimalOf(scaled(partsOf(a), 0) % scaled(partsOf(b), 0), 0);
}

/** Whether the number is an integer, of any size. */
export function isIntegerNumber(a: RegoNumber): boolean {
  return typeof a === "number" ? Number.isInteger(a) : a.exponent >= 0;
}

/** The number as an integer; undefined when it is none. */
export function bigintOfNumber(a: RegoNumber): bigint | undefined {
  if (typeof a === "number" && Number.isSafeInteger(a)) return BigInt(a);
  const parts = partsOf(a);
  return isWhole(parts) ? scaled(parts, 0) : undefined;
}

/** The number that an integer is; throws `NumberTooLarge`. */
export function numberOfBigint(value: bigint): RegoNumber {
  return decimalOf(value, 0);
}

/** The nearest double, for built-ins that cannot do better; may be infinite. */
export function doubleOfNumber(a: RegoNumber): number {
  return typeof a === "number" ? a : Number(`${a.coefficient}e${a.exponent}`);
}

/** The largest integer that is not above the number. */
export function floorNumber(a: RegoNumber): RegoNumber {
  if (typeof a === "number" && Math.abs(a) < Number.MAX_SAFE_INTEGER) return Math.floor(a) + 0;
  const parts = partsOf(a);
  if (isWhole(parts)) return a;
  const unit = powerOfTen(-parts.exponent);
  const quotient = parts.coefficient / unit;
  return decimalOf(parts.coefficient < 0n ? quotient - 1n : quotient, 0);
}

/** The smallest integer that is not below the number. */
export function ceilNumber(a: RegoNumber): RegoNumber {
  return negateNumber(floorNumber(negateNumber(a)));
}

/** The nearest integer; halves go away from zero. */
export function roundNumber(a: RegoNumber): RegoNumber {
  const parts = partsOf(a);
  if (isWhole(parts)) return a;
  const unit = powerOfTen(-parts.exponent);
  const half = parts.coefficient < 0n ? -unit / 2n : unit / 2n;
  return decimalOf((parts.coefficient + half) / unit, 0);
}

interface DecimalParts {
  readonly coefficient: bigint;
  readonly exponent: number;
}

function signOf(value: bigint): number {
  return value < 0n ? -1 : value > 0n ? 1 : 0;
}

/** Where the first digit stands: the exponent of ten that is just above the number's size. */
function reachOf(parts: DecimalParts): number {
  return parts.coefficient.toString().length - (parts.coefficient < 0n ? 1 : 0) + parts.exponent;
}

function isWhole(parts: DecimalParts): boolean {
  return parts.exponent >= 0;
}

/** The coefficient for a smaller exponent. */
function scaled(parts: DecimalParts, exponent: number): bigint {
  return parts.coefficient * powerOfTen(parts.exponent - exponent);
}

function powerOfTen(exponent: number): bigint {
  if (exponent > 2 * DIGITS_MAX) throw new NumberTooLarge();
  return 10n ** BigInt(exponent);
}

/** A number as coefficient and exponent, without trailing zeros in the coefficient. */
function partsOf(value: RegoNumber): DecimalParts {
  if (typeof value !== "number") return value;
  if (Number.isSafeInteger(value)) return normalized(BigInt(value), 0);
  const [mantissa = "0", exponent = "0"] = String(value).split("e");
  const [whole = "0", fraction = ""] = mantissa.split(".");
  return normalized(BigInt(whole + fraction), Number(exponent) - fraction.length);
}

function normalized(coefficient: bigint, exponent: number): DecimalParts {
  if (coefficient === 0n) return { coefficient: 0n, exponent: 0 };
  if (coefficient % 10n !== 0n) return { coefficient, exponent };
  const digits = coefficient.toString();
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === 48) end -= 1;
  return { coefficient: BigInt(digits.slice(0, end)), exponent: exponent + digits.length - end };
}

/** The one representation of `coefficient × 10^exponent`. */
function decimalOf(coefficient: bigint, exponent: number): RegoNumber {
  if (exponent === 0 && coefficient >= -9007199254740991n && coefficient <= 9007199254740991n) {
    return Number(coefficient);
  }
  const parts = normalized(coefficient, exponent);
  const reach = reachOf(parts);
  if (reach > DIGITS_MAX || parts.exponent < -DIGITS_MAX || reach - parts.exponent > DIGITS_MAX) {
    throw new NumberTooLarge();
  }
  if (reach < 310 && reach > -330 && reach - parts.exponent <= 17) {
    const double = Number(`${parts.coefficient}e${parts.exponent}`);
    if (Number.isFinite(double)) {
      const printed = partsOf(double);
      if (printed.coefficient === parts.coefficient && printed.exponent === parts.exponent) return double;
    }
  }
  return new Decimal(parts.coefficient, parts.exponent);
}

/** `mantissa × 2^exponent`, the mantissa within 64 bits. */
interface Binary {
  readonly mantissa: bigint;
  readonly exponent: number;
}

function binaryOf(parts: DecimalParts): Binary {
  return parts.exponent >= 0
    ? roundBinary(scaled(parts, 0), 1n, 0)
    : roundBinary(parts.coefficient, powerOfTen(-parts.exponent), 0);
}

function addBinary(a: Binary, b: Binary): Binary {
  const exponent = Math.min(a.exponent, b.exponent);
  const sum = (a.mantissa << BigInt(a.exponent - exponent)) + (b.mantissa << BigInt(b.exponent - exponent));
  return roundBinary(sum, 1n, exponent);
}

function bitsOf(value: bigint): number {
  const hexadecimal = value.toString(16);
  return hexadecimal.length * 4 - Math.clz32(Number.parseInt(hexadecimal[0] ?? "0", 16)) + 28;
}

/** `numerator ÷ denominator × 2^exponent`, rounded to the nearest mantissa of 64 bits, halves to even. */
function roundBinary(numerator: bigint, denominator: bigint, exponent: number): Binary {
  if (numerator === 0n) return { mantissa: 0n, exponent: 0 };
  const negative = numerator < 0n;
  let top = negative ? -numerator : numerator;
  let bottom = denominator;
  // A quotient of 64 or 65 bits, then the remainder decides.
  const shift = MANTISSA_BITS - (bitsOf(top) - bitsOf(bottom));
  if (shift >= 0) top <<= BigInt(shift);
  else bottom <<= BigInt(-shift);
  let power = exponent - shift;
  let quotient = top / bottom;
  let rest = top % bottom;
  if (bitsOf(quotient) > MANTISSA_BITS) {
    rest += (quotient & 1n) * bottom;
    bottom <<= 1n;
    quotient >>= 1n;
    power += 1;
  }
  const twice = rest << 1n;
  if (twice > bottom || (twice === bottom && (quotient & 1n) === 1n)) quotient += 1n;
  return { mantissa: negative ? -quotient : quotient, exponent: power };
}

/** The decimal with the fewest digits that rounds to this binary number; of several the nearest. */
function decimalOfBinary(binary: Binary): RegoNumber {
  if (binary.mantissa === 0n) return 0;
  const negative = binary.mantissa < 0n;
  let middle = (negative ? -binary.mantissa : binary.mantissa) << 1n;
  let margin = 1n; // half a unit in the last place
  // A mantissa of fewer bits is exact; the margin is that of the full width.
  const missing = MANTISSA_BITS + 1 - bitsOf(middle);
  let exponent = binary.exponent - 1;
  if (missing > 0) {
    middle <<= BigInt(missing);
    exponent -= missing;
  }
  let power = 0;
  if (exponent >= 0) {
    middle <<= BigInt(exponent);
    margin <<= BigInt(exponent);
  } else {
    const five = 5n ** BigInt(-exponent);
    middle *= five;
    margin *= five;
    power = exponent;
  }
  const inclusive = (binary.mantissa & 1n) === 0n;
  for (let dropped = margin.toString().length; dropped > 0; dropped -= 1) {
    const unit = powerOfTen(dropped);
    const nearest = ((middle + unit / 2n) / unit) * unit;
    const distance = nearest > middle ? nearest - middle : middle - nearest;
    if (distance < margin || (inclusive && distance === margin)) {
      return decimalOf(negative ? -nearest : nearest, power);
    }
  }
  return decimalOf(negative ? -middle : middle, power);
}
