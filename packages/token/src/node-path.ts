/**
 * Nodes: the places of a delegation tree. Ids are chosen by whoever appends them, so a node is named by the whole
 * path of ids above it and no holder can name another's:
 *
 *   node = first 16 bytes of SHA-256("writ-node" ‖ parent ‖ length ‖ id)
 *
 * where parent is 16 bytes (16 zero bytes above the root), length is that of id in bytes (2 bytes, big-endian) and
 * id is UTF-8. The root's id is the identifier's `id`; every `id` caveat opens the next node. Written as hex.
 */
import { type TokenHash, toHex } from "./token-hash.ts";

const NODE_BYTES = 16;
const LABEL = new TextEncoder().encode("writ-node");
const encoder = new TextEncoder();

/** The node of `id` under `parent` (hex), or the root node of `id` when `parent` is undefined. */
export function nodeOf(hash: TokenHash, parent: string | undefined, id: string): string {
  const bytes = encoder.encode(id);
  const data = new Uint8Array(LABEL.length + NODE_BYTES + 2 + bytes.length);
  data.set(LABEL);
  if (parent !== undefined) {
    if (!/^[0-9a-f]{32}$/.test(parent)) throw new TypeError("a node is 32 lower-case hexadecimal digits");
    for (let index = 0; index < NODE_BYTES; index += 1) {
      data[LABEL.length + index] = Number.parseInt(parent.slice(index * 2, index * 2 + 2), 16);
    }
  }
  new DataView(data.buffer).setUint16(LABEL.length + NODE_BYTES, bytes.length);
  data.set(bytes, LABEL.length + NODE_BYTES + 2);
  return toHex(hash.sha256(data).subarray(0, NODE_BYTES));
}
