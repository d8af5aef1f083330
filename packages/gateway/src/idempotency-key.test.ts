import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IDEMPOTENCY_KEY_LENGTH_MAX, idempotencyDigest, readKey, readKeyHeader } from "./idempotency-key.ts";

const printable = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: IDEMPOTENCY_KEY_LENGTH_MAX,
});

describe("the header Idempotency-Key", () => {
  test("gives back every key that is written as a string of structured fields", () => {
    fc.assert(
      fc.property(printable, (key) => {
        const header = `"${key.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
        expect(readKeyHeader(header)).toEqual({ kind: "key", key });
      }),
    );
  });

  test("may stand without quotes where nothing in it needs them, and then is the same key", () => {
    const key = "8e03978e-40d5-43dd-bc93-6894a57f9324";
    expect(readKeyHeader(key)).toEqual(readKeyHeader(`"${key}"`));
    expect(readKeyHeader(key)).toEqual({ kind: "key", key });
  });

  test.each([
    ["", "nothing"],
    ['""', "nothing in quotes"],
    ['"a", "b"', "two"],
    ["a, b", "two without quotes"],
    ['"a";p=1', "a parameter"],
    ['"a', "no closing quote"],
    [String.raw`"a\b"`, "another escape"],
    ['"é"', "what is not ASCII"],
    [`"${"a".repeat(256)}"`, "what is too long"],
    ["a".repeat(256), "what is too long without quotes"],
  ])("of %s is a fault: %s", (header) => {
    expect(readKeyHeader(header).kind).toBe("fault");
  });

  test("that is absent is no key", () => {
    expect(readKeyHeader(undefined)).toEqual({ kind: "none" });
    expect(readKey(undefined)).toEqual({ kind: "none" });
  });
});

describe("what is kept of a key", () => {
  test("names node and key together, and says neither", () => {
    const digest = (node: string, key: string): string => Buffer.from(idempotencyDigest(node, key)).toString("hex");
    expect(digest("aa", "k")).toMatch(/^[0-9a-f]{64}$/);
    expect(digest("aa", "k")).toBe(digest("aa", "k"));
    const others = [digest("ab", "k"), digest("aa", "l"), digest("a", "ak"), digest("aak", "")];
    expect(others).not.toContain(digest("aa", "k"));
    expect(new Set(others).size).toBe(4);
  });
});
