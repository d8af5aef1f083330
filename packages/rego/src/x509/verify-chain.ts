/**
 * Verifies that a certificate is vouched for by a root, by way of other certificates (RFC 5280, 6), as Go's package x509
 * does: signatures, validity, authority to sign, lengths of paths, purposes, constraints on names. Nothing is fetched, and
 * revocation is not looked at.
 */
import type { Cryptography } from "../builtins/builtin.ts";
import { equalBytes } from "../bytes.ts";
import type { AlternativeNames, Certificate } from "./certificate.ts";
import { ipText } from "./go-json.ts";
import { signatureSchemeOf, USAGES } from "./signatures.ts";

export interface ChainQuestion {
  readonly leaf: Certificate;
  readonly roots: readonly Certificate[];
  readonly intermediates: readonly Certificate[];
  /** Seconds since 1970. */
  readonly time: number;
  /** The name or address that the leaf must be for; empty when any will do. */
  readonly dnsName: string;
  /** Purposes of which one must be allowed all along the chain, by their identifiers. */
  readonly usages: readonly string[];
}

/** Signatures that are verified for one chain; more are refused. */
const SIGNATURES_MAX = 100;

type Spend = (steps: number) => void;

/** What a signature costs to verify. */
const SIGNATURE_STEPS = 500;

const ANY_USAGE = USAGES[0]?.oid ?? "";

/** The bit of keyUsage that lets a key sign certificates. */
const CERTIFICATE_SIGN = 1 << 5;

/**
 * The chain from the leaf to a root; undefined when the leaf is not to be trusted. `spend` is told
 * of the work, in steps of about a hundred nanoseconds.
 */
export function verifyChain(
  cryptography: Cryptography,
  question: ChainQuestion,
  spend: Spend,
): readonly Certificate[] | undefined {
  if (!isUsable(question.leaf, [], question, spend)) return undefined;
  if (question.dnsName !== "" && !isFor(question.leaf, question.dnsName)) return undefined;
  let signatures = 0;
  const isIssuedBy = (child: Certificate, parent: Certificate): boolean => {
    const scheme = signatureSchemeOf(child.signatureAlgorithm);
    if (scheme === undefined || signatures >= SIGNATURES_MAX) return false;
    signatures += 1;
    spend(SIGNATURE_STEPS);
    return cryptography.verify(scheme, parent.spki, child.signed, child.signature);
  };
  const extend = (chain: readonly Certificate[]): readonly Certificate[] | undefined => {
    const child = chain.at(-1);
    if (child === undefined) return undefined;
    for (const [candidates, areRoots] of [
      [question.roots, true],
      [question.intermediates, false],
    ] as const) {
      for (const parent of candidates) {
        spend(1);
        if (!equalBytes(parent.subject.raw, child.issuer.raw) || chain.some((other) => isSame(other, parent))) continue;
        if (!mayIssue(parent, chain, question, spend) || !isIssuedBy(child, parent)) continue;
        const longer = [...chain, parent];
        if (!areRoots) {
          const found = extend(longer);
          if (found !== undefined) return found;
        } else if (areUsagesAllowed(longer, question.usages)) return longer;
      }
    }
    return undefined;
  };
  if (question.roots.some((root) => isSame(root, question.leaf))) {
    return areUsagesAllowed([question.leaf], question.usages) ? [question.leaf] : undefined;
  }
  return extend([question.leaf]);
}

function isSame(a: Certificate, b: Certificate): boolean {
  return equalBytes(a.raw, b.raw);
}

/** What holds for every certificate of a chain. */
function isUsable(
  certificate: Certificate,
  below: readonly Certificate[],
  { time }: ChainQuestion,
  spend: Spend,
): boolean {
  if (certificate.unhandledCritical.length > 0) return false;
  if (time < certificate.notBefore || time > certificate.notAfter) return false;
  return below.every((lower) => areNamesAllowed(certificate, lower.names, spend));
}

/** Whether a certificate may sign others; `below` is the chain so far, the leaf first. */
function mayIssue(parent: Certificate, below: readonly Certificate[], question: ChainQuestion, spend: Spend): boolean {
  if (!isUsable(parent, below, question, spend)) return false;
  const { basicConstraints } = parent;
  if (parent.version === 3 && basicConstraints === undefined) return false;
  if (basicConstraints !== undefined) {
    if (!basicConstraints.isAuthority) return false;
    if (basicConstraints.pathLength >= 0 && below.length - 1 > basicConstraints.pathLength) return false;
  }
  return parent.keyUsage === 0 || (parent.keyUsage & CERTIFICATE_SIGN) !== 0;
}

function areUsagesAllowed(chain: readonly Certificate[], usages: readonly string[]): boolean {
  if (usages.includes(ANY_USAGE)) return true;
  return usages.some((usage) =>
    chain.every(
      ({ extendedKeyUsage }) =>
        extendedKeyUsage.length === 0 || extendedKeyUsage.includes(ANY_USAGE) || extendedKeyUsage.includes(usage),
    ),
  );
}

function areNamesAllowed({ nameConstraints }: Certificate, names: AlternativeNames, spend: Spend): boolean {
  if (nameConstraints === undefined) return true;
  const { permitted, excluded } = nameConstraints;
  spend(countOf(names) * (countOf(permitted) + countOf(excluded)));
  const holds = <T>(list: readonly T[], allowed: readonly T[], denied: readonly T[], isWithin: Within<T>) =>
    list.every(
      (name) =>
        !denied.some((constraint) => isWithin(name, constraint)) &&
        (allowed.length === 0 || allowed.some((constraint) => isWithin(name, constraint))),
    );
  return (
    holds(names.dns, permitted.dns, excluded.dns, isWithinDomain) &&
    holds(names.email, permitted.email, excluded.email, isWithinMailbox) &&
    holds(names.ip, permitted.ip, excluded.ip, isWithinRange) &&
    holds(names.uri, permitted.uri, excluded.uri, (uri, constraint) => isWithinHost(hostOf(uri), constraint))
  );
}

function countOf({ dns, email, ip, uri }: AlternativeNames): number {
  return dns.length + email.length + ip.length + uri.length;
}

type Within<T> = (name: T, constraint: T) => boolean;

function isWithinDomain(name: string, constraint: string): boolean {
  const [host, domain] = [name.toLowerCase(), constraint.toLowerCase()];
  if (domain === "") return true;
  if (domain.startsWith(".")) return host.endsWith(domain);
  return host === domain || host.endsWith(`.${domain}`);
}

/** A constraint is a mailbox, a host, or a domain with a dot before it. */
function isWithinMailbox(mailbox: string, constraint: string): boolean {
  if (constraint.includes("@")) return mailbox === constraint;
  return isWithinHost(mailbox.slice(mailbox.lastIndexOf("@") + 1), constraint);
}

function isWithinHost(host: string, constraint: string): boolean {
  const [name, domain] = [host.toLowerCase(), constraint.toLowerCase()];
  return domain.startsWith(".") ? name.endsWith(domain) : name === domain;
}

function hostOf(uri: string): string {
  const authority = /^[^:]+:\/\/([^/?#]*)/.exec(uri)?.[1] ?? "";
  return authority.slice(authority.lastIndexOf("@") + 1).replace(/:\d*$/, "");
}

function isWithinRange(address: Uint8Array, range: Uint8Array): boolean {
  const { length } = address;
  if (range.length !== length * 2) return false;
  return address.every((byte, index) => (byte & (range[length + index] ?? 0)) === (range[index] ?? 0));
}

/** Whether a certificate is for a host, whose first label may be a wildcard's, or for an address. */
function isFor(certificate: Certificate, name: string): boolean {
  const bare = name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1) : name;
  if (/^[\d.]+$/.test(bare) || bare.includes(":")) {
    return certificate.names.ip.some((address) => ipText(address) === bare.toLowerCase());
  }
  const host = bare.toLowerCase().replace(/\.$/, "");
  const [, ...parent] = host.split(".");
  return certificate.names.dns.some((entry) => {
    const pattern = entry.toLowerCase().replace(/\.$/, "");
    return pattern.startsWith("*.") ? pattern.slice(2) === parent.join(".") : pattern === host;
  });
}
