/**
 * Databases for tests, made quickly: a Postgres shared by all test files of a run, databases cloned from a migrated
 * template, and embedded databases copied from one that was created and migrated once. Which tests use which is
 * theirs to say.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { migrate, openPglite, openPostgres, type PgliteHandle } from "@writ/db";
import { type PostgresServer, startPostgres, uniqueDatabaseName } from "./postgres-server.ts";

/** The repository's migrations. */
export const migrationsDirectory: string = fileURLToPath(new URL("../../../migrations", import.meta.url));

/** What tests may do with a server that they share. */
export type SharedPostgres = Pick<PostgresServer, "port" | "url" | "createDatabase" | "dropDatabase">;

const SHARED_VARIABLE = "WRIT_TEST_POSTGRES_PORT";
/** To be changed with the version of the embedded database, so that no directory of another one is copied. */
const PGLITE_FORMAT = "0.5.16";
const TEMPLATE_LOCK_KEY = 8_236_947_110_345_202n;

/**
 * For vitest's globalSetup: starts the server that `sharedPostgres` of every test file finds, and returns what stops
 * it. `export default startSharedPostgres;` is all that the setup file needs.
 */
export async function startSharedPostgres(): Promise<() => Promise<void>> {
  const server = await startPostgres();
  process.env[SHARED_VARIABLE] = String(server.port);
  return async () => {
    delete process.env[SHARED_VARIABLE];
    await server.stop();
  };
}

let own: Promise<PostgresServer> | undefined;

/** The run's server, or one for this process when the run has none. It ends by itself. */
export async function sharedPostgres(): Promise<SharedPostgres> {
  const port = process.env[SHARED_VARIABLE];
  if (port === undefined) {
    own ??= startPostgres();
    return own;
  }
  const url = (database: string): string => `postgres://postgres@127.0.0.1:${port}/${database}`;
  const admin = async (statement: string): Promise<void> => {
    const database = openPostgres({ url: url("postgres"), role: "migrate", poolMax: 1, applicationName: "testkit" });
    try {
      await database.script(statement);
    } finally {
      await database.close();
    }
  };
  return {
    port: Number(port),
    url,
    createDatabase: async (name, template) => {
      await admin(`CREATE DATABASE "${name}"${template === undefined ? "" : ` TEMPLATE "${template}"`}`);
      return url(name);
    },
    dropDatabase: (name) => admin(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`),
  };
}

/**
 * Makes sure that the server has a migrated template and returns its name. Named after the migrations' bytes, so a
 * changed file makes a new one; safe when many test files ask at once.
 */
export async function templateDatabase(
  server: SharedPostgres,
  directory: string = migrationsDirectory,
): Promise<string> {
  const name = `template_${await digestOf(directory)}`;
  const admin = openPostgres({ url: server.url("postgres"), role: "migrate", poolMax: 1, applicationName: "testkit" });
  try {
    await admin.transaction({ tenants: [] }, async (transaction) => {
      await transaction.query("SELECT pg_advisory_xact_lock($1)", [TEMPLATE_LOCK_KEY]);
      const found = await transaction.query("SELECT FROM pg_database WHERE datname = $1", [name]);
      if (found.length > 0) return;
      // Under another name until it is whole; by connections of its own, as a database is not made in a transaction.
      const building = uniqueDatabaseName();
      const url = await server.createDatabase(building);
      const database = openPostgres({ url, role: "migrate", poolMax: 1, applicationName: "testkit" });
      try {
        await migrate(database, directory);
      } finally {
        await database.close();
      }
      await transaction.query(`ALTER DATABASE "${building}" RENAME TO "${name}"`);
    });
  } finally {
    await admin.close();
  }
  return name;
}

/** A migrated database of its own for a test file: its URL. */
export async function freshDatabase(server: SharedPostgres, directory?: string): Promise<string> {
  return server.createDatabase(uniqueDatabaseName(), await templateDatabase(server, directory));
}

export interface FreshPglite {
  readonly handle: PgliteHandle;
  readonly dataDir: string;
  /** Closes the database and removes its directory. */
  remove(): Promise<void>;
}

/**
 * A migrated embedded database of its own, in a temporary directory. The first ever call on a machine creates one to
 * copy from, kept in the temporary directory under the digest of the migrations.
 */
export async function freshPglite(directory: string = migrationsDirectory): Promise<FreshPglite> {
  const parent = await mkdtemp(path.join(tmpdir(), "writ-pglite-"));
  const dataDir = path.join(parent, "database");
  await copyMigratedPglite(dataDir, directory);
  const handle = await openPglite({ dataDir });
  return {
    handle,
    dataDir,
    remove: async () => {
      await handle.close();
      await rm(parent, { recursive: true, force: true });
    },
  };
}

/** Copies the template of `freshPglite` to `dataDir`: a database on which nothing but the migrations has run. */
export async function copyMigratedPglite(dataDir: string, directory: string = migrationsDirectory): Promise<void> {
  await cp(await pgliteTemplate(directory), dataDir, { recursive: true });
}

async function pgliteTemplate(directory: string): Promise<string> {
  return keptDirectory(`writ-pglite-template-${PGLITE_FORMAT}-${await digestOf(directory)}`, async (dataDir) => {
    await cp(await pgliteBase(), dataDir, { recursive: true });
    const handle = await openPglite({ dataDir });
    try {
      await migrate(handle.as("migrate"), directory);
    } finally {
      await handle.close();
    }
  });
}

/** An empty embedded database: what takes longest to create, and does not change with the migrations. */
async function pgliteBase(): Promise<string> {
  return keptDirectory(`writ-pglite-base-${PGLITE_FORMAT}`, async (dataDir) => {
    const handle = await openPglite({ dataDir });
    await handle.close();
  });
}

/** A directory that is made once a machine, under its name whole or not at all. */
async function keptDirectory(name: string, make: (dataDir: string) => Promise<void>): Promise<string> {
  const kept = path.join(tmpdir(), name);
  if (existsSync(kept)) return kept;
  const building = `${kept}.${randomBytes(4).toString("hex")}`;
  try {
    await make(building);
    // Whoever renames second finds the name taken, by a directory that is as good.
    await rename(building, kept).catch(() => undefined);
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  return kept;
}

/** A short digest of the migrations' names and bytes. */
async function digestOf(directory: string): Promise<string> {
  const hash = createHash("sha256");
  const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort();
  for (const name of names) hash.update(`${name}\n`).update(await readFile(path.join(directory, name)));
  return hash.digest("hex").slice(0, 16);
}
