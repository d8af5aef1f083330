/** Reading seals out of `log.sealed` events, and checking them with the chain key. The log verifier compares hashes. */
import { createHmac, type KeyObject, timingSafeEqual } from "node:crypto";

/** The link that a seal event speaks of. */
export interface Seal {
  readonly epoch: number;
  readonly sequence: number;
  /** Lower-case hex. */
  readonly hash: string;
  readonly keyId: string;
  readonly seal: string;
}

const SEALED = /^\{"v":1,"event":"log\.sealed",/;

/** The seal that an event carries; undefined for every other event; "malformed" for a seal that cannot be read. */
export function readSeal(event: string): Seal | "malformed" | undefined {
  if (!SEALED.test(event)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(event);
  } catch {
    // An unreadable event is a fault in the log, which the caller names.
    return "malformed";
  }
  // Every member is checked before it is used, so the cast promises nothing.
  const { epoch, sequence, hash, keyId, seal } = value as Record<string, unknown>;
  if (!isCount(epoch) || !isCount(sequence) || !isHash(hash) || !isHash(seal)) return "malformed";
  return typeof keyId === "string" ? { epoch, sequence, hash, keyId, seal } : "malformed";
}

/** Whether whoever made the seal had the key: HMAC-SHA256(key, tenant ‖ epoch ‖ sequence ‖ hash), in constant time. */
export function checkSeal(chainKey: KeyObject | Uint8Array, tenantId: string, seal: Seal): "genuine" | "forged" {
  const input = Buffer.alloc(64);
  input.write(tenantId.split("-").join(""), 0, "hex");
  input.writeBigUInt64BE(BigInt(seal.epoch), 16);
  input.writeBigUInt64BE(BigInt(seal.sequence), 24);
  input.write(seal.hash, 32, "hex");
  const expected = createHmac("sha256", chainKey).update(input).digest();
  return timingSafeEqual(expected, Buffer.from(seal.seal, "hex")) ? "genuine" : "forged";
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isHash(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}
