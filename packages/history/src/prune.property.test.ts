/**
 * Pruning never changes what a budget answers. Two tenants have the same history, one of them is pruned, and both are
 * then asked the same. On both databases; what goes and what stays is shown by example as well.
 */
import { randomBytes } from "node:crypto";
import { type BudgetClaim, INSTANCE_TENANT, windowAt } from "@writ/contract";
import { type Database, openPostgres } from "@writ/db";
import { freshDatabase, freshPglite, sharedPostgres } from "@writ/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  commit,
  expectWholeLog,
  type HistoryUnderTest,
  makeAllow,
  makeClaim,
  makeEvent,
  makeOutcome,
  makeTenant,
  newId,
  newNode,
  putPrincipal,
  readCounter,
} from "./history.contract.ts";
import { recordChild } from "./narrow.ts";
import { endExpired, PRUNED_OBJECTS_MAX, type PruneCursor, pruneRows, tenantsWithExpired } from "./prune.ts";
import { readChanges, readSnapshot } from "./read-authority.ts";
import { readHead } from "./read-log.ts";
import { refundCarves } from "./refund-carves.ts";
import { ensureInstance, runCommand } from "./run-command.ts";

const DAY_MS = 86_400_000;
const LIMIT = 8;
const NODES_MAX = 3;

const engines: readonly [string, () => Promise<HistoryUnderTest>][] = [
  [
    "Postgres",
    async () => {
      const url = await freshDatabase(await sharedPostgres());
      return {
        open: (role) => openPostgres({ url, role, poolMax: 2, applicationName: "prune" }),
        close: async () => undefined,
      };
    },
  ],
  [
    "the embedded database",
    async () => {
      const fresh = await freshPglite();
      return { open: (role) => fresh.handle.as(role), close: fresh.remove };
    },
  ],
];

describe.each(engines)("pruning on %s", (_name, start) => {
  let engine: HistoryUnderTest;
  let gateway: Database;
  let control: Database;
  let migrate: Database;
  beforeAll(async () => {
    engine = await start();
    gateway = engine.open("gateway");
    control = engine.open("control");
    migrate = engine.open("migrate");
    await ensureInstance(control, { nowMs: Date.now(), newId });
  });
  afterAll(async () => {
    await Promise.all([gateway?.close(), control?.close(), migrate?.close()]);
    await engine?.close();
  });

  const revisionOf = async (tenantId: string): Promise<number> => (await readHead(control, tenantId))?.revision ?? -1;

  async function putRoot(tenantId: string, root: string, expiresAtMs: number): Promise<void> {
    await runCommand(control, { tenantId, nowMs: Date.now() }, async (command) => {
      const ids = { agentId: newId(), principalId: newId(), keyId: "k" };
      const value = { ...ids, label: "", caveats: [], issuedAtMs: 0, expiresAtMs };
      const version = await command.put({ kind: "root_token", id: root, value }, 0);
      const fields = { by: "test", version, node: root, ...ids, caveats: [], expiresAt: expiresAtMs };
      command.append({ event: "token.minted", id: newId(), timeMs: Date.now(), tenantId, fields });
    });
  }

  async function putRevocation(tenantId: string, node: string, revokedAtMs: number): Promise<void> {
    await runCommand(control, { tenantId, nowMs: Date.now() }, async (command) => {
      const value = { reason: "test", at: "control", revokedAtMs } as const;
      const version = await command.put({ kind: "revocation", id: node, value }, 0);
      const fields = { by: "test", version, node, reason: "test" };
      command.append({ event: "token.revoked", id: newId(), timeMs: Date.now(), tenantId, fields });
    });
  }

  interface ChildOptions {
    readonly root: string;
    readonly node: string;
    readonly expiresAtMs: number;
    readonly carve?: { readonly parentCounter: string; readonly childCounter: string; readonly amount: number };
  }

  async function putChild(tenantId: string, { root, node, expiresAtMs, carve }: ChildOptions): Promise<string> {
    const agentId = newId();
    const value = { parent: root, root, agentId, caveats: [], carves: [], recordedAtMs: 0, expiresAtMs };
    const fields = { callId: newId(), node, parent: root, root, agentId, caveats: [], carves: [], expiresAt: 0 };
    const { kind } = await recordChild(gateway, {
      tenantId,
      epoch: 1,
      revision: await revisionOf(tenantId),
      nowMs: Date.now(),
      node,
      value,
      path: [node, root],
      budgetNodesMax: NODES_MAX,
      carves: carve === undefined ? [] : [{ ...carve, windowStartMs: 0, limit: LIMIT }],
      soft: [],
      callId: newId(),
      salt: randomBytes(16),
      events: [{ event: "token.attenuated", id: newId(), timeMs: Date.now(), tenantId, fields }],
    });
    return kind;
  }

  /** As if everything open had been opened long ago: nobody has the database's clock in hand. */
  async function age(tenantId: string): Promise<void> {
    await migrate.transaction({ tenants: [tenantId] }, (q) =>
      q.query("UPDATE open_call SET opened_us = opened_us - $2::int8 WHERE tenant_id = $1::uuid", [
        tenantId,
        40 * DAY_MS * 1000,
      ]),
    );
  }

  async function prune(tenantId: string): Promise<{ objects: number; counters: number; calls: number; pages: number }> {
    const pruned = { objects: 0, counters: 0, calls: 0, pages: 0 };
    for (;;) {
      const scope = { tenantId, nowMs: Date.now(), newId, by: "test" };
      const ended = await endExpired(control, scope);
      pruned.objects += ended;
      if (ended === 0) break;
    }
    for (let from: PruneCursor | undefined; ; ) {
      const page = await pruneRows(control, tenantId, from);
      pruned.counters += page.counters;
      pruned.calls += page.calls;
      pruned.pages += 1;
      if (page.next === undefined) return pruned;
      from = page.next;
    }
  }

  const refund = async (tenantId: string): Promise<number> => {
    let count = 0;
    for (;;) {
      const page = await refundCarves(control, tenantId, { nowMs: Date.now(), newId });
      count += page;
      if (page === 0) return count;
    }
  };

  test("I7 R-BUDGET-1 changes no answer of a budget, whatever was charged, set aside and left open before", async () => {
    const gone = windowAt("day", Date.now() - 70 * DAY_MS).startMs;
    const today = windowAt("day", Date.now()).startMs;
    const windows = { gone, today, total: 0 };
    const window = fc.constantFrom("gone" as const, "today" as const, "total" as const);
    const outcome = fc.constantFrom("completed" as const, "failed" as const, "aborted" as const, "unknown" as const);
    // Roots: one that lives, one that expired yesterday, one that expired long ago; 3: counters that belong to no root.
    const claim = (root: fc.Arbitrary<number>) =>
      fc.record({
        root,
        which: fc.integer({ min: 0, max: 2 }),
        window,
        amount: fc.integer({ min: 1, max: 3 }),
        mode: fc.constantFrom("hard" as const, "soft" as const),
      });
    const step = (root: fc.Arbitrary<number>) =>
      fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            kind: fc.constantFrom("allow" as const, "allow_ended" as const),
            claims: fc.array(claim(root), { minLength: 1, maxLength: 3 }),
          }),
        },
        { weight: 3, arbitrary: fc.record({ kind: fc.constant("outcome" as const), call: fc.nat(), outcome }) },
        {
          weight: 1,
          arbitrary: fc.record({
            kind: fc.constant("child" as const),
            root: fc.integer({ min: 0, max: 2 }),
            brief: fc.boolean(),
            amount: fc.integer({ min: 1, max: 4 }),
            below: fc.integer({ min: 0, max: 3 }),
          }),
        },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant("refund" as const) }) },
      );
    const before = fc.array(step(fc.integer({ min: 0, max: 3 })), { minLength: 1, maxLength: 25 });
    // Whoever comes later has no token of the root that is gone.
    const after = fc.array(step(fc.constantFrom(0, 1, 3)), { minLength: 1, maxLength: 25 });
    let prunedCounters = 0;

    await fc.assert(
      fc.asyncProperty(before, after, async (history, later) => {
        const tenants = [await makeTenant(control), await makeTenant(control)] as const;
        const roots = [newNode(), newNode(), newNode()];
        const expiries = [Date.now() + DAY_MS, Date.now() - DAY_MS, Date.now() - 40 * DAY_MS];
        for (const tenantId of tenants) {
          for (const [index, root] of roots.entries()) await putRoot(tenantId, root, expiries[index] as number);
        }
        const counters = new Map<string, string>();
        const counterOf = (name: string): string => {
          const known = counters.get(name) ?? newNode();
          counters.set(name, known);
          return known;
        };
        const calls: string[] = [];
        const children: string[] = [];
        /** What one tenant answers to a step. Whatever has an id has the same one in both. */
        const apply = async (
          tenantId: string,
          given: (typeof history)[number],
          ids: { callId: string; node: string },
          again: boolean,
        ): Promise<unknown> => {
          switch (given.kind) {
            case "refund":
              return refund(tenantId);
            case "child": {
              // Later on nobody has a token of the root that is gone.
              const root = again && given.root === 2 ? 0 : given.root;
              const from = children.filter((name) => name.startsWith(`${root} `));
              const parent =
                given.below === 0 ? `${root} total` : (from[given.below % Math.max(from.length, 1)] ?? `${root} total`);
              return putChild(tenantId, {
                root: roots[root] as string,
                node: ids.node,
                expiresAtMs: given.brief ? Date.now() - 1 : (expiries[root] as number),
                carve: {
                  parentCounter: counterOf(parent),
                  childCounter: counterOf(`${root} ${ids.node}`),
                  amount: given.amount,
                },
              });
            }
            case "outcome": {
              const callId = calls[given.call % Math.max(calls.length, 1)] ?? newId();
              await commit(gateway, [makeOutcome({ tenantId, callId }, given.outcome)]);
              const late = makeOutcome({ tenantId, callId }, given.outcome);
              if (late.kind === "outcome" && late.outcome !== "unknown") {
                await commit(gateway, [{ ...late, kind: "late_outcome", outcome: late.outcome }]);
              }
              // How a late outcome is called may differ where its call went; what it is charged to may not.
              return undefined;
            }
            default: {
              const [first] = given.claims;
              const root = first?.root ?? 0;
              const claims = given.claims.map(({ which, window: at, amount, mode }): BudgetClaim => {
                const windowStartMs = at === "gone" && again ? today : windows[at];
                // A child's own counter, where there is one, is what its carve is compared with.
                const name = children.findLast((child) => which === 2 && child.startsWith(`${root} `));
                const counter = counterOf(at === "total" ? (name ?? `${root} total`) : `${root} day ${which}`);
                const scope = root === 3 ? "agent" : "node";
                return makeClaim(counter, { scope, amount, mode, limit: LIMIT, windowStartMs });
              });
              const entry = makeAllow(tenantId, {
                callId: ids.callId,
                root: roots[root] ?? newNode(),
                budgetNodesMax: NODES_MAX,
                revision: await revisionOf(tenantId),
                claims,
              });
              const { results } = await commit(gateway, [{ ...entry, kind: given.kind }]);
              const [result] = results;
              if (result?.kind !== "committed") return result;
              return { kind: "committed", exceeded: result.exceeded };
            }
          }
        };
        const run = async (steps: typeof history, again: boolean): Promise<void> => {
          for (const given of steps) {
            const ids = { callId: newId(), node: newNode() };
            const [pruned, whole] = [
              await apply(tenants[0], given, ids, again),
              await apply(tenants[1], given, ids, again),
            ];
            expect(pruned, JSON.stringify(given)).toEqual(whole);
            if (given.kind === "allow") calls.push(ids.callId);
            if (given.kind === "child" && pruned === "recorded") {
              children.push(`${again && given.root === 2 ? 0 : given.root} ${ids.node}`);
            }
          }
        };
        await run(history, false);
        for (const tenantId of tenants) await age(tenantId);
        const pruned = await prune(tenants[0]);
        expect(pruned.objects).toBeGreaterThan(0);
        prunedCounters += pruned.counters;
        await run(later, true);
        // What is never over, or is of the window of now, stands the same in both; of what is over, what is set aside.
        for (const [name, counter] of counters) {
          if (name.startsWith("2 ")) continue;
          const mine = await readCounter(control, tenants[0], counter);
          const other = await readCounter(control, tenants[1], counter);
          if (other.window_start === windows.gone) expect(mine.carved, name).toBe(other.carved);
          else expect(mine, name).toEqual(other);
        }
        expect(await refund(tenants[0])).toBe(await refund(tenants[1]));
        await expectWholeLog(control, tenants[0]);
      }),
      { numRuns: 30 },
    );
    expect(prunedCounters).toBeGreaterThan(0);
  }, 300_000);

  test("ends roots that expired long ago with all below them, as one event, and leaves every other object", async () => {
    const tenantId = await makeTenant(control);
    const [long, late, alive] = [Date.now() - 8 * DAY_MS, Date.now() - 6 * DAY_MS, Date.now() + DAY_MS];
    const [gone, kept, living] = [newNode(), newNode(), newNode()];
    for (const [root, expiresAtMs] of [
      [gone, long],
      [kept, late],
      [living, alive],
    ] as const) {
      await putRoot(tenantId, root, expiresAtMs);
    }
    const [child, brief, unrecorded, old] = [newNode(), newNode(), newNode(), newNode()];
    await putChild(tenantId, { root: gone, node: child, expiresAtMs: long });
    // Its root lives, and so may another token of its node.
    await putChild(tenantId, { root: living, node: brief, expiresAtMs: long });
    await putRevocation(tenantId, child, long);
    await putRevocation(tenantId, unrecorded, long);
    await putRevocation(tenantId, old, Date.now() - 374 * DAY_MS);
    const before = await revisionOf(tenantId);
    expect(await tenantsWithExpired(control, [INSTANCE_TENANT, tenantId])).toEqual([tenantId]);

    expect(await endExpired(control, { tenantId, nowMs: Date.now(), newId, by: "test" })).toBe(4);

    expect(await tenantsWithExpired(control, [INSTANCE_TENANT, tenantId])).toEqual([]);
    const snapshot = await readSnapshot(gateway, tenantId);
    const ids = snapshot?.objects.filter(({ kind }) => kind !== "tenant").map(({ kind, id }) => `${kind} ${id}`);
    expect(ids?.sort()).toEqual(
      [`root_token ${kept}`, `root_token ${living}`, `node ${brief}`, `revocation ${unrecorded}`].sort(),
    );
    // A gateway that follows learns of it by one revision.
    const read = await readChanges(gateway, { tenantId, sinceRevision: before, sinceInstanceRevision: 0 });
    expect(read).toMatchObject({ kind: "changes", revision: before + 1 });
    if (read.kind === "changes") expect(read.changes.map((change) => change.type)).toEqual(new Array(4).fill("delete"));
    expect(await endExpired(control, { tenantId, nowMs: Date.now(), newId, by: "test" })).toBe(0);
    expect(await revisionOf(tenantId)).toBe(before + 1);
    await expectWholeLog(control, tenantId);
  });

  test("waits with a child until its carve is refunded, and the refund says what was spent", async () => {
    const tenantId = await makeTenant(control);
    const expiresAtMs = Date.now() - 40 * DAY_MS;
    const [root, node, parentCounter, childCounter] = [newNode(), newNode(), newNode(), newNode()];
    await putRoot(tenantId, root, expiresAtMs);
    await putChild(tenantId, { root, node, expiresAtMs, carve: { parentCounter, childCounter, amount: 5 } });
    const revision = await revisionOf(tenantId);
    const claims = [makeClaim(childCounter, { scope: "node", amount: 3, limit: 5 })];
    const call = makeAllow(tenantId, { root, revision, claims });
    await commit(gateway, [call]);

    expect(await prune(tenantId)).toMatchObject({ objects: 1, counters: 0 });
    expect(await refund(tenantId)).toBe(0);
    await commit(gateway, [makeOutcome(call, "completed")]);
    expect(await prune(tenantId)).toMatchObject({ objects: 0, counters: 0 });
    expect(await refund(tenantId)).toBe(1);
    const head = await readHead(control, tenantId);
    const rows = await control.transaction({ tenants: [tenantId] }, (q) =>
      q.query<{ event: string }>("SELECT event FROM audit_event WHERE tenant_id = $1::uuid AND sequence = $2", [
        tenantId,
        head?.sequence ?? 0,
      ]),
    );
    expect(JSON.parse(rows[0]?.event ?? "")).toMatchObject({ event: "budget.refunded", node, amount: 2 });
    expect(await prune(tenantId)).toMatchObject({ objects: 1, counters: 2 });
  });

  test("R-BUDGET-2 keeps an unknown call while a counter stands as it charged it", async () => {
    const tenantId = await makeTenant(control);
    const gone = windowAt("day", Date.now() - 70 * DAY_MS).startMs;
    const [over, total, held] = [newNode(), newNode(), newNode()];
    const claimed = (counter: string, windowStartMs: number) => [makeClaim(counter, { windowStartMs })];
    const calls = [
      makeAllow(tenantId, { claims: claimed(over, gone) }),
      makeAllow(tenantId, { claims: [...claimed(over, gone), ...claimed(total, 0)] }),
      makeAllow(tenantId),
    ];
    const open = makeAllow(tenantId, { claims: claimed(held, gone) });
    await commit(gateway, [...calls, open]);
    await commit(
      gateway,
      calls.map((call) => makeOutcome(call, "unknown")),
    );
    // As new as they are, all of them stay; the counter of a window that is over may go, unless something is reserved.
    expect(await prune(tenantId)).toMatchObject({ counters: 1, calls: 0 });
    await age(tenantId);
    expect(await prune(tenantId)).toMatchObject({ counters: 0, calls: 2 });
    expect(await readCounter(control, tenantId, total)).toMatchObject({ unknown: 1 });
    const [, charged] = calls;
    if (charged === undefined) throw new TypeError("there are three calls");
    const event = makeEvent(tenantId);
    const late = { ...event, tenantId, callId: charged.callId, kind: "late_outcome", outcome: "completed" } as const;
    expect((await commit(gateway, [late, makeOutcome(open, "completed")])).results).toMatchObject([
      { kind: "committed" },
      { kind: "committed" },
    ]);
    expect(await readCounter(control, tenantId, total)).toMatchObject({ unknown: 0, used: 1 });
    expect(await prune(tenantId)).toMatchObject({ counters: 1, calls: 0 });
  });

  test("looks for each row by its key, however many counters, carves and roots a tenant has", async () => {
    const tenantId = await makeTenant(control);
    // 1,500 counters that stay, 600 of them of living roots, as many carves, and 100 unknown calls of long ago on three of
    // them each.
    const run = (text: string): Promise<unknown> =>
      migrate.transaction({ tenants: [tenantId] }, (q) => q.query(text, [tenantId]));
    const counter = (n: string): string => `substr(sha256(('counter ' || ${n})::bytea), 1, 16)`;
    await run(`INSERT INTO budget_charge (tenant_id, counter, root, window_start, charged)
      SELECT $1::uuid, ${counter("n")}, CASE WHEN n <= 600 THEN ${counter("'root ' || n")} END, 0, 1
      FROM generate_series(1, 1500) AS n`);
    await run(`INSERT INTO authority (tenant_id, kind, id, version, revision, created_ms, value)
      SELECT $1::uuid, 'root_token', encode(${counter("'root ' || n")}, 'hex'), 1, 1, 0, '{"expiresAtMs":9e15}'::jsonb
      FROM generate_series(1, 600) AS n`);
    await run(`INSERT INTO carve (tenant_id, node, parent_counter, child_counter, amount, path, expires_ms)
      SELECT $1::uuid, 'n' || n, ${counter("n")}, ${counter("'none ' || n")}, 1, '{}', 9000000000000
      FROM generate_series(1, 600) AS n`);
    await run(`INSERT INTO open_call (tenant_id, call_id, gateway_id, opened_us, state, counters, window_starts, amounts)
      SELECT $1::uuid, gen_random_uuid(), gen_random_uuid(), 0, 'unknown',
        ${counter("n")} || ${counter("n + 1")} || ${counter("n + 2")}, '{0,0,0}', '{1,1,1}'
      FROM generate_series(1, 100) AS n`);

    const read = await control.transaction({ tenants: [tenantId] }, async (q) => {
      // What transactions before this one read and have not reported yet is counted, too.
      const count = async (): Promise<Map<string, number>> => {
        const rows = await q.query<{ name: string; read: number }>(
          `SELECT relname AS name, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS read
           FROM pg_stat_xact_user_tables`,
        );
        return new Map(rows.map((row) => [row.name, row.read]));
      };
      const before = await count();
      const [pruned] = await q.query("SELECT counters, calls FROM writ_prune($1::uuid, NULL, NULL, 200)", [tenantId]);
      expect(pruned).toEqual({ counters: 0, calls: 0 });
      const after = await count();
      return (table: string): number => (after.get(table) ?? 0) - (before.get(table) ?? 0);
    });
    // A page of counters is found once and looked at once; each claim has one row looked for.
    expect(read("budget_charge")).toBeGreaterThanOrEqual(200);
    expect(read("budget_charge")).toBeLessThanOrEqual(2 * 200 + 3 * 100);
    // One row for each counter of a root, and the carve that comes next for each counter.
    expect(read("authority")).toBeLessThanOrEqual(200);
    expect(read("carve")).toBeLessThanOrEqual(200);
  });

  test("goes page by page to the end of what there is, however much it is", async () => {
    const tenantId = await makeTenant(control);
    await migrate.transaction({ tenants: [tenantId] }, async (q) => {
      await q.query(
        `INSERT INTO budget_charge (tenant_id, counter, window_start, charged)
          SELECT $1::uuid, substr(sha256(n::text::bytea), 1, 16), CASE WHEN n % 2 = 0 THEN 1 ELSE 0 END, 1
          FROM generate_series(1, 2500) AS n`,
        [tenantId],
      );
      await q.query(
        `INSERT INTO authority (tenant_id, kind, id, value, version, revision, created_ms)
          SELECT $1::uuid, 'root_token', 'root ' || n, '{"expiresAtMs":1}', 1, 1, 1 FROM generate_series(1, $2::int4) AS n`,
        [tenantId, 2 * PRUNED_OBJECTS_MAX + 1],
      );
      // The same, as ended long ago.
      await q.query(
        `INSERT INTO authority (tenant_id, kind, id, value, version, revision, created_ms, deactivated_ms)
          SELECT $1::uuid, 'node', 'node ' || n, '{"expiresAtMs":1}', 1, 1, 1, 1 FROM generate_series(1, 1500) AS n`,
        [tenantId],
      );
      // As many revisions on: what changed before cannot be followed any more.
      await q.query("UPDATE tenant_head SET revision = revision + 20000 WHERE tenant_id = $1::uuid", [tenantId]);
    });
    await putPrincipal(control, tenantId, "somebody");
    const pruned = await prune(tenantId);
    expect(pruned).toMatchObject({ objects: 2 * PRUNED_OBJECTS_MAX + 1, counters: 1_250, pages: 3 });
    const left = await migrate.transaction({ tenants: [tenantId] }, (q) =>
      q.query<{ nodes: number; changes: number }>(
        `SELECT (SELECT count(*) FROM authority WHERE tenant_id = $1::uuid AND kind = 'node')::int4 AS nodes,
          (SELECT count(*) FROM authority_change WHERE tenant_id = $1::uuid)::int4 AS changes`,
        [tenantId],
      ),
    );
    expect(left).toEqual([{ nodes: 0, changes: 1 + 2 * PRUNED_OBJECTS_MAX + 1 }]);
    const since = { tenantId, sinceRevision: 20_001, sinceInstanceRevision: 0 };
    expect(await readChanges(gateway, since)).toMatchObject({
      kind: "changes",
      changes: { length: 1 + 2 * PRUNED_OBJECTS_MAX + 1 },
    });
  });
});
