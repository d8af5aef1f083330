/** The signature algorithms of JSON Web Signatures (RFC 7518, RFC 8037), and which keys each takes. */
import type { Cryptography, HashAlgorithm, SignatureScheme } from "../builtins/builtin.ts";
import { equalBytes } from "../bytes.ts";
import type { Curve, PublicKey } from "../x509/keys.ts";

export type JwsAlgorithm =
  | { readonly name: string; readonly kind: "hmac"; readonly hash: HashAlgorithm }
  | { readonly name: string; readonly kind: "rsa_pkcs1" | "rsa_pss"; readonly hash: HashAlgorithm }
  | { readonly name: string; readonly kind: "ecdsa"; readonly hash: HashAlgorithm; readonly curve: Curve }
  | { readonly name: string; readonly kind: "ed25519" };

const ALGORITHMS: readonly JwsAlgorithm[] = [
  { name: "HS256", kind: "hmac", hash: "sha256" },
  { name: "HS384", kind: "hmac", hash: "sha384" },
  { name: "HS512", kind: "hmac", hash: "sha512" },
  { name: "RS256", kind: "rsa_pkcs1", hash: "sha256" },
  { name: "RS384", kind: "rsa_pkcs1", hash: "sha384" },
  { name: "RS512", kind: "rsa_pkcs1", hash: "sha512" },
  { name: "PS256", kind: "rsa_pss", hash: "sha256" },
  { name: "PS384", kind: "rsa_pss", hash: "sha384" },
  { name: "PS512", kind: "rsa_pss", hash: "sha512" },
  { name: "ES256", kind: "ecdsa", hash: "sha256", curve: "P-256" },
  { name: "ES384", kind: "ecdsa", hash: "sha384", curve: "P-384" },
  { name: "ES512", kind: "ecdsa", hash: "sha512", curve: "P-521" },
  { name: "EdDSA", kind: "ed25519" },
];

export const ALGORITHMS_BY_NAME: ReadonlyMap<string, JwsAlgorithm> = new Map(
  ALGORITHMS.map((algorithm) => [algorithm.name, algorithm]),
);

/** How a signature of the algorithm is made; undefined for those with a shared secret. */
export function schemeOf(algorithm: JwsAlgorithm): SignatureScheme | undefined {
  switch (algorithm.kind) {
    case "hmac":
      return undefined;
    case "rsa_pkcs1":
    case "rsa_pss":
      return { kind: algorithm.kind, hash: algorithm.hash };
    case "ecdsa":
      return { kind: "ecdsa", hash: algorithm.hash, encoding: "raw" };
    case "ed25519":
      return { kind: "ed25519" };
  }
}

/** Whether the holder of a public key signed; a key of another kind, or for another curve, verifies nothing. */
export function isSignedBy(
  cryptography: Cryptography,
  algorithm: JwsAlgorithm,
  key: PublicKey,
  signed: { readonly bytes: Uint8Array; readonly signature: Uint8Array },
): boolean {
  const scheme = schemeOf(algorithm);
  if (scheme === undefined) return false;
  const fits =
    algorithm.kind === "ecdsa"
      ? key.kind === "ec" && key.curve === algorithm.curve
      : key.kind === (algorithm.kind === "ed25519" ? "ed25519" : "rsa");
  return fits && cryptography.verify(scheme, key.spki, signed.bytes, signed.signature);
}

/** Whether a holder of the shared secret signed. */
export function isSignedWith(
  cryptography: Cryptography,
  hash: HashAlgorithm,
  secret: Uint8Array,
  signed: { readonly bytes: Uint8Array; readonly signature: Uint8Array },
): boolean {
  return equalBytes(cryptography.hmac(hash, secret, signed.bytes), signed.signature);
}
