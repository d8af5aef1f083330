/** Built-ins of cryptography on texts: digests and message authentication codes. Certificates are in x509.ts. */
import { hexOf, utf8BytesOf } from "../bytes.ts";
import { BOOLEAN, STRING } from "../types.ts";
import { type Builtin, builtin, type HashAlgorithm, stringOperand } from "./builtin.ts";

export const CRYPTO: readonly Builtin[] = [
  ...(["md5", "sha1", "sha256"] as const).map((name) => digest(name)),
  ...(["md5", "sha1", "sha256", "sha512"] as const).map((name) => authenticationCode(name)),
  builtin("crypto.hmac.equal", [STRING, STRING], BOOLEAN, (_, a, b) =>
    equalInConstantTime(stringOperand(a, 1), stringOperand(b, 2)),
  ),
];

/** Bytes that are hashed for one step. */
const BYTES_PER_STEP = 100;

function digest(algorithm: HashAlgorithm): Builtin {
  return builtin(`crypto.${algorithm}`, [STRING], STRING, (environment, text) => {
    const bytes = utf8BytesOf(stringOperand(text, 1));
    environment.spend(Math.ceil(bytes.length / BYTES_PER_STEP));
    return hexOf(environment.cryptography().hash(algorithm, bytes));
  });
}

function authenticationCode(algorithm: HashAlgorithm): Builtin {
  return builtin(`crypto.hmac.${algorithm}`, [STRING, STRING], STRING, (environment, text, key) => {
    const bytes = utf8BytesOf(stringOperand(text, 1));
    const secret = utf8BytesOf(stringOperand(key, 2));
    environment.spend(Math.ceil((bytes.length + secret.length) / BYTES_PER_STEP));
    return hexOf(environment.cryptography().hmac(algorithm, secret, bytes));
  });
}

function equalInConstantTime(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index += 1) difference |= a.charCodeAt(index) ^ b.charCodeAt(index);
  return difference === 0;
}
