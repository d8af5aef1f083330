/**
 * UUIDv7 (RFC 9562 section 5.7): identifiers that carry their creation time in milliseconds.
 * `random` must hold at least 10 random bytes, of which 74 bits are used.
 */
export function makeUuidv7(timeMs: number, random: Uint8Array): string {
  if (random.length < 10) throw new TypeError("makeUuidv7 needs 10 random bytes");
  const time = timeMs === lastMs ? lastTime : timeText(timeMs);
  const hex = (index: number): string => HEX[random[index] as number] as string; // bounds checked above; a byte
  const version = HEX[0x70 | ((random[0] as number) & 0x0f)] as string; // as above
  const variant = HEX[0x80 | ((random[2] as number) & 0x3f)] as string; // as above
  const node = hex(4) + hex(5) + hex(6) + hex(7) + hex(8) + hex(9);
  return `${time}-${version}${hex(1)}-${variant}${hex(3)}-${node}`;
}

/** Several identifiers are made in the same millisecond: the text of the last one is kept. */
let lastMs = -1;
let lastTime = "";

function timeText(timeMs: number): string {
  const hex = timeMs.toString(16).padStart(12, "0");
  lastMs = timeMs;
  lastTime = `${hex.slice(0, 8)}-${hex.slice(8)}`;
  return lastTime;
}

/** Two hexadecimal digits of each byte. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Milliseconds since the epoch at which a UUIDv7 was made. */
export function uuidv7Time(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
