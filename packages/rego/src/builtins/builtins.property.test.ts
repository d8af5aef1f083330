import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NumberTooLarge, parseNumber } from "../number.ts";
import type { Type } from "../types.ts";
import { objectOf, type Value, ValueSet, writeValue } from "../value.ts";
import { type BuiltinEnvironment, BuiltinError, makePreparedCache } from "./builtin.ts";
import { BUILTINS } from "./registry.ts";

/** Ends a call that costs more than this, as an evaluation does. */
const STEPS = 200_000;

class OutOfSteps {}

function makeEnvironment(): BuiltinEnvironment {
  let left = STEPS;
  return {
    timeNs: () => 0n,
    randomBytes: (count) => new Uint8Array(count),
    cryptography: () => {
      throw new BuiltinError("eval_builtin_error", "there is no cryptography");
    },
    perEvaluation: new Map(),
    prepared: makePreparedCache(),
    spend: (steps) => {
      left -= steps;
      if (left < 0) throw new OutOfSteps();
    },
    note: () => {},
  };
}

const numbers = ["9007199254740993", "1e300", "-1e400", "0.1", "1e-400"].map((text) => parseNumber(text) ?? 0);

const texts = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.stringMatching(/^[a-c%0-9.*+?[\]{}()|\\/:, #-]{0,12}$/),
  fc.constantFrom(
    "10.0.0.0/8",
    "::/0",
    "1.0.0-a",
    "{{.a}}",
    "%5.2f%v",
    "a: &x [*x]",
    "$1",
    "1e5Ki",
    "aGk=",
    "\ud800",
    "",
  ),
);

const { value: values } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    texts,
    fc.integer({ min: -3, max: 40 }),
    fc.constantFrom<Value>(null, true, false, ...numbers),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.array(tie("value"), { maxLength: 3 }).map((members) => new ValueSet(members)),
    fc.array(fc.tuple(fc.oneof(texts, tie("value")), tie("value")), { maxLength: 3 }).map(objectOf),
    fc.dictionary(texts, tie("value"), { maxKeys: 3 }),
  ),
}));

/** Values of a type, most of the time. */
function valuesOf(type: Type): fc.Arbitrary<Value> {
  return fc.oneof({ weight: 9, arbitrary: wellTyped(type) }, { weight: 1, arbitrary: values });
}

function wellTyped(type: Type): fc.Arbitrary<Value> {
  switch (type.kind) {
    case "any":
      return values;
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "number":
      return fc.oneof(fc.integer({ min: -3, max: 40 }), fc.constantFrom<Value>(...numbers));
    case "string":
      return texts;
    case "union":
      return fc.oneof(...type.of.map(valuesOf));
    case "array": {
      const rest = type.rest === undefined ? fc.constant([]) : fc.array(valuesOf(type.rest), { maxLength: 4 });
      return fc.tuple(fc.tuple(...type.items.map(valuesOf)), rest).map(([items, more]) => [...items, ...more]);
    }
    case "set":
      return fc.array(valuesOf(type.of), { maxLength: 4 }).map((members) => new ValueSet(members));
    case "object": {
      const members = fc.tuple(...type.members.map(({ key, value }) => fc.tuple(fc.constant(key), valuesOf(value))));
      const rest =
        type.rest === undefined
          ? fc.constant([])
          : fc.array(fc.tuple(valuesOf(type.rest.key), valuesOf(type.rest.value)), { maxLength: 4 });
      return fc.tuple(members, rest).map(([known, more]) => objectOf([...more, ...known]));
    }
  }
}

describe("built-ins", () => {
  test.each(BUILTINS.flatMap(({ name, type, run }) => (typeof run === "function" ? [{ name, type, run }] : [])))(
    "$name answers any operands with a value, undefined or a built-in error, and leaves the operands alone",
    ({ type, run }) => {
      fc.assert(
        fc.property(fc.tuple(...type.args.map(valuesOf)), (operands) => {
          const before = operands.map(writeValue);
          try {
            const answer = run(makeEnvironment(), ...operands);
            if (answer !== undefined) writeValue(answer);
          } catch (cause) {
            const isKnown = [BuiltinError, NumberTooLarge, OutOfSteps].some((known) => cause instanceof known);
            if (!isKnown) throw cause;
          }
          expect(operands.map(writeValue)).toEqual(before);
        }),
        { numRuns: 200 },
      );
    },
  );
});
