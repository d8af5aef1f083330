/**
 * UUIDv7 (RFC 9562 section 5.7): identifiers that carry their creation time in milliseconds.
 * `random` must hold at least 10 random bytes, of which 74 bits are used.
 */
export function makeUuidv7(timeMs: number, random: Uint8Array): string {
  if (random.length < 10) throw new TypeError("makeUuidv7 needs 10 random bytes");
  const time = timeMs.toString(16).padStart(12, "0");
  const at = (index: number): number => random[index] as number; // bounds checked above
  const a = (0x7000 | ((at(0) & 0x0f) << 8) | at(1)).toString(16);
  const b = (0x8000 | ((at(2) & 0x3f) << 8) | at(3)).toString(16);
  let node = "";
  for (let index = 4; index < 10; index += 1) node += at(index).toString(16).padStart(2, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-${a}-${b}-${node}`;
}

/** Milliseconds since the epoch at which a UUIDv7 was made. */
export function uuidv7Time(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
