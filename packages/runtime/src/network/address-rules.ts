/**
 * Which addresses upstreams may have. Public ones always; every other only where the operator lists it, because whoever
 * registers an upstream must not reach the gateway's own network with it. Judges addresses; resolving names and
 * connecting are the gateway's.
 */
import {
  type Address,
  type AddressPrefix,
  isHostPattern,
  isWithinPrefix,
  matchesHost,
  readAddressPrefix,
  readAnyAddress,
} from "@writ/contract";

export type AddressKind =
  | "unspecified"
  | "loopback"
  | "private"
  | "link-local"
  | "metadata"
  | "multicast"
  /** IPv6 that stands for an IPv4 address: mapped, compatible, NAT64, 6to4. */
  | "translated"
  | "reserved"
  /** No address at all, or a form that another reader could take for something else. */
  | "unreadable";

export type AddressVerdict =
  | { readonly kind: "public" }
  | { readonly kind: "listed" }
  | { readonly kind: "refused"; readonly is: AddressKind };

export interface AddressRules {
  /** `host` is what was asked for: a name in lower case, or the address itself. */
  judge(host: string, address: string): AddressVerdict;
}

/** What development lists where nothing is: servers on this machine. */
export const LOOPBACK_RULES: readonly string[] = ["127.0.0.0/8", "::1"];

/** Special-purpose addresses (IANA's registries for IPv4 and IPv6, RFC 6890); the first that holds an address counts. */
const SPECIAL: readonly (readonly [AddressKind, readonly string[]])[] = [
  // Where clouds answer whoever is on the machine with its credentials: AWS, ECS, Azure, Alibaba, Oracle, Google.
  [
    "metadata",
    [
      "169.254.169.254/32",
      "169.254.170.2/32",
      "168.63.129.16/32",
      "100.100.100.200/32",
      "192.0.0.192/32",
      "fd00:ec2::254/128",
      "fd00:ec2::23/128",
      "fd20:ce::254/128",
    ],
  ],
  ["unspecified", ["0.0.0.0/8", "::/128"]],
  ["loopback", ["127.0.0.0/8", "::1/128"]],
  ["link-local", ["169.254.0.0/16", "fe80::/10"]],
  ["private", ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10"]],
  ["multicast", ["224.0.0.0/4", "ff00::/8"]],
  ["translated", ["::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"]],
  [
    "reserved",
    [
      "192.0.0.0/24",
      "192.0.2.0/24",
      "192.88.99.0/24",
      "198.18.0.0/15",
      "198.51.100.0/24",
      "203.0.113.0/24",
      "240.0.0.0/4",
      "2001::/23",
      "2001:db8::/32",
      "3fff::/20",
    ],
  ],
];
const PREFIXES: readonly (readonly [AddressKind, AddressPrefix])[] = SPECIAL.flatMap(([kind, texts]) =>
  texts.map((text): readonly [AddressKind, AddressPrefix] => [kind, known(text)]),
);
/** All of IPv6 that is given to networks; what lies outside is for something else, or for nothing yet. */
const GLOBAL_IPV6 = known("2000::/3");
const NAT64 = known("64:ff9b::/96");
const SIX_TO_FOUR = known("2002::/16");

/** A name that is listed speaks for its machine or network, and never for these, which are listed as addresses. */
const LISTED_BY_NAME: ReadonlySet<AddressKind> = new Set(["loopback", "private"]);

function known(text: string): AddressPrefix {
  const prefix = readAddressPrefix(text);
  if (prefix === undefined) throw new TypeError(`${text} is no prefix`);
  return prefix;
}

type Rule =
  | { readonly kind: "prefix"; readonly prefix: AddressPrefix }
  | { readonly kind: "host"; readonly pattern: string };

/** Undefined when the text is neither `address/bits`, nor an address, nor a host name (`*.` before it for all below). */
function readRule(text: string): Rule | undefined {
  const mapped = text.includes(":") ? mappedPrefix(text) : undefined;
  const prefix = mapped ?? readAddressPrefix(text);
  if (prefix !== undefined) return { kind: "prefix", prefix };
  const address = readAnyAddress(text);
  if (address !== undefined) return { kind: "prefix", prefix: { address, bits: address.length * 8 } };
  // A last label of digits would make readers of URLs take the name for an address.
  const isName = isHostPattern(text) && !/(?:^|\.)[0-9]+$|(?:^|\.)0x[0-9a-f]*$/.test(text);
  return isName ? { kind: "host", pattern: text } : undefined;
}

/** The one prefix of mapped addresses, which prefixes are not read in otherwise. */
function mappedPrefix(text: string): AddressPrefix | undefined {
  if (text !== "::ffff:0:0/96") return undefined;
  return { address: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0], bits: 96 };
}

export function isAddressRule(text: string): boolean {
  return readRule(text) !== undefined;
}

/** Throws a `TypeError` for a text that is no rule: the configuration has refused it before. */
export function makeAddressRules(texts: readonly string[]): AddressRules {
  const prefixes: AddressPrefix[] = [];
  const patterns: string[] = [];
  for (const text of texts) {
    const rule = readRule(text);
    if (rule === undefined) throw new TypeError(`${text} is no rule for addresses`);
    if (rule.kind === "prefix") prefixes.push(rule.prefix);
    else patterns.push(rule.pattern);
  }

  function judge(host: string, address: Address): AddressVerdict {
    const isPrefixListed = prefixes.some((prefix) => isWithinPrefix(prefix, address));
    const is = kindOf(address);
    const isNamed = (is === undefined || LISTED_BY_NAME.has(is)) && patterns.some((each) => matchesHost(each, host));
    const isListed = isPrefixListed || isNamed;
    if (is === undefined) return { kind: isListed ? "listed" : "public" };
    if (!isListed) return { kind: "refused", is };
    // Listing the translation lists the way, not where it leads.
    const inner = innerAddress(address);
    const verdict = inner === undefined ? undefined : judge(host, inner);
    return verdict?.kind === "refused" ? verdict : { kind: "listed" };
  }

  return {
    judge(host, text) {
      const address = readAnyAddress(text);
      return address === undefined ? { kind: "refused", is: "unreadable" } : judge(host.toLowerCase(), address);
    },
  };
}

/** Undefined for an address of the public internet. */
function kindOf(address: Address): AddressKind | undefined {
  if (isMapped(address)) return "translated";
  const found = PREFIXES.find(([, prefix]) => isWithinPrefix(prefix, address));
  if (found !== undefined) return found[0];
  return address.length === 4 || isWithinPrefix(GLOBAL_IPV6, address) ? undefined : "reserved";
}

function isMapped(address: Address): boolean {
  return address.length === 16 && address.slice(0, 12).join() === "0,0,0,0,0,0,0,0,0,0,255,255";
}

/** The IPv4 address that an IPv6 one stands for (RFC 4291, 6052 and 3056), where it can be told. */
function innerAddress(address: Address): Address | undefined {
  if (address.length === 4) return undefined;
  if (isMapped(address) || isWithinPrefix(NAT64, address)) return address.slice(12);
  if (isWithinPrefix(SIX_TO_FOUR, address)) return address.slice(2, 6);
  const isCompatible = kindOf(address) === "translated" && address.slice(0, 12).every((byte) => byte === 0);
  return isCompatible ? address.slice(12) : undefined;
}

/** Why a refusal, and what to do about it, without the address: whoever registers an upstream may read this. */
export function explainRefusal(host: string, is: AddressKind): string {
  const what = `${host} has an address that is ${is === "unreadable" ? "unreadable" : `of the kind ${is}`}`;
  const how = LISTED_BY_NAME.has(is) ? "the host or its address" : "the address itself";
  return `${what}, which a gateway connects to only where its setting upstreams.allowedAddresses lists ${how}`;
}
