/**
 * Reads X.509 certificates and certificate requests (RFC 5280, RFC 2986) into their parts. Whether a certificate is to be
 * trusted is for verify-chain.ts; how Go would print it for go-json.ts.
 */
import { secondsOfCivil } from "../time/civil.ts";
import { bitsOf, contextTag, DerFault, type DerNode, DerReader, integerOf, oidOf, TAG } from "./der.ts";
import { type PublicKey, readSpki } from "./keys.ts";
import { type DistinguishedName, latinOf, readName } from "./name.ts";

export interface Extension {
  readonly id: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

export interface AlternativeNames {
  readonly dns: readonly string[];
  readonly email: readonly string[];
  readonly ip: readonly Uint8Array[];
  readonly uri: readonly string[];
}

export interface NameConstraints {
  readonly critical: boolean;
  readonly permitted: AlternativeNames;
  readonly excluded: AlternativeNames;
}

/** An algorithm's identifier, and its parameters where it has any. */
export interface AlgorithmId {
  readonly oid: string;
  readonly parameters: DerNode | undefined;
}

export interface Certificate {
  readonly raw: Uint8Array;
  /** What the signature is over. */
  readonly signed: Uint8Array;
  readonly signatureAlgorithm: AlgorithmId;
  readonly signature: Uint8Array;
  readonly version: number;
  readonly serialNumber: bigint;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** Seconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: PublicKey;
  readonly spki: Uint8Array;
  readonly extensions: readonly Extension[];
  readonly unhandledCritical: readonly string[];
  /** As a number whose lowest bit is digitalSignature; 0 when the certificate does not say. */
  readonly keyUsage: number;
  readonly extendedKeyUsage: readonly string[];
  readonly basicConstraints: { readonly isAuthority: boolean; readonly pathLength: number } | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  readonly ocspServers: readonly string[];
  readonly issuingUrls: readonly string[];
  readonly names: AlternativeNames;
  readonly nameConstraints: NameConstraints | undefined;
  readonly crlUrls: readonly string[];
  readonly policies: readonly string[];
}

export interface CertificateRequest {
  readonly raw: Uint8Array;
  readonly signed: Uint8Array;
  readonly version: number;
  readonly subject: DistinguishedName;
  readonly publicKey: PublicKey;
  readonly spki: Uint8Array;
  readonly signatureAlgorithm: AlgorithmId;
  readonly signature: Uint8Array;
  readonly extensions: readonly Extension[];
  readonly names: AlternativeNames;
}

const NO_NAMES: AlternativeNames = { dns: [], email: [], ip: [], uri: [] };

/** Reads certificates that follow one another; throws `DerFault`. */
export function readCertificates(der: Uint8Array): readonly Certificate[] {
  const certificates: Certificate[] = [];
  const reader = new DerReader(der);
  while (!reader.isAtEnd) {
    certificates.push(readCertificateNode(within("x509: malformed certificate", () => reader.take(TAG.sequence))));
  }
  return certificates;
}

/** Reads one certificate; throws `DerFault`. */
export function readCertificate(der: Uint8Array): Certificate {
  const reader = new DerReader(der);
  const node = within("x509: malformed certificate", () => reader.take(TAG.sequence));
  if (!reader.isAtEnd) throw new DerFault("x509: trailing data");
  return readCertificateNode(node);
}

/** Gives a fault of the work its own words. */
function within<T>(message: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof DerFault) throw new DerFault(message);
    throw cause;
  }
}

function readCertificateNode(node: DerNode): Certificate {
  const parts = within("x509: malformed certificate", () => {
    const outer = new DerReader(node.content);
    return { signed: outer.take(TAG.sequence), algorithm: readAlgorithm(outer), signature: outer.bits() };
  });
  return within("x509: malformed tbs certificate", () => {
    const body = new DerReader(parts.signed.content);
    const versionNode = body.optional(contextTag(0, true));
    const version = versionNode === undefined ? 0 : Number(new DerReader(versionNode.content).integer());
    const serialNumber = body.integer();
    readAlgorithm(body);
    const issuer = readName(body.any());
    const validity = body.inside(TAG.sequence);
    const notBefore = secondsOfTime(validity.any());
    const notAfter = secondsOfTime(validity.any());
    const subject = readName(body.any());
    const spki = body.take(TAG.sequence).whole;
    const publicKey = readSpki(spki);
    body.optional(contextTag(1, false));
    body.optional(contextTag(2, false));
    const extensionsNode = body.optional(contextTag(3, true));
    const extensions = extensionsNode === undefined ? [] : readExtensions(new DerReader(extensionsNode.content));
    return {
      raw: node.whole,
      signed: parts.signed.whole,
      signatureAlgorithm: parts.algorithm,
      signature: parts.signature,
      version: version + 1,
      serialNumber,
      issuer,
      subject,
      notBefore,
      notAfter,
      publicKey,
      spki,
      extensions,
      ...readKnownExtensions(extensions),
    };
  });
}

/** Reads a certificate request; throws `DerFault`. */
export function readCertificateRequest(der: Uint8Array): CertificateRequest {
  try {
    const reader = new DerReader(der);
    const node = reader.take(TAG.sequence);
    reader.end();
    const outer = new DerReader(node.content);
    const signed = outer.take(TAG.sequence);
    const signatureAlgorithm = readAlgorithm(outer);
    const signature = outer.bits();
    const body = new DerReader(signed.content);
    const version = Number(body.integer());
    const subject = readName(body.any());
    const spki = body.take(TAG.sequence).whole;
    const extensions: Extension[] = [];
    const attributes = body.optional(contextTag(0, true));
    if (attributes !== undefined) {
      const each = new DerReader(attributes.content);
      while (!each.isAtEnd) {
        const attribute = each.inside(TAG.sequence);
        // Only the request for extensions is read (RFC 2985, 5.4.2).
        if (attribute.oid() !== "1.2.840.113549.1.9.14") continue;
        extensions.push(...readExtensions(attribute.inside(TAG.set)));
      }
    }
    const alternative = extensions.find(({ id }) => id === "2.5.29.17");
    return {
      raw: node.whole,
      signed: signed.whole,
      version,
      subject,
      publicKey: readSpki(spki),
      spki,
      signatureAlgorithm,
      signature,
      extensions,
      names: alternative === undefined ? NO_NAMES : readNames(new DerReader(alternative.value).inside(TAG.sequence)),
    };
  } catch (cause) {
    if (cause instanceof DerFault) throw new DerFault(`asn1: structure error: ${cause.message}`);
    throw cause;
  }
}

function readAlgorithm(reader: DerReader): AlgorithmId {
  const sequence = reader.inside(TAG.sequence);
  const oid = sequence.oid();
  return { oid, parameters: sequence.isAtEnd ? undefined : sequence.any() };
}

function readExtensions(reader: DerReader): readonly Extension[] {
  const list = reader.inside(TAG.sequence);
  const extensions: Extension[] = [];
  const seen = new Set<string>();
  while (!list.isAtEnd) {
    const each = list.inside(TAG.sequence);
    const id = each.oid();
    const critical = each.optional(TAG.boolean);
    extensions.push({ id, critical: critical?.content[0] === 0xff, value: each.octets() });
    if (seen.has(id)) throw new DerFault("duplicate extensions");
    seen.add(id);
  }
  return extensions;
}

function readKnownExtensions(extensions: readonly Extension[]) {
  let keyUsage = 0;
  let extendedKeyUsage: readonly string[] = [];
  let basicConstraints: Certificate["basicConstraints"];
  let subjectKeyId: Uint8Array | undefined;
  let authorityKeyId: Uint8Array | undefined;
  let names = NO_NAMES;
  let nameConstraints: NameConstraints | undefined;
  let crlUrls: readonly string[] = [];
  let policies: readonly string[] = [];
  const ocspServers: string[] = [];
  const issuingUrls: string[] = [];
  const unhandledCritical: string[] = [];
  for (const { id, critical, value } of extensions) {
    const reader = new DerReader(value);
    switch (id) {
      case "2.5.29.14":
        subjectKeyId = reader.octets();
        break;
      case "2.5.29.15":
        keyUsage = readKeyUsage(reader.take(TAG.bitString));
        break;
      case "2.5.29.17":
        names = readNames(reader.inside(TAG.sequence));
        if (critical && Object.values(names).every((list) => list.length === 0)) unhandledCritical.push(id);
        break;
      case "2.5.29.19": {
        const constraints = reader.inside(TAG.sequence);
        const isAuthority = constraints.optional(TAG.boolean)?.content[0] === 0xff;
        const length = constraints.optional(TAG.integer);
        basicConstraints = { isAuthority, pathLength: length === undefined ? -1 : Number(integerOf(length)) };
        break;
      }
      case "2.5.29.30":
        nameConstraints = readNameConstraints(reader.inside(TAG.sequence), critical);
        break;
      case "2.5.29.31":
        crlUrls = readDistributionPoints(reader.inside(TAG.sequence));
        break;
      case "2.5.29.32":
        policies = readFirstOids(reader.inside(TAG.sequence));
        break;
      case "2.5.29.35": {
        const keyId = reader.inside(TAG.sequence).optional(contextTag(0, false));
        authorityKeyId = keyId?.content;
        break;
      }
      case "2.5.29.37":
        extendedKeyUsage = readOids(reader.inside(TAG.sequence));
        break;
      case "1.3.6.1.5.5.7.1.1":
        readAccess(reader.inside(TAG.sequence), ocspServers, issuingUrls);
        break;
      case "2.5.29.33":
      case "2.5.29.36":
      case "2.5.29.54":
        break; // policies are not checked, by Go neither
      default:
        if (critical) unhandledCritical.push(id);
    }
  }
  return {
    keyUsage,
    extendedKeyUsage,
    basicConstraints,
    subjectKeyId,
    authorityKeyId,
    names,
    nameConstraints,
    crlUrls,
    policies,
    ocspServers,
    issuingUrls,
    unhandledCritical,
  };
}

/** Bits in the order of their names, the first the lowest. */
function readKeyUsage(node: DerNode): number {
  const { bytes } = bitsOf(node);
  let usage = 0;
  for (let bit = 0; bit < 9; bit += 1) {
    if (((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0) usage |= 1 << bit;
  }
  return usage;
}

function readNames(reader: DerReader): AlternativeNames {
  const names = { dns: [] as string[], email: [] as string[], ip: [] as Uint8Array[], uri: [] as string[] };
  while (!reader.isAtEnd) readGeneralName(reader.any(), names);
  return names;
}

interface NamesFound {
  readonly dns: string[];
  readonly email: string[];
  readonly ip: Uint8Array[];
  readonly uri: string[];
}

function readGeneralName(node: DerNode, names: NamesFound): void {
  switch (node.tag) {
    case contextTag(1, false):
      names.email.push(latinOf(node.content));
      break;
    case contextTag(2, false):
      names.dns.push(latinOf(node.content));
      break;
    case contextTag(6, false):
      names.uri.push(latinOf(node.content));
      break;
    case contextTag(7, false):
      names.ip.push(node.content);
      break;
    default: // other kinds of names are not used
  }
}

function readNameConstraints(reader: DerReader, critical: boolean): NameConstraints {
  const read = (number: number): AlternativeNames => {
    const subtrees = reader.optional(contextTag(number, true));
    const names = { dns: [] as string[], email: [] as string[], ip: [] as Uint8Array[], uri: [] as string[] };
    if (subtrees === undefined) return names;
    const list = new DerReader(subtrees.content);
    while (!list.isAtEnd) readGeneralName(list.inside(TAG.sequence).any(), names);
    return names;
  };
  return { critical, permitted: read(0), excluded: read(1) };
}

function readDistributionPoints(reader: DerReader): readonly string[] {
  const urls: string[] = [];
  while (!reader.isAtEnd) {
    const name = reader.inside(TAG.sequence).optional(contextTag(0, true));
    const full = name === undefined ? undefined : new DerReader(name.content).optional(contextTag(0, true));
    if (full !== undefined) urls.push(...readNames(new DerReader(full.content)).uri);
  }
  return urls;
}

function readOids(reader: DerReader): readonly string[] {
  const oids: string[] = [];
  while (!reader.isAtEnd) oids.push(oidOf(reader.take(TAG.oid).content));
  return oids;
}

function readFirstOids(reader: DerReader): readonly string[] {
  const oids: string[] = [];
  while (!reader.isAtEnd) oids.push(reader.inside(TAG.sequence).oid());
  return oids;
}

function readAccess(reader: DerReader, ocspServers: string[], issuingUrls: string[]): void {
  while (!reader.isAtEnd) {
    const each = reader.inside(TAG.sequence);
    const method = each.oid();
    const location = each.any();
    if (location.tag !== contextTag(6, false)) continue;
    if (method === "1.3.6.1.5.5.7.48.1") ocspServers.push(latinOf(location.content));
    if (method === "1.3.6.1.5.5.7.48.2") issuingUrls.push(latinOf(location.content));
  }
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

function secondsOfTime(node: DerNode): number {
  const pattern = node.tag === TAG.utcTime ? UTC_TIME : node.tag === TAG.generalizedTime ? GENERALIZED_TIME : undefined;
  const match = pattern?.exec(latinOf(node.content));
  if (match === undefined || match === null) throw new DerFault("a time that cannot be read");
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  // Of two digits, those from 50 stand for the last century (RFC 5280, 4.1.2.5.1).
  const century = node.tag === TAG.generalizedTime ? 0 : year >= 50 ? 1900 : 2000;
  return secondsOfCivil({ year: year + century, month, day, hour, minute, second });
}
