import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { MCP_UPSTREAM_TOOLS, type McpUpstream, startBreakingProxy, startMcpUpstream } from "@writ/testkit";
import { afterEach, describe, expect, test } from "vitest";
import type { Denial } from "../../denial.ts";
import type { AgentCall } from "../../ports.ts";
import { createDataListener } from "../../server/data-listener.ts";
import { DATA_LISTENER_LIMITS } from "../../server/limits.ts";
import { createCredentialFiles } from "../../upstream/credential-files.ts";
import { createUpstreams } from "../../upstream/upstreams.ts";
import { createMcpRoutes, type McpRoutesOptions } from "./mcp-routes.ts";
import { MCP_SESSION_LIMITS } from "./mcp-sessions.ts";
import { createOpenGate, type OpenGate } from "./open-gate.fixture.ts";
import { RESUMPTION_LIMITS } from "./resumable-streams.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Running {
  readonly url: string;
  readonly port: number;
  readonly fake: McpUpstream;
  readonly gate: OpenGate;
}

async function start(
  options: {
    readonly era?: "session" | "stateless";
    readonly deny?: (call: AgentCall) => Denial | undefined;
    readonly routes?: Partial<McpRoutesOptions>;
  } = {},
): Promise<Running> {
  const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
  const random = { bytes: (length: number) => randomBytes(length) };
  const fake = await startMcpUpstream({ era: options.era ?? "session" });
  cleanups.push(() => fake.close());
  const upstreams = createUpstreams({
    clock,
    random,
    version: "0.1.0",
    mode: "development",
    stdioRunner: [],
    environmentFile: "",
    allowedAddresses: ["127.0.0.0/8"],
    credentialFiles: createCredentialFiles({ directory: undefined, clock }),
    childEnvironment: { path: "", home: "" },
    openEnvironment: () => ({}),
    callDeadlineMs: 20_000,
    log: () => undefined,
  });
  cleanups.push(() => upstreams.close());
  const transport = { type: "http" as const, url: fake.url };
  const upstream = { transport, isolation: "shared", status: "active", timeoutMs: 20_000, concurrencyMax: 8 } as const;
  const gate = createOpenGate({
    upstreams,
    upstream: { fake: { name: "fake", ...upstream }, other: { name: "other", ...upstream } },
    bearers: ["good", "better"],
    ...(options.deny === undefined ? {} : { deny: options.deny }),
  });
  let port = 0;
  const listener = createDataListener({
    limits: DATA_LISTENER_LIMITS,
    allowedHosts: ["127.0.0.1"],
    allowedOrigins: [],
    notReady: () => undefined,
    log: () => undefined,
    routes: createMcpRoutes({
      gate,
      clock,
      random,
      version: "0.1.0",
      publicUrl: () => `http://127.0.0.1:${port}`,
      resumeWithinMs: 30_000,
      ...options.routes,
    }),
  });
  port = await listener.listen(0, "127.0.0.1");
  cleanups.push(() => listener.close());
  return { url: `http://127.0.0.1:${port}/mcp/fake`, port, fake, gate };
}

interface Posted {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Posted> {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      authorization: "Bearer good",
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers,
    },
    body,
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const INITIALIZE =
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}';

async function openSession(
  url: string,
  headers: Record<string, string> = {},
  revision = "2025-11-25",
): Promise<Record<string, string>> {
  const answer = await post(url, INITIALIZE.replace("2025-11-25", revision), headers);
  expect(answer.status).toBe(200);
  return {
    ...headers,
    "mcp-session-id": answer.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": revision,
  };
}

const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}';

function stateless(method: string, name?: string): Record<string, string> {
  return {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": method,
    ...(name === undefined ? {} : { "mcp-name": name }),
  };
}

const denial = (reason: Denial["reason"], hidden = false, data: Denial["data"] = {}): Denial => ({
  reason,
  detail: "for operators only",
  hidden,
  data,
});

const clients = [
  {
    name: "the official SDK 1.x",
    async connect(url: string) {
      const client = new ClientV1({ name: "test", version: "1" });
      const requestInit = { headers: { Authorization: "Bearer good" } };
      // The SDK's own types disagree with exactOptionalPropertyTypes about its own transport.
      await client.connect(new TransportV1(new URL(url), { requestInit }) as Parameters<typeof client.connect>[0]);
      return {
        list: async () => (await client.listTools()).tools.map((tool) => tool.name),
        call: (
          name: string,
          args: Record<string, unknown>,
          options: { signal?: AbortSignal; onprogress?: (n: { progress: number }) => void } = {},
        ) => client.callTool({ name, arguments: args }, undefined, options),
        close: () => client.close(),
      };
    },
  },
  ...(["legacy", "auto"] as const).map((mode) => ({
    name: `the official SDK 2.x (${mode})`,
    async connect(url: string) {
      const client = new ClientV2({ name: "test", version: "1" }, { versionNegotiation: { mode } });
      const requestInit = { headers: { Authorization: "Bearer good" } };
      await client.connect(new TransportV2(new URL(url), { requestInit }));
      return {
        list: async () => (await client.listTools()).tools.map((tool) => tool.name),
        call: (
          name: string,
          args: Record<string, unknown>,
          options: { signal?: AbortSignal; onprogress?: (n: { progress: number }) => void } = {},
        ) => client.callTool({ name, arguments: args }, options),
        close: () => client.close(),
      };
    },
  })),
];

describe.each(clients)("$name", ({ connect: connectClient }) => {
  test.each(["session", "stateless"] as const)(
    "lists and calls tools of a %s upstream by URL and bearer token alone",
    async (era) => {
      const { url } = await start({ era });
      const client = await connectClient(url);
      expect(await client.list()).toEqual(MCP_UPSTREAM_TOOLS.map((tool) => JSON.parse(tool).name));
      expect(await client.call("add", { a: 1, b: 2 })).toMatchObject({ content: [{ type: "text", text: "3" }] });
      await client.close();
    },
  );

  test("hears of progress", async () => {
    const { url } = await start();
    const client = await connectClient(url);
    const heard: number[] = [];
    const answer = await client.call("slow", { steps: 3 }, { onprogress: ({ progress }) => heard.push(progress) });
    expect(answer).toMatchObject({ content: [{ text: "3 steps" }] });
    expect(heard).toEqual([1, 2, 3]);
    await client.close();
  });

  test("cancels a call, at the upstream too", async () => {
    const { url, fake, gate } = await start();
    const client = await connectClient(url);
    const cut = new AbortController();
    const call = client.call("slow", { steps: 9, wait: true }, { signal: cut.signal, onprogress: () => cut.abort() });
    fake.step();
    await expect(call).rejects.toThrow();
    await expect.poll(() => gate.ends.at(-1)?.kind).toBe("broken");
    await expect.poll(() => fake.cancelled.length).toBeGreaterThan(0);
    await client.close();
  });
});

describe("the MCP adapter", () => {
  test("R-DENY-1 trap-17 trap-37 turns every unauthenticated request away before it is read: there is no other identity", async () => {
    const { url, gate } = await start();
    for (const authorization of ["", "Bearer invented", "Basic Z29vZA==", "good"]) {
      for (const body of [INITIALIZE, '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', "not json"]) {
        const answer = await post(url, body, { authorization });
        expect(answer.status).toBe(401);
        expect(answer.headers.get("www-authenticate")).toContain('resource_metadata="http://127.0.0.1');
      }
    }
    expect((await fetch(url)).status).toBe(401);
    expect((await fetch(url, { method: "DELETE" })).status).toBe(401);
    expect(gate.calls).toEqual([]);
    expect(gate.rejected.length).toBe(14);
  });

  test("says the same of a token with an unknown key as of a wrong signature", async () => {
    const { url } = await start();
    const answer = await post(url, INITIALIZE, { authorization: "Bearer invented" });
    expect(JSON.parse(answer.text).reason).toBe("token_signature");
  });

  test("points to metadata of the resource that anybody may read", async () => {
    const { port } = await start();
    const answer = await fetch(`http://127.0.0.1:${port}/.well-known/oauth-protected-resource/mcp/fake`);
    expect(await answer.json()).toMatchObject({ resource: `http://127.0.0.1:${port}/mcp/fake` });
  });

  test("trap-55 hands the agent's bytes on and the upstream's back, none re-serialised", async () => {
    const { url, gate } = await start();
    const headers = await openSession(url);
    const args = '{ "n":9007199254740993,\n "p":1.10, "u":"\\u0041" }';
    const answer = await post(
      url,
      `{"jsonrpc":"2.0","id":"a\\u0062","method":"tools/call","params":{"name":"raw","arguments":${args},"x":1.0,"_meta":{"y":2.0,"progressToken":7}}}`,
      { ...headers, accept: "application/json" },
    );
    expect(gate.calls.at(-1)?.argumentsText).toBe(args);
    expect(gate.calls.at(-1)?.message?.params).toBe(`{"name":"raw","arguments":${args},"x":1.0,"_meta":{"y":2.0}}`);
    expect(answer.text).toContain('{"jsonrpc":"2.0","id":"a\\u0062","result":{');
    expect(answer.text).toContain('"structuredContent" : {"big":9007199254740993,"price":1.10,"twice":1,"twice":2}');
    expect(answer.headers.get("writ-call-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("R-DENY-4 trap-22 refuses a name or argument that is there twice, also in another case", async () => {
    const { url, gate } = await start();
    const headers = await openSession(url);
    const before = gate.calls.length;
    for (const params of [
      '{"name":"echo","name":"die"}',
      '{"name":"echo","Name":"die"}',
      '{"name":"echo","arguments":{"a":1,"a":2}}',
      '{"name":"echo","arguments":{"a":1,"\\u0041":2}}',
    ]) {
      const answer = await post(url, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`, headers);
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.text).error.code).toBe(-32700);
    }
    expect(gate.calls.length).toBe(before);
  });

  test("trap-28 gives sessions of 128 random bits, which nobody else's token opens", async () => {
    const { url, port } = await start();
    const headers = await openSession(url);
    const id = headers["mcp-session-id"] ?? "";
    expect(Buffer.from(id, "base64url").length).toBe(16);
    const list = '{"jsonrpc":"2.0","id":2,"method":"tools/list"}';
    expect((await post(url, list, headers)).status).toBe(200);
    const stolen = await post(url, list, { ...headers, authorization: "Bearer better" });
    const unknown = await post(url, list, { ...headers, "mcp-session-id": "AAAAAAAAAAAAAAAAAAAAAA" });
    const elsewhere = await post(`http://127.0.0.1:${port}/mcp/other`, list, headers);
    expect([stolen.status, unknown.status, elsewhere.status]).toEqual([404, 404, 404]);
    expect(stolen.text).toBe(unknown.text);
    expect((await post(url, list, { ...headers, "mcp-session-id": "" })).status).toBe(404);
  });

  test("ends a session on DELETE, for its own token only", async () => {
    const { url } = await start();
    const headers = await openSession(url);
    const remove = (authorization: string) => fetch(url, { method: "DELETE", headers: { ...headers, authorization } });
    expect((await remove("Bearer better")).status).toBe(404);
    expect((await remove("Bearer good")).status).toBe(204);
    expect((await post(url, '{"jsonrpc":"2.0","id":2,"method":"ping"}', headers)).status).toBe(404);
  });

  test("keeps sessions within their number", async () => {
    const { url } = await start({ routes: { sessionLimits: { ...MCP_SESSION_LIMITS, sessionsMax: 2 } } });
    const ping = '{"jsonrpc":"2.0","id":2,"method":"ping"}';
    const first = await openSession(url);
    const second = await openSession(url);
    await post(url, ping, first);
    const third = await openSession(url);
    expect((await post(url, ping, first)).text).toBe('{"jsonrpc":"2.0","id":2,"result":{}}');
    expect((await post(url, ping, second)).status).toBe(404);
    expect((await post(url, ping, third)).status).toBe(200);
  });

  test("refuses another session while every one that it keeps is in use", async () => {
    const { url, fake } = await start({ routes: { sessionLimits: { ...MCP_SESSION_LIMITS, sessionsMax: 1 } } });
    const headers = await openSession(url);
    const slow =
      '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","arguments":{"steps":1,"wait":true}}}';
    const running = post(url, slow, headers);
    await expect.poll(() => fake.calls.length).toBe(1);
    const refused = await post(url, INITIALIZE, {});
    expect(refused.status).toBe(503);
    expect(refused.text).toContain("gateway_overloaded");
    fake.step();
    await running;
    expect((await post(url, INITIALIZE, {})).status).toBe(200);
  });

  test("trap-07 a request whose id is in flight in its session is not forwarded again", async () => {
    const { url, fake } = await start();
    const headers = await openSession(url);
    const slow =
      '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","arguments":{"steps":1,"wait":true}}}';
    const first = post(url, slow, headers);
    await expect.poll(() => fake.calls.length).toBe(1);
    const second = await post(url, slow, headers);
    const another = await post(url, slow.replace('"id":5', '"id":"5"').replace("slow", "echo"), headers);
    expect(JSON.parse(second.text)).toMatchObject({
      id: 5,
      error: {
        code: -32009,
        data: { reason: "duplicate_in_flight", callId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      },
    });
    expect(another.status).toBe(200);
    fake.step();
    expect(JSON.parse((await first).text).result.content[0].text).toBe("1 steps");
    expect(fake.calls.map((call) => call.tool)).toEqual(["slow", "echo"]);
  });

  test("trap-07 takes an idempotency key from the header, from _meta or the same from both", async () => {
    const { url, gate, fake } = await start();
    const headers = await openSession(url);
    const echo = (key?: unknown): string =>
      `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"echo","arguments":{"message":"m"}${key === undefined ? "" : `,"_meta":{"writ/idempotency-key":${JSON.stringify(key)}}`}}}`;
    const keyed = (value: string) => ({ ...headers, "idempotency-key": value });
    expect((await post(url, echo(), keyed('"k 1"'))).status).toBe(200);
    expect((await post(url, echo("k 1"), headers)).status).toBe(200);
    expect((await post(url, echo("k 1"), keyed('"k 1"'))).status).toBe(200);
    expect((await post(url, echo(), headers)).status).toBe(200);
    const keys = gate.calls.filter(({ action }) => action === "tool.call").map((call) => call.idempotencyKey);
    expect(keys).toEqual(["k 1", "k 1", "k 1", undefined]);
    const sent = fake.calls.length;
    const reasonOf = ({ text }: { readonly text: string }): unknown => JSON.parse(text).error.data.reason;
    expect(reasonOf(await post(url, echo("other"), keyed('"k 1"')))).toBe("fault_header");
    expect(reasonOf(await post(url, echo(), keyed('"open')))).toBe("fault_header");
    for (const key of ["", 1, null, "x".repeat(256), "é"]) {
      expect(reasonOf(await post(url, echo(key), headers)), String(key)).toBe("fault_params");
    }
    expect(fake.calls.length).toBe(sent);
  });

  test("lets nobody cancel another session's request", async () => {
    const { url, fake, gate } = await start();
    const own = await openSession(url);
    const other = await openSession(url);
    const cancel = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}';
    const slow =
      '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","arguments":{"steps":1,"wait":true}}}';
    const call = post(url, slow, own);
    await expect.poll(() => fake.calls.length).toBe(1);
    expect((await post(url, cancel, other)).status).toBe(202);
    expect(gate.ends.every((end) => end.kind === "answered")).toBe(true);
    expect((await post(url, cancel, own)).status).toBe(202);
    expect(JSON.parse((await call).text).error.data.reason).toBe("upstream_failed");
  });

  test("cuts the call when the agent goes away", async () => {
    const { url, fake, gate } = await start();
    const headers = await openSession(url);
    const cut = new AbortController();
    const call = fetch(url, {
      method: "POST",
      signal: cut.signal,
      headers: {
        authorization: "Bearer good",
        "content-type": "application/json",
        accept: "application/json",
        ...headers,
      },
      body: '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","arguments":{"steps":1,"wait":true}}}',
    });
    await expect.poll(() => fake.calls.length).toBe(1);
    cut.abort();
    await expect(call).rejects.toThrow();
    await expect.poll(() => gate.ends.at(-1)?.kind).toBe("broken");
  });

  test("turns a long JSON answer into a stream only for those who accept one", async () => {
    const { url, fake } = await start({ routes: { keepAliveMs: 10 } });
    const headers = await openSession(url);
    const slow =
      '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","arguments":{"steps":1,"wait":true}}}';
    const streamed = await fetch(url, {
      method: "POST",
      headers: {
        authorization: "Bearer good",
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...headers,
      },
      body: slow,
    });
    expect(streamed.headers.get("content-type")).toBe("text/event-stream");
    expect(streamed.headers.get("writ-call-id")).not.toBeNull();
    fake.step();
    const text = await streamed.text();
    expect(text).toContain(": waiting");
    expect(text).toMatch(/data: \{"jsonrpc":"2.0","id":5,"result":.*\n\n$/);
    const plain = post(url, slow, { ...headers, accept: "application/json" });
    fake.step();
    expect((await plain).headers.get("content-type")).toBe("application/json");
  });

  test("answers a call whose upstream broke with its reason", async () => {
    const { url } = await start();
    const headers = await openSession(url);
    const answer = await post(url, '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"die"}}', headers);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({
      id: 5,
      error: { code: -32019, data: { reason: "upstream_failed" } },
    });
    expect(answer.headers.get("writ-call-id")).toBe(JSON.parse(answer.text).error.data.callId);
  });

  test.each([
    ["a batch", "[]", {}, 400],
    ["a batch of requests", `[${INITIALIZE}]`, {}, 400],
    ["an id that is null", '{"jsonrpc":"2.0","id":null,"method":"ping"}', {}, 400],
    ["an id that is a fraction", '{"jsonrpc":"2.0","id":1.5,"method":"ping"}', {}, 400],
    ["a response", '{"jsonrpc":"2.0","id":1,"result":{}}', {}, 400],
    ["another media type", INITIALIZE, { "content-type": "text/plain" }, 415],
    ["an answer of another media type", INITIALIZE, { accept: "image/png" }, 415],
    [
      "a revision that is not known",
      '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      { "mcp-protocol-version": "1999-01-01" },
      400,
    ],
    ["a request without its session", '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', {}, 400],
    ["params that are a list", '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}', {}, 400],
    ["an initialize without a version", '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}', {}, 400],
  ])("refuses %s", async (_name, body, headers, status) => {
    const { url, gate } = await start();
    expect((await post(url, body, headers)).status).toBe(status);
    expect(gate.calls).toEqual([]);
  });

  test("R-DENY-2 answers other methods as not supported, in the manner of each revision", async () => {
    const { url } = await start();
    const headers = await openSession(url);
    for (const method of ["resources/list", "prompts/list", "resources/subscribe", "server/discover"]) {
      const answer = await post(url, `{"jsonrpc":"2.0","id":1,"method":"${method}"}`, headers);
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.text).error.code).toBe(-32601);
    }
    const answer = await post(
      url,
      `{"jsonrpc":"2.0","id":1,"method":"no/such","params":{${META}}}`,
      stateless("no/such"),
    );
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text).error.code).toBe(-32601);
    expect((await fetch(url, { headers: { authorization: "Bearer good" } })).status).toBe(405);
  });

  test.each(["/mcp/fake", "/mcp"])("a level of logs that is denied is not set, on %s", async (path) => {
    const isLevel = (call: AgentCall): boolean => call.message?.method === "logging/setLevel";
    const { port, gate } = await start({
      deny: (call) =>
        isLevel(call) && call.message?.params.includes("debug") ? denial("policy_default_deny") : undefined,
    });
    const url = `http://127.0.0.1:${port}${path}`;
    const headers = await openSession(url);
    const set = (level: string) =>
      post(url, `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"${level}"}}`, headers);
    const told: unknown[] = [];
    for (const level of ["error", "debug", "warning"]) {
      await set(level);
      const name = path === "/mcp" ? "fake__echo" : "echo";
      const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${name}","arguments":{"message":""}}}`;
      await post(url, call, headers);
      told.push(gate.calls.at(-1)?.message?.logLevel);
    }
    expect(told).toEqual(['"error"', '"error"', '"warning"']);
    expect(gate.ends.filter(({ kind }) => kind === "denied")).toHaveLength(path === "/mcp" ? 2 : 1);
  });

  describe("a batch", () => {
    const call = (id: number, message: string): string =>
      `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"echo","arguments":{"message":"${message}"}}}`;

    test("of revision 2025-03-26 has each member judged as a call, and one answer with all of theirs", async () => {
      const { url, gate } = await start({
        deny: (one) => (one.arguments["message"] === "b" ? denial("caveat_args") : undefined),
      });
      const headers = await openSession(url, {}, "2025-03-26");
      const seen = gate.calls.length;
      const notification = '{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}';
      const answer = await post(
        url,
        `[${call(7, "a")}, ${notification},${call(8, "b")},{"id":9},${INITIALIZE}]`,
        headers,
      );
      expect(answer.status).toBe(200);
      const members = JSON.parse(answer.text) as { id: unknown; result?: unknown; error?: { code: number } }[];
      expect(members.map(({ id }) => id)).toEqual([7, 8, 9, 1]);
      expect(members[0]?.result).toMatchObject({ content: [{ text: "a" }] });
      expect(members[1]?.error?.code).toBe(-32010);
      expect(members[2]?.error?.code).toBe(-32600);
      expect(members[3]?.error?.code).toBe(-32600);
      expect(gate.calls.slice(seen).map(({ action }) => action)).toEqual(["tool.call", "tool.call"]);
    });

    test("trap-07 has no one idempotency key for all of its calls", async () => {
      const { url, gate } = await start();
      const headers = { ...(await openSession(url, {}, "2025-03-26")), "idempotency-key": '"k"' };
      const before = gate.calls.length;
      expect((await post(url, `[${call(7, "a")},${call(8, "b")}]`, headers)).status).toBe(400);
      expect(gate.calls.length).toBe(before);
    });

    test("of notifications alone has no answer", async () => {
      const { url } = await start();
      const headers = await openSession(url, {}, "2025-03-26");
      const answer = await post(url, '[{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}]', headers);
      expect(answer).toMatchObject({ status: 202, text: "" });
    });

    test.each([
      ["of a later revision", "2025-06-18", `[${call(1, "a")}]`],
      ["without a member", "2025-03-26", "[]"],
      ["of more than 20", "2025-03-26", `[${Array.from({ length: 21 }, (_, id) => call(id, "a")).join(",")}]`],
    ])("%s is refused whole", async (_, revision, body) => {
      const { url, gate } = await start();
      const headers = await openSession(url, {}, revision);
      const seen = gate.calls.length;
      expect((await post(url, body, headers)).status).toBe(400);
      expect(gate.calls.length).toBe(seen);
    });

    test("with one id twice is answered for the first and refused for the second", async () => {
      const { url } = await start();
      const headers = await openSession(url, {}, "2025-03-26");
      const { text } = await post(url, `[${call(1, "a")},${call(1, "b")}]`, headers);
      const [first, second] = JSON.parse(text) as { result?: unknown; error?: { code: number } }[];
      expect(first?.result).toBeDefined();
      expect(second?.error?.code).toBe(-32009);
    });
  });

  test("an answer to a question that nobody asked is taken and ignored, and needs a session", async () => {
    const { url, gate } = await start();
    const answer = '{"jsonrpc":"2.0","id":"guessed","result":{}}';
    expect((await post(url, answer)).status).toBe(400);
    const headers = await openSession(url);
    const seen = gate.calls.length;
    expect((await post(url, answer, headers)).status).toBe(202);
    expect((await post(url, '{"jsonrpc":"2.0","id":"x","result":{},"error":{}}', headers)).status).toBe(400);
    expect(gate.calls.length).toBe(seen);
  });

  test("an unknown upstream is one that does not exist", async () => {
    const { port } = await start();
    const answer = await post(`http://127.0.0.1:${port}/mcp/nobody`, INITIALIZE);
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text).reason).toBe("upstream_unknown");
  });
});

describe("the stream of a call", () => {
  const slow = (steps: number, more = "") =>
    `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","arguments":{"steps":${steps},"wait":true},"_meta":{"progressToken":"p"}${more}}}`;

  interface Listening {
    readonly response: Response;
    /** The text of the stream as soon as it has this. */
    until(text: string): Promise<string>;
    end(): Promise<string>;
    leave(): void;
  }

  async function hear(url: string, headers: Record<string, string>, body?: string): Promise<Listening> {
    const cut = new AbortController();
    const usual = { authorization: "Bearer good", accept: "application/json, text/event-stream" };
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const method = body === undefined ? "GET" : "POST";
    const init = { method, headers: { ...usual, ...type, ...headers }, signal: cut.signal };
    const response = await fetch(url, body === undefined ? init : { ...init, body });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let heard = "";
    const read = async (): Promise<boolean> => {
      const part = await reader?.read();
      heard += part?.value ?? "";
      return part?.done !== false;
    };
    return {
      response,
      async until(text) {
        while (!heard.includes(text)) if (await read()) throw new Error(`ended: ${heard}`);
        return heard;
      },
      async end() {
        while (!(await read()));
        return heard;
      },
      leave: () => cut.abort(),
    };
  }

  const idsOf = (text: string): readonly string[] => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? "");
  const messagesOf = (text: string): readonly unknown[] =>
    [...text.matchAll(/^data: (.+)$/gm)].map(([, data]) => JSON.parse(data ?? ""));
  const progress = (step: number, total: number) => ({
    jsonrpc: "2.0",
    method: "notifications/progress",
    params: { progressToken: "p", progress: step, total, "x-more": 1 },
  });

  test.each(["2025-11-25", "2025-06-18", "2025-03-26"])(
    "of %s that breaks off goes on where it stopped, and the upstream is called once",
    async (revision) => {
      const { url, fake, gate } = await start();
      const headers = await openSession(url, {}, revision);
      const first = await hear(url, headers, slow(3));
      fake.step();
      const before = await first.until('"progress":1');
      const primed = revision === "2025-11-25" ? 1 : 0;
      expect(idsOf(before).length).toBe(1 + primed);
      first.leave();
      fake.step();
      const second = await hear(url, { ...headers, "last-event-id": idsOf(before).at(-1) ?? "" });
      expect(second.response.status).toBe(200);
      expect(second.response.headers.get("content-type")).toBe("text/event-stream");
      expect(second.response.headers.get("writ-call-id")).toBe(first.response.headers.get("writ-call-id"));
      fake.step();
      const after = await second.end();
      expect(messagesOf(before)).toEqual([progress(1, 3)]);
      expect(messagesOf(after)).toEqual([
        progress(2, 3),
        progress(3, 3),
        { jsonrpc: "2.0", id: 5, result: { content: [{ type: "text", text: "3 steps" }] } },
      ]);
      expect(fake.calls.length).toBe(1);
      expect(gate.ends.at(-1)?.kind).toBe("answered");
    },
  );

  test("is kept for some time after its answer, and read to its end it is over", async () => {
    const { url, fake } = await start();
    const headers = await openSession(url);
    const call = await hear(url, headers, slow(1));
    fake.step();
    const ids = idsOf(await call.end());
    const again = await hear(url, { ...headers, "last-event-id": ids[1] ?? "" });
    expect(messagesOf(await again.end())).toMatchObject([{ id: 5 }]);
    const done = await hear(url, { ...headers, "last-event-id": ids[2] ?? "" });
    expect([done.response.status, await done.end()]).toEqual([204, ""]);
    const gone = await hear(url, { ...headers, "last-event-id": ids[1] ?? "" });
    expect([gone.response.status, JSON.parse(await gone.end()).reason]).toEqual([400, "fault_event_id"]);
  });

  test("trap-28 is as unknown to another token and another session as one that never was", async () => {
    const { url, fake } = await start();
    const headers = await openSession(url);
    const other = await openSession(url);
    const stranger = { ...(await openSession(url, { authorization: "Bearer better" })) };
    const call = await hear(url, headers, slow(1));
    const from = idsOf(await call.until("\n\n"))[0] ?? "";
    const never = `${"x".repeat(22)}.0`;
    const answer = async (own: Record<string, string>, id: string) => {
      const heard = await hear(url, { ...own, "last-event-id": id });
      return [heard.response.status, await heard.end()];
    };
    for (const own of [other, stranger]) expect(await answer(own, from)).toEqual(await answer(own, never));
    expect(await answer(other, from)).toEqual([400, expect.stringContaining("fault_event_id")]);
    // Its session does not exist for another token.
    expect(await answer({ ...headers, authorization: "Bearer better" }, from)).toEqual([
      404,
      expect.stringContaining("fault_session"),
    ]);
    fake.step();
    expect(messagesOf(await call.end())).toMatchObject([{}, { id: 5 }]);
  });

  test("that broke off is still in flight: its id is taken, and the call can be cancelled", async () => {
    const { url, fake, gate } = await start();
    const headers = await openSession(url);
    const call = await hear(url, headers, slow(9));
    fake.step();
    const ids = idsOf(await call.until("progress"));
    call.leave();
    const duplicate = await post(url, slow(9), headers);
    expect(JSON.parse(duplicate.text).error.data.reason).toBe("duplicate_in_flight");
    await post(url, '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}', headers);
    await expect.poll(() => gate.ends.at(-1)?.kind).toBe("broken");
    await expect.poll(() => fake.cancelled.length).toBeGreaterThan(0);
    // Whoever cancelled a call hears no more of it.
    const late = await hear(url, { ...headers, "last-event-id": ids.at(-1) ?? "" });
    expect(late.response.status).toBe(400);
  });

  test("whose agent stays away is cut", async () => {
    const { url, fake, gate } = await start({ routes: { resumeWithinMs: 20 } });
    const headers = await openSession(url);
    const call = await hear(url, headers, slow(9));
    const from = idsOf(await call.until("\n\n"))[0] ?? "";
    call.leave();
    await expect.poll(() => gate.ends.at(-1)?.kind).toBe("broken");
    await expect.poll(() => fake.cancelled.length).toBeGreaterThan(0);
    const late = await hear(url, { ...headers, "last-event-id": from });
    expect(late.response.status).toBe(400);
  });

  test.each([
    { what: "of the stateless revision", era: "stateless", routes: {} },
    { what: "where nothing is kept", era: "session", routes: { resumeWithinMs: 0 } },
    {
      what: "that found no room",
      era: "session",
      routes: { resumptionLimits: { ...RESUMPTION_LIMITS, gateway: { bytesMax: 0, overMax: 0 } } },
    },
  ] as const)("$what has no ids, and breaking it off cuts the call", async ({ era, routes }) => {
    const { url, fake, gate } = await start({ era, routes });
    const headers = era === "stateless" ? stateless("tools/call", "slow") : await openSession(url);
    const body = era === "stateless" ? slow(9).replace('"_meta":{', `${META.slice(0, -1)},`) : slow(9);
    const call = await hear(url, headers, body);
    fake.step();
    expect(idsOf(await call.until("progress"))).toEqual([]);
    call.leave();
    await expect.poll(() => gate.ends.at(-1)?.kind).toBe("broken");
  });

  test("ends with its session", async () => {
    const { url, gate } = await start();
    const headers = await openSession(url);
    const call = await hear(url, headers, slow(9));
    const from = idsOf(await call.until("\n\n"))[0] ?? "";
    call.leave();
    const ended = await fetch(url, { method: "DELETE", headers: { authorization: "Bearer good", ...headers } });
    expect(ended.status).toBe(204);
    await expect.poll(() => gate.ends.at(-1)?.kind).toBe("broken");
    const late = await hear(url, { ...headers, "last-event-id": from });
    expect(late.response.status).toBe(404);
  });

  test.each(clients.filter(({ name }) => !name.includes("auto")))(
    "$name fetches what it missed",
    async ({ connect: connectClient }) => {
      const { url, fake } = await start();
      const through = await startBreakingProxy(url);
      cleanups.push(() => through.close());
      const client = await connectClient(through.url);
      const heard: number[] = [];
      const answer = client.call(
        "slow",
        { steps: 3, wait: true },
        { onprogress: ({ progress: step }) => heard.push(step) },
      );
      fake.step();
      await expect.poll(() => heard).toEqual([1]);
      through.breakAll();
      fake.step();
      fake.step();
      expect(await answer).toMatchObject({ content: [{ text: "3 steps" }] });
      expect(heard).toEqual([1, 2, 3]);
      expect(fake.calls.length).toBe(1);
      await client.close();
    },
  );
});

describe("the stateless revision", () => {
  const call = (name: string) =>
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${name}","arguments":{"message":"hi"},${META}}}`;

  test("is served without a session", async () => {
    const { url } = await start();
    const discovered = await post(
      url,
      `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{${META}}}`,
      stateless("server/discover"),
    );
    expect(JSON.parse(discovered.text).result).toMatchObject({
      resultType: "complete",
      supportedVersions: ["2026-07-28"],
    });
    expect(discovered.headers.get("mcp-session-id")).toBeNull();
    const listed = await post(
      url,
      `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{${META}}}`,
      stateless("tools/list"),
    );
    expect(JSON.parse(listed.text).result).toMatchObject({ resultType: "complete", ttlMs: 0, cacheScope: "private" });
    expect(listed.text).toContain(MCP_UPSTREAM_TOOLS[0]);
    const called = await post(url, call("echo"), stateless("tools/call", "echo"));
    expect(JSON.parse(called.text).result.content[0].text).toBe("hi");
    const encoded = await post(url, call("echo"), stateless("tools/call", `=?base64?${btoa("echo")}?=`));
    expect(encoded.status).toBe(200);
  });

  test.each([
    ["another tool in the header", stateless("tools/call", "add")],
    ["no tool in the header", stateless("tools/call")],
    ["another method in the header", stateless("tools/list", "echo")],
    ["no method in the header", { "mcp-protocol-version": "2026-07-28", "mcp-name": "echo" }],
    ["another revision in the header", { ...stateless("tools/call", "echo"), "mcp-protocol-version": "2025-11-25" }],
    ["no revision in the header", { "mcp-method": "tools/call", "mcp-name": "echo" }],
    ["a name that is not base64", stateless("tools/call", "=?base64?####?=")],
  ])("R-DENY-4 refuses %s as a header mismatch", async (_name, headers) => {
    const { url, gate } = await start();
    const answer = await post(url, call("echo"), headers);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ id: 1, error: { code: -32020 } });
    expect(gate.calls).toEqual([]);
  });

  test("says by a header whether an error is its own or the upstream's, which may say anything", async () => {
    const { url } = await start({
      deny: (one) => (one.arguments["message"] === "no" ? denial("budget_exhausted") : undefined),
    });
    const told: [unknown, string | null][] = [];
    for (const body of [call("error"), call("echo").replace('"hi"', '"no"'), call("die")]) {
      const name = String(JSON.parse(body).params.name);
      const { text, headers } = await post(url, body, stateless("tools/call", name));
      told.push([JSON.parse(text).error.code, headers.get("writ-reason")]);
    }
    expect(told).toEqual([
      [-32603, null],
      [-32016, "budget_exhausted"],
      [-32019, "upstream_failed"],
    ]);
  });

  test.each(["/mcp/fake", "/mcp"])("listens to a hundred resources with one request, on %s", async (path) => {
    const { port, gate } = await start({
      era: "stateless",
      deny: ({ action }) => (action === "resource.subscribe" ? denial("policy_default_deny") : undefined),
    });
    const uris = (many: number) =>
      Array.from({ length: many }, (_, at) => (path === "/mcp" ? `fake+r:${at}` : `r:${at}`));
    const listen = (many: number) => {
      const notifications = JSON.stringify({ resourceSubscriptions: uris(many) });
      const body = `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":${notifications},${META}}}`;
      return post(`http://127.0.0.1:${port}${path}`, body, stateless("subscriptions/listen"));
    };
    const refused = await listen(101);
    expect([refused.status, refused.headers.get("writ-reason"), gate.calls.length]).toEqual([400, "fault_params", 0]);
    await listen(100);
    expect(gate.calls.filter(({ action }) => action === "resource.subscribe")).toHaveLength(100);
  });

  test("names the revisions it knows to whoever asks for another", async () => {
    const { url } = await start();
    const body = call("echo").replace("2026-07-28", "2030-01-01");
    const answer = await post(url, body, { ...stateless("tools/call", "echo"), "mcp-protocol-version": "2030-01-01" });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text).error).toMatchObject({ code: -32022, data: { requested: "2030-01-01" } });
  });

  test("demands the metadata that every request carries", async () => {
    const { url } = await start();
    const answer = await post(
      url,
      '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}',
      stateless("tools/list"),
    );
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text).error.code).toBe(-32602);
  });

  test("trap-07 a duplicate id on one connection is not forwarded", async () => {
    const { url, port, fake } = await start();
    const body = call("slow").replace('"message":"hi"', '"steps":1,"wait":true');
    const request = (text: string): string =>
      `POST ${new URL(url).pathname} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nauthorization: Bearer good\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: slow\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
    const socket = connect(port, "127.0.0.1");
    let received = "";
    socket.on("data", (chunk) => {
      received += String(chunk);
    });
    socket.write(request(body) + request(body));
    await expect.poll(() => fake.calls.length).toBe(1);
    fake.step();
    await expect.poll(() => received).toContain("duplicate_in_flight");
    expect(fake.calls.length).toBe(1);
    socket.destroy();
  });
});

describe("a refusal on the wire", () => {
  const cases: readonly [string, Denial, number, object][] = [
    [
      "an argument",
      denial("caveat_args", false, { check: "args", secret: "x" }),
      200,
      { code: -32010, data: { reason: "caveat_args", check: "args" } },
    ],
    [
      "a budget",
      denial("budget_exhausted", false, { remaining: 0, resetsAt: "2026-01-01T00:00:00Z" }),
      200,
      { code: -32016, data: { remaining: 0 } },
    ],
    [
      "a rate",
      denial("rate_denials", false, { retryAfterSeconds: 0.2 }),
      429,
      { code: -32017, data: { retryAfterSeconds: 1 } },
    ],
    [
      "a journal that does not answer",
      denial("journal_unavailable"),
      503,
      { code: -32019, data: { reason: "journal_unavailable" } },
    ],
  ];
  const echo = '{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"echo"}}';

  test.each(cases)("because of %s is explained as far as the agent may know", async (_name, refused, status, error) => {
    const { url } = await start({ deny: (call) => (call.action === "tool.call" ? refused : undefined) });
    const answer = await post(url, echo, await openSession(url));
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({ id: 9, error });
    expect(answer.text).not.toContain("operators");
    expect(answer.text).not.toContain("secret");
    if (status === 429) expect(answer.headers.get("retry-after")).toBe("1");
  });

  test("of a hidden tool cannot be told from a tool that does not exist", async () => {
    const reasons: readonly Denial[] = [
      denial("tool_unknown"),
      denial("caveat_tool_not_listed", true),
      denial("policy_denied", true, { check: "rule 7" }),
      denial("policy_default_deny", true),
      denial("tool_quarantined", true),
    ];
    const seen = new Set<string>();
    for (const refused of reasons) {
      const { url } = await start({ deny: (call) => (call.action === "tool.call" ? refused : undefined) });
      const answer = await post(url, echo, await openSession(url));
      const headers = [...answer.headers].filter(([name]) => name !== "date" && name !== "writ-call-id");
      seen.add(JSON.stringify([answer.status, headers, answer.text]));
    }
    expect([...seen]).toEqual([expect.stringContaining("Unknown tool: echo")]);
  });

  test("of a revoked token or an engaged kill switch is a challenge", async () => {
    for (const [reason, status] of [
      ["token_revoked", 401],
      ["kill_engaged", 403],
    ] as const) {
      const { url } = await start({ deny: () => denial(reason) });
      const answer = await post(url, INITIALIZE);
      expect(answer.status).toBe(status);
      expect(answer.headers.get("www-authenticate")).toContain("resource_metadata");
      expect(JSON.parse(answer.text)).toMatchObject({ reason });
    }
  });
});
