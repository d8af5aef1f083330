// The shared cases of cases/token: every implementation of tokens must reproduce them. Tokens for the clearing
// cases are signed by npm's `macaroon`, so that also what we would refuse to mint is judged.
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Action, type HttpResource, type JsonObject, parseStrictJsonText } from "@writ/contract";
import macaroon from "macaroon";
import { describe, expect, test } from "vitest";
import { clearCaveats } from "./clear-caveats.ts";
import { decodeToken, encodeToken } from "./decode-token.ts";
import { mintToken } from "./mint-token.ts";
import { makeTokenHash } from "./token-hash.ts";
import { type NodeLimit, type NodeRate, verifyToken } from "./verify-token.ts";

interface TokenCases {
  readonly rootKeyHex: string;
  readonly keyId: string;
  readonly tenantId: string;
  readonly agentId: string;
  readonly principalId: string;
  readonly issuedAtMs: number;
  readonly id: string;
  readonly tokens: readonly {
    readonly name: string;
    readonly token: string;
    readonly caveats: readonly string[];
    readonly path: readonly string[];
    readonly expiresAtMs: number;
    readonly textDigest: string;
    readonly limits: readonly NodeLimit[];
    readonly rates?: readonly NodeRate[];
  }[];
}

interface ClearingAttemptCase {
  readonly action: Action;
  readonly upstream: string;
  readonly tool: string;
  readonly arguments: string;
  readonly nowMs: number;
  readonly http?: HttpResource;
  readonly address?: string;
}

interface ClearingCases {
  readonly audience: string;
  readonly defaults: ClearingAttemptCase;
  readonly cases: readonly (Partial<ClearingAttemptCase> & {
    readonly name: string;
    readonly caveats: readonly string[];
    readonly newNodes?: number;
    readonly expect:
      | {
          readonly kind: "cleared";
          readonly validUntilMs: number;
          readonly limits: readonly { segment: number; unit: string; window: string; limit: number }[];
          readonly rates?: readonly { segment: number; limit: number; per: string }[];
        }
      | { readonly kind: "prohibited"; readonly reason: string; readonly hidden: boolean };
  })[];
}

function readCases<T>(name: string): T {
  const url = new URL(`../../../cases/token/${name}`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")) as T; // its shape is that of cases/token/schema.json
}

const tokenHash = makeTokenHash((data) => hash("sha256", data, "buffer"));
const vectors = readCases<TokenCases>("tokens.json");
const rootKey = Uint8Array.from(Buffer.from(vectors.rootKeyHex, "hex"));
const plain = vectors.tokens[0]?.token ?? "";

function verified(text: string) {
  const decoding = decodeToken(text);
  if (decoding.kind !== "decoded") throw new Error(decoding.detail);
  const check = verifyToken(tokenHash, rootKey, decoding.token);
  if (check.kind !== "verified") throw new Error(check.reason);
  return { decoded: decoding.token, token: check.token };
}

describe("tokens.json", () => {
  test.each(vectors.tokens)("$name is read as stated", (vector) => {
    const { decoded, token } = verified(vector.token);
    expect(token).toMatchObject({
      keyId: vectors.keyId,
      tenantId: vectors.tenantId,
      agentId: vectors.agentId,
      principalId: vectors.principalId,
      issuedAtMs: vectors.issuedAtMs,
      rootNode: vector.path[0],
      path: vector.path,
      expiresAtMs: vector.expiresAtMs,
      textDigest: vector.textDigest,
      limits: vector.limits,
      rates: vector.rates ?? [],
    });
    expect(token.segments.flatMap((segment) => segment.caveats.map((caveat) => caveat.text))).toEqual(vector.caveats);
    expect(encodeToken(decoded.unverifiedParts)).toBe(vector.token);
  });

  test("nodes are what the definition says", () => {
    const sha = (...parts: Buffer[]) => hash("sha256", Buffer.concat(parts), "hex").slice(0, 32);
    const name = Buffer.from("writ-node");
    const root = sha(name, Buffer.alloc(16), Buffer.from([0, 32]), Buffer.from(vectors.id));
    const child = sha(name, Buffer.from(root, "hex"), Buffer.from([0, 7]), Buffer.from("child-1"));
    const grandchild = sha(name, Buffer.from(child, "hex"), Buffer.from([0, 7]), Buffer.from("child-1"));
    expect(vectors.tokens[3]?.path).toEqual([root, child, grandchild]);
  });

  test("minting the same values gives the same text", () => {
    const { caveats, token, path } = vectors.tokens[1] ?? { caveats: [], token: "", path: [] };
    expect(mintToken(tokenHash, { ...vectors, rootKey, caveats })).toEqual({ kind: "minted", token, node: path[0] });
  });
});

describe("malformed.json: trap-54 a token has one spelling and the rest is malformed", () => {
  const { cases } = readCases<{ cases: { name: string; token: string; detail: string }[] }>("malformed.json");
  test.each(cases)("$name", ({ token, detail }) => {
    expect(decodeToken(token)).toEqual({ kind: "malformed", detail });
  });
});

describe("clearing.json: R-DENY-3 a token without this audience is prohibited, and each caveat means what is stated", () => {
  const clearing = readCases<ClearingCases>("clearing.json");
  const decodedPlain = verified(plain).decoded;

  test.each(clearing.cases)("$name", (row) => {
    const { identifier } = decodedPlain.unverifiedParts;
    const foreign = macaroon.newMacaroon({ identifier, rootKey });
    for (const caveat of row.caveats) foreign.addFirstPartyCaveat(caveat);
    const caveats = row.caveats.map((caveat) => new TextEncoder().encode(caveat));
    const { token } = verified(encodeToken({ identifier, caveats, signature: foreign.signature }));
    const attempt = { ...clearing.defaults, ...row };
    const args = parseStrictJsonText(attempt.arguments);
    if (args.kind === "fault") throw new Error(args.detail);

    const result = clearCaveats(token, {
      audience: clearing.audience,
      nowMs: attempt.nowMs,
      ...(row.newNodes === undefined ? {} : { newNodes: row.newNodes }),
      request: {
        subject: { agentId: token.agentId, principalId: token.principalId, actorChain: [token.agentId] },
        action: attempt.action,
        resource: {
          upstream: attempt.upstream,
          kind: attempt.http === undefined ? "tool" : "http",
          name: attempt.tool,
          definitionDigest: "",
          ...(attempt.http === undefined ? {} : { http: attempt.http }),
        },
        context: {
          callId: "",
          protocol: "mcp",
          timeMs: attempt.nowMs,
          arguments: args.value as JsonObject, // an object in every case
          ...(attempt.address === undefined ? {} : { address: attempt.address }),
        },
      },
    });

    if (result.kind === "cleared") {
      const bySegment = <T extends { readonly node: string }>({ node, ...rest }: T) => ({
        segment: token.path.indexOf(node),
        ...rest,
      });
      const { limits, rates, ...rest } = result;
      const told = { ...rest, limits: limits.map(bySegment), rates: rates.map(bySegment) };
      expect(told).toEqual({ rates: [], ...row.expect });
    } else {
      const { detail, ...rest } = result;
      expect(rest).toEqual(row.expect);
      expect(detail).not.toBe("");
    }
  });
});
