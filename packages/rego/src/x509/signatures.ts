/** The algorithms with which certificates are signed, and the purposes they are for, in Go's numbers. */
import type { HashAlgorithm, SignatureScheme } from "../builtins/builtin.ts";
import type { AlgorithmId } from "./certificate.ts";
import { DerFault, DerReader, TAG } from "./der.ts";

interface Signature {
  readonly number: number;
  /** Undefined where a signature of the algorithm convinces nobody any more. */
  readonly scheme: SignatureScheme | undefined;
}

const ecdsa = (hash: HashAlgorithm): SignatureScheme => ({ kind: "ecdsa", hash, encoding: "der" });
const rsa = (hash: HashAlgorithm): SignatureScheme => ({ kind: "rsa_pkcs1", hash });

const SIGNATURES: ReadonlyMap<string, Signature> = new Map([
  ["1.2.840.113549.1.1.4", { number: 2, scheme: undefined }],
  ["1.2.840.113549.1.1.5", { number: 3, scheme: undefined }],
  ["1.3.14.3.2.29", { number: 3, scheme: undefined }],
  ["1.2.840.113549.1.1.11", { number: 4, scheme: rsa("sha256") }],
  ["1.2.840.113549.1.1.12", { number: 5, scheme: rsa("sha384") }],
  ["1.2.840.113549.1.1.13", { number: 6, scheme: rsa("sha512") }],
  ["1.2.840.10040.4.3", { number: 7, scheme: undefined }],
  ["2.16.840.1.101.3.4.3.2", { number: 8, scheme: undefined }],
  ["1.2.840.10045.4.1", { number: 9, scheme: undefined }],
  ["1.2.840.10045.4.3.2", { number: 10, scheme: ecdsa("sha256") }],
  ["1.2.840.10045.4.3.3", { number: 11, scheme: ecdsa("sha384") }],
  ["1.2.840.10045.4.3.4", { number: 12, scheme: ecdsa("sha512") }],
  ["1.3.101.112", { number: 16, scheme: { kind: "ed25519" } }],
]);

const RSA_PSS = "1.2.840.113549.1.1.10";

const PSS_HASHES: ReadonlyMap<string, Signature> = new Map([
  ["2.16.840.1.101.3.4.2.1", { number: 13, scheme: { kind: "rsa_pss", hash: "sha256" } }],
  ["2.16.840.1.101.3.4.2.2", { number: 14, scheme: { kind: "rsa_pss", hash: "sha384" } }],
  ["2.16.840.1.101.3.4.2.3", { number: 15, scheme: { kind: "rsa_pss", hash: "sha512" } }],
]);

const UNKNOWN: Signature = { number: 0, scheme: undefined };

function signatureOf({ oid, parameters }: AlgorithmId): Signature {
  if (oid !== RSA_PSS) return SIGNATURES.get(oid) ?? UNKNOWN;
  if (parameters === undefined) return UNKNOWN;
  try {
    const hash = new DerReader(parameters.content).inside(0xa0).inside(TAG.sequence).oid();
    return PSS_HASHES.get(hash) ?? UNKNOWN;
  } catch (cause) {
    if (cause instanceof DerFault) return UNKNOWN; // parameters that cannot be read: an algorithm that is not known
    throw cause;
  }
}

export function signatureNumberOf(algorithm: AlgorithmId): number {
  return signatureOf(algorithm).number;
}

/** How to verify a signature of the algorithm; undefined when it is not known, or broken. */
export function signatureSchemeOf(algorithm: AlgorithmId): SignatureScheme | undefined {
  return signatureOf(algorithm).scheme;
}

/** Purposes in the order of Go's numbers. */
export const USAGES: readonly { readonly name: string; readonly oid: string }[] = [
  { name: "KeyUsageAny", oid: "2.5.29.37.0" },
  { name: "KeyUsageServerAuth", oid: "1.3.6.1.5.5.7.3.1" },
  { name: "KeyUsageClientAuth", oid: "1.3.6.1.5.5.7.3.2" },
  { name: "KeyUsageCodeSigning", oid: "1.3.6.1.5.5.7.3.3" },
  { name: "KeyUsageEmailProtection", oid: "1.3.6.1.5.5.7.3.4" },
  { name: "KeyUsageIPSECEndSystem", oid: "1.3.6.1.5.5.7.3.5" },
  { name: "KeyUsageIPSECTunnel", oid: "1.3.6.1.5.5.7.3.6" },
  { name: "KeyUsageIPSECUser", oid: "1.3.6.1.5.5.7.3.7" },
  { name: "KeyUsageTimeStamping", oid: "1.3.6.1.5.5.7.3.8" },
  { name: "KeyUsageOCSPSigning", oid: "1.3.6.1.5.5.7.3.9" },
  { name: "KeyUsageMicrosoftServerGatedCrypto", oid: "1.3.6.1.4.1.311.10.3.3" },
  { name: "KeyUsageNetscapeServerGatedCrypto", oid: "2.16.840.1.113730.4.1" },
  { name: "KeyUsageMicrosoftCommercialCodeSigning", oid: "1.3.6.1.4.1.311.2.1.22" },
  { name: "KeyUsageMicrosoftKernelCodeSigning", oid: "1.3.6.1.4.1.311.61.1.1" },
];
