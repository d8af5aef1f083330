/**
 * Migrations: plain SQL files, forward only, each in one transaction and recorded with its checksum. The files are
 * `NNNN_name.sql`; they run as `writ_owner`, one process at a time. A line `-- breaking` in a file says that processes
 * which do not know the file must not run on the database any more. The files themselves are in `migrations/`.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { Database, Queryable } from "./database.ts";
import { isUndefinedTable } from "./errors.ts";
import { ensureRoles, MIGRATION_LOCK_KEY } from "./roles.ts";

export interface Migration {
  readonly number: number;
  /** The file's name. */
  readonly name: string;
  /** SHA-256 of its bytes, in hex. */
  readonly checksum: string;
  readonly breaking: boolean;
}

export interface MigrationStatus {
  /** In the database, in order. */
  readonly applied: readonly Migration[];
  /** In the directory and not in the database, in order. */
  readonly pending: readonly Migration[];
  /** In the database and not in the directory: made by a newer version. */
  readonly unknown: readonly Migration[];
  /** Applied, but the file is another one now. */
  readonly changed: readonly Migration[];
}

export type MigrationErrorKind = "changed" | "out_of_order" | "breaking" | "pending" | "malformed";

/** Why migrations and this process do not go together. `migration` is the file's name. */
export class MigrationError extends Error {
  readonly kind: MigrationErrorKind;
  readonly migration: string;
  constructor(kind: MigrationErrorKind, migration: string, message: string) {
    super(message);
    this.name = "MigrationError";
    this.kind = kind;
    this.migration = migration;
  }
}

const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;
const BREAKING_LINE = /^--\s*breaking\s*$/m;
/** Statements that would end the transaction which each file runs in. PL/pgSQL's BEGIN has no semicolon. */
const TRANSACTION_CONTROL = /^\s*(?:BEGIN|COMMIT|ROLLBACK|START\s+TRANSACTION)\s*;/im;

const createTable = `
SELECT pg_advisory_xact_lock(${MIGRATION_LOCK_KEY});
SET LOCAL ROLE writ_owner;
CREATE TABLE IF NOT EXISTS writ_migration (
  number int4 PRIMARY KEY,
  name text NOT NULL,
  checksum text NOT NULL,
  breaking bool NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON writ_migration TO writ_gateway, writ_control`;

interface MigrationFile extends Migration {
  readonly text: string;
}

/**
 * Brings the database to the newest file of `directory` and returns what it applied. Safe when several processes do it
 * at once. Throws `MigrationError` (changed, out_of_order, breaking, malformed) before it changes anything, and
 * `DatabaseError` when a file fails, which leaves the files before it applied and that one without a trace.
 */
export async function migrate(database: Database, directory: string): Promise<readonly Migration[]> {
  const files = await readMigrations(directory);
  await ensureRoles(database);
  await database.transaction({ tenants: [] }, (transaction) => transaction.script(createTable));
  const done: Migration[] = [];
  for (const file of files) {
    if (await database.transaction({ tenants: [] }, (transaction) => apply(transaction, files, file))) done.push(file);
  }
  return done;
}

/** Applies one file unless it is applied already; under the lock, so that each is applied once. */
async function apply(transaction: Queryable, files: readonly Migration[], file: MigrationFile): Promise<boolean> {
  await transaction.query("SELECT pg_advisory_xact_lock($1)", [MIGRATION_LOCK_KEY]);
  const status = compare(await readApplied(transaction), files);
  requireConsistent(status);
  if (!status.pending.some((pending) => pending.number === file.number)) return false;
  await transaction.query("SET LOCAL ROLE writ_owner");
  // Recorded before it runs, in the same transaction: the file may change the session's role.
  await transaction.query("INSERT INTO writ_migration (number, name, checksum, breaking) VALUES ($1, $2, $3, $4)", [
    file.number,
    file.name,
    file.checksum,
    file.breaking,
  ]);
  await transaction.script(file.text);
  return true;
}

/** Compares the database with `directory`; works for every role. Throws `MigrationError` only for malformed files. */
export async function migrationStatus(database: Database, directory: string): Promise<MigrationStatus> {
  const files = await readMigrations(directory);
  try {
    return compare(await readApplied(database), files);
  } catch (error) {
    // A database that was never migrated has no such table: nothing is applied.
    if (isUndefinedTable(error)) return compare([], files);
    throw error;
  }
}

/**
 * The check of every start: throws `MigrationError` when files are pending, changed or out of order, or when a newer
 * version has applied a breaking one. Newer migrations that are not breaking are fine.
 */
export async function requireMigrated(database: Database, directory: string): Promise<void> {
  const status = await migrationStatus(database, directory);
  requireConsistent(status);
  const [pending] = status.pending;
  if (pending !== undefined) {
    throw new MigrationError(
      "pending",
      pending.name,
      `the database lacks ${status.pending.length} migrations, the first is ${pending.name}; run "writ migrate"`,
    );
  }
}

/** Reads and checks the files of a directory, in order. */
async function readMigrations(directory: string): Promise<readonly MigrationFile[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort();
  const files: MigrationFile[] = [];
  for (const name of names) {
    const number = Number(FILE_NAME.exec(name)?.[1] ?? 0);
    if (number !== files.length + 1) {
      throw new MigrationError(
        "malformed",
        name,
        `the migration ${name} should be number ${files.length + 1}, as NNNN_name.sql`,
      );
    }
    const bytes = await readFile(path.join(directory, name));
    const text = bytes.toString("utf8");
    if (TRANSACTION_CONTROL.test(text)) {
      throw new MigrationError("malformed", name, `the migration ${name} begins or ends a transaction of its own`);
    }
    const checksum = createHash("sha256").update(bytes).digest("hex");
    files.push({ number, name, checksum, breaking: BREAKING_LINE.test(text), text });
  }
  return files;
}

async function readApplied(queryable: Queryable): Promise<readonly Migration[]> {
  const rows = await queryable.query("SELECT number, name, checksum, breaking FROM writ_migration ORDER BY number");
  return rows.map((row) => ({
    number: Number(row["number"]),
    name: String(row["name"]),
    checksum: String(row["checksum"]),
    breaking: row["breaking"] === true,
  }));
}

function compare(applied: readonly Migration[], files: readonly Migration[]): MigrationStatus {
  const filesByNumber = new Map(files.map((file) => [file.number, file]));
  const appliedNumbers = new Set(applied.map((migration) => migration.number));
  return {
    applied,
    pending: files.filter((file) => !appliedNumbers.has(file.number)),
    unknown: applied.filter((migration) => !filesByNumber.has(migration.number)),
    changed: applied.filter((migration) => {
      const file = filesByNumber.get(migration.number);
      return file !== undefined && (file.checksum !== migration.checksum || file.name !== migration.name);
    }),
  };
}

function requireConsistent(status: MigrationStatus): void {
  const breaking = status.unknown.find((migration) => migration.breaking);
  if (breaking !== undefined) {
    throw new MigrationError(
      "breaking",
      breaking.name,
      `this version is too old for the database: a newer one has applied ${breaking.name}, which breaks older ones`,
    );
  }
  const [changed] = status.changed;
  if (changed !== undefined) {
    throw new MigrationError(
      "changed",
      changed.name,
      `the migration ${changed.name} was applied and its file has changed since; restore the file and add a new one`,
    );
  }
  const last = status.applied.at(-1)?.number ?? 0;
  const skipped = status.pending.find((migration) => migration.number < last);
  if (skipped !== undefined) {
    throw new MigrationError(
      "out_of_order",
      skipped.name,
      `the migration ${skipped.name} is not applied although a later one is`,
    );
  }
}
