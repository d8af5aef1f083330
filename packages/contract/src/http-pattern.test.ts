import { describe, expect, test } from "vitest";
import { compileHttpPattern } from "./http-pattern.ts";

function outcome(pattern: string, method: string, path: string): string {
  const compiled = compileHttpPattern(pattern);
  return compiled === undefined ? "none" : compiled.matches(method, path) ? "matches" : "differs";
}

describe("a pattern of requests", () => {
  test.each([
    ["GET /v1/items", "GET", "/v1/items", "matches"],
    ["GET /v1/items", "HEAD", "/v1/items", "differs"],
    ["GET,HEAD /v1/items", "HEAD", "/v1/items", "matches"],
    ["* /v1/items", "PURGE", "/v1/items", "matches"],
    ["GET /v1/items", "GET", "/v1/items/", "matches"],
    ["GET /v1/items/", "GET", "/v1/items", "matches"],
    ["GET /v1/items", "GET", "/v1/Items", "differs"],
    ["GET /v1/items/*", "GET", "/v1/items/7", "matches"],
    ["GET /v1/items/*", "GET", "/v1/items", "differs"],
    ["GET /v1/items/*", "GET", "/v1/items/", "differs"],
    ["GET /v1/items/*", "GET", "/v1/items/7/parts", "differs"],
    ["GET /v1/*/parts", "GET", "/v1/7/parts", "matches"],
    ["GET /v1/**", "GET", "/v1", "matches"],
    ["GET /v1/**", "GET", "/v1/a/b/c", "matches"],
    ["GET /v1/**", "GET", "/v2", "differs"],
    ["GET /**", "GET", "/", "matches"],
    ["GET /", "GET", "/", "matches"],
    ["GET /", "GET", "/a", "differs"],
    ["GET /a@b", "GET", "/a@b", "matches"],
    ["GET /a%40b", "GET", "/a@b", "matches"],
    ["GET /a+b", "GET", "/a%2Bb", "matches"],
  ])("%s on %s %s: %4$s", (pattern, method, path, expected) => {
    expect(outcome(pattern, method, path)).toBe(expected);
  });

  test.each([
    "",
    "/v1",
    "GET",
    "GET v1",
    "get /v1",
    "GET /a/../b",
    "GET /v1//b",
    "GET /v1/**/b",
    "GET /items-*",
    "GET /a;b",
    "TRACE /a",
    "GET /a b",
    "GET /a?b",
    "GET, HEAD /a",
    "GET /***",
  ])("%j is none", (pattern) => {
    expect(compileHttpPattern(pattern)).toBeUndefined();
  });
});
