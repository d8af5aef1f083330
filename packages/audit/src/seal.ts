/**
 * Seals: keyed statements about links, made outside the database, so that whoever has the database but not the key
 * cannot rewrite the stretch since the last checkpoint. This file neither keeps keys nor writes events.
 */
import { createHmac, type KeyObject } from "node:crypto";
import { hashBytes, uint64Bytes, uuidBytes } from "./fixed-width.ts";

/** The link that a seal speaks of. */
export interface SealedLink {
  readonly tenantId: string;
  readonly epoch: number;
  readonly sequence: number;
  /** The hash of the entry at `sequence`, 32 bytes. */
  readonly hash: Uint8Array;
}

/**
 * HMAC-SHA256(chain key, tenant(16) ‖ epoch(8) ‖ sequence(8) ‖ hash(32)) in lower-case hex, as `log.sealed` carries it.
 * A KeyObject is several times faster than raw bytes. Raw keys must be 32 bytes.
 */
export function makeSeal(chainKey: KeyObject | Uint8Array, link: SealedLink): string {
  if (chainKey instanceof Uint8Array && chainKey.length !== 32) throw new TypeError("a chain key is 32 bytes");
  return createHmac("sha256", chainKey)
    .update(
      Buffer.concat([
        uuidBytes(link.tenantId),
        uint64Bytes(link.epoch),
        uint64Bytes(link.sequence),
        hashBytes(link.hash),
      ]),
    )
    .digest("hex");
}
