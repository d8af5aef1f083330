/** The randomness of this machine, for those that are given one. */
import { randomFillSync } from "node:crypto";

/** Randomness taken from the operating system in larger pieces: a call needs several small ones. */
export function createSystemRandom(): { bytes(length: number): Uint8Array } {
  const pool = new Uint8Array(8_192);
  let at = pool.length;
  return {
    bytes(length) {
      if (length > 1_024) return randomFillSync(new Uint8Array(length));
      if (at + length > pool.length) {
        randomFillSync(pool);
        at = 0;
      }
      const bytes = pool.slice(at, at + length);
      pool.fill(0, at, at + length);
      at += length;
      return bytes;
    },
  };
}
