import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { chainLink, genesis } from "./chain.ts";
import { signCheckpoint } from "./checkpoint.ts";
import { leafOfText } from "./event-bytes.ts";
import { makeSeal } from "./seal.ts";
import { CHAIN_KEY, KEY_NAME, SIGNING_KEY } from "./testing/make-log.ts";
import { appendLeaves, EMPTY_FRONTIER, rootOf } from "./tree.ts";
import { DAMAGES, verifyExport } from "./verify/index.ts";

const page = readFileSync(new URL("../../../docs/log-format.md", import.meta.url), "utf8");
const example = page.slice(page.indexOf("## Worked example"));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The content of the example's fenced block of that kind, with its last newline. */
function block(kind: string): string {
  const [, content] = new RegExp(`\`\`\`${kind}\n([^]*?)\`\`\``).exec(example) ?? [];
  if (content === undefined) throw new Error(`the example has no block ${kind}`);
  return content;
}

it("the worked example of docs/log-format.md is what the code computes", () => {
  const stated = new Map(
    block("text")
      .split("\n")
      .filter(Boolean)
      .map((line) => [line.slice(0, 14).trim(), line.slice(14)]),
  );
  const of = (name: string): string => stated.get(name) ?? "";
  const [first = "", second = ""] = block("json").split("\n");
  const tenantId = of("tenant");
  const epoch = Number(of("epoch"));
  const leaves = [leafOfText(first), leafOfText(second)] as const;
  const hash1 = chainLink(genesis(tenantId, epoch), 1, BigInt(of("commit time 1")), leaves[0]);
  const hash2 = chainLink(hash1, 2, BigInt(of("commit time 2")), leaves[1]);
  const frontier = appendLeaves(appendLeaves(EMPTY_FRONTIER, 0, leaves[0]), 1, leaves[1]);
  const root = rootOf(frontier, 2);
  expect(Object.fromEntries(stated)).toEqual({
    tenant: tenantId,
    epoch: "1",
    genesis: hex(genesis(tenantId, epoch)),
    "commit time 1": of("commit time 1"),
    "leaf 1": hex(leaves[0]),
    "hash 1": hex(hash1),
    "commit time 2": of("commit time 2"),
    "leaf 2": hex(leaves[1]),
    "hash 2": hex(hash2),
    frontier: hex(frontier),
    root: hex(root),
    "seal of 1": makeSeal(CHAIN_KEY, { tenantId, epoch, sequence: 1, hash: hash1 }),
  });
  const body = { origin: `${KEY_NAME}/${tenantId}/${epoch}`, size: 2, root, chainHash: hash2 };
  expect(block("note")).toBe(signCheckpoint({ name: KEY_NAME, privateKey: SIGNING_KEY }, body));
});

it("the export of docs/log-format.md verifies with the key beside it, and holds the same events", async () => {
  const lines = block("ndjson").split("\n").slice(0, -1);
  const { verdict, start } = await verifyExport(each(lines), { verifierKeys: [block("key").trim()] });
  expect(start).toBe("genesis");
  expect(verdict).toMatchObject({ kind: "intact", coverage: { entries: 2, checkpointedThrough: 2 } });
  expect(
    lines
      .slice(2, 4)
      .map((line) => `${JSON.parse(line).event}\n`)
      .join(""),
  ).toBe(block("json"));
});

it("docs/log-format.md names every damage that the verifier can report", () => {
  const table = page.slice(page.indexOf("## What the verifier finds"), page.indexOf("A finding names"));
  for (const damage of DAMAGES) expect(table).toContain(`\`${damage}\``);
});

async function* each(lines: readonly string[]): AsyncIterable<string> {
  yield* lines;
}
