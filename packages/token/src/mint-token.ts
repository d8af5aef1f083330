/**
 * Mint: make a root token from a root key. Refuses every caveat that clearing could not enforce, so that nobody
 * relies on a restriction that is not one. Who may mint, and for how long, is not decided here.
 */
import type { Reason } from "@writ/contract";
import { encodeToken, TOKEN_CAVEATS_MAX, TOKEN_LENGTH_MAX } from "./decode-token.ts";
import { nodeOf } from "./node-path.ts";
import { parseCaveatText } from "./parse-caveat.ts";
import { signCaveat, signIdentifier } from "./sign-token.ts";
import type { TokenHash } from "./token-hash.ts";
import { identifierFlaw, type TokenIdentifier, writeIdentifier } from "./token-identifier.ts";

export interface MintOptions {
  readonly keyId: string;
  /** At least 32 random bytes. */
  readonly rootKey: Uint8Array;
  readonly tenantId: string;
  /** 16 random bytes as lower-case hexadecimal. */
  readonly id: string;
  readonly agentId: string;
  readonly principalId: string;
  /** Kept in whole seconds. */
  readonly issuedAtMs: number;
  /** JSON texts; at least one `exp` and one `aud`, no `id`. */
  readonly caveats: readonly string[];
}

export type Minting = { readonly kind: "minted"; readonly token: string; readonly node: string } | CaveatRefusal;

/** Why caveats are not put into a token. */
export interface CaveatRefusal {
  readonly kind: "refused";
  readonly reason: Reason;
  readonly detail: string;
}

const ROOT_KEY_BYTES_MIN = 32;
const encoder = new TextEncoder();

export function mintToken(hash: TokenHash, options: MintOptions): Minting {
  const identifier: TokenIdentifier = {
    keyId: options.keyId,
    tenantId: options.tenantId,
    id: options.id,
    agentId: options.agentId,
    principalId: options.principalId,
    issuedAtSeconds: Math.floor(options.issuedAtMs / 1000),
  };
  const flaw = identifierFlaw(identifier);
  if (flaw !== undefined) throw new TypeError(`mintToken: ${flaw}`);
  if (options.rootKey.length < ROOT_KEY_BYTES_MIN) throw new TypeError("mintToken: a root key has at least 32 bytes");

  const refusal = refuseCaveats(options.caveats);
  if (refusal !== undefined) return refusal;
  const kinds = new Set(options.caveats.map((text) => parseCaveatText(text).meaning.kind));
  if (!kinds.has("exp")) return refused("caveat_malformed", "a token needs an exp caveat");
  if (!kinds.has("aud")) return refused("token_audience", "a token needs an aud caveat");

  const identifierBytes = encoder.encode(writeIdentifier(identifier));
  const caveats = options.caveats.map((text) => encoder.encode(text));
  let signature = signIdentifier(hash, options.rootKey, identifierBytes);
  for (const caveat of caveats) signature = signCaveat(hash, signature, caveat);
  const token = encodeToken({ identifier: identifierBytes, caveats, signature });
  return refuseSize(token, caveats.length) ?? { kind: "minted", token, node: nodeOf(hash, undefined, options.id) };
}

/** The refusal of the first caveat that clearing could not enforce, if there is one. */
export function refuseCaveats(caveats: readonly string[]): CaveatRefusal | undefined {
  for (const [index, text] of caveats.entries()) {
    const { meaning } = parseCaveatText(text);
    const place = `caveat ${index + 1}`;
    if (meaning.kind === "unknown") return refused("caveat_unknown", `${place}: no gateway would enforce this kind`);
    if (meaning.kind === "malformed") return refused("caveat_malformed", `${place}: ${meaning.detail}`);
    if (meaning.kind === "id") return refused("caveat_malformed", `${place}: id is set by attenuation alone`);
  }
  return undefined;
}

/** The refusal of a token that no gateway would read for its size. */
export function refuseSize(token: string, caveats: number): CaveatRefusal | undefined {
  if (caveats > TOKEN_CAVEATS_MAX) return refused("token_malformed", `more than ${TOKEN_CAVEATS_MAX} caveats`);
  if (token.length > TOKEN_LENGTH_MAX) return refused("token_malformed", `longer than ${TOKEN_LENGTH_MAX} characters`);
  return undefined;
}

function refused(reason: Reason, detail: string): CaveatRefusal {
  return { kind: "refused", reason, detail };
}
