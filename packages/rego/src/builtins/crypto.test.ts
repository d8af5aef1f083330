import { expect, test } from "vitest";
import { compile } from "../index.ts";
import { valueOfQuery } from "./query.fixture.ts";

// From RFC 1321, RFC 3174, FIPS 180 and RFC 4231.
test.each([
  ['crypto.md5("")', "d41d8cd98f00b204e9800998ecf8427e"],
  ['crypto.md5("message digest")', "f96b697d7cb7938d525a2f31aaf161d0"],
  ['crypto.sha1("abc")', "a9993e364706816aba3e25717850c26c9cd0d89d"],
  ['crypto.sha256("abc")', "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ['crypto.hmac.md5("what do ya want for nothing?", "Jefe")', "750c783e6ab0b503eaa86e310a5db738"],
  ['crypto.hmac.sha1("what do ya want for nothing?", "Jefe")', "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"],
  [
    'crypto.hmac.sha256("what do ya want for nothing?", "Jefe")',
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  ],
  ['crypto.hmac.equal("", "")', true],
  ['crypto.hmac.equal("ab", "aB")', false],
  ['crypto.hmac.equal("ab", "abc")', false],
])("%s answers as the standards say", (query, expected) => {
  expect(valueOfQuery(query)).toBe(expected);
});

test("a policy that needs cryptography is told that there is none", () => {
  const compiled = compile([]);
  if (compiled.kind === "problems") throw new TypeError("an empty program has problems");
  const answer = compiled.program.evaluate('crypto.sha256("abc")', { strictBuiltinErrors: true });
  expect(answer).toMatchObject({ kind: "error", error: { code: "eval_builtin_error" } });
});

test("hashing a long text counts against the bound on steps", () => {
  const limits = { steps: 1_000 };
  expect(valueOfQuery("crypto.sha256(input)", { input: "x".repeat(1_000_000), limits })).toMatch(/^error: /);
});
