import { attenuateToken, makeTokenHash, mintToken } from "@writ/token";
import { expect, test } from "vitest";
import { createAuthenticator } from "./authenticate.ts";
import type { StatePort } from "./ports.ts";
import { sha256 } from "./sha256.ts";

const TENANT = "01970000-0000-7000-8000-000000000001";
const ROOT_KEY = new Uint8Array(32).fill(7);
const hash = makeTokenHash(sha256);

function makeRoot(): string {
  const minted = mintToken(hash, {
    keyId: "k1",
    rootKey: ROOT_KEY,
    tenantId: TENANT,
    id: "00112233445566778899aabbccddeeff",
    agentId: "01970000-0000-7000-8000-00000000000a",
    principalId: "01970000-0000-7000-8000-00000000000c",
    issuedAtMs: 0,
    caveats: [JSON.stringify({ exp: 2_000_000_000 }), JSON.stringify({ aud: "a" })],
  });
  if (minted.kind !== "minted") throw new TypeError(minted.detail);
  return minted.token;
}

function makeChild(root: string, id: string, caveats: readonly string[]): string {
  const child = attenuateToken(hash, root, { id, caveats });
  if (child.kind !== "attenuated") throw new TypeError(child.detail);
  return child.token;
}

function makeAuthenticator() {
  const key = { status: "active", wrapped: "w" };
  const state = { get: (kind: string, id: string) => (kind === "root_key" && id === "k1" ? key : undefined) };
  return createAuthenticator({
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    state: { current: () => state } as unknown as StatePort, // only the root key is looked up
    hash,
    unwrapRootKey: () => ROOT_KEY,
    rejected() {},
  });
}

/** A remembered token gives the very same value again. */
function isRemembered(many: number, caveats: readonly string[]): boolean {
  const { authenticate } = makeAuthenticator();
  const root = makeRoot();
  const first = authenticate({ authorization: `Bearer ${root}`, remoteAddress: "" });
  for (let count = 0; count < many; count += 1) {
    const authorization = `Bearer ${makeChild(root, `n${count}`, caveats)}`;
    expect(authenticate({ authorization, remoteAddress: "" })).toMatchObject({ kind: "authenticated" });
  }
  return authenticate({ authorization: `Bearer ${root}`, remoteAddress: "" }) === first;
}

test("long tokens, which a holder makes for nothing, do not fill the memory with what was verified", () => {
  // Ten thousand of 6,000 characters, remembered by number alone, took a gigabyte.
  const long = Array.from({ length: 20 }, (_, at) => JSON.stringify({ not_tools: [`up/${at}${"x".repeat(220)}`] }));
  expect(isRemembered(1_000, long)).toBe(false);
  expect(isRemembered(1_000, [])).toBe(true);
});
