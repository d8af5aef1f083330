/**
 * Certificates, requests and private keys as values, with the members that Go's packages print as JSON; policies for OPA
 * read them by those names.
 */

import { base64Of, base64UrlOf } from "../bytes.ts";
import { numberOfBigint } from "../number.ts";
import { civilOfSeconds } from "../time/civil.ts";
import { readLayout, writeMoment } from "../time/layout.ts";
import { UTC } from "../time/zone.ts";
import { parseUri } from "../uri.ts";
import type { PlainObject, Value } from "../value.ts";
import type { AlternativeNames, Certificate, CertificateRequest, Extension } from "./certificate.ts";
import { bytesOfBigint, DerFault } from "./der.ts";
import type { PrivateKey, PublicKey } from "./keys.ts";
import type { DistinguishedName } from "./name.ts";
import { signatureNumberOf, USAGES } from "./signatures.ts";

export function certificateValue(certificate: Certificate): PlainObject {
  const { basicConstraints, nameConstraints, names } = certificate;
  const permitted = nameConstraints?.permitted;
  const excluded = nameConstraints?.excluded;
  const usages = certificate.extendedKeyUsage.map((oid) => USAGES.findIndex((usage) => usage.oid === oid));
  return {
    Raw: base64Of(certificate.raw),
    RawTBSCertificate: base64Of(certificate.signed),
    RawSubjectPublicKeyInfo: base64Of(certificate.spki),
    RawSubject: base64Of(certificate.subject.raw),
    RawIssuer: base64Of(certificate.issuer.raw),
    Signature: base64Of(certificate.signature),
    SignatureAlgorithm: signatureNumberOf(certificate.signatureAlgorithm),
    PublicKeyAlgorithm: keyNumberOf(certificate.publicKey),
    PublicKey: publicKeyValue(certificate.publicKey),
    Version: certificate.version,
    SerialNumber: numberOfBigint(certificate.serialNumber),
    Issuer: nameValue(certificate.issuer),
    Subject: nameValue(certificate.subject),
    NotBefore: timeValue(certificate.notBefore),
    NotAfter: timeValue(certificate.notAfter),
    KeyUsage: certificate.keyUsage,
    Extensions: listValue(certificate.extensions, extensionValue),
    ExtraExtensions: null,
    UnhandledCriticalExtensions: listValue(certificate.unhandledCritical, oidValue),
    ExtKeyUsage: listValue(
      usages.filter((usage) => usage >= 0),
      (usage) => usage,
    ),
    UnknownExtKeyUsage: listValue(
      certificate.extendedKeyUsage.filter((_, index) => (usages[index] ?? -1) < 0),
      oidValue,
    ),
    BasicConstraintsValid: basicConstraints !== undefined,
    IsCA: basicConstraints?.isAuthority === true,
    MaxPathLen: basicConstraints?.pathLength ?? 0,
    MaxPathLenZero: basicConstraints?.pathLength === 0,
    SubjectKeyId: bytesValue(certificate.subjectKeyId),
    AuthorityKeyId: bytesValue(certificate.authorityKeyId),
    OCSPServer: textsValue(certificate.ocspServers),
    IssuingCertificateURL: textsValue(certificate.issuingUrls),
    ...alternativeValues(names),
    URIStrings: textsValue(names.uri),
    PermittedDNSDomainsCritical: nameConstraints?.critical === true,
    PermittedDNSDomains: textsValue(permitted?.dns ?? []),
    ExcludedDNSDomains: textsValue(excluded?.dns ?? []),
    PermittedIPRanges: listValue(permitted?.ip ?? [], rangeValue),
    ExcludedIPRanges: listValue(excluded?.ip ?? [], rangeValue),
    PermittedEmailAddresses: textsValue(permitted?.email ?? []),
    ExcludedEmailAddresses: textsValue(excluded?.email ?? []),
    PermittedURIDomains: textsValue(permitted?.uri ?? []),
    ExcludedURIDomains: textsValue(excluded?.uri ?? []),
    CRLDistributionPoints: textsValue(certificate.crlUrls),
    PolicyIdentifiers: listValue(certificate.policies, oidValue),
    Policies: textsValue(certificate.policies),
  };
}

export function requestValue(request: CertificateRequest): PlainObject {
  return {
    Raw: base64Of(request.raw),
    RawTBSCertificateRequest: base64Of(request.signed),
    RawSubjectPublicKeyInfo: base64Of(request.spki),
    RawSubject: base64Of(request.subject.raw),
    Version: request.version,
    Signature: base64Of(request.signature),
    SignatureAlgorithm: signatureNumberOf(request.signatureAlgorithm),
    PublicKeyAlgorithm: keyNumberOf(request.publicKey),
    PublicKey: publicKeyValue(request.publicKey),
    Subject: nameValue(request.subject),
    Attributes: null,
    Extensions: listValue(request.extensions, extensionValue),
    ExtraExtensions: null,
    ...alternativeValues(request.names),
  };
}

function alternativeValues(names: AlternativeNames): PlainObject {
  return {
    DNSNames: textsValue(names.dns),
    EmailAddresses: textsValue(names.email),
    IPAddresses: listValue(names.ip, ipText),
    URIs: listValue(names.uri, uriValue),
  };
}

/** Go prints a list without members as null. */
function listValue<T>(list: readonly T[], each: (item: T) => Value): Value {
  return list.length === 0 ? null : list.map(each);
}

function textsValue(texts: readonly string[]): Value {
  return listValue(texts, (text) => text);
}

function bytesValue(bytes: Uint8Array | undefined): Value {
  return bytes === undefined ? null : base64Of(bytes);
}

function oidValue(oid: string): Value {
  return oid.split(".").map(Number);
}

function extensionValue({ id, critical, value }: Extension): Value {
  return { Id: oidValue(id), Critical: critical, Value: base64Of(value) };
}

function timeValue(seconds: number): string {
  const layout = readLayout("2006-01-02T15:04:05Z07:00");
  return writeMoment(layout, { seconds, nanos: 0 }, civilOfSeconds(seconds), UTC);
}

const NAME_LISTS: readonly (readonly [string, string])[] = [
  ["Country", "2.5.4.6"],
  ["Organization", "2.5.4.10"],
  ["OrganizationalUnit", "2.5.4.11"],
  ["Locality", "2.5.4.7"],
  ["Province", "2.5.4.8"],
  ["StreetAddress", "2.5.4.9"],
  ["PostalCode", "2.5.4.17"],
];

function nameValue({ attributes }: DistinguishedName): PlainObject {
  const valuesOf = (oid: string) => attributes.filter(({ type }) => type === oid).map(({ value }) => value);
  return {
    ...Object.fromEntries(NAME_LISTS.map(([name, oid]) => [name, textsValue(valuesOf(oid))])),
    SerialNumber: valuesOf("2.5.4.5").at(-1) ?? "",
    CommonName: valuesOf("2.5.4.3").at(-1) ?? "",
    Names: listValue(attributes, ({ type, value }) => ({ Type: oidValue(type), Value: value })),
    ExtraNames: null,
  };
}

function keyNumberOf(key: PublicKey): number {
  switch (key.kind) {
    case "rsa":
      return 1;
    case "ec":
      return 3;
    case "ed25519":
      return 4;
    case "other":
      return key.algorithm === "1.2.840.10040.4.1" ? 2 : 0;
  }
}

function publicKeyValue(key: PublicKey): Value {
  switch (key.kind) {
    case "rsa":
      return { N: numberOfBigint(key.modulus), E: numberOfBigint(key.exponent) };
    case "ec":
      return { Curve: {}, X: numberOfBigint(key.x), Y: numberOfBigint(key.y) };
    case "ed25519":
      return base64Of(key.bytes);
    case "other":
      return null;
  }
}

export function privateKeyValue(key: PrivateKey): Value {
  switch (key.kind) {
    case "rsa":
      return {
        N: numberOfBigint(key.modulus),
        E: numberOfBigint(key.exponent),
        D: numberOfBigint(key.secret),
        Primes: key.primes.map(numberOfBigint),
        Precomputed: {
          Dp: numberOfBigint(key.dp),
          Dq: numberOfBigint(key.dq),
          Qinv: numberOfBigint(key.qi),
          CRTValues: [],
        },
      };
    case "ec":
      return {
        Curve: {},
        X: numberOfBigint(key.x),
        Y: numberOfBigint(key.y),
        D: numberOfBigint(key.secret),
      };
    case "ed25519":
      return base64Of(key.seed);
  }
}

/** A private key of RSA as JSON Web Key (RFC 7518, 6.3). */
export function rsaJwkValue(key: PrivateKey): PlainObject {
  if (key.kind !== "rsa") throw new DerFault("x509: not an RSA private key");
  const text = (value: bigint) => base64UrlOf(bytesOfBigint(value));
  const [p = 0n, q = 0n] = key.primes;
  return {
    kty: "RSA",
    n: text(key.modulus),
    e: text(key.exponent),
    d: text(key.secret),
    p: text(p),
    q: text(q),
    dp: text(key.dp),
    dq: text(key.dq),
    qi: text(key.qi),
  };
}

/** An address as Go prints it: the longest run of zeros of an IPv6 address is left out. */
export function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) return "";
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (isMapped) return bytes.subarray(12).join(".");
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0));
  let start = -1;
  let length = 1;
  for (let from = 0; from < 8; from += 1) {
    let to = from;
    while (to < 8 && groups[to] === 0) to += 1;
    if (to - from > length) {
      start = from;
      length = to - from;
    }
  }
  const text = (list: readonly number[]) => list.map((group) => group.toString(16)).join(":");
  return start < 0 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

function rangeValue(bytes: Uint8Array): Value {
  const half = bytes.length / 2;
  return { IP: ipText(bytes.subarray(0, half)), Mask: base64Of(bytes.subarray(half)) };
}

function uriValue(text: string): Value {
  const read = parseUri(text);
  // What Go would not read it would have refused with the certificate; its text stands beside this all the same.
  const uri = read.kind === "uri" ? read : undefined;
  return {
    Scheme: uri?.scheme ?? "",
    Opaque: uri?.opaque ?? "",
    User: uri?.hasUser === true ? {} : null,
    Host: uri?.host ?? "",
    Path: uri?.path ?? "",
    RawPath: uri?.rawPath ?? "",
    OmitHost: uri?.omitHost ?? false,
    ForceQuery: uri?.forceQuery ?? false,
    RawQuery: uri?.rawQuery ?? "",
    Fragment: uri?.fragment ?? "",
    RawFragment: "",
  };
}
