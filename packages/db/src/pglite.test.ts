/** The contract on the embedded database, and what only it can do: lock its directory and survive its process. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type FreshPglite, freshPglite } from "@writ/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { describeDatabase } from "./database.contract.ts";
import { DirectoryInUseError } from "./directory-lock.ts";
import { checkDurability } from "./durability.ts";
import { openPglite } from "./pglite.ts";

const migrations = fileURLToPath(new URL("./fixtures/notes", import.meta.url));
const inserter = fileURLToPath(new URL("./fixtures/insert-until-killed.ts", import.meta.url));

describeDatabase("the embedded database", async () => {
  const fresh = await freshPglite(migrations);
  return { open: (role) => fresh.handle.as(role), close: fresh.remove };
});

describe("the queues of the embedded database", () => {
  let fresh: FreshPglite;
  beforeAll(async () => {
    fresh = await freshPglite(migrations);
  });
  afterAll(() => fresh.remove());

  test("serve the journal before everything else that waits", async () => {
    const other = fresh.handle.as("control");
    const journal = fresh.handle.as("gateway", { queue: "journal" });
    const order: string[] = [];
    const asked: Promise<unknown>[] = [];
    await other.transaction({ tenants: [] }, async (holder) => {
      await holder.query("SELECT 1");
      for (const name of ["other 1", "other 2"]) asked.push(other.query("SELECT 1").then(() => order.push(name)));
      for (const name of ["journal 1", "journal 2"]) asked.push(journal.query("SELECT 1").then(() => order.push(name)));
      await holder.query("SELECT 2");
    });
    await Promise.all(asked);
    expect(order).toEqual(["journal 1", "journal 2", "other 1", "other 2"]);
  });

  test("refuse a statement that has waited for five seconds", async () => {
    const migrate = fresh.handle.as("migrate");
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const holding = migrate.transaction({ tenants: [] }, async (holder) => {
      await holder.query("SELECT 1");
      await held;
    });
    await expect(fresh.handle.as("gateway").query("SELECT 1")).rejects.toMatchObject({
      sqlState: "08001",
      commitUnknown: false,
    });
    release();
    await holding;
  });

  test("are named as less than durable by the durability check", async () => {
    const findings = await checkDurability(fresh.handle.as("migrate"));
    expect(findings.map((finding) => finding.name)).toEqual(["embedded_no_fsync"]);
  });
});

describe("the maintenance of the embedded database", () => {
  test("vacuums a table that has changed much, and the log does not grow without end", async () => {
    const fresh = await freshPglite(migrations);
    const database = fresh.handle.as("migrate");
    await database.query("INSERT INTO plain SELECT n FROM generate_series(1, 3000) AS n");
    await database.query("DELETE FROM plain");
    const vacuumed = async (): Promise<unknown> =>
      (await database.query("SELECT vacuum_count AS times FROM pg_stat_user_tables WHERE relname = 'plain'"))[0]?.[
        "times"
      ];
    await expect.poll(vacuumed, { timeout: 20_000, interval: 250 }).toBe(1);
    const checkpoint = "SELECT checkpoint_lsn::text AS at FROM pg_control_checkpoint()";
    const [before] = await database.query(checkpoint);
    await database.query("CREATE TABLE bulk (n int8, t text)");
    await database.query("INSERT INTO bulk SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 60000) AS n");
    const moved = async (): Promise<boolean> => (await database.query(checkpoint))[0]?.["at"] !== before?.["at"];
    await expect.poll(moved, { timeout: 20_000, interval: 250 }).toBe(true);
    await fresh.remove();
  });
});

describe("the directory of the embedded database", () => {
  let parent: string;
  const children: ChildProcess[] = [];
  beforeEach(async () => {
    parent = await mkdtemp(path.join(tmpdir(), "writ-pglite-test-"));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) await kill(child);
    await rm(parent, { recursive: true, force: true, maxRetries: 5 });
  });

  const start = (...parameters: string[]): ChildProcess => {
    const child = spawn(process.execPath, [inserter, ...parameters], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    return child;
  };

  test("keeps every acknowledged row when its process is killed, again and again", async () => {
    const fresh = await freshPglite(migrations);
    await fresh.handle.close();
    let acknowledged = 0;
    for (const rows of [1, 40, 300]) {
      const child = start(fresh.dataDir, String(acknowledged + 1));
      const until = acknowledged + rows;
      for await (const line of linesOf(child)) {
        if (line === "ready") continue;
        acknowledged = Number(line);
        if (acknowledged === until) child.kill("SIGKILL");
      }
      // Its output ends a moment before it does.
      await kill(child);
      const handle = await openPglite({ dataDir: fresh.dataDir });
      const [row] = await handle.as("gateway").query("SELECT count(*) AS rows, max(id) AS last FROM plain");
      const last = Number(row?.["last"]);
      // One more may have been committed than was heard of.
      expect([acknowledged, acknowledged + 1]).toContain(last);
      expect(row?.["rows"]).toBe(last);
      acknowledged = last;
      await handle.close();
    }
    await fresh.remove();
  });

  test("is refused, with the process named, while another process has it open", async () => {
    const fresh = await freshPglite(migrations);
    await fresh.handle.close();
    const child = start(fresh.dataDir, "1");
    for await (const line of linesOf(child)) if (line === "ready") break;
    const error = await openPglite({ dataDir: fresh.dataDir }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(DirectoryInUseError);
    expect(error).toMatchObject({ processId: child.pid, message: expect.stringContaining(String(child.pid)) });
    await kill(child);
    await fresh.remove();
  });

  test("is refused to the process that has it open already", async () => {
    const fresh = await freshPglite(migrations);
    await expect(openPglite({ dataDir: fresh.dataDir })).rejects.toBeInstanceOf(DirectoryInUseError);
    await fresh.remove();
  });

  test("is taken over when the process of its lock is gone or is another one by now", async () => {
    const fresh = await freshPglite(migrations);
    await fresh.handle.close();
    const file = `${fresh.dataDir}.lock`;
    const leftovers = [
      { pid: 2 ** 22 + 1, start: "", nonce: "gone" },
      { pid: process.pid, start: "an earlier boot:1", nonce: "reused" },
    ];
    for (const leftover of [...leftovers.map((holder) => JSON.stringify(holder)), "", "{"]) {
      await writeFile(file, leftover);
      const handle = await openPglite({ dataDir: fresh.dataDir });
      await handle.close();
      expect(existsSync(file)).toBe(false);
    }
    await fresh.remove();
  });

  test("is written by a process that ends with its parent, and the next start leaves nothing of it", async () => {
    const dataDir = path.join(parent, "database");
    const child = start(dataDir, "1");
    let half = "";
    const hasBegun = async (): Promise<boolean> => {
      half = (await readdir(parent)).find((name) => name.includes(".new-")) ?? "";
      return half !== "" && (await readdir(path.join(parent, half))).length > 0;
    };
    await expect.poll(hasBegun, { timeout: 20_000, interval: 5 }).toBe(true);
    await kill(child);
    const [, writer] = half.split(".new-");
    await expect.poll(() => isRunning(Number(writer)), { timeout: 20_000, interval: 5 }).toBe(false);
    // Postgres writes all of them in one go, this one at the end.
    expect(await readdir(path.join(parent, half))).not.toContain("PG_VERSION");
    expect(existsSync(dataDir)).toBe(false);

    const handle = await openPglite({ dataDir });
    await expect(handle.as("migrate").query("SELECT 1 AS x")).resolves.toEqual([{ x: 1 }]);
    await handle.close();
    expect(await readdir(parent)).toEqual(["database"]);
  }, 60_000);
});

/** Whether the process is there and has not ended; one that has, and that nobody has asked yet how, is still there. */
function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return !existsSync("/proc") || !/\) [ZX] /.test(readFileSync(`/proc/${processId}/stat`, "utf8"));
  } catch {
    // It ended before one of the two looks.
    return false;
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

function linesOf(child: ChildProcess): AsyncIterable<string> {
  if (child.stdout === null) throw new Error("the child has no output");
  return createInterface({ input: child.stdout });
}
