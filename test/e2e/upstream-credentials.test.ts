/**
 * I10: the credential of an upstream comes from a file of the operator, reaches that upstream in place of the agent's
 * token, and is nowhere else: not in what the agent gets, the database, the logs, the admin API or an argument.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createAdminClient } from "@writ/sdk/admin";
import { freshDatabase, sharedPostgres, startWrit, type WritProcess } from "@writ/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dumpDatabase } from "./dump-database.ts";
import { applyRules, eventually, postMcp, REPOSITORY, RULES, statelessCall, TENANT } from "./rig.ts";

const run = promisify(execFile);
const WRIT = `${REPOSITORY}packages/cli/bin/writ.mjs`;

let directory = "";
let writ: WritProcess | undefined;
let server: Server;
const seen: { method: string; headers: IncomingHttpHeaders; url: string }[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "writ-credentials-"));
  // A server of MCP 2026-07-28 that tells whatever it was sent: in its catalogue and in each answer.
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("end", () => {
        const { id, method } = JSON.parse(String(Buffer.concat(chunks))) as { id: number; method: string };
        seen.push({ method, headers: request.headers, url: request.url ?? "" });
        const told = `${request.url} ${JSON.stringify(request.headers)}`;
        const text = `${told} ${Buffer.from(told).toString("base64")}`;
        const tool = { name: "echo", description: text, inputSchema: { type: "object" } };
        const result = { supportedVersions: ["2026-07-28"], tools: [tool], content: [{ type: "text", text }] };
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify({ jsonrpc: "2.0", id, result: { resultType: "complete", ...result } }));
      });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  await writ?.dispose();
  server.closeAllConnections();
  server.close();
  await rm(directory, { recursive: true, force: true });
});

test("R-SECRET-2 R-SECRET-4 an upstream's credential takes the place of the agent's token, and is nowhere to be found", async () => {
  const secrets = join(directory, "secrets");
  await mkdir(secrets);
  const first = `sk-${randomBytes(18).toString("base64")}`;
  const second = `sk-${randomBytes(18).toString("base64")}`;
  const put = (value: string): Promise<void> => writeFile(join(secrets, "crm"), `${value}\n`, { mode: 0o600 });
  await put(first);
  const databaseUrl = await freshDatabase(await sharedPostgres());
  writ = await startWrit({ command: "serve", databaseUrl, env: { WRIT_UPSTREAMS_CREDENTIALS_DIR: secrets } });
  const { adminUrl, adminKey, gatewayUrl } = writ;
  const admin = createAdminClient({ url: adminUrl, key: adminKey });
  const { port } = server.address() as AddressInfo; // a TCP listener has one
  const url = `http://127.0.0.1:${port}/mcp`;
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: directory,
    WRIT_DATA_DIR: directory,
    WRIT_ADMIN_URL: adminUrl,
    WRIT_ADMIN_KEY: adminKey,
  };
  const argv = ["upstream", "add", "http", "up", url, "--bearer-from", "crm", "--query-from", "key=crm", "--json"];
  await run(process.execPath, [WRIT, ...argv], { env, cwd: directory });
  await applyRules(admin, TENANT, RULES);
  const params = { tenant: TENANT };
  const { token } = await admin.call("tokens.mint", { params, body: { agent: "assistant" } });

  const ask = async (): Promise<string> =>
    (await postMcp(`${gatewayUrl}/mcp/up`, token, statelessCall("echo", { message: "hi" }))).text;
  const answers = [await ask()];
  await put(second);
  await eventually("the new value is used", async () => {
    answers.push(await ask());
    return seen.at(-1)?.headers.authorization === `Bearer ${second}` ? true : undefined;
  });

  const calls = seen.filter(({ method }) => method === "tools/call");
  expect(calls[0]?.headers.authorization).toBe(`Bearer ${first}`);
  expect(calls[0]?.url).toBe(`/mcp?key=${encodeURIComponent(first)}`);
  expect(JSON.stringify(seen)).not.toContain(token);
  expect(answers.join("\n")).toContain("***");
  const view = await admin.call("upstreams.get", { params: { tenant: TENANT, id: "up" } });
  expect(view.transport).toEqual({
    type: "http",
    url,
    credentials: [
      { in: "header", name: "Authorization", prefix: "Bearer ", file: "crm" },
      { in: "query", name: "key", file: "crm" },
    ],
  });
  const dump = await dumpDatabase(databaseUrl, writ.tenantId);
  // The dump would show it: what the upstream told of itself is there, masked.
  expect(dump).toContain("Bearer ***");
  const searched = [...answers, JSON.stringify(view), dump, writ.stderr(), argv.join(" ")].join("\n");
  for (const secret of [first, second]) {
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString("hex")]) {
      expect(searched).not.toContain(form);
    }
    for (const skip of [0, 1, 2]) {
      expect(searched).not.toContain(
        Buffer.from(`${"x".repeat(skip)}${secret}`)
          .toString("base64")
          .slice(4, 24),
      );
    }
  }

  // Where it goes is the operator's to say: a key of the tenant can neither name a file nor move what has one.
  const { key } = await admin.call("admin-keys.create", {
    params,
    body: { name: "narrow", permissions: ["upstreams:write", "upstreams:read"] },
  });
  const narrow = createAdminClient({ url: adminUrl, key });
  const credentials = [{ in: "header", name: "X-Key", file: "crm" }] as const;
  const transport = { type: "http", url: `http://127.0.0.1:${port}/other` } as const;
  const body = { name: "mine", transport: { ...transport, credentials } };
  await expect(narrow.call("upstreams.create", { params, body })).rejects.toThrow(/admin key of the instance/);
  const moved = { version: view.version, transport };
  await expect(narrow.call("upstreams.update", { params: { tenant: TENANT, id: "up" }, body: moved })).rejects.toThrow(
    /admin key of the instance/,
  );
});
