/**
 * Keys: public ones as certificates, PEM and JWK have them, all turned into SubjectPublicKeyInfo (RFC 5280), which is what
 * `Cryptography` takes; private ones as PKCS #1, PKCS #8 and SEC 1 have them, in parts. No cryptography happens here.
 */
import { readBase64Url } from "../bytes.ts";
import {
  bigintOfBytes,
  bytesOfBigint,
  contextTag,
  DerFault,
  DerReader,
  INTEGER_BYTES_MAX,
  TAG,
  writeBits,
  writeDer,
  writeInteger,
  writeOid,
} from "./der.ts";

export type Curve = "P-224" | "P-256" | "P-384" | "P-521";

export type PublicKey =
  | { readonly kind: "rsa"; readonly modulus: bigint; readonly exponent: bigint; readonly spki: Uint8Array }
  | { readonly kind: "ec"; readonly curve: Curve; readonly x: bigint; readonly y: bigint; readonly spki: Uint8Array }
  | { readonly kind: "ed25519"; readonly bytes: Uint8Array; readonly spki: Uint8Array }
  /** One that nothing here uses. */
  | { readonly kind: "other"; readonly algorithm: string; readonly spki: Uint8Array };

export type PrivateKey =
  | {
      readonly kind: "rsa";
      readonly modulus: bigint;
      readonly exponent: bigint;
      readonly secret: bigint;
      readonly primes: readonly bigint[];
      /** Of the secret by each prime, and the inverse of the second prime. */
      readonly dp: bigint;
      readonly dq: bigint;
      readonly qi: bigint;
    }
  | { readonly kind: "ec"; readonly curve: Curve; readonly secret: bigint; readonly x: bigint; readonly y: bigint }
  | { readonly kind: "ed25519"; readonly seed: Uint8Array };

const RSA = "1.2.840.113549.1.1.1";
const EC = "1.2.840.10045.2.1";
const ED25519 = "1.3.101.112";

const CURVES: ReadonlyMap<string, Curve> = new Map([
  ["1.3.132.0.33", "P-224"],
  ["1.2.840.10045.3.1.7", "P-256"],
  ["1.3.132.0.34", "P-384"],
  ["1.3.132.0.35", "P-521"],
]);

/** Bytes of a coordinate. */
const CURVE_BYTES: Readonly<Record<Curve, number>> = { "P-224": 28, "P-256": 32, "P-384": 48, "P-521": 66 };

/** Reads SubjectPublicKeyInfo; throws `DerFault`. */
export function readSpki(spki: Uint8Array): PublicKey {
  const outer = new DerReader(spki);
  const sequence = outer.inside(TAG.sequence);
  outer.end();
  const algorithm = sequence.inside(TAG.sequence);
  const oid = algorithm.oid();
  const bits = sequence.bits();
  switch (oid) {
    case RSA: {
      const key = new DerReader(bits).inside(TAG.sequence);
      const modulus = key.integer();
      const exponent = key.integer();
      if (modulus <= 0n || exponent <= 0n) throw new DerFault("an RSA key of numbers that are not positive");
      return { kind: "rsa", modulus, exponent, spki };
    }
    case EC: {
      const curve = CURVES.get(algorithm.oid());
      if (curve === undefined) throw new DerFault("unsupported elliptic curve");
      return { kind: "ec", curve, ...pointOf(bits, curve), spki };
    }
    case ED25519:
      if (bits.length !== 32) throw new DerFault("wrong Ed25519 public key size");
      return { kind: "ed25519", bytes: bits, spki };
    default:
      return { kind: "other", algorithm: oid, spki };
  }
}

function pointOf(bits: Uint8Array, curve: Curve): { readonly x: bigint; readonly y: bigint } {
  const size = CURVE_BYTES[curve];
  if (bits[0] !== 4 || bits.length !== 1 + 2 * size) throw new DerFault("failed to unmarshal elliptic curve point");
  return { x: bigintOfBytes(bits.subarray(1, 1 + size)), y: bigintOfBytes(bits.subarray(1 + size)) };
}

function makeRsaKey(modulus: bigint, exponent: bigint): PublicKey {
  const algorithm = writeDer(TAG.sequence, writeOid(RSA), writeDer(TAG.null));
  const key = writeDer(TAG.sequence, writeInteger(bytesOfBigint(modulus)), writeInteger(bytesOfBigint(exponent)));
  return { kind: "rsa", modulus, exponent, spki: writeDer(TAG.sequence, algorithm, writeBits(key)) };
}

function makeEcKey(curve: Curve, x: bigint, y: bigint): PublicKey {
  const [oid = ""] = [...CURVES].find(([, name]) => name === curve) ?? [];
  const size = CURVE_BYTES[curve];
  const algorithm = writeDer(TAG.sequence, writeOid(EC), writeOid(oid));
  const point = Uint8Array.of(4, ...bytesOfBigint(x, size), ...bytesOfBigint(y, size));
  return { kind: "ec", curve, x, y, spki: writeDer(TAG.sequence, algorithm, writeBits(point)) };
}

function makeEd25519Key(bytes: Uint8Array): PublicKey {
  const algorithm = writeDer(TAG.sequence, writeOid(ED25519));
  return { kind: "ed25519", bytes, spki: writeDer(TAG.sequence, algorithm, writeBits(bytes)) };
}

/** The public key of a JWK (RFC 7517, RFC 8037), of a private one too; undefined when it has none. */
export function publicKeyOfJwk(jwk: Readonly<Record<string, unknown>>): PublicKey | undefined {
  switch (jwk["kty"]) {
    case "RSA": {
      const [n, e] = [jwkBytes(jwk["n"]), jwkBytes(jwk["e"])];
      if (n === undefined || e === undefined || Math.max(n.length, e.length) > INTEGER_BYTES_MAX) return undefined;
      const [modulus, exponent] = [bigintOfBytes(n), bigintOfBytes(e)];
      return modulus === 0n || exponent === 0n ? undefined : makeRsaKey(modulus, exponent);
    }
    case "EC": {
      const curve = [...CURVES.values()].find((name) => name === jwk["crv"]);
      const [x, y] = [jwkBytes(jwk["x"]), jwkBytes(jwk["y"])];
      if (curve === undefined || x === undefined || y === undefined) return undefined;
      if (x.length > CURVE_BYTES[curve] || y.length > CURVE_BYTES[curve]) return undefined;
      return makeEcKey(curve, bigintOfBytes(x), bigintOfBytes(y));
    }
    case "OKP": {
      const x = jwkBytes(jwk["x"]);
      return jwk["crv"] === "Ed25519" && x?.length === 32 ? makeEd25519Key(x) : undefined;
    }
    default:
      return undefined;
  }
}

/** A member of a JWK that is base64 for URLs. */
export function jwkBytes(member: unknown): Uint8Array | undefined {
  if (typeof member !== "string") return undefined;
  const read = readBase64Url(member);
  return read.kind === "bytes" ? read.bytes : undefined;
}

/** Reads PKCS #1 (RFC 8017, A.1.2); throws `DerFault`. */
export function readPkcs1(der: Uint8Array): PrivateKey {
  const outer = new DerReader(der);
  const key = outer.inside(TAG.sequence);
  outer.end();
  if (key.integer() !== 0n) throw new DerFault("an RSA key of more than two primes");
  const [modulus, exponent, secret] = [key.integer(), key.integer(), key.integer()];
  const primes = [key.integer(), key.integer()];
  return { kind: "rsa", modulus, exponent, secret, primes, dp: key.integer(), dq: key.integer(), qi: key.integer() };
}

/** Reads SEC 1 (RFC 5915); throws `DerFault`. `curve` is that of the structure around it. */
export function readSec1(der: Uint8Array, curve?: Curve): PrivateKey {
  const key = new DerReader(der).inside(TAG.sequence);
  if (key.integer() !== 1n) throw new DerFault("unknown EC private key version");
  const secret = bigintOfBytes(key.octets());
  const parameters = key.optional(contextTag(0, true));
  const named = parameters === undefined ? curve : CURVES.get(new DerReader(parameters.content).oid());
  if (named === undefined) throw new DerFault("unknown elliptic curve");
  const point = key.optional(contextTag(1, true));
  if (point === undefined) throw new DerFault("an EC private key without its public key");
  return { kind: "ec", curve: named, secret, ...pointOf(new DerReader(point.content).bits(), named) };
}

/** Reads PKCS #8 (RFC 5958); throws `DerFault`. */
export function readPkcs8(der: Uint8Array): PrivateKey {
  const key = new DerReader(der).inside(TAG.sequence);
  key.integer();
  const algorithm = key.inside(TAG.sequence);
  const oid = algorithm.oid();
  const octets = key.octets();
  switch (oid) {
    case RSA:
      return readPkcs1(octets);
    case EC:
      return readSec1(octets, CURVES.get(algorithm.oid()));
    case ED25519: {
      const seed = new DerReader(octets).octets();
      if (seed.length !== 32) throw new DerFault("an Ed25519 key of a wrong length");
      return { kind: "ed25519", seed };
    }
    default:
      throw new DerFault(`PKCS#8 wrapping contained private key with unknown algorithm: ${oid}`);
  }
}
