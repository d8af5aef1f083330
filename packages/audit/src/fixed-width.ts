/** The fixed-width parts that links, seals and genesis are made of. Nothing here hashes. */

/** The 16 bytes of a UUID in its lower-case text form. */
export function uuidBytes(id: string): Uint8Array {
  if (!UUID.test(id)) throw new TypeError("not a lower-case UUID");
  return Buffer.from(id.replaceAll("-", ""), "hex");
}

/** A non-negative integer below 2^63 as 8 bytes, most significant first. */
export function uint64Bytes(value: number | bigint): Uint8Array {
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new TypeError("not a safe integer");
  const integer = BigInt(value);
  if (integer < 0n || integer > INT64_MAX) throw new TypeError("outside 0 to 2^63 − 1");
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(integer);
  return bytes;
}

/** `bytes`, once they are found to be a SHA-256 value by their length. */
export function hashBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 32) throw new TypeError("a hash is 32 bytes");
  return bytes;
}

/** Postgres keeps these as bigint, so the upper half of 64 bits does not occur. */
const INT64_MAX = 0x7fff_ffff_ffff_ffffn;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
