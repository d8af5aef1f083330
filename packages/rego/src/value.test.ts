import { describe, expect, test } from "vitest";
import { parseJson, writeJson } from "./json.ts";
import {
  addNumbers,
  compareNumbers,
  Decimal,
  divideNumbers,
  multiplyNumbers,
  parseNumber,
  type RegoNumber,
  roundNumber,
  writeNumber,
} from "./number.ts";
import { compareValues, equalValues, keyOf, objectOf, type Value, ValueSet, writeValue } from "./value.ts";

function number(text: string): RegoNumber {
  const value = parseNumber(text);
  if (value === undefined) throw new TypeError(`${text} is no number`);
  return value;
}

describe("numbers", () => {
  test("are JavaScript numbers exactly where JavaScript prints the same decimal", () => {
    expect(number("9007199254740991")).toBe(9007199254740991);
    expect(number("0.1")).toBe(0.1);
    expect(number("1.50")).toBe(1.5);
    expect(number("-0")).toBe(0);
    expect(number("1e23")).toBe(1e23);
    for (const text of ["9007199254740993", "1152921504606846976", "0.10000000000000000001", "1e400", "1e-400"]) {
      expect(number(text)).toBeInstanceOf(Decimal);
    }
  });

  test.each(["9007199254740993", "28857836529306024611913", "0.10000000000000000001", "1e-400", "-12.5"])(
    "%s is written as it was read",
    (text) => expect(writeNumber(number(text))).toBe(text),
  );

  test("are compared exactly", () => {
    expect(compareNumbers(number("28857836529306024611913"), number("28857836529306024611912"))).toBe(1);
    expect(compareNumbers(number("9007199254740993"), 9007199254740992)).toBe(1);
    expect(compareNumbers(number("-1e400"), 5)).toBeLessThan(0);
    expect(compareNumbers(number("0.10000000000000000001"), 0.1)).toBe(1);
  });

  test("are exact as integers of any size", () => {
    expect(writeNumber(addNumbers(9007199254740991, 2))).toBe("9007199254740993");
    expect(writeNumber(multiplyNumbers(number("99999999999999999999"), number("99999999999999999999")))).toBe(
      "9999999999999999999800000000000000000001",
    );
    expect(divideNumbers(number("99999999999999999999"), number("33333333333333333333"))).toBe(3);
  });

  test("have the arithmetic of 64 bits where they are not integers", () => {
    expect(addNumbers(0.1, 0.2)).toBe(0.3);
    expect(multiplyNumbers(1.1, 1.1)).toBe(1.21);
    expect(writeNumber(divideNumbers(1, 3) ?? 0)).toBe("0.33333333333333333334");
    expect(divideNumbers(1, 0)).toBeUndefined();
  });

  test("round halves away from zero", () => {
    expect([0.5, 1.5, -0.5, -1.4].map(roundNumber)).toEqual([1, 2, -1, -1]);
  });

  test("are refused when they are too large", () => {
    for (const text of ["1e999999999", "1e-999999999", "9".repeat(30_000), "1e99999999999"]) {
      expect(parseNumber(text)).toBeUndefined();
    }
  });
});

describe("values", () => {
  const ordered: readonly Value[] = [
    null,
    false,
    true,
    number("-1e400"),
    -1,
    0.5,
    number("9007199254740993"),
    "",
    "\uffff",
    "\u{1f600}",
    [],
    [1],
    [1, 2],
    [2],
    {},
    { a: 1 },
    { a: 1, b: 0 },
    { a: 2 },
    new ValueSet(),
    new ValueSet([1, 2]),
    new ValueSet([1, 3]),
  ];

  test("have the order of OPA, strings by code point", () => {
    for (const [i, a] of ordered.entries()) {
      for (const [j, b] of ordered.entries()) {
        expect(Math.sign(compareValues(a, b)), `${writeValue(a)} and ${writeValue(b)}`).toBe(Math.sign(i - j));
        expect(equalValues(a, b)).toBe(i === j);
        expect(keyOf(a) === keyOf(b)).toBe(i === j);
      }
    }
  });

  test("have keys that no other value can forge", () => {
    const key = keyOf([1]);
    expect(typeof key).toBe("string");
    expect(keyOf(key as string)).not.toBe(key);
    expect(keyOf(["1"])).not.toBe(keyOf([1]));
    expect(keyOf(["a,b"])).not.toBe(keyOf(["a", "b"]));
  });

  test("with the same members are equal however they were built", () => {
    const mixed = objectOf([
      [1, "a"],
      ["b", 2],
    ]);
    expect(
      equalValues(
        mixed,
        objectOf([
          ["b", 2],
          [1, "a"],
        ]),
      ),
    ).toBe(true);
    expect(keyOf(mixed)).toBe(
      keyOf(
        objectOf([
          ["b", 2],
          [1, "a"],
        ]),
      ),
    );
    expect(equalValues(Object.assign(Object.create(null), { a: 1 }), { a: 1 })).toBe(true);
  });

  test("keep a member named __proto__ as any other", () => {
    const object = objectOf([["__proto__", { admin: true }]]);
    expect(Object.keys(object)).toEqual(["__proto__"]);
    expect(writeJson(object)).toBe('{"__proto__":{"admin":true}}');
  });
});

describe("JSON", () => {
  test("is read with numbers as they stand, and written in order", () => {
    const read = parseJson(' {"b": [9007199254740993, 1.0, "\\u0041\\""], "a": {"__proto__": null}} ');
    expect(read.kind === "value" && writeJson(read.value)).toBe(
      '{"a":{"__proto__":null},"b":[9007199254740993,1,"A\\""]}',
    );
  });

  test("is written from sets and odd keys as OPA does", () => {
    expect(
      writeJson(
        objectOf([
          [1, new ValueSet([2, 1])],
          [["x"], null],
        ]),
      ),
    ).toBe('{"1":[1,2],"[\\"x\\"]":null}');
  });

  test.each(["", "{", "[1,]", '"a', "01", "1 2", '{"a" 1}', '"\\x"', '"\n"', "nul", "[".repeat(5_000), "-"])(
    "%j is a fault",
    (text) => expect(parseJson(text).kind).toBe("fault"),
  );
});
