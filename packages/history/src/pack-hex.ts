/** How nodes and counters, hex in our types, reach the database: as bytes, one behind the other. */

/** 16 bytes each, joined. */
export function packHex(values: readonly string[]): Uint8Array {
  const bytes = Buffer.from(values.join(""), "hex");
  if (bytes.length !== values.length * 16) throw new TypeError("counters and nodes are 16 bytes in hex");
  return bytes;
}
