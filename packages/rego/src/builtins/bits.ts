/** Built-ins on the bits of integers of any size; negative integers are in two's complement without an end. */
import { NumberTooLarge, numberOfBigint } from "../number.ts";
import { NUMBER } from "../types.ts";
import type { Value } from "../value.ts";
import { type Builtin, BuiltinError, bigintOperand, builtin } from "./builtin.ts";

/** A longer shift to the left makes a number that is too large anyway. */
const SHIFT_MAX = 100_000n;

export const BITS: readonly Builtin[] = [
  onTwo("bits.and", (a, b) => a & b),
  onTwo("bits.or", (a, b) => a | b),
  onTwo("bits.xor", (a, b) => a ^ b),
  builtin("bits.negate", [NUMBER], NUMBER, (_, a) => numberOfBigint(~bigintOperand(a, 1))),
  builtin("bits.lsh", [NUMBER, NUMBER], NUMBER, (_, a, by) => {
    const number = bigintOperand(a, 1);
    const shift = shiftOperand(by);
    if (number !== 0n && shift > SHIFT_MAX) throw new NumberTooLarge();
    return number === 0n ? 0 : numberOfBigint(number << shift);
  }),
  builtin("bits.rsh", [NUMBER, NUMBER], NUMBER, (_, a, by) => {
    const number = bigintOperand(a, 1);
    const shift = shiftOperand(by);
    if (shift > SHIFT_MAX) return number < 0n ? -1 : 0;
    return numberOfBigint(number >> shift);
  }),
];

function onTwo(name: string, combine: (a: bigint, b: bigint) => bigint): Builtin {
  return builtin(name, [NUMBER, NUMBER], NUMBER, (_, a, b) =>
    numberOfBigint(combine(bigintOperand(a, 1), bigintOperand(b, 2))),
  );
}

function shiftOperand(value: Value): bigint {
  const shift = bigintOperand(value, 2);
  if (shift < 0n) {
    throw new BuiltinError(
      "eval_type_error",
      "operand 2 must be an unsigned integer number but got a negative integer",
    );
  }
  return shift;
}
