import { hash } from "node:crypto";
import type { AuthorityChange } from "@writ/contract";
import { buildState, type TenantState } from "@writ/core";
import type { ChangesRead } from "@writ/history";
import { expect, test } from "vitest";
import { createAuthorityStates } from "./authority-states.ts";
import type { AuthorityStore } from "./authority-store.ts";

const CLOCK = { nowMs: () => 0, monotonicMs: () => 0 };

function makeState(tenantId: string): TenantState {
  const snapshot = { tenantId, revision: 1, instanceRevision: 1, epoch: 1, objects: [], instanceObjects: [] };
  const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");
  return buildState(snapshot, {
    sha256,
    compilePolicy() {
      throw new TypeError("there is no policy here");
    },
  });
}

test("open calls of a tenant are judged again when its authority can neither be understood nor loaded anew", async () => {
  // The state was dropped and, as a tenant without one is not polled for, nothing ever looked at what was open.
  const narrowed: string[] = [];
  let loads = 0;
  // A kind that a newer control plane may write.
  const unknown = { type: "put", object: { kind: "newer", id: "x", version: 1, value: {} } } as unknown;
  const read: ChangesRead = {
    kind: "changes",
    epoch: 1,
    revision: 2,
    instanceRevision: 1,
    changes: [unknown as AuthorityChange], // what the type says is what this version knows
    instanceChanges: [],
  };
  const store: AuthorityStore = {
    async load(tenantId) {
      loads += 1;
      if (loads > 1) throw new TypeError("unknown kind of authority newer");
      return makeState(tenantId);
    },
    changes: async () => read,
    changesOfMany: async () => new Map(),
    tenants: async () => ["t"],
    heads: async () => new Map(),
    listen: async () => ({ async close() {} }),
  };
  const states = createAuthorityStates({
    store,
    clock: CLOCK,
    log: { warn() {} },
    pollMs: 60_000,
    narrowed: (tenantId) => narrowed.push(tenantId),
    unfollowed() {},
    changed() {},
  });
  await states.load("t", AbortSignal.timeout(1_000));
  narrowed.length = 0;
  await expect(states.catchUp("t", AbortSignal.timeout(1_000))).rejects.toThrow();
  expect(states.current("t")).toBeUndefined();
  expect(narrowed).toEqual(["t"]);
});

test("a tenant whose authority cannot be read does not keep the poll from following the others", async () => {
  // The first failure ended the poll, so that whatever came behind it stayed as it was when no notification came.
  const head = { epoch: 1, revision: 2, sequence: 1, hash: new Uint8Array(32) };
  const store: AuthorityStore = {
    load: async (tenantId) => makeState(tenantId),
    async changes({ tenantId }) {
      if (tenantId === "broken") throw new TypeError("unreadable");
      return { kind: "changes", epoch: 1, revision: 2, instanceRevision: 1, changes: [], instanceChanges: [] };
    },
    changesOfMany: async () => {
      throw new TypeError("unreadable");
    },
    tenants: async () => [],
    heads: async () =>
      new Map([
        ["broken", head],
        ["sound", head],
      ]),
    listen: async () => ({ async close() {} }),
  };
  const states = createAuthorityStates({
    store,
    clock: CLOCK,
    log: { warn() {} },
    pollMs: 60_000,
    narrowed() {},
    unfollowed() {},
    changed() {},
  });
  await states.load("broken", AbortSignal.timeout(1_000));
  await states.load("sound", AbortSignal.timeout(1_000));
  await states.start();
  await states.close();
  expect(states.current("sound")?.revision).toBe(2);
});

test("a tenant that is announced is loaded however many are in memory, so that its upstreams are read", async () => {
  // The thousand and first tenant was loaded only by its first call, and pinning its tools waited for that in vain.
  const many = Array.from({ length: 1_000 }, (_, index) => `tenant-${index}`);
  let announce: (tenantId: string) => void = () => {};
  let loaded: (tenantId: string) => void = () => {};
  const seen = new Promise<string>((resolve) => {
    loaded = resolve;
  });
  const store: AuthorityStore = {
    async load(tenantId) {
      if (tenantId === "late") loaded(tenantId);
      return makeState(tenantId);
    },
    changes: async () => ({ kind: "too_far" }),
    changesOfMany: async () => new Map(),
    tenants: async () => many,
    heads: async () => new Map(),
    async listen(notify) {
      announce = notify;
      return { async close() {} };
    },
  };
  const states = createAuthorityStates({
    store,
    clock: CLOCK,
    log: { warn() {} },
    pollMs: 60_000,
    narrowed() {},
    unfollowed() {},
    changed() {},
  });
  await states.start();
  try {
    expect(states.tenantIds).toHaveLength(1_000);
    announce("late");
    expect(await seen).toBe("late");
  } finally {
    await states.close();
  }
});

/** A turn of the loop: what was waiting for promises has run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("contact is kept while the database answers, however many tenants moved; what is not followed in time is cut", async () => {
  // They were followed one by one and waited for: thousands took longer than contact may be lost, and all was cut.
  const tenants = Array.from({ length: 1_000 }, (_, index) => `tenant-${index}`);
  let nowMs = 0;
  let revision = 1;
  let poll: () => void = () => {};
  let goOn: () => void = () => {};
  const statements: number[] = [];
  const cut: string[] = [];
  const store: AuthorityStore = {
    load: async (tenantId) => makeState(tenantId),
    async changes() {
      throw new TypeError("none is followed by itself");
    },
    async changesOfMany(requests) {
      statements.push(requests.length);
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      const read = {
        kind: "changes",
        epoch: 1,
        revision,
        instanceRevision: 1,
        changes: [],
        instanceChanges: [],
      } as const;
      return new Map(requests.map(({ tenantId }) => [tenantId, read]));
    },
    tenants: async () => tenants,
    heads: async (ids) => new Map(ids.map((id) => [id, { epoch: 1, revision, sequence: 1, hash: new Uint8Array(32) }])),
    async listen(_notify, reconnected) {
      poll = reconnected;
      return { async close() {} };
    },
  };
  const states = createAuthorityStates({
    store,
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    log: { warn() {} },
    pollMs: 3_600_000,
    narrowed() {},
    unfollowed: (tenantId) => cut.push(tenantId),
    changed() {},
  });
  await states.start();
  revision = 2;
  for (nowMs = 1_000; nowMs <= 3_000; nowMs += 1_000) {
    poll();
    await turn();
    expect(states.lastContactMonotonicMs()).toBe(nowMs);
  }
  expect(statements).toEqual([200]);
  expect(cut).toEqual([]);

  goOn();
  await turn();
  nowMs = 4_000;
  poll();
  await turn();
  expect(new Set(cut)).toEqual(new Set(tenants.slice(200)));

  while (states.current("tenant-999")?.revision !== 2) {
    goOn();
    await turn();
  }
  expect(tenants.map((tenantId) => states.current(tenantId)?.revision)).toEqual(tenants.map(() => 2));
  cut.length = 0;
  nowMs = 9_000;
  poll();
  await turn();
  expect(cut).toEqual([]);
  goOn();
  await states.close();
});
