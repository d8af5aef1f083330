/** The contract on a real Postgres, and what only a connection over a network can do: be lost. */
import { fileURLToPath } from "node:url";
import { freshDatabase, type PostgresServer, sharedPostgres, startPostgres, startTcpProxy } from "@writ/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeDatabase } from "./database.contract.ts";
import { type Database, DatabaseError } from "./database.ts";
import { checkDurability } from "./durability.ts";
import { isLockTimeout, isStatementTimeout } from "./errors.ts";
import { openPostgres, type PostgresOptions } from "./postgres.ts";

const migrations = fileURLToPath(new URL("./fixtures/notes", import.meta.url));

function open(url: string, options: Partial<PostgresOptions> = {}): Database {
  return openPostgres({ url, role: "gateway", poolMax: 4, applicationName: "test", ...options });
}

describeDatabase("the database on Postgres", async () => {
  const url = await freshDatabase(await sharedPostgres(), migrations);
  return { open: (role) => open(url, { role }), close: async () => undefined };
});

describe("a statement on Postgres", () => {
  let url: string;
  beforeAll(async () => {
    url = await freshDatabase(await sharedPostgres(), migrations);
  });

  test("that runs for longer than two seconds is cancelled", async () => {
    const database = open(url);
    await expect(database.query("SELECT pg_sleep(10)").catch(isStatementTimeout)).resolves.toBe(true);
    await database.close();
  });

  test("that waits for a lock for longer than two seconds gives up", async () => {
    const database = open(url, { role: "control" });
    const waiting = database.transaction({ tenants: [] }, async (holder) => {
      await holder.query("SELECT pg_advisory_xact_lock(77)");
      const other = database.query("SELECT pg_advisory_lock(77)");
      // The holder must not idle for as long as the other waits.
      const settled = other.then(
        () => undefined,
        () => undefined,
      );
      const done = settled.then(() => true);
      while (!(await Promise.race([done, holder.query("SELECT pg_sleep(0.2)").then(() => false)])));
      return other.catch((error: unknown) => isLockTimeout(error) || isStatementTimeout(error));
    });
    await expect(waiting).resolves.toBe(true);
    await database.close();
  });

  test("waits for a connection at most five seconds", async () => {
    const database = open(url, { poolMax: 1, role: "migrate" });
    const holding = database.transaction({ tenants: [] }, (holder) => holder.query("SELECT pg_sleep(6)"));
    await expect(database.query("SELECT 1")).rejects.toMatchObject({ sqlState: "08001", commitUnknown: false });
    await holding;
    await database.close();
  });

  test("runs under the role and the settings of its connection", async () => {
    const database = open(url);
    const [row] = await database.query(`
      SELECT current_user AS role, current_setting('TimeZone') AS zone, current_setting('search_path') AS path,
             current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement,
             current_setting('idle_in_transaction_session_timeout') AS idle`);
    expect(row).toEqual({
      role: "writ_gateway",
      zone: "UTC",
      path: "public, pg_temp",
      lock: "2s",
      statement: "2s",
      idle: "2s",
    });
    await database.close();
  });
});

describe("a connection to Postgres", () => {
  test("that cannot be made is 08001 and surely committed nothing", async () => {
    const database = open("postgres://postgres@127.0.0.1:1/none");
    await expect(database.query("SELECT 1")).rejects.toMatchObject({ sqlState: "08001", commitUnknown: false });
    await expect(database.transaction({ tenants: [] }, async () => 1)).rejects.toMatchObject({ sqlState: "08001" });
    await database.close();
  });

  test("to a database that does not exist fails with the server's own SQLSTATE", async () => {
    const database = open((await sharedPostgres()).url("absent"), { role: "migrate" });
    await expect(database.query("SELECT 1")).rejects.toMatchObject({ sqlState: "3D000", commitUnknown: false });
    await database.close();
  });

  test("needs a URL that says what it is, and errors do not repeat its password", () => {
    expect(() => open("mysql://u:hunter2@h/d")).toThrow(TypeError);
    expect(() => open("mysql://u:hunter2@h/d")).not.toThrow(/hunter2/);
    expect(() => open("postgres://u@h/d?sslmode=prefer")).toThrow(/sslmode/);
  });
});

describe("a COMMIT on Postgres", () => {
  let url: string;
  let observer: Database;
  beforeAll(async () => {
    url = await freshDatabase(await sharedPostgres(), migrations);
    observer = open(url, { role: "migrate" });
  });
  afterAll(() => observer.close());

  const count = async (): Promise<number> => Number((await observer.query("SELECT count(*) FROM plain"))[0]?.["count"]);

  for (const when of ["before", "after"] as const) {
    test(`is unknown when the connection is cut ${when} it reaches the server`, async () => {
      const proxy = await startTcpProxy((await sharedPostgres()).port);
      const database = open(proxy.url(url));
      const id = when === "before" ? 1 : 2;
      const cut = proxy.cutOnce({ at: "commit", when });
      const error = await database
        .transaction({ tenants: [] }, (transaction) => transaction.query("INSERT INTO plain VALUES ($1)", [id]))
        .catch((caught: unknown) => caught);
      await cut;
      expect(error).toBeInstanceOf(DatabaseError);
      expect(error).toMatchObject({ sqlState: "08006", commitUnknown: true });
      const found = await observer.query("SELECT id FROM plain WHERE id = $1", [id]);
      expect(found).toHaveLength(when === "before" ? 0 : 1);
      await expect(database.query("SELECT 1 AS x")).resolves.toEqual([{ x: 1 }]);
      await database.close();
      await proxy.close();
    });
  }

  test("is known to be absent when any earlier message is cut, and nothing runs on another connection", async () => {
    const proxy = await startTcpProxy((await sharedPostgres()).port);
    for (const when of ["before", "after"] as const) {
      let reached = false;
      for (let message = 1; !reached; message++) {
        const database = open(proxy.url(url), { poolMax: 1 });
        const existing = await count();
        let cut = false;
        void proxy.cutOnce({ at: { message }, when }).then(() => {
          cut = true;
        });
        const error = await database
          .transaction({ tenants: [] }, async (transaction) => {
            for (let id = 0; id < 3; id++)
              await transaction.query("INSERT INTO plain VALUES ($1)", [-id - message * 10]);
          })
          .catch((caught: unknown) => caught);
        if (!cut) {
          expect(error).toBeUndefined();
          reached = true;
        } else if (error instanceof DatabaseError && !error.commitUnknown) {
          expect(error.sqlState).toMatch(/^08/);
          expect(await count()).toBe(existing);
        } else {
          // The cut hit COMMIT: all or nothing, and said to be unknown.
          expect(error).toMatchObject({ commitUnknown: true });
          expect([existing, existing + 3]).toContain(await count());
        }
        await observer.query("DELETE FROM plain");
        await database.close();
      }
    }
    await proxy.close();
  });

  test("of a single statement is unknown when its connection is lost", async () => {
    const proxy = await startTcpProxy((await sharedPostgres()).port);
    const database = open(proxy.url(url));
    await database.query("SELECT id FROM plain WHERE id = $1", [0]);
    const running = database.query("SELECT pg_sleep(1)").catch((caught: unknown) => caught);
    await observer.query("SELECT pg_sleep(0.1)");
    proxy.cutAll();
    expect(await running).toMatchObject({ sqlState: "08006", commitUnknown: true });
    await database.close();
    await proxy.close();
  });
});

describe("a listener on Postgres", () => {
  test("comes back after its connection was lost and says so", async () => {
    const server = await sharedPostgres();
    const url = await freshDatabase(server, migrations);
    const proxy = await startTcpProxy(server.port);
    const database = open(proxy.url(url));
    const sender = open(url);
    const heard: string[] = [];
    const waiting = new Map<string, () => void>();
    const event = (name: string): Promise<void> => new Promise((resolve) => waiting.set(name, resolve));
    const happened = (name: string): void => {
      heard.push(name);
      waiting.get(name)?.();
    };
    const [first, again, second] = [event("first"), event("reconnected"), event("second")];
    const listening = await database.listen("news", happened, () => happened("reconnected"));
    await sender.query("SELECT pg_notify('news', 'first')");
    await first;
    proxy.cutAll();
    await again;
    await sender.query("SELECT pg_notify('news', 'second')");
    await second;
    expect(heard).toEqual(["first", "reconnected", "second"]);
    await listening.close();
    await Promise.all([database.close(), sender.close()]);
    await proxy.close();
  });
});

describe("a Postgres server", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ fsync: true });
  });
  afterAll(() => server.stop());

  test("that is killed and comes back is used again, with all that was committed", async () => {
    const database = open(server.url("postgres"), { role: "migrate" });
    await database.query("CREATE TABLE kept (id int8)");
    await database.query("INSERT INTO kept VALUES (1)");
    let back: () => void = () => undefined;
    const listening = new Promise<void>((resolve) => {
      back = resolve;
    });
    await database.listen(
      "news",
      () => undefined,
      () => back(),
    );
    await server.kill9();
    await expect(database.query("SELECT 1")).rejects.toMatchObject({ name: "DatabaseError" });
    await server.restart();
    await listening;
    await expect(database.query("SELECT id FROM kept")).resolves.toEqual([{ id: 1 }]);
    await database.close();
  });

  test("with its defaults has no durability findings, and each setting that weakens it is named", async () => {
    const url = server.url("postgres");
    const plain = open(url, { role: "migrate" });
    await expect(checkDurability(plain)).resolves.toEqual([]);
    await plain.close();
    const database = await server.createDatabase("weak");
    const admin = open(url, { role: "migrate" });
    await admin.query("ALTER DATABASE weak SET synchronous_commit = off");
    await admin.query("ALTER SYSTEM SET full_page_writes = off");
    await admin.query("SELECT pg_reload_conf()");
    const weak = open(database, { role: "migrate" });
    await expect
      .poll(async () => (await checkDurability(weak)).map((finding) => finding.name))
      .toEqual(["full_page_writes_off", "synchronous_commit_off"]);
    await Promise.all([admin.close(), weak.close()]);
  });
});
