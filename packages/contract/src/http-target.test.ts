import { describe, expect, test } from "vitest";
import { readHttpMethod, readHttpTarget } from "./http-target.ts";

function spelt(text: string): string {
  const read = readHttpTarget(text);
  return read.kind === "fault"
    ? "refused"
    : read.target.path + (read.target.query === "" ? "" : `?${read.target.query}`);
}

describe("a target", () => {
  test.each([
    ["stays as it is when it is spelt already", "/v1/items/7", "/v1/items/7"],
    ["loses its dot segments", "/a/./b/../c", "/a/c"],
    ["loses escaped dot segments", "/a/%2e/b/%2E%2e/c", "/a/c"],
    ["ends with a slash behind a dot segment", "/a/b/..", "/a/"],
    ["keeps a slash at its end", "/a/", "/a/"],
    ["keeps one slash of several", "//a///b", "/a/b"],
    ["loses the escapes of what needs none", "/%61%7Eb/%40x%3A1", "/a~b/@x:1"],
    ["gets capitals in its escapes", "/caf%c3%a9/%e2%82%ac", "/caf%C3%A9/%E2%82%AC"],
    ["gets its plus escaped", "/a+b/a%2bb", "/a%2Bb/a%2Bb"],
    ["keeps a percent sign that escapes nothing", "/100%25", "/100%25"],
    ["keeps the order and the empty parts of its query", "/a?b=1&&a=%2f&a", "/a?b=1&&a=%2F&a"],
    ["has no question mark without a query", "/a?", "/a"],
    ["gets quotation marks of its query escaped", "/a?b='x'", "/a?b=%27x%27"],
  ])("%s", (_name, text, expected) => {
    expect(spelt(text)).toBe(expected);
  });

  test.each([
    ["climbs above its root", "/../etc/passwd"],
    ["climbs above its root by escapes", "/a/%2e%2e/%2e%2e/x"],
    ["has an escaped slash", "/a%2Fb"],
    ["has an escaped slash in small letters", "/a/..%2f..%2fb"],
    ["has a backslash", "/a\\b"],
    ["has an escaped backslash", "/a/..%5c..%5cb"],
    ["has a NUL", "/a%00.html"],
    ["has a line feed", "/a%0d%0aX-Injected: 1"],
    ["has a control character of the second block", "/a%C2%85"],
    ["is escaped twice", "/a/%252e%252e/b"],
    ["is escaped twice in parts", "/a/%25%32e/b"],
    ["has an overlong dot", "/a/%c0%ae%c0%ae/b"],
    ["has an overlong slash", "/a%e0%80%afb"],
    ["has a lone surrogate's bytes", "/a%ed%a0%80"],
    ["has an escape that is cut", "/a%2"],
    ["has an escape that is none", "/a%zz"],
    ["has a path parameter", "/a;b=c/d"],
    ["has a path parameter behind dots", "/a/..;/b"],
    ["has an escaped semicolon", "/a/..%3b/b"],
    ["has a segment that ends with a dot", "/admin."],
    ["has a segment that ends with a space", "/admin%20/x"],
    ["has dot segments beside repeated slashes", "/a//../b"],
    ["has a fragment", "/a#b"],
    ["has a fragment in its query", "/a?b#c"],
    ["is absolute", "http://evil.example/a"],
    ["names an authority", "evil.example:443"],
    ["is a star", "*"],
    ["is empty", ""],
    ["has a space", "/a b"],
    ["has letters beyond ASCII", "/é"],
    ["has a NUL in its query", "/a?b=%00"],
    ["is too long", `/${"a".repeat(9000)}`],
    ["grows too long", `/${"+".repeat(8000)}`],
  ])("is refused when it %s", (_name, text) => {
    expect(spelt(text)).toBe("refused");
  });
});

describe("a method", () => {
  test.each(["GET", "HEAD", "POST", "M-SEARCH", "PROPFIND"])("%s is passed on", (method) => {
    expect(readHttpMethod(method)).toEqual({ kind: "method", method });
  });

  test.each(["get", "Post", "CONNECT", "TRACE", "TRACK", "", "G ET", "GET\r\n"])("%j is refused", (method) => {
    expect(readHttpMethod(method).kind).toBe("fault");
  });
});
