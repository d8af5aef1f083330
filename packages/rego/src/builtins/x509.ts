/**
 * Built-ins on X.509: `crypto.x509.…` and `crypto.parse_private_keys`. Reading and verifying is in ../x509; here is what
 * the built-ins take for a certificate or a key.
 */
import { base64Of, readBase64, textOfUtf8 } from "../bytes.ts";
import { bigintOfNumber } from "../number.ts";
import { ANY, arrayOf, BOOLEAN, dictionaryOf, STRING, tupleOf } from "../types.ts";
import { isArray, isNumber, isSet, type PlainObject, sortedEntries, type Value } from "../value.ts";
import { type Certificate, readCertificateRequest, readCertificates } from "../x509/certificate.ts";
import { DerFault } from "../x509/der.ts";
import { certificateValue, privateKeyValue, requestValue, rsaJwkValue } from "../x509/go-json.ts";
import { type PrivateKey, readPkcs1, readPkcs8, readSec1 } from "../x509/keys.ts";
import { type PemBlock, readPem, readPemBlocks } from "../x509/pem.ts";
import { USAGES } from "../x509/signatures.ts";
import { verifyChain } from "../x509/verify-chain.ts";
import {
  type Builtin,
  type BuiltinEnvironment,
  builtin,
  builtinError,
  objectOperand,
  stringOperand,
} from "./builtin.ts";

const OBJECT = dictionaryOf(STRING, ANY);

/** Bytes that are read for one step. */
const BYTES_PER_STEP = 20;

export const X509: readonly Builtin[] = [
  builtin("crypto.x509.parse_certificates", [STRING], arrayOf(OBJECT), (environment, text) =>
    withFaults(() => certificatesOf(environment, stringOperand(text, 1)).map(certificateValue)),
  ),
  builtin(
    "crypto.x509.parse_and_verify_certificates",
    [STRING],
    tupleOf([BOOLEAN, arrayOf(OBJECT)]),
    (environment, text) => verify(environment, stringOperand(text, 1), {}),
  ),
  builtin(
    "crypto.x509.parse_and_verify_certificates_with_options",
    [STRING, OBJECT],
    tupleOf([BOOLEAN, arrayOf(OBJECT)]),
    (environment, text, options) => verify(environment, stringOperand(text, 1), verifyOptionsOf(options)),
  ),
  builtin("crypto.x509.parse_certificate_request", [STRING], OBJECT, (environment, text) =>
    withFaults(() => {
      const source = pemOrBase64(environment, stringOperand(text, 1));
      if (typeof source !== "string") return requestValue(readCertificateRequest(source));
      const block = readPem(source);
      if (block?.label !== "CERTIFICATE REQUEST") throw builtinError("invalid PEM-encoded certificate signing request");
      return requestValue(readCertificateRequest(block.bytes));
    }),
  ),
  builtin("crypto.x509.parse_keypair", [STRING, STRING], OBJECT, (environment, certificates, key) =>
    withFaults(() => keyPairOf(environment, stringOperand(certificates, 1), stringOperand(key, 2))),
  ),
  builtin("crypto.x509.parse_rsa_private_key", [STRING], OBJECT, (environment, text) =>
    withFaults(() => {
      const source = pemOrBase64(environment, stringOperand(text, 1));
      if (typeof source !== "string") return rsaJwkValue(readPkcs1(source));
      const block = readPem(source);
      const key = block === undefined ? undefined : privateKeyOf(block);
      if (key === undefined) throw builtinError("failed to parse PEM block containing the key");
      return rsaJwkValue(key);
    }),
  ),
  builtin("crypto.parse_private_keys", [STRING], arrayOf(OBJECT), (environment, text) =>
    withFaults(() => {
      const source = stringOperand(text, 1);
      if (source === "") return null;
      return privateKeysOf(environment, source).map(privateKeyValue);
    }),
  ),
];

/** Bytes that are not what they should be are an error of the built-in. */
function withFaults<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof DerFault) throw builtinError(cause.message);
    throw cause;
  }
}

/** A text in PEM, or what is in base64 instead: a text in PEM too, or else DER. */
function pemOrBase64(environment: BuiltinEnvironment, text: string): string | Uint8Array {
  environment.spend(Math.ceil(text.length / BYTES_PER_STEP));
  if (text.startsWith("-----BEGIN")) return text;
  const read = readBase64(text);
  if (read.kind === "fault") throw builtinError(read.message);
  const inner = textOfUtf8(read.bytes.subarray(0, 10));
  return inner.startsWith("-----BEGIN") ? textOfUtf8(read.bytes) : read.bytes;
}

function certificatesOf(environment: BuiltinEnvironment, text: string): readonly Certificate[] {
  const source = pemOrBase64(environment, text);
  if (typeof source !== "string") return readCertificates(source);
  return readPemBlocks(source).flatMap(({ label, bytes }) => {
    if (label !== "CERTIFICATE") throw builtinError(`PEM block type is '${label}', expected CERTIFICATE`);
    return readCertificates(bytes);
  });
}

interface VerifyOptions {
  readonly time?: bigint;
  readonly dnsName?: string;
  readonly usages?: readonly string[];
}

function verifyOptionsOf(value: Value): VerifyOptions {
  let options: VerifyOptions = {};
  for (const [name, option] of sortedEntries(objectOperand(value, 2))) {
    switch (name) {
      case "DNSName":
        if (typeof option !== "string") throw builtinError("'DNSName' should be a string");
        options = { ...options, dnsName: option };
        break;
      case "CurrentTime": {
        if (!isNumber(option)) throw builtinError("'CurrentTime' should be a number");
        const time = bigintOfNumber(option);
        if (time === undefined) throw builtinError("'CurrentTime' should be a valid int64 number");
        options = { ...options, time };
        break;
      }
      case "MaxConstraintComparisons":
        if (!isNumber(option)) throw builtinError("'MaxConstraintComparisons' should be a number");
        break;
      case "KeyUsages":
        options = { ...options, usages: usagesOf(option) };
        break;
      default:
        throw builtinError("invalid key option");
    }
  }
  return options;
}

function usagesOf(value: Value): readonly string[] {
  const list = isArray(value) ? value : isSet(value) ? value.sorted() : undefined;
  if (list === undefined) throw builtinError("'KeyUsages' should be an Array or Set");
  const names = list.filter((item) => typeof item === "string");
  const unknown = names.filter((item) => !USAGES.some(({ name }) => name === item));
  if (unknown.length > 0) throw builtinError(`invalid entries for 'KeyUsages' found: [${unknown.join(" ")}]`);
  return USAGES.filter(({ name }) => names.includes(name)).map(({ oid }) => oid);
}

const UNVERIFIED: Value = [false, []];

/** The first certificate is the root, the last the one that is asked about; what cannot be read is not verified. */
function verify(environment: BuiltinEnvironment, text: string, options: VerifyOptions): Value {
  const certificates = readOrNone(() => certificatesOf(environment, text));
  const [root, ...others] = certificates;
  const leaf = others.pop();
  if (root === undefined || leaf === undefined) return UNVERIFIED;
  const usages = options.usages ?? [];
  const chain = verifyChain(
    environment.cryptography(),
    {
      leaf,
      roots: [root],
      intermediates: others,
      time: Number((options.time ?? environment.timeNs()) / 1_000_000_000n),
      dnsName: options.dnsName ?? "",
      // What is asked for by default is that of a server.
      usages: usages.length > 0 ? usages : ["1.3.6.1.5.5.7.3.1"],
    },
    (steps) => environment.spend(steps),
  );
  return chain === undefined ? UNVERIFIED : [true, chain.map(certificateValue)];
}

function readOrNone(read: () => readonly Certificate[]): readonly Certificate[] {
  try {
    return withFaults(read);
  } catch (cause) {
    if (isFault(cause)) return [];
    throw cause;
  }
}

function isFault(cause: unknown): boolean {
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === "eval_builtin_error";
}

/** The private key of a block; undefined when it is none. */
function privateKeyOf({ label, bytes }: PemBlock): PrivateKey | undefined {
  switch (label) {
    case "RSA PRIVATE KEY":
      return readPkcs1(bytes);
    case "EC PRIVATE KEY":
      return readSec1(bytes);
    case "PRIVATE KEY":
      return readPkcs8(bytes);
    default:
      return undefined;
  }
}

function privateKeysOf(environment: BuiltinEnvironment, text: string): readonly PrivateKey[] {
  environment.spend(Math.ceil(text.length / BYTES_PER_STEP));
  const read = text.startsWith("-----BEGIN") ? undefined : readBase64(text);
  const pem = read?.kind === "bytes" ? textOfUtf8(read.bytes) : text;
  return readPemBlocks(pem).flatMap((block) => privateKeyOf(block) ?? []);
}

/** The first private key of a text in PEM, or the one in base64 of DER, whatever its form. */
function firstPrivateKeyOf(environment: BuiltinEnvironment, text: string): PrivateKey {
  const source = pemOrBase64(environment, text);
  if (typeof source === "string") {
    const [key] = privateKeysOf(environment, source);
    if (key === undefined) throw builtinError("tls: failed to find any PEM data in key input");
    return key;
  }
  for (const read of [readPkcs1, readPkcs8, readSec1]) {
    try {
      return read(source);
    } catch (cause) {
      if (!(cause instanceof DerFault)) throw cause; // bytes in another form: the next may be theirs
    }
  }
  throw builtinError("tls: failed to parse private key");
}

/** A certificate with its key, as Go's package tls has them. */
function keyPairOf(environment: BuiltinEnvironment, certificates: string, key: string): PlainObject {
  const chain = certificatesOf(environment, certificates);
  const [leaf] = chain;
  if (leaf === undefined) throw builtinError("tls: failed to find any PEM data in certificate input");
  const secret = firstPrivateKeyOf(environment, key);
  if (!isPair(leaf, secret)) throw builtinError("tls: private key does not match public key");
  return {
    Certificate: chain.map(({ raw }) => base64Of(raw)),
    PrivateKey: privateKeyValue(secret),
    SupportedSignatureAlgorithms: null,
    OCSPStaple: null,
    SignedCertificateTimestamps: null,
    Leaf: certificateValue(leaf),
  };
}

/** Whether the numbers that both have are the same; for Ed25519 the certificate's key is not in the private one. */
function isPair({ publicKey }: Certificate, secret: PrivateKey): boolean {
  switch (publicKey.kind) {
    case "rsa":
      return secret.kind === "rsa" && secret.modulus === publicKey.modulus;
    case "ec":
      return secret.kind === "ec" && secret.x === publicKey.x && secret.y === publicKey.y;
    case "ed25519":
      return secret.kind === "ed25519";
    case "other":
      return false;
  }
}
