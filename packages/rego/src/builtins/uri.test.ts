import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseUri } from "../uri.ts";
import { testExpressions } from "./expression.fixture.ts";

// What Go's net/url says of the same.
describe("URIs", () => {
  testExpressions([
    [
      'uri.parse("https://me:pw@Example.com:8443/a%2Fb/c?x=1&y#top")',
      '{"fragment": "top", "hostname": "Example.com", "path": "/a/b/c", "port": "8443", "raw_path": "/a%2Fb/c", "raw_query": "x=1&y", "scheme": "https"}',
    ],
    ['uri.parse("HTTP://[fe80::1%25en0]:80")', '{"hostname": "fe80::1%en0", "port": "80", "scheme": "http"}'],
    ['uri.parse("/a b")', '{"path": "/a b", "raw_path": "/a b"}'],
    ['uri.parse("/a%20b")', '{"path": "/a b", "raw_path": "/a b"}'],
    ['uri.parse("/a!b")', '{"path": "/a!b", "raw_path": "/a!b"}'],
    ['uri.parse("../up?")', '{"path": "../up", "raw_path": "../up"}'],
    ['uri.parse("mailto:me@example.com?subject=x")', '{"raw_query": "subject=x", "scheme": "mailto"}'],
    ['uri.parse("file:/etc")', '{"path": "/etc", "raw_path": "/etc", "scheme": "file"}'],
    ['uri.parse("///three")', '{"path": "///three", "raw_path": "///three"}'],
    ['uri.parse("//host")', '{"hostname": "host"}'],
    ['uri.parse("*")', '{"path": "*", "raw_path": "*"}'],
    ['uri.parse("")', "{}"],
    [
      'uri.parse("pg://a:1,b:2/db")',
      '{"hostname": "a:1,b", "path": "/db", "port": "2", "raw_path": "/db", "scheme": "pg"}',
    ],
    [
      'uri.parse("http://\u00e4.de/\u00e4")',
      '{"hostname": "\u00e4.de", "path": "/\u00e4", "raw_path": "/\u00e4", "scheme": "http"}',
    ],
    ['uri.parse("http://a:1:2/")', 'error: uri.parse: parse "http://a:1:2/": invalid port ":1:2" after host'],
    ['uri.parse("http://a:x")', 'error: uri.parse: parse "http://a:x": invalid port ":x" after host'],
    ['uri.parse("http://a%41")', 'error: uri.parse: parse "http://a%41": invalid URL escape "%41"'],
    ['uri.parse("/%zz")', 'error: uri.parse: parse "/%zz": invalid URL escape "%zz"'],
    ['uri.parse("http://a b/")', 'error: uri.parse: parse "http://a b/": invalid character " " in host name'],
    ['uri.parse("http://[::1")', `error: uri.parse: parse "http://[::1": missing ']' in host`],
    ['uri.parse("http://[1.2.3.4]/")', 'error: uri.parse: parse "http://[1.2.3.4]/": invalid host'],
    ['uri.parse("http://a[::1]")', 'error: uri.parse: parse "http://a[::1]": invalid IP-literal'],
    ['uri.parse("http://u|@a/")', 'error: uri.parse: parse "http://u|@a/": net/url: invalid userinfo'],
    ['uri.parse(":a")', 'error: uri.parse: parse ":a": missing protocol scheme'],
    ['uri.parse("1a:b")', 'error: uri.parse: parse "1a:b": first path segment in URL cannot contain colon'],
    ['uri.parse("a\\tb")', 'error: uri.parse: parse "a\\tb": net/url: invalid control character in URL'],
    ['uri.is_valid("https://example.com/x?y#z")', "true"],
    ['uri.is_valid("http://a:x")', "false"],
    ['uri.is_valid("")', "false"],
  ]);

  test("are read or found at fault, whatever the text is", () => {
    const part = fc.constantFrom(
      "http:",
      "//",
      "/",
      "@",
      "[",
      "::1",
      "]",
      ":",
      "%25",
      "%4",
      "?",
      "#",
      "\u00e4",
      "\ud800",
      " ",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(part, { maxLength: 8 }).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(text, (uri) => {
        expect(["uri", "fault"]).toContain(parseUri(uri).kind);
      }),
    );
  });
});
