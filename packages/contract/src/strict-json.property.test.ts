// Properties of the strict reader, against JSON.parse as the other reader.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  compareNumbers,
  ExactNumber,
  equalJson,
  type JsonValue,
  parseStrictJson,
  parseStrictJsonText,
  writeJson,
} from "./strict-json.ts";

/** The value as JSON.parse would have made it. */
function plain(value: JsonValue): unknown {
  if (value instanceof ExactNumber) return Number(value.lexeme);
  if (Array.isArray(value)) return value.map((element: JsonValue) => plain(element));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

function parsed(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    // JSON.parse reports every fault in this way.
    return undefined;
  }
}

// Text made of pieces that JSON is made of, so that both accepted and nearly accepted documents are frequent.
const pieces = fc
  .array(
    fc.constantFrom(
      ...'{}[],:"\\ \n\t0123456789-+.eE/truefalsn'.split(""),
      ...['"a":', '"A":', "1.0", "\\u0061", "\\ud83d", "\\ude00", "null", "true", '""', "é", "\u0000", "😀", "1e5"],
    ),
    { maxLength: 24 },
  )
  .map((parts) => parts.join(""));

const spaced = fc.tuple(fc.jsonValue(), fc.constantFrom(undefined, 1, "\t")).map(([value, space]) => {
  return JSON.stringify(value, null, space) ?? "null";
});

test("whatever the strict reader accepts, JSON.parse accepts with the same value", () => {
  fc.assert(
    fc.property(fc.oneof(pieces, spaced, fc.string({ unit: "binary" })), (text) => {
      const strict = parseStrictJsonText(text, { depthMax: 100 });
      if (strict.kind === "fault") return;
      const other = parsed(text);
      expect(other).toBeDefined();
      // fast-check and JSON.parse make ordinary prototypes; compared without them.
      expect(JSON.stringify(plain(strict.value))).toBe(JSON.stringify(other?.value));
    }),
    { numRuns: 20_000 },
  );
});

test("what JSON.stringify writes without names that fold together is accepted and read alike", () => {
  fc.assert(
    fc.property(spaced, (text) => {
      const strict = parseStrictJsonText(text, { depthMax: 100 });
      if (strict.kind === "fault") {
        expect(strict.detail).toMatch(/occurs twice|lone surrogate/);
        return;
      }
      expect(JSON.stringify(plain(strict.value))).toBe(JSON.stringify(JSON.parse(text)));
    }),
    { numRuns: 5_000 },
  );
});

test("arbitrary bytes give a value or a fault and never an exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const result = parseStrictJson(bytes, { spans: ["id", "a.b"] });
      expect(["value", "fault"]).toContain(result.kind);
    }),
    { numRuns: 10_000 },
  );
});

test("a printed value is read back as an equal value", () => {
  fc.assert(
    fc.property(fc.oneof(pieces, spaced), (text) => {
      const first = parseStrictJsonText(text, { depthMax: 100 });
      if (first.kind === "fault") return;
      const second = parseStrictJsonText(writeJson(first.value), { depthMax: 100 });
      expect(second.kind === "value" && equalJson(first.value, second.value)).toBe(true);
    }),
    { numRuns: 10_000 },
  );
});

test("numbers compare as the integers that they are when written with a common exponent", () => {
  const decimal = fc.tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: -20, max: 20 }));
  fc.assert(
    fc.property(decimal, decimal, ([a, aExponent], [b, bExponent]) => {
      const left = a * 10n ** BigInt(aExponent + 20);
      const right = b * 10n ** BigInt(bExponent + 20);
      const order = left < right ? -1 : left > right ? 1 : 0;
      const x = new ExactNumber(`${a}e${aExponent}`);
      const y = new ExactNumber(`${b}e${bExponent}`);
      expect(compareNumbers(x, y)).toBe(order);
    }),
    { numRuns: 5_000 },
  );
});
