/** Each plane on Postgres with a login that may be nothing but that plane's role, as docs/operations.md sets them up. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureRoles, isPermissionDenied, migrate, openPostgres } from "@writ/db";
import { createAdminClient } from "@writ/sdk/admin";
import {
  migrationsDirectory,
  type PostgresServer,
  startMcpUpstream,
  startPostgres,
  startWrit,
  uniqueDatabaseName,
} from "@writ/testkit";
import { afterEach, expect, test } from "vitest";
import { applyRules, postMcp, REPOSITORY, RULES, statelessCall } from "./rig.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test("each plane runs with a login of its own role alone, once the owner has migrated", async () => {
  const postgres: PostgresServer = await startPostgres();
  cleanups.push(() => postgres.stop());
  const url = await postgres.createDatabase(uniqueDatabaseName());
  const as = (user: string): string => Object.assign(new URL(url), { username: user, password: "change-me" }).href;
  const owner = openPostgres({ url, role: "migrate", poolMax: 1, applicationName: "test" });
  cleanups.push(() => owner.close());
  await ensureRoles(owner);
  const guide = await readFile(join(REPOSITORY, "docs/operations.md"), "utf8");
  await owner.script(/```sql logins\n(.*?)```/s.exec(guide)?.[1] ?? "");

  // Nobody has migrated yet: a plane that may not do it does not start.
  await expect(startWrit({ command: "gateway", databaseUrl: as("writ_gateway_login") })).rejects.toThrow();

  await migrate(owner, migrationsDirectory);
  const control = await startWrit({ command: "control", databaseUrl: as("writ_control_login") });
  cleanups.push(() => control.dispose());
  const gateway = await startWrit({
    command: "gateway",
    databaseUrl: as("writ_gateway_login"),
    masterKey: control.masterKey,
  });
  cleanups.push(() => gateway.dispose());
  const upstream = await startMcpUpstream({ era: "stateless" });
  cleanups.push(() => upstream.close());

  const admin = createAdminClient({ url: control.adminUrl, key: control.adminKey });
  const { id: tenant } = await admin.call("tenants.create", { body: { name: "t" } });
  const params = { tenant };
  await admin.call("principals.create", { params, body: { name: "p", type: "team" } });
  await admin.call("agents.create", { params, body: { name: "a", principal: "p" } });
  const transport = { type: "http", url: upstream.url } as const;
  const { id } = await admin.call("upstreams.create", { params, body: { name: "up", transport } });
  await admin.call("upstreams.pin", { params: { tenant, id } });
  await applyRules(admin, tenant, RULES);
  const { token } = await admin.call("tokens.mint", { params, body: { agent: "a" } });
  const answer = await postMcp(`${gateway.gatewayUrl}/mcp/up`, token, statelessCall("echo", { message: "hello" }));
  expect(JSON.parse(answer.text)).toMatchObject({ result: { content: [{ text: "hello" }] } });

  // The gateway's login is not the control plane's, nor the owner.
  for (const role of ["control", "gateway"] as const) {
    const login = role === "control" ? "writ_gateway_login" : "writ_control_login";
    const other = openPostgres({ url: as(login), role, poolMax: 1, applicationName: "test" });
    cleanups.push(() => other.close());
    await expect(other.query("SELECT 1")).rejects.toThrow();
  }
  const gatewayRows = openPostgres({
    url: as("writ_gateway_login"),
    role: "gateway",
    poolMax: 1,
    applicationName: "test",
  });
  cleanups.push(() => gatewayRows.close());
  for (const statement of [
    "SELECT * FROM admin_key",
    "UPDATE audit_event SET event = event",
    "DELETE FROM audit_event",
  ]) {
    await expect(
      gatewayRows.query(statement).catch((error: unknown) => isPermissionDenied(error)),
      statement,
    ).resolves.toBe(true);
  }
});
