/**
 * What the master key is used for: wrapping secrets that the database stores, and deriving the chain key of a tenant.
 * Neither the Ed25519 keys of checkpoints nor any root key in the clear is kept here. All purposes and tenants have
 * keys of their own by HKDF-SHA256 (RFC 5869), so that none can stand for another.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from "node:crypto";

/** What a wrapped secret belongs to; bound to it as associated data, so that it cannot be moved elsewhere. */
export interface SecretPlace {
  readonly tenantId: string;
  /** `root_key`, `checkpoint_key` and so on. */
  readonly kind: string;
  readonly id: string;
}

export interface ChainKey {
  /** Names the key in `log.sealed`; says nothing about its bytes. */
  readonly keyId: string;
  readonly key: KeyObject;
}

export interface Keyring {
  /** AES-256-GCM: base64 of nonce ‖ ciphertext ‖ tag. `nonce` must be 12 random bytes, never used again. */
  wrap(place: SecretPlace, secret: Uint8Array, nonce: Uint8Array): string;
  /** Throws `UnwrapError` when the text was not wrapped by this master key for this place. */
  unwrap(place: SecretPlace, wrapped: string): Uint8Array;
  /** The key of a tenant's seals: derived, not stored, so it lives exactly as long as the master key. */
  chainKey(tenantId: string): ChainKey;
  /** The key of the states that agents give back with answers to a tenant's upstreams: the same in every gateway. */
  inputStateKey(tenantId: string): KeyObject;
}

/** A stored secret does not open: another master key, another place, or changed bytes; GCM cannot say which. */
export class UnwrapError extends Error {
  constructor(place: SecretPlace, options?: { cause?: unknown }) {
    super(`The stored ${place.kind} does not open with this master key.`, options);
    this.name = "UnwrapError";
  }
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Derived keys that are remembered; deriving again costs microseconds. */
const DERIVED_MAX = 4_096;

export function openKeyring(masterKey: Uint8Array): Keyring {
  if (masterKey.length !== 32) throw new TypeError("a master key has 32 bytes");
  const master = createSecretKey(masterKey);
  const derived = new Map<string, { readonly key: KeyObject; readonly keyId: string }>();
  const derive = (purpose: string, tenantId: string): { readonly key: KeyObject; readonly keyId: string } => {
    const name = `${purpose}\n${tenantId}`;
    let found = derived.get(name);
    if (found === undefined) {
      // 40 bytes: the key, and 8 that name it.
      const bytes = new Uint8Array(hkdfSync("sha256", master, new Uint8Array(0), name, 40));
      found = { key: createSecretKey(bytes.subarray(0, 32)), keyId: Buffer.from(bytes.subarray(32)).toString("hex") };
      if (derived.size >= DERIVED_MAX) derived.clear();
      derived.set(name, found);
    }
    return found;
  };
  return {
    wrap(place, secret, nonce) {
      if (nonce.length !== NONCE_BYTES) throw new TypeError("a nonce has 12 bytes");
      const cipher = createCipheriv("aes-256-gcm", derive("writ wrapping v1", place.tenantId).key, nonce);
      cipher.setAAD(associatedData(place));
      return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]).toString("base64");
    },
    unwrap(place, wrapped) {
      const bytes = Buffer.from(wrapped, "base64");
      if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new UnwrapError(place);
      const { key } = derive("writ wrapping v1", place.tenantId);
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAAD(associatedData(place));
      decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
      try {
        const opened = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
        return new Uint8Array(opened);
      } catch (error) {
        // OpenSSL's error says nothing that the caller can use; this is a failure with a name.
        throw new UnwrapError(place, { cause: error });
      }
    },
    chainKey(tenantId) {
      return derive("writ chain key v1", tenantId);
    },
    inputStateKey(tenantId) {
      return derive("writ input state v1", tenantId).key;
    },
  };
}

/** Parts joined with their lengths, so that no two places have the same bytes. */
function associatedData(place: SecretPlace): Uint8Array {
  const parts = [place.tenantId, place.kind, place.id].map((part) => Buffer.from(part, "utf8"));
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  );
}
