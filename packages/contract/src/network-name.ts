/**
 * Hosts and addresses as the operators `host` and `cidr` read them: only what every reader understands alike. A
 * text that another URL or address parser could take for something else is not read at all, and so prohibits.
 */

/** Bytes of an address: 4 for IPv4, 16 for IPv6. */
export type Address = readonly number[];

export interface AddressPrefix {
  readonly address: Address;
  readonly bits: number;
}

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const HOST = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
/** Scheme, host without user information, port, and a rest that begins as RFC 3986 section 3 says. */
const URL_FORM = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(?:\/.*|[?#][^@]*)?$/;
/** A longer URL is not read; others cut it or refuse it. */
const URL_LENGTH_MAX = 8192;
/** The longest form of an IPv6 address that ends in an IPv4 address. */
const ADDRESS_LENGTH_MAX = 45;
/** Printable ASCII without the characters that URL parsers disagree about. */
const URL_CHARACTERS = /^[!-~]*$/;

/** The host that a URL names, in lower case, or undefined when readers could differ about it. */
export function readUrlHost(url: string): string | undefined {
  if (url.length > URL_LENGTH_MAX || !URL_CHARACTERS.test(url) || url.includes("\\")) return undefined;
  const match = URL_FORM.exec(url);
  const host = match?.[1]?.toLowerCase();
  if (match === null || host === undefined || host.length > 253 || !HOST.test(host)) return undefined;
  return Number(match[2] ?? "0") <= 65_535 ? host : undefined;
}

/** Whether this is a pattern of hosts: a host in lower case, or `*.` and one. */
export function isHostPattern(pattern: string): boolean {
  return pattern.length <= 253 && HOST.test(pattern.startsWith("*.") ? pattern.slice(2) : pattern);
}

/** `*.example.com` matches every name below example.com and not example.com itself. */
export function matchesHost(pattern: string, host: string): boolean {
  return pattern.startsWith("*.") ? host.endsWith(pattern.slice(1)) && host.length >= pattern.length : host === pattern;
}

/** Reads an address in its plain form: no leading zeros, no zone, no brackets (RFC 4291 section 2.2 for IPv6). */
export function readAddress(text: string): Address | undefined {
  const address = readAnyAddress(text);
  return address === undefined || isMapped(address) ? undefined : address;
}

/** As `readAddress`, IPv4-mapped addresses included: for whoever judges them by the address that they hold. */
export function readAnyAddress(text: string): Address | undefined {
  if (text.length > ADDRESS_LENGTH_MAX) return undefined;
  return text.includes(":") ? readIpv6(text) : readIpv4(text);
}

/** The address of a peer as a socket names it: an IPv4-mapped one is the IPv4 address that it holds. */
export function readPeerAddress(text: string): Address | undefined {
  const address = readAnyAddress(text);
  return address !== undefined && isMapped(address) ? address.slice(12) : address;
}

/** ::ffff:0:0/96 holds IPv4 addresses: some readers take one for IPv6, some for IPv4. */
function isMapped(address: Address): boolean {
  return (
    address.length === 16 &&
    address.slice(0, 10).every((byte) => byte === 0) &&
    address[10] === 255 &&
    address[11] === 255
  );
}

function readIpv4(text: string): Address | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes: number[] = [];
  for (const part of parts) {
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bytes.push(Number(part));
  }
  return bytes;
}

function readIpv6(text: string): Address | undefined {
  const halves = text.split("::");
  const [left, right] = halves;
  if (left === undefined || halves.length > 2) return undefined;
  const head = readGroups(left, right === undefined);
  const tail = readGroups(right ?? "", true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (right === undefined ? missing !== 0 : missing < 2) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

/** The bytes of groups between colons; the last may be an IPv4 address where `atEnd`. */
function readGroups(text: string, atEnd: boolean): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (/^[0-9A-Fa-f]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else {
      const ipv4 = atEnd && index === groups.length - 1 ? readIpv4(group) : undefined;
      if (ipv4 === undefined) return undefined;
      bytes.push(...ipv4);
    }
  }
  return bytes;
}

/** Reads `address/bits`; bits beyond the prefix must be zero, so that a slip of the pen is not a wider net. */
export function readAddressPrefix(text: string): AddressPrefix | undefined {
  const [left, right, more] = text.split("/");
  if (left === undefined || right === undefined || more !== undefined) return undefined;
  const address = readAddress(left);
  if (address === undefined || !/^(?:0|[1-9][0-9]{0,2})$/.test(right)) return undefined;
  const bits = Number(right);
  if (bits > address.length * 8) return undefined;
  return address.every((byte, index) => (byte & maskAt(index, bits)) === byte) ? { address, bits } : undefined;
}

/** An IPv4 address is never within an IPv6 prefix, nor the reverse. */
export function isWithinPrefix(prefix: AddressPrefix, address: Address): boolean {
  if (address.length !== prefix.address.length) return false;
  for (let index = 0; index * 8 < prefix.bits; index += 1) {
    // Both are bytes within bounds; those of the prefix are zero beyond it.
    const byte = (address[index] as number) & maskAt(index, prefix.bits);
    if (byte !== prefix.address[index]) return false;
  }
  return true;
}

/** The bits of the byte at `index` that belong to a prefix of so many bits. */
function maskAt(index: number, bits: number): number {
  const kept = Math.min(8, Math.max(0, bits - index * 8));
  return (0xff << (8 - kept)) & 0xff;
}
