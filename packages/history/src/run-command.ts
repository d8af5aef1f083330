/**
 * `runCommand`: the one way in which the control plane changes authority. It holds the tenant's head, lets the command
 * read and change objects, and ends with one revision, its events and the announcement, in one transaction. Also
 * the two beginnings of a history: a new tenant, and a new epoch after a restore. Not here: what commands there are
 * (control), and narrowing from the data plane (`narrow.ts`).
 *
 * Compute first, lock last: whatever takes time (compiling a policy, wrapping a key) happens before runCommand. The
 * head is held from its first statement to its last, which should be less than 50 ms.
 */
import { encodeEvent } from "@writ/audit";
import {
  type AuditEvent,
  type AuthorityKind,
  type AuthorityObject,
  type AuthorityValues,
  INSTANCE_TENANT,
} from "@writ/contract";
import { type Database, DatabaseError, type Queryable, type Row, type SqlValue } from "@writ/db";
import type { CommittedHead, HeadMark } from "./head-mark.ts";
import { makeObject } from "./read-authority.ts";

/**
 * Objects that one command changes at most; a bulk beyond it is several revisions. A command of 1,000 stays within the
 * 50 ms that a head should be held; one of 5,000 holds it for some 100 ms, and longer when it ends objects.
 */
export const COMMAND_CHANGES_MAX = 5_000;
/** Objects that `find` returns at most. */
const FIND_ROWS_MAX = 10_000;

/** The writer saw another version than the present one (0: there is none). */
export class VersionConflict extends Error {
  readonly kind: AuthorityKind;
  readonly id: string;
  readonly expected: number;
  readonly actual: number;
  constructor(kind: AuthorityKind, id: string, versions: { expected: number; actual: number }) {
    super(`${kind} ${id} is at version ${versions.actual}, not ${versions.expected}`);
    this.name = "VersionConflict";
    this.kind = kind;
    this.id = id;
    this.expected = versions.expected;
    this.actual = versions.actual;
  }
}

/** Something unique (an object's name, a tenant, a row of the command's own) exists already. */
export class AlreadyExists extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = "AlreadyExists";
  }
}

/** The command names a tenant that does not exist. */
export class UnknownTenant extends Error {
  readonly tenantId: string;
  constructor(tenantId: string) {
    super(`there is no tenant ${tenantId}`);
    this.name = "UnknownTenant";
    this.tenantId = tenantId;
  }
}

type ObjectOf<K extends AuthorityKind> = Extract<AuthorityObject, { kind: K }>;

/** What a command does inside its transaction. Reads see the command's own puts and removals. */
export interface CommandTransaction {
  readonly tenantId: string;
  readonly nowMs: number;
  /** The head as it was locked. */
  readonly head: HeadMark;
  get<K extends AuthorityKind>(kind: K, id: string): Promise<ObjectOf<K> | undefined>;
  /**
   * Reads these objects, existing or not, in one statement, so that later reads and puts of them ask nothing more: a
   * command that changes many objects begins with it, since it holds the head.
   */
  prefetch(kind: AuthorityKind, ids: readonly string[]): Promise<void>;
  /** Objects of a kind, by id; with `where`, those whose member of that name is that text. */
  find<K extends AuthorityKind>(
    kind: K,
    where?: { readonly member: string; readonly equals: string },
  ): Promise<readonly ObjectOf<K>[]>;
  /**
   * Makes (expectedVersion 0) or replaces an object, and returns its new version. Throws `VersionConflict`. Several
   * puts of one object in one command are one change.
   */
  put<K extends AuthorityKind>(
    object: { readonly kind: K; readonly id: string; readonly value: AuthorityValues[K] },
    expectedVersion: number,
  ): Promise<number>;
  /** Ends an object. Throws `VersionConflict`. */
  remove(kind: AuthorityKind, id: string, expectedVersion: number): Promise<void>;
  /** Adds an event to the tenant's log, at the end of the transaction. */
  append(event: AuditEvent): void;
  /** For the control plane's own tables (policy versions, admin keys), in the same transaction. */
  query<R extends Row = Row>(text: string, values?: readonly SqlValue[]): Promise<readonly R[]>;
}

export interface CommandResult<T> {
  readonly value: T;
  /** The head after the command; `revision` is what a gateway must have reached to know of it. */
  readonly head: CommittedHead;
}

export interface CommandScope {
  readonly tenantId: string;
  readonly nowMs: number;
}

/**
 * Runs one command. It changes authority and is on the log, or (when `work` or the database throws) nothing happened.
 * A command of the instance moves every tenant's revision. Throws `VersionConflict`, `AlreadyExists`,
 * `UnknownTenant`, what `work` throws, and `DatabaseError`.
 */
export async function runCommand<T>(
  db: Database,
  scope: CommandScope,
  work: (command: CommandTransaction) => Promise<T>,
): Promise<CommandResult<T>> {
  return named(() =>
    db.transaction({ tenants: [scope.tenantId] }, async (q) => {
      const rows = await q.query<HeadRow>("SELECT * FROM writ_lock_heads($1::uuid[])", [[scope.tenantId]]);
      const head = rows[0];
      if (head === undefined) throw new UnknownTenant(scope.tenantId);
      return perform(q, scope, toMark(head), [], work);
    }),
  );
}

/**
 * Makes a tenant: its head, `log.opened` as the first event of its log, and whatever `work` puts. Throws
 * `AlreadyExists`. The instance is made first, by `ensureInstance`.
 */
export async function createTenant<T>(
  db: Database,
  scope: CommandScope & { readonly newId: () => string },
  work: (command: CommandTransaction) => Promise<T>,
): Promise<CommandResult<T>> {
  return named(() =>
    db.transaction({ tenants: [scope.tenantId] }, async (q) => {
      await q.query("SELECT writ_create_tenant($1::uuid)", [scope.tenantId]);
      const rows = await q.query<HeadRow>("SELECT * FROM writ_lock_heads($1::uuid[])", [[scope.tenantId]]);
      const head = rows[0];
      if (head === undefined) throw new UnknownTenant(scope.tenantId);
      const opened: AuditEvent = {
        event: "log.opened",
        id: scope.newId(),
        timeMs: scope.nowMs,
        tenantId: scope.tenantId,
        fields: { epoch: 1 },
      };
      return perform(q, scope, toMark(head), [opened], work);
    }),
  );
}

/** Makes the instance's head and log when they are missing. True when it did. */
export async function ensureInstance(
  db: Database,
  scope: { readonly nowMs: number; readonly newId: () => string },
): Promise<boolean> {
  const heads = await db.transaction({ tenants: [INSTANCE_TENANT], readOnly: true }, (q) =>
    q.query("SELECT FROM tenant_head WHERE tenant_id = $1::uuid", [INSTANCE_TENANT]),
  );
  if (heads.length > 0) return false;
  try {
    await createTenant(db, { tenantId: INSTANCE_TENANT, ...scope }, async () => undefined);
    return true;
  } catch (error) {
    // Another process was first, which is as good.
    if (error instanceof AlreadyExists) return false;
    throw error;
  }
}

/** Epochs that a log has at most: revisions grow by 2^32 with each, and stay safe integers. */
export const EPOCH_MAX = 1_000_000;

export interface OpenedEpoch {
  readonly epoch: number;
  /** Where the old log ended. */
  readonly previousEpoch: number;
  readonly previousSequence: number;
  readonly previousHash: Uint8Array;
}

/**
 * Opens a new epoch of a tenant after a restore: a new log whose first event says where the old one ended, with the
 * tenant's kill switch engaged. Every state loaded before is too old to commit on. `epochAfter` is the highest epoch that
 * anybody is known to have seen: the restored head may be behind it.
 */
export async function openEpoch(
  db: Database,
  scope: CommandScope & {
    readonly newId: () => string;
    readonly by: string;
    readonly reason: string;
    readonly epochAfter: number;
  },
): Promise<CommandResult<OpenedEpoch>> {
  return named(() =>
    db.transaction({ tenants: [scope.tenantId] }, async (q) => {
      const opened = (
        await q.query<{ epoch: number; previous_epoch: number; previous_sequence: number; previous_hash: Uint8Array }>(
          "SELECT * FROM writ_open_epoch($1::uuid, $2::int8)",
          [scope.tenantId, scope.epochAfter],
        )
      )[0];
      const head = (await q.query<HeadRow>("SELECT * FROM writ_lock_heads($1::uuid[])", [[scope.tenantId]]))[0];
      if (opened === undefined || head === undefined) throw new UnknownTenant(scope.tenantId);
      const { tenantId, nowMs: timeMs } = scope;
      const recovered: AuditEvent = {
        event: "log.recovered",
        id: scope.newId(),
        timeMs,
        tenantId,
        fields: {
          by: scope.by,
          version: opened.epoch,
          epoch: opened.epoch,
          previousEpoch: opened.previous_epoch,
          previousSequence: opened.previous_sequence,
          previousHash: Buffer.from(opened.previous_hash).toString("hex"),
        },
      };
      return perform(q, scope, toMark(head), [recovered], async (command) => {
        const killScope = tenantId === INSTANCE_TENANT ? "instance" : "tenant";
        const id = `${killScope}:`;
        const engaged = await command.get("kill", id);
        if (engaged === undefined) {
          const value = { scope: killScope, scopeId: "", reason: scope.reason, engagedAtMs: timeMs } as const;
          const version = await command.put({ kind: "kill", id, value }, 0);
          command.append({
            event: "kill.engaged",
            id: scope.newId(),
            timeMs,
            tenantId,
            fields: { by: scope.by, version, scope: killScope, scopeId: "", reason: scope.reason },
          });
        }
        return {
          epoch: opened.epoch,
          previousEpoch: opened.previous_epoch,
          previousSequence: opened.previous_sequence,
          previousHash: opened.previous_hash,
        };
      });
    }),
  );
}

interface HeadRow {
  readonly [name: string]: unknown;
  readonly epoch: number;
  readonly revision: number;
  readonly sequence: number;
  readonly hash: Uint8Array;
}

function toMark(row: HeadRow): HeadMark {
  return { epoch: row.epoch, revision: row.revision, sequence: row.sequence, hash: row.hash };
}

interface PendingChange {
  readonly kind: AuthorityKind;
  readonly id: string;
  /** The version of its row, ended or not; 0 when there never was one. */
  readonly stored: number;
  /** Undefined when the object ends. */
  readonly object: AuthorityObject | undefined;
}

async function perform<T>(
  q: Queryable,
  scope: CommandScope,
  head: HeadMark,
  events: readonly AuditEvent[],
  work: (command: CommandTransaction) => Promise<T>,
): Promise<CommandResult<T>> {
  const pending = new Map<string, PendingChange>();
  const appended: AuditEvent[] = [...events];

  const keyOf = (kind: AuthorityKind, id: string): string => `${kind}:${id}`; // no kind has a colon
  // What was read stays true while the head is held: only this command changes the tenant's authority now.
  const known = new Map<string, Pick<PendingChange, "stored" | "object">>();
  const prefetch = async (kind: AuthorityKind, ids: readonly string[]): Promise<void> => {
    if (ids.length > COMMAND_CHANGES_MAX)
      throw new TypeError(`at most ${COMMAND_CHANGES_MAX} objects are read at once`);
    const rows = await q.query<ObjectRow & { ended: boolean }>(
      `SELECT kind, id, value, version, deactivated_ms IS NOT NULL AS ended FROM authority
       WHERE tenant_id = $1::uuid AND kind = $2 AND id = ANY ($3::text[])`,
      [scope.tenantId, kind, ids],
    );
    for (const id of ids) known.set(keyOf(kind, id), { stored: 0, object: undefined });
    for (const row of rows) {
      known.set(keyOf(kind, row.id), { stored: row.version, object: row.ended ? undefined : makeObject(row) });
    }
  };
  const read = async (kind: AuthorityKind, id: string): Promise<Pick<PendingChange, "stored" | "object">> => {
    const key = keyOf(kind, id);
    if (!pending.has(key) && !known.has(key)) await prefetch(kind, [id]);
    return pending.get(key) ?? known.get(key) ?? { stored: 0, object: undefined };
  };
  const change = async (
    kind: AuthorityKind,
    id: string,
    expected: number,
    make: (version: number) => AuthorityObject | undefined,
  ): Promise<number> => {
    const present = await read(kind, id);
    const actual = present.object?.version ?? 0;
    if (actual !== expected) throw new VersionConflict(kind, id, { expected, actual });
    const { stored } = present;
    const version = stored + 1;
    const object = make(version);
    if (object === undefined && stored === 0) pending.delete(keyOf(kind, id));
    else pending.set(keyOf(kind, id), { kind, id, stored, object });
    if (pending.size > COMMAND_CHANGES_MAX) {
      throw new TypeError(`a command changes at most ${COMMAND_CHANGES_MAX} objects`);
    }
    return version;
  };

  const value = await work({
    tenantId: scope.tenantId,
    nowMs: scope.nowMs,
    head,
    get: async <K extends AuthorityKind>(kind: K, id: string) =>
      // `read` returns an object of the kind that was asked for.
      (await read(kind, id)).object as ObjectOf<K> | undefined,
    prefetch,
    find: async <K extends AuthorityKind>(kind: K, where?: { readonly member: string; readonly equals: string }) => {
      const rows = await q.query<ObjectRow>(
        `SELECT kind, id, value, version FROM authority
         WHERE tenant_id = $1::uuid AND kind = $2 AND deactivated_ms IS NULL AND ($3::text = '' OR value ->> $3::text = $4) ORDER BY id LIMIT $5`,
        [scope.tenantId, kind, where?.member ?? "", where?.equals ?? "", FIND_ROWS_MAX],
      );
      const found = new Map<string, AuthorityObject>();
      for (const row of rows) found.set(row.id, makeObject(row));
      for (const changed of pending.values()) {
        if (changed.kind !== kind) continue;
        const object = changed.object;
        if (object !== undefined && (where === undefined || memberOf(object, where.member) === where.equals)) {
          found.set(changed.id, object);
        } else {
          found.delete(changed.id);
        }
      }
      // Rows and changes were selected by kind.
      return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1)) as ObjectOf<K>[];
    },
    put: (object, expectedVersion) =>
      change(object.kind, object.id, expectedVersion, (version) => {
        // Kind and value agree by the parameter's type; the union cannot express it.
        return { kind: object.kind, id: object.id, version, value: object.value } as AuthorityObject;
      }),
    remove: async (kind, id, expectedVersion) => {
      if (expectedVersion < 1) throw new TypeError("only an object that exists can be removed");
      await change(kind, id, expectedVersion, () => undefined);
    },
    append: (event) => {
      if (event.tenantId !== scope.tenantId) throw new TypeError("an event belongs to the command's tenant");
      appended.push(event);
    },
    query: (text, values) => q.query(text, values),
  });

  const changes = [...pending.values()];
  if (changes.length > 0 && appended.length === 0) throw new TypeError("a command that changes something has an event");
  const encoded = appended.map(encodeEvent);
  const rows = await q.query<HeadRow & { committed_us: number }>(
    `SELECT * FROM writ_apply($1::uuid, $2::int8, $3::text[], $4::text[], $5::text[], $6::int8[], $7::text[], $8::bytea)`,
    [
      scope.tenantId,
      scope.nowMs,
      changes.map((entry) => entry.kind),
      changes.map((entry) => entry.id),
      changes.map((entry) => (entry.object === undefined ? "" : JSON.stringify(entry.object.value))),
      changes.map((entry) => entry.stored),
      encoded.map((event) => event.text),
      Buffer.concat(encoded.map((event) => event.leaf)),
    ],
  );
  const after = rows[0];
  if (after === undefined) throw new TypeError("writ_apply answered nothing");
  return { value, head: { ...toMark(after), committedUs: after.committed_us } };
}

interface ObjectRow {
  readonly [name: string]: unknown;
  readonly kind: AuthorityKind;
  readonly id: string;
  readonly version: number;
  readonly value: string;
}

function memberOf(object: AuthorityObject, member: string): unknown {
  // Read as the stored JSON, of which only own members count.
  const value = object.value as unknown as Readonly<Record<string, unknown>>;
  return Object.hasOwn(value, member) ? value[member] : undefined;
}

/** Gives the database's refusals the names that commands know. */
async function named<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    // A failure of the database that means something to the caller becomes that; all else passes.
    if (error instanceof DatabaseError && error.sqlState === "23505") {
      throw new AlreadyExists("something with this name or id exists already", { cause: error });
    }
    throw error;
  }
}
