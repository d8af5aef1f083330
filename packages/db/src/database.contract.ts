/**
 * What every engine of `Database` must do, as one suite that is called from the tests of each. The database given has
 * the migrations of `fixtures/notes` and is this suite's alone.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database, DatabaseRole, Queryable } from "./database.ts";
import { DatabaseError } from "./database.ts";
import {
  isCheckViolation,
  isIdleTransactionTimeout,
  isPermissionDenied,
  isUndefinedTable,
  isUniqueViolation,
} from "./errors.ts";

export interface EngineUnderTest {
  /** A new `Database` of that role; the suite closes it. */
  open(role: DatabaseRole): Database;
  close(): Promise<void>;
}

const tenantA = "0190aaaa-0000-7000-8000-00000000000a";
const tenantB = "0190aaaa-0000-7000-8000-00000000000b";

let nextId = 1;

export function describeDatabase(name: string, start: () => Promise<EngineUnderTest>): void {
  describe(name, () => {
    let engine: EngineUnderTest;
    let migrate: Database;
    let gateway: Database;
    let control: Database;

    beforeAll(async () => {
      engine = await start();
      migrate = engine.open("migrate");
      gateway = engine.open("gateway");
      control = engine.open("control");
    });
    afterAll(async () => {
      await Promise.all([migrate?.close(), gateway?.close(), control?.close()]);
      await engine?.close();
    });

    const write = (database: Database, tenants: readonly string[], tenant: string, id: number): Promise<unknown> =>
      database.transaction({ tenants }, (transaction) =>
        transaction.query("INSERT INTO note (tenant_id, id, body) VALUES ($1, $2, 'x')", [tenant, id]),
      );
    const noteExists = async (tenant: string, id: number): Promise<boolean> => {
      const rows = await control.transaction({ tenants: [tenant] }, (transaction) =>
        transaction.query("SELECT id FROM note WHERE id = $1", [id]),
      );
      return rows.length === 1;
    };

    test("values keep their types on the way to the database and back", async () => {
      const rows = await gateway.query(
        `SELECT $1::int8 AS int8, $2::int4 AS int4, $3::int2 AS int2, $4::bool AS yes, $5::text AS text, $6::bytea AS
         bytes, $7::numeric AS numeric, $8::jsonb AS jsonb, $9::json AS json, $10::timestamptz AS at, $11::uuid AS uuid,
         $12::float8 AS float, NULL::text AS nothing`,
        [
          9_007_199_254_740_991n,
          -7,
          3,
          true,
          'ünï "quoted" \\ \n',
          new Uint8Array([0, 1, 254, 255]),
          "12345678901234567890.12345",
          '{"b": 1, "a": [true]}',
          '{ "b":1 }',
          "2026-02-03T04:05:06.789+02:00",
          tenantA,
          0.1,
        ],
      );
      expect(rows).toHaveLength(1);
      expect(rows[0]).toEqual({
        int8: 9_007_199_254_740_991,
        int4: -7,
        int2: 3,
        yes: true,
        text: 'ünï "quoted" \\ \n',
        bytes: new Uint8Array([0, 1, 254, 255]),
        numeric: "12345678901234567890.12345",
        jsonb: '{"a": [true], "b": 1}',
        json: '{ "b":1 }',
        at: "2026-02-03 02:05:06.789+00",
        uuid: tenantA,
        float: 0.1,
        nothing: null,
      });
    });

    test("bytea comes back as a plain Uint8Array with a buffer of its own", async () => {
      const [row] = await gateway.query("SELECT $1::bytea AS bytes", [new Uint8Array([7, 8]).subarray(1)]);
      const bytes = row?.["bytes"];
      expect(bytes).toBeInstanceOf(Uint8Array);
      expect(Buffer.isBuffer(bytes)).toBe(false);
      expect(bytes instanceof Uint8Array && bytes.buffer.byteLength).toBe(1);
    });

    test("arrays travel in both directions", async () => {
      const texts = ["", "a,b", '"', "\\", "NULL", "{}", " x ", "ü"];
      const [row] = await gateway.query(
        `SELECT $1::text[] AS texts, $2::int8[] AS numbers, $3::uuid[] AS uuids, $4::int4[] AS none,
         ARRAY[1, NULL, 3]::int8[] AS holes, ARRAY[[1, 2], [3, 4]] AS nested, ARRAY[true, false] AS flags,
         ARRAY['\\x00ff'::bytea] AS bytes, $5::int8[] AS bigints, ARRAY['{"a": "b"}'::jsonb] AS jsons`,
        [texts, [1, -2], [tenantA, tenantB], [], [5n]],
      );
      expect(row).toEqual({
        texts,
        numbers: [1, -2],
        uuids: [tenantA, tenantB],
        none: [],
        holes: [1, null, 3],
        nested: [
          [1, 2],
          [3, 4],
        ],
        flags: [true, false],
        bytes: [new Uint8Array([0, 255])],
        bigints: [5],
        jsons: ['{"a": "b"}'],
      });
    });

    test("any text, bytes, safe integer and list of texts is read back as it was written", async () => {
      const text = fc.string({ unit: "grapheme" }).filter((value) => !value.includes("\0") && value.isWellFormed());
      await fc.assert(
        fc.asyncProperty(
          text,
          fc.uint8Array(),
          fc.maxSafeInteger(),
          fc.array(text),
          async (string, bytes, number, list) => {
            const [row] = await gateway.query("SELECT $1::text AS a, $2::bytea AS b, $3::int8 AS c, $4::text[] AS d", [
              string,
              bytes,
              number,
              list,
            ]);
            expect(row).toEqual({ a: string, b: bytes, c: number, d: list });
          },
        ),
        { numRuns: 50 },
      );
    });

    test("an integer that JavaScript would round is an error, and the connection goes on", async () => {
      await expect(gateway.query("SELECT 9007199254740993::int8 AS x")).rejects.toMatchObject({ sqlState: "22003" });
      await expect(gateway.query("SELECT 1 AS x")).resolves.toEqual([{ x: 1 }]);
    });

    test("a parameter that is no SqlValue is a TypeError", async () => {
      // What the types forbid, a caller without them can still do.
      const values = [undefined] as unknown as string[];
      await expect(gateway.query("SELECT $1::text", values)).rejects.toBeInstanceOf(TypeError);
    });

    test("large parameters and results travel whole", async () => {
      const text = "é".repeat(100_000);
      const bytes = new Uint8Array(16_384).map((_, index) => index % 251);
      const [row] = await gateway.query("SELECT $1::text AS text, $2::bytea AS bytes", [text, bytes]);
      expect(row?.["text"] === text).toBe(true);
      expect(row?.["bytes"]).toEqual(bytes);
    });

    test("many rows come back in order", async () => {
      const rows = await gateway.query("SELECT n, repeat('x', 100) AS x FROM generate_series(1, 20000) AS n");
      expect(rows).toHaveLength(20_000);
      expect(rows[19_999]).toEqual({ n: 20_000, x: "x".repeat(100) });
    });

    test("a statement stays usable when its table has changed", async () => {
      await migrate.query("CREATE TABLE shape (a int4)");
      await migrate.query("INSERT INTO shape VALUES (1)");
      await expect(migrate.query("SELECT * FROM shape")).resolves.toEqual([{ a: 1 }]);
      await migrate.query("ALTER TABLE shape ADD COLUMN b text");
      await expect(migrate.query("SELECT * FROM shape")).resolves.toEqual([{ a: 1, b: null }]);
    });

    test("a failing statement has its SQLSTATE and is surely not committed", async () => {
      const id = nextId++;
      await control.query("INSERT INTO plain VALUES ($1)", [id]);
      const error = await control.query("INSERT INTO plain VALUES ($1)", [id]).catch((caught: unknown) => caught);
      expect(isUniqueViolation(error)).toBe(true);
      expect(error).toMatchObject({ sqlState: "23505", commitUnknown: false });
      await expect(control.query("SELECT * FROM absent").catch(isUndefinedTable)).resolves.toBe(true);
      await expect(control.query("SELEC")).rejects.toMatchObject({ sqlState: "42601" });
      await expect(control.query("SELECT 1 / $1::int4", [0])).rejects.toMatchObject({ sqlState: "22012" });
    });

    test("a transaction whose work resolves is committed and gives its value", async () => {
      const id = nextId++;
      const value = await control.transaction({ tenants: [tenantA] }, async (transaction) => {
        await transaction.query("INSERT INTO note VALUES ($1, $2, 'x')", [tenantA, id]);
        return "value";
      });
      expect(value).toBe("value");
      await expect(noteExists(tenantA, id)).resolves.toBe(true);
    });

    test("a transaction whose work throws leaves nothing and throws the same error", async () => {
      const id = nextId++;
      const reason = new Error("no");
      const running = control.transaction({ tenants: [tenantA] }, async (transaction) => {
        await transaction.query("INSERT INTO note VALUES ($1, $2, 'x')", [tenantA, id]);
        throw reason;
      });
      await expect(running).rejects.toBe(reason);
      await expect(noteExists(tenantA, id)).resolves.toBe(false);
    });

    test("a swallowed error inside a transaction is not a commit", async () => {
      const id = nextId++;
      const running = control.transaction({ tenants: [tenantA] }, async (transaction) => {
        await transaction.query("INSERT INTO note VALUES ($1, $2, 'x')", [tenantA, id]);
        await transaction.query("SELECT * FROM absent").catch(() => undefined);
      });
      await expect(running).rejects.toMatchObject({ sqlState: "25P02", commitUnknown: false });
      await expect(noteExists(tenantA, id)).resolves.toBe(false);
    });

    test("a violation found inside a transaction is thrown as itself", async () => {
      const running = control.transaction({ tenants: [tenantA] }, (transaction) =>
        transaction.query("INSERT INTO note VALUES ($1, $2, 'forbidden')", [tenantA, nextId++]),
      );
      await expect(running.catch(isCheckViolation)).resolves.toBe(true);
    });

    test("an empty transaction commits", async () => {
      await expect(control.transaction({ tenants: [] }, async () => 1)).resolves.toBe(1);
    });

    test("statements of a transaction run in the order in which they were asked for", async () => {
      const rows = await control.transaction({ tenants: [] }, async (transaction) => {
        const asked = [
          transaction.query("CREATE TEMP TABLE steps (n int4) ON COMMIT DROP"),
          transaction.query("INSERT INTO steps VALUES (1)"),
          transaction.query("UPDATE steps SET n = n * 10"),
          transaction.query("UPDATE steps SET n = n + 5"),
          transaction.query("SELECT n FROM steps"),
        ];
        return (await Promise.all(asked))[4];
      });
      expect(rows).toEqual([{ n: 15 }]);
    });

    test("a transaction that has ended runs nothing more", async () => {
      let kept: Queryable | undefined;
      await control.transaction({ tenants: [] }, async (transaction) => {
        kept = transaction;
        await transaction.query("SELECT 1");
      });
      await expect(kept?.query("SELECT 1")).rejects.toMatchObject({ sqlState: "25P01" });
    });

    test("a read-only transaction writes nothing", async () => {
      const running = control.transaction({ tenants: [tenantA], readOnly: true }, (transaction) =>
        transaction.query("INSERT INTO note VALUES ($1, $2, 'x')", [tenantA, nextId++]),
      );
      await expect(running).rejects.toMatchObject({ sqlState: "25006" });
    });

    test("the isolation asked for is the one that holds", async () => {
      const level = async (isolation: "read committed" | "repeatable read"): Promise<unknown> =>
        control.transaction({ tenants: [], isolation }, (transaction) =>
          transaction.query("SHOW transaction_isolation"),
        );
      await expect(level("read committed")).resolves.toEqual([{ transaction_isolation: "read committed" }]);
      await expect(level("repeatable read")).resolves.toEqual([{ transaction_isolation: "repeatable read" }]);
    });

    test("a script runs all its statements or none", async () => {
      await migrate.script("CREATE TABLE one (a int4); CREATE TABLE two (a int4);");
      await expect(migrate.script("DROP TABLE one; DROP TABLE absent;")).rejects.toMatchObject({ sqlState: "42P01" });
      await expect(migrate.query("SELECT * FROM one")).resolves.toEqual([]);
    });

    test("a transaction that a script has broken leaves the connection fit for the next", async () => {
      const broken = migrate.transaction({ tenants: [] }, (transaction) =>
        transaction.script("CREATE TABLE three (a int4); SELECT * FROM absent;"),
      );
      await expect(broken).rejects.toMatchObject({ sqlState: "42P01" });
      await expect(migrate.query("SELECT 1 AS x")).resolves.toEqual([{ x: 1 }]);
      await expect(migrate.query("SELECT * FROM three")).rejects.toMatchObject({ sqlState: "42P01" });
    });

    test("each role is what its statements run as, however they interleave", async () => {
      const asked = Array.from({ length: 30 }, async (_, index) => {
        const [database, role] = [
          [gateway, "writ_gateway"],
          [control, "writ_control"],
        ].at(index % 2) as [Database, string];
        const inTransaction = index % 3 === 0;
        const rows = inTransaction
          ? await database.transaction({ tenants: [] }, (transaction) =>
              transaction.query("SELECT current_user AS role"),
            )
          : await database.query("SELECT current_user AS role");
        return rows[0]?.["role"] === role;
      });
      expect((await Promise.all(asked)).every(Boolean)).toBe(true);
    });

    test("a role may do only what was granted to it, also after another role's failure", async () => {
      await expect(control.query("SELECT * FROM secret")).resolves.toEqual([]);
      await expect(control.query("SELECT * FROM absent")).rejects.toBeInstanceOf(DatabaseError);
      await expect(gateway.query("SELECT * FROM secret").catch(isPermissionDenied)).resolves.toBe(true);
      const failing = control.transaction({ tenants: [] }, async (transaction) => {
        await transaction.query("SELECT 1");
        throw new Error("no");
      });
      await expect(failing).rejects.toThrow("no");
      await expect(gateway.query("SELECT * FROM secret").catch(isPermissionDenied)).resolves.toBe(true);
      await expect(gateway.query("CREATE TABLE mine (a int4)").catch(isPermissionDenied)).resolves.toBe(true);
    });

    test("a transaction sees and writes the rows of its tenants only", async () => {
      const [a, b] = [nextId++, nextId++];
      await write(gateway, [tenantA], tenantA, a);
      await write(gateway, [tenantA, tenantB], tenantB, b);
      const visible = (tenants: readonly string[]): Promise<readonly unknown[]> =>
        gateway.transaction({ tenants }, async (transaction) => {
          const rows = await transaction.query("SELECT id FROM note WHERE id = ANY ($1::int8[]) ORDER BY id", [[a, b]]);
          return rows.map((row) => row["id"]);
        });
      await expect(visible([tenantA])).resolves.toEqual([a]);
      await expect(visible([tenantB])).resolves.toEqual([b]);
      await expect(visible([tenantB, tenantA])).resolves.toEqual([a, b]);
      await expect(visible([])).resolves.toEqual([]);
      await expect(write(gateway, [tenantA], tenantB, nextId++).catch(isPermissionDenied)).resolves.toBe(true);
    });

    test("outside a transaction there are no tenants, also after one that had some", async () => {
      await write(gateway, [tenantA], tenantA, nextId++);
      await expect(gateway.query("SELECT id FROM note")).resolves.toEqual([]);
      const failing = gateway.transaction({ tenants: [tenantA] }, (transaction) => transaction.query("SELECT 1 / 0"));
      await expect(failing).rejects.toMatchObject({ sqlState: "22012" });
      await expect(gateway.query("SELECT id FROM note")).resolves.toEqual([]);
    });

    test("a tenant identifier that could be read as two is refused", async () => {
      const running = gateway.transaction({ tenants: [`${tenantA},${tenantB}`] }, async () => undefined);
      await expect(running).rejects.toBeInstanceOf(TypeError);
    });

    test("a notification arrives once it is committed and not otherwise", async () => {
      const heard: string[] = [];
      let arrived: () => void = () => undefined;
      const last = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const listening = await gateway.listen(
        "news",
        (payload) => {
          heard.push(payload);
          if (payload === "last") arrived();
        },
        () => undefined,
      );
      const undone = control.transaction({ tenants: [] }, async (transaction) => {
        await transaction.query("SELECT pg_notify('news', 'rolled back')");
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      await control.transaction({ tenants: [] }, (transaction) =>
        transaction.query("SELECT pg_notify('news', 'committed')"),
      );
      await control.query("SELECT pg_notify('other', 'elsewhere')");
      await control.query("SELECT pg_notify('news', 'last')");
      await last;
      expect(heard).toEqual(["committed", "last"]);
      await listening.close();
    });

    test("a transaction that idles for two seconds is rolled back and gives its place back", async () => {
      const id = nextId++;
      const idling = gateway.transaction({ tenants: [tenantA] }, async (transaction) => {
        await transaction.query("INSERT INTO note VALUES ($1, $2, 'x')", [tenantA, id]);
        await new Promise<never>(() => undefined);
      });
      const error = await idling.catch((caught: unknown) => caught);
      expect(isIdleTransactionTimeout(error)).toBe(true);
      await expect(noteExists(tenantA, id)).resolves.toBe(false);
      await expect(gateway.query("SELECT 1 AS x")).resolves.toEqual([{ x: 1 }]);
    });

    test("closing waits for what runs and refuses what comes", async () => {
      const database = engine.open("gateway");
      const running = database.query("SELECT 1 AS x");
      await Promise.all([database.close(), expect(running).resolves.toEqual([{ x: 1 }])]);
      await expect(database.query("SELECT 1")).rejects.toMatchObject({ sqlState: "08003", commitUnknown: false });
    });
  });
}
