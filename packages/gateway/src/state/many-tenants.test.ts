/** A change of the instance moves every tenant at once: hundreds of them are followed by a handful of statements. */
import { randomBytes } from "node:crypto";
import { INSTANCE_TENANT, makeUuidv7 } from "@writ/contract";
import { type Database, openPostgres } from "@writ/db";
import { ensureInstance, runCommand } from "@writ/history";
import { freshDatabase, sharedPostgres } from "@writ/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createStateOptions } from "../compile-policy.ts";
import { createAuthorityStates } from "./authority-states.ts";
import { createAuthorityStore } from "./authority-store.ts";

const TENANTS = 900;
const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
const newId = (): string => makeUuidv7(Date.now(), randomBytes(10));

let db: Database;
let control: Database;
beforeAll(async () => {
  const url = await freshDatabase(await sharedPostgres());
  db = openPostgres({ url, role: "gateway", poolMax: 6, applicationName: "test" });
  control = openPostgres({ url, role: "control", poolMax: 1, applicationName: "test" });
  await ensureInstance(control, { nowMs: Date.now(), newId });
  const owner = openPostgres({ url, role: "migrate", poolMax: 1, applicationName: "test" });
  await owner.query(
    `INSERT INTO tenant_head (tenant_id, epoch, revision, sequence, hash, frontier, last_committed_us)
      SELECT t.id, 1, 1, 0, writ_genesis(t.id, 1), '', 0 FROM (
        SELECT gen_random_uuid() AS id FROM generate_series(1, $1::int4)) AS t`,
    [TENANTS],
  );
  await owner.close();
});
afterAll(() => Promise.all([db.close(), control.close()]));

test("hundreds of tenants follow the instance's kill switch, none by a statement of its own and none too late", async () => {
  let transactions = 0;
  const counted: Database = {
    engine: db.engine,
    query: (text, values) => db.query(text, values),
    script: (text) => db.script(text),
    transaction: (options, work) => {
      transactions += 1;
      return db.transaction(options, work);
    },
    listen: (channel, notify, reconnected) => db.listen(channel, notify, reconnected),
    close: async () => undefined,
  };
  const late: string[] = [];
  const states = createAuthorityStates({
    store: createAuthorityStore(counted, createStateOptions()),
    clock,
    log: { warn: (_fields, message) => late.push(message) },
    pollMs: 1_000,
    narrowed() {},
    unfollowed: (tenantId) => late.push(tenantId),
    changed() {},
  });
  await states.start();
  try {
    expect(states.tenantIds).toHaveLength(TENANTS);
    transactions = 0;
    await runCommand(control, { tenantId: INSTANCE_TENANT, nowMs: Date.now() }, async (command) => {
      const value = { scope: "instance", scopeId: "", reason: "test", engagedAtMs: Date.now() } as const;
      const version = await command.put({ kind: "kill", id: "instance:", value }, 0);
      const fields = { by: "test", version, scope: "instance", scopeId: "", reason: "test" };
      command.append({ event: "kill.engaged", id: newId(), timeMs: Date.now(), tenantId: INSTANCE_TENANT, fields });
    });

    const followed = (): number =>
      states.tenantIds.filter((tenantId) => states.current(tenantId)?.killed("instance", "")).length;
    await expect.poll(followed, { timeout: 20_000 }).toBe(TENANTS);
    expect(transactions).toBeLessThan(TENANTS / 10);
    expect(late).toEqual([]);
  } finally {
    await states.close();
  }
});
