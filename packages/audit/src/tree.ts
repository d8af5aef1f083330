/**
 * The Merkle tree of RFC 9162 section 2.1 over the leaves of one epoch, kept as its frontier: the roots of the
 * perfect subtrees that its size falls into, from the largest to the smallest, 32 bytes each. Proofs are not made here.
 */
import { hash } from "node:crypto";
import { hashBytes } from "./fixed-width.ts";

const NODE_PREFIX = Buffer.of(1);

/** The frontier of the empty tree. */
export const EMPTY_FRONTIER: Uint8Array = new Uint8Array(0);

/** The parent of two nodes: SHA-256(0x01 ‖ left ‖ right). */
export function treeNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  return hash("sha256", Buffer.concat([NODE_PREFIX, hashBytes(left), hashBytes(right)]), "buffer");
}

/**
 * The frontier of the tree that has `leaves` (32 bytes each) after the `size` leaves of `frontier`. No argument is
 * changed. A whole page of leaves costs one hash a leaf and no allocation beside it.
 */
export function appendLeaves(frontier: Uint8Array, size: number, leaves: Uint8Array): Uint8Array {
  checkFrontier(frontier, size);
  if (leaves.length % 32 !== 0) throw new TypeError("a leaf has 32 bytes");
  // The subtrees as they lie in the frontier, with room for the leaf that is about to be merged into them.
  const subtrees = Buffer.alloc((SUBTREES_MAX + 1) * 32);
  subtrees.set(frontier);
  const pair = Buffer.alloc(65, NODE_PREFIX);
  let end = frontier.length;
  let count = size;
  for (let at = 0; at < leaves.length; at += 32) {
    subtrees.set(leaves.subarray(at, at + 32), end);
    end += 32;
    for (let rest = count; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      pair.set(subtrees.subarray(end - 64, end), 1);
      // As text a digest needs no buffer of its own, which takes longer than the digest.
      subtrees.write(hash("sha256", pair, "binary"), end - 64, "latin1");
      end -= 32;
    }
    count += 1;
  }
  return subtrees.subarray(0, end);
}

/** A size is a safe integer, so no tree falls into more perfect subtrees. */
const SUBTREES_MAX = 53;

/** The root of the tree of `size` leaves; of the empty tree, SHA-256 of nothing. */
export function rootOf(frontier: Uint8Array, size: number): Uint8Array {
  checkFrontier(frontier, size);
  if (size === 0) return hash("sha256", "", "buffer");
  let root: Uint8Array = frontier.slice(frontier.length - 32);
  for (let end = frontier.length - 32; end > 0; end -= 32) root = treeNode(frontier.subarray(end - 32, end), root);
  return root;
}

function checkFrontier(frontier: Uint8Array, size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw new TypeError("a tree has a safe integer of leaves");
  let subtrees = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) subtrees += rest % 2;
  if (frontier.length !== subtrees * 32) throw new TypeError(`the frontier of ${size} leaves is ${subtrees} hashes`);
}
