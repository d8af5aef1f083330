/**
 * Describe: a token for people to read, without its signature. What nobody has verified says so in every name.
 */
import type { DecodedToken } from "./decode-token.ts";
import type { TokenHash } from "./token-hash.ts";
import { readSegments, type VerifiedToken } from "./verify-token.ts";

export interface SegmentDescription {
  readonly node: string;
  readonly caveats: readonly CaveatDescription[];
}

export interface CaveatDescription {
  /** "" when the bytes are not UTF-8. */
  readonly text: string;
  /** How clearing reads it; `unknown` and `malformed` prohibit every call. */
  readonly kind: string;
  /** Why it is malformed, or "". */
  readonly detail: string;
}

export type TokenDescription =
  | {
      readonly kind: "verified";
      readonly keyId: string;
      readonly tenantId: string;
      readonly agentId: string;
      readonly principalId: string;
      readonly issuedAtMs: number;
      readonly expiresAtMs: number;
      readonly path: readonly string[];
      readonly segments: readonly SegmentDescription[];
    }
  | {
      readonly kind: "unverified";
      readonly unverifiedKeyId: string;
      readonly unverifiedTenantId: string;
      readonly unverifiedAgentId: string;
      readonly unverifiedPrincipalId: string;
      readonly unverifiedIssuedAtMs: number;
      readonly unverifiedPath: readonly string[];
      readonly unverifiedSegments: readonly SegmentDescription[];
    };

export function describeToken(hash: TokenHash, token: VerifiedToken | DecodedToken): TokenDescription {
  if ("unverifiedParts" in token) {
    const segments = readSegments(hash, token);
    return {
      kind: "unverified",
      unverifiedKeyId: token.unverifiedKeyId,
      unverifiedTenantId: token.unverifiedTenantId,
      unverifiedAgentId: token.unverifiedAgentId,
      unverifiedPrincipalId: token.unverifiedPrincipalId,
      unverifiedIssuedAtMs: token.unverifiedIssuedAtMs,
      unverifiedPath: segments.map((segment) => segment.node),
      unverifiedSegments: segments.map(describeSegment),
    };
  }
  const { keyId, tenantId, agentId, principalId, issuedAtMs, expiresAtMs, path, segments } = token;
  return {
    kind: "verified",
    keyId,
    tenantId,
    agentId,
    principalId,
    issuedAtMs,
    expiresAtMs,
    path,
    segments: segments.map(describeSegment),
  };
}

function describeSegment({ node, caveats }: VerifiedToken["segments"][number]): SegmentDescription {
  return {
    node,
    caveats: caveats.map(({ text, meaning }) => ({
      text,
      kind: meaning.kind,
      detail: meaning.kind === "malformed" ? meaning.detail : "",
    })),
  };
}
