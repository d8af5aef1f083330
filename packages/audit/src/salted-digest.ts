/**
 * Digests of what agents, people and upstreams supply. The digest goes into the event, the salt is kept beside the
 * log and never in it: erasing the salt makes the digest say nothing any more, even of a value that can be guessed.
 * This file neither makes salts nor keeps them.
 */
import { hash } from "node:crypto";

/** 128 bits. */
export const SALT_BYTES = 16;

/**
 * SHA-256(salt ‖ bytes), in lower-case hex: the form in which events carry it. A string is taken as its UTF-8.
 * The salt has one length, so salt and bytes cannot be confused.
 */
export function saltedDigest(salt: Uint8Array, bytes: Uint8Array | string): string {
  if (salt.length !== SALT_BYTES) throw new TypeError(`a salt is ${SALT_BYTES} bytes`);
  if (typeof bytes === "string" && !bytes.isWellFormed()) throw new TypeError("the text holds a lone surrogate");
  return hash("sha256", Buffer.concat([salt, typeof bytes === "string" ? Buffer.from(bytes, "utf8") : bytes]), "hex");
}
