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

/** The frontier of the tree that has `leaf` after the `size` leaves of `frontier`. Neither argument is changed. */
export function appendLeaf(frontier: Uint8Array, size: number, leaf: Uint8Array): Uint8Array {
  checkFrontier(frontier, size);
  let node = hashBytes(leaf);
  let end = frontier.length;
  for (let rest = size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
    node = treeNode(frontier.subarray(end - 32, end), node);
    end -= 32;
  }
  return Buffer.concat([frontier.subarray(0, end), node]);
}

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
