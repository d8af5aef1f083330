/** The journal over a real history: what cannot be written holds up nothing else, and a passed soft limit is said. */
import { randomBytes } from "node:crypto";
import { type AuditEvent, type BudgetClaim, INSTANCE_TENANT, makeUuidv7 } from "@writ/contract";
import type { TenantState } from "@writ/core";
import { type Database, openPostgres } from "@writ/db";
import { createTenant, ensureInstance, readEvents, readHead } from "@writ/history";
import { freshDatabase, sharedPostgres } from "@writ/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createJournal } from "../journal/journal.ts";
import type { DecisionEntry } from "../ports.ts";
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
  const { batches } = createHistoryStores({
    db,
    gatewayId: newId(),
    clock,
    random,
    states,
    log: { error: () => undefined },
  });
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

it("a decision is made again beside an event of a tenant that is not in memory", async () => {
  // Right behind a start an event of the instance went with the first call: under the lock there was no state of the
  // instance to follow, so the batch was given up each time, until the call was denied as stale.
  const tenantId = newId();
  await createTenant(control, { tenantId, nowMs: clock.nowMs(), newId }, async () => undefined);
  const head = (await readHead(control, tenantId))?.revision ?? -1;
  let revision = head + 1;
  const state = (): TenantState => ({ revision, instanceRevision: 0 }) as TenantState; // nothing else is looked at
  const states = {
    current: (id: string) => (id === tenantId ? state() : undefined),
    follow: (id: string) => id === tenantId,
  };
  const log = { error: () => undefined, warn: () => undefined };
  const { batches } = createHistoryStores({ db, gatewayId: newId(), clock, random, states, log });
  const journal = createJournal({
    store: batches,
    clock,
    random,
    log,
    revisionOf: () => revision,
    async catchUp() {
      revision = head;
      journal.record(stopped("beside"));
    },
    seal: () => undefined,
  });
  const makeEntry = (): DecisionEntry => ({
    kind: "allow",
    tenantId,
    callId: newId(),
    revision,
    validUntilMs: clock.nowMs() + 60_000,
    claims: [],
    root: "00".repeat(16),
    budgetNodesMax: 10,
    salt: random.bytes(16),
    event: { ...stopped("call"), tenantId },
    denial: undefined,
    outcome: undefined,
  });
  const { result } = await journal.commit(makeEntry(), makeEntry);
  await journal.drain(10_000);
  journal.close();
  expect(result.kind).toBe("committed");
});

it("a call that goes over a soft limit is committed, and that it went over is on record behind it", async () => {
  const states = { current: () => undefined, follow: () => false };
  const { batches } = createHistoryStores({
    db,
    gatewayId: newId(),
    clock,
    random,
    states,
    log: { error: () => undefined },
  });
  const head = await readHead(control, INSTANCE_TENANT);
  const revision = head?.revision ?? -1;
  const journal = createJournal({
    store: batches,
    clock,
    random,
    log: { warn: () => undefined, error: () => undefined },
    revisionOf: () => revision,
    catchUp: async () => undefined,
    seal: () => undefined,
  });
  const budget = { scope: "agent", scopeId: "a", unit: "calls", window: "total" } as const;
  const claim: BudgetClaim = {
    ...budget,
    counter: randomBytes(16).toString("hex"),
    windowStartMs: 0,
    windowEndMs: Number.MAX_SAFE_INTEGER,
    amount: 1,
    limit: 1,
    mode: "soft",
  };
  const callIds = [newId(), newId()];
  for (const callId of callIds) {
    const entry: DecisionEntry = {
      kind: "allow",
      tenantId: INSTANCE_TENANT,
      callId,
      revision,
      validUntilMs: clock.nowMs() + 60_000,
      claims: [claim, { ...claim, counter: randomBytes(16).toString("hex"), limit: 0, mode: "shadow" }],
      root: "00".repeat(16),
      budgetNodesMax: 10,
      salt: random.bytes(16),
      event: stopped(callId),
      denial: undefined,
      outcome: undefined,
    };
    expect((await journal.commit(entry, () => entry)).result.kind).toBe("committed");
  }
  await journal.drain(10_000);
  journal.close();
  const after = head?.sequence ?? 0;
  const log = await readEvents(control, { tenantId: INSTANCE_TENANT, epoch: 1, after, limit: 10 });
  expect(log).toHaveLength(3);
  expect(JSON.parse(log[2]?.event ?? "")).toMatchObject({
    event: "budget.exceeded",
    callId: callIds[1],
    ...budget,
    windowStart: 0,
    limit: 1,
    used: 2,
    mode: "soft",
  });
});
