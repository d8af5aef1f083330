// Properties of tokens: decoding is total and has one spelling; whatever is appended only narrows.
import { hash } from "node:crypto";
import { ACTIONS, type AccessRequest, type JsonObject, parseStrictJsonText } from "@writ/contract";
import fc from "fast-check";
import { expect, test } from "vitest";
import { attenuateToken } from "./attenuate-token.ts";
import { type Clearing, clearCaveats, listsTool, remainingDepth } from "./clear-caveats.ts";
import { decodeToken, encodeToken } from "./decode-token.ts";
import { mintToken } from "./mint-token.ts";
import { signCaveat } from "./sign-token.ts";
import { makeTokenHash } from "./token-hash.ts";
import { type VerifiedToken, verifyToken } from "./verify-token.ts";

const tokenHash = makeTokenHash((data) => hash("sha256", data, "buffer"));
const rootKey = new Uint8Array(32).fill(9);
const encoder = new TextEncoder();

function makeToken(caveats: readonly string[]): string {
  const minting = mintToken(tokenHash, {
    keyId: "k1",
    rootKey,
    tenantId: "t1",
    id: "00112233445566778899aabbccddeeff",
    agentId: "a1",
    principalId: "p1",
    issuedAtMs: 0,
    caveats: ['{"exp":1000}', '{"aud":["here","there"]}', ...caveats],
  });
  if (minting.kind !== "minted") throw new Error(minting.detail);
  return minting.token;
}

/** Appends caveats as any holder can, whatever they are. */
function append(text: string, added: readonly string[]): string {
  const decoding = decodeToken(text);
  if (decoding.kind !== "decoded") throw new Error(decoding.detail);
  const { identifier, caveats, signature } = decoding.token.unverifiedParts;
  const bytes = added.map((caveat) => encoder.encode(caveat));
  const signed = bytes.reduce((last, caveat) => signCaveat(tokenHash, last, caveat), signature);
  return encodeToken({ identifier, caveats: [...caveats, ...bytes], signature: signed });
}

function verified(text: string): VerifiedToken {
  const decoding = decodeToken(text);
  if (decoding.kind !== "decoded") throw new Error(decoding.detail);
  const check = verifyToken(tokenHash, rootKey, decoding.token);
  if (check.kind !== "verified") throw new Error(check.reason);
  return check.token;
}

const pattern = fc.constantFrom("u/a", "u/b", "u/*", "*/a", "*/*", "v/a", "u/a*");
const patterns = fc.array(pattern, { maxLength: 3 });
const network = fc.constantFrom("10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "192.0.2.7/32", "2001:db8::/32", "::/0");
const requests = fc.constantFrom("GET /a", "GET /a/*", "GET,POST /a/**", "* /b", "* /**");
const actions = fc.subarray(["http.request", "tool.call", "tool.list", "token.attenuate", "mcp.session"]);
const seconds = fc.integer({ min: 0, max: 1200 });
const amount = fc.integer({ min: 0, max: 9 });
const window = fc.constantFrom("minute", "hour", "total");
const operators = fc.oneof(
  fc.record({ max: amount }),
  fc.record({ min: amount }),
  fc.record({ eq: amount }),
  fc.record({ in: fc.array(amount, { minLength: 1, maxLength: 3 }) }),
  fc.constant({ absent: true }),
  fc.record({ absent: fc.constant(true), max: amount }),
);

/** Caveats that minting takes. */
const sound = fc
  .oneof(
    fc.record({ exp: fc.integer({ min: 400, max: 1200 }) }),
    fc.record({ nbf: fc.integer({ min: 0, max: 600 }) }),
    fc.record({ aud: fc.constantFrom<unknown>("here", ["here"], ["here", "x"], "there") }),
    fc.record({ actions }),
    fc.record({ tools: patterns }),
    fc.record({ not_tools: patterns }),
    fc.record({ args: fc.dictionary(pattern, fc.dictionary(fc.constantFrom("/x", "/y"), operators)) }),
    fc.record({ http: fc.dictionary(fc.constantFrom("u", "v", "*"), fc.array(requests, { maxLength: 2 })) }),
    fc.record({ calls: amount }),
    fc.record({ calls: fc.record({ limit: amount, window }) }),
    fc.record({ budget: fc.record({ unit: fc.constant("calls"), window, limit: amount }) }),
    fc.record({ depth: fc.integer({ min: 0, max: 3 }) }),
    fc.record({ net: fc.uniqueArray(network, { maxLength: 3 }) }),
    fc.record({ rate: fc.record({ limit: fc.integer({ min: 1, max: 9 }), per: fc.constantFrom("second", "hour") }) }),
  )
  .map((value) => JSON.stringify(value));

/** Whatever a holder may append: sound ones, new nodes, later times, unknown kinds, garbage. */
const anything = fc.oneof(
  { weight: 6, arbitrary: sound },
  { weight: 2, arbitrary: fc.constantFrom('{"id":"a"}', '{"id":"b"}') },
  { weight: 1, arbitrary: seconds.map((exp) => `{"exp":${exp + 1000}}`) },
  { weight: 1, arbitrary: fc.constantFrom('{"grant":"all"}', "{}", "", '{"id":1}', '{"exp":9e9}', '{"v":1}') },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
);

const attempt = fc.record({
  action: fc.constantFrom(...ACTIONS),
  upstream: fc.constantFrom("u", "v"),
  tool: fc.constantFrom("a", "b", "a/b"),
  method: fc.constantFrom("GET", "POST"),
  path: fc.constantFrom("/a", "/a/x", "/b"),
  args: fc.constantFrom("{}", '{"x":3}', '{"x":7,"y":2}', '{"X":1}'),
  audience: fc.constantFrom("here", "there"),
  nowMs: fc.integer({ min: 0, max: 1_200_000 }),
  address: fc.constantFrom(undefined, "10.1.2.3", "10.9.9.9", "::ffff:10.1.2.3", "192.0.2.7", "2001:db8::1", "2a00::1"),
});
type Attempt = typeof attempt extends fc.Arbitrary<infer T> ? T : never;

function clear(token: VerifiedToken, at: Attempt): Clearing {
  const args = parseStrictJsonText(at.args);
  if (args.kind === "fault") throw new Error(args.detail);
  const request: AccessRequest = {
    subject: { agentId: "a1", principalId: "p1", actorChain: ["a1"] },
    action: at.action,
    resource: {
      upstream: at.upstream,
      kind: "tool",
      name: at.tool,
      definitionDigest: "",
      ...(at.action === "http.request" ? { http: { method: at.method, path: at.path, query: "" } } : {}),
    },
    context: {
      callId: "",
      protocol: "mcp",
      timeMs: at.nowMs,
      arguments: args.value as JsonObject, // objects all
      ...(at.address === undefined ? {} : { address: at.address }),
    },
  };
  return clearCaveats(token, { request, audience: at.audience, nowMs: at.nowMs });
}

test("R-NARROW-1 I4 trap-03 appending any caveats never clears what was prohibited, nor raises a limit or a time", () => {
  let clearedBefore = 0;
  let clearedAfter = 0;
  fc.assert(
    fc.property(
      fc.array(sound, { maxLength: 4 }),
      fc.array(anything, { minLength: 1, maxLength: 5 }),
      fc.array(attempt, { minLength: 1, maxLength: 4 }),
      (minted, added, attempts) => {
        const text = makeToken(minted);
        const parent = verified(text);
        const child = verified(append(text, added));
        for (const at of attempts) {
          const before = clear(parent, at);
          const after = clear(child, at);
          if (before.kind === "cleared") clearedBefore += 1;
          if (after.kind === "prohibited") {
            // No caveat, however odd, makes a check throw.
            expect(after.reason).not.toBe("caveat_failed");
            continue;
          }
          clearedAfter += 1;
          if (before.kind === "prohibited") throw new Error(`${before.reason} was lifted`);
          expect(after.validUntilMs).toBeLessThanOrEqual(before.validUntilMs);
          for (const limit of before.limits) {
            const same = after.limits.find((one) => one.node === limit.node && one.window === limit.window);
            expect(same?.limit ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(limit.limit);
          }
          for (const rate of before.rates) {
            const same = after.rates.find((one) => one.node === rate.node && one.per === rate.per);
            expect(same?.limit ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(rate.limit);
          }
        }
        for (const [upstream, tool] of [["u", "a"] as const, ["u", "b"] as const, ["v", "a"] as const]) {
          if (listsTool(parent, upstream, tool) === "hidden") expect(listsTool(child, upstream, tool)).toBe("hidden");
        }
        const depth = remainingDepth(parent);
        if (depth !== undefined) expect(remainingDepth(child) ?? depth + 1).toBeLessThanOrEqual(depth);
        expect(child.path.slice(0, parent.path.length)).toEqual(parent.path);
        expect(child.agentId).toBe(parent.agentId);
      },
    ),
    { numRuns: 20_000 },
  );
  // The property would hold for a function that prohibits everything; this one does not.
  expect(clearedBefore).toBeGreaterThan(1_000);
  expect(clearedAfter).toBeGreaterThan(300);
});

test("trap-54 decoding arbitrary text gives a token or malformed, and a token has one spelling", () => {
  const base = makeToken([]);
  const mutated = fc
    .tuple(fc.nat(base.length - 1), fc.constantFrom("", "A", "_", "-", "=", "+", "b0", " "), fc.nat(2))
    .map(([at, piece, removed]) => base.slice(0, at) + piece + base.slice(at + removed));
  const bytes = fc.uint8Array({ maxLength: 80 }).map((raw) => `writ_${Buffer.from(raw).toString("base64url")}`);
  let decoded = 0;
  fc.assert(
    fc.property(fc.oneof(mutated, bytes, fc.string({ unit: "binary" })), (text) => {
      const decoding = decodeToken(text);
      if (decoding.kind === "malformed") return;
      decoded += 1;
      expect(encodeToken(decoding.token.unverifiedParts)).toBe(text);
    }),
    { numRuns: 20_000 },
  );
  expect(decoded).toBeGreaterThan(100);
});

test("any change of a byte of a token is malformed or fails its signature", () => {
  const bytes = Buffer.from(makeToken(['{"calls":5}']).slice(5), "base64url");
  for (let at = 0; at < bytes.length; at += 1) {
    for (const mask of [1, 0x80]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ mask;
      const decoding = decodeToken(`writ_${changed.toString("base64url")}`);
      if (decoding.kind === "malformed") continue;
      expect(verifyToken(tokenHash, rootKey, decoding.token).kind).toBe("rejected");
    }
  }
});

test("attenuation always opens a node of its own below the parent's", () => {
  fc.assert(
    fc.property(fc.array(sound, { maxLength: 3 }), fc.string({ minLength: 1, maxLength: 20 }), (caveats, id) => {
      const parent = makeToken([]);
      const result = attenuateToken(tokenHash, parent, { id, caveats });
      if (result.kind !== "attenuated") throw new Error(result.detail);
      const token = verified(result.token);
      expect(token.path).toEqual([...verified(parent).path, result.node]);
      expect(result.parent).toBe(token.rootNode);
      expect(token.segments[1]?.caveats.map((caveat) => caveat.text)).toEqual([JSON.stringify({ id }), ...caveats]);
    }),
    { numRuns: 1_000 },
  );
});
