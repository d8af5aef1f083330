import { InvalidArgumentError } from "commander";
import { expect, test } from "vitest";
import { readCarve, readCount, readDuration, readJsonObject, readPairs } from "./read-values.ts";

test.each([
  ["30s", 30],
  ["15m", 900],
  ["24h", 86_400],
  ["90d", 7_776_000],
])("the duration %s is %i seconds", (text, seconds) => {
  expect(readDuration(text)).toBe(seconds);
});

test.each(["", "0s", "-1s", "1.5h", "10", "h", "1w", "9999999999s"])("%j is refused as a duration", (text) => {
  expect(() => readDuration(text)).toThrow(InvalidArgumentError);
});

test.each(["", "-1", "1e3", "0x10", " 1", "99999999999999999", "101"])(
  "%j is refused as a count of 0 to 100",
  (text) => {
    expect(() => readCount(0, 100)(text)).toThrow(InvalidArgumentError);
  },
);

test("a carve names unit, window and amount", () => {
  expect(readCarve("calls:day:10")).toEqual([{ unit: "calls", window: "day", amount: 10 }]);
  expect(() => readCarve("calls:day")).toThrow(InvalidArgumentError);
  expect(() => readCarve("calls:day:10:1")).toThrow(InvalidArgumentError);
});

test("a pair keeps what follows its first equals sign", () => {
  expect(readPairs("A=b=c", { B: "1" })).toEqual({ B: "1", A: "b=c" });
  expect(() => readPairs("=b")).toThrow(InvalidArgumentError);
});

test("arguments are passed on in the text they were given in", () => {
  const text = '{"amount":1.10,"n":12345678901234567890}';

  expect(readJsonObject(text)).toBe(text);
  for (const other of ["", "[]", "null", "1", "{"]) expect(() => readJsonObject(other)).toThrow(InvalidArgumentError);
});
