import { describe, expect, test } from "vitest";
import { testExpressions, valueText } from "./expression.fixture.ts";

describe("globs", () => {
  testExpressions([
    ['glob.match("**.github.com", ["."], "api.cdn.github.com")', "true"],
    ['glob.match("*:github:com", [":"], "api:github:com")', "true"],
    ['glob.match("a*b*c", null, "axxbyyc")', "true"],
    ['glob.match("a*b", [], "a.b")', "false"],
    ['glob.match("a?c", ["/"], "a/c")', "false"],
    ['glob.match("a?c", ["/"], "a\u{1f600}c")', "true"],
    ['glob.match("*", [], "")', "true"],
    ['glob.match("", [], "")', "true"],
    ['glob.match("", [], "a")', "false"],
    ['glob.match("a\\\\*", [], "a*")', "true"],
    ['glob.match("a\\\\*", [], "ab")', "false"],
    ['glob.match("[!a-c]", [], "d")', "true"],
    ['glob.match("[a-c]", [], "-")', "false"],
    ['glob.match("[ab-]", [], "-")', "true"],
    ['glob.match("[a-cx]", [], "x")', "error: glob.match: expecting close range character"],
    ['glob.match("[a", [], "a")', "error: glob.match: unexpected end of input"],
    ['glob.match("[]", [], "a")', "error: glob.match: could not parse range"],
    ['glob.match("[c-a]", [], "b")', "error: glob.match: hi character 'a' should be greater than lo 'c'"],
    ['glob.match("{a,b{c,d}}x", [], "bdx")', "true"],
    ['glob.match("{a,}x", [], "x")', "true"],
    ['glob.match("{*.a,**.b}", [], "x.y.b")', "true"],
    ['glob.match("{*.a,**.b}", [], "x.y.a")', "false"],
    ['glob.match("a,b}", [], "a,b}")', "true"],
    ['glob.match("/api/*/users/**", ["/"], "/api/v1/users/7/mail")', "true"],
    ['glob.match("/api/*/users/**", ["/"], "/api/v1/x/users/7")', "false"],
    ['glob.match("*", ["/", ":"], "a:b")', "false"],
    ['glob.match("{a", [], "a")', "error: glob.match: glob: syntax error at 2: unclosed `{`"],
    ['glob.match("[a-]", [], "-")', "error: glob.match: unexpected end of input"],
    ['glob.match("[ab-c]", [], "-")', "true"],
    ['glob.match("*", ["ab"], "a")', "error: glob.match: "],
    ['glob.match("*", json.unmarshal("[1]"), "a")', "error: "],
    ['glob.quote_meta("*.github.com[{a}]?\\\\")', '"\\\\*.github.com\\\\[\\\\{a\\\\}\\\\]\\\\?\\\\\\\\"'],
  ]);

  test("take no time that is worth a word on patterns made to take forever", () => {
    expect(valueText('glob.match(input, null, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")', "a*".repeat(100))).toBe(
      "false",
    );
    expect(valueText("glob.match(input, null, input)", "{a,aa}".repeat(60))).toBe("false");
  });
});
