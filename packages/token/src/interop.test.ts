// Interoperation with macaroon libraries that are not ours: they attenuate our tokens and we accept, they verify
// our signatures. npm's `macaroon` runs here; what pymacaroons answered is kept in cases/token/pymacaroons.json.
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import macaroon from "macaroon";
import { describe, expect, test } from "vitest";
import { attenuateToken } from "./attenuate-token.ts";
import { decodeToken, encodeToken, TOKEN_PREFIX } from "./decode-token.ts";
import { mintToken } from "./mint-token.ts";
import { makeTokenHash } from "./token-hash.ts";
import { verifyToken } from "./verify-token.ts";

const tokenHash = makeTokenHash((data) => hash("sha256", data, "buffer"));
const rootKey = new Uint8Array(32).fill(7);
const tricky = '{"tools":["files/<&>\\"\u2028😀*"]}';

function makeToken(): string {
  const minting = mintToken(tokenHash, {
    keyId: "k1",
    rootKey,
    tenantId: "t1",
    id: "00112233445566778899aabbccddeeff",
    agentId: "a1",
    principalId: "p1",
    issuedAtMs: 0,
    caveats: ['{"exp":4000000000}', '{"aud":"x"}', tricky],
  });
  if (minting.kind !== "minted") throw new Error(minting.detail);
  return minting.token;
}

function check(text: string, key = rootKey) {
  const decoding = decodeToken(text);
  if (decoding.kind !== "decoded") return decoding;
  return verifyToken(tokenHash, key, decoding.token);
}

function caveatsOf(text: string): readonly string[] {
  const result = check(text);
  if (result.kind !== "verified") throw new Error(result.kind);
  return result.token.segments.flatMap((segment) => segment.caveats.map((caveat) => caveat.text));
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.slice(TOKEN_PREFIX.length), "base64url"));
}

describe("npm macaroon", () => {
  test("trap-25 what it attenuates with <, & and an emoji, we verify", () => {
    const theirs = macaroon.importMacaroon(bytesOf(makeToken()));
    theirs.addFirstPartyCaveat('{"id":"<&😀"}');
    const text = TOKEN_PREFIX + Buffer.from(theirs.exportBinary()).toString("base64url");
    expect(caveatsOf(text)).toEqual(['{"exp":4000000000}', '{"aud":"x"}', tricky, '{"id":"<&😀"}']);
  });

  test("trap-25 what we attenuate with <, & and an emoji, it verifies", () => {
    const child = attenuateToken(tokenHash, makeToken(), { id: "<&😀", caveats: [tricky, '{"calls":5}'] });
    if (child.kind !== "attenuated") throw new Error(child.detail);
    const seen: string[] = [];
    macaroon.importMacaroon(bytesOf(child.token)).verify(rootKey, (caveat) => {
      seen.push(caveat);
      return null;
    });
    expect(seen).toEqual(caveatsOf(child.token));
  });

  test("it refuses what we refuse: another key, a dropped caveat", () => {
    const text = makeToken();
    const otherKey = new Uint8Array(32).fill(8);
    expect(check(text, otherKey)).toEqual({ kind: "rejected", reason: "token_signature" });
    expect(() => macaroon.importMacaroon(bytesOf(text)).verify(otherKey, () => null)).toThrow();
    const decoding = decodeToken(text);
    if (decoding.kind !== "decoded") throw new Error(decoding.detail);
    const { identifier, caveats, signature } = decoding.token.unverifiedParts;
    const dropped = encodeToken({ identifier, caveats: caveats.slice(0, -1), signature });
    expect(check(dropped)).toEqual({ kind: "rejected", reason: "token_signature" });
    expect(() => macaroon.importMacaroon(bytesOf(dropped)).verify(rootKey, () => null)).toThrow();
  });
});

interface PymacaroonsCases {
  readonly rootKeyHex: string;
  readonly attenuated: readonly { name: string; token: string; added: readonly string[]; result: string }[];
  readonly verified: readonly { name: string; token: string; verified: boolean }[];
  readonly minted: readonly { name: string; identifier: string; caveats: readonly string[]; result: string }[];
}

describe("pymacaroons", () => {
  const url = new URL("../../../cases/token/pymacaroons.json", import.meta.url);
  const cases = JSON.parse(readFileSync(url, "utf8")) as PymacaroonsCases; // its shape is that of schema.json
  const key = Uint8Array.from(Buffer.from(cases.rootKeyHex, "hex"));

  test.each(cases.attenuated)("what it attenuated we verify: $name", ({ token, added, result }) => {
    const before = check(token, key);
    const after = check(result, key);
    if (before.kind !== "verified" || after.kind !== "verified") throw new Error(after.kind);
    const texts = after.token.segments.flatMap((segment) => segment.caveats.map((caveat) => caveat.text));
    expect(texts.slice(-added.length)).toEqual(added);
    expect(after.token.path.slice(0, before.token.path.length)).toEqual(before.token.path);
  });

  test.each(cases.verified)("it and we agree on $name", ({ token, verified }) => {
    expect(check(token, key).kind === "verified").toBe(verified);
  });

  test.each(cases.minted)("what it makes of an identifier and caveats is our token: $name", (row) => {
    const decoding = decodeToken(row.result);
    if (decoding.kind !== "decoded") throw new Error(decoding.detail);
    expect(new TextDecoder().decode(decoding.token.unverifiedParts.identifier)).toBe(row.identifier);
    const caveats = decoding.token.unverifiedParts.caveats.map((caveat) => new TextDecoder().decode(caveat));
    expect(caveats).toEqual(row.caveats);
    expect(verifyToken(tokenHash, key, decoding.token).kind).toBe("verified");
  });

  test("an empty location, which it cannot leave out, is dropped and leaves one spelling to keep", () => {
    const { identifier, caveats, signature } = decodedParts(cases.minted[0]?.result ?? "");
    const text = encodeToken({ identifier, caveats, signature });
    expect(text).not.toBe(cases.minted[0]?.result);
    expect(cases.verified[0]?.token).toBe(text);
    const digest = (spelling: string) => {
      const result = check(spelling, key);
      return result.kind === "verified" ? result.token.textDigest : result.kind;
    };
    expect(digest(cases.minted[0]?.result ?? "")).toBe(digest(text));
  });
});

function decodedParts(text: string) {
  const decoding = decodeToken(text);
  if (decoding.kind !== "decoded") throw new Error(decoding.detail);
  return decoding.token.unverifiedParts;
}
