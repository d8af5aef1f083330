/** I10: what a stdio upstream is given in its environment reaches its child, and stands nowhere in the database. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAdminClient } from "@writ/sdk/admin";
import { freshDatabase, sharedPostgres, startWrit, type WritProcess } from "@writ/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dumpDatabase } from "./dump-database.ts";
import { eventually, REPOSITORY, TENANT } from "./rig.ts";

const EVERYTHING = `${REPOSITORY}node_modules/@modelcontextprotocol/server-everything/dist/index.js`;

let directory = "";
let writ: WritProcess | undefined;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "writ-upstream-secrets-"));
});
afterAll(async () => {
  await writ?.dispose();
  await rm(directory, { recursive: true, force: true });
});

test("a value of an upstream's environment reaches the child and is in no row of the database", async () => {
  const databaseUrl = await freshDatabase(await sharedPostgres());
  writ = await startWrit({ command: "serve", databaseUrl });
  const admin = createAdminClient({ url: writ.adminUrl, key: writ.adminKey });
  const params = { tenant: TENANT };
  const secrets = [1, 2, 3].map(() => `key-${randomBytes(12).toString("hex")}`) as [string, string, string];
  const [kept, first, second] = secrets;
  const given = join(directory, "given");
  // A child that writes down what it was given, and then is the reference server.
  const script = `printf '%s %s' "$KEPT" "$CHANGED" > '${given}'; exec '${process.execPath}' '${EVERYTHING}' stdio`;
  const transport = { type: "stdio", command: "/bin/sh", args: ["-c", script] } as const;
  const childGets = (text: string) =>
    eventually(`the child is given ${text}`, async () => {
      const now = await readFile(given, "utf8").catch(() => ""); // until the first child has written it
      return now === text ? now : undefined;
    });

  const env = { KEPT: kept, CHANGED: first };
  const { id } = await admin.call("upstreams.create", {
    params,
    body: { name: "child", transport: { ...transport, env } },
  });
  await childGets(`${kept} ${first}`);
  const changed = { KEPT: "***", CHANGED: second };
  await admin.call("upstreams.update", {
    params: { tenant: TENANT, id },
    body: { version: 1, transport: { ...transport, env: changed } },
  });
  await childGets(`${kept} ${second}`);

  const text = await dumpDatabase(databaseUrl, writ.tenantId);
  // The dump would show it: what is beside the values is there, in the present row and in each change.
  expect(text.split(given).length).toBeGreaterThan(3);
  const searched = `${text}\n${writ.stderr()}`;
  for (const secret of secrets) {
    for (const encoding of ["utf8", "hex", "base64"] as const) {
      expect(searched).not.toContain(Buffer.from(secret).toString(encoding));
    }
  }
});
