/**
 * The public keys with which a token may be verified, from one text: a certificate or a public key in PEM, a JSON Web Key,
 * or a set of them (RFC 7517).
 */
import { parseJson } from "../json.ts";
import { isArray, isObject, memberOf, type Value } from "../value.ts";
import { readCertificate } from "../x509/certificate.ts";
import { DerFault } from "../x509/der.ts";
import { type PublicKey, publicKeyOfJwk, readSpki } from "../x509/keys.ts";
import { readPem } from "../x509/pem.ts";

export interface VerificationKey {
  readonly key: PublicKey;
  /** The algorithm and the id that a JWK says it is for. */
  readonly algorithm: string | undefined;
  readonly id: string | undefined;
}

export type KeySetRead =
  | { readonly kind: "keys"; readonly keys: readonly VerificationKey[] }
  | { readonly kind: "fault"; readonly message: string };

export function readKeySet(text: string): KeySetRead {
  const block = readPem(text);
  if (block === undefined) return readJwks(text);
  if (block.rest !== "") return fault("extra data after a PEM certificate block");
  switch (block.label) {
    case "CERTIFICATE":
      return fromPem("certificate", () => readCertificate(block.bytes).publicKey);
    case "PUBLIC KEY":
      return fromPem("public key", () => readSpki(block.bytes));
    default:
      return fault("failed to extract a Key from the PEM certificate");
  }
}

function fault(message: string): KeySetRead {
  return { kind: "fault", message };
}

function fromPem(what: string, read: () => PublicKey): KeySetRead {
  try {
    return { kind: "keys", keys: [{ key: read(), algorithm: undefined, id: undefined }] };
  } catch (cause) {
    // Bytes that are no key are a fault; everything else is thrown on.
    if (cause instanceof DerFault) return fault(`failed to parse a PEM ${what}: ${cause.message}`);
    throw cause;
  }
}

function readJwks(text: string): KeySetRead {
  const bad = (why: string) => fault(`failed to parse a JWK key (set): ${why}`);
  const read = parseJson(text);
  if (read.kind === "fault") return bad(read.message);
  if (!isObject(read.value)) return bad("it is no object");
  const set = memberOf(read.value, "keys");
  if (set !== undefined && !isArray(set)) return bad("its keys are no array");
  const keys: VerificationKey[] = [];
  for (const jwk of set ?? [read.value]) {
    if (!isObject(jwk)) return bad("a key is no object");
    const members = jwk as Readonly<Record<string, Value>>; // of JSON, all keys are strings
    const key = publicKeyOfJwk(members);
    // A secret is no key that others could have signed for.
    if (key === undefined && members["kty"] === "oct") continue;
    if (key === undefined) return bad(`a key of type ${JSON.stringify(members["kty"] ?? null)} cannot be read`);
    keys.push({ key, algorithm: textOf(members["alg"]), id: textOf(members["kid"]) });
  }
  return { kind: "keys", keys };
}

function textOf(value: Value | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
