/** The journal over a real history: one entry that cannot be written holds up nothing else. */
import { randomBytes } from "node:crypto";
import { type AuditEvent, INSTANCE_TENANT, makeUuidv7 } from "@writ/contract";
import { type Database, openPostgres } from "@writ/db";
import { ensureInstance, readEvents } from "@writ/history";
import { freshDatabase, sharedPostgres } from "@writ/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createJournal } from "../journal/journal.ts";
import { createHistoryStores } from "./history-store.ts";

const random = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
const newId = (): string => makeUuidv7(clock.nowMs(), random.bytes(10));

let db: Database;
let control: Database;

beforeAll(async () => {
  const url = await freshDatabase(await sharedPostgres());
  db = openPostgres({ url, role: "gateway", poolMax: 2, applicationName: "test" });
  control = openPostgres({ url, role: "control", poolMax: 1, applicationName: "test" });
  await ensureInstance(control, { nowMs: clock.nowMs(), newId });
});

afterAll(async () => {
  await db.close();
  await control.close();
});

function stopped(gateway: string): AuditEvent {
  return {
    event: "gateway.stopped",
    id: newId(),
    timeMs: clock.nowMs(),
    tenantId: INSTANCE_TENANT,
    fields: { gateway },
  };
}

it("an event that cannot be written is dropped, and those beside it are on record", async () => {
  const states = { current: () => undefined, follow: () => false };
  const { batches } = createHistoryStores({ db, gatewayId: newId(), clock, random, states });
  const errors: string[] = [];
  const journal = createJournal({
    store: batches,
    clock,
    random,
    log: { warn: () => undefined, error: (_fields, message) => errors.push(message) },
    revisionOf: () => undefined,
    catchUp: async () => undefined,
    seal: () => undefined,
  });
  journal.record(stopped("before"));
  journal.record(stopped("\ud800"));
  journal.record(stopped("after"));
  await journal.drain(10_000);
  journal.close();
  const log = await readEvents(control, { tenantId: INSTANCE_TENANT, epoch: 1, after: 0, limit: 10 });
  expect(log.map((entry) => /"gateway":"(\w+)"/.exec(entry.event)?.[1]).filter(Boolean)).toEqual(["before", "after"]);
  expect(errors).toEqual(["an entry was refused by the database"]);
});
