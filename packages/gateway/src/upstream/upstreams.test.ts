import { spawn, spawnSync } from "node:child_process";
import { hash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type Server as HttpServer, type ServerResponse } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, fromJsonSchema, McpServer } from "@modelcontextprotocol/server";
import type { Upstream } from "@writ/contract";
import { pinnedTextOf } from "@writ/core";
import { openKeyring, wrapEnvironmentValue } from "@writ/runtime";
import { MCP_UPSTREAM_TOOLS, type McpUpstream, startMcpUpstream } from "@writ/testkit";
import { afterEach, describe, expect, test } from "vitest";
import type { AnswerSink, SendOutcome, UpstreamMessage } from "../ports.ts";
import { createCredentialFiles } from "./credential-files.ts";
import { UPSTREAM_LIMITS, type UpstreamLimits } from "./limits.ts";
import { createOpenEnvironment } from "./open-environment.ts";
import { createUpstreams, type UpstreamHealth, type Upstreams, type UpstreamsOptions } from "./upstreams.ts";

const FAKE = fileURLToPath(new URL("../../../testkit/src/bin/mcp-upstream.ts", import.meta.url));
const EVERYTHING = fileURLToPath(
  new URL("../../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js", import.meta.url),
);
const keyring = openKeyring(randomBytes(32));
/** What calls name, and so what values of an environment are bound to. */
const PLACE = { tenantId: "t", upstreamId: "u" };
/** Wrapped once: wrapped anew it would be another transport. */
const SECRET = wrapEnvironmentValue(keyring, { ...PLACE, name: "SECRET" }, "s", randomBytes(12));
const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
const ENVIRONMENT_FILE = `/proc/${process.pid}/environ`;
const never = new AbortController().signal;
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function makeUpstreams(limits: Partial<UpstreamLimits> = {}, options: Partial<UpstreamsOptions> = {}): Upstreams {
  const upstreams = createUpstreams({
    clock,
    random: { bytes: (length) => randomBytes(length) },
    limits: { ...UPSTREAM_LIMITS, endGraceMs: 500, ...limits },
    log: () => undefined,
    version: "0.1.0",
    mode: "development",
    stdioRunner: [],
    environmentFile: ENVIRONMENT_FILE,
    allowedAddresses: ["127.0.0.0/8"],
    credentialFiles: createCredentialFiles({ directory: undefined, clock }),
    callDeadlineMs: 60_000,
    childEnvironment: { path: process.env["PATH"] ?? "", home: "/nonexistent" },
    openEnvironment: createOpenEnvironment(keyring),
    ...options,
  });
  cleanups.push(() => upstreams.close());
  return upstreams;
}

async function startFake(era: "session" | "stateless" | "legacy"): Promise<McpUpstream> {
  const fake = await startMcpUpstream({ era });
  cleanups.push(() => fake.close());
  return fake;
}

function makeHttp(url: string, changes: Partial<Upstream> = {}): Upstream {
  return {
    name: "fake",
    transport: { type: "http", url },
    isolation: "shared",
    status: "active",
    timeoutMs: 5000,
    concurrencyMax: 8,
    ...changes,
  };
}

function makeStdio(era: string, changes: Partial<Upstream> = {}): Upstream {
  return makeHttp("", {
    transport: {
      type: "stdio",
      command: process.execPath,
      args: [FAKE, "--stdio", "--era", era],
      env: { SECRET },
    },
    ...changes,
  });
}

interface Told {
  readonly outcome: SendOutcome;
  readonly notifications: readonly string[];
  readonly member: string | undefined;
  readonly json: string;
}

interface CallOptions {
  readonly isolationKey?: string;
  readonly agentKey?: string;
  readonly signal?: AbortSignal;
  readonly waitMs?: number;
  readonly onNotification?: (params: string) => void;
}

function makeMessage(tool: string, args = "{}", progress = false): UpstreamMessage {
  return { method: "tools/call", params: `{"name":"${tool}","arguments":${args}}`, progress, name: tool };
}

async function call(
  upstreams: Upstreams,
  upstream: Upstream,
  message: UpstreamMessage,
  options: CallOptions = {},
): Promise<Told> {
  const slot = await upstreams.hold({
    ...PLACE,
    upstream,
    isolationKey: options.isolationKey ?? "",
    agentKey: options.agentKey ?? "",
    waitMs: options.waitMs ?? 10_000,
    signal: never,
  });
  const notifications: string[] = [];
  let member: string | undefined;
  let json = "";
  const sink: AnswerSink = {
    notification(_method, params) {
      notifications.push(params);
      options.onNotification?.(params);
    },
    response(which, text) {
      member = which;
      json = text;
    },
  };
  const outcome = await slot.send(message, sink, options.signal ?? never);
  slot.release();
  return { outcome, notifications, member, json };
}

async function listenOn(server: HttpServer): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : undefined}`;
}

async function startOfficial(transport: "streamableHttp" | "sse") {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  const port = typeof address === "object" ? address?.port : undefined;
  probe.close();
  await once(probe, "close");
  const child = spawn(process.execPath, [EVERYTHING, transport], {
    env: { PATH: process.env["PATH"], PORT: String(port) },
    stdio: ["ignore", "ignore", "pipe"],
  });
  // Read to the end: it fails where nobody reads what it says.
  await new Promise<void>((resolve) => {
    child.stderr.on("data", (text) => {
      if (/(?:listening|running) on port/.test(String(text))) resolve();
    });
  });
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

const IGNORED: AnswerSink = { notification: () => undefined, response: () => undefined };

/** Arguments larger than what a pipe holds. */
const LARGE = JSON.stringify({ text: "x".repeat(1_000_000) });

/** A server of its own process: opens sessions, and answers all else with what `answer` does with `id`, `method`, `params` and `text`. */
function stdioServer(answer: string): string {
  return `
    let rest = "";
    process.stdin.setEncoding("utf8").on("data", (chunk) => {
      const lines = (rest + chunk).split("\\n");
      rest = lines.pop();
      for (const line of lines) {
        const { id, method, params } = JSON.parse(line);
        if (id === undefined) continue;
        const opening = { protocolVersion: params.protocolVersion, capabilities: {}, serverInfo: { name: "own", version: "1" } };
        const text = JSON.stringify({ jsonrpc: "2.0", id, result: method === "initialize" ? opening : { content: [] } });
        ${answer}
      }
    }).on("end", () => process.exit());
  `;
}

/** A server that answers everything, reads no further after the tool `deaf`, and tells a port what it read. */
const DEAF_SERVER = `
  const watcher = require("node:net").connect(Number(process.argv[1]), "127.0.0.1");
  watcher.on("data", () => process.stdin.resume());
  watcher.on("error", () => undefined);
  ${stdioServer(`
    if (method === "tools/call") watcher.write(params.name + "\\n", () => process.stdout.write(text + "\\n"));
    else process.stdout.write(text + "\\n");
    if (params.name === "deaf") process.stdin.pause();
  `)}
`;

/** A server whose tools' names are the answers that they give, with ID for the id of the request. */
const VERBATIM_SERVER = stdioServer(`
  process.stdout.write((method === "tools/call" ? params.name.replaceAll("ID", id) : text) + "\\n");
`);

/** A stdio upstream whose child reads no more until it is told to. */
async function startDeafChild(limits: Partial<UpstreamLimits>) {
  const names: string[] = [];
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(async () => {
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const resumes: (() => void)[] = [];
  const gone = new Promise<void>((resolve) => {
    server.on("connection", (socket) => {
      socket.setEncoding("utf8").on("data", (text) => names.push(...String(text).trim().split("\n")));
      socket.on("error", () => undefined).once("close", () => resolve());
      resumes.push(() => socket.write("\n"));
    });
  });
  const upstreams = makeUpstreams({ backoffFirstMs: 0, backoffLastMs: 0, ...limits });
  const upstream = makeStdio("", {
    transport: { type: "stdio", command: process.execPath, args: ["-e", DEAF_SERVER, String(port)], env: {} },
  });
  const told = await call(upstreams, upstream, makeMessage("deaf"));
  expect(told.outcome.kind).toBe("completed");
  return {
    reader: {
      names,
      gone,
      resume() {
        for (const resume of resumes) resume();
      },
    },
    upstream: { call: async (tool: string) => (await call(upstreams, upstream, makeMessage(tool))).outcome },
    hold: () =>
      upstreams.hold({
        tenantId: "t",
        upstreamId: "u",
        upstream,
        isolationKey: "",
        agentKey: "",
        waitMs: 10_000,
        signal: never,
      }),
  };
}

function textOf(json: string): string {
  return JSON.parse(json).content[0].text;
}

const kinds: readonly { name: string; start: () => Promise<{ upstream: Upstream; fake: McpUpstream | undefined }> }[] =
  [
    ...(["session", "stateless", "legacy"] as const).map((era) => ({
      name: `HTTP, ${era}`,
      start: async () => {
        const fake = await startFake(era);
        return { upstream: makeHttp(fake.url), fake };
      },
    })),
    ...(["session", "stateless"] as const).map((era) => ({
      name: `stdio, ${era}`,
      start: async () => ({ upstream: makeStdio(era), fake: undefined }),
    })),
  ];

describe.each(kinds)("an upstream over $name", ({ start }) => {
  test("answers a call, and says so", async () => {
    const { upstream } = await start();
    const told = await call(makeUpstreams(), upstream, makeMessage("echo", '{"message":"hi"}'));
    expect(textOf(told.json)).toBe("hi");
    expect(told.outcome).toMatchObject({ kind: "completed", error: false, notifications: 0 });
  });

  test("R-EXACT-1 trap-55 gets the judged bytes and gives its own back: nothing is re-serialised", async () => {
    const { upstream } = await start();
    const args = '{"n":9007199254740993,"p":1.10,"e":1e400,"u":"\\u0041"}';
    const told = await call(makeUpstreams(), upstream, {
      ...makeMessage("raw"),
      params: `{"name":"raw","arguments":${args},"x-unknown":[1.0]}`,
    });
    expect(textOf(told.json)).toContain(`"arguments":${args},"x-unknown":[1.0]`);
    expect(told.json).toContain('"structuredContent" : {"big":9007199254740993,"price":1.10,"twice":1,"twice":2}');
  });

  test("reports progress without its own token", async () => {
    const { upstream } = await start();
    const told = await call(makeUpstreams(), upstream, makeMessage("slow", '{"steps":3}', true));
    expect(told.notifications).toEqual([1, 2, 3].map((n) => `{"progress":${n},"total":3,"x-more":1.0}`));
    expect(told.outcome).toMatchObject({ kind: "completed", notifications: 3 });
  });

  test("trap-64 two agents on one session never get each other's answers", async () => {
    const { upstream } = await start();
    const upstreams = makeUpstreams();
    const told = await Promise.all(
      Array.from({ length: 40 }, (_, n) => call(upstreams, upstream, makeMessage("echo", `{"message":"${n}"}`))),
    );
    expect(told.map((one) => textOf(one.json))).toEqual(Array.from({ length: 40 }, (_, n) => String(n)));
    const crossed = await call(upstreams, upstream, makeMessage("cross", "{}", true));
    expect(textOf(crossed.json)).toBe("yours");
    expect(crossed.notifications).toEqual([]);
    expect(upstreams.counts().sessions).toBe(1);
  });

  test("passes an error of the upstream on as it is", async () => {
    const { upstream } = await start();
    const told = await call(makeUpstreams(), upstream, makeMessage("error"));
    expect(told.outcome).toMatchObject({ kind: "completed", error: true });
    expect(told.json).toBe('{"code":-32603,"message":"broken on purpose","data":{"n":1.0}}');
  });

  test("is not believed when it asks the agent for input", async () => {
    const { upstream } = await start();
    const told = await call(makeUpstreams(), upstream, makeMessage("ask"));
    expect(told.outcome.kind).toBe("failed");
    expect(told.member).toBeUndefined();
  });

  test("that dies leaves the call unknown, and the next call finds it again", async () => {
    const { upstream } = await start();
    const upstreams = makeUpstreams({ backoffFirstMs: 0, backoffLastMs: 0 });
    const told = await call(upstreams, upstream, makeMessage("die"));
    expect(told.outcome.kind).toBe("unknown");
    const next = await call(upstreams, upstream, makeMessage("add", '{"a":1,"b":2}'));
    expect(textOf(next.json)).toBe("3");
  });

  test("that babbles is cut within the limit", async () => {
    const { upstream } = await start();
    const told = await call(makeUpstreams({ messageBytesMax: 100_000 }), upstream, makeMessage("babble"));
    expect(["failed", "unknown"]).toContain(told.outcome.kind);
    expect(told.outcome).toHaveProperty("detail", expect.stringContaining("100000 bytes"));
  });

  test("that answers one call without end, in small pieces, is cut within the limit", async () => {
    const { upstream } = await start();
    const told = await call(
      makeUpstreams({ answerBytesMax: 4000 }),
      upstream,
      makeMessage("slow", '{"steps":1000}', true),
    );
    expect(told.outcome).toMatchObject({ kind: "failed", detail: expect.stringContaining("4000 bytes") });
  });

  test("that stays silent is cut at the upstream's time limit", async () => {
    const { upstream } = await start();
    const told = await call(makeUpstreams(), { ...upstream, timeoutMs: 50 }, makeMessage("silent"));
    expect(told.outcome.kind).toBe("unknown");
  });

  test("is told when a call is cut, and the call has failed", async () => {
    const { upstream, fake } = await start();
    const cut = new AbortController();
    fake?.step();
    const told = await call(makeUpstreams(), upstream, makeMessage("slow", '{"steps":1000,"wait":true}', true), {
      signal: cut.signal,
      onNotification: () => cut.abort(),
    });
    expect(told.outcome.kind).toBe("failed");
    if (fake !== undefined) await expect.poll(() => fake.cancelled.length).toBeGreaterThan(0);
  });

  test("lists its tools byte for byte, over several pages", async () => {
    const { upstream } = await start();
    const catalogue = await makeUpstreams().readCatalogue("t", "u", upstream, never);
    expect(catalogue.tools.map((tool) => tool.definition)).toEqual(MCP_UPSTREAM_TOOLS);
    expect(catalogue.tools[0]?.name).toBe("echo");
    expect(JSON.parse(catalogue.serverInfo).name).toBe("testkit");
  });

  test("is not read where it lists more tools, bytes or pages than a catalogue may have", async () => {
    const { upstream } = await start();
    for (const [limits, detail] of [
      [{ catalogueToolsMax: 2 }, "more than 2 tools"],
      [{ catalogueBytesMax: 200 }, "more than 200 bytes of tools"],
      [{ cataloguePagesMax: 1 }, "more than 1 pages"],
    ] as const) {
      await expect(makeUpstreams(limits).readCatalogue("t", "u", upstream, never)).rejects.toThrow(detail);
    }
  });

  test("a call whose signal is aborted already is surely not sent", async () => {
    const { upstream, fake } = await start();
    const told = await call(makeUpstreams(), upstream, makeMessage("echo"), { signal: AbortSignal.abort() });
    expect(told.outcome.kind).toBe("aborted");
    expect(fake?.calls ?? []).toEqual([]);
  });
});

describe("upstreams over HTTP", () => {
  test("trap-46 reuse one session for many calls, and end it", async () => {
    const fake = await startFake("session");
    const upstreams = makeUpstreams();
    for (let n = 0; n < 5; n += 1) await call(upstreams, makeHttp(fake.url), makeMessage("echo"));
    expect(fake.sessionsOpened()).toBe(1);
    expect(new Set(fake.calls.map((one) => one.id)).size).toBe(5);
    await upstreams.close();
    expect(fake.others).toContain("DELETE");
  });

  test("never share a session between isolation keys", async () => {
    const fake = await startFake("session");
    const upstreams = makeUpstreams();
    await call(upstreams, makeHttp(fake.url), makeMessage("echo"), { isolationKey: "a" });
    await call(upstreams, makeHttp(fake.url), makeMessage("echo"), { isolationKey: "b" });
    expect(new Set(fake.calls.map((one) => one.mcpSession)).size).toBe(2);
  });

  test("keep sessions within their number by ending the one idle the longest", async () => {
    const fake = await startFake("session");
    const upstreams = makeUpstreams({ sessionsPerUpstreamMax: 2 });
    for (const key of ["a", "b", "c", "d"])
      await call(upstreams, makeHttp(fake.url), makeMessage("echo"), { isolationKey: key });
    expect(upstreams.counts().sessions).toBe(2);
  });

  test("open a new session after a lost one, and never repeat the call that found out", async () => {
    const fake = await startFake("session");
    const upstreams = makeUpstreams();
    await call(upstreams, makeHttp(fake.url), makeMessage("echo"));
    fake.forgetSessions();
    const lost = await call(upstreams, makeHttp(fake.url), makeMessage("echo"));
    expect(lost.outcome).toMatchObject({ kind: "failed", detail: "HTTP 404" });
    const next = await call(upstreams, makeHttp(fake.url), makeMessage("echo"));
    expect(next.outcome.kind).toBe("completed");
    expect(fake.calls.length).toBe(2);
  });

  test("leave what runs on a session alone when another call finds it lost", async () => {
    // The next call ended the session, and with it every call in flight, of whoever shared it.
    const fake = await startFake("session");
    const upstreams = makeUpstreams();
    const running = call(upstreams, makeHttp(fake.url), makeMessage("slow", '{"steps":1,"wait":true}'));
    await expect.poll(() => fake.calls.length).toBe(1);
    fake.forgetSessions();
    const lost = await call(upstreams, makeHttp(fake.url), makeMessage("echo"));
    expect(lost.outcome).toMatchObject({ kind: "failed", detail: "HTTP 404" });
    const next = await call(upstreams, makeHttp(fake.url), makeMessage("echo"));
    expect(next.outcome.kind).toBe("completed");

    fake.step();
    expect((await running).outcome).toMatchObject({ kind: "completed", error: false });
    expect(upstreams.counts().sessions).toBe(1);
    await upstreams.close();
  });

  test("open a new session, too, when the lost one is answered as a bad request", async () => {
    const fake = await startFake("session");
    const upstreams = makeUpstreams();
    await call(upstreams, makeHttp(fake.url), makeMessage("echo"));
    fake.forgetSessions(400);
    const lost = await call(upstreams, makeHttp(fake.url), makeMessage("echo"));
    expect(lost.outcome).toMatchObject({ kind: "completed", error: true });
    const next = await call(upstreams, makeHttp(fake.url), makeMessage("echo"));
    expect(next.outcome).toMatchObject({ kind: "completed", error: false });
    expect(fake.calls.length).toBe(2);
  });

  test.each(["2025-03-26", "2025-06-18", "2025-11-25"])(
    "pass every error of a server of revision %s on as it is, and keep its session",
    async (protocolVersion) => {
      const errors = [
        '{"code":-32042,"message":"sign in","data":{"elicitations":[{"mode":"url","url":"https://a.example/?x=1","elicitationId":"e"}]}}',
        '{"code":-32050,"message":"its own"}',
        '{"code":-32020,"message":"its own"}',
        '{"code":-32022,"message":"its own"}',
        '{"code":-32099,"message":"its own"}',
      ];
      const seen: string[] = [];
      const waiting = [...errors];
      const server = createHttpServer((request, response) => {
        const chunks: Buffer[] = [];
        request
          .on("data", (chunk: Buffer) => chunks.push(chunk))
          .on("end", () => {
            if (request.method !== "POST") return void response.writeHead(405).end();
            const { id, method } = JSON.parse(String(Buffer.concat(chunks)));
            seen.push(method);
            if (id === undefined) return void response.writeHead(202).end();
            const opening = { protocolVersion, capabilities: {}, serverInfo: { name: "x", version: "1" } };
            const member =
              method === "initialize"
                ? `"result":${JSON.stringify(opening)}`
                : `"error":${method === "tools/call" ? waiting.shift() : '{"code":-32601,"message":"unknown"}'}`;
            response
              .writeHead(200, { "content-type": "application/json", "mcp-session-id": "s" })
              .end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},${member}}`);
          });
      });
      const upstream = makeHttp(`${await listenOn(server)}/mcp`);
      const upstreams = makeUpstreams();

      for (const json of errors) {
        const told = await call(upstreams, upstream, makeMessage("echo"));
        expect(told).toMatchObject({ member: "error", json, outcome: { kind: "completed", error: true } });
      }
      expect(seen.filter((method) => method === "initialize")).toEqual(["initialize"]);
    },
  );

  test.each([301, 302, 303, 307, 308])(
    "R-RUN-4 trap-20 never follow a redirect (%d), whatever its body says, and send nothing again",
    async (status) => {
      const elsewhere = await startFake("session");
      const seen: string[] = [];
      const server = createHttpServer((request, response) => {
        const chunks: Buffer[] = [];
        request
          .on("data", (chunk: Buffer) => chunks.push(chunk))
          .on("end", () => {
            const { id, method } = JSON.parse(String(Buffer.concat(chunks)));
            seen.push(method);
            const opening = {
              protocolVersion: "2025-11-25",
              capabilities: {},
              serverInfo: { name: "x", version: "1" },
            };
            const result = method === "initialize" ? opening : { content: [{ type: "text", text: "believed" }] };
            const isRedirect = method === "tools/call";
            response.writeHead(isRedirect ? status : id === undefined ? 202 : 200, {
              "content-type": "application/json",
              ...(isRedirect ? { location: elsewhere.url } : {}),
            });
            response.end(method === "server/discover" ? "{}" : JSON.stringify({ jsonrpc: "2.0", id, result }));
          });
      });
      const upstream = makeHttp(`${await listenOn(server)}/mcp`);

      const told = await call(makeUpstreams(), upstream, makeMessage("echo"));

      expect(told).toMatchObject({
        member: undefined,
        outcome: { kind: "failed", detail: `the upstream redirects (HTTP ${status}), which is never followed` },
      });
      expect(seen.filter((method) => method === "tools/call")).toEqual(["tools/call"]);
      expect([...elsewhere.calls, ...elsewhere.others]).toEqual([]);
    },
  );

  test("trap-20 are unavailable when they redirect the start of a session, and say so", async () => {
    const server = createHttpServer((_request, response) => response.writeHead(302, { location: "/other" }).end());
    const upstream = makeHttp(`${await listenOn(server)}/mcp`);
    await expect(call(makeUpstreams(), upstream, makeMessage("echo"))).rejects.toThrow(/redirects \(HTTP 302\)/);
  });

  test("call it failed when the stream breaks after it began", async () => {
    const fake = await startFake("session");
    const told = await call(makeUpstreams(), makeHttp(fake.url), makeMessage("fail-after-headers"));
    expect(told.outcome.kind).toBe("failed");
  });

  test("give the protocol fields of the stateless revision, their own capabilities and no one else's", async () => {
    const fake = await startFake("stateless");
    const params =
      '{"name":"echo","arguments":{},"_meta":{"x":1.0,"io.modelcontextprotocol/clientCapabilities":{"sampling":{}},"io.modelcontextprotocol/protocolVersion":"2025-11-25"}}';
    const told = await call(makeUpstreams(), makeHttp(fake.url), { ...makeMessage("echo"), params });
    expect(told.outcome.kind).toBe("completed");
    expect(fake.calls[0]?.text).toContain('"x":1.0');
    expect(JSON.parse(fake.calls[0]?.text ?? "").params._meta).toMatchObject({
      "io.modelcontextprotocol/clientCapabilities": {},
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    });
  });

  test("trap-53 hold a slot before the send: no more calls at once than the upstream takes, and no wait without end", async () => {
    const fake = await startFake("session");
    const upstreams = makeUpstreams();
    const upstream = makeHttp(fake.url, { concurrencyMax: 1 });
    const hold = {
      tenantId: "t",
      upstreamId: "u",
      upstream,
      isolationKey: "",
      agentKey: "",
      waitMs: 20,
      signal: never,
    };
    // The first one opens the session, which takes what it takes.
    const first = await upstreams.hold({ ...hold, waitMs: 30_000 });
    await expect(upstreams.hold(hold)).rejects.toMatchObject({ reason: "upstream_unavailable" });
    const waiting = upstreams.hold({ ...hold, waitMs: 30_000 });
    first.release();
    first.release();
    const second = await waiting;
    await expect(upstreams.hold(hold)).rejects.toMatchObject({ reason: "upstream_unavailable" });
    second.release();
  });

  test("are given up for a while after some failures in a row, with advice, and are found again", async () => {
    const fake = await startFake("session");
    const { port } = new URL(fake.url);
    await fake.close();
    const health: UpstreamHealth[] = [];
    const upstreams = makeUpstreams(
      { breakerFailures: 2, backoffFirstMs: 500, backoffLastMs: 500 },
      { onHealth: (change) => health.push(change) },
    );
    const upstream = makeHttp(fake.url);
    const echo = () => call(upstreams, upstream, makeMessage("echo"));
    await expect(echo()).rejects.toThrow(/ECONNREFUSED/);
    await expect(echo()).rejects.toThrow(/ECONNREFUSED/);
    await expect(echo()).rejects.toMatchObject({
      reason: "upstream_unavailable",
      message: expect.stringMatching(/given time.*ECONNREFUSED/),
      data: { retryAfterSeconds: 1 },
    });
    const again = await startMcpUpstream({ era: "session", port: Number(port) });
    cleanups.push(() => again.close());
    await expect
      .poll(() =>
        echo().then(
          ({ outcome }) => outcome.kind,
          () => "denied",
        ),
      )
      .toBe("completed");
    expect(health).toMatchObject([
      {
        tenantId: "t",
        upstream: "fake",
        state: "unavailable",
        failures: 2,
        detail: expect.stringMatching(/ECONNREFUSED/),
      },
      { tenantId: "t", upstream: "fake", state: "available" },
    ]);
  });

  test("are probed by one session of the gateway's own, and by no agent's call", async () => {
    const asked: string[] = [];
    const waiting: (() => void)[] = [];
    let healthy = false;
    const server = createHttpServer((request, response) => {
      request.resume();
      const method = String(request.headers["mcp-method"] ?? "initialize");
      if (!healthy) return void response.writeHead(503).end();
      asked.push(method);
      const discovery = { supportedVersions: ["2026-07-28"], resultType: "complete" };
      const result = method === "tools/call" ? { content: [], resultType: "complete" } : discovery;
      const id = asked.length === 1 ? 1 : asked.length;
      const answer = () =>
        response
          .writeHead(200, { "content-type": "application/json" })
          .end(JSON.stringify({ jsonrpc: "2.0", id, result }));
      if (method === "server/discover") waiting.push(answer);
      else answer();
    });
    const upstream = makeHttp(`${await listenOn(server)}/mcp`);
    const upstreams = makeUpstreams({ breakerFailures: 1, backoffFirstMs: 0, backoffLastMs: 0 });
    await expect(call(upstreams, upstream, makeMessage("echo"))).rejects.toThrow(/HTTP 503/);

    healthy = true;
    const calls = Array.from({ length: 5 }, () =>
      call(upstreams, upstream, makeMessage("echo")).then(
        ({ outcome }) => outcome.kind,
        (error) => error.reason,
      ),
    );
    await expect.poll(() => waiting.length).toBe(1);
    const denied = await Promise.all(calls.slice(1));
    expect(asked).toEqual(["server/discover"]);
    waiting[0]?.();

    expect(denied).toEqual(Array(4).fill("upstream_unavailable"));
    expect(await calls[0]).toBe("completed");
    expect(asked).toEqual(["server/discover", "tools/call"]);
  });

  test.each([
    ["that time out", "silent", 50],
    ["that are answered with HTTP 503", "sick", 5000],
  ])("are given up after calls %s, and a session that opens is proof enough", async (_name, tool, timeoutMs) => {
    const fake = await startFake("stateless");
    const health: string[] = [];
    const upstreams = makeUpstreams(
      { breakerFailures: 2, backoffFirstMs: 60_000, backoffLastMs: 60_000 },
      { onHealth: ({ state }) => health.push(state) },
    );
    const upstream = makeHttp(fake.url, { timeoutMs });
    await call(upstreams, upstream, makeMessage(tool));
    await call(upstreams, upstream, makeMessage("echo"));
    await call(upstreams, upstream, makeMessage(tool));
    expect(health).toEqual([]);
    await call(upstreams, upstream, makeMessage(tool));
    expect(health).toEqual(["unavailable"]);
    await expect(call(upstreams, upstream, makeMessage("echo"))).rejects.toThrow(/given time/);
    expect(fake.calls.length).toBe(4);
  });

  test.each([
    ["time out", "silent", 50],
    ["break the connection", "die", 5000],
  ])("are not given up for one agent's calls that %s, while another uses them", async (_name, tool, timeoutMs) => {
    const fake = await startFake("stateless");
    const upstreams = makeUpstreams({ breakerFailures: 2, backoffFirstMs: 60_000, backoffLastMs: 60_000 });
    const upstream = makeHttp(fake.url, { timeoutMs });
    const echo = () => call(upstreams, upstream, makeMessage("echo"), { agentKey: "other" });
    const fail = (agentKey: string) => call(upstreams, upstream, makeMessage(tool), { agentKey });
    await echo();
    for (let n = 0; n < 4; n += 1) await fail("one");
    expect((await echo()).outcome.kind).toBe("completed");
    await fail("one");
    await fail("other");
    await expect(echo()).rejects.toThrow(/given time/);
  });

  test("are not given up for one agent whose calls end their child, while another uses them", async () => {
    const upstreams = makeUpstreams({ breakerFailures: 2, backoffFirstMs: 60_000, backoffLastMs: 60_000 });
    const upstream = makeStdio("session");
    const echo = (agentKey: string, isolationKey: string) =>
      call(upstreams, upstream, makeMessage("echo"), { agentKey, isolationKey });
    const places = ["1", "2", "3"];
    await echo("other", "4");
    await Promise.all(places.map((place) => echo("one", place)));
    await Promise.all(
      places.map((isolationKey) => call(upstreams, upstream, makeMessage("die"), { agentKey: "one", isolationKey })),
    );
    expect((await echo("other", "4")).outcome.kind).toBe("completed");
  });

  test("are tried by nobody who waited while they were given up", async () => {
    let answered = 0;
    const server = createHttpServer((_request, response) => {
      answered += 1;
      response.destroy();
    });
    const transport = { type: "http_api", url: await listenOn(server), routes: [] } as const;
    const upstream = makeHttp("", { transport, concurrencyMax: 1 });
    const upstreams = makeUpstreams({ breakerFailures: 1, backoffFirstMs: 60_000, backoffLastMs: 60_000 });
    const hold = () =>
      upstreams.hold({ ...PLACE, upstream, isolationKey: "", agentKey: "", waitMs: 10_000, signal: never });
    const first = await hold();
    const waiting = Promise.allSettled([hold(), hold()]);
    const target = { method: "GET", path: "/", query: "" };
    const sink = { head: () => undefined, data: () => undefined };
    await first.sendHttp({ target, headers: [], body: undefined }, sink, never);
    first.release();
    for (const held of await waiting) {
      expect(held).toMatchObject({ status: "rejected", reason: { message: expect.stringContaining("given time") } });
    }
    expect(answered).toBe(1);
  });

  test("are not given up for calls that the gateway cut, or that failed with an answer", async () => {
    const fake = await startFake("session");
    const upstreams = makeUpstreams({ breakerFailures: 1, backoffFirstMs: 60_000, backoffLastMs: 60_000 });
    const upstream = makeHttp(fake.url);
    const cut = new AbortController();
    const silent = call(upstreams, upstream, makeMessage("silent"), { signal: cut.signal });
    await expect.poll(() => fake.calls.length).toBe(1);
    cut.abort();
    await silent;
    for (const tool of ["error", "redirect", "ask", "echo"]) await call(upstreams, upstream, makeMessage(tool));
    expect(fake.calls.length).toBe(5);
  });

  test("trap-21 are refused for their address, with what to do about it, and nothing is sent", async () => {
    const fake = await startFake("session");
    const upstreams = makeUpstreams({}, { allowedAddresses: ["10.0.0.0/8"] });
    const held = call(upstreams, makeHttp(fake.url), makeMessage("echo"));
    await expect(held).rejects.toMatchObject({
      reason: "upstream_address_refused",
      message: expect.stringMatching(/^127\.0\.0\.1 has an address that is of the kind loopback, .*allowedAddresses/),
    });
    const read = upstreams.readCatalogue("t", "u", makeHttp(fake.url), never);
    await expect(read).rejects.toMatchObject({ reason: "upstream_address_refused" });
    expect([...fake.calls, ...fake.others]).toEqual([]);
  });

  test("trap-21 a call on a session that stands is not sent over a connection to another address", async () => {
    const fake = await startFake("session");
    const { port } = new URL(fake.url);
    let address = "127.0.0.1";
    const upstreams = makeUpstreams({}, { resolve: async () => [{ address, family: 4 }] });
    const upstream = makeHttp(`http://rebind.example:${port}/mcp`);
    expect((await call(upstreams, upstream, makeMessage("echo"))).outcome.kind).toBe("completed");
    await call(upstreams, upstream, makeMessage("die"));
    const before = fake.calls.length;
    address = "169.254.169.254";
    // The connection ended with the last call: the next needs another.
    const told = await call(upstreams, upstream, makeMessage("echo"));
    expect(told.outcome).toMatchObject({ kind: "aborted", detail: expect.stringContaining("metadata") });
    expect(fake.calls.length).toBe(before);
  });

  test("reach the official server", async () => {
    const { url, close } = await startOfficial("streamableHttp");
    cleanups.push(close);
    const upstreams = makeUpstreams();
    const upstream = makeHttp(`${url}/mcp`);
    const told = await call(
      upstreams,
      upstream,
      makeMessage("trigger-long-running-operation", '{"duration":0.2,"steps":2}', true),
    );
    expect(told.outcome).toMatchObject({ kind: "completed", notifications: 2 });
    expect((await upstreams.readCatalogue("t", "u", upstream, never)).tools.length).toBeGreaterThan(5);
  });

  test("reach the official server of the stateless revision, and mirror the arguments that its tools want in headers", async () => {
    const seen: (string | string[] | undefined)[] = [];
    const handler = toNodeHandler(
      createMcpHandler(
        () => {
          const server = new McpServer({ name: "official", version: "1" });
          // MCP's own extension of JSON Schema.
          const region: object = { type: "string", "x-mcp-header": "Region" };
          const inputSchema = fromJsonSchema<{ region: string }>({
            type: "object",
            properties: { region },
            required: ["region"],
          });
          server.registerTool("place", { inputSchema }, ({ region }) => ({
            content: [{ type: "text", text: region }],
          }));
          return server;
        },
        { legacy: "reject" },
      ),
    );
    const server = createHttpServer((request, response) => {
      if (request.headers["mcp-method"] === "tools/call") seen.push(request.headers["mcp-param-region"]);
      // The SDK's own types disagree with exactOptionalPropertyTypes about Node's requests.
      void handler(request as Parameters<typeof handler>[0], response);
    });
    const upstream = makeHttp(`${await listenOn(server)}/mcp`);
    const upstreams = makeUpstreams();
    const catalogue = await upstreams.readCatalogue("t", "u", upstream, never);
    expect(catalogue.revision).toBe("2026-07-28");
    expect(catalogue.tools.map((tool) => tool.name)).toEqual(["place"]);
    const told = await call(upstreams, upstream, makeMessage("place", '{"region":"Zürich"}'));
    expect(told.outcome).toMatchObject({ kind: "completed", error: false });
    expect(textOf(told.json)).toBe("Zürich");
    expect(seen).toEqual([`=?base64?${Buffer.from("Zürich").toString("base64")}?=`]);
  });

  test("a server that went away between hold and send leaves the call surely not sent", async () => {
    const fake = await startFake("session");
    const upstreams = makeUpstreams();
    const slot = await upstreams.hold({
      tenantId: "t",
      upstreamId: "u",
      upstream: makeHttp(fake.url),
      isolationKey: "",
      agentKey: "",
      waitMs: 5000,
      signal: never,
    });
    await fake.close();
    const outcome = await slot.send(
      makeMessage("echo"),
      { notification: () => undefined, response: () => undefined },
      never,
    );
    slot.release();
    expect(["aborted", "unknown"]).toContain(outcome.kind);
    expect(fake.calls).toEqual([]);
  });
});

/** A server of HTTP+SSE that names `endpoint` on its stream, and answers each post as it is told. */
async function startLegacyServer(
  endpoint: (origin: string) => string,
  answer: (method: string) => number = () => 202,
): Promise<{ readonly url: string; readonly seen: string[]; write(text: string): void }> {
  const seen: string[] = [];
  let stream: ServerResponse | undefined;
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("end", () => {
        if (request.method === "GET") {
          seen.push(`GET ${request.url}`);
          stream = response.writeHead(200, { "content-type": "text/event-stream" });
          stream.write(`: hello\n\nevent: endpoint\ndata: ${endpoint(origin)}\n\n`);
          return;
        }
        if (request.url?.startsWith("/sse") === true) return void response.writeHead(405).end();
        const { id, method } = JSON.parse(String(Buffer.concat(chunks)));
        seen.push(`${method} ${request.url}`);
        response.writeHead(answer(method), { connection: "close" }).end();
        const opening = { protocolVersion: "2024-11-05", capabilities: {}, serverInfo: { name: "old", version: "1" } };
        if (method === "initialize")
          stream?.write(`data: ${JSON.stringify({ jsonrpc: "2.0", id, result: opening })}\n\n`);
      });
  });
  const origin = await listenOn(server);
  return { url: `${origin}/sse`, seen, write: (text) => void stream?.write(text) };
}

describe("upstreams over HTTP+SSE", () => {
  test("are used over one stream for many calls, and hold no connection that calls need", async () => {
    const fake = await startFake("legacy");
    const upstreams = makeUpstreams();
    // More streams than a pool of this size has connections.
    const upstream = makeHttp(fake.url, { concurrencyMax: 1 });
    const keys = Array.from({ length: 12 }, (_, n) => String(n % 6));
    for (const isolationKey of keys) {
      const told = await call(upstreams, upstream, makeMessage("echo", '{"message":"hi"}'), { isolationKey });
      expect(told.outcome.kind).toBe("completed");
    }
    expect(fake.sessionsOpened()).toBe(6);
    expect(new Set(fake.calls.map(({ mcpSession }) => mcpSession)).size).toBe(6);
  });

  test.each([
    ["another host", () => "http://127.0.0.2:1/messages"],
    ["another port", (origin: string) => `${origin.replace(/\d+$/, "1")}/messages`],
    ["another scheme", (origin: string) => origin.replace("http:", "https:")],
    ["a host without a scheme", () => "//127.0.0.2/messages"],
    ["a cloud's metadata", () => "http://169.254.169.254/latest"],
    ["credentials", (origin: string) => `${origin.replace("//", "//user:pass@")}/messages`],
    ["another protocol", () => "file:///etc/passwd"],
    ["no address", () => "http://["],
  ])("trap-21 are given up when they name %s for messages, and nothing is posted", async (_name, endpoint) => {
    const { url, seen } = await startLegacyServer(endpoint);
    await expect(call(makeUpstreams(), makeHttp(url), makeMessage("echo"))).rejects.toThrow(/another origin/);
    expect(seen).toEqual(["GET /sse"]);
  });

  test("get their credentials on the stream and on each post", async () => {
    const { url, seen } = await startLegacyServer(() => "messages?session=1");
    const directory = await mkdtemp(join(tmpdir(), "writ-upstream-credentials-"));
    cleanups.push(() => rm(directory, { recursive: true, force: true }));
    await writeFile(join(directory, "key"), "a-secret", { mode: 0o600 });
    const upstreams = makeUpstreams({}, { credentialFiles: createCredentialFiles({ directory, clock }) });
    const credentials = [{ in: "query", name: "key", file: "key" }] as const;
    const upstream = makeHttp("", { transport: { type: "http", url, credentials }, timeoutMs: 50 });
    await call(upstreams, upstream, makeMessage("echo"));
    expect(seen.slice(0, 2)).toEqual(["GET /sse?key=a-secret", "initialize /messages?session=1&key=a-secret"]);
  });

  test("cannot answer a call before it was sent", async () => {
    const { url, write } = await startLegacyServer(() => "/messages");
    let isLate = false;
    let lookedUp: () => void = () => undefined;
    const upstreams = makeUpstreams(
      {},
      {
        async resolve() {
          lookedUp();
          if (isLate) {
            isLate = false;
            // The call waits for its connection. Ids are easy to guess, and the answer to the ping needs a connection, too.
            const answered = new Promise<void>((resolve) => {
              lookedUp = resolve;
            });
            write('data: {"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"early"}]}}\n\n');
            write('data: {"jsonrpc":"2.0","id":"p","method":"ping"}\n\n');
            await answered;
          }
          return [{ address: "127.0.0.1", family: 4 }];
        },
      },
    );
    const upstream = makeHttp(url.replace("127.0.0.1", "old.example"), { timeoutMs: 2000 });
    const hold = { ...PLACE, upstream, isolationKey: "", agentKey: "", waitMs: 10_000, signal: never };
    const slot = await upstreams.hold(hold);
    isLate = true;
    const answers: string[] = [];
    const sink: AnswerSink = {
      notification: () => undefined,
      response(_member, json) {
        answers.push(json);
        return undefined;
      },
    };
    const running = slot.send(makeMessage("echo"), sink, never);
    await expect.poll(() => isLate).toBe(false);
    const outcome = await running;
    slot.release();
    expect(answers).toEqual([]);
    expect(outcome).not.toMatchObject({ kind: "completed" });
  });

  test.each([
    [307, "the upstream redirects (HTTP 307), which is never followed"],
    [404, "HTTP 404"],
    [503, "HTTP 503"],
  ])("fail a call whose post is answered with %d, and send it once", async (status, detail) => {
    const { url, seen } = await startLegacyServer(
      () => "/messages",
      (method) => (method === "tools/call" ? status : 202),
    );
    const told = await call(makeUpstreams(), makeHttp(url), makeMessage("echo"));
    expect(told.outcome).toMatchObject({ kind: "failed", detail });
    expect(seen.filter((line) => line.startsWith("tools/call"))).toEqual(["tools/call /messages"]);
  });

  test("leave a call unknown when their stream ends, and are found again", async () => {
    const fake = await startFake("legacy");
    const upstreams = makeUpstreams();
    const running = call(upstreams, makeHttp(fake.url), makeMessage("silent"));
    await expect.poll(() => fake.calls.length).toBe(1);
    fake.forgetSessions();
    expect((await running).outcome.kind).toBe("unknown");
    expect((await call(upstreams, makeHttp(fake.url), makeMessage("echo"))).outcome.kind).toBe("completed");
    expect(fake.calls.map(({ tool }) => tool)).toEqual(["silent", "echo"]);
  });

  test("reach the official server as it was then", async () => {
    const { url, close } = await startOfficial("sse");
    cleanups.push(close);
    const upstreams = makeUpstreams();
    const upstream = makeHttp(`${url}/sse`);
    const told = await call(upstreams, upstream, makeMessage("echo", '{"message":"hi"}'));
    expect(told.outcome).toMatchObject({ kind: "completed", error: false });
    expect(textOf(told.json)).toContain("hi");
    const catalogue = await upstreams.readCatalogue("t", "u", upstream, never);
    expect(catalogue.tools.map((tool) => tool.name)).toContain("echo");
  });
});

/** A server of the stateless revision that answers with what it was sent, in every listed encoding. */
async function startMirror(): Promise<{ readonly url: string; readonly seen: { url: string; headers: object }[] }> {
  const seen: { url: string; headers: object }[] = [];
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("end", () => {
        const body = String(Buffer.concat(chunks));
        const { id, method, params } = JSON.parse(body);
        seen.push({ url: request.url ?? "", headers: request.headers });
        const all = `${request.url} ${JSON.stringify(request.headers)} ${body}`;
        const forms = [
          all,
          Buffer.from(all).toString("base64"),
          Buffer.from(all).toString("base64url"),
          encodeURIComponent(all),
          JSON.stringify(JSON.stringify(all)),
          [...all].map((each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
        ];
        const text = JSON.stringify(forms.join("\n")).replaceAll("/", "\\/");
        const results: Readonly<Record<string, string>> = {
          "server/discover": `{"resultType":"complete","supportedVersions":["2026-07-28"],"instructions":${text}}`,
          "tools/list": `{"resultType":"complete","tools":[{"name":"mirror","description":${text},"inputSchema":{"type":"object"}}]}`,
          "tools/call": `{"resultType":"complete","content":[{"type":"text","text":${text}}]}`,
        };
        const answer =
          params?.name === "fail"
            ? `{"jsonrpc":"2.0","id":${id},"error":{"code":-32603,"message":${text}}}`
            : `{"jsonrpc":"2.0","id":${id},"result":${results[method]}}`;
        if (params?.name !== "stream") {
          response.writeHead(200, { "content-type": "application/json" });
          // In two pieces, wherever that cuts.
          response.write(answer.slice(0, answer.length / 2));
          return void setImmediate(() => response.end(answer.slice(answer.length / 2)));
        }
        const notice = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${id},"progress":1,"message":${text}}}`;
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end(`data: ${notice}\n\ndata: ${answer}\n\n`);
      });
  });
  return { url: `${await listenOn(server)}/mcp?a=1`, seen };
}

describe("credentials of upstreams", () => {
  const VALUE = "sk-Zq8~yX/pQ+ab=3";
  const credentials = [
    { in: "header", name: "Authorization", prefix: "Bearer ", file: "key" },
    { in: "query", name: "api key", file: "key" },
  ] as const;

  async function startWithFile(text: string, changes: Partial<UpstreamsOptions> = {}) {
    const directory = await mkdtemp(join(tmpdir(), "writ-upstream-credentials-"));
    cleanups.push(() => rm(directory, { recursive: true, force: true }));
    let nowMs = 0;
    const files = createCredentialFiles({ directory, clock: { nowMs: () => nowMs, monotonicMs: () => nowMs } });
    const write = async (value: string): Promise<void> => {
      await writeFile(join(directory, "key"), value, { mode: 0o600 });
      nowMs += 2000;
    };
    if (text !== "") await write(text);
    return { upstreams: makeUpstreams({}, { credentialFiles: files, ...changes }), write };
  }

  test("R-SECRET-4 reach the upstream in their places, and nothing of them comes back in any listed encoding", async () => {
    const mirror = await startMirror();
    const { upstreams } = await startWithFile(VALUE);
    const upstream = makeHttp("", { transport: { type: "http", url: mirror.url, credentials } });

    const told: Told[] = [];
    for (const tool of ["mirror", "fail", "stream"])
      told.push(await call(upstreams, upstream, makeMessage(tool, "{}", true)));
    const catalogue = await upstreams.readCatalogue("t", "u", upstream, never);

    for (const { url, headers } of mirror.seen) {
      expect(url).toBe(`/mcp?a=1&api%20key=${encodeURIComponent(VALUE)}`);
      expect(headers).toMatchObject({ authorization: `Bearer ${VALUE}` });
    }
    expect(mirror.seen.length).toBe(6);
    const back = [...told.flatMap(({ json, notifications }) => [json, ...notifications]), JSON.stringify(catalogue)];
    expect(told.map(({ outcome }) => outcome.kind)).toEqual(["completed", "completed", "completed"]);
    expect(told[2]?.notifications.length).toBe(1);
    for (const text of back) {
      expect(text).toContain("***");
      const read = [text, JSON.parse(text)].map((each) => JSON.stringify(each).replaceAll("\\", "")).join("\n");
      expect(read).not.toContain(VALUE);
      expect(read).not.toContain(encodeURIComponent(VALUE));
      for (const run of read.match(/[A-Za-z0-9+/_-]{12,}/g) ?? []) {
        for (const skip of [0, 1, 2, 3])
          expect(Buffer.from(run.slice(skip), "base64").toString("latin1")).not.toContain(VALUE);
      }
    }
  });

  test("are read anew when their file changes, and the former value stays masked", async () => {
    const mirror = await startMirror();
    const { upstreams, write } = await startWithFile(VALUE);
    const upstream = makeHttp("", { transport: { type: "http", url: mirror.url, credentials } });
    await call(upstreams, upstream, makeMessage("mirror"));
    await write("another-value");
    const told = await call(upstreams, upstream, makeMessage("mirror", JSON.stringify({ former: VALUE })));
    expect(mirror.seen.at(-1)?.headers).toMatchObject({ authorization: "Bearer another-value" });
    expect(told.json).not.toContain("another-value");
    expect(textOf(told.json)).not.toContain(VALUE);
  });

  test("that cannot be read leave the upstream unavailable, with the file's name and no byte sent", async () => {
    const mirror = await startMirror();
    const { upstreams } = await startWithFile("");
    const upstream = makeHttp("", { transport: { type: "http", url: mirror.url, credentials } });
    await expect(call(upstreams, upstream, makeMessage("mirror"))).rejects.toMatchObject({
      reason: "upstream_unavailable",
      message: expect.stringContaining('the credential "key" cannot be used'),
    });
    expect(mirror.seen).toEqual([]);
  });

  test("do not travel in the clear to an address that is not listed, public ones included", async () => {
    const mirror = await startMirror();
    const { port } = new URL(mirror.url);
    const { upstreams } = await startWithFile(VALUE, { resolve: async () => [{ address: "8.8.8.8", family: 4 }] });
    const transport = { type: "http", url: `http://public.example:${port}/mcp`, credentials } as const;
    await expect(call(upstreams, makeHttp("", { transport }), makeMessage("mirror"))).rejects.toMatchObject({
      reason: "upstream_address_refused",
      message: expect.stringContaining("use https"),
    });
  });
});

/** Ways to be somebody else that a machine may offer: another user, or name spaces where the gateway is not. */
const RUNNERS: readonly (readonly string[])[] = [
  ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", "--"],
  ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--"],
];

/** An MCP server in so little that any user can run it: answers each call with the digest of a file's content. */
const READING_SERVER = `
  while read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id":\\([0-9]*\\).*/\\1/p')
    case "$line" in
      *'"method":"initialize"'*) part='"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"sh","version":"1"}}' ;;
      *'"method":"tools/call"'*)
        read=$(cat "$1" 2>/dev/null | sha256sum | cut -c 1-64)
        part='"result":{"content":[{"type":"text","text":"'$read'"}]}' ;;
      *) part='"error":{"code":-32601,"message":"Method not found"}' ;;
    esac
    if [ -n "$id" ]; then printf '{"jsonrpc":"2.0","id":%s,%s}\\n' "$id" "$part"; fi
  done
`;

/** What a stdio upstream finds in the file that is this process's environment. */
async function readByChild(upstreams: Upstreams): Promise<string> {
  const args = ["-c", READING_SERVER, "sh", ENVIRONMENT_FILE];
  const upstream = makeStdio("", { transport: { type: "stdio", command: "/bin/sh", args, env: {} } });
  return textOf((await call(upstreams, upstream, makeMessage("read"))).json);
}

async function digestOf(file: string): Promise<string> {
  return hash("sha256", await readFile(file), "hex");
}

/** Answers to a running call that nobody can use, and what is said of each. */
const UNUSABLE: readonly (readonly [answer: string, detail: string])[] = [
  ['{"jsonrpc":"2.0","id":ID,"result":null}', "the answer is not an object"],
  ['{"jsonrpc":"2.0","id":ID,"result":"done"}', "the answer is not an object"],
  ['{"jsonrpc":"2.0","id":ID,"error":"broken"}', "the answer is not an object"],
  ['{"jsonrpc":"2.0","id":ID,"error":null}', "the answer is not an object"],
  ['{"jsonrpc":"2.0","id":ID,"result":{},"error":{"code":1,"message":"m"}}', "both result and error"],
  ['{"jsonrpc":"2.0","id":ID}', "neither result nor error"],
  ['{"jsonrpc":"2.0","id":ID,"result":{},"result":{"content":[]}}', '"result" is there twice'],
  ['{"id":ID,"result":{}}', "not JSON-RPC 2.0"],
];

describe("upstreams over stdio", () => {
  test.each(UNUSABLE)("fail the call that they answer with what nobody can use: %s", async (answer, detail) => {
    // Longer than any test may last: nothing else than the answer can end the call.
    const upstream = makeStdio("", {
      timeoutMs: 600_000,
      transport: { type: "stdio", command: process.execPath, args: ["-e", VERBATIM_SERVER], env: {} },
    });
    const upstreams = makeUpstreams();
    const told = await call(upstreams, upstream, makeMessage(JSON.stringify(answer).slice(1, -1)));
    expect(told.outcome).toMatchObject({
      kind: "failed",
      detail: `the upstream sent a message that cannot be read: ${detail}`,
    });
    expect(told.member).toBeUndefined();
    // The session outlives it.
    const next = await call(upstreams, upstream, makeMessage('{\\"jsonrpc\\":\\"2.0\\",\\"id\\":ID,\\"result\\":{}}'));
    expect(next.outcome.kind).toBe("completed");
    expect(upstreams.counts().sessions).toBe(1);
  });

  test("have an answer that nobody can use ignored when no running call has its id", async () => {
    const upstream = makeStdio("", {
      transport: { type: "stdio", command: process.execPath, args: ["-e", VERBATIM_SERVER], env: {} },
    });
    const own = '{"jsonrpc":"2.0","id":ID,"result":{"content":[]}}';
    const strays = ['{"jsonrpc":"2.0","id":999,"result":null}', '{"jsonrpc":"2.0","id":"ID","result":null}'];
    const twice = '{"jsonrpc":"2.0","id":ID,"id":999,"result":{}}';
    const lines = JSON.stringify([...strays, twice, own].join("\n")).slice(1, -1);
    const told = await call(makeUpstreams(), upstream, makeMessage(lines));
    expect(told).toMatchObject({ outcome: { kind: "completed" }, json: '{"content":[]}' });
  });

  test("have an environment of their own", async () => {
    const told = await call(makeUpstreams(), makeStdio("session"), makeMessage("environment"));
    const environment = JSON.parse(textOf(told.json));
    expect(environment).toMatchObject({ SECRET: "s", HOME: "/nonexistent" });
    expect(Object.keys(environment).filter((name) => !name.startsWith("__"))).toEqual(
      expect.not.arrayContaining(["USER", "PWD", "VITEST", "NODE_ENV"]),
    );
  });

  test.each(["session", "stateless"])(
    "R-SECRET-4 give back no value of their environment, in whatever it comes (%s)",
    async (era) => {
      const pem = `-----BEGIN KEY-----\n${randomBytes(24).toString("base64")}\n-----END KEY-----\n`;
      const values = {
        API_KEY: "sk-0123456789",
        DATABASE: 'postgres://u:p\u00e4ss%41\\w"d@db/x',
        PEM: pem,
        MODE: "debug",
      };
      const env = Object.fromEntries(
        Object.entries({ ...values, NODE_ENV: "production" }).map(([name, value]) => [
          name,
          wrapEnvironmentValue(keyring, { ...PLACE, name }, value, randomBytes(12)),
        ]),
      );
      const upstream = makeStdio(era);
      if (upstream.transport.type !== "stdio") throw new TypeError("a child was made");
      const told = await call(
        makeUpstreams(),
        { ...upstream, transport: { ...upstream.transport, env } },
        makeMessage("environment"),
      );
      expect(JSON.parse(textOf(told.json))).toMatchObject({
        API_KEY: "***",
        DATABASE: "***",
        PEM: "***\n",
        // Too short to be told from other text, and by its name none.
        MODE: "debug",
        NODE_ENV: "production",
        HOME: "/nonexistent",
      });
    },
  );

  test("are not started in production without a runner", async () => {
    const upstreams = makeUpstreams({}, { mode: "production" });
    await expect(call(upstreams, makeStdio("session"), makeMessage("echo"))).rejects.toThrow(/through a runner/);
    expect(upstreams.counts().children).toBe(0);
  });

  test("trap-56 a child of the same user reads the gateway's environment", async () => {
    const own = await digestOf(ENVIRONMENT_FILE);
    expect(await readByChild(makeUpstreams())).toBe(own);
    expect(own).not.toBe(await digestOf("/dev/null"));
  });

  test("trap-56 in production a runner whose children can read the gateway's environment starts none", async () => {
    const upstreams = makeUpstreams({}, { mode: "production", stdioRunner: ["env"] });
    await expect(readByChild(upstreams)).rejects.toMatchObject({
      reason: "upstream_unavailable",
      message: expect.stringContaining("can read this gateway's environment"),
    });
    expect(upstreams.counts().children).toBe(0);
  });

  test.each(RUNNERS)(
    "trap-56 in production a child that %s starts reads nothing, or there is no child",
    async (...runner) => {
      const [command = "", ...args] = runner;
      const works = spawnSync(command, [...args, "true"]).status === 0;
      const upstreams = makeUpstreams({}, { mode: "production", stdioRunner: works ? runner : ["env"] });
      // Where a machine permits neither, production has no stdio upstreams.
      const read = await readByChild(upstreams).catch((error: unknown) => error);
      if (works) expect(read).toBe(await digestOf("/dev/null"));
      else expect(read).toMatchObject({ reason: "upstream_unavailable" });
    },
  );

  test("get a child for each isolation key, and all of them end", async () => {
    const upstreams = makeUpstreams();
    await call(upstreams, makeStdio("session"), makeMessage("echo"), { isolationKey: "a" });
    await call(upstreams, makeStdio("session"), makeMessage("echo"), { isolationKey: "b" });
    expect(upstreams.counts().children).toBe(2);
    await upstreams.close();
    expect(upstreams.counts().children).toBe(0);
  });

  test("do not count a child that the gateway ended as one that failed", async () => {
    const upstreams = makeUpstreams({ breakerFailures: 1, backoffFirstMs: 60_000, backoffLastMs: 60_000 });
    const upstream = makeStdio("session");
    await upstreams.readCatalogue("t", "u", upstream, never);
    await expect.poll(() => upstreams.counts().children).toBe(0);
    const told = await call(upstreams, upstream, makeMessage("echo"));
    expect(told.outcome.kind).toBe("completed");
  });

  test("leave places for the children of other tenants, whatever one of them runs", async () => {
    const upstreams = makeUpstreams({ childrenMax: 4, childrenReserved: 2, childrenShare: 1 });
    const args = [FAKE, "--stdio", "--era", "session"];
    const upstream = makeHttp("", { transport: { type: "stdio", command: process.execPath, args, env: {} } });
    const hold = (tenantId: string, isolationKey: string) =>
      upstreams.hold({
        tenantId,
        upstreamId: "u",
        upstream,
        isolationKey,
        agentKey: "",
        waitMs: 10_000,
        signal: never,
      });
    const greedy = [await hold("greedy", "1"), await hold("greedy", "2")];
    await expect(hold("greedy", "3")).rejects.toMatchObject({ reason: "upstream_unavailable" });
    const second = await hold("second", "1");
    await expect(hold("second", "2")).rejects.toMatchObject({ reason: "upstream_unavailable" });
    const third = await hold("third", "1");
    await expect(hold("fourth", "1")).rejects.toMatchObject({ reason: "upstream_unavailable" });

    // An idle child gives way to whoever has none, and to its own tenant.
    greedy[0]?.release();
    const fourth = await hold("fourth", "1");
    greedy[1]?.release();
    const again = await hold("greedy", "4");
    for (const slot of [second, third, fourth, again]) slot.release();
  });

  test("start no child when a value of its environment does not open", async () => {
    const upstreams = makeUpstreams();
    const moved = { ...PLACE, upstreamId: "another" };
    const held = upstreams.hold({
      ...moved,
      upstream: makeStdio("session"),
      isolationKey: "",
      agentKey: "",
      waitMs: 10_000,
      signal: never,
    });
    await expect(held).rejects.toMatchObject({
      reason: "upstream_unavailable",
      message: expect.stringContaining("SECRET"),
    });
    expect(upstreams.counts().children).toBe(0);
  });

  test("wait after a child that died", async () => {
    const upstreams = makeUpstreams({ breakerFailures: 1, backoffFirstMs: 60_000, backoffLastMs: 60_000 });
    await call(upstreams, makeStdio("session"), makeMessage("die"));
    await expect(call(upstreams, makeStdio("session"), makeMessage("echo"))).rejects.toThrow(/given time/);
  });

  test("wait after failures to start", async () => {
    const upstreams = makeUpstreams({ breakerFailures: 1, backoffFirstMs: 60_000, backoffLastMs: 60_000 });
    const upstream = makeStdio("session", {
      transport: { type: "stdio", command: "/nonexistent/x", args: [], env: {} },
    });
    await expect(call(upstreams, upstream, makeMessage("echo"))).rejects.toThrow(/could not be started \(ENOENT\)/);
    await expect(call(upstreams, upstream, makeMessage("echo"))).rejects.toThrow(/given time/);
    expect(upstreams.counts().children).toBe(0);
  });

  const failing = [
    [
      "answers nothing",
      "setInterval(() => {}, 1e6)",
      /opened no session: no answer to (?:server\/discover|initialize) within 1500 ms of its start; .*upstream\.stderr, pid \d+/,
    ],
    ["exits", "process.exitCode = 3", /opened no session: the child exited with code 3; .*upstream\.stderr, pid \d+/],
    [
      "closes its stdout",
      "setInterval(() => {}, 1e6); require('node:fs').closeSync(1)",
      /opened no session: the child closed its stdout; .*upstream\.stderr, pid \d+/,
    ],
  ] as const;
  test.each(failing)(
    "say of a child that %s what it was waited for, and where its stderr is",
    async (what, code, said) => {
      const lines: (readonly [string, Readonly<Record<string, unknown>>])[] = [];
      const limits = { openTimeoutMs: 1500, probeTimeoutMs: 500, slowStartMs: 100 };
      const upstreams = makeUpstreams(limits, { log: (event, fields) => lines.push([event, fields]) });
      const args = ["-e", `console.error("no model"); ${code}`];
      const upstream = makeStdio("session", { transport: { type: "stdio", command: process.execPath, args, env: {} } });
      await expect(upstreams.readCatalogue("t", "u", upstream, never)).rejects.toThrow(said);
      const of = (name: string) => lines.filter(([event]) => event === name);
      await expect.poll(() => of("upstream.child_exited").length * of("upstream.stderr").length).toBe(1);
      const stderr = of("upstream.stderr");
      expect(stderr).toEqual([["upstream.stderr", expect.objectContaining({ upstream: "fake", text: "no model\n" })]]);
      for (const [, fields] of lines) expect(fields).toMatchObject({ upstream: "fake" });
      if (what !== "answers nothing") return;
      expect(of("upstream.child_slow")[0]?.[1]).toMatchObject({
        upstream: "fake",
        pid: stderr[0]?.[1]["pid"],
        waitsFor: "server/discover",
      });
    },
  );

  test("take a call back that is cut while the child has no room for it", async () => {
    const { upstream, reader, hold } = await startDeafChild({ sendWithinMs: 60_000 });
    const large = await hold();
    const small = await hold();
    const cut = new AbortController();
    const first = large.send(makeMessage("large", LARGE), IGNORED, never);
    const second = small.send(makeMessage("small"), IGNORED, cut.signal);
    cut.abort();
    expect(await second).toMatchObject({ kind: "aborted" });
    large.release();
    small.release();
    reader.resume();
    expect(await first).toMatchObject({ kind: "completed" });
    expect(await upstream.call("after")).toMatchObject({ kind: "completed" });
    await expect.poll(() => reader.names).toEqual(["deaf", "large", "after"]);
  });

  test("end a child that does not take a call in time, and never send what waits behind it", async () => {
    const { reader, hold } = await startDeafChild({ sendWithinMs: 20 });
    const large = await hold();
    const small = await hold();
    const first = large.send(makeMessage("large", LARGE), IGNORED, never);
    const second = small.send(makeMessage("small"), IGNORED, never);
    expect(await first).toMatchObject({ kind: "unknown", detail: "the child does not read its stdin" });
    expect(await second).toMatchObject({ kind: "aborted" });
    await reader.gone;
    expect(reader.names).toEqual(["deaf"]);
  });

  test("end a child that has a part of a call when the call is cut", async () => {
    const { upstream, reader, hold } = await startDeafChild({ sendWithinMs: 60_000 });
    const large = await hold();
    const cut = new AbortController();
    const first = large.send(makeMessage("large", LARGE), IGNORED, cut.signal);
    cut.abort();
    expect(await first).toMatchObject({ kind: "unknown", detail: "the call was cut" });
    await reader.gone;
    expect(reader.names).toEqual(["deaf"]);
    large.release();
    expect(await upstream.call("after")).toMatchObject({ kind: "completed" });
  });

  test("keep a child whose pipe took the whole call before the call was cut", async () => {
    const { upstream, reader, hold } = await startDeafChild({ sendWithinMs: 60_000 });
    const small = await hold();
    const cut = new AbortController();
    const first = small.send(makeMessage("small"), IGNORED, cut.signal);
    cut.abort();
    expect(await first).toMatchObject({ kind: "unknown" });
    small.release();
    reader.resume();
    expect(await upstream.call("after")).toMatchObject({ kind: "completed" });
    await expect.poll(() => reader.names).toEqual(["deaf", "small", "after"]);
  });

  test("run the official server", async () => {
    const upstream = makeStdio("", {
      transport: { type: "stdio", command: process.execPath, args: [EVERYTHING, "stdio"], env: {} },
    });
    const upstreams = makeUpstreams();
    const catalogue = await upstreams.readCatalogue("t", "u", upstream, never);
    expect(catalogue.tools.map((tool) => tool.name)).toContain("echo");
    // Another process of it defines the same, to the letter of what is pinned.
    const again = await makeUpstreams().readCatalogue("t", "u", upstream, never);
    const textsOf = ({ tools }: typeof again) => tools.map(({ definition }) => pinnedTextOf(definition));
    expect(textsOf(again)).toEqual(textsOf(catalogue));
    const told = await call(upstreams, upstream, makeMessage("echo", '{"message":"hi"}'));
    expect(textOf(told.json)).toContain("hi");
  });
});
