/**
 * Keys of administrators and of enforcement points: their spelling and their hash. `wadm_` or `wpep_`, and the base64url of tenant ‖ id ‖ secret (16, 16 and 32 bytes):
 * tenant and id find the row under row-level security, the secret proves it.
 * The hash is one SHA-256 and not a slow one: the secret is 256 random bits, which no dictionary holds, so a slow
 * hash would add cost to every request and nothing to the attacker's. Who may do what is the control plane's.
 */
import { createHash, timingSafeEqual } from "node:crypto";

export interface KeyParts {
  /** As claimed by the key: proven only once the hash has been compared. */
  readonly unverifiedTenantId: string;
  readonly unverifiedId: string;
  /** SHA-256 of the whole key. */
  readonly hash: Uint8Array;
}

/** What a key begins with: it works on one plane only. */
type Prefix = "wadm_" | "wpep_";

const BODY = /^[A-Za-z0-9_-]{86}$/;

export interface MakeKeyOptions {
  /** A UUID; of the instance's tenant for keys of the instance. */
  readonly tenantId: string;
  /** A UUID. */
  readonly id: string;
  /** 32 random bytes. */
  readonly secret: Uint8Array;
}

export interface MadeKey {
  /** Shown once and never stored. */
  readonly text: string;
  readonly hash: Uint8Array;
}

export function makeAdminKey(options: MakeKeyOptions): MadeKey {
  return makeKey("wadm_", options);
}

export function makePointKey(options: MakeKeyOptions): MadeKey {
  return makeKey("wpep_", options);
}

function makeKey(prefix: Prefix, options: MakeKeyOptions): MadeKey {
  if (options.secret.length !== 32) throw new TypeError("a key has 32 random bytes");
  const ids = Buffer.from((options.tenantId + options.id).replaceAll("-", ""), "hex");
  if (ids.length !== 32) throw new TypeError("tenant and id of a key are UUIDs");
  const text = `${prefix}${Buffer.concat([ids, options.secret]).toString("base64url")}`;
  return { text, hash: hashAdminKey(text) };
}

/** Undefined when the text is not an admin key at all, which is no secret. */
export function parseAdminKey(text: string): KeyParts | undefined {
  return parseKey("wadm_", text);
}

/** Undefined when the text is not an enforcement point's key at all. */
export function parsePointKey(text: string): KeyParts | undefined {
  return parseKey("wpep_", text);
}

function parseKey(prefix: Prefix, text: string): KeyParts | undefined {
  const body = text.slice(prefix.length);
  if (!text.startsWith(prefix) || !BODY.test(body)) return undefined;
  const bytes = Buffer.from(body, "base64url");
  // One spelling: the last character of 86 has four bits that say nothing.
  if (bytes.length !== 64 || bytes.toString("base64url") !== body) return undefined;
  return {
    unverifiedTenantId: uuidText(bytes.subarray(0, 16)),
    unverifiedId: uuidText(bytes.subarray(16, 32)),
    hash: hashAdminKey(text),
  };
}

function uuidText(bytes: Buffer): string {
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function hashAdminKey(text: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(text, "utf8").digest());
}

/** Constant-time; hashes of different length are never equal. */
export function isSameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
