/**
 * The one cryptographic dependency of tokens: SHA-256 and HMAC-SHA-256, given by whoever calls. This package imports
 * no implementation, so that it runs wherever there is one (Node, a browser, an agent's own process).
 */
export interface TokenHash {
  /** 32 bytes. */
  sha256(data: Uint8Array): Uint8Array;
  /** 32 bytes. */
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
}

const BLOCK_BYTES = 64;
const HASH_BYTES = 32;
/** Longer data has a buffer of its own. */
const SCRATCH_DATA_BYTES = 1024;

/**
 * Makes both functions from a one-shot SHA-256, by the definition of HMAC (RFC 2104 section 2). On Node two one-shot
 * hashes cost a fraction of a keyed HMAC object: `makeTokenHash((data) => hash("sha256", data, "buffer"))`. `sha256`
 * must not keep what it is given.
 */
export function makeTokenHash(sha256: (data: Uint8Array) => Uint8Array): TokenHash {
  // Written anew for each call, which ends before the next begins; allocating them is half the cost of an HMAC.
  const outer = new Uint8Array(BLOCK_BYTES + HASH_BYTES);
  const scratch = new Uint8Array(BLOCK_BYTES + SCRATCH_DATA_BYTES);

  function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
    const block = key.length > BLOCK_BYTES ? sha256(key) : key;
    const size = BLOCK_BYTES + data.length;
    const inner = size <= scratch.length ? scratch.subarray(0, size) : new Uint8Array(size);
    for (let index = 0; index < BLOCK_BYTES; index += 1) {
      const byte = block[index] ?? 0;
      inner[index] = byte ^ 0x36;
      outer[index] = byte ^ 0x5c;
    }
    inner.set(data, BLOCK_BYTES);
    outer.set(sha256(inner), BLOCK_BYTES);
    return sha256(outer);
  }
  return { sha256, hmacSha256 };
}

const HEX = "0123456789abcdef";

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX.charAt(byte >> 4) + HEX.charAt(byte & 15);
  return text;
}
