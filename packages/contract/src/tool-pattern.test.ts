import { expect, it } from "vitest";
import { compileToolPattern } from "./tool-pattern.ts";

it.each([
  ["everything/echo", "everything", "echo", true],
  ["everything/echo", "everything", "echo2", false],
  ["everything/*", "everything", "a/b", true],
  ["*/*", "x", "y", true],
  ["*/*", "x", "", false],
  ["every*/get_*_by_*", "everything", "get_user_by_id", true],
  ["every*/get_*_by_*", "everything", "get_user_id", false],
  ["a/x*x", "a", "x", false],
  ["a/*ab*ab", "a", "abab", true],
  ["a/*ab*ab", "a", "ab", false],
  ["a/.*", "a", "bc", false],
])("the pattern %s on %s/%s answers %s", (pattern, upstream, tool, expected) => {
  expect(compileToolPattern(pattern)?.matches(upstream, tool)).toBe(expected);
});

it.each(["", "*", "echo", "/echo", "everything/", `a/${"*".repeat(9)}`])("%s is no pattern", (pattern) => {
  expect(compileToolPattern(pattern)).toBeUndefined();
});
