/** Numbers against exact arithmetic, and the order, equality and keys of values against each other. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseJson, writeJson } from "./json.ts";
import {
  addNumbers,
  compareNumbers,
  multiplyNumbers,
  parseNumber,
  type RegoNumber,
  subtractNumbers,
  writeNumber,
} from "./number.ts";
import { compareValues, equalValues, keyOf, objectOf, type Value, ValueSet } from "./value.ts";

/** A decimal as a whole number of 10^-40. */
interface Exact {
  readonly text: string;
  readonly scaled: bigint;
}

const exact = fc.tuple(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.integer({ min: -40, max: 5 })).map(
  ([coefficient, exponent]): Exact => ({
    text: `${coefficient}e${exponent}`,
    scaled: coefficient * 10n ** BigInt(exponent + 40),
  }),
);

function number({ text }: Exact): RegoNumber {
  const value = parseNumber(text);
  if (value === undefined) throw new TypeError(text);
  return value;
}

test("numbers are ordered as the decimals that they are, and equal ones have one representation", () => {
  fc.assert(
    fc.property(exact, exact, (a, b) => {
      const order = a.scaled < b.scaled ? -1 : a.scaled > b.scaled ? 1 : 0;
      expect(Math.sign(compareNumbers(number(a), number(b)))).toBe(order);
      expect(keyOf(number(a)) === keyOf(number(b))).toBe(order === 0);
    }),
    { numRuns: 2_000 },
  );
});

test("a number that is written is read as the same number", () => {
  fc.assert(
    fc.property(exact, (a) => {
      const read = parseNumber(writeNumber(number(a)));
      expect(read !== undefined && equalValues(read, number(a))).toBe(true);
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (double) => {
      expect(parseNumber(writeNumber(double))).toBe(double + 0);
    }),
    { numRuns: 2_000 },
  );
});

test("arithmetic on integers of any size is exact", () => {
  const integer = fc.bigInt({ min: -(2n ** 90n), max: 2n ** 90n });
  fc.assert(
    fc.property(integer, integer, (a, b) => {
      const [x, y] = [a, b].map((value) => parseNumber(value.toString()));
      if (x === undefined || y === undefined) throw new TypeError("integers are numbers");
      expect(writeNumber(addNumbers(x, y))).toBe((a + b).toString());
      expect(writeNumber(subtractNumbers(x, y))).toBe((a - b).toString());
      expect(writeNumber(multiplyNumbers(x, y))).toBe((a * b).toString());
    }),
    { numRuns: 1_000 },
  );
});

const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<Value>(null, true, false, 0, 1, 0.5, "", "a", "b", "\u0000", "1", "\u{1f600}", "\uffff"),
    exact.map(number),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.array(tie("value"), { maxLength: 12 }).map((members) => new ValueSet(members)),
    fc
      .dictionary(fc.constantFrom("a", "b", "__proto__", "constructor"), tie("value"), { maxKeys: 3 })
      .map((entries) => objectOf(Object.entries(entries))),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 }).map(objectOf),
  ),
}));

test("equal values, and only they, have the same key and come at the same place", () => {
  fc.assert(
    fc.property(value, value, (a, b) => {
      const same = equalValues(a, b);
      expect(equalValues(b, a)).toBe(same);
      expect(keyOf(a) === keyOf(b)).toBe(same);
      expect(compareValues(a, b) === 0).toBe(same);
      expect(Math.sign(compareValues(a, b)) + Math.sign(compareValues(b, a))).toBe(0);
      expect(new ValueSet([a, b]).size).toBe(same ? 1 : 2);
    }),
    { numRuns: 2_000 },
  );
});

test("values have one order", () => {
  fc.assert(
    fc.property(value, value, value, (a, b, c) => {
      if (compareValues(a, b) <= 0 && compareValues(b, c) <= 0) expect(compareValues(a, c)).toBeLessThanOrEqual(0);
    }),
    { numRuns: 2_000 },
  );
});

test("JSON that is written is read as the same value", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const read = parseJson(text);
      if (read.kind === "fault") throw new TypeError(read.message);
      const again = parseJson(writeJson(read.value));
      expect(again.kind === "value" && equalValues(again.value, read.value)).toBe(true);
      expect(JSON.parse(writeJson(read.value))).toEqual(
        JSON.parse(text, (_, member) => (Object.is(member, -0) ? 0 : member)),
      );
    }),
    { numRuns: 500 },
  );
});
