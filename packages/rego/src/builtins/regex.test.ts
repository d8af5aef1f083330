import { describe, expect, test } from "vitest";
import { testExpressions, valueText } from "./expression.fixture.ts";

describe("regular expressions", () => {
  testExpressions([
    ['regex.match("a.c", "xabcx")', "true"],
    ['regex.match("a.c", "a\\nc")', "false"],
    ['regex.match("(?i)^ABC$", "abc")', "true"],
    ['regex.match("^.$", "\u{1f600}")', "true"],
    ['regex.match("\\\\p{Greek}", "\u03b1")', "true"],
    ['regex.match("[", "a")', "error: regex.match: error parsing regexp: missing closing ]: `[`"],
    ['regex.match("(?=a)", "a")', "error: regex.match: error parsing regexp: invalid or unsupported Perl syntax"],
    ['regex.match("(?<=a)b", "ab")', "error: regex.match: "],
    ['regex.match("(a)\\\\1", "aa")', "error: regex.match: error parsing regexp: invalid escape sequence: `\\1`"],
    ['re_match("a", "a")', "true"],
    ['regex.is_valid("(a")', "false"],
    ['regex.is_valid("a{1001}")', "false"],
    ['regex.find_n("a*", "baac", -1)', '["", "aa", ""]'],
    ['regex.find_n("", "a\u{1f600}", -1)', '["", "", ""]'],
    ['regex.find_n("\u{1f600}.", "\u{1f600}a\u{1f600}b", 1)', '["\u{1f600}a"]'],
    ['regex.find_n("x", "abc", -1)', "[]"],
    ['regex.find_n("\\\\bfoo", "foo foofoo", -1)', '["foo", "foo"]'],
    ['regex.find_all_string_submatch_n("(a)|(b)", "ab", -1)', '[["a", "a", ""], ["b", "", "b"]]'],
    ['regex.replace("a-b", "(\\\\w)-(\\\\w)", "$\u007b2}_$1$$")', '"b_a$"'],
    ['regex.replace("ab", "(?P<first>a)", "<$first>")', '"<a>b"'],
    ['regex.replace("ab", "(a)", "$1x")', '"b"'],
    ['regex.replace("ab", "a", "$0$0$9")', '"aab"'],
    ['regex.replace("ab", "a", "$ ${ $-")', '"$ ${ $-b"'],
    ['regex.replace("abc", "", "-")', '"-a-b-c-"'],
    ['regex.replace("abc", "x*", "-")', '"-a-b-c-"'],
    ['regex.split("x*", "axbxc")', '["a", "b", "c"]'],
    ['regex.split("", "abc")', '["a", "b", "c"]'],
    ['regex.split(",", ",a,")', '["", "a", ""]'],
    ['regex.template_match("urn:{foo|bar}:x.y", "urn:bar:x.y", "{", "}")', "true"],
    ['regex.template_match("urn:{foo|bar}:x.y", "urn:bar:x-y", "{", "}")', "false"],
    ['regex.template_match("a<[a-z]{2}>b", "axyb", "<", ">")', "true"],
    ['regex.template_match("a{b", "ab", "{", "}")', 'error: regex.template_match: unbalanced braces in "a{b"'],
    ['regex.template_match("a", "a", "{{", "}")', "error: regex.template_match: start delimiter has to be exactly one"],
  ]);

  test("take no time that is worth a word on patterns made to take forever", () => {
    expect(valueText('regex.match("^(a+)+$", input)', `${"a".repeat(5_000)}b`)).toBe("false");
    expect(valueText('count(regex.find_n("(x+x+)+y|x", input, -1))', "x".repeat(2_000))).toBe("2000");
  });
});

describe("patterns that meet", () => {
  testExpressions([
    ['regex.globs_match("a.a.[0-9]+z", "b.b.[0-9]2z")', "false"],
    ['regex.globs_match("a.a.[0-9]+z", ".*2z")', "true"],
    ['regex.globs_match("a*", "b*")', "false"],
    ['regex.globs_match("a*", "a*")', "true"],
    ['regex.globs_match("", "")', "false"],
    ['regex.globs_match("[a-c]+", "[c-e]+")', "true"],
    ['regex.globs_match("[a-c]d", "[d-e]d")', "false"],
    ['regex.globs_match("a\\\\*", "a\\\\*")', "true"],
    ['regex.globs_match("a+b+c+", ".*c")', "true"],
    ['regex.globs_match("*", "a")', "error: regex.globs_match: "],
    ['regex.globs_match("[a", "a")', "error: regex.globs_match: "],
  ]);
});
