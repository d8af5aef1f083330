/** The instance's own log as its administrators check it: the real binary, a real `writ serve`, the database in hand. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { INSTANCE_TENANT } from "@writ/contract";
import { openPostgres } from "@writ/db";
import { freshDatabase, sharedPostgres, startWrit, type WritProcess } from "@writ/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ended, runCommand } from "./command.ts";

let server: WritProcess;
let databaseUrl = "";
let directory = "";
beforeAll(async () => {
  databaseUrl = await freshDatabase(await sharedPostgres());
  server = await startWrit({ command: "serve", databaseUrl });
  directory = await mkdtemp(join(tmpdir(), "writ-instance-log-"));
});
afterAll(async () => {
  await server.dispose();
  await rm(directory, { recursive: true, force: true });
});

function writ(...argv: readonly string[]): Promise<Ended> {
  return runCommand(server, argv, { directory, env: { WRIT_DATA_DIR: directory } });
}

interface View {
  readonly sequence: number;
  readonly event: Readonly<Record<string, unknown>>;
}

/** The lines that `audit tail` and `audit query` print for programs. */
async function eventsOf(...argv: readonly string[]): Promise<readonly View[]> {
  const { code, out, notes } = await writ("audit", ...argv, "--instance", "--json");
  if (code !== 0) throw new Error(notes);
  return out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as View); // each line is one view
}

/** What somebody with the database in hand would do. */
async function edit(sequence: number, from: string, to: string): Promise<void> {
  const database = openPostgres({ url: databaseUrl, role: "migrate", poolMax: 1, applicationName: "test" });
  try {
    await database.transaction({ tenants: [INSTANCE_TENANT] }, (transaction) =>
      transaction.query(
        "UPDATE audit_event SET event = replace(event, $3, $4) WHERE tenant_id = $1 AND sequence = $2",
        [INSTANCE_TENANT, sequence, from, to],
      ),
    );
  } finally {
    await database.close();
  }
}

test("the instance's kill switch is in its log, which verifies online and offline; an edited entry is named", async () => {
  expect((await writ("kill", "engage", "instance", "--reason", "a drill")).code).toBe(0);
  expect((await writ("kill", "release", "instance")).code).toBe(0);

  const [engaged] = await eventsOf("query", "--event", "kill.engaged");
  expect(engaged?.event).toMatchObject({ tenant: INSTANCE_TENANT, scope: "instance" });
  expect((await eventsOf("tail", "-n", "5")).map(({ event }) => event["event"])).toContain("kill.released");
  const sequence = engaged?.sequence ?? 0;

  const intact = await writ("audit", "verify", "--instance", "--full", "--json");
  expect(intact.code).toBe(0);
  expect(JSON.parse(intact.out)).toMatchObject({ status: "intact", fromSequence: 1 });

  expect((await writ("audit", "export", "--instance", "--out", "log.ndjson")).code).toBe(0);
  const header = (await readFile(join(directory, "log.ndjson"), "utf8")).split("\n", 1)[0] ?? "";
  const { tenantId, verifierKeys } = JSON.parse(header) as { tenantId: string; verifierKeys: readonly [string] };
  expect(tenantId).toBe(INSTANCE_TENANT);
  await writeFile(join(directory, "checkpoints"), (await writ("audit", "checkpoints", "--instance")).out);
  const offline = ["audit", "verify", "--file", "log.ndjson", "--key", verifierKeys[0], "--checkpoints", "checkpoints"];
  expect(await writ(...offline)).toMatchObject({ code: 0, out: expect.stringMatching(/log +intact/) });
  expect(await writ(...offline, "--instance")).toMatchObject({ code: 2, out: "" });

  await edit(sequence, '"kill.engaged"', '"kill.released"');
  const damaged = await writ("audit", "verify", "--instance", "--full");
  expect(damaged).toMatchObject({ code: 1, out: expect.stringContaining(`mutated at entry ${sequence}`) });
  await edit(sequence, '"kill.released"', '"kill.engaged"');
  expect((await writ("audit", "verify", "--instance", "--full")).code).toBe(0);
});

test("a tenant's key reads the instance's log by no path", async () => {
  expect((await writ("admin-key", "create", "own", "--permissions", "*", "--out", "own-key")).code).toBe(0);
  const asTenant = (...argv: readonly string[]) => writ("audit", ...argv, "--key-file", "own-key");
  expect((await asTenant("verify")).code).toBe(0);
  for (const argv of [["tail"], ["query"], ["verify"], ["export"], ["checkpoints"]]) {
    const refused = await asTenant(...argv, "--instance");
    expect(refused, argv[0]).toMatchObject({ code: 1, out: "" });
    expect(refused.notes).toContain("This route needs an admin key of the instance.");

    const missing = await asTenant(...argv, "--tenant", "nobody");
    expect(missing.code).not.toBe(0);
    const byId = await asTenant(...argv, "--tenant", INSTANCE_TENANT);
    expect({ ...byId, notes: withoutRequest(byId.notes) }).toEqual({
      ...missing,
      notes: withoutRequest(missing.notes).replaceAll("nobody", INSTANCE_TENANT),
    });
  }
});

/** Each request has an id of its own. */
function withoutRequest(notes: string): string {
  return notes.replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{22}/g, "");
}
