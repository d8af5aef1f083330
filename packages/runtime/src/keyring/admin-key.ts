/**
 * Admin keys: their spelling and their hash. `wadm_<id>_<secret>`: the id finds the row, the secret proves it.
 * The hash is one SHA-256 and not a slow one: the secret is 256 random bits, which no dictionary holds, so a slow
 * hash would add cost to every request and nothing to the attacker's. Who may do what is the control plane's.
 */
import { createHash, timingSafeEqual } from "node:crypto";

export interface AdminKeyParts {
  readonly id: string;
  /** SHA-256 of the whole key. */
  readonly hash: Uint8Array;
}

const SPELLING = /^wadm_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

/** `id` is a UUID; `secret` must be 32 random bytes. The text is shown once and never stored. */
export function makeAdminKey(id: string, secret: Uint8Array): { readonly text: string; readonly hash: Uint8Array } {
  if (secret.length !== 32) throw new TypeError("an admin key has 32 random bytes");
  const text = `wadm_${id.replaceAll("-", "")}_${Buffer.from(secret).toString("base64url")}`;
  return { text, hash: hashAdminKey(text) };
}

/** Undefined when the text is not an admin key at all, which is no secret. */
export function parseAdminKey(text: string): AdminKeyParts | undefined {
  const match = SPELLING.exec(text);
  const hex = match?.[1];
  if (hex === undefined) return undefined;
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  return { id, hash: hashAdminKey(text) };
}

export function hashAdminKey(text: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(text, "utf8").digest());
}

/** Constant-time; hashes of different length are never equal. */
export function isSameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
