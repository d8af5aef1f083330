import fc from "fast-check";
import { expect, it } from "vitest";
import { chainLink, genesis } from "./chain.ts";
import { leafOfText } from "./event-bytes.ts";
import { makeSeal } from "./seal.ts";
import { EPOCH, TENANT } from "./testing/make-log.ts";
import { appendLeaves, EMPTY_FRONTIER, rootOf } from "./tree.ts";
import { genesisHash, leafHash, linkHash, pushLeaf, readTree, type TreeState, treeRoot } from "./verify/link.ts";
import { checkSeal } from "./verify/seal.ts";

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

it("writer and verifier compute the same leaves, links, genesis and seals", () => {
  fc.assert(
    fc.property(
      hash,
      hash,
      fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      fc.bigInt(0n, 2n ** 63n - 1n),
      fc.string({ unit: "grapheme" }),
      (previous, leaf, sequence, micros, text) => {
        expect(hex(leafHash(text))).toBe(hex(leafOfText(text)));
        expect(hex(linkHash(previous, sequence, micros, leaf))).toBe(hex(chainLink(previous, sequence, micros, leaf)));
        expect(hex(genesisHash(TENANT, sequence))).toBe(hex(genesis(TENANT, sequence)));
        const seal = makeSeal(previous, { tenantId: TENANT, epoch: EPOCH, sequence, hash: leaf });
        expect(checkSeal(previous, TENANT, { epoch: EPOCH, sequence, hash: hex(leaf), keyId: "k", seal })).toBe(
          "genuine",
        );
        expect(checkSeal(leaf, TENANT, { epoch: EPOCH, sequence, hash: hex(leaf), keyId: "k", seal })).toBe(
          hex(leaf) === hex(previous) ? "genuine" : "forged",
        );
      },
    ),
    { numRuns: 200 },
  );
});

it("writer and verifier grow the same tree, leaf by leaf", () => {
  const tree: TreeState = { size: 0, subtrees: [] };
  let frontier = EMPTY_FRONTIER;
  for (let size = 0; size < 300; size += 1) {
    expect(hex(treeRoot(tree))).toBe(hex(rootOf(frontier, size)));
    expect(hex(Buffer.concat(tree.subtrees))).toBe(hex(frontier));
    expect(readTree(frontier, size)?.subtrees).toHaveLength(frontier.length / 32);
    const leaf = leafOfText(`${size}`);
    pushLeaf(tree, leaf);
    frontier = appendLeaves(frontier, size, leaf);
  }
});

it("a tree that grows by pages is the one that grew leaf by leaf", () => {
  const leaves = Array.from({ length: 200 }, (_, index) => leafOfText(`${index}`));
  const frontiers = [EMPTY_FRONTIER];
  for (const [size, leaf] of leaves.entries())
    frontiers.push(appendLeaves(frontiers[size] ?? EMPTY_FRONTIER, size, leaf));
  fc.assert(
    fc.property(fc.nat(200), fc.nat(200), (one, other) => {
      const [from, to] = one < other ? [one, other] : [other, one];
      const before = Buffer.from(frontiers[from] ?? EMPTY_FRONTIER);
      const frontier = new Uint8Array(before);
      expect(hex(appendLeaves(frontier, from, Buffer.concat(leaves.slice(from, to))))).toBe(
        hex(frontiers[to] ?? EMPTY_FRONTIER),
      );
      expect(hex(frontier)).toBe(hex(before));
    }),
  );
});

it("what has no fixed width is refused", () => {
  const leaf = Buffer.alloc(32);
  expect(() => chainLink(Buffer.alloc(31), 1, 1n, leaf)).toThrow(TypeError);
  expect(() => chainLink(leaf, 0, 1n, leaf)).toThrow(TypeError);
  expect(() => chainLink(leaf, 1, -1n, leaf)).toThrow(TypeError);
  expect(() => chainLink(leaf, 1, 2n ** 63n, leaf)).toThrow(TypeError);
  expect(() => genesis("acme", 1)).toThrow(TypeError);
  expect(() => appendLeaves(leaf, 2 ** 32 + 1, leaf)).toThrow(TypeError);
  expect(() => appendLeaves(EMPTY_FRONTIER, 0, Buffer.alloc(33))).toThrow(TypeError);
  expect(() => rootOf(EMPTY_FRONTIER, 1)).toThrow(TypeError);
  expect(() => makeSeal(Buffer.alloc(16), { tenantId: TENANT, epoch: 1, sequence: 1, hash: leaf })).toThrow(TypeError);
});
