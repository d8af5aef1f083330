/**
 * What history guarantees on every engine, as one suite that is called from the tests of each. The database given is
 * migrated and is this suite's alone. What only concurrency can break is in `history-postgres.test.ts`.
 */
import { randomBytes } from "node:crypto";
import { appendLeaves, chainLink, EMPTY_FRONTIER, encodeEvent, genesis, leafOfText } from "@writ/audit";
import {
  type AuthorityChange,
  type AuthorityObject,
  type BudgetClaim,
  INSTANCE_TENANT,
  makeUuidv7,
  windowAt,
} from "@writ/contract";
import type { Database, DatabaseRole } from "@writ/db";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commitJournal, commitJournalUnderLock, resolveBatch } from "./commit-journal.ts";
import { foreseeClaims } from "./foresee-claims.ts";
import type { HeadMark } from "./head-mark.ts";
import type { EntryResult, JournalBatchResult, JournalEntry } from "./journal-entry.ts";
import { endLease, lapseLeases, renewLease } from "./lease.ts";
import { banNode, type CarveClaim, type Quarantined, quarantine, recordChild, type SoftLimit } from "./narrow.ts";
import { pruneKeys } from "./prune.ts";
import { readChanges, readHeads, readSnapshot } from "./read-authority.ts";
import { listTenants, readEvents, readHead } from "./read-log.ts";
import { refundCarves } from "./refund-carves.ts";
import {
  AlreadyExists,
  type CommandTransaction,
  createTenant,
  ensureInstance,
  openEpoch,
  runCommand,
  UnknownTenant,
  VersionConflict,
} from "./run-command.ts";
import { readStandings, tellStandings } from "./upstream-standing.ts";

export interface HistoryUnderTest {
  open(role: DatabaseRole): Database;
  close(): Promise<void>;
}

export const newId = (): string => makeUuidv7(Date.now(), randomBytes(10));
export const newNode = (): string => randomBytes(16).toString("hex");
const nowMs = (): number => Date.now();

/** An event that carries nothing: what it says is not what history looks at. */
export function makeEvent(tenantId: string): { text: string; leaf: Uint8Array } {
  return encodeEvent({
    event: "gateway.stopped",
    id: newId(),
    timeMs: nowMs(),
    tenantId,
    fields: { gateway: newId() },
  });
}

export function makeClaim(counter: string, options: Partial<BudgetClaim> = {}): BudgetClaim {
  return {
    counter,
    scope: "agent",
    scopeId: "agent",
    unit: "calls",
    window: "total",
    windowStartMs: 0,
    windowEndMs: Number.MAX_SAFE_INTEGER,
    amount: 1,
    limit: 10,
    mode: "hard",
    ...options,
  };
}

type Allow = Extract<JournalEntry, { kind: "allow" }>;

export function makeAllow(tenantId: string, options: Partial<Allow> = {}): Allow {
  return {
    kind: "allow",
    tenantId,
    callId: newId(),
    revision: 1,
    validUntilMs: nowMs() + 60_000,
    claims: [],
    root: newNode(),
    budgetNodesMax: 100,
    ...makeEvent(tenantId),
    ...options,
  };
}

export function makeOutcome(
  call: { readonly tenantId: string; readonly callId: string },
  outcome: "completed" | "failed" | "aborted" | "unknown",
): JournalEntry {
  return { kind: "outcome", tenantId: call.tenantId, callId: call.callId, outcome, ...makeEvent(call.tenantId) };
}

export function commit(
  db: Database,
  entries: readonly JournalEntry[],
  options: { id?: string; gatewayId?: string; marks?: ReadonlyMap<string, HeadMark> } = {},
): Promise<JournalBatchResult> {
  return commitJournal(db, {
    id: options.id ?? newId(),
    gatewayId: options.gatewayId ?? newId(),
    marks: options.marks ?? new Map(),
    entries,
  });
}

export async function makeTenant(control: Database): Promise<string> {
  const tenantId = newId();
  await createTenant(control, { tenantId, nowMs: nowMs(), newId }, (command) => putTenant(command, tenantId));
  return tenantId;
}

async function putTenant(command: CommandTransaction, tenantId: string): Promise<void> {
  const value = { name: "tenant", status: "active", tokenLifetimeMaxSeconds: 60, budgetNodesMax: 10 } as const;
  const version = await command.put({ kind: "tenant", id: tenantId, value }, 0);
  command.append({
    event: "tenant.created",
    id: newId(),
    timeMs: nowMs(),
    tenantId,
    fields: { by: "test", version, tenantId },
  });
}

/** Puts a principal of that name; the smallest command that changes authority. */
export async function putPrincipal(control: Database, tenantId: string, name: string): Promise<number> {
  const result = await runCommand(control, { tenantId, nowMs: nowMs() }, async (command) => {
    const id = newId();
    const version = await command.put({ kind: "principal", id, value: { name, type: "team", status: "active" } }, 0);
    command.append({
      event: "principal.created",
      id: newId(),
      timeMs: nowMs(),
      tenantId,
      fields: { by: "test", version, principalId: id },
    });
  });
  return result.head.revision;
}

export async function engageKill(control: Database, tenantId: string): Promise<number> {
  const scope = tenantId === INSTANCE_TENANT ? "instance" : "tenant";
  const result = await runCommand(control, { tenantId, nowMs: nowMs() }, async (command) => {
    const value = { scope, scopeId: "", reason: "test", engagedAtMs: nowMs() } as const;
    const version = await command.put({ kind: "kill", id: `${scope}:`, value }, 0);
    const fields = { by: "test", version, scope, scopeId: "", reason: "test" };
    command.append({ event: "kill.engaged", id: newId(), timeMs: nowMs(), tenantId, fields });
  });
  return result.head.revision;
}

export async function releaseKill(control: Database, tenantId: string): Promise<void> {
  const scope = tenantId === INSTANCE_TENANT ? "instance" : "tenant";
  await runCommand(control, { tenantId, nowMs: nowMs() }, async (command) => {
    const kill = await command.get("kill", `${scope}:`);
    if (kill === undefined) throw new Error("no kill switch is engaged");
    await command.remove("kill", kill.id, kill.version);
    const fields = { by: "test", version: kill.version, scope, scopeId: "" };
    command.append({ event: "kill.released", id: newId(), timeMs: nowMs(), tenantId, fields });
  });
}

/** Recomputes a tenant's log from its events alone and compares every stored value with it. Returns its length. */
export async function expectWholeLog(control: Database, tenantId: string): Promise<number> {
  const head = await readHead(control, tenantId);
  if (head === undefined) throw new Error("no head");
  let hash = genesis(tenantId, head.epoch);
  let frontier = EMPTY_FRONTIER;
  let sequence = 0;
  let committedUs = 0;
  for (;;) {
    const page = await readEvents(control, { tenantId, epoch: head.epoch, after: sequence, limit: 500 });
    for (const entry of page) {
      sequence += 1;
      expect(entry.sequence).toBe(sequence);
      expect(entry.committedUs).toBeGreaterThanOrEqual(committedUs);
      committedUs = entry.committedUs;
      const leaf = leafOfText(entry.event);
      expect(Buffer.from(entry.leaf).equals(leaf)).toBe(true);
      hash = chainLink(hash, sequence, BigInt(committedUs), leaf);
      expect(Buffer.from(entry.hash).equals(hash)).toBe(true);
      frontier = appendLeaves(frontier, sequence - 1, leaf);
    }
    if (page.length < 500) break;
  }
  expect(head.sequence).toBe(sequence);
  expect(Buffer.from(head.hash).equals(hash)).toBe(true);
  expect(Buffer.from(head.frontier).equals(frontier)).toBe(true);
  return sequence;
}

export interface CounterRow {
  readonly [name: string]: unknown;
  readonly window_start: number;
  readonly used: number;
  readonly reserved: number;
  readonly unknown: number;
  readonly carved: number;
}

export async function readCounter(control: Database, tenantId: string, counter: string): Promise<CounterRow> {
  const rows = await control.transaction({ tenants: [tenantId] }, (q) =>
    q.query<CounterRow>(
      `SELECT window_start, used, reserved, unknown, carved FROM budget_counter
       WHERE tenant_id = $1::uuid AND counter = $2::bytea`,
      [tenantId, Buffer.from(counter, "hex")],
    ),
  );
  return rows[0] ?? { window_start: 0, used: 0, reserved: 0, unknown: 0, carved: 0 };
}

const kindsOf = (result: JournalBatchResult): string[] => result.results.map((entry) => entry.kind);

type Excess = readonly [entry: number, counter: string, used: number, windowStartMs: number];

const excessesOf = (result: JournalBatchResult): Excess[] =>
  result.results.flatMap((entry, index) =>
    (entry.kind === "committed" ? (entry.exceeded ?? []) : []).map(
      ({ claim, used, windowStartMs }): Excess => [index, claim.counter, used, windowStartMs],
    ),
  );

const firstCallsOf = (result: JournalBatchResult): string[] =>
  result.results.flatMap((entry) => (entry.kind === "duplicate" ? [entry.firstCallId] : []));

export function describeHistory(name: string, start: () => Promise<HistoryUnderTest>): void {
  describe(name, () => {
    let engine: HistoryUnderTest;
    let gateway: Database;
    let control: Database;
    let migrate: Database;

    beforeAll(async () => {
      engine = await start();
      gateway = engine.open("gateway");
      control = engine.open("control");
      migrate = engine.open("migrate");
      await ensureInstance(control, { nowMs: nowMs(), newId });
    });
    afterAll(async () => {
      await Promise.all([gateway?.close(), control?.close(), migrate?.close()]);
      await engine?.close();
    });

    describe("a new tenant", () => {
      test("begins with log.opened and what its command put", async () => {
        const tenantId = await makeTenant(control);
        const events = await readEvents(control, { tenantId, epoch: 1, after: 0, limit: 10 });
        expect(events.map((entry) => JSON.parse(entry.event).event)).toEqual(["log.opened", "tenant.created"]);
        expect((await readSnapshot(gateway, tenantId))?.objects.map((object) => object.kind)).toEqual(["tenant"]);
        expect((await listTenants(control, { limit: 1000 })).map((tenant) => tenant.tenantId)).toContain(tenantId);
      });

      test("is refused when there is one of that id", async () => {
        const tenantId = await makeTenant(control);
        const again = createTenant(control, { tenantId, nowMs: nowMs(), newId }, async () => undefined);
        await expect(again).rejects.toBeInstanceOf(AlreadyExists);
        expect(await ensureInstance(control, { nowMs: nowMs(), newId })).toBe(false);
      });

      test("has its name to itself, however many take it at once, and leaves the one that it had", async () => {
        const name = `one of ${newId()}`;
        const take = (tenantId: string, wanted: string) =>
          control.transaction({ tenants: [tenantId] }, (q) =>
            q.query("SELECT writ_take_tenant_name($1::uuid, $2)", [tenantId, wanted]),
          );
        const tenants = Array.from({ length: 4 }, () => newId());
        const taken = await Promise.allSettled(tenants.map((tenantId) => take(tenantId, name)));
        const owner = tenants[taken.findIndex(({ status }) => status === "fulfilled")] ?? "";
        const refused = taken.filter((one) => one.status === "rejected").map(({ reason }) => reason.sqlState);
        expect(refused).toEqual(["23505", "23505", "23505"]);
        await take(owner, name);
        await take(owner, `${name}, renamed`);
        await take(tenants.find((tenantId) => tenantId !== owner) ?? "", name);
      });
    });

    describe("a command", () => {
      test("sees its own changes and makes one revision of them", async () => {
        const tenantId = await makeTenant(control);
        const result = await runCommand(control, { tenantId, nowMs: nowMs() }, async (command) => {
          const value = { name: "first", type: "team", status: "active" } as const;
          await command.put({ kind: "principal", id: "p1", value }, 0);
          await command.put({ kind: "principal", id: "p2", value: { ...value, name: "second" } }, 0);
          await command.put({ kind: "principal", id: "p2", value: { ...value, name: "third" } }, 1);
          const fields = { by: "test", version: 1, principalId: newId() };
          command.append({ event: "principal.created", id: newId(), timeMs: nowMs(), tenantId, fields });
          const named = await command.find("principal", { member: "name", equals: "third" });
          return { named: named.map((object) => object.id), all: (await command.find("principal")).length };
        });
        expect(result.value).toEqual({ named: ["p2"], all: 2 });
        expect(result.head.revision).toBe(2);
        await expectWholeLog(control, tenantId);
      });

      test("with a version that is no longer there changes nothing", async () => {
        const tenantId = await makeTenant(control);
        const before = await readHead(control, tenantId);
        const stale = runCommand(control, { tenantId, nowMs: nowMs() }, (command) => putTenant(command, tenantId));
        await expect(stale).rejects.toMatchObject({ expected: 0, actual: 1 });
        await expect(stale).rejects.toBeInstanceOf(VersionConflict);
        expect(await readHead(control, tenantId)).toEqual(before);
      });

      test("is refused for a name that is taken, and for a tenant that does not exist", async () => {
        const tenantId = await makeTenant(control);
        await putPrincipal(control, tenantId, "same");
        await expect(putPrincipal(control, tenantId, "same")).rejects.toBeInstanceOf(AlreadyExists);
        await expect(putPrincipal(control, newId(), "same")).rejects.toBeInstanceOf(UnknownTenant);
      });

      test("of thousands of objects is one revision, read and written in two statements", async () => {
        const tenantId = await makeTenant(control);
        const ids = Array.from({ length: 2_000 }, (_, index) => `p${index}`);
        const result = await runCommand(control, { tenantId, nowMs: nowMs() }, async (command) => {
          await command.prefetch("principal", ids);
          for (const id of ids) {
            await command.put({ kind: "principal", id, value: { name: id, type: "team", status: "active" } }, 0);
          }
          const fields = { by: "test", version: 1, principalId: newId() };
          command.append({ event: "principal.created", id: newId(), timeMs: nowMs(), tenantId, fields });
          expect(await command.find("principal")).toHaveLength(2_000);
        });
        expect(result.head.revision).toBe(2);
        const read = await readChanges(gateway, { tenantId, sinceRevision: 1, sinceInstanceRevision: 0 });
        expect(read.kind === "changes" && read.changes.length).toBe(2_000);
      });

      test("that ends an object and begins it again never repeats a version", async () => {
        const tenantId = await makeTenant(control);
        await engageKill(control, tenantId);
        await releaseKill(control, tenantId);
        await engageKill(control, tenantId);
        const kill = (await readSnapshot(gateway, tenantId))?.objects.find((object) => object.kind === "kill");
        expect(kill?.version).toBe(3);
      });
    });

    describe("following", () => {
      test("by changes gives what loading gives, after any commands", async () => {
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.record({ id: fc.integer({ min: 0, max: 4 }), remove: fc.boolean(), label: fc.string() }), {
              minLength: 1,
              maxLength: 12,
            }),
            fc.integer({ min: 1, max: 4 }),
            async (steps, pollEvery) => {
              const tenantId = await makeTenant(control);
              const loaded = await readSnapshot(gateway, tenantId);
              if (loaded === undefined) throw new Error("no snapshot");
              const objects = new Map(loaded.objects.map((object) => [`${object.kind}:${object.id}`, object]));
              let at = loaded.revision;
              const follow = async (): Promise<void> => {
                const read = await readChanges(gateway, {
                  tenantId,
                  sinceRevision: at,
                  sinceInstanceRevision: loaded.instanceRevision,
                });
                if (read.kind !== "changes") throw new Error(read.kind);
                for (const change of read.changes) applyChange(objects, change);
                at = read.revision;
              };
              for (const [index, step] of steps.entries()) {
                await runCommand(control, { tenantId, nowMs: nowMs() }, async (command) => {
                  const id = `budget-${step.id}`;
                  const present = await command.get("budget", id);
                  const fields = { by: "test", version: 1, budgetId: id };
                  command.append({ event: "budget.created", id: newId(), timeMs: nowMs(), tenantId, fields });
                  if (step.remove && present !== undefined) return command.remove("budget", id, present.version);
                  const value = {
                    scope: "agent",
                    scopeId: step.label.toWellFormed().replaceAll("\0", ""),
                    unit: "calls",
                    window: "day",
                    limit: index,
                    mode: "hard",
                  } as const;
                  await command.put({ kind: "budget", id, value }, present?.version ?? 0);
                });
                if (index % pollEvery === 0) await follow();
              }
              await follow();
              const reloaded = await readSnapshot(gateway, tenantId);
              expect(reloaded?.revision).toBe(at);
              expect(new Map(reloaded?.objects.map((object) => [`${object.kind}:${object.id}`, object]))).toEqual(
                new Map([...objects].sort(([a], [b]) => (a < b ? -1 : 1))),
              );
            },
          ),
          { numRuns: 8 },
        );
      });

      test("from a revision of another history, or too long ago, says to load", async () => {
        const tenantId = await makeTenant(control);
        const since = (sinceRevision: number) =>
          readChanges(gateway, { tenantId, sinceRevision, sinceInstanceRevision: 0 });
        expect((await since(2)).kind).toBe("too_far");
        await openEpoch(control, { tenantId, nowMs: nowMs(), newId, by: "test", reason: "restored", epochAfter: 0 });
        expect((await since(1)).kind).toBe("too_far");
        const unknown = { tenantId: newId(), sinceRevision: 0, sinceInstanceRevision: 0 };
        expect((await readChanges(gateway, unknown)).kind).toBe("unknown_tenant");
      });

      test("reaches every tenant when the instance's kill switch moves", async () => {
        const tenants = [await makeTenant(control), await makeTenant(control)];
        const before = await readHeads(gateway, tenants);
        const instance = (await readSnapshot(gateway, tenants[0] as string))?.instanceRevision ?? 0;
        await engageKill(control, INSTANCE_TENANT);
        try {
          const after = await readHeads(gateway, tenants);
          for (const tenantId of tenants) {
            const sinceRevision = before.get(tenantId)?.revision ?? 0;
            expect(after.get(tenantId)?.revision).toBe(sinceRevision + 1);
            const read = await readChanges(gateway, { tenantId, sinceRevision, sinceInstanceRevision: instance });
            expect(read).toMatchObject({ kind: "changes", changes: [], instanceChanges: [{ type: "put" }] });
            expect(kindsOf(await commit(gateway, [makeAllow(tenantId, { revision: sinceRevision })]))).toEqual([
              "stale",
            ]);
          }
        } finally {
          await releaseKill(control, INSTANCE_TENANT);
        }
        await expectWholeLog(control, INSTANCE_TENANT);
      });
    });

    describe("a batch", () => {
      test("leaves a chain and a frontier that an independent recomputation gives", async () => {
        const tenants = [await makeTenant(control), await makeTenant(control), await makeTenant(control)];
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 80 }),
            async (choices) => {
              const entries = choices.map((choice): JournalEntry => {
                const tenantId = tenants[choice] as string; // 0 to 2
                return { kind: "record", tenantId, ...makeEvent(tenantId) };
              });
              const result = await commit(gateway, entries);
              for (const [index, entry] of result.results.entries()) {
                if (entry.kind !== "committed") throw new Error(entry.kind);
                const tenantId = tenants[choices[index] as number] as string; // as above
                const page = { tenantId, epoch: 1, after: entry.sequence - 1, limit: 1 };
                if (index % 16 === 0) {
                  expect((await readEvents(control, page))[0]?.event).toBe(entries[index]?.text);
                }
              }
            },
          ),
          { numRuns: 12 },
        );
        for (const tenantId of tenants) await expectWholeLog(control, tenantId);
      });

      test("commits what is not bound to the moved revision and hands back the rest", async () => {
        const [moved, still] = [await makeTenant(control), await makeTenant(control)];
        await putPrincipal(control, moved, "a");
        const denial: JournalEntry = {
          kind: "denial",
          tenantId: moved,
          callId: newId(),
          revision: 1,
          ...makeEvent(moved),
        };
        const ended: JournalEntry = { ...makeAllow(moved), kind: "allow_ended" };
        const result = await commit(gateway, [
          makeAllow(moved),
          makeAllow(still),
          denial,
          { kind: "record", tenantId: moved, ...makeEvent(moved) },
          ended,
          { kind: "with_previous", tenantId: moved, ...makeEvent(moved) },
          makeAllow(moved, { revision: 2 }),
        ]);
        expect(kindsOf(result)).toEqual(["stale", "committed", "stale", "committed", "stale", "stale", "committed"]);
        await expectWholeLog(control, moved);
      });

      test("of several tenants answers each entry as a batch of its tenant alone would", async () => {
        const step = fc.record({
          tenant: fc.integer({ min: 0, max: 2 }),
          kind: fc.constantFrom("allow", "ended", "stale", "expired", "denial", "record", "outcome", "late", "lost"),
          pick: fc.nat({ max: 3 }),
          outcome: fc.constantFrom("completed", "failed", "aborted", "unknown"),
        } as const);
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.array(step, { minLength: 1, maxLength: 24 }), { minLength: 1, maxLength: 4 }),
            async (batches) => {
              const makeWorld = async () => ({
                tenants: [await makeTenant(control), await makeTenant(control), newId()],
                counters: [newNode(), newNode(), newNode(), newNode()],
                root: newNode(),
                calls: new Map<number, string[]>(),
              });
              type World = Awaited<ReturnType<typeof makeWorld>>;
              const toEntries = (
                world: World,
                { tenant, kind, pick, outcome }: (typeof batches)[0][0],
              ): JournalEntry[] => {
                const tenantId = world.tenants[tenant] as string; // 0 to 2
                const { root } = world;
                const scope = pick < 2 ? "node" : "agent";
                const claims = [
                  makeClaim(world.counters[pick] as string, { limit: 4, scope }), // 0 to 3
                  makeClaim(world.counters[3] as string, { limit: 3, mode: "soft" }),
                ];
                const allow = makeAllow(tenantId, { claims, root, budgetNodesMax: 1, salt: randomBytes(16) });
                const calls = world.calls.get(tenant) ?? [];
                const callId = calls[pick % Math.max(calls.length, 1)] ?? newId();
                switch (kind) {
                  case "allow":
                    world.calls.set(tenant, [allow.callId, ...calls].slice(0, 4));
                    return [allow];
                  case "ended":
                    return [
                      { ...allow, kind: "allow_ended" },
                      { kind: "with_previous", tenantId, ...makeEvent(tenantId) },
                    ];
                  case "stale":
                    return [{ ...allow, revision: 7 }];
                  case "expired":
                    return [{ ...allow, validUntilMs: 1 }];
                  case "denial":
                    return [{ kind, tenantId, callId, revision: 1, salt: randomBytes(16), ...makeEvent(tenantId) }];
                  case "record":
                    return [{ kind, tenantId, ...makeEvent(tenantId) }];
                  case "outcome":
                    return [{ kind, tenantId, callId, outcome, ...makeEvent(tenantId) }];
                  case "late": {
                    const known = outcome === "unknown" ? "completed" : outcome;
                    return [{ kind: "late_outcome", tenantId, callId, outcome: known, ...makeEvent(tenantId) }];
                  }
                  case "lost":
                    return [makeOutcome({ tenantId, callId: newId() }, outcome)];
                }
              };
              const describeResult = ({ kind, ...rest }: EntryResult) =>
                "exceeded" in rest && rest.exceeded !== undefined ? `${kind} ${rest.exceeded[0]?.used}` : kind;
              const [mixed, alone] = [await makeWorld(), await makeWorld()];
              for (const batch of batches) {
                const entries = batch.flatMap((made) => toEntries(mixed, made));
                const answered = (await commit(gateway, entries)).results.map(describeResult);
                const expected: string[][] = [[], [], []];
                for (const [index, tenantId] of alone.tenants.entries()) {
                  const own = batch.filter(({ tenant }) => tenant === index).flatMap((made) => toEntries(alone, made));
                  if (own.length === 0) continue;
                  const result = await commit(gateway, own);
                  expected[index] = result.results.map(describeResult);
                  expect(own.every((entry) => entry.tenantId === tenantId)).toBe(true);
                }
                const asked = entries.map(({ tenantId }) => expected[mixed.tenants.indexOf(tenantId)]?.shift());
                expect(answered).toEqual(asked);
              }
              for (const index of [0, 1]) {
                for (const counter of [0, 1, 2, 3]) {
                  const read = (world: World) =>
                    readCounter(control, world.tenants[index] as string, world.counters[counter] as string);
                  expect(await read(mixed)).toEqual(await read(alone));
                }
                await expectWholeLog(control, mixed.tenants[index] as string);
              }
            },
          ),
          { numRuns: 15 },
        );
      });

      test("refuses an allow whose time is over on the database's clock, and unknown tenants", async () => {
        const tenantId = await makeTenant(control);
        const result = await commit(gateway, [
          makeAllow(tenantId, { validUntilMs: nowMs() - 10_000 }),
          makeAllow(newId()),
          makeAllow(tenantId),
        ]);
        expect(kindsOf(result)).toEqual(["expired", "absent", "committed"]);
      });

      test("keeps the salt of a call that was committed and of no other", async () => {
        const tenantId = await makeTenant(control);
        const kept = makeAllow(tenantId, { salt: randomBytes(16) });
        const refused = makeAllow(tenantId, { salt: randomBytes(16), revision: 7 });
        await commit(gateway, [kept, makeAllow(tenantId), refused]);
        const rows = await control.transaction({ tenants: [tenantId] }, (q) =>
          q.query("SELECT event, salt FROM audit_event WHERE salt IS NOT NULL"),
        );
        expect(rows).toEqual([{ event: kept.text, salt: new Uint8Array(kept.salt ?? []) }]);
      });

      test("decided under the lock commits on the revision that the lock shows", async () => {
        const tenantId = await makeTenant(control);
        const since = (await readSnapshot(gateway, tenantId))?.instanceRevision ?? 0;
        const revision = await putPrincipal(control, tenantId, "late");
        const under = await commitJournalUnderLock(
          gateway,
          [{ tenantId, sinceRevision: 1, sinceInstanceRevision: since }],
          (changes) => {
            const read = changes.get(tenantId);
            expect(read).toMatchObject({ kind: "changes", revision, changes: [{ type: "put" }] });
            return { id: newId(), gatewayId: newId(), marks: new Map(), entries: [makeAllow(tenantId, { revision })] };
          },
        );
        expect(under).toMatchObject({ kind: "committed", result: { results: [{ kind: "committed" }] } });
        const released = await commitJournalUnderLock(
          gateway,
          [{ tenantId, sinceRevision: revision, sinceInstanceRevision: since }],
          () => undefined,
        );
        expect(released.kind).toBe("released");
        await expectWholeLog(control, tenantId);
      });

      test("trap-62 whose id was claimed as refused can never commit, and one that committed is found", async () => {
        const tenantId = await makeTenant(control);
        const [orphan, done] = [newId(), newId()];
        expect(await resolveBatch(gateway, { id: orphan, tenants: [tenantId] })).toBe("refused");
        await expect(commit(gateway, [makeAllow(tenantId)], { id: orphan })).rejects.toMatchObject({
          sqlState: "23505",
        });
        expect(await resolveBatch(gateway, { id: orphan, tenants: [tenantId] })).toBe("refused");
        await commit(gateway, [makeAllow(tenantId)], { id: done });
        expect(await resolveBatch(gateway, { id: done, tenants: [tenantId] })).toBe("committed");
        expect(await expectWholeLog(control, tenantId)).toBe(3);
      });

      test("trap-58 on a head behind the remembered one is regressed, until a new epoch is opened", async () => {
        const tenantId = await makeTenant(control);
        const head = await readHead(control, tenantId);
        if (head === undefined) throw new Error("no head");
        const fork = { ...head, hash: randomBytes(32) };
        for (const mark of [{ ...head, sequence: head.sequence + 1 }, { ...head, revision: 9 }, fork]) {
          const result = await commit(gateway, [makeAllow(tenantId)], { marks: new Map([[tenantId, mark]]) });
          expect(kindsOf(result)).toEqual(["regressed"]);
        }
        // Others may write; a copy that was restored and has outgrown the mark is told by the entry at the mark.
        await commit(gateway, [makeAllow(tenantId)]);
        const outgrown = await commit(gateway, [makeAllow(tenantId)], { marks: new Map([[tenantId, fork]]) });
        expect(kindsOf(outgrown)).toEqual(["regressed"]);
        const followed = await commit(gateway, [makeAllow(tenantId)], { marks: new Map([[tenantId, head]]) });
        expect(kindsOf(followed)).toEqual(["committed"]);
        const opened = await openEpoch(control, {
          tenantId,
          nowMs: nowMs(),
          newId,
          by: "test",
          reason: "restored",
          epochAfter: 0,
        });
        expect(opened.value.epoch).toBe(2);
        const events = await readEvents(control, { tenantId, epoch: 2, after: 0, limit: 10 });
        expect(events.map((entry) => JSON.parse(entry.event).event)).toEqual(["log.recovered", "kill.engaged"]);
        expect((await readSnapshot(gateway, tenantId))?.objects.some((object) => object.kind === "kill")).toBe(true);
        const marks = new Map([[tenantId, { ...head, sequence: head.sequence + 1 }]]);
        const after = [makeAllow(tenantId), makeAllow(tenantId, { revision: opened.head.revision })];
        expect(kindsOf(await commit(gateway, after, { marks }))).toEqual(["stale", "stale"]);
        const current = new Map([[tenantId, opened.head]]);
        expect(kindsOf(await commit(gateway, after, { marks: current }))).toEqual(["stale", "committed"]);
        await expectWholeLog(control, tenantId);
      });

      test("of a state that saw a later epoch than was restored never matches a revision of the epoch opened behind it", async () => {
        const tenantId = await makeTenant(control);
        const open = async (epochAfter: number) =>
          openEpoch(control, { tenantId, nowMs: nowMs(), newId, by: "test", reason: "restored", epochAfter });
        // What a restored copy would have been, had it gone on: an epoch and as many revisions as a command a second in it.
        const seen = { epoch: 2, revision: 2 ** 32 + 86_400 * 365 * 100 };
        const opened = await open(seen.epoch);
        expect(opened.value).toMatchObject({ epoch: 3, previousEpoch: 1 });
        expect(opened.head.revision).toBeGreaterThan(seen.revision);
        await expect(open(1_000_000)).rejects.toMatchObject({ sqlState: "WR006" });
        expect((await readHead(control, tenantId))?.epoch).toBe(3);
      });
    });

    describe("budgets", () => {
      test("admit call by call exactly what fits, and say what is left", async () => {
        const tenantId = await makeTenant(control);
        const [shared, own] = [newNode(), newNode()];
        const claims = [makeClaim(own, { limit: 100 }), makeClaim(shared, { limit: 5, amount: 2 })];
        const result = await commit(gateway, [
          makeAllow(tenantId, { claims }),
          makeAllow(tenantId, { claims }),
          makeAllow(tenantId, { claims }),
          makeAllow(tenantId, { claims: [makeClaim(shared, { limit: 5 })] }),
        ]);
        expect(kindsOf(result)).toEqual(["committed", "committed", "refused", "committed"]);
        expect(result.results[2]).toMatchObject({ claim: claims[1], remaining: 1 });
        // A refused call takes nothing of its other claims either.
        expect(await readCounter(control, tenantId, own)).toMatchObject({ reserved: 2 });
        expect(await readCounter(control, tenantId, shared)).toMatchObject({ reserved: 5, used: 0 });
      });

      test("refuse with a call that is over at once what shares its fate", async () => {
        const tenantId = await makeTenant(control);
        const claims = [makeClaim(newNode(), { limit: 0 })];
        const result = await commit(gateway, [
          { ...makeAllow(tenantId, { claims }), kind: "allow_ended" },
          { kind: "with_previous", tenantId, ...makeEvent(tenantId) },
        ]);
        const refused = { kind: "refused", claim: claims[0], remaining: 0 };
        expect(result.results).toEqual([refused, refused]);
        expect(await expectWholeLog(control, tenantId)).toBe(2);
      });

      test("admit what goes over a soft limit, and flag exactly that", async () => {
        const tenantId = await makeTenant(control);
        const [shared, closed, uncounted] = [newNode(), newNode(), newNode()];
        const soft = makeClaim(shared, { limit: 3, amount: 2, mode: "soft" });
        const call = (claims: BudgetClaim[]) => makeAllow(tenantId, { claims });
        const first = [soft, makeClaim(uncounted, { limit: 0, mode: "shadow" })];
        const result = await commit(gateway, [
          call([makeClaim(shared, { amount: 1, limit: 3, mode: "soft" })]),
          call(first),
          // Refused for its other claim, so it adds nothing.
          call([soft, makeClaim(closed, { limit: 0 })]),
          call([soft]),
          { ...call([soft]), kind: "allow_ended" },
          call([makeClaim(shared, { amount: 5, limit: 12, mode: "soft" })]),
        ]);
        expect(kindsOf(result)).toEqual(["committed", "committed", "refused", "committed", "committed", "committed"]);
        expect(excessesOf(result)).toEqual([
          [3, shared, 5, 0],
          [4, shared, 7, 0],
        ]);
        expect(result.results[3]).toMatchObject({ exceeded: [{ claim: soft }] });
        expect(excessesOf(await commit(gateway, [call(first)]))).toEqual([[0, shared, 14, 0]]);
        expect(await readCounter(control, tenantId, uncounted)).toMatchObject({ reserved: 2 });
      });

      test("say what they hold behind each call that asks, of exactly the counters that it asks about", async () => {
        const tenantId = await makeTenant(control);
        const [own, other] = [makeClaim(newNode(), { amount: 2 }), makeClaim(newNode())];
        const asking = (): JournalEntry => makeAllow(tenantId, { claims: [own, other], tell: [own] });
        const claims = [own, other];
        const result = await commit(gateway, [asking(), makeAllow(tenantId, { claims }), asking()]);
        const told = result.results.map((entry) => (entry.kind === "committed" ? entry.left : "refused"));
        expect(told).toEqual([
          [{ claim: own, used: 2, windowStartMs: 0 }],
          undefined,
          [{ claim: own, used: 6, windowStartMs: 0 }],
        ]);
        const next = await commit(gateway, [asking(), asking(), asking()]);
        expect(next.results).toMatchObject([
          { kind: "committed", left: [{ used: 8 }] },
          { kind: "committed", left: [{ used: 10 }] },
          { kind: "refused" },
        ]);
      });

      test("compare one counter with its least hard and its least soft limit, in any order", async () => {
        const tenantId = await makeTenant(control);
        const counter = newNode();
        const claims = [
          makeClaim(counter, { limit: 2, mode: "soft" }),
          makeClaim(counter, { limit: 9 }),
          makeClaim(counter, { limit: 1, mode: "soft" }),
          makeClaim(counter, { limit: 3 }),
          makeClaim(counter, { limit: 0, mode: "shadow" }),
        ];
        const entries = [claims, claims, [...claims].reverse(), claims].map((own) =>
          makeAllow(tenantId, { claims: own }),
        );
        const result = await commit(gateway, entries);
        expect(kindsOf(result)).toEqual(["committed", "committed", "committed", "refused"]);
        expect(result.results[3]).toMatchObject({ claim: claims[3], remaining: 0 });
        expect(result.results[0]).not.toHaveProperty("exceeded");
        for (const [index, used] of [
          [1, 2],
          [2, 3],
        ] as const) {
          expect(result.results[index]).toMatchObject({ exceeded: [{ claim: claims[2], used, windowStartMs: 0 }] });
        }
      });

      test("trap-51 bound the counters that a holder can make below one root", async () => {
        const tenantId = await makeTenant(control);
        const root = newNode();
        const node = (counter: string) =>
          makeAllow(tenantId, { root, budgetNodesMax: 2, claims: [makeClaim(counter, { scope: "node" })] });
        const first = newNode();
        const result = await commit(gateway, [node(first), node(newNode()), node(newNode()), node(first)]);
        expect(kindsOf(result)).toEqual(["committed", "committed", "refused_nodes", "committed"]);
        expect(kindsOf(await commit(gateway, [node(newNode()), node(first)]))).toEqual(["refused_nodes", "committed"]);
        const other = makeAllow(tenantId, { budgetNodesMax: 2, claims: [makeClaim(newNode(), { scope: "node" })] });
        expect(kindsOf(await commit(gateway, [other]))).toEqual(["committed"]);
      });

      test("are foreseen as the commit finds them, and foreseeing moves nothing", async () => {
        const window = windowAt("minute", nowMs()).startMs - 600_000;
        const claim = fc.record({
          counter: fc.integer({ min: 0, max: 4 }),
          amount: fc.integer({ min: 1, max: 3 }),
          limit: fc.integer({ min: 0, max: 6 }),
          mode: fc.constantFrom("hard" as const, "hard" as const, "soft" as const, "shadow" as const),
        });
        const call = fc.record({
          root: fc.integer({ min: 0, max: 1 }),
          window: fc.integer({ min: 0, max: 1 }),
          nodesMax: fc.integer({ min: 1, max: 2 }),
          claims: fc.array(claim, { maxLength: 4 }),
        });
        const seen = new Map<string, number>();
        await fc.assert(
          fc.asyncProperty(fc.array(call, { minLength: 8, maxLength: 12 }), async (calls) => {
            const tenantId = await makeTenant(control);
            const roots = [newNode(), newNode()];
            // A node's counter is that of one root; the last one is nobody's node.
            const counters = roots.map(() => Array.from({ length: 4 }, newNode));
            const agent = newNode();
            for (const { root, window: at, nodesMax, claims } of calls) {
              const windowStartMs = window + at * 60_000;
              const entry = makeAllow(tenantId, {
                root: roots[root] ?? "",
                budgetNodesMax: nodesMax,
                claims: claims.map(({ counter, ...rest }) =>
                  makeClaim(counters[root]?.[counter] ?? agent, {
                    ...rest,
                    window: "minute",
                    windowStartMs,
                    scope: counter < 4 ? "node" : "agent",
                  }),
                ),
              });
              const { root: node = "", budgetNodesMax = 0 } = entry;
              const foresee = () => foreseeClaims(gateway, tenantId, { ...entry, root: node, budgetNodesMax });
              const foreseen = [await foresee(), await foresee()];
              const [result] = (await commit(gateway, [entry])).results;
              const found = result?.kind === "committed" ? { kind: "fits" } : result;
              expect(foreseen).toEqual([found, found]);
              seen.set(found?.kind ?? "", (seen.get(found?.kind ?? "") ?? 0) + 1);
            }
          }),
          { numRuns: 25 },
        );
        for (const kind of ["fits", "refused", "refused_nodes"]) expect(seen.get(kind), kind).toBeGreaterThan(5);
      });

      test("follow a model of reserving and settling, and never exceed their limits", async () => {
        const minute = windowAt("minute", nowMs()).startMs - 600_000;
        const entry = fc.oneof(
          {
            weight: 3,
            arbitrary: fc.record({
              kind: fc.constantFrom("allow" as const, "allow_ended" as const),
              claims: fc.uniqueArray(
                fc.record({
                  counter: fc.integer({ min: 0, max: 3 }),
                  amount: fc.integer({ min: 1, max: 3 }),
                  window: fc.integer({ min: 0, max: 2 }),
                  mode: fc.constantFrom("hard" as const, "soft" as const, "shadow" as const),
                }),
                { maxLength: 3, selector: (claim) => claim.counter },
              ),
              key: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined }),
            }),
          },
          {
            weight: 2,
            arbitrary: fc.record({
              kind: fc.constant("outcome" as const),
              call: fc.nat(),
              outcome: fc.constantFrom("completed" as const, "failed" as const, "aborted" as const, "unknown" as const),
            }),
          },
        );
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.array(entry, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 6 }),
            async (batches) => {
              const tenantId = await makeTenant(control);
              const names = [newNode(), newNode(), newNode(), newNode()];
              const keys = [randomBytes(32), randomBytes(32), randomBytes(32)];
              const limit = 8;
              const model = new BudgetModel();
              const calls: { callId: string; tenantId: string }[] = [];
              for (const batch of batches) {
                const entries = batch.map((step): JournalEntry => {
                  if (step.kind === "outcome") {
                    const call = calls[step.call % Math.max(calls.length, 1)] ?? { callId: newId(), tenantId };
                    return makeOutcome(call, step.outcome);
                  }
                  const claims = step.claims.map((claim) =>
                    makeClaim(names[claim.counter] as string, {
                      amount: claim.amount,
                      limit,
                      mode: claim.mode,
                      windowStartMs: minute + claim.window * 60_000,
                    }),
                  );
                  if (step.kind === "allow_ended") return { ...makeAllow(tenantId, { claims }), kind: step.kind };
                  return makeAllow(tenantId, { claims, key: step.key === undefined ? undefined : keys[step.key] });
                });
                const expected = model.commit(entries);
                const result = await commit(gateway, entries);
                expect(kindsOf(result)).toEqual(expected);
                expect(excessesOf(result)).toEqual(model.exceeded);
                expect(firstCallsOf(result)).toEqual(model.firstCalls);
                for (const made of entries) if (made.kind === "allow") calls.push(made);
                for (const counter of names) {
                  expect(await readCounter(control, tenantId, counter)).toMatchObject(model.counter(counter));
                }
              }
              await expectWholeLog(control, tenantId);
            },
          ),
          { numRuns: 35 },
        );
      });

      test("keep what may have run charged until its late outcome is known", async () => {
        const tenantId = await makeTenant(control);
        const counter = newNode();
        const call = makeAllow(tenantId, { claims: [makeClaim(counter)] });
        await commit(gateway, [call]);
        await commit(gateway, [makeOutcome(call, "unknown")]);
        expect(await readCounter(control, tenantId, counter)).toMatchObject({ reserved: 0, unknown: 1 });
        expect(kindsOf(await commit(gateway, [makeOutcome(call, "completed")]))).toEqual(["late"]);
        const late = { tenantId, callId: call.callId, kind: "late_outcome", outcome: "completed" } as const;
        const entries = [
          { ...late, ...makeEvent(tenantId) },
          { ...late, ...makeEvent(tenantId) },
        ];
        expect(kindsOf(await commit(gateway, entries))).toEqual(["committed", "absent"]);
        expect(await readCounter(control, tenantId, counter)).toMatchObject({ unknown: 0, used: 1 });
      });
    });

    describe("an idempotency key", () => {
      const countKeys = async (tenantId: string): Promise<number> => {
        const rows = await migrate.transaction({ tenants: [tenantId] }, (q) =>
          q.query("SELECT call_id FROM idempotency_key WHERE tenant_id = $1::uuid", [tenantId]),
        );
        return rows.length;
      };
      /** As if every key had been taken, and every call been made, so much earlier. */
      const age = (tenantId: string, ms: number): Promise<unknown> =>
        migrate.transaction({ tenants: [tenantId] }, (q) =>
          q.query(
            `UPDATE idempotency_key SET taken_us = taken_us - $2::int8 * 1000,
              call_id = (lpad(to_hex(('x' || substr(replace(call_id::text, '-', ''), 1, 12))::bit(48)::int8 - $2::int8), 12, '0')
                || substr(replace(call_id::text, '-', ''), 13))::uuid
              WHERE tenant_id = $1::uuid`,
            [tenantId, ms],
          ),
        );

      test("trap-07 is one call's: the next is told which, charged nothing and put on no record", async () => {
        const [tenantId, other] = [await makeTenant(control), await makeTenant(control)];
        const [key, counter] = [randomBytes(32), newNode()];
        const claims = [makeClaim(counter)];
        const first = makeAllow(tenantId, { key, claims });
        expect(kindsOf(await commit(gateway, [first]))).toEqual(["committed"]);
        const before = await expectWholeLog(control, tenantId);
        const again = makeAllow(tenantId, { key, claims });
        const free = makeAllow(tenantId, { key: randomBytes(32), claims });
        const elsewhere = makeAllow(other, { key });
        const result = await commit(gateway, [again, free, elsewhere, makeAllow(tenantId, { claims })]);
        expect(kindsOf(result)).toEqual(["duplicate", "committed", "committed", "committed"]);
        expect(firstCallsOf(result)).toEqual([first.callId]);
        expect(await readCounter(control, tenantId, counter)).toMatchObject({ reserved: 3, used: 0 });
        expect(await expectWholeLog(control, tenantId)).toBe(before + 2);
      });

      test("keeps a call that comes too late for it from making or moving a counter", async () => {
        const tenantId = await makeTenant(control);
        const [key, counter] = [randomBytes(32), newNode()];
        const windowStartMs = windowAt("minute", nowMs()).startMs - 600_000;
        const claim = (ms: number) => [makeClaim(counter, { windowStartMs: windowStartMs + ms })];
        await commit(gateway, [makeAllow(tenantId, { key })]);
        const result = await commit(gateway, [makeAllow(tenantId, { key, claims: claim(60_000) })]);
        expect(kindsOf(result)).toEqual(["duplicate"]);
        expect(kindsOf(await commit(gateway, [makeAllow(tenantId, { claims: claim(0) })]))).toEqual(["committed"]);
        expect(await readCounter(control, tenantId, counter)).toMatchObject({
          window_start: windowStartMs,
          reserved: 1,
        });
      });

      test("trap-07 that several calls of one batch name is the first's that is not refused", async () => {
        const tenantId = await makeTenant(control);
        const [key, counter] = [randomBytes(32), newNode()];
        const dear = makeAllow(tenantId, { key, claims: [makeClaim(counter, { amount: 11 })] });
        const stale = makeAllow(tenantId, { key, revision: 7 });
        const taker = makeAllow(tenantId, { key, claims: [makeClaim(counter)] });
        const later = makeAllow(tenantId, { key, claims: [makeClaim(counter, { amount: 11 })] });
        const result = await commit(gateway, [dear, stale, taker, later]);
        expect(kindsOf(result)).toEqual(["refused", "stale", "committed", "duplicate"]);
        expect(firstCallsOf(result)).toEqual([taker.callId]);
      });

      test("comes back from a call that surely was not sent, and from no other", async () => {
        const tenantId = await makeTenant(control);
        for (const outcome of ["completed", "failed", "unknown", "aborted"] as const) {
          const key = randomBytes(32);
          const first = makeAllow(tenantId, { key });
          const next = makeAllow(tenantId, { key });
          await commit(gateway, [first]);
          // Outcomes come first within a batch, too.
          const result = await commit(gateway, [next, makeOutcome(first, outcome)]);
          const expected = outcome === "aborted" ? "committed" : "duplicate";
          expect(kindsOf(result), outcome).toEqual([expected, "committed"]);
          expect(kindsOf(await commit(gateway, [makeAllow(tenantId, { key })])), outcome).toEqual(["duplicate"]);
        }
      });

      test("comes back from an unknown call of which it is learnt that it did not run", async () => {
        const tenantId = await makeTenant(control);
        for (const how of ["late", "reconciled"] as const) {
          const key = randomBytes(32);
          const { callId } = makeAllow(tenantId);
          await commit(gateway, [makeAllow(tenantId, { key, callId })]);
          await commit(gateway, [makeOutcome({ tenantId, callId }, "unknown")]);
          expect(kindsOf(await commit(gateway, [makeAllow(tenantId, { key })])), how).toEqual(["duplicate"]);
          if (how === "late") {
            const late = {
              tenantId,
              callId,
              kind: "late_outcome",
              outcome: "aborted",
              ...makeEvent(tenantId),
            } as const;
            expect(kindsOf(await commit(gateway, [late]))).toEqual(["committed"]);
          } else {
            const ended = await control.transaction({ tenants: [tenantId] }, (q) =>
              q.query("SELECT writ_reconcile($1::uuid, $2::uuid, false) AS ended", [tenantId, callId]),
            );
            expect(ended).toEqual([{ ended: true }]);
          }
          expect(kindsOf(await commit(gateway, [makeAllow(tenantId, { key })])), how).toEqual(["committed"]);
        }
      });

      test("of a batch that never committed was never taken", async () => {
        const tenantId = await makeTenant(control);
        const [orphan, key] = [newId(), randomBytes(32)];
        expect(await resolveBatch(gateway, { id: orphan, tenants: [tenantId] })).toBe("refused");
        const lost = commit(gateway, [makeAllow(tenantId, { key })], { id: orphan });
        await expect(lost).rejects.toMatchObject({ sqlState: "23505" });
        expect(kindsOf(await commit(gateway, [makeAllow(tenantId, { key })]))).toEqual(["committed"]);
      });

      test("is kept for a day, then counts as free, and is pruned", async () => {
        const tenantId = await makeTenant(control);
        const key = randomBytes(32);
        const [hourMs, minuteMs] = [3_600_000, 60_000];
        await commit(gateway, [makeAllow(tenantId, { key }), makeAllow(tenantId, { key: randomBytes(32) })]);
        await age(tenantId, 24 * hourMs - minuteMs);
        expect(kindsOf(await commit(gateway, [makeAllow(tenantId, { key })]))).toEqual(["duplicate"]);
        expect(await pruneKeys(control)).toEqual({ keys: 0, more: false });
        await age(tenantId, 2 * minuteMs);
        expect(kindsOf(await commit(gateway, [makeAllow(tenantId, { key })]))).toEqual(["committed"]);
        expect(kindsOf(await commit(gateway, [makeAllow(tenantId, { key })]))).toEqual(["duplicate"]);
        expect(await countKeys(tenantId)).toBe(2);
        expect(await pruneKeys(control)).toEqual({ keys: 1, more: false });
        expect(kindsOf(await commit(gateway, [makeAllow(tenantId, { key })]))).toEqual(["duplicate"]);
      });
    });

    describe("narrowing", () => {
      const makeChild = (tenantId: string, root: string, node: string, carves: readonly CarveClaim[]) => ({
        tenantId,
        epoch: 1,
        revision: 2,
        nowMs: nowMs(),
        node,
        value: {
          parent: root,
          root,
          agentId: newId(),
          caveats: [],
          carves: [{ unit: "calls", window: "day", amount: 4 } as const],
          recordedAtMs: nowMs(),
          expiresAtMs: nowMs() + 60_000,
        },
        path: [node, root],
        budgetNodesMax: 10,
        carves,
        soft: [] as readonly SoftLimit[],
        callId: newId(),
        salt: randomBytes(16),
        events: [
          {
            event: "token.attenuated",
            id: newId(),
            timeMs: nowMs(),
            tenantId,
            fields: {
              callId: newId(),
              node,
              parent: root,
              root,
              agentId: newId(),
              caveats: [],
              carves: [],
              expiresAt: nowMs(),
            },
          } as const,
        ],
      });
      const makeRoot = async (tenantId: string): Promise<string> => {
        const root = newNode();
        await runCommand(control, { tenantId, nowMs: nowMs() }, async (command) => {
          const ids = { agentId: newId(), principalId: newId(), keyId: "k" };
          const value = { ...ids, label: "", caveats: [], issuedAtMs: 0, expiresAtMs: 1 };
          const version = await command.put({ kind: "root_token", id: root, value }, 0);
          const fields = { by: "test", version, node: root, ...ids, caveats: [], expiresAt: 1 };
          command.append({ event: "token.minted", id: newId(), timeMs: nowMs(), tenantId, fields });
        });
        return root;
      };
      const ban = (tenantId: string, node: string) =>
        banNode(gateway, {
          tenantId,
          nowMs: nowMs(),
          node,
          value: { reason: "test", at: "gateway", revokedAtMs: nowMs() },
          event: {
            event: "token.banned",
            id: newId(),
            timeMs: nowMs(),
            tenantId,
            fields: { node, reason: "test", gateway: newId() },
          },
        });

      /** An upstream with these tools, its id, and what would quarantine one thing of it. */
      const makeUpstream = async (tenantId: string, tools: readonly string[]) => {
        const upstreamId = newId();
        await runCommand(control, { tenantId, nowMs: nowMs() }, async (command) => {
          const lock = { instructions: '""', digest: "told", status: "active" } as const;
          const transport = { type: "http", url: "http://127.0.0.1:1/" } as const;
          const limits = { isolation: "shared", status: "active", timeoutMs: 1_000, concurrencyMax: 1 } as const;
          await command.put({ kind: "upstream", id: upstreamId, value: { name: "up", transport, ...limits, lock } }, 0);
          for (const name of tools) {
            const value = {
              upstream: "up",
              name,
              definition: "{}",
              digest: `digest-${name}`,
              status: "active",
            } as const;
            await command.put({ kind: "tool", id: `up/${name}`, value }, 0);
          }
          const fields = { by: "test", version: 1, upstreamId, upstream: "up" };
          command.append({ event: "upstream.created", id: newId(), timeMs: nowMs(), tenantId, fields });
        });
        const common = { upstream: "up", pinned: "", seen: "other", gateway: newId() };
        const item = (name: string, pinned: string): Quarantined => ({
          name,
          pinned,
          seen: "other",
          definition: '{"other":true}',
          event: {
            event: "tool.quarantined",
            id: newId(),
            timeMs: nowMs(),
            tenantId,
            fields: { ...common, tool: name },
          },
        });
        return { upstreamId, item };
      };
      const statuses = async (tenantId: string) => {
        const { objects } = (await readSnapshot(gateway, tenantId)) ?? { objects: [] };
        return objects
          .flatMap((object) =>
            object.kind === "tool"
              ? [`${object.value.name} ${object.value.status} ${object.value.definition}`]
              : object.kind === "upstream"
                ? [`up ${object.value.lock?.status} ${object.value.status}`]
                : [],
          )
          .sort();
      };

      test("quarantines what is pinned as it was compared, in one revision, and changes nothing else of it", async () => {
        const tenantId = await makeTenant(control);
        const { upstreamId, item } = await makeUpstream(tenantId, ["a", "b", "c"]);
        const before = await readHead(control, tenantId);
        const items = [item("a", "digest-a"), item("c", "digest-c"), item("", "told")];
        const request = { tenantId, nowMs: nowMs(), upstreamId, items };
        const done = await quarantine(gateway, request);
        expect(done).toEqual({ kind: "quarantined", revision: (before?.revision ?? 0) + 1 });
        expect(await statuses(tenantId)).toEqual([
          "a quarantined {}",
          "b active {}",
          "c quarantined {}",
          "up quarantined active",
        ]);
        expect((await readHead(control, tenantId))?.sequence).toBe((before?.sequence ?? 0) + items.length);
        // What was quarantined is not active any more, so there is nothing to compare with.
        expect((await quarantine(gateway, request)).kind).toBe("moved");
      });

      test("quarantines nothing when any of it is pinned otherwise by now", async () => {
        const tenantId = await makeTenant(control);
        const { upstreamId, item } = await makeUpstream(tenantId, ["a", "b"]);
        const before = await statuses(tenantId);
        const wrong = [item("b", "digest-of-another"), item("unknown", "digest-b"), item("", "told otherwise")];
        for (const last of wrong) {
          const items = [item("a", "digest-a"), last];
          const result = await quarantine(gateway, { tenantId, nowMs: nowMs(), upstreamId, items });
          expect(result.kind).toBe("moved");
        }
        const elsewhere = { tenantId, nowMs: nowMs(), upstreamId: newId(), items: [item("a", "digest-a")] };
        expect((await quarantine(gateway, elsewhere)).kind).toBe("moved");
        expect(await statuses(tenantId)).toEqual(before);
      });

      test("records a child once, sets its carve aside, and refunds what was not spent, once", async () => {
        const tenantId = await makeTenant(control);
        const root = await makeRoot(tenantId);
        const [node, parentCounter, childCounter] = [newNode(), newNode(), newNode()];
        const carve = { parentCounter, childCounter, windowStartMs: 0, amount: 4, limit: 10 };
        const child = makeChild(tenantId, root, node, [carve]);
        expect(await recordChild(gateway, child)).toEqual({ kind: "recorded", revision: 3, exceeded: [] });
        expect((await recordChild(gateway, child)).kind).toBe("stale");
        expect((await recordChild(gateway, { ...child, revision: 3 })).kind).toBe("exists");

        const below = makeAllow(tenantId, { revision: 3, claims: [makeClaim(childCounter, { limit: 4 })] });
        const above = (amount: number) =>
          makeAllow(tenantId, { revision: 3, claims: [makeClaim(parentCounter, { limit: 10, amount })] });
        expect(kindsOf(await commit(gateway, [below, above(7), above(6)]))).toEqual([
          "committed",
          "refused",
          "committed",
        ]);
        const refund = () => refundCarves(control, tenantId, { nowMs: nowMs(), newId });
        expect(await refund()).toBe(0);
        expect((await ban(tenantId, root)).kind).toBe("banned");
        expect((await ban(tenantId, root)).kind).toBe("already");
        // Still open below: nothing returns yet.
        expect(await refund()).toBe(0);
        await commit(gateway, [makeOutcome(below, "completed")]);
        expect(await refund()).toBe(1);
        expect(await refund()).toBe(0);
        expect(await readCounter(control, tenantId, parentCounter)).toMatchObject({ used: 1, reserved: 6, carved: 0 });
        await expectWholeLog(control, tenantId);
      });

      test("refuses a carve for which there is no room, and then records nothing", async () => {
        const tenantId = await makeTenant(control);
        const root = await makeRoot(tenantId);
        const parentCounter = newNode();
        const carve = { parentCounter, childCounter: newNode(), windowStartMs: 0, amount: 4, limit: 6 };
        const result = await recordChild(gateway, makeChild(tenantId, root, newNode(), [carve, carve]));
        expect(result).toEqual({ kind: "refused", carve, remaining: 2 });
        expect(await readCounter(control, tenantId, parentCounter)).toMatchObject({ carved: 0 });
        expect((await readHead(control, tenantId))?.revision).toBe(2);
      });

      test("says which soft limits a carve lifted their counters over, and none that it refused", async () => {
        const tenantId = await makeTenant(control);
        const root = await makeRoot(tenantId);
        const [parentCounter, other] = [newNode(), newNode()];
        const spent = makeAllow(tenantId, { revision: 2, claims: [makeClaim(parentCounter, { amount: 2 })] });
        await commit(gateway, [spent]);
        const carve = { parentCounter, childCounter: newNode(), windowStartMs: 0, amount: 3, limit: 9 };
        const soft = [
          { counter: parentCounter, windowStartMs: 0, limit: 5 },
          { counter: parentCounter, windowStartMs: 0, limit: 4 },
          // In a window that has not begun only what is set aside counts.
          { counter: parentCounter, windowStartMs: 60_000, limit: 3 },
          { counter: other, windowStartMs: 0, limit: 0 },
        ];
        const child = { ...makeChild(tenantId, root, newNode(), [carve]), soft };
        expect(await recordChild(gateway, child)).toMatchObject({
          kind: "recorded",
          exceeded: [{ index: 1, used: 5 }],
        });
        const more = { ...makeChild(tenantId, root, newNode(), [{ ...carve, amount: 5 }]), soft, revision: 3 };
        expect(await recordChild(gateway, more)).toMatchObject({ kind: "refused" });
      });

      test("keeps a carve set aside when the parent's window begins anew", async () => {
        const tenantId = await makeTenant(control);
        const root = await makeRoot(tenantId);
        const parentCounter = newNode();
        const carve = { parentCounter, childCounter: newNode(), windowStartMs: 60_000, amount: 4, limit: 10 };
        await recordChild(gateway, makeChild(tenantId, root, newNode(), [carve]));
        const next = (amount: number) =>
          makeAllow(tenantId, {
            revision: 3,
            claims: [makeClaim(parentCounter, { windowStartMs: 120_000, amount, limit: 10 })],
          });
        expect(kindsOf(await commit(gateway, [next(7), next(6)]))).toEqual(["refused", "committed"]);
      });
    });

    describe("a lease", () => {
      test("that lapses makes open calls unknown once, though two look at once", async () => {
        const tenantId = await makeTenant(control);
        const [lost, alive] = [newId(), newId()];
        await renewLease(gateway, lost, -1_000);
        await renewLease(gateway, alive, 60_000);
        const counter = newNode();
        const calls = [1, 2, 3].map(() => makeAllow(tenantId, { claims: [makeClaim(counter)] }));
        await commit(gateway, calls, { gatewayId: lost });
        const kept = makeAllow(tenantId, { claims: [makeClaim(counter)] });
        await commit(gateway, [kept], { gatewayId: alive });

        const options = { gatewayId: alive, nowMs: nowMs(), newId };
        const counts = await Promise.all([lapseLeases(gateway, options), lapseLeases(gateway, options)]);
        expect(counts.reduce((sum, count) => sum + count.calls, 0)).toBeGreaterThanOrEqual(3);
        expect(await readCounter(control, tenantId, counter)).toMatchObject({ unknown: 3, reserved: 1 });
        const events = await readEvents(control, { tenantId, epoch: 1, after: 2, limit: 100 });
        const unknown = events
          .map((entry) => JSON.parse(entry.event))
          .filter((event) => event.event === "call.unknown");
        expect(unknown.map((event) => event.callId).sort()).toEqual(calls.map((call) => call.callId).sort());
        await expectWholeLog(control, tenantId);
        await expectWholeLog(control, INSTANCE_TENANT);
      });
    });

    describe("what gateways say of upstreams that they give time", () => {
      const read = (tenantId: string) => control.transaction({ tenants: [tenantId] }, (q) => readStandings(q));

      test("is counted for live gateways, by whether they try again by now, and for the reader's tenant alone", async () => {
        const [tenantId, other] = [await makeTenant(control), await makeTenant(control)];
        const before = (await read(tenantId)).liveGateways;
        const gateways = [newId(), newId(), newId(), newId()];
        for (const id of gateways.slice(0, 3)) await renewLease(gateway, id, 60_000);
        await renewLease(gateway, gateways[3] ?? "", -1_000);
        const wait = (upstreamId: string, waitMs: number) => ({ tenantId, upstreamId, waitMs });
        await tellStandings(gateway, gateways[0] ?? "", [wait("a", 60_000), wait("b", 0), wait("c", 60_000)]);
        await tellStandings(gateway, gateways[1] ?? "", [wait("a", 120_000.5), wait("b", -5_000)]);
        await tellStandings(gateway, gateways[2] ?? "", [wait("a", -1), { ...wait("a", 60_000), tenantId: other }]);
        await tellStandings(gateway, gateways[3] ?? "", [wait("d", 60_000)]);
        const latestMs = nowMs() + 121_000;

        const { liveGateways, byUpstream } = await read(tenantId);
        expect(liveGateways).toBe(before + 3);
        expect([...byUpstream.keys()].sort()).toEqual(["a", "b", "c"]);
        expect(byUpstream.get("a")).toMatchObject({ open: 2, halfOpen: 1 });
        expect(byUpstream.get("a")?.untilMs).toBeGreaterThan(latestMs - 30_000);
        expect(byUpstream.get("a")?.untilMs).toBeLessThanOrEqual(latestMs);
        expect(byUpstream.get("b")).toEqual({ open: 0, halfOpen: 2 });
        expect((await read(other)).byUpstream.get("a")).toMatchObject({ open: 1, halfOpen: 0 });

        // It says what holds now, and whoever is gone says nothing.
        await tellStandings(gateway, gateways[0] ?? "", [wait("c", 60_000)]);
        await endLease(gateway, gateways[1] ?? "");
        const after = await read(tenantId);
        expect(after.liveGateways).toBe(before + 2);
        expect(after.byUpstream.get("a")).toEqual({ open: 0, halfOpen: 1 });
        expect([...after.byUpstream.keys()].sort()).toEqual(["a", "c"]);
        await tellStandings(gateway, gateways[0] ?? "", []);
        const rows = await migrate.transaction({ tenants: [tenantId, other] }, (q) =>
          q.query<{ gateway_id: string }>("SELECT DISTINCT gateway_id FROM upstream_standing"),
        );
        expect(rows).toEqual([{ gateway_id: gateways[2] }]);
        for (const id of [gateways[0], gateways[2]]) await endLease(gateway, id ?? "");
      });

      test("is for no application role to write or read but by the functions", async () => {
        for (const db of [gateway, control]) {
          await expect(db.query("SELECT * FROM upstream_standing")).rejects.toMatchObject({ sqlState: "42501" });
        }
        await expect(tellStandings(control, newId(), [])).rejects.toMatchObject({ sqlState: "42501" });
        await expect(readStandings(gateway)).rejects.toMatchObject({ sqlState: "42501" });
      });
    });

    describe("the roles", () => {
      const TABLES_WITHOUT_TENANT = ["gateway_lease", "journal_batch", "writ_migration"];

      test("see no rows of a tenant that the transaction does not name", async () => {
        const [mine, other] = [await makeTenant(control), await makeTenant(control)];
        const count = async (db: Database, tenants: readonly string[], table: string) =>
          db.transaction({ tenants }, async (q) => {
            const rows = await q.query<{ n: number }>(
              `SELECT count(*)::int4 AS n FROM ${table} WHERE tenant_id = $1::uuid`,
              [other],
            );
            return rows[0]?.n;
          });
        for (const table of ["tenant_head", "authority", "authority_change", "audit_event"]) {
          expect(await count(control, [other], table)).toBeGreaterThan(0);
          expect(await count(control, [mine], table)).toBe(0);
          expect(await count(control, [], table)).toBe(0);
        }
        for (const table of ["tenant_head", "authority", "authority_change"]) {
          expect(await count(gateway, [mine], table)).toBe(0);
        }
      });

      test("R-LOG-2 trap-33 cannot change or remove events, nor touch a head", async () => {
        const tenantId = await makeTenant(control);
        const statements = [
          "UPDATE audit_event SET event = 'x'",
          "DELETE FROM audit_event",
          "TRUNCATE audit_event",
          "UPDATE tenant_head SET sequence = 0",
          "DELETE FROM tenant_head",
          "UPDATE authority SET version = 9",
          "UPDATE budget_charge SET charged = 0",
          "DELETE FROM journal_batch",
          "SELECT writ_append(NULL, NULL, NULL, NULL)",
        ];
        for (const db of [gateway, control]) {
          for (const statement of statements) {
            const run = db.transaction({ tenants: [tenantId] }, (q) => q.query(statement));
            await expect(run, statement).rejects.toMatchObject({ sqlState: "42501" });
          }
        }
        for (const statement of [
          "SELECT * FROM admin_key",
          "SELECT * FROM audit_event",
          "SELECT * FROM budget_charge",
        ]) {
          const run = gateway.transaction({ tenants: [tenantId] }, (q) => q.query(statement));
          await expect(run, statement).rejects.toMatchObject({ sqlState: "42501" });
        }
      });

      test("cannot lower a sequence even as the owner", async () => {
        const tenantId = await makeTenant(control);
        for (const change of ["sequence = 0", "revision = 0", "hash = sha256('x')"]) {
          const run = migrate.transaction({ tenants: [tenantId] }, (q) =>
            q.query(`UPDATE tenant_head SET ${change} WHERE tenant_id = $1::uuid`, [tenantId]),
          );
          await expect(run, change).rejects.toMatchObject({ sqlState: "WR001" });
        }
      });

      test("are bound by a forced row policy on every table that belongs to tenants", async () => {
        const rows = await migrate.query<{ name: string }>(
          `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
             AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1`,
        );
        expect(rows.map((row) => row.name)).toEqual(TABLES_WITHOUT_TENANT);
      });

      test("trap-59 wait for no head because of a foreign key, since none refers to one", async () => {
        const rows = await migrate.query("SELECT conname FROM pg_constraint WHERE contype = 'f'");
        expect(rows).toEqual([]);
      });
    });
  });
}

function applyChange(objects: Map<string, AuthorityObject>, change: AuthorityChange): void {
  if (change.type === "put") objects.set(`${change.object.kind}:${change.object.id}`, change.object);
  else objects.delete(`${change.kind}:${change.id}`);
}

/** The same rules once more, one call at a time and without a database. */
class BudgetModel {
  readonly #counters = new Map<string, { window_start: number; used: number; reserved: number; unknown: number }>();
  readonly #calls = new Map<
    string,
    { state: "open" | "unknown"; held: [counter: string, window: number, n: number][] }
  >();

  /** Calls by the key that they have, in hex. */
  readonly #keys = new Map<string, string>();

  /** The soft limits that the last batch went over, and the calls whose keys others named. */
  exceeded: Excess[] = [];
  firstCalls: string[] = [];

  counter(name: string): { used: number; reserved: number; unknown: number } {
    return this.#counters.get(name) ?? { used: 0, reserved: 0, unknown: 0 };
  }

  commit(entries: readonly JournalEntry[]): EntryResult["kind"][] {
    const kinds = entries.map((entry) => (entry.kind === "outcome" ? this.#settle(entry) : undefined));
    const newest = new Map<string, number>();
    for (const entry of entries) {
      if (!("claims" in entry) || this.#holderOf(entry) !== undefined) continue;
      for (const { counter, windowStartMs } of entry.claims) {
        newest.set(counter, Math.max(newest.get(counter) ?? 0, windowStartMs));
      }
    }
    this.exceeded = [];
    this.firstCalls = [];
    return entries.map((entry, index) => kinds[index] ?? this.#reserve(entry, index, newest));
  }

  #settle(entry: Extract<JournalEntry, { kind: "outcome" }>): EntryResult["kind"] {
    const call = this.#calls.get(entry.callId);
    if (call?.state !== "open") return call !== undefined && entry.outcome !== "unknown" ? "late" : "absent";
    for (const [name, window, amount] of call.held) {
      const counter = this.#counters.get(name);
      if (counter?.window_start !== window) continue;
      counter.reserved -= amount;
      if (entry.outcome === "unknown") counter.unknown += amount;
      else if (entry.outcome !== "aborted") counter.used += amount;
    }
    if (entry.outcome === "unknown") call.state = "unknown";
    else this.#calls.delete(entry.callId);
    if (entry.outcome === "aborted") {
      for (const [key, callId] of this.#keys) if (callId === entry.callId) this.#keys.delete(key);
    }
    return "committed";
  }

  #holderOf(entry: JournalEntry): string | undefined {
    if (entry.kind !== "allow" || entry.key === undefined) return undefined;
    return this.#keys.get(Buffer.from(entry.key).toString("hex"));
  }

  #reserve(entry: JournalEntry, at: number, newest: ReadonlyMap<string, number>): EntryResult["kind"] {
    if (!("claims" in entry)) return "committed";
    const holder = this.#holderOf(entry);
    if (holder !== undefined) {
      this.firstCalls.push(holder);
      return "duplicate";
    }
    const present = entry.claims.map((claim) => {
      const stored = this.#counters.get(claim.counter);
      const window = newest.get(claim.counter) ?? 0;
      if (stored !== undefined && stored.window_start >= window) return stored;
      return { window_start: window, used: 0, reserved: 0, unknown: 0 };
    });
    for (const [index, claim] of entry.claims.entries()) {
      const counter = present[index];
      if (counter === undefined) continue;
      const total = counter.used + counter.reserved + counter.unknown;
      if (claim.mode === "hard" && total + claim.amount > claim.limit) return "refused";
    }
    const held: [string, number, number][] = [];
    for (const [index, claim] of entry.claims.entries()) {
      const counter = present[index];
      if (counter === undefined) continue;
      if (entry.kind === "allow") counter.reserved += claim.amount;
      else counter.used += claim.amount;
      this.#counters.set(claim.counter, counter);
      held.push([claim.counter, counter.window_start, claim.amount]);
      const total = counter.used + counter.reserved + counter.unknown;
      if (claim.mode === "soft" && total > claim.limit) {
        this.exceeded.push([at, claim.counter, total, counter.window_start]);
      }
    }
    if (entry.kind === "allow") {
      this.#calls.set(entry.callId, { state: "open", held });
      if (entry.key !== undefined) this.#keys.set(Buffer.from(entry.key).toString("hex"), entry.callId);
    }
    return "committed";
  }
}
