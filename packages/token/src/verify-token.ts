/**
 * Verify: the cryptographic check that a key holder made these bytes. It also reads the caveats and finds the nodes,
 * once, so that a gateway which keeps the `VerifiedToken` clears each call cheaply. It decides nothing about a call.
 */
import type { BudgetUnit, RatePeriod, Window } from "@writ/contract";
import { type DecodedToken, encodeToken } from "./decode-token.ts";
import { nodeOf } from "./node-path.ts";
import { type ParsedCaveat, parseCaveat } from "./parse-caveat.ts";
import { equalSignatures, signCaveat, signIdentifier } from "./sign-token.ts";
import { type TokenHash, toHex } from "./token-hash.ts";

const verified: unique symbol = Symbol("verified");

/** A node's part of a token: its `id` caveat (for the root: none) and every caveat up to the next `id`. */
export interface TokenSegment {
  /** 16 bytes as hex; see `nodeOf`. */
  readonly node: string;
  readonly caveats: readonly ParsedCaveat[];
}

/** A limit that a node's segment sets on its own counter of (unit, window). */
export interface NodeLimit {
  readonly node: string;
  readonly unit: BudgetUnit;
  readonly window: Window;
  readonly limit: number;
}

/** A limit that a node's segment sets on how often the node and all below it are used. */
export interface NodeRate {
  readonly node: string;
  readonly limit: number;
  readonly per: RatePeriod;
}

/** A token whose signature is that of the key it names. Only `verifyToken` makes one; what it permits is not judged. */
export interface VerifiedToken {
  readonly [verified]: true;
  readonly keyId: string;
  readonly tenantId: string;
  readonly agentId: string;
  readonly principalId: string;
  /** The identifier's time of issue; whole seconds, in milliseconds. */
  readonly issuedAtMs: number;
  readonly rootNode: string;
  /** Nodes from the root to the presenter's own; one for each segment. */
  readonly path: readonly string[];
  readonly segments: readonly TokenSegment[];
  /** The least `exp`; 0 when there is none, which clearing prohibits. */
  readonly expiresAtMs: number;
  /** The least limit of each (node, unit, window) that a `calls` or `budget` caveat names. */
  readonly limits: readonly NodeLimit[];
  /** The least limit of each (node, period) that a `rate` caveat names. */
  readonly rates: readonly NodeRate[];
  /** Whether any `net` caveat asks where it is presented from. */
  readonly namesNetworks: boolean;
  /** SHA-256 (hex) of the token's text, which itself is not kept. */
  readonly textDigest: string;
}

export type TokenCheck =
  | { readonly kind: "verified"; readonly token: VerifiedToken }
  | { readonly kind: "rejected"; readonly reason: "token_signature" };

const encoder = new TextEncoder();

/** Checks the signature under `rootKey`, which must be the key that the token names. Compares in constant time. */
export function verifyToken(hash: TokenHash, rootKey: Uint8Array, decoded: DecodedToken): TokenCheck {
  const parts = decoded.unverifiedParts;
  let signature = signIdentifier(hash, rootKey, parts.identifier);
  for (const caveat of parts.caveats) signature = signCaveat(hash, signature, caveat);
  if (!equalSignatures(signature, parts.signature)) return { kind: "rejected", reason: "token_signature" };

  const segments = readSegments(hash, decoded);
  const token: VerifiedToken = {
    [verified]: true,
    keyId: decoded.unverifiedKeyId,
    tenantId: decoded.unverifiedTenantId,
    agentId: decoded.unverifiedAgentId,
    principalId: decoded.unverifiedPrincipalId,
    issuedAtMs: decoded.unverifiedIssuedAtMs,
    rootNode: nodeOf(hash, undefined, decoded.unverifiedId),
    path: segments.map((segment) => segment.node),
    segments,
    expiresAtMs: leastExpiry(segments),
    limits: leastLimits(segments),
    rates: leastRates(segments),
    namesNetworks: segments.some(({ caveats }) => caveats.some(({ meaning }) => meaning.kind === "net")),
    textDigest: toHex(hash.sha256(encoder.encode(encodeToken(parts)))),
  };
  return { kind: "verified", token };
}

/** The segments of a token, verified or not; the first is the root's. */
export function readSegments(hash: TokenHash, decoded: DecodedToken): readonly TokenSegment[] {
  let node = nodeOf(hash, undefined, decoded.unverifiedId);
  let caveats: ParsedCaveat[] = [];
  const segments: TokenSegment[] = [{ node, caveats }];
  for (const bytes of decoded.unverifiedParts.caveats) {
    const caveat = parseCaveat(bytes);
    if (caveat.meaning.kind === "id") {
      node = nodeOf(hash, node, caveat.meaning.id);
      caveats = [];
      segments.push({ node, caveats });
    }
    caveats.push(caveat);
  }
  return segments;
}

function leastExpiry(segments: readonly TokenSegment[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const segment of segments) {
    for (const { meaning } of segment.caveats) {
      if (meaning.kind === "exp") least = Math.min(least, meaning.atMs);
    }
  }
  return Number.isFinite(least) ? least : 0;
}

function leastLimits(segments: readonly TokenSegment[]): readonly NodeLimit[] {
  const limits: NodeLimit[] = [];
  for (const { node, caveats } of segments) {
    for (const { meaning } of caveats) {
      if (meaning.kind !== "budget") continue;
      const { unit, window, limit } = meaning;
      const at = limits.findIndex((other) => other.node === node && other.unit === unit && other.window === window);
      const known = limits[at];
      if (known === undefined) limits.push({ node, unit, window, limit });
      else if (limit < known.limit) limits[at] = { node, unit, window, limit };
    }
  }
  return limits;
}

function leastRates(segments: readonly TokenSegment[]): readonly NodeRate[] {
  const rates: NodeRate[] = [];
  for (const { node, caveats } of segments) {
    for (const { meaning } of caveats) {
      if (meaning.kind !== "rate") continue;
      const { limit, per } = meaning;
      const at = rates.findIndex((other) => other.node === node && other.per === per);
      const known = rates[at];
      if (known === undefined) rates.push({ node, limit, per });
      else if (limit < known.limit) rates[at] = { node, limit, per };
    }
  }
  return rates;
}
