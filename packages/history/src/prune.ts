/**
 * Pruning: what expired so long ago that no decision and no budget can rest on it any more leaves the state
 * (`endExpired`, a command), and later its rows go, with other rows of no effect (`pruneRows`). Run by the control plane;
 * what may go is said in `migrations/0003_pruning.sql`. Events are never touched.
 */
import { type AuthorityKind, TOKEN_LIFETIME_MAX_SECONDS } from "@writ/contract";
import type { Database } from "@writ/db";
import { type CommandTransaction, runCommand } from "./run-command.ts";

/** Objects of each kind that one command ends at most. */
export const PRUNED_OBJECTS_MAX = 500;
/** Rows of each kind that one transaction looks at. */
const ROWS_PAGE_MAX = 1_000;
/** What has expired is kept this long, for whoever asks what it was. Clocks may differ by far less. */
const EXPIRED_KEPT_MS = 7 * 86_400_000;

interface Expired {
  readonly [name: string]: unknown;
  readonly kind: "root_token" | "node" | "revocation";
  readonly id: string;
  readonly version: number;
}

/**
 * A root token that expired long ago, or anything recorded below one, as far as nothing waits to be refunded from it. A
 * child lives at most as long as its root; it is not judged by its own expiry, since another token of its node may live
 * longer.
 */
const EXPIRED = `a.deactivated_ms IS NULL AND a.kind IN ('root_token', 'node')
  AND (a.value ->> 'expiresAtMs')::int8 < (extract(epoch FROM clock_timestamp()) * 1000)::int8 - ${EXPIRED_KEPT_MS}
  AND (a.kind = 'root_token' OR NOT EXISTS (SELECT FROM authority r
    WHERE r.tenant_id = a.tenant_id AND r.kind = 'root_token' AND r.id = a.value ->> 'root' AND r.deactivated_ms IS NULL
      AND (r.value ->> 'expiresAtMs')::int8 >= (extract(epoch FROM clock_timestamp()) * 1000)::int8 - ${EXPIRED_KEPT_MS}))
  AND NOT EXISTS (SELECT FROM carve c WHERE c.tenant_id = a.tenant_id AND c.node = a.id)`;

/** A revocation of what may be on no record: no token that there was by then lives any longer. */
const OUTLIVED = `a.deactivated_ms IS NULL AND a.kind = 'revocation'
  AND (a.value ->> 'revokedAtMs')::int8
    < (extract(epoch FROM clock_timestamp()) * 1000)::int8 - ${TOKEN_LIFETIME_MAX_SECONDS * 1000 + EXPIRED_KEPT_MS}`;

/** Those of these tenants that have something to end; as of some moment, `endExpired` looks again under the head. */
export async function tenantsWithExpired(db: Database, tenants: readonly string[]): Promise<readonly string[]> {
  const rows = await db.transaction({ tenants, readOnly: true }, (q) =>
    q.query<{ tenant_id: string }>(
      `SELECT t.tenant_id FROM unnest($1::uuid[]) AS t(tenant_id) WHERE
        EXISTS (SELECT FROM authority a WHERE a.tenant_id = t.tenant_id AND ${EXPIRED})
        OR EXISTS (SELECT FROM authority a WHERE a.tenant_id = t.tenant_id AND ${OUTLIVED})`,
      [tenants],
    ),
  );
  return rows.map((row) => row.tenant_id);
}

/** Ends one page of what expired long ago, as one revision and one event; resolves to the number of objects. */
export async function endExpired(
  db: Database,
  scope: { readonly tenantId: string; readonly nowMs: number; readonly newId: () => string; readonly by: string },
): Promise<number> {
  const { tenantId, nowMs } = scope;
  const { value } = await runCommand(db, { tenantId, nowMs }, async (command) => {
    const found = await command.query<Expired>(
      `SELECT a.kind, a.id, a.version FROM authority a WHERE a.tenant_id = $1::uuid AND ${EXPIRED} LIMIT $2`,
      [tenantId, PRUNED_OBJECTS_MAX],
    );
    const revoked = await command.query<Expired>(
      `SELECT a.kind, a.id, a.version FROM authority a WHERE a.tenant_id = $1::uuid AND a.kind = 'revocation'
        AND a.deactivated_ms IS NULL AND (a.id = ANY ($2::text[]) OR (${OUTLIVED})) LIMIT $3`,
      [tenantId, found.map(({ id }) => id), 2 * PRUNED_OBJECTS_MAX],
    );
    const all = [...found, ...revoked];
    if (all.length === 0) return 0;
    await removeAll(command, all);
    const count = (kind: Expired["kind"]): number => all.filter((one) => one.kind === kind).length;
    command.append({
      event: "token.pruned",
      id: scope.newId(),
      timeMs: nowMs,
      tenantId,
      fields: {
        by: scope.by,
        rootTokens: count("root_token"),
        nodes: count("node"),
        revocations: count("revocation"),
      },
    });
    return all.length;
  });
  return value;
}

async function removeAll(command: CommandTransaction, objects: readonly Expired[]): Promise<void> {
  const byKind = new Map<AuthorityKind, string[]>();
  for (const { kind, id } of objects) byKind.set(kind, [...(byKind.get(kind) ?? []), id]);
  for (const [kind, ids] of byKind) await command.prefetch(kind, ids);
  for (const { kind, id, version } of objects) await command.remove(kind, id, version);
}

/** Where the next page of a tenant's rows begins. */
export interface PruneCursor {
  readonly counter: Uint8Array;
  readonly callId: string;
}

/** Behind every counter and every call: a list that has come to its end stays there while the other goes on. */
const LAST_COUNTER = new Uint8Array(17).fill(255);
const LAST_CALL = "ffffffff-ffff-ffff-ffff-ffffffffffff";

export interface PrunedRows {
  /** Undefined when the page was the last. */
  readonly next: PruneCursor | undefined;
  readonly counters: number;
  readonly calls: number;
  readonly objects: number;
  readonly changes: number;
}

/** Keys that one transaction removes at most. */
const KEYS_PAGE_MAX = 2_000;

/**
 * Removes one page of the idempotency keys of all tenants that are not kept any more
 * (`migrations/0005_idempotency_keys.sql`), without taking a head. Resolves to how many went, and whether there may be more.
 */
export async function pruneKeys(db: Database): Promise<{ readonly keys: number; readonly more: boolean }> {
  const rows = await db.query<{ keys: number }>("SELECT writ_prune_keys($1::int4) AS keys", [KEYS_PAGE_MAX]);
  const keys = rows[0]?.keys ?? 0;
  return { keys, more: keys === KEYS_PAGE_MAX };
}

/** Removes what of one page of a tenant's rows has no effect any more. */
export async function pruneRows(db: Database, tenantId: string, from?: PruneCursor): Promise<PrunedRows> {
  const rows = await db.transaction({ tenants: [tenantId] }, (q) =>
    q.query<{
      next_counter: Uint8Array | null;
      next_call: string | null;
      counters: number;
      calls: number;
      objects: number;
      changes: number;
    }>("SELECT * FROM writ_prune($1::uuid, $2::bytea, $3::uuid, $4::int4)", [
      tenantId,
      from?.counter ?? null,
      from?.callId ?? null,
      ROWS_PAGE_MAX,
    ]),
  );
  const row = rows[0];
  if (row === undefined) throw new TypeError("writ_prune answered nothing");
  const { counters, calls, objects, changes } = row;
  const more = objects === ROWS_PAGE_MAX || changes === ROWS_PAGE_MAX;
  const next =
    row.next_counter === null && row.next_call === null && !more
      ? undefined
      : { counter: row.next_counter ?? LAST_COUNTER, callId: row.next_call ?? LAST_CALL };
  return { next, counters, calls, objects, changes };
}
