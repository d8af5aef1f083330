/** The control plane's store over @writ/history: one adapter, so that commands speak of objects and never of heads. */
import type { AuditEvent, AuthorityKind, AuthorityValues, EventName } from "@writ/contract";
import { makeUuidv7 } from "@writ/contract";
import type { Database } from "@writ/db";
import {
  AlreadyExists,
  createTenant,
  endExpired,
  ensureInstance,
  type CommandTransaction as HistoryTransaction,
  openEpoch,
  pruneKeys,
  pruneRows,
  readSnapshot,
  refundCarves,
  runCommand,
  tenantsWithExpired,
  UnknownTenant,
  VersionConflict,
} from "@writ/history";
import type { Actor, EventFields } from "../actor.ts";
import type { Clock, Random } from "../clock.ts";
import { notFound, Problem } from "../problem.ts";
import { createCommandTurns } from "./command-turns.ts";
import type { CommandTransaction, ControlStore, Stored, TenantHead } from "./control-store.ts";

/** Tenants of one page of the list. */
const TENANTS_PER_READ = 1_000;

interface HeadRow extends Record<string, unknown> {
  readonly tenant_id: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly hash: Uint8Array;
  readonly frontier: Uint8Array;
}

export interface HistoryStoreOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
}

export function createHistoryStore({ db, clock, random }: HistoryStoreOptions): ControlStore {
  const newId = (): string => makeUuidv7(clock.nowMs(), random.bytes(10));
  const inTurn = createCommandTurns();

  function adapt(actor: Actor, history: HistoryTransaction): CommandTransaction {
    const view = <K extends AuthorityKind>(object: {
      readonly id: string;
      readonly version: number;
      readonly value: unknown;
    }): Stored<AuthorityValues[K]> => ({
      id: object.id,
      version: object.version,
      value: object.value as AuthorityValues[K], // history gives objects of the kind that was asked for
    });
    return {
      query: (text, values) => history.query(text, values),
      async get(kind, id) {
        const object = await history.get(kind, id);
        return object === undefined ? undefined : view(object);
      },
      async find(kind, where) {
        return (await history.find(kind, where)).map((object) => view(object));
      },
      put: (kind, id, value, expectedVersion) => history.put({ kind, id, value }, expectedVersion),
      remove: (kind, id, expectedVersion) => history.remove(kind, id, expectedVersion),
      record<N extends EventName>(event: N, fields: Omit<EventFields<N>, "by">) {
        // The fields are those of this event; the union of all events cannot express that pair.
        const full = { ...fields, by: actor.by };
        const { tenantId } = history;
        history.append({ event, id: newId(), timeMs: history.nowMs, tenantId, fields: full } as unknown as AuditEvent);
      },
    };
  }

  return {
    command: (actor, tenantId, work, options) =>
      named(async () => {
        const run = () => runCommand(db, { tenantId, nowMs: clock.nowMs() }, (history) => work(adapt(actor, history)));
        const result = await inTurn(tenantId, run, options);
        return result.value;
      }),
    createTenant: (actor, tenantId, work) =>
      named(async () => {
        const scope = { tenantId, nowMs: clock.nowMs(), newId };
        return (await createTenant(db, scope, (history) => work(adapt(actor, history)))).value;
      }),
    async ensureInstance() {
      await ensureInstance(db, { nowMs: clock.nowMs(), newId });
    },
    openEpoch: (actor, tenantId, { reason, epochAfter }) =>
      named(async () => {
        const scope = { tenantId, nowMs: clock.nowMs(), newId, by: actor.by, reason, epochAfter };
        return (await openEpoch(db, scope)).value;
      }),
    read: (tenants, work) => db.transaction({ tenants, readOnly: true }, work),
    async heads() {
      const heads: TenantHead[] = [];
      for (let after: string | null = null; ; ) {
        const page: readonly HeadRow[] = await db.query<HeadRow>(
          "SELECT tenant_id, epoch, sequence, hash, frontier FROM writ_list_tenants($1::uuid, $2)",
          [after, TENANTS_PER_READ],
        );
        for (const { tenant_id: tenantId, epoch, sequence, hash, frontier } of page) {
          heads.push({ tenantId, epoch, sequence, hash, frontier });
        }
        after = page.at(-1)?.tenant_id ?? null;
        if (page.length < TENANTS_PER_READ) return heads;
      }
    },
    refundCarves: (tenantId) => inTurn(tenantId, () => refundCarves(db, tenantId, { nowMs: clock.nowMs(), newId })),
    tenantsWithExpired: (tenants) => tenantsWithExpired(db, tenants),
    endExpired: (actor, tenantId) =>
      inTurn(tenantId, () => endExpired(db, { tenantId, nowMs: clock.nowMs(), newId, by: actor.by })),
    pruneKeys: () => pruneKeys(db),
    pruneRows: (tenantId, from) => inTurn(tenantId, () => pruneRows(db, tenantId, from)),
    async wantReading(tenantId, upstreamId) {
      const rows = await db.transaction({ tenants: [tenantId] }, (transaction) =>
        transaction.query<{ readonly wanted: number }>(
          `UPDATE catalogue_observation SET wanted = wanted + 1,
            wanted_us = (extract(epoch FROM clock_timestamp()) * 1000000)::int8 WHERE tenant_id = $1 AND upstream_id = $2
            RETURNING wanted`,
          [tenantId, upstreamId],
        ),
      );
      return rows[0]?.wanted ?? 0;
    },
    snapshot: (tenantId) => readSnapshot(db, tenantId),
  };
}

/** Gives history's refusals the codes of the admin API; all else passes. */
async function named<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof VersionConflict) {
      const detail = `The caller saw version ${error.expected}, and ${error.actual} is stored.`;
      throw new Problem("version_conflict", detail, { expectedVersion: error.expected, actualVersion: error.actual });
    }
    if (error instanceof AlreadyExists) throw new Problem("name_taken", "Something of this name or id exists already.");
    if (error instanceof UnknownTenant) throw notFound();
    throw error;
  }
}
