/**
 * Digests of what agents, people and upstreams supply. The digest goes into the event, the salt is kept beside the
 * log and never in it: erasing the salt makes the digest say nothing any more, even of a value that can be guessed.
 * This file neither makes salts nor keeps them.
 */
import { createHash, hash } from "node:crypto";

/** 128 bits. */
export const SALT_BYTES = 16;

/** Where salt and text are put together; filled, hashed and emptied in one go. */
const SCRATCH_BYTES = 16_384;
const scratch = Buffer.alloc(SCRATCH_BYTES);

/**
 * SHA-256(salt ‖ bytes), in lower-case hex: the form in which events carry it. A string is taken as its UTF-8.
 * The salt has one length, so salt and bytes cannot be confused.
 */
export function saltedDigest(salt: Uint8Array, bytes: Uint8Array | string): string {
  if (salt.length !== SALT_BYTES) throw new TypeError(`a salt is ${SALT_BYTES} bytes`);
  if (typeof bytes !== "string") return hash("sha256", Buffer.concat([salt, bytes]), "hex");
  if (!bytes.isWellFormed()) throw new TypeError("the text holds a lone surrogate");
  // Three bytes at most for each code unit, so that a short text needs no buffer of its own.
  if (bytes.length * 3 > SCRATCH_BYTES - SALT_BYTES) {
    return hash("sha256", Buffer.concat([salt, Buffer.from(bytes, "utf8")]), "hex");
  }
  scratch.set(salt);
  const length = SALT_BYTES + scratch.write(bytes, SALT_BYTES, "utf8");
  const digest = hash("sha256", scratch.subarray(0, length), "hex");
  scratch.fill(0, 0, length);
  return digest;
}

/** A digest of bytes that come in parts. */
export interface SaltedDigest {
  update(bytes: Uint8Array): void;
  /** As `saltedDigest` of all of them; once. */
  end(): string;
}

export function startSaltedDigest(salt: Uint8Array): SaltedDigest {
  if (salt.length !== SALT_BYTES) throw new TypeError(`a salt is ${SALT_BYTES} bytes`);
  const digest = createHash("sha256").update(salt);
  return { update: (bytes) => void digest.update(bytes), end: () => digest.digest("hex") };
}
