/**
 * The signature of a macaroon: a chain of HMACs from the root key over the identifier and every caveat. Derived as
 * libmacaroons does, so that other macaroon libraries given the same root key verify our tokens and we theirs.
 */
import type { TokenHash } from "./token-hash.ts";

const encoder = new TextEncoder();
const KEY_GENERATOR = encoder.encode("macaroons-key-generator");

/** The signature of a token without caveats. */
export function signIdentifier(hash: TokenHash, rootKey: Uint8Array, identifier: Uint8Array): Uint8Array {
  return hash.hmacSha256(hash.hmacSha256(KEY_GENERATOR, rootKey), identifier);
}

/** The signature after one more caveat. It needs the last signature only: this is what makes attenuation offline. */
export function signCaveat(hash: TokenHash, signature: Uint8Array, caveat: Uint8Array): Uint8Array {
  return hash.hmacSha256(signature, caveat);
}

/** Compares two signatures in time that depends on their length only. */
export function equalSignatures(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index += 1) difference |= (a[index] as number) ^ (b[index] as number); // within bounds
  return difference === 0;
}
