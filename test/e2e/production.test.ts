/** `mode: production` against real servers: on one that may lose a commit it does not start, and says what to set. */
import { execFile } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openPostgres } from "@writ/db";
import { type PostgresServer, sharedPostgres, startPostgres, startWrit, uniqueDatabaseName } from "@writ/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

const WRIT = fileURLToPath(new URL("../../packages/cli/bin/writ.mjs", import.meta.url));
const MASTER_KEY = randomBytes(32).toString("base64");

let durable: PostgresServer;
let directory = "";
beforeAll(async () => {
  durable = await startPostgres({ fsync: true });
  directory = await mkdtemp(join(tmpdir(), "writ-production-"));
  const { privateKey } = generateKeyPairSync("ed25519");
  await writeFile(join(directory, "checkpoint.pem"), privateKey.export({ format: "pem", type: "pkcs8" }), {
    mode: 0o600,
  });
});
afterAll(async () => {
  await durable.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Everything that production wants to be told besides its database. */
function settings(): Readonly<Record<string, string>> {
  return {
    WRIT_MODE: "production",
    WRIT_GATEWAY_PUBLIC_URL: "http://127.0.0.1:8484",
    WRIT_GATEWAY_ALLOWED_HOSTS: "127.0.0.1",
    WRIT_CONTROL_PUBLIC_URL: "http://127.0.0.1:8485",
    WRIT_CONTROL_ALLOWED_HOSTS: "127.0.0.1",
    WRIT_KEYS_CHECKPOINT_KEY_FILE: join(directory, "checkpoint.pem"),
    WRIT_CHECKPOINTS_FILE: join(directory, "checkpoints.txt"),
  };
}

/** How a start ends that should not succeed. */
function start(command: string, databaseUrl: string): Promise<{ readonly code: unknown; readonly notes: string }> {
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: directory,
    WRIT_DATA_DIR: join(directory, "data"),
    WRIT_GATEWAY_PORT: "0",
    WRIT_CONTROL_PORT: "0",
    WRIT_KEYS_MASTER_KEY: MASTER_KEY,
    WRIT_DATABASE_URL: databaseUrl,
    ...settings(),
  };
  return new Promise((resolve) => {
    // One that does start is ended by the timeout, with a signal and no code.
    execFile(process.execPath, [WRIT, command], { env, cwd: directory, timeout: 20_000 }, (error, _out, notes) => {
      resolve({ code: error?.code ?? null, notes });
    });
  });
}

async function alter(url: string, ...statements: readonly string[]): Promise<void> {
  const database = openPostgres({ url, role: "migrate", poolMax: 1, applicationName: "test" });
  for (const statement of statements) await database.query(statement);
  await database.close();
}

async function tablesOf(url: string): Promise<number> {
  const database = openPostgres({ url, role: "migrate", poolMax: 1, applicationName: "test" });
  const rows = await database.query<{ tables: number }>(
    "SELECT count(*)::int4 AS tables FROM pg_tables WHERE schemaname = 'public'",
  );
  await database.close();
  return rows[0]?.tables ?? 0;
}

test.each(["serve", "gateway", "control"])(
  "R-RUN-2 production refuses a server without fsync, says what to set, and leaves it as it was: writ %s",
  async (command) => {
    const server = await sharedPostgres();
    const name = uniqueDatabaseName();
    const url = await server.createDatabase(name);
    try {
      expect(await start(command, url)).toMatchObject({ code: 2, notes: expect.stringContaining("set fsync = on") });
      expect(await tablesOf(url)).toBe(0);
    } finally {
      await server.dropDatabase(name);
    }
  },
);

test("R-RUN-2 production refuses a database whose commits do not wait for the disk", async () => {
  const name = uniqueDatabaseName();
  const url = await durable.createDatabase(name);
  await alter(url, `ALTER DATABASE "${name}" SET synchronous_commit = off`);
  expect(await start("serve", url)).toMatchObject({
    code: 2,
    notes: expect.stringContaining("set synchronous_commit = on"),
  });
});

test("R-RUN-2 production refuses a server that may tear pages, and starts once that is mended", async () => {
  const url = await durable.createDatabase(uniqueDatabaseName());
  await alter(url, "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()");
  const seen = async (): Promise<unknown> => {
    const database = openPostgres({ url, role: "migrate", poolMax: 1, applicationName: "test" });
    const rows = await database.query("SHOW full_page_writes");
    await database.close();
    return rows[0]?.["full_page_writes"];
  };
  await expect.poll(seen, { timeout: 20_000 }).toBe("off");
  expect(await start("serve", url)).toMatchObject({
    code: 2,
    notes: expect.stringContaining("set full_page_writes = on"),
  });

  await alter(url, "ALTER SYSTEM RESET full_page_writes", "SELECT pg_reload_conf()");
  await expect.poll(seen, { timeout: 20_000 }).toBe("on");
  const writ = await startWrit({ command: "serve", databaseUrl: url, masterKey: MASTER_KEY, env: settings() });
  try {
    for (const plane of [writ.gatewayUrl, writ.adminUrl]) expect((await fetch(`${plane}/readyz`)).status).toBe(200);
    expect(await writ.stop()).toBe(0);
  } finally {
    await writ.dispose();
  }
});
