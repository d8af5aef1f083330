/** Reading the changes of many tenants at once gives each what reading it alone gives. */
import { INSTANCE_TENANT } from "@writ/contract";
import { type Database, openPostgres } from "@writ/db";
import { freshDatabase, sharedPostgres } from "@writ/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { engageKill, makeTenant, newId, putPrincipal, releaseKill } from "./history.contract.ts";
import { CHANGES_READ_MAX, readChanges, readChangesOfMany, readHeads } from "./read-authority.ts";
import { ensureInstance } from "./run-command.ts";

let gateway: Database;
let control: Database;
let owner: Database;
beforeAll(async () => {
  const url = await freshDatabase(await sharedPostgres());
  gateway = openPostgres({ url, role: "gateway", poolMax: 4, applicationName: "read" });
  control = openPostgres({ url, role: "control", poolMax: 4, applicationName: "read" });
  owner = openPostgres({ url, role: "migrate", poolMax: 1, applicationName: "read" });
  await ensureInstance(control, { nowMs: Date.now(), newId });
});
afterAll(() => Promise.all([gateway.close(), control.close(), owner.close()]));

test("many tenants read at once are each what they are when read alone, from any revision on", async () => {
  const tenants = await Promise.all([1, 2, 3, 4].map(() => makeTenant(control)));
  for (const [index, tenantId] of tenants.entries()) {
    for (let count = 0; count < index; count += 1) await putPrincipal(control, tenantId, `p${count}`);
  }
  await engageKill(control, INSTANCE_TENANT);
  await releaseKill(control, INSTANCE_TENANT);
  const heads = await readHeads(gateway, [INSTANCE_TENANT, ...tenants]);
  const request = fc.record({
    tenantId: fc.constantFrom(...tenants, newId()),
    sinceRevision: fc.integer({ min: 0, max: 9 }),
    sinceInstanceRevision: fc.integer({ min: 0, max: (heads.get(INSTANCE_TENANT)?.revision ?? 0) + 1 }),
  });
  const requests = fc.uniqueArray(request, { selector: ({ tenantId }) => tenantId, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(requests, async (asked) => {
      const together = await readChangesOfMany(gateway, asked);
      expect([...together.keys()]).toEqual(asked.map(({ tenantId }) => tenantId));
      for (const each of asked) expect(together.get(each.tenantId)).toEqual(await readChanges(gateway, each));
    }),
    { numRuns: 200 },
  );
});

test("of tenants that together have too many changes none is told a part of its own", async () => {
  const tenants = (await Promise.all([1, 2, 3].map(() => makeTenant(control)))).sort();
  const [first, second, third] = tenants as [string, string, string];
  await owner.query(
    `INSERT INTO authority_change (tenant_id, revision, position, kind, id, value, version)
      SELECT $1::uuid, 1, n, 'principal', 'p' || n, '{}', 1 FROM generate_series(10, $2::int4) AS n`,
    [second, CHANGES_READ_MAX + 10],
  );
  const instance = (await readHeads(gateway, [INSTANCE_TENANT])).get(INSTANCE_TENANT)?.revision ?? 0;
  const asked = [first, second, third].map((tenantId) => ({
    tenantId,
    sinceRevision: 0,
    sinceInstanceRevision: instance,
  }));
  const together = await readChangesOfMany(gateway, asked);
  expect([...together.keys()]).toEqual([first]);
  expect(together.get(first)).toMatchObject({ kind: "changes", changes: [{ type: "put" }] });
});
