/**
 * The chain: what binds each event to its place. In the product the database computes links while it holds the
 * head; this is the same rule for writers of other kinds and for tests of the database's. The verifier has a reading
 * of its own (`verify/`), on purpose.
 */
import { hash } from "node:crypto";
import { hashBytes, uint64Bytes, uuidBytes } from "./fixed-width.ts";

const GENESIS_PREFIX = Buffer.from("writ-genesis\0", "latin1");

/** What sequence 1 of an epoch has as its previous hash: SHA-256("writ-genesis" ‖ 0x00 ‖ tenant(16) ‖ epoch(8)). */
export function genesis(tenantId: string, epoch: number): Uint8Array {
  return hash("sha256", Buffer.concat([GENESIS_PREFIX, uuidBytes(tenantId), uint64Bytes(epoch)]), "buffer");
}

/**
 * The hash of an entry: SHA-256(previous(32) ‖ sequence(8) ‖ commit time(8) ‖ leaf(32)), integers most significant
 * byte first, the commit time in microseconds since the epoch of Unix. Sequences count from 1 in each epoch.
 */
export function chainLink(
  previous: Uint8Array,
  sequence: number,
  committedAtMicros: bigint,
  leaf: Uint8Array,
): Uint8Array {
  if (sequence < 1) throw new TypeError("sequences count from 1");
  return hash(
    "sha256",
    Buffer.concat([hashBytes(previous), uint64Bytes(sequence), uint64Bytes(committedAtMicros), hashBytes(leaf)]),
    "buffer",
  );
}
