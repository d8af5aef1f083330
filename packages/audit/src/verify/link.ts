/**
 * The verifier's own reading of docs/log-format.md: leaves, links, genesis and tree. It shares no line with the
 * writer, because a checker that shares the writer's code shares its bugs; tests compare the two.
 */
import { hash } from "node:crypto";

/** SHA-256(0x00 ‖ UTF-8 of the event). */
export function leafHash(event: string): Buffer {
  return hash("sha256", `\u0000${event}`, "buffer");
}

/** SHA-256("writ-genesis" ‖ 0x00 ‖ tenant ‖ epoch). */
export function genesisHash(tenantId: string, epoch: number): Buffer {
  const input = Buffer.alloc(37);
  input.write("writ-genesis", 0, "latin1");
  input.write(tenantId.split("-").join(""), 13, "hex");
  writeUint64(input, epoch, 29);
  return hash("sha256", input, "buffer");
}

/** Links are computed one at a time, so one buffer serves them all. */
const linkInput = Buffer.alloc(80);

/** SHA-256(previous ‖ sequence ‖ commit time in microseconds ‖ leaf). The caller has checked widths and ranges. */
export function linkHash(previous: Uint8Array, sequence: number, committedAtMicros: bigint, leaf: Uint8Array): Buffer {
  linkInput.set(previous, 0);
  writeUint64(linkInput, sequence, 32);
  linkInput.writeBigUInt64BE(committedAtMicros, 40);
  linkInput.set(leaf, 48);
  return hash("sha256", linkInput, "buffer");
}

const nodeInput = Buffer.alloc(65);
nodeInput[0] = 1;

/** The tree of RFC 9162 section 2.1 as a stack of perfect subtrees, the largest at the bottom. */
export interface TreeState {
  size: number;
  readonly subtrees: Uint8Array[];
}

export function pushLeaf(tree: TreeState, leaf: Uint8Array): void {
  let node: Uint8Array = leaf;
  let height = tree.size;
  while (height % 2 === 1) {
    // One bits of the size stand for subtrees on the stack, so there is one to take.
    node = nodeHash(tree.subtrees.pop() as Uint8Array, node);
    height = (height - 1) / 2;
  }
  tree.subtrees.push(node);
  tree.size += 1;
}

export function treeRoot(tree: TreeState): Buffer {
  const last = tree.subtrees.at(-1);
  if (last === undefined) return hash("sha256", "", "buffer");
  return Buffer.from(tree.subtrees.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last));
}

/** Reads a stored frontier; undefined when it cannot be that of `size` leaves. */
export function readTree(frontier: Uint8Array, size: number): TreeState | undefined {
  const ones = [...size.toString(2)].filter((digit) => digit === "1").length;
  if (frontier.length !== 32 * ones) return undefined;
  const subtrees = Array.from({ length: ones }, (_, index) => frontier.slice(index * 32, index * 32 + 32));
  return { size, subtrees };
}

function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  nodeInput.set(left, 1);
  nodeInput.set(right, 33);
  return hash("sha256", nodeInput, "buffer");
}

function writeUint64(target: Buffer, value: number, offset: number): void {
  target.writeUInt32BE(Math.floor(value / 0x1_0000_0000), offset);
  target.writeUInt32BE(value % 0x1_0000_0000, offset + 4);
}
