/**
 * Cryptography from Node, for programs that run there: `evaluate(…, { cryptography: nodeCryptography() })`. The one file
 * of this package that imports Node; the library itself does not know it.
 */
import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  hash,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import type { Cryptography, SignatureScheme } from "./builtins/builtin.ts";

export function nodeCryptography(): Cryptography {
  // Keys by the very arrays that came, which the engine keeps while it keeps the texts they were read from.
  const keys = new WeakMap<Uint8Array, KeyObject>();
  const keyOf = (spki: Uint8Array): KeyObject => {
    let key = keys.get(spki);
    if (key === undefined) {
      key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
      keys.set(spki, key);
    }
    return key;
  };
  return {
    hash: (algorithm, bytes) => hash(algorithm, bytes, "buffer"),
    hmac: (algorithm, key, bytes) => createHmac(algorithm, key).update(bytes).digest(),
    verify: (scheme, spki, bytes, signature) => {
      try {
        const salt = constants.RSA_PSS_SALTLEN_AUTO;
        return verify(hashOf(scheme), bytes, { key: keyOf(spki), ...optionsOf(scheme, salt) }, signature);
      } catch {
        return false; // a key or a signature that OpenSSL cannot use: a fault, and nothing is verified by it
      }
    },
    sign: (scheme, jwk, bytes) => {
      const key = createPrivateKey({ key: jwk, format: "jwk" });
      return sign(hashOf(scheme), bytes, { key, ...optionsOf(scheme, constants.RSA_PSS_SALTLEN_DIGEST) });
    },
  };
}

function hashOf(scheme: SignatureScheme): string | null {
  return scheme.kind === "ed25519" ? null : scheme.hash;
}

function optionsOf(scheme: SignatureScheme, saltLength: number): object {
  switch (scheme.kind) {
    case "rsa_pkcs1":
      return { padding: constants.RSA_PKCS1_PADDING };
    case "rsa_pss":
      return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
    case "ecdsa":
      return { dsaEncoding: scheme.encoding === "raw" ? "ieee-p1363" : "der" };
    case "ed25519":
      return {};
  }
}
