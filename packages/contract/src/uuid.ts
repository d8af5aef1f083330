/**
 * UUIDv7 (RFC 9562 section 5.7): identifiers that carry their creation time in milliseconds.
 * `random` must hold at least 10 random bytes, of which 74 bits are used.
 */
export function makeUuidv7(timeMs: number, random: Uint8Array): string {
  if (random.length < 10) throw new TypeError("makeUuidv7 needs 10 random bytes");
  const time = timeMs.toString(16).padStart(12, "0");
  const hex = (index: number): string => HEX[random[index] as number] as string; // bounds checked above; a byte
  const version = HEX[0x70 | ((random[0] as number) & 0x0f)] as string; // as above
  const variant = HEX[0x80 | ((random[2] as number) & 0x3f)] as string; // as above
  const node = hex(4) + hex(5) + hex(6) + hex(7) + hex(8) + hex(9);
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}${hex(1)}-${variant}${hex(3)}-${node}`;
}

/** Two hexadecimal digits of each byte. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Milliseconds since the epoch at which a UUIDv7 was made. */
export function uuidv7Time(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
