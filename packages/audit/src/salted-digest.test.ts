import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { saltedDigest } from "./salted-digest.ts";

it("R-SECRET-3 trap-57 a digest of a guessable value says nothing without its salt", () => {
  const guess = "DE89370400440532013000 100.00";
  const digest = saltedDigest(Buffer.alloc(16, 5), guess);
  expect(digest).toBe(createHash("sha256").update(Buffer.alloc(16, 5)).update(guess).digest("hex"));
  expect(digest).not.toBe(createHash("sha256").update(guess).digest("hex"));
  expect(digest).not.toBe(saltedDigest(Buffer.alloc(16, 6), guess));
});

it("takes text as its UTF-8 bytes and refuses what has none", () => {
  const salt = Buffer.alloc(16);
  expect(saltedDigest(salt, "ä")).toBe(saltedDigest(salt, Buffer.from([0xc3, 0xa4])));
  expect(() => saltedDigest(salt, "\ud800")).toThrow(TypeError);
});

it("refuses a salt of another length, which could be confused with the value", () => {
  expect(() => saltedDigest(Buffer.alloc(15), "x")).toThrow(TypeError);
  expect(() => saltedDigest(Buffer.alloc(17), "x")).toThrow(TypeError);
});
