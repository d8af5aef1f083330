/**
 * Reading a tenant's authority: whole, in one snapshot; or by what changed since a revision. Also heads, and the
 * announcement of changes. Not here: the state that is built from it (the gateway's), and changing it
 * (`run-command.ts`).
 */
import {
  type AuthorityChange,
  type AuthorityKind,
  type AuthorityObject,
  type AuthoritySnapshot,
  INSTANCE_TENANT,
} from "@writ/contract";
import type { Database, Queryable } from "@writ/db";
import { AUTHORITY_CHANNEL, type HeadMark } from "./head-mark.ts";

/** Changes that one reading returns at most; whoever is further behind loads the snapshot. */
export const CHANGES_READ_MAX = 20_000;
/** How many revisions the database keeps changes of (`writ_changes_kept` in the migrations). */
export const CHANGES_KEPT = 10_000;

/** Heads that one reading returns at most. */
export const HEADS_READ_MAX = 1_000;

interface AuthorityRow {
  readonly [name: string]: unknown;
  readonly tenant_id: string;
  readonly kind: AuthorityKind;
  readonly id: string;
  readonly value: string;
  readonly version: number;
}

/**
 * Everything the state of one tenant is built from, with the revision it belongs to: one REPEATABLE READ snapshot, so
 * that no object can be newer or older than the revision says. Undefined when there is no such tenant.
 */
export async function readSnapshot(db: Database, tenantId: string): Promise<AuthoritySnapshot | undefined> {
  const tenants = [...new Set([INSTANCE_TENANT, tenantId])];
  return db.transaction({ tenants, isolation: "repeatable read", readOnly: true }, async (q) => {
    const heads = await readHeadsIn(q, tenants);
    const head = heads.get(tenantId);
    const instance = heads.get(INSTANCE_TENANT);
    if (head === undefined || instance === undefined) return undefined;
    const rows = await q.query<AuthorityRow>(
      `SELECT tenant_id, kind, id, value, version FROM authority
       WHERE tenant_id = ANY ($1::uuid[]) AND deactivated_ms IS NULL ORDER BY kind, id`,
      [tenants],
    );
    const objects: AuthorityObject[] = [];
    const instanceObjects: AuthorityObject[] = [];
    for (const row of rows) {
      const object = makeObject(row);
      if (row.tenant_id === tenantId) objects.push(object);
      if (row.tenant_id === INSTANCE_TENANT) instanceObjects.push(object);
    }
    return {
      tenantId,
      epoch: head.epoch,
      revision: head.revision,
      instanceRevision: instance.revision,
      objects,
      instanceObjects,
    };
  });
}

/** The object in a row. Its value has the shape of its kind because only typed commands write it. */
export function makeObject(row: {
  readonly kind: AuthorityKind;
  readonly id: string;
  readonly version: number;
  readonly value: string;
}): AuthorityObject {
  // JSON.parse cannot know the shape; see above.
  return { kind: row.kind, id: row.id, version: row.version, value: JSON.parse(row.value) } as AuthorityObject;
}

export interface ChangesRequest {
  readonly tenantId: string;
  readonly sinceRevision: number;
  readonly sinceInstanceRevision: number;
}

export type ChangesRead =
  | {
      readonly kind: "changes";
      readonly epoch: number;
      /** What the tenant's authority is after these changes, and the instance's after its own. */
      readonly revision: number;
      readonly instanceRevision: number;
      readonly changes: readonly AuthorityChange[];
      readonly instanceChanges: readonly AuthorityChange[];
    }
  /** Too long ago, or not of this history: load the snapshot. */
  | { readonly kind: "too_far" }
  | { readonly kind: "unknown_tenant" };

interface ChangeRow {
  readonly [name: string]: unknown;
  readonly tenant_id: string;
  readonly epoch: number;
  readonly head_revision: number;
  readonly kind: AuthorityKind | null;
  readonly id: string;
  readonly value: string | null;
  readonly version: number;
}

/** Tenants whose changes are read at once at most. */
export const CHANGES_TENANTS_MAX = 500;

/**
 * The same for many tenants (not the instance) in one statement, one snapshot of all of them. A tenant that is missing in the answer has to
 * be read by itself: together they have more changes than one reading returns.
 */
export async function readChangesOfMany(
  db: Database,
  requests: readonly ChangesRequest[],
): Promise<ReadonlyMap<string, ChangesRead>> {
  if (requests.length > CHANGES_TENANTS_MAX)
    throw new TypeError(`at most ${CHANGES_TENANTS_MAX} tenants are read at once`);
  const answers = new Map<string, ChangesRead>();
  if (requests.length === 0) return answers;
  const sinceInstance = requests.map((request) => request.sinceInstanceRevision).reduce((a, b) => Math.min(a, b));
  const since = new Map(requests.map(({ tenantId, sinceRevision }) => [tenantId, sinceRevision]));
  since.set(INSTANCE_TENANT, sinceInstance);
  const tenants = [...since.keys()];
  const rows = await db.transaction({ tenants, readOnly: true }, (q) =>
    q.query<ChangeRow & { readonly revision: number | null }>(
      `SELECT h.tenant_id, h.epoch, h.revision AS head_revision, c.revision, c.kind, c.id, c.value, c.version
       FROM unnest($1::uuid[], $2::int8[]) AS t(tenant_id, since)
       JOIN tenant_head h ON h.tenant_id = t.tenant_id
       LEFT JOIN authority_change c ON c.tenant_id = h.tenant_id AND c.revision > t.since
       ORDER BY h.tenant_id, c.revision, c.position
       LIMIT $3`,
      [tenants, [...since.values()], CHANGES_READ_MAX],
    ),
  );
  const byTenant = new Map<string, (typeof rows)[number][]>();
  for (const row of rows) {
    const own = byTenant.get(row.tenant_id);
    if (own === undefined) byTenant.set(row.tenant_id, [row]);
    else own.push(row);
  }
  // Whoever is last may have more than was read, and whoever comes behind was not read at all.
  const cut = rows.length === CHANGES_READ_MAX ? rows.at(-1)?.tenant_id : undefined;
  const instance = byTenant.get(INSTANCE_TENANT);
  if (cut === INSTANCE_TENANT) return answers;
  for (const request of requests) {
    const { tenantId, sinceRevision, sinceInstanceRevision } = request;
    if (cut !== undefined && tenantId >= cut) continue;
    const own = byTenant.get(tenantId);
    const [head, instanceHead] = [own?.[0], instance?.[0]];
    if (own === undefined || instance === undefined || head === undefined || instanceHead === undefined) {
      answers.set(tenantId, { kind: "unknown_tenant" });
    } else if (
      !follows(head.head_revision, sinceRevision) ||
      !follows(instanceHead.head_revision, sinceInstanceRevision)
    ) {
      answers.set(tenantId, { kind: "too_far" });
    } else {
      answers.set(tenantId, {
        kind: "changes",
        epoch: head.epoch,
        revision: head.head_revision,
        instanceRevision: instanceHead.head_revision,
        changes: changesAfter(own, sinceRevision),
        instanceChanges: changesAfter(instance, sinceInstanceRevision),
      });
    }
  }
  return answers;
}

function changesAfter(
  rows: readonly (ChangeRow & { readonly revision: number | null })[],
  since: number,
): readonly AuthorityChange[] {
  return rows.flatMap((row) => (row.revision !== null && row.revision > since ? (changeOf(row) ?? []) : []));
}

/** The change in a row; undefined in the row of a head without any. */
function changeOf(row: ChangeRow): AuthorityChange | undefined {
  const { kind, id, version, value } = row;
  if (kind === null) return undefined;
  if (value === null) return { type: "delete", kind, id };
  return { type: "put", object: makeObject({ kind, id, version, value }) };
}

/** What changed since the caller's revisions, in order. */
export async function readChanges(db: Database, request: ChangesRequest): Promise<ChangesRead> {
  const tenants = [...new Set([INSTANCE_TENANT, request.tenantId])];
  return db.transaction({ tenants, readOnly: true }, (q) => readChangesIn(q, request));
}

/** The same inside a transaction that may see the tenant and the instance. One statement, so one snapshot. */
export async function readChangesIn(q: Queryable, request: ChangesRequest): Promise<ChangesRead> {
  const rows = await q.query<ChangeRow>(
    `SELECT h.tenant_id, h.epoch, h.revision AS head_revision, c.kind, c.id, c.value, c.version
     FROM tenant_head h LEFT JOIN authority_change c ON c.tenant_id = h.tenant_id
       AND c.revision > CASE WHEN h.tenant_id = $2::uuid THEN $4::int8 ELSE $3::int8 END
     WHERE h.tenant_id IN ($1::uuid, $2::uuid)
     ORDER BY h.tenant_id, c.revision, c.position
     LIMIT $5`,
    [request.tenantId, INSTANCE_TENANT, request.sinceRevision, request.sinceInstanceRevision, CHANGES_READ_MAX + 2],
  );
  const head = rows.find((row) => row.tenant_id === request.tenantId);
  const instance = rows.find((row) => row.tenant_id === INSTANCE_TENANT);
  if (rows.length > CHANGES_READ_MAX) return { kind: "too_far" };
  if (head === undefined || instance === undefined) return { kind: "unknown_tenant" };
  if (!follows(head.head_revision, request.sinceRevision)) return { kind: "too_far" };
  if (!follows(instance.head_revision, request.sinceInstanceRevision)) return { kind: "too_far" };
  const changes: AuthorityChange[] = [];
  const instanceChanges: AuthorityChange[] = [];
  for (const row of rows) {
    const change = changeOf(row);
    if (change === undefined) continue;
    if (row.tenant_id === request.tenantId) changes.push(change);
    if (row.tenant_id === INSTANCE_TENANT) instanceChanges.push(change);
  }
  return {
    kind: "changes",
    epoch: head.epoch,
    revision: head.head_revision,
    instanceRevision: instance.head_revision,
    changes,
    instanceChanges,
  };
}

/** Whether changes since `since` are all still there. A revision from the future is of another history. */
function follows(revision: number, since: number): boolean {
  return since <= revision && revision - since <= CHANGES_KEPT;
}

/** The heads of these tenants; those that do not exist are missing. At most `HEADS_READ_MAX`. */
export async function readHeads(db: Database, tenants: readonly string[]): Promise<ReadonlyMap<string, HeadMark>> {
  if (tenants.length > HEADS_READ_MAX) throw new TypeError(`at most ${HEADS_READ_MAX} heads are read at once`);
  return db.transaction({ tenants, readOnly: true }, (q) => readHeadsIn(q, tenants));
}

async function readHeadsIn(q: Queryable, tenants: readonly string[]): Promise<ReadonlyMap<string, HeadMark>> {
  const rows = await q.query<{
    tenant_id: string;
    epoch: number;
    revision: number;
    sequence: number;
    hash: Uint8Array;
  }>("SELECT tenant_id, epoch, revision, sequence, hash FROM tenant_head WHERE tenant_id = ANY ($1::uuid[])", [
    tenants,
  ]);
  return new Map(
    rows.map((row) => [
      row.tenant_id,
      { epoch: row.epoch, revision: row.revision, sequence: row.sequence, hash: row.hash },
    ]),
  );
}

/**
 * Calls `onTenant` with the id of each tenant whose authority changed (the instance's id: everyone's), and `onGap`
 * when announcements may have been missed. Announcements are a hint to read; a poll stands behind them.
 */
export async function listenAuthority(
  db: Database,
  onTenant: (tenantId: string) => void,
  onGap: () => void,
): Promise<{ close(): Promise<void> }> {
  return db.listen(AUTHORITY_CHANNEL, onTenant, onGap);
}
