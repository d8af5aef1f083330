/** Migrations and roles, on both engines where they could differ. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { freshPglite, sharedPostgres, uniqueDatabaseName } from "@writ/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Database } from "./database.ts";
import { migrate, migrationStatus, requireMigrated } from "./migrate.ts";
import { openPostgres } from "./postgres.ts";
import { ensureRoles } from "./roles.ts";

interface Engine {
  readonly name: string;
  /** A database that was never migrated by us, and what closes it. */
  fresh(): Promise<{ readonly database: Database; close(): Promise<void> }>;
}

const notes = fileURLToPath(new URL("./fixtures/notes", import.meta.url));

async function openFresh(): Promise<{ url: string; database: Database }> {
  const url = await (await sharedPostgres()).createDatabase(uniqueDatabaseName());
  return { url, database: openPostgres({ url, role: "migrate", poolMax: 4, applicationName: "test" }) };
}

const engines: readonly Engine[] = [
  {
    name: "Postgres",
    fresh: async () => {
      const { database } = await openFresh();
      return { database, close: () => database.close() };
    },
  },
  {
    name: "the embedded database",
    fresh: async () => {
      const empty = await mkdtemp(path.join(tmpdir(), "writ-no-migrations-"));
      const fresh = await freshPglite(empty);
      await rm(empty, { recursive: true });
      const database = fresh.handle.as("migrate");
      await database.query("DROP TABLE writ_migration");
      return { database, close: fresh.remove };
    },
  },
];

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "writ-migrations-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const file = (name: string, text: string): Promise<void> => writeFile(path.join(directory, name), text);

describe.each(engines)("migrations on $name", ({ fresh }) => {
  let database: Database;
  let close: () => Promise<void>;
  beforeEach(async () => {
    ({ database, close } = await fresh());
  });
  afterEach(() => close());

  test("are applied in order, once, as the owner of everything", async () => {
    await file("0001_first.sql", "CREATE TABLE first (a int4); INSERT INTO first VALUES (1);");
    await file("0002_second.sql", "INSERT INTO first VALUES (2);");
    await expect(migrate(database, directory)).resolves.toMatchObject([{ number: 1 }, { number: 2 }]);
    await expect(migrate(database, directory)).resolves.toEqual([]);
    await expect(database.query("SELECT a FROM first ORDER BY a")).resolves.toEqual([{ a: 1 }, { a: 2 }]);
    const owners = await database.query(
      "SELECT DISTINCT tableowner AS owner FROM pg_tables WHERE tablename IN ('first', 'writ_migration')",
    );
    expect(owners).toEqual([{ owner: "writ_owner" }]);
    await expect(requireMigrated(database, directory)).resolves.toBeUndefined();
  });

  test("that fail leave no trace, and those before them stay", async () => {
    await file("0001_first.sql", "CREATE TABLE first (a int4);");
    await file("0002_second.sql", "CREATE TABLE second (a int4); SELECT 1 / 0;");
    await expect(migrate(database, directory)).rejects.toMatchObject({ sqlState: "22012" });
    const status = await migrationStatus(database, directory);
    expect(status.applied.map((migration) => migration.number)).toEqual([1]);
    expect(status.pending.map((migration) => migration.number)).toEqual([2]);
    await expect(database.query("SELECT * FROM second")).rejects.toMatchObject({ sqlState: "42P01" });
    await file("0002_second.sql", "CREATE TABLE second (a int4);");
    await expect(migrate(database, directory)).resolves.toMatchObject([{ number: 2 }]);
  });

  test("that changed after they were applied are named and nothing is done", async () => {
    await file("0001_first.sql", "CREATE TABLE first (a int4);");
    await migrate(database, directory);
    await file("0001_first.sql", "CREATE TABLE first (a int8);");
    await file("0002_second.sql", "CREATE TABLE second (a int4);");
    const expected = { kind: "changed", migration: "0001_first.sql" };
    await expect(migrate(database, directory)).rejects.toMatchObject(expected);
    await expect(requireMigrated(database, directory)).rejects.toMatchObject(expected);
    await expect(database.query("SELECT * FROM second")).rejects.toMatchObject({ sqlState: "42P01" });
  });

  test("that are pending stop a start, also on a database without any", async () => {
    await file("0001_first.sql", "CREATE TABLE first (a int4);");
    const expected = { kind: "pending", migration: "0001_first.sql" };
    await expect(requireMigrated(database, directory)).rejects.toMatchObject(expected);
  });

  test("of a newer version stop an older one only when they are breaking", async () => {
    await file("0001_first.sql", "CREATE TABLE first (a int4);");
    await file("0002_expand.sql", "ALTER TABLE first ADD COLUMN b int4;");
    await migrate(database, directory);
    await rm(path.join(directory, "0002_expand.sql"));
    await expect(requireMigrated(database, directory)).resolves.toBeUndefined();
    await file("0002_expand.sql", "ALTER TABLE first ADD COLUMN b int4;");
    await file("0003_contract.sql", "-- breaking\nALTER TABLE first DROP COLUMN a;");
    await migrate(database, directory);
    await rm(path.join(directory, "0003_contract.sql"));
    const expected = { kind: "breaking", migration: "0003_contract.sql" };
    await expect(requireMigrated(database, directory)).rejects.toMatchObject(expected);
    await expect(migrate(database, directory)).rejects.toMatchObject(expected);
  });
});

describe("the files of migrations", () => {
  const cases = [
    { name: "0002_gap.sql", text: "SELECT 1;", why: "leave a gap" },
    { name: "1_short.sql", text: "SELECT 1;", why: "have another form of name" },
    { name: "0001_own.sql", text: "BEGIN;\nSELECT 1;\nCOMMIT;", why: "control transactions" },
  ];
  test.each(cases)("are refused when they $why", async ({ name, text }) => {
    const { database } = await openFresh();
    await file(name, text);
    await expect(migrate(database, directory)).rejects.toMatchObject({ kind: "malformed", migration: name });
    await database.close();
  });
});

describe("many processes on one server", () => {
  test("migrate each of their databases once, although roles are shared", async () => {
    const fresh = await Promise.all(Array.from({ length: 4 }, openFresh));
    const databases = fresh.flatMap(({ url, database }) => [
      database,
      openPostgres({ url, role: "migrate", poolMax: 1, applicationName: "test" }),
    ]);
    const applied = await Promise.all(databases.map((database) => migrate(database, notes)));
    expect(applied.flat()).toHaveLength(fresh.length);
    await Promise.all(databases.map((database) => database.close()));
  });
});

describe("the roles", () => {
  let database: Database;
  beforeAll(async () => {
    ({ database } = await openFresh());
    await ensureRoles(database);
  });
  afterAll(() => database.close());

  test("can neither log in nor pass row-level security nor make objects", async () => {
    const rows = await database.query(`
      SELECT rolname AS name, rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb AS powerful,
             has_schema_privilege(oid, 'public', 'CREATE') AS makes
      FROM pg_roles WHERE rolname LIKE 'writ\\_%' ORDER BY rolname`);
    expect(rows).toEqual([
      { name: "writ_control", powerful: false, makes: false },
      { name: "writ_gateway", powerful: false, makes: false },
      { name: "writ_owner", powerful: false, makes: true },
    ]);
  });

  test("can be taken by a user who is no superuser once they exist", async () => {
    const server = await sharedPostgres();
    const login = uniqueDatabaseName();
    const name = await server.createDatabase(uniqueDatabaseName()).then((url) => new URL(url).pathname.slice(1));
    await database.query(`CREATE ROLE ${login} LOGIN CREATEROLE`);
    await database.query(`GRANT writ_owner, writ_gateway, writ_control TO ${login}`);
    await database.query(`ALTER DATABASE "${name}" OWNER TO ${login}`);
    const url = new URL(server.url(name));
    url.username = login;
    const plain = openPostgres({ url: url.href, role: "migrate", poolMax: 1, applicationName: "test" });
    await expect(migrate(plain, notes)).resolves.toHaveLength(1);
    const gateway = openPostgres({ url: url.href, role: "gateway", poolMax: 1, applicationName: "test" });
    await expect(gateway.query("SELECT current_user AS role")).resolves.toEqual([{ role: "writ_gateway" }]);
    await Promise.all([plain.close(), gateway.close()]);
  });
});
