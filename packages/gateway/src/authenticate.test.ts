import { attenuateToken, makeTokenHash, mintToken } from "@writ/token";
import { expect, test } from "vitest";
import { createAuthenticator } from "./authenticate.ts";
import type { StatePort } from "./ports.ts";
import { sha256 } from "./sha256.ts";

const TENANT = "01970000-0000-7000-8000-000000000001";
const ROOT_KEY = new Uint8Array(32).fill(7);
const hash = makeTokenHash(sha256);

function makeRoot(tenantId = TENANT, keyId = "k1"): string {
  const minted = mintToken(hash, {
    keyId,
    rootKey: ROOT_KEY,
    tenantId,
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

test("whoever presents a token that names networks is known by address, unless somebody else passes it on", () => {
  const { authenticate, tokenOf } = makeAuthenticator();
  const root = makeRoot();
  const from = (token: string, remoteAddress: string, relayedBy?: string) => {
    const found = authenticate({
      authorization: `Bearer ${token}`,
      remoteAddress,
      ...(relayedBy === undefined ? {} : { relayedBy }),
    });
    if (!("kind" in found) || found.kind === "rejected") throw new TypeError("it is no good token");
    return found;
  };
  const bound = makeChild(root, "n", ['{"net":["10.0.0.0/8"]}']);
  for (const address of ["10.0.0.1", "192.0.2.1", "10.0.0.1"]) {
    const found = from(bound, address);
    expect(found.address).toBe(address);
    expect(tokenOf(found)).toBe(tokenOf(from(bound, "")));
  }
  expect(from(bound, "10.0.0.1", "a-point")).toMatchObject({ relayedBy: "a-point" });
  expect(from(bound, "10.0.0.1", "a-point").address).toBeUndefined();
  expect(from(root, "10.0.0.1").address).toBeUndefined();
});

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

/** Tenants that exist, of which those in `memory` are loaded; a look at the database that was made is written down. */
function makeTenants(memory: readonly string[], stored: readonly string[]) {
  const key = { status: "active", wrapped: "w" };
  const state = { get: (kind: string, id: string) => (kind === "root_key" && id === "k1" ? key : undefined) };
  const looks: string[] = [];
  let nowMs = 0;
  const look = async (tenantId: string) => {
    looks.push(tenantId);
    return stored.includes(tenantId) ? state : undefined;
  };
  const { authenticate } = createAuthenticator({
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    state: {
      current: (tenantId: string) => (memory.includes(tenantId) ? state : undefined),
      load: look,
      catchUp: look,
    } as unknown as StatePort, // only the root key is looked up
    hash,
    unwrapRootKey: () => ROOT_KEY,
    rejected() {},
  });
  return {
    looks,
    advance: (ms: number) => {
      nowMs += ms;
    },
    send: async (token: string, remoteAddress: string) => {
      const answer = await authenticate({ authorization: `Bearer ${token}`, remoteAddress });
      return answer.kind === "rejected" ? answer.reason : answer.kind;
    },
  };
}

test.each([
  ["a tenant that does not exist", []],
  ["a tenant in memory", ["victim"]],
])("a flood of tokens made up for %s locks no cold token of another tenant out", async (_what, memory) => {
  const { send, looks } = makeTenants(memory, ["other", ...memory]);
  for (let count = 0; count < 1_000; count += 1) await send(makeRoot("victim", `made-up-${count}`), "10.0.0.1");
  expect(looks.length).toBeLessThan(100);

  // Also from the very address of the flood, as behind one proxy.
  expect(await send(makeRoot("other"), "10.0.0.1")).toBe("authenticated");
});

test("a flood of made-up tenants takes nothing from tenants in memory, and ends with its second", async () => {
  const { send, looks, advance } = makeTenants(["known"], ["known"]);
  for (let count = 0; count < 1_000; count += 1) await send(makeRoot(`tenant-${count}`), `10.0.0.${count % 9}`);
  expect(looks.length).toBe(100);
  expect(await send(makeRoot("late"), "10.1.0.1")).toBe("state_unavailable");
  // A key that this process has not heard of yet.
  expect(await send(makeRoot("known", "k2"), "10.0.0.1")).toBe("token_key_unknown");
  expect(looks.at(-1)).toBe("known");
  advance(1_000);
  expect(await send(makeRoot("late"), "10.0.0.1")).toBe("token_key_unknown");
});

test("a flood from one address leaves the tenant that it names a share from others", async () => {
  const { send, looks } = makeTenants(["known"], ["known"]);
  for (let count = 0; count < 1_000; count += 1) await send(makeRoot("known", `made-up-${count}`), "10.0.0.1");
  const before = looks.length;
  expect(await send(makeRoot("known", "k2"), "10.0.0.2")).toBe("token_key_unknown");
  expect(looks.length).toBe(before + 1);
});
