/** The contract of history on Postgres, and what only concurrent connections can break. */
import { randomBytes } from "node:crypto";
import { INSTANCE_TENANT } from "@writ/contract";
import { type Database, DatabaseError, openPostgres } from "@writ/db";
import { freshDatabase, sharedPostgres, startTcpProxy } from "@writ/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commitIn, commitJournalUnderLock, resolveBatch } from "./commit-journal.ts";
import {
  commit,
  describeHistory,
  engageKill,
  expectWholeLog,
  makeAllow,
  makeClaim,
  makeOutcome,
  makeTenant,
  newId,
  newNode,
  putPrincipal,
  readCounter,
  releaseKill,
} from "./history.contract.ts";
import type { JournalBatch, JournalBatchResult, JournalEntry } from "./journal-entry.ts";
import { listenAuthority, readHeads, readSnapshot } from "./read-authority.ts";
import { counterTotalsIn } from "./read-counters.ts";
import { createTenant, ensureInstance, runCommand } from "./run-command.ts";

describeHistory("history on Postgres", async () => {
  const url = await freshDatabase(await sharedPostgres());
  return {
    open: (role) => openPostgres({ url, role, poolMax: 4, applicationName: "history" }),
    close: async () => undefined,
  };
});

/** Commits again what was not committed because it waited too long for others, as whoever commits does. */
async function commitPatiently(db: Database, entries: readonly JournalEntry[]): Promise<JournalBatchResult> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await commit(db, entries);
    } catch (error) {
      const waited = error instanceof DatabaseError && ["57014", "55P03"].includes(error.sqlState);
      if (!waited || attempt === 50) throw error;
    }
  }
}

describe("history between concurrent connections", () => {
  let url: string;
  let gateway: Database;
  let control: Database;
  let migrate: Database;
  const opened: Database[] = [];
  const open = (role: "gateway" | "control" | "migrate", poolMax = 8, through = url): Database => {
    const db = openPostgres({ url: through, role, poolMax, applicationName: `history-${role}` });
    opened.push(db);
    return db;
  };

  beforeAll(async () => {
    url = await freshDatabase(await sharedPostgres());
    gateway = open("gateway", 50);
    control = open("control");
    migrate = open("migrate");
    await ensureInstance(control, { nowMs: Date.now(), newId });
  });
  afterAll(async () => {
    await Promise.all(opened.map((db) => db.close()));
  });

  /** Resolves when a connection of this database waits for a lock: the moment that a race is about. */
  const untilSomebodyWaits = async (): Promise<void> => {
    for (;;) {
      const rows = await migrate.query<{ n: number }>(
        `SELECT count(*)::int4 AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      if ((rows[0]?.n ?? 0) > 0) return;
    }
  };

  test("a batch looks at the counters and keys that it names, however many the tenant has", async () => {
    const tenantId = await makeTenant(control);
    const rows = 3_000;
    await migrate.transaction({ tenants: [tenantId] }, async (q) => {
      await q.query(
        `INSERT INTO budget_charge (tenant_id, counter, window_start)
          SELECT $1::uuid, substr(sha256(n::text::bytea), 1, 16), 0 FROM generate_series(1, $2::int4) AS n`,
        [tenantId, rows],
      );
      await q.query(
        `INSERT INTO idempotency_key (tenant_id, key, call_id, taken_us)
          SELECT $1::uuid, sha256(n::text::bytea), gen_random_uuid(), writ_now_us() FROM generate_series(1, $2::int4) AS n`,
        [tenantId, rows],
      );
    });
    const claim = makeClaim(newNode());
    const known = makeAllow(tenantId, { claims: [claim], key: randomBytes(32) });
    await commit(gateway, [known]);
    const looked = async (entries: readonly JournalEntry[]): Promise<number> =>
      migrate.transaction({ tenants: [tenantId] }, async (q) => {
        await q.query("SET LOCAL track_counts = on");
        await commitIn(q, { id: newId(), gatewayId: newId(), marks: new Map(), entries });
        await counterTotalsIn(q, tenantId, [claim]);
        const fetched = await q.query<{ n: number }>(
          `SELECT sum(pg_stat_get_xact_tuples_returned(i.indexrelid))::int4 AS n FROM pg_index i
            WHERE i.indrelid IN ('budget_charge'::regclass, 'idempotency_key'::regclass)`,
        );
        return fetched[0]?.n ?? Number.NaN;
      });
    const key = randomBytes(32);
    const fits = makeAllow(tenantId, { claims: [claim], key });
    const refused = makeAllow(tenantId, { claims: [{ ...claim, amount: 11 }], key: randomBytes(32) });
    const fresh = makeAllow(tenantId, { claims: [makeClaim(newNode())], key });
    // The database counts over all transactions of a connection.
    let before = 0;
    for (const entries of [[fits], [refused, fresh], [makeOutcome(known, "aborted")]]) {
      const count = await looked(entries);
      expect(count).toBeGreaterThan(before);
      expect(count - before).toBeLessThan(30);
      before = count;
    }
  });

  test("trap-07 two gateways that name one key at once make one call of it", async () => {
    const tenantId = await makeTenant(control);
    for (let round = 0; round < 20; round += 1) {
      const key = randomBytes(32);
      const results = await Promise.all(
        Array.from({ length: 4 }, () => commitPatiently(gateway, [makeAllow(tenantId, { key })])),
      );
      const kinds = results.flatMap(({ results: own }) => own.map(({ kind }) => kind));
      expect(kinds.sort()).toEqual(["committed", "duplicate", "duplicate", "duplicate"]);
    }
  });

  test("R-BUDGET-1 trap-16 committers side by side never fork a log, and 50 at once admit exactly the budget", async () => {
    const tenants = [await makeTenant(control), await makeTenant(control)].sort();
    const counters = new Map(tenants.map((tenantId) => [tenantId, newNode()]));
    let admitted = 0;
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        for (let round = 0; round < 4; round += 1) {
          const entries = tenants.flatMap((tenantId) => {
            const claims = [makeClaim(counters.get(tenantId) ?? "", { limit: 100 })];
            return [makeAllow(tenantId, { claims }), makeAllow(tenantId, { claims })];
          });
          const result = await commitPatiently(gateway, entries);
          const done = entries.filter((_, index) => result.results[index]?.kind === "committed");
          admitted += done.length;
          const call = done[0];
          if (call !== undefined) await commitPatiently(gateway, [makeOutcome(call, "completed")]);
        }
      }),
    );
    expect(admitted).toBe(200);
    for (const tenantId of tenants) {
      const counter = await readCounter(control, tenantId, counters.get(tenantId) ?? "");
      expect(counter.used + counter.reserved).toBe(100);
      await expectWholeLog(control, tenantId);
    }
  });

  test("trap-49 a batch that waited for a command's lock sees what the command changed", async () => {
    const tenantId = await makeTenant(control);
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let locked: () => void = () => undefined;
    const holds = new Promise<void>((resolve) => {
      locked = resolve;
    });
    const command = runCommand(control, { tenantId, nowMs: Date.now() }, async (transaction) => {
      const value = { name: "x", type: "team", status: "active" } as const;
      await transaction.put({ kind: "principal", id: "p", value }, 0);
      const fields = { by: "test", version: 1, principalId: newId() };
      transaction.append({ event: "principal.created", id: newId(), timeMs: Date.now(), tenantId, fields });
      locked();
      await held;
    });
    await holds;
    const waiting = commit(gateway, [makeAllow(tenantId)]);
    const underLock = commitJournalUnderLock(
      gateway,
      [{ tenantId, sinceRevision: 1, sinceInstanceRevision: 0 }],
      (changes) => {
        expect(changes.get(tenantId)).toMatchObject({ kind: "changes", revision: 2, changes: [{ type: "put" }] });
        return {
          id: newId(),
          gatewayId: newId(),
          marks: new Map(),
          entries: [makeAllow(tenantId, { revision: 2 })],
        };
      },
    );
    await untilSomebodyWaits();
    release();
    await command;
    expect((await waiting).results).toEqual([{ kind: "stale" }]);
    expect(await underLock).toMatchObject({ kind: "committed", result: { results: [{ kind: "committed" }] } });
    await expectWholeLog(control, tenantId);
  });

  test("trap-50 a snapshot never labels objects with a revision that is not theirs", async () => {
    const tenantId = await makeTenant(control);
    let running = true;
    const writer = (async () => {
      for (let count = 0; count < 60; count += 1) await putPrincipal(control, tenantId, `p${count}`);
      running = false;
    })();
    let seen = 0;
    while (running) {
      const snapshot = await readSnapshot(gateway, tenantId);
      const principals = snapshot?.objects.filter((object) => object.kind === "principal").length;
      expect(principals).toBe((snapshot?.revision ?? 0) - 1);
      seen += 1;
    }
    await writer;
    expect(seen).toBeGreaterThan(0);
  });

  test("trap-62 looking up a batch waits for its orphaned transaction, whichever way that ends", async () => {
    const tenantId = await makeTenant(control);
    for (const ends of ["committed", "refused"] as const) {
      const batch: JournalBatch = {
        id: newId(),
        gatewayId: newId(),
        marks: new Map(),
        entries: [makeAllow(tenantId)],
      };
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      let sent: () => void = () => undefined;
      const isSent = new Promise<void>((resolve) => {
        sent = resolve;
      });
      const orphan = gateway.transaction({ tenants: [tenantId] }, async (q) => {
        await commitIn(q, batch);
        sent();
        await held;
        if (ends === "refused") throw new Error("the connection was lost");
      });
      await isSent;
      const resolved = resolveBatch(gateway, { id: batch.id, tenants: [tenantId] });
      await untilSomebodyWaits();
      release();
      await orphan.catch(() => undefined);
      expect(await resolved).toBe(ends);
    }
    await expectWholeLog(control, tenantId);
  });

  test("trap-62 a batch whose answer was cut off is found, and one cut off before is refused", async () => {
    const tenantId = await makeTenant(control);
    const proxy = await startTcpProxy(Number(new URL(url).port));
    try {
      for (const [when, answer] of [
        ["after", "committed"],
        ["before", "refused"],
      ] as const) {
        const cut = open("gateway", 1, proxy.url(url));
        await readHeads(cut, [tenantId]);
        const id = newId();
        const done = proxy.cutOnce({ at: { text: id }, when });
        await expect(commit(cut, [makeAllow(tenantId)], { id })).rejects.toMatchObject({ commitUnknown: true });
        await done;
        expect(await resolveBatch(gateway, { id, tenants: [tenantId] })).toBe(answer);
      }
    } finally {
      await proxy.close();
    }
    expect(await expectWholeLog(control, tenantId)).toBe(3);
  });

  test("a change of the instance waits for a tenant that is being made, and reaches it", async () => {
    const tenantId = newId();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let begun: () => void = () => undefined;
    const isBegun = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const making = createTenant(control, { tenantId, nowMs: Date.now(), newId }, async (command) => {
      const value = { name: "t", status: "active", tokenLifetimeMaxSeconds: 1, budgetNodesMax: 1 } as const;
      await command.put({ kind: "tenant", id: tenantId, value }, 0);
      begun();
      await held;
    });
    await isBegun;
    const engaged = engageKill(control, INSTANCE_TENANT);
    await untilSomebodyWaits();
    release();
    await making;
    await engaged;
    try {
      const snapshot = await readSnapshot(gateway, tenantId);
      expect(snapshot?.revision).toBe(2);
      expect(snapshot?.instanceObjects.map((object) => object.id)).toEqual(["instance:"]);
    } finally {
      await releaseKill(control, INSTANCE_TENANT);
    }
  });

  test("instance commands, tenant commands and cross-tenant batches end without a deadlock", async () => {
    const tenants = [await makeTenant(control), await makeTenant(control), await makeTenant(control)];
    const work: Promise<unknown>[] = [];
    for (let round = 0; round < 10; round += 1) {
      for (const [index, tenantId] of tenants.entries()) {
        work.push(putPrincipal(control, tenantId, `r${round}-${index}`));
        const rotated = [...tenants.slice(index), ...tenants.slice(0, index), INSTANCE_TENANT];
        work.push(
          commit(
            gateway,
            rotated.map((id) => makeAllow(id)),
          ),
        );
      }
      work.push(engageKill(control, INSTANCE_TENANT).then(() => releaseKill(control, INSTANCE_TENANT)));
      await Promise.all(work.splice(0));
    }
    for (const tenantId of [...tenants, INSTANCE_TENANT]) await expectWholeLog(control, tenantId);
  });

  test("a change is announced to listeners with the tenant's id, after it can be read", async () => {
    const tenantId = newId();
    let heard: (id: string) => void = () => undefined;
    const announced = new Promise<string>((resolve) => {
      heard = (id) => {
        if (id === tenantId) resolve(id);
      };
    });
    const listener = await listenAuthority(gateway, heard, () => undefined);
    try {
      await createTenant(control, { tenantId, nowMs: Date.now(), newId }, async (command) => {
        const value = { name: "t", status: "active", tokenLifetimeMaxSeconds: 1, budgetNodesMax: 1 } as const;
        await command.put({ kind: "tenant", id: tenantId, value }, 0);
      });
      expect(await announced).toBe(tenantId);
      expect((await readHeads(gateway, [tenantId])).get(tenantId)?.revision).toBe(1);
    } finally {
      await listener.close();
    }
  });
});
