import { describe } from "vitest";
import { testExpressions } from "./expression.fixture.ts";

describe("base64 and hexadecimal", () => {
  testExpressions([
    ['base64.encode("")', '""'],
    ['base64.encode("\u{1f600}?>")', '"8J+YgD8+"'],
    ['base64url.encode("\u{1f600}?>")', '"8J-YgD8-"'],
    ['base64.decode("8J+YgD8+")', '"\u{1f600}?>"'],
    ['base64.decode("aGVs\\nbG8=")', '"hello"'],
    ['base64.decode("aGVsbG8")', "error: base64.decode: illegal base64 data at input byte 4"],
    ['base64.decode("a-==")', "error: base64.decode: illegal base64 data at input byte 1"],
    ['base64.decode("aGVsbG8=x")', "error: base64.decode: illegal base64 data at input byte 8"],
    ['base64.decode("aGVsbA=")', "error: base64.decode: illegal base64 data at input byte 7"],
    ['base64.decode("aGVsbA=\\nx")', "error: base64.decode: illegal base64 data at input byte 7"],
    ['base64.decode("aGVsbA==\\n=")', "error: base64.decode: illegal base64 data at input byte 9"],
    ['base64.decode("aGVsb===")', "error: base64.decode: illegal base64 data at input byte 5"],
    ['base64.decode("a=bc")', "error: base64.decode: illegal base64 data at input byte 1"],
    ['base64.decode("aGVsbA=\\n=\\n")', '"hell"'],
    [
      'io.jwt.decode("aGVsbA=.e30.")',
      "error: io.jwt.decode: JWT header had invalid encoding: illegal base64 data at input byte 7",
    ],
    ['base64.is_valid("aGVsbG8")', "false"],
    ['base64.is_valid("")', "true"],
    ['base64url.decode("8J-YgA")', '"\u{1f600}"'],
    ['base64url.decode("a")', "error: base64url.decode: illegal base64url string: a"],
    ['hex.encode("\u00e4")', '"c3a4"'],
    ['hex.decode("C3A4")', '"\u00e4"'],
    ['hex.decode("abc")', "error: hex.decode: encoding/hex: odd length hex string"],
    ['hex.decode("zz")', "error: hex.decode: encoding/hex: invalid byte: U+007A 'z'"],
  ]);
});

describe("URL queries", () => {
  testExpressions([
    ['urlquery.encode("a b\u00e4~/*")', '"a+b%C3%A4~%2F%2A"'],
    ['urlquery.decode("a+b%C3%A4")', '"a b\u00e4"'],
    ['urlquery.decode("%zz")', 'error: urlquery.decode: invalid URL escape "%zz"'],
    ['urlquery.decode("%4")', 'error: urlquery.decode: invalid URL escape "%4"'],
    ['urlquery.encode_object({"b": ["2", "1"], "a": {"y", "x"}})', '"a=x&a=y&b=2&b=1"'],
    ['urlquery.decode_object("a=1&&b=%20&a=")', '{"a": ["1", ""], "b": [" "]}'],
    ['urlquery.decode_object("a=1;b=2")', "error: urlquery.decode_object: invalid semicolon separator in query"],
  ]);
});

describe("JSON", () => {
  testExpressions([
    [
      'json.marshal({"b": {2, 1}, "a": "<&>\\u2028"})',
      '"{\\"a\\":\\"\\\\u003c\\\\u0026\\\\u003e\\\\u2028\\",\\"b\\":[1,2]}"',
    ],
    ["json.marshal({1: null, [2]: 1.50})", '"{\\"1\\":null,\\"[2]\\":1.5}"'],
    ["json.marshal(28857836529306024611913)", '"28857836529306024611913"'],
    ['json.unmarshal("{\\"a\\": 9007199254740993}")', '{"a": 9007199254740993}'],
    ['json.unmarshal("{")', "error: json.unmarshal: "],
    ['json.is_valid("1 2")', "false"],
    ['json.is_valid(" [1] ")', "true"],
    ['json.marshal_with_options({"a": [], "b": {}}, {"pretty": true})', '"{\\n\\t\\"a\\": [],\\n\\t\\"b\\": {}\\n}"'],
    ['json.marshal_with_options([1], {"pretty": false, "indent": " "})', '"[1]"'],
    ['json.marshal_with_options([[1]], {"indent": " "})', '"[\\n [\\n  1\\n ]\\n]"'],
  ]);
});
