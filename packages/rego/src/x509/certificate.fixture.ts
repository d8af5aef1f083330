/** Makes certificates for tests: every part as asked for, right or wrong, signed with a key of the test's own. */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { base64Of, utf8BytesOf } from "../bytes.ts";
import { bytesOfBigint, contextTag, TAG, writeBits, writeDer, writeInteger, writeOid } from "./der.ts";

export interface Identity {
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export function makeIdentity(name: string): Identity {
  return { name, ...generateKeyPairSync("ec", { namedCurve: "P-256" }) };
}

export interface CertificateParts {
  readonly subject: Identity;
  readonly issuer: Identity;
  /** As GeneralizedTime. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly extensions?: readonly Uint8Array[];
  readonly serialNumber?: bigint;
  /** The private key that signs; the issuer's if not given. */
  readonly signer?: KeyObject;
}

const ECDSA_WITH_SHA256 = writeDer(TAG.sequence, writeOid("1.2.840.10045.4.3.2"));

export function makeCertificate(parts: CertificateParts): Uint8Array {
  const time = (text: string) => writeDer(TAG.generalizedTime, utf8BytesOf(text));
  const body = writeDer(
    TAG.sequence,
    writeDer(contextTag(0, true), writeInteger(Uint8Array.of(2))),
    writeInteger(bytesOfBigint(parts.serialNumber ?? 1n)),
    ECDSA_WITH_SHA256,
    writeName(parts.issuer.name),
    writeDer(TAG.sequence, time(parts.notBefore ?? "20240101000000Z"), time(parts.notAfter ?? "20250101000000Z")),
    writeName(parts.subject.name),
    parts.subject.publicKey.export({ format: "der", type: "spki" }),
    writeDer(contextTag(3, true), writeDer(TAG.sequence, ...(parts.extensions ?? []))),
  );
  return writeSigned(body, parts.signer ?? parts.issuer.privateKey);
}

/** A certificate request that asks for these extensions. */
export function makeRequest(subject: Identity, extensions: readonly Uint8Array[]): Uint8Array {
  const request = writeDer(
    TAG.sequence,
    writeOid("1.2.840.113549.1.9.14"),
    writeDer(TAG.set, writeDer(TAG.sequence, ...extensions)),
  );
  const body = writeDer(
    TAG.sequence,
    writeInteger(Uint8Array.of(0)),
    writeName(subject.name),
    subject.publicKey.export({ format: "der", type: "spki" }),
    writeDer(contextTag(0, true), request),
  );
  return writeSigned(body, subject.privateKey);
}

function writeSigned(body: Uint8Array, key: KeyObject): Uint8Array {
  return writeDer(TAG.sequence, body, ECDSA_WITH_SHA256, writeBits(sign("sha256", body, key)));
}

function writeName(name: string): Uint8Array {
  const attribute = (oid: string, text: string) =>
    writeDer(TAG.set, writeDer(TAG.sequence, writeOid(oid), writeDer(TAG.utf8String, utf8BytesOf(text))));
  return writeDer(TAG.sequence, attribute("2.5.4.6", "DE"), attribute("2.5.4.10", "Tests"), attribute("2.5.4.3", name));
}

function writeExtension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? [writeDer(TAG.boolean, Uint8Array.of(0xff))] : [];
  return writeDer(TAG.sequence, writeOid(oid), ...flag, writeDer(TAG.octetString, value));
}

/** What makes a certificate one of an authority. */
export function authority(pathLength?: number): Uint8Array {
  const length = pathLength === undefined ? [] : [writeInteger(Uint8Array.of(pathLength))];
  return writeExtension(
    "2.5.29.19",
    true,
    writeDer(TAG.sequence, writeDer(TAG.boolean, Uint8Array.of(0xff)), ...length),
  );
}

/** What says that a certificate is none of an authority. */
export function noAuthority(): Uint8Array {
  return writeExtension("2.5.29.19", true, writeDer(TAG.sequence));
}

/** `keyUsage` of the bits given by their numbers, all of the first eight. */
export function keyUsage(...bits: readonly number[]): Uint8Array {
  const byte = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  return writeExtension("2.5.29.15", true, writeBits(Uint8Array.of(byte)));
}

export function extendedKeyUsage(...oids: readonly string[]): Uint8Array {
  return writeExtension("2.5.29.37", false, writeDer(TAG.sequence, ...oids.map(writeOid)));
}

export function unknownExtension(critical: boolean): Uint8Array {
  return writeExtension("1.2.3.4", critical, writeDer(TAG.null));
}

interface Names {
  readonly dns?: readonly string[];
  readonly email?: readonly string[];
  readonly uri?: readonly string[];
  readonly ip?: readonly (readonly number[])[];
}

function writeNames({ dns = [], email = [], uri = [], ip = [] }: Names): readonly Uint8Array[] {
  return [
    ...email.map((text) => writeDer(contextTag(1, false), utf8BytesOf(text))),
    ...dns.map((text) => writeDer(contextTag(2, false), utf8BytesOf(text))),
    ...uri.map((text) => writeDer(contextTag(6, false), utf8BytesOf(text))),
    ...ip.map((bytes) => writeDer(contextTag(7, false), Uint8Array.from(bytes))),
  ];
}

export function alternativeNames(names: Names): Uint8Array {
  return writeExtension("2.5.29.17", false, writeDer(TAG.sequence, ...writeNames(names)));
}

export function nameConstraints(permitted: Names, excluded: Names = {}): Uint8Array {
  const subtrees = (number: number, names: Names) => {
    const list = writeNames(names).map((name) => writeDer(TAG.sequence, name));
    return list.length === 0 ? [] : [writeDer(contextTag(number, true), ...list)];
  };
  return writeExtension("2.5.29.30", true, writeDer(TAG.sequence, ...subtrees(0, permitted), ...subtrees(1, excluded)));
}

export function writePem(label: string, der: Uint8Array): string {
  const lines = base64Of(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
