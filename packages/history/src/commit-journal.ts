/**
 * `commitJournal`: one batch of the journal (decisions, reservations, outcomes, records) as one call of the database
 * function `writ_journal_commit`, in one round trip; and the same under a lock that the caller can decide under.
 * What happens to each entry is decided in SQL (`migrations/0005_idempotency_keys.sql`); this file packs columns and unpacks
 * answers. Not here: batching, judging again, retries (the gateway's journal).
 */
import { INSTANCE_TENANT } from "@writ/contract";
import type { Database, Queryable } from "@writ/db";
import type { JournalBatch, JournalBatchResult } from "./journal-entry.ts";
import { packBatch } from "./pack-batch.ts";
import { type ChangesRead, readChangesIn } from "./read-authority.ts";
import { unpackAnswer } from "./unpack-answer.ts";

/** Entries of one batch at most. A batch without an end would hold its heads without an end. */
export const JOURNAL_ENTRIES_MAX = 1_024;

const COMMIT_SQL = `SELECT writ_journal_commit($1::uuid, $2::uuid, $3::int8, $4::uuid[], $5::int4[], $6::int8[],
  $7::int8[], $8::int8[], $9::int8[], $10::bytea, $11::int4[], $12::text, $13::bytea, $14::bytea, $15::int4[],
  $16::uuid[], $17::int4[], $18::boolean, $19::int4[], $20::uuid[], $21::int4[], $22::int4[], $23::bytea, $24::int8[],
  $25::int8[], $26::int4[], $27::bytea, $28::bytea, $29::int8[], $30::int8[], $31::int8[], $32::int4[], $33::int4[],
  $34::text, $35::int4[], $36::uuid[], $37::bytea) AS answer`;

/**
 * Commits a batch: all its entries that may stand, or, when it throws, none. A `DatabaseError` with `commitUnknown`
 * leaves open which; `resolveBatch` tells. A failure that is about data concerns some entry: split and try again, with
 * new ids.
 */
export async function commitJournal(db: Database, batch: JournalBatch): Promise<JournalBatchResult> {
  return commitIn(db, batch);
}

export interface LockedTenant {
  readonly tenantId: string;
  readonly sinceRevision: number;
  readonly sinceInstanceRevision: number;
}

export type UnderLock =
  | { readonly kind: "committed"; readonly batch: JournalBatch; readonly result: JournalBatchResult }
  /** `decide` gave up the lock: nothing was committed. */
  | { readonly kind: "released" };

/**
 * Commits a batch that is decided while its heads are held: `decide` gets what changed since the caller's revisions,
 * is synchronous, and returns the batch (for these tenants only) or undefined to let go. No other commit of these
 * tenants can come between.
 */
export async function commitJournalUnderLock(
  db: Database,
  tenants: readonly LockedTenant[],
  decide: (changes: ReadonlyMap<string, ChangesRead>) => JournalBatch | undefined,
): Promise<UnderLock> {
  const ids = [...new Set(tenants.map((tenant) => tenant.tenantId))].sort();
  const outcome = await db.transaction<UnderLock>({ tenants: [...new Set([INSTANCE_TENANT, ...ids])] }, async (q) => {
    await q.query("SELECT tenant_id FROM writ_lock_heads($1::uuid[])", [ids]);
    const changes = new Map<string, ChangesRead>();
    for (const tenant of tenants) changes.set(tenant.tenantId, await readChangesIn(q, tenant));
    const batch = decide(changes);
    if (batch === undefined) return { kind: "released" };
    return { kind: "committed", batch, result: await commitIn(q, batch) };
  });
  return outcome;
}

/** The same inside a transaction of the caller's, which already holds the heads. */
export async function commitIn(q: Queryable, batch: JournalBatch): Promise<JournalBatchResult> {
  if (batch.entries.length === 0) throw new TypeError("a batch has at least one entry");
  if (batch.entries.length > JOURNAL_ENTRIES_MAX) {
    throw new TypeError(`a batch has at most ${JOURNAL_ENTRIES_MAX} entries`);
  }
  const packed = packBatch(batch);
  const rows = await q.query<{ answer: string }>(COMMIT_SQL, packed.values);
  const row = rows[0];
  if (row === undefined) throw new TypeError("writ_journal_commit answered nothing");
  return unpackAnswer(packed, row.answer);
}

/**
 * What became of a batch whose COMMIT was never answered. `refused`: it is not committed and never will be. Waits for
 * the orphaned transaction, since it takes the same heads. May be asked again; ids are remembered for an hour.
 */
export async function resolveBatch(
  db: Database,
  batch: { readonly id: string; readonly tenants: readonly string[] },
): Promise<"committed" | "refused"> {
  const tenants = [...new Set(batch.tenants)].sort();
  const rows = await db.query<{ status: "committed" | "refused" }>(
    "SELECT writ_resolve_batch($1::uuid, $2::uuid[]) AS status",
    [batch.id, tenants],
  );
  const row = rows[0];
  if (row === undefined) throw new TypeError("writ_resolve_batch answered nothing");
  return row.status;
}
