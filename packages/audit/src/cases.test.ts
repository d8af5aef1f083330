import { createPrivateKey } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { chainLink, genesis } from "./chain.ts";
import { signCheckpoint, verifierKey } from "./checkpoint.ts";
import { encodeEvent, leafOfText } from "./event-bytes.ts";
import { saltedDigest } from "./salted-digest.ts";
import { makeSeal, type SealedLink } from "./seal.ts";
import { appendLeaves, EMPTY_FRONTIER, rootOf } from "./tree.ts";
import { verifyCheckpoint } from "./verify/checkpoint.ts";
import { verifyExport } from "./verify/export-verifier.ts";
import { genesisHash, leafHash, linkHash, pushLeaf, type TreeState, treeRoot } from "./verify/link.ts";

const folder = new URL("../../../cases/audit/", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, folder), "utf8");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (text: string): Buffer => Buffer.from(text, "hex");

describe("cases/audit", () => {
  it.each(
    JSON.parse(read("events.json")) as {
      name: string;
      event: Parameters<typeof encodeEvent>[0];
      text: string;
      leaf: string;
    }[],
  )("events.json: $name is encoded as stated", ({ event, text, leaf }) => {
    const encoded = encodeEvent(event);
    expect(encoded.text).toBe(text);
    expect(hex(encoded.leaf)).toBe(leaf);
    expect(hex(leafHash(text))).toBe(leaf);
  });

  it("chain.json: links, frontiers and roots follow from the genesis, for the writer and for the verifier", () => {
    const chain = JSON.parse(read("chain.json"));
    let previous = genesis(chain.tenantId, chain.epoch);
    let frontier = EMPTY_FRONTIER;
    const tree: TreeState = { size: 0, subtrees: [] };
    expect(hex(previous)).toBe(chain.genesis);
    expect(hex(genesisHash(chain.tenantId, chain.epoch))).toBe(chain.genesis);
    expect(chain.entries).toHaveLength(12);
    for (const [size, { sequence, committedAtMicros, event, leaf, hash, ...after }] of chain.entries.entries()) {
      expect(hex(leafOfText(event))).toBe(leaf);
      expect(hex(linkHash(previous, sequence, BigInt(committedAtMicros), bytes(leaf)))).toBe(hash);
      previous = chainLink(previous, sequence, BigInt(committedAtMicros), bytes(leaf));
      expect(hex(previous)).toBe(hash);
      frontier = appendLeaves(frontier, size, bytes(leaf));
      pushLeaf(tree, bytes(leaf));
      expect({ frontier: hex(frontier), root: hex(rootOf(frontier, size + 1)) }).toEqual(after);
      expect(hex(treeRoot(tree))).toBe(after.root);
    }
  });

  it("tree.json: the roots are those of the RFC 6962 reference implementation", () => {
    const { leavesHex, roots } = JSON.parse(read("tree.json"));
    let frontier = EMPTY_FRONTIER;
    const tree: TreeState = { size: 0, subtrees: [] };
    expect(roots).toHaveLength(9);
    for (const [size, root] of roots.entries()) {
      expect(hex(rootOf(frontier, size))).toBe(root);
      expect(hex(treeRoot(tree))).toBe(root);
      if (size === leavesHex.length) break;
      // The data of these leaves is Latin-1 below 0x80, so text and bytes are the same.
      const leaf = leafOfText(bytes(leavesHex[size]).toString("latin1"));
      frontier = appendLeaves(frontier, size, leaf);
      pushLeaf(tree, leaf);
    }
  });

  it.each(
    JSON.parse(read("seals.json")) as (Omit<SealedLink, "hash"> & { chainKey: string; hash: string; seal: string })[],
  )("seals.json: the seal of sequence $sequence is as stated", ({ chainKey, hash, seal, ...link }) => {
    expect(makeSeal(bytes(chainKey), { ...link, hash: bytes(hash) })).toBe(seal);
  });

  it.each(JSON.parse(read("digests.json")) as { salt: string; text: string; digest: string }[])(
    "digests.json: $text has the stated digest",
    ({ salt, text, digest }) => {
      expect(saltedDigest(bytes(salt), text)).toBe(digest);
    },
  );

  it("checkpoint.json: signing gives the note byte for byte, and the verifier key verifies it", () => {
    const stated = JSON.parse(read("checkpoint.json"));
    // PKCS #8 of an Ed25519 key (RFC 8410 section 7) is this prefix and the key.
    const der = Buffer.concat([bytes("302e020100300506032b657004220420"), bytes(stated.privateKey)]);
    const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    const { origin, size, root, chainHash } = stated;
    const body = { origin, size, root: bytes(root), chainHash: bytes(chainHash) };
    expect(signCheckpoint({ name: stated.keyName, privateKey }, body)).toBe(stated.note);
    expect(verifierKey(stated.keyName, privateKey)).toBe(stated.verifierKey);
    expect(verifyCheckpoint(stated.note, stated.verifierKey)).toMatchObject({
      kind: "verified",
      checkpoint: { origin, size },
    });
  });

  const { verifierKeys, chainKeys, logs } = JSON.parse(read("logs.json"));

  it("logs.json: names every file of logs/", () => {
    const named = logs.map(({ name }: { name: string }) => `${name}.ndjson`).sort();
    expect(readdirSync(new URL("logs/", folder)).sort()).toEqual(named);
  });

  it.each(logs as { name: string; what: string; findings: unknown[] }[])(
    "logs.json: $name is found as stated: $what",
    async ({ name, findings }) => {
      const keys = new Map(Object.entries(chainKeys as Record<string, string>).map(([id, key]) => [id, bytes(key)]));
      const { verdict } = await verifyExport(linesOf(read(`logs/${name}.ndjson`)), { verifierKeys, chainKeys: keys });
      const found =
        verdict.kind === "intact" ? [] : verdict.findings.map(({ damage, sequence }) => ({ damage, sequence }));
      expect(found).toEqual(findings);
      expect(verdict.kind).toBe(findings.length === 0 ? "intact" : "damaged");
    },
  );
});

async function* linesOf(text: string): AsyncIterable<string> {
  yield* text.split("\n").slice(0, -1);
}
