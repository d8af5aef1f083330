/** Built-ins on numbers, with their operators; `-` also takes a set from a set. */
import {
  addNumbers,
  ceilNumber,
  compareNumbers,
  divideNumbers,
  floorNumber,
  isIntegerNumber,
  multiplyNumbers,
  negateNumber,
  numberOfBigint,
  type RegoNumber,
  remainderOfIntegers,
  roundNumber,
  subtractNumbers,
} from "../number.ts";
import { ANY, arrayOf, NUMBER, setOf, unionOf } from "../types.ts";
import { isNumber, isSet, type Value, ValueSet } from "../value.ts";
import {
  type Builtin,
  type BuiltinEnvironment,
  bigintOperand,
  builtin,
  builtinError,
  numberOperand,
  operandError,
} from "./builtin.ts";

const NUMBER_OR_SET = unionOf(NUMBER, setOf(ANY));

export const ARITHMETIC: readonly Builtin[] = [
  builtin("plus", [NUMBER, NUMBER], NUMBER, (_, a, b) => addNumbers(numberOperand(a, 1), numberOperand(b, 2)), {
    infix: "+",
  }),
  builtin("minus", [NUMBER_OR_SET, NUMBER_OR_SET], NUMBER_OR_SET, (_, a, b) => minus(a, b), { infix: "-" }),
  builtin("mul", [NUMBER, NUMBER], NUMBER, (_, a, b) => multiplyNumbers(numberOperand(a, 1), numberOperand(b, 2)), {
    infix: "*",
  }),
  builtin("div", [NUMBER, NUMBER], NUMBER, (_, a, b) => divide(numberOperand(a, 1), numberOperand(b, 2)), {
    infix: "/",
  }),
  builtin("rem", [NUMBER, NUMBER], NUMBER, (_, a, b) => remainder(numberOperand(a, 1), numberOperand(b, 2)), {
    infix: "%",
  }),
  builtin("abs", [NUMBER], NUMBER, (_, a) => {
    const number = numberOperand(a, 1);
    return compareNumbers(number, 0) < 0 ? negateNumber(number) : number;
  }),
  builtin("ceil", [NUMBER], NUMBER, (_, a) => ceilNumber(numberOperand(a, 1))),
  builtin("floor", [NUMBER], NUMBER, (_, a) => floorNumber(numberOperand(a, 1))),
  builtin("round", [NUMBER], NUMBER, (_, a) => roundNumber(numberOperand(a, 1))),
  builtin("numbers.range", [NUMBER, NUMBER], arrayOf(NUMBER), (environment, from, to) =>
    range(environment, bigintOperand(from, 1), bigintOperand(to, 2), 1n),
  ),
  builtin("numbers.range_step", [NUMBER, NUMBER, NUMBER], arrayOf(NUMBER), (environment, from, to, step) => {
    const width = bigintOperand(step, 3);
    if (width <= 0n) throw builtinError("step must be a positive integer");
    return range(environment, bigintOperand(from, 1), bigintOperand(to, 2), width);
  }),
];

function minus(a: Value, b: Value): Value {
  if (isNumber(a)) {
    if (!isNumber(b)) throw operandError(2, ["number"], b);
    return subtractNumbers(a, b);
  }
  if (!isSet(a)) throw operandError(1, ["number", "set"], a);
  if (!isSet(b)) throw operandError(2, ["set"], b);
  const rest = new ValueSet();
  for (const member of a.members()) if (!b.has(member)) rest.add(member);
  return rest;
}

function divide(a: RegoNumber, b: RegoNumber): RegoNumber {
  const quotient = divideNumbers(a, b);
  if (quotient === undefined) throw builtinError("divide by zero");
  return quotient;
}

function remainder(a: RegoNumber, b: RegoNumber): RegoNumber {
  if (b === 0) throw builtinError("modulo by zero");
  if (!isIntegerNumber(a) || !isIntegerNumber(b)) throw builtinError("modulo on floating-point number");
  return remainderOfIntegers(a, b);
}

/** From the first number towards the last, both included, downwards when the last is smaller. */
function range(environment: BuiltinEnvironment, from: bigint, to: bigint, step: bigint): Value {
  const distance = from <= to ? to - from : from - to;
  environment.spend(Number(distance / step) + 1);
  const stride = from <= to ? step : -step;
  const numbers: RegoNumber[] = [];
  const count = Number(distance / step) + 1;
  for (let index = 0, at = from; index < count; index += 1, at += stride) numbers.push(numberOfBigint(at));
  return numbers;
}
