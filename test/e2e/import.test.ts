/**
 * A running set-up behind Writ in one command: a client's file that starts the reference server, read by a client on the
 * official SDK before the import and after it.
 */
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { createAdminClient } from "@writ/sdk/admin";
import { startWrit, type WritProcess } from "@writ/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ended, runCommand } from "./command.ts";
import { EVERYTHING, TENANT } from "./rig.ts";

const SECRET = `made-up-${randomBytes(8).toString("hex")}`;

let writ: WritProcess;
let directory: string;
let server: Server;
const seen: (string | undefined)[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "writ-import-"));
  await mkdir(join(directory, "credentials"), { mode: 0o700 });
  writ = await startWrit({
    command: "serve",
    env: { WRIT_UPSTREAMS_CREDENTIALS_DIR: join(directory, "credentials") },
  });
  // A server of MCP 2026-07-28 that wants a key.
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("end", () => {
        const { id } = JSON.parse(String(Buffer.concat(chunks))) as { id: number };
        seen.push(request.headers.authorization);
        const tool = { name: "look", inputSchema: { type: "object" } };
        const result = { supportedVersions: ["2026-07-28"], tools: [tool], content: [] };
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ jsonrpc: "2.0", id, result }));
      });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  server?.close();
  await writ?.dispose();
  await rm(directory, { recursive: true, force: true });
});

const everythingSaid: string[] = [];

async function command(...argv: readonly string[]): Promise<Ended> {
  const env = { WRIT_DATA_DIR: join(directory, ".writ") };
  const ended = await runCommand(writ, argv, { directory, env, timeoutMs: 120_000 });
  everythingSaid.push(ended.out, ended.notes);
  return ended;
}

async function project(name: string, servers: object): Promise<string> {
  await mkdir(join(directory, name));
  const path = join(directory, name, ".mcp.json");
  await writeFile(path, `${JSON.stringify({ mcpServers: servers }, undefined, 2)}\n`);
  return path;
}

interface ServerEntry {
  readonly command?: string;
  readonly args?: string[];
  readonly env?: Record<string, string>;
  readonly url?: string;
  readonly headers?: Record<string, string>;
}

/** What a client does with its file: it starts the server, or connects to it. */
async function connect(path: string, name: string, variables: Record<string, string> = {}): Promise<Client> {
  const { mcpServers } = JSON.parse(await readFile(path, "utf8")) as { mcpServers: Record<string, ServerEntry> };
  const entry = mcpServers[name];
  const client = new Client({ name: "test", version: "1" });
  if (entry?.url === undefined) {
    const { command: program = "", args = [], env = {} } = entry ?? {};
    await client.connect(new StdioClientTransport({ command: program, args, env, stderr: "ignore" }));
  } else {
    const headers = Object.fromEntries(
      Object.entries(entry.headers ?? {}).map(([header, value]) => [
        header,
        value.replaceAll(/\$\{(\w+)\}/g, (_whole, variable: string) => variables[variable] ?? ""),
      ]),
    );
    const transport = new StreamableHTTPClientTransport(new URL(entry.url), { requestInit: { headers } });
    // The SDK's own types disagree with exactOptionalPropertyTypes about its own transport.
    await client.connect(transport as Parameters<typeof client.connect>[0]);
  }
  return client;
}

interface Used {
  readonly tools: readonly { readonly name: string }[];
  readonly answers: object;
}

/** All that a user of the server sees of it, but for what is another each time, and for tools that only run as tasks. */
async function use(client: Client): Promise<Used> {
  try {
    const { tools } = await client.listTools();
    const call = (name: string, args: object) => client.callTool({ name, arguments: { ...args } });
    return {
      tools: tools
        .filter(({ execution }) => execution?.taskSupport !== "required")
        .map(({ name, description, inputSchema }) => ({ name, description, inputSchema })),
      answers: {
        echo: await call("echo", { message: "hello" }),
        secret: await call("echo", { message: "secret plan" }),
        sum: await call("get-sum", { a: 1, b: 2 }),
        structured: await call("get-structured-content", { location: "New York" }),
        resource: await client.readResource({ uri: "demo://resource/static/document/architecture.md" }),
        prompts: (await client.listPrompts()).prompts.map(({ name }) => name),
      },
    };
  } finally {
    await client.close();
  }
}

const stdioEntry = (env: Record<string, string> = {}) => ({
  command: process.execPath,
  args: [EVERYTHING, "stdio"],
  env,
});

describe("writ import", () => {
  test("puts a running set-up behind Writ in one command, and the same client sees the same", async () => {
    const path = await project("shop", { mine: stdioEntry({ API_KEY: SECRET }) });
    const before = await readFile(path, "utf8");
    const direct = await use(await connect(path, "mine"));

    const imported = await command("import", path, "--write", "--token-in-file");
    expect(imported.notes).toContain("Minted a token");
    expect(imported.code).toBe(0);
    const through = await use(await connect(path, "mine"));
    expect(through.answers).toEqual(direct.answers);
    // To Writ the server lists what it has for clients that can sample and be asked, too.
    const names = new Set(direct.tools.map(({ name }) => name));
    expect(through.tools.filter(({ name }) => names.has(name))).toEqual(
      [...direct.tools].sort((a, b) => (a.name < b.name ? -1 : 1)),
    );

    // What it was lies beside it; the token is where only its user reads it.
    expect(await readFile(`${path}.before-writ`, "utf8")).toBe(before);
    expect((await stat(path)).mode & 0o777).toBe(0o600);

    // The starter rules know nothing of this upstream.
    const report = JSON.parse((await command("observe", "report", "mine", "--json")).out) as {
      items: { agent: string; action: string; name?: string; reason: string; count: number }[];
    }; // our command's own answer
    expect(
      report.items
        .filter(({ action }) => action === "tool.call")
        .map(({ agent, name, reason, count }) => [agent, name, reason, count])
        .sort(),
    ).toEqual([
      ["claude-code", "echo", "policy_default_deny", 2],
      ["claude-code", "get-structured-content", "policy_default_deny", 1],
      ["claude-code", "get-sum", "policy_default_deny", 1],
    ]);
    const starter = await command("policy", "show");
    await writeFile(join(directory, "starter.yaml"), starter.out);
    const tried = JSON.parse((await command("policy", "try", "starter.yaml", "--upstream", "mine", "--json")).out) as {
      denied: number;
    }; // our command's own answer
    expect(tried.denied).toBe(4);
  });

  test("changes nothing when it is repeated, and shares an upstream between files that name the same", async () => {
    const path = join(directory, "shop", ".mcp.json");
    const after = await readFile(path, "utf8");
    const again = await command("import", path, "--write", "--token-in-file");
    expect(again.out).toContain("leads to Writ");
    expect(again.code).toBe(0);
    expect(await readFile(path, "utf8")).toBe(after);

    const before = JSON.parse(await readFile(`${path}.before-writ`, "utf8")) as { mcpServers: { mine: object } };
    await mkdir(join(directory, "shop", ".cursor"));
    const cursor = join(directory, "shop", ".cursor", "mcp.json");
    await writeFile(cursor, `{ // as before\n "mcpServers": ${JSON.stringify(before.mcpServers)} }`);
    const importing = async (...paths: readonly string[]) => {
      const { out, code } = await command("import", ...paths, "--agent", "claude-code", "--json");
      return { code, ...(JSON.parse(out) as { entries: object[]; files: { config: object }[] }) }; // our own answer
    };
    // Whether the environment of the one that is there has the same values nobody can see.
    const second = await importing(cursor);
    expect(second).toMatchObject({
      code: 1,
      entries: [{ state: "skipped", notes: [expect.stringContaining(`${writ.gatewayUrl}/mcp/mine`)] }],
    });
    const shared = await project("shared", { shared: before.mcpServers.mine });
    const other = join(directory, "shared", ".cursor", "mcp.json");
    await mkdir(join(directory, "shared", ".cursor"));
    await writeFile(other, await readFile(shared));
    const both = await importing(shared, other);
    expect(both.entries).toMatchObject([
      { state: "new", upstream: "shared" },
      { state: "there", upstream: "shared" },
    ]);
    expect(both.files[1]?.config).toMatchObject({
      // biome-ignore lint/suspicious/noTemplateCurlyInString: what Cursor replaces.
      mcpServers: { shared: { headers: { Authorization: "Bearer ${env:WRIT_TOKEN}" } } },
    });
    expect(await readFile(cursor, "utf8")).toContain("as before");
    const admin = createAdminClient({ url: writ.adminUrl, key: writ.adminKey });
    const { items } = await admin.call("tokens.list", { params: { tenant: TENANT }, query: {} });
    expect(items.filter(({ label }) => label === "writ import")).toHaveLength(1);
  });

  test("gives the headers of an http server to the gateway in files, and a name that is taken a number", async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`; // a TCP listener has an AddressInfo
    const path = await project("keys", { mine: { type: "http", url, headers: { Authorization: `Bearer ${SECRET}` } } });
    const imported = await command("import", path, "--credentials-dir", "credentials", "--observe", "1d");
    expect(imported.code).toBe(0);
    expect(imported.out).toContain("mine-2");
    expect(imported.out).toContain("export WRIT_TOKEN=");
    expect(seen).toContain(`Bearer ${SECRET}`);
    const file = join(directory, "credentials", "mine-2-authorization");
    expect(await readFile(file, "utf8")).toBe(`${SECRET}\n`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test("takes servers that differ in a secret only for two, in one run and across runs", async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`; // a TCP listener has an AddressInfo
    const account = (name: string) => ({ type: "http", url, headers: { Authorization: `Bearer ${SECRET}-${name}` } });
    const options = ["--credentials-dir", "credentials", "--json"];
    const importing = async (name: string, ...accounts: readonly string[]) => {
      const paths: string[] = [];
      for (const each of accounts) paths.push(await project(`${name}-${each}`, { account: account(each) }));
      const { out } = await command("import", ...paths, ...options);
      return (JSON.parse(out) as { entries: { state: string; upstream?: string }[] }).entries; // our command's own answer
    };
    const both = await importing("one-run", "a", "b", "a2");
    expect(both).toMatchObject([
      { state: "new", upstream: "account" },
      { state: "new", upstream: "account-2" },
      { state: "new", upstream: "account-3" },
    ]);
    for (const each of ["a", "b", "a2"]) expect(seen).toContain(`Bearer ${SECRET}-${each}`);
    expect(await importing("again", "b", "c")).toMatchObject([
      { state: "there", upstream: "account-2" },
      { state: "new", upstream: "account-4", notes: [expect.stringContaining("with other secrets")] },
    ]);
    const elsewhere = await project("elsewhere", { account: account("a") });
    const { out, code } = await command("import", elsewhere, "--credentials-dir", "not-there", "--json");
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      entries: [{ state: "skipped", notes: [expect.stringContaining("cannot be seen from here")] }],
    });
  });

  test("carries a server with headers over where Writ was started without configuration, and knows where it was not", async () => {
    const plain = await startWrit({ command: "serve" });
    try {
      const credentials = join(plain.directory, "data", "credentials");
      expect((await stat(credentials)).mode & 0o777).toBe(0o700);
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`; // a TCP listener has an AddressInfo
      const path = await project("plain", {
        crm: { type: "http", url, headers: { Authorization: `Bearer ${SECRET}` } },
      });
      const run = async (dataDir: string): Promise<Ended> => {
        const env = { WRIT_DATA_DIR: dataDir };
        const ended = await runCommand(plain, ["import", path, "--write"], { directory, env, timeoutMs: 120_000 });
        everythingSaid.push(ended.out, ended.notes);
        return ended;
      };
      const elsewhere = await run(join(directory, "no-gateway-started-here"));
      expect([elsewhere.code, elsewhere.notes]).toEqual([2, expect.stringContaining("where the gateway was started")]);

      const before = seen.length;
      const imported = await run(join(plain.directory, "data"));
      expect(imported.notes).toContain("Minted a token");
      expect(imported.code).toBe(0);
      expect(seen.slice(before)).toContain(`Bearer ${SECRET}`);
      const file = join(credentials, "crm-authorization");
      expect(await readFile(file, "utf8")).toBe(`${SECRET}\n`);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      const token = (await readdir(join(plain.directory, "data", "tokens")))[0] ?? "";
      const secret = (await readFile(join(plain.directory, "data", "tokens", token), "utf8")).trim();
      const client = await connect(path, "crm", { WRIT_TOKEN: secret });
      expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(["look"]);
      await client.callTool({ name: "look", arguments: {} });
      await client.close();
      expect(seen.at(-1)).toBe(`Bearer ${SECRET}`);

      // And the report of what rules would have denied.
      const command = (...argv: readonly string[]): Promise<Ended> => runCommand(plain, argv, { directory });
      const report = await command("observe", "report", "crm");
      expect(report.out).toMatch(/claude-code +tool\.call crm\/look|claude-code .*look.* policy_default_deny/);
      await writeFile(join(directory, "proposed.yaml"), (await command("policy", "show")).out);
      const tried = await command("policy", "try", "proposed.yaml", "--upstream", "crm");
      expect(tried.out).toContain("Would be denied: 1\n");
    } finally {
      await plain.dispose();
    }
  });

  test("leaves nothing of a server that does not start, and carries the others over", async () => {
    const path = await project("half", {
      broken: { command: join(directory, "no-such-program") },
      sound: stdioEntry(),
      // biome-ignore lint/suspicious/noTemplateCurlyInString: what the client replaces.
      unset: { command: "x", env: { KEY: "${NOT_SET_ANYWHERE}" } },
    });
    const before = await readFile(path, "utf8");
    const dry = await command("import", path, "--dry-run");
    expect(dry.out).toContain("would be imported");
    const imported = await command("import", path, "--no-observe", "--write");
    expect(imported.code).toBe(1);
    expect(imported.out).toMatch(/broken +failed/);
    expect(imported.out).toContain("NOT_SET_ANYWHERE");
    const after = JSON.parse(await readFile(path, "utf8")) as { mcpServers: Record<string, ServerEntry> };
    const were = JSON.parse(before) as typeof after;
    expect(after.mcpServers["broken"]).toEqual(were.mcpServers["broken"]);
    expect(after.mcpServers["unset"]).toEqual(were.mcpServers["unset"]);
    expect(after.mcpServers["sound"]?.url).toBe(`${writ.gatewayUrl}/mcp/sound`);
    const admin = createAdminClient({ url: writ.adminUrl, key: writ.adminKey });
    const names: string[] = [];
    for await (const { name } of admin.pages("upstreams.list", { params: { tenant: TENANT }, query: {} }))
      names.push(name);
    expect(names).toContain("sound");
    expect(names).not.toContain("broken");
    // Without observation the policy denies from the start.
    const { items } = await admin.call("observe.list", { params: { tenant: TENANT } });
    const observed = items.map(({ upstream }) => upstream);
    expect(observed).toContain("mine");
    expect(observed).not.toContain("sound");
    const token = (await readdir(join(directory, ".writ", "tokens")))[0] ?? "";
    const variables = { WRIT_TOKEN: (await readFile(join(directory, ".writ", "tokens", token), "utf8")).trim() };
    const client = await connect(path, "sound", variables);
    expect((await client.listTools()).tools).toEqual([]);
    await client.close();
  });

  test("makes nothing of a file that cannot be read, and says where", async () => {
    const path = await project("bad", {});
    await writeFile(path, '{"mcpServers": {"a": {"command": "x"},}}');
    const refused = await command("import", join(directory, "half", ".mcp.json"), path);
    expect(refused.code).toBe(2);
    expect(refused.notes).toContain(`${path}:1:39: this is not JSON`);
    expect((await command("import", join(directory, "none.json"))).notes).toContain("does not exist");
  });

  test("I10 says no secret, and puts none into the log", async () => {
    const admin = createAdminClient({ url: writ.adminUrl, key: writ.adminKey });
    const events: string[] = [];
    for await (const { text } of admin.pages("audit.events", { params: { tenant: TENANT }, query: { limit: 500 } })) {
      events.push(text);
    }
    const token = (await readdir(join(directory, ".writ", "tokens")))[0] ?? "";
    const secret = (await readFile(join(directory, ".writ", "tokens", token), "utf8")).trim();
    for (const each of [SECRET, secret]) {
      expect(everythingSaid.join("\n")).not.toContain(each);
      expect(events.join("\n")).not.toContain(each);
      expect(writ.stderr()).not.toContain(each);
    }
  });
});
