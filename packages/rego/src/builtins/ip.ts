/**
 * Addresses and networks of IPv4 and IPv6, read and written as Go does: RFC 4291 and RFC 5952, no zones, no leading zeros
 * in decimal parts. An IPv4 address inside an IPv6 one (`::ffff:1.2.3.4`) is an IPv4 address.
 */

export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** All addresses that share the first bits with `first`, whose other bits are zero. */
export interface Network {
  readonly bits: 32 | 128;
  readonly first: bigint;
  readonly length: number;
}

const MAPPED = 0xffffn << 32n;

export function parseAddress(text: string): Address | undefined {
  if (!text.includes(":")) {
    const value = parseDecimal(text);
    return value === undefined ? undefined : { bits: 32, value };
  }
  const value = parseHexadecimal(text);
  if (value === undefined) return undefined;
  return value >> 32n === 0xffffn ? { bits: 32, value: value - MAPPED } : { bits: 128, value };
}

function parseDecimal(text: string): bigint | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let value = 0n;
  for (const part of match.slice(1)) {
    if (Number(part) > 255 || (part.length > 1 && part.startsWith("0"))) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function parseHexadecimal(text: string): bigint | undefined {
  if (text.length > 45) return undefined;
  let source = text;
  if (text.includes(".")) {
    const at = text.lastIndexOf(":") + 1;
    const tail = parseDecimal(text.slice(at));
    if (tail === undefined) return undefined;
    source = `${text.slice(0, at)}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`;
  }
  const halves = source.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const count = head.length + (tail?.length ?? 0);
  if (tail === undefined ? count !== 8 : count > 7) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array.from({ length: 8 - count }, () => "0"), ...(tail ?? [])]) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return value;
}

/** Reads `address/length`; bits after the length do not count. */
export function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (address === undefined || !/^(?:0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  let length = Number(digits);
  if (address.bits === 32 && text.includes(":")) {
    // An IPv4 address within IPv6 has the length of IPv6; shorter than its prefix it is not IPv4 any more.
    if (length > 128) return undefined;
    if (length < 96) return networkOf({ bits: 128, value: address.value + MAPPED }, length);
    length -= 96;
  }
  return length > address.bits ? undefined : networkOf(address, length);
}

export function networkOf({ bits, value }: Address, length: number): Network {
  const rest = BigInt(bits - length);
  return { bits, first: (value >> rest) << rest, length };
}

export function lastOf({ bits, first, length }: Network): bigint {
  return first + (1n << BigInt(bits - length)) - 1n;
}

export function networkHas(network: Network, address: Address): boolean {
  return network.bits === address.bits && address.value >= network.first && address.value <= lastOf(network);
}

export function writeNetwork({ bits, first, length }: Network): string {
  return `${writeAddress({ bits, value: first })}/${length}`;
}

export function writeAddress({ bits, value }: Address): string {
  if (bits === 32) {
    const number = Number(value);
    return `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`;
  }
  const groups = Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(112 - 16 * index)) & 0xffffn));
  const gap = longestGap(groups);
  const write = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  if (gap.length < 2) return write(groups);
  return `${write(groups.slice(0, gap.start))}::${write(groups.slice(gap.start + gap.length))}`;
}

function longestGap(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
    start += length;
  }
  return best;
}

/** The fewest networks that have the same addresses, those of IPv4 first, in order. */
export function mergeNetworks(networks: readonly Network[]): Network[] {
  const merged: Network[] = [];
  for (const bits of [32, 128] as const) {
    const sorted = networks
      .filter((network) => network.bits === bits)
      .sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : a.length - b.length));
    let start: bigint | undefined;
    let end = -1n;
    for (const network of sorted) {
      const last = lastOf(network);
      if (start !== undefined && network.first > end + 1n) {
        addRange(merged, bits, start, end);
        start = undefined;
      }
      start ??= network.first;
      if (last > end) end = last;
    }
    if (start !== undefined) addRange(merged, bits, start, end);
  }
  return merged;
}

/** Adds the networks that a range of addresses falls into. */
function addRange(networks: Network[], bits: 32 | 128, start: bigint, end: bigint): void {
  for (let first = start; first <= end; ) {
    let size = 0; // bits that are free in the network
    while (size < bits) {
      const next = 1n << BigInt(size + 1);
      if (first % next !== 0n || first + next - 1n > end) break;
      size += 1;
    }
    networks.push({ bits, first, length: bits - size });
    first += 1n << BigInt(size);
  }
}
