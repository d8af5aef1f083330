// Minting refuses what clearing cannot enforce; attenuation and description keep to the same rules.
import { hash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { attenuateToken } from "./attenuate-token.ts";
import { listsTool, remainingDepth } from "./clear-caveats.ts";
import { decodeToken } from "./decode-token.ts";
import { describeToken } from "./describe-token.ts";
import { type MintOptions, mintToken } from "./mint-token.ts";
import { makeTokenHash } from "./token-hash.ts";
import { type VerifiedToken, verifyToken } from "./verify-token.ts";

const tokenHash = makeTokenHash((data) => hash("sha256", data, "buffer"));
const rootKey = new Uint8Array(32).fill(3);
const exp = '{"exp":4000000000}';
const aud = '{"aud":"x"}';

function makeOptions(changes: Partial<MintOptions>): MintOptions {
  return {
    keyId: "k1",
    rootKey,
    tenantId: "t1",
    id: "00112233445566778899aabbccddeeff",
    agentId: "a1",
    principalId: "p1",
    issuedAtMs: 1999,
    caveats: [exp, aud],
    ...changes,
  };
}

function makeToken(...caveats: string[]): string {
  const minting = mintToken(tokenHash, makeOptions({ caveats: [exp, aud, ...caveats] }));
  if (minting.kind !== "minted") throw new Error(minting.detail);
  return minting.token;
}

function makeChild(text: string, id: string, ...caveats: string[]): string {
  const child = attenuateToken(tokenHash, text, { id, caveats });
  if (child.kind !== "attenuated") throw new Error(child.detail);
  return child.token;
}

function verified(text: string): VerifiedToken {
  const decoding = decodeToken(text);
  if (decoding.kind !== "decoded") throw new Error(decoding.detail);
  const check = verifyToken(tokenHash, rootKey, decoding.token);
  if (check.kind !== "verified") throw new Error(check.reason);
  return check.token;
}

describe("R-NARROW-2 trap-26 minting and attenuating refuse a caveat that no gateway enforces", () => {
  test.each([
    ['{"net":{}}', "caveat_malformed"],
    ['{"net":"10.0.0.0/8"}', "caveat_malformed"],
    ['{"net":["10.0.0.1/8"]}', "caveat_malformed"],
    ['{"rate":1}', "caveat_malformed"],
    ['{"rate":{"limit":5,"per":"day"}}', "caveat_malformed"],
    ['{"models":["x"]}', "caveat_unknown"],
    ['{"params":{}}', "caveat_unknown"],
    ['{"task":"x"}', "caveat_unknown"],
    ['{"step_up":true}', "caveat_unknown"],
    ['{"bind":"x"}', "caveat_unknown"],
    ['{"Tools":["a/b"]}', "caveat_unknown"],
    ['{"tools":["echo"]}', "caveat_malformed"],
    ['{"args":{"a/b":{"/x":{"regex":"."}}}}', "caveat_malformed"],
    ['{"id":"x"}', "caveat_malformed"],
    ["calls < 5", "caveat_malformed"],
    ["", "caveat_malformed"],
  ])("%s", (caveat, reason) => {
    expect(mintToken(tokenHash, makeOptions({ caveats: [exp, aud, caveat] }))).toMatchObject({
      kind: "refused",
      reason,
    });
    const child = attenuateToken(tokenHash, makeToken(), { id: "c", caveats: [caveat] });
    expect(child).toMatchObject({ kind: "refused", reason });
  });
});

test("a caveat that gateways enforce is minted, and attenuated", () => {
  for (const caveat of ['{"net":["10.0.0.0/8","2001:db8::/32"]}', '{"rate":{"limit":5,"per":"minute"}}']) {
    const token = verified(makeChild(makeToken(caveat), "c", caveat));
    expect(token.segments.map(({ caveats }) => caveats.at(-1)?.text)).toEqual([caveat, caveat]);
  }
});

test("R-DENY-3 a token without exp or without aud is not minted", () => {
  expect(mintToken(tokenHash, makeOptions({ caveats: [aud] }))).toMatchObject({ reason: "caveat_malformed" });
  expect(mintToken(tokenHash, makeOptions({ caveats: [exp] }))).toMatchObject({ reason: "token_audience" });
});

test("a token that no gateway would read for its size is not made", () => {
  const caveats = (count: number) => [exp, aud, ...new Array<string>(count).fill('{"calls":5}')];
  expect(mintToken(tokenHash, makeOptions({ caveats: caveats(62) })).kind).toBe("minted");
  expect(mintToken(tokenHash, makeOptions({ caveats: caveats(63) }))).toMatchObject({ reason: "token_malformed" });
  const long = new Array<string>(40).fill(JSON.stringify({ aud: ["x", "y".repeat(200)] }));
  expect(mintToken(tokenHash, makeOptions({ caveats: [exp, ...long] }))).toMatchObject({ reason: "token_malformed" });
  const full = makeToken(...new Array<string>(62).fill('{"calls":5}'));
  expect(attenuateToken(tokenHash, full, { id: "c", caveats: [] })).toMatchObject({ reason: "token_malformed" });
});

test("values that make no identifier are the caller's mistake", () => {
  expect(() => mintToken(tokenHash, makeOptions({ id: "short" }))).toThrow(TypeError);
  expect(() => mintToken(tokenHash, makeOptions({ agentId: 'a"' }))).toThrow(TypeError);
  expect(() => mintToken(tokenHash, makeOptions({ rootKey: new Uint8Array(31) }))).toThrow(TypeError);
});

test("attenuating what is no token says so", () => {
  expect(attenuateToken(tokenHash, "writ_x", { id: "c", caveats: [] }).kind).toBe("malformed");
  expect(attenuateToken(tokenHash, makeToken(), { id: "", caveats: [] })).toMatchObject({ kind: "refused" });
  expect(attenuateToken(tokenHash, makeToken(), { id: "\ud800", caveats: [] })).toMatchObject({ kind: "refused" });
});

test("trap-02 every descendant of a node has that node in its path, whatever a holder appends", () => {
  const root = makeToken();
  const child = makeChild(root, "c");
  const grandchild = makeChild(makeChild(child, "g", '{"calls":1}'), "c");
  const revoked = verified(child).path[1] ?? "";
  expect(verified(grandchild).path).toContain(revoked);
  expect(verified(root).path).not.toContain(revoked);
});

test("trap-36 the same id under another parent is another node", () => {
  const root = makeToken();
  const left = verified(makeChild(makeChild(root, "l"), "same")).path;
  const right = verified(makeChild(makeChild(root, "r"), "same")).path;
  const twice = verified(makeChild(makeChild(root, "same"), "same")).path;
  expect(new Set([left[2], right[2], twice[1], twice[2]]).size).toBe(4);
});

describe("a catalogue shows", () => {
  test.each([
    ["a token without tool caveats everything", [], "listed"],
    ["a permitted tool", ['{"tools":["u/*"]}'], "listed"],
    ["a tool whose arguments are limited", ['{"args":{"u/t":{"/a":{"max":1}}}}'], "listed"],
    ["no tool that is not listed", ['{"tools":["u/x"]}'], "hidden"],
    ["no tool that is excluded", ['{"not_tools":["*/t"]}'], "hidden"],
    ["no tool where tool.call is not permitted", ['{"actions":["tool.list"]}'], "hidden"],
  ])("%s", (_name, caveats, answer) => {
    expect(listsTool(verified(makeToken(...caveats)), "u", "t")).toBe(answer);
  });
});

test("depth counts the nodes below the segment where it stands", () => {
  const root = makeToken('{"depth":2}');
  expect(remainingDepth(verified(makeToken()))).toBeUndefined();
  expect(remainingDepth(verified(root))).toBe(2);
  expect(remainingDepth(verified(makeChild(root, "a")))).toBe(1);
  expect(remainingDepth(verified(makeChild(root, "a", '{"depth":0}')))).toBe(0);
  expect(remainingDepth(verified(makeChild(makeChild(makeChild(root, "a"), "b"), "c")))).toBe(-1);
});

test("a description says in every name what nobody has verified, and holds no signature", () => {
  const text = makeChild(makeToken('{"calls":5}'), "c");
  const decoding = decodeToken(text);
  if (decoding.kind !== "decoded") throw new Error(decoding.detail);
  const unverified = describeToken(tokenHash, decoding.token);
  const known = describeToken(tokenHash, verified(text));
  const { kind, ...claims } = unverified;
  expect(kind).toBe("unverified");
  for (const name of Object.keys(claims)) expect(name).toMatch(/^unverified/);
  if (known.kind !== "verified" || unverified.kind !== "unverified") throw new Error("kinds differ");
  expect(unverified.unverifiedPath).toEqual(known.path);
  expect(known.issuedAtMs).toBe(1000);
  expect(known.segments[0]?.caveats[2]).toEqual({ text: '{"calls":5}', kind: "budget", detail: "" });
  const signature = Buffer.from(decoding.token.unverifiedParts.signature);
  for (const shown of [JSON.stringify(known), JSON.stringify(unverified), JSON.stringify(verified(text))]) {
    expect(shown).not.toContain(signature.toString("base64url").slice(0, 20));
    expect(shown).not.toContain(signature.toString("hex").slice(0, 20));
    expect(shown).not.toContain(String([...signature].slice(0, 8)));
  }
});
