/**
 * The database connections of a process, by role: one embedded database that both planes share, or pools on a
 * Postgres server. Applies migrations only where it is asked to.
 */
import { join } from "node:path";
import {
  beginPglite,
  type Database,
  ensureRoles,
  isPermissionDenied,
  migrate,
  openPostgres,
  type PgliteHandle,
  requireMigrated,
} from "@writ/db";
import { makeDirectory } from "@writ/runtime";
import { MIGRATIONS_DIRECTORY } from "./migrations-directory.ts";

export interface Databases {
  readonly engine: "postgres" | "pglite";
  /** For the journal alone, so that nothing stands before a commit. */
  readonly journal: Database;
  readonly gateway: Database;
  readonly control: Database;
  /** Creates roles and applies migrations, or sees that both was done; returns the names of those applied. */
  migrate(): Promise<readonly string[]>;
  /** The owner's connection, for `doctor`; closed by the caller. */
  owner(): Database;
  close(): Promise<void>;
}

/** Connections of one process, each pool. The journal commits one batch at a time. */
const JOURNAL_POOL_MAX = 2;
const GATEWAY_POOL_MAX = 6;
const CONTROL_POOL_MAX = 8;

export interface DatabaseOptions {
  /** Of a Postgres server; undefined is the embedded database in `dataDir`. */
  readonly url: string | undefined;
  readonly dataDir: string;
}

export async function openDatabases(options: DatabaseOptions): Promise<Databases> {
  const { opened } = await beginDatabases(options);
  return opened;
}

/** `openDatabases` in two steps: after the first, work of the caller's own that holds this thread delays nothing. */
export async function beginDatabases({
  url,
  dataDir,
}: DatabaseOptions): Promise<{ readonly opened: Promise<Databases> }> {
  if (url !== undefined) return { opened: Promise.resolve(openServer(url)) };
  await makeDirectory(dataDir, { what: "dataDir", mode: 0o700 });
  const { opened } = await beginPglite({ dataDir: join(dataDir, "db") });
  return { opened: opened.then(embeddedDatabases) };
}

function embeddedDatabases(handle: PgliteHandle): Databases {
  const journal = handle.as("gateway", { queue: "journal" });
  return {
    engine: "pglite",
    journal,
    gateway: handle.as("gateway"),
    control: handle.as("control"),
    async migrate() {
      const owner = handle.as("migrate");
      await ensureRoles(owner);
      return (await migrate(owner, MIGRATIONS_DIRECTORY)).map(({ name }) => name);
    },
    owner: () => handle.as("migrate"),
    close: () => handle.close(),
  };
}

function openServer(url: string): Databases {
  const pool = (role: "gateway" | "control" | "migrate", poolMax: number, applicationName: string): Database =>
    openPostgres({ url, role, poolMax, applicationName });
  const journal = pool("gateway", JOURNAL_POOL_MAX, "writ-journal");
  const gateway = pool("gateway", GATEWAY_POOL_MAX, "writ-gateway");
  const control = pool("control", CONTROL_POOL_MAX, "writ-control");
  return {
    engine: "postgres",
    journal,
    gateway,
    control,
    async migrate() {
      const owner = pool("migrate", 1, "writ-migrate");
      try {
        await ensureRoles(owner);
        return (await migrate(owner, MIGRATIONS_DIRECTORY)).map(({ name }) => name);
      } catch (error) {
        // A login of one plane alone may do neither. That is no failure where somebody else has done both.
        if (!isPermissionDenied(error)) throw error;
        await requireMigrated(owner, MIGRATIONS_DIRECTORY);
        return [];
      } finally {
        await owner.close();
      }
    },
    owner: () => pool("migrate", 1, "writ-doctor"),
    async close() {
      await Promise.all([journal.close(), gateway.close(), control.close()]);
    },
  };
}
