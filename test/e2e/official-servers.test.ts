/**
 * The official servers, with clients of both official SDKs: through Writ each of their features comes to the same as
 * directly. What cannot be the same is not in the scripts: long-running tasks, which Writ refuses, and a server's own
 * environment.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as StdioV2 } from "@modelcontextprotocol/client/stdio";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as StdioV1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AnyClient, EVERYTHING_STEPS, FILESYSTEM_STEPS, MEMORY_STEPS, takeSteps } from "./feature-script.ts";
import { applyRules, EVERYTHING, REPOSITORY, type Rig, startEverything, startRig, TENANT } from "./rig.ts";

const RULES = `version: 1
rules:
  - id: all
    effect: allow
    match: { action: ["*"], upstream: [everything-stdio, everything-http, everything-sse, filesystem, memory] }
`;

const NO_TASKS = `  - id: no-tasks
    effect: deny
    match: { action: tool.call, tool: everything-stdio/simulate-research-query }
`;

const program = (name: string): string =>
  `${REPOSITORY}node_modules/@modelcontextprotocol/server-${name}/dist/index.js`;

interface Command {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How each server is started to work in a directory of its own. */
const COMMANDS = {
  everything: (): Command => ({ args: [EVERYTHING], env: {} }),
  filesystem: (directory: string): Command => ({ args: [program("filesystem"), directory], env: {} }),
  memory: (directory: string): Command => ({
    args: [program("memory")],
    env: { MEMORY_FILE_PATH: join(directory, "graph.jsonl") },
  }),
};

/** What reaches a server by another transport differs in nothing that a client sees: there one or two of them do. */
const SERVERS = [
  { upstream: "everything-stdio", server: "everything", steps: EVERYTHING_STEPS, modes: ["1.x", "legacy", "auto"] },
  { upstream: "everything-http", server: "everything", steps: EVERYTHING_STEPS, modes: ["1.x", "auto"] },
  { upstream: "everything-sse", server: "everything", steps: EVERYTHING_STEPS, modes: ["1.x"] },
  { upstream: "filesystem", server: "filesystem", steps: FILESYSTEM_STEPS, modes: ["1.x", "legacy", "auto"] },
  { upstream: "memory", server: "memory", steps: MEMORY_STEPS, modes: ["1.x", "legacy", "auto"] },
] as const;

/** Where a client connects to: a program of its own, or an endpoint of Writ. */
type Target =
  | { readonly kind: "direct"; readonly command: Command }
  | { readonly kind: "through"; readonly url: string };

const CAPABILITIES = { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} };
const SAMPLED = { model: "m", role: "assistant" as const, content: { type: "text" as const, text: "because" } };
const FILLED = { action: "accept" as const, content: { name: "Ada", check: true } };

let token: string;
const requestInit = () => ({ headers: { Authorization: `Bearer ${token}` } });

async function connectV1(target: Target): Promise<AnyClient> {
  const client = new ClientV1({ name: "test", version: "1" }, { capabilities: CAPABILITIES });
  const asked: string[] = [];
  const updated: string[] = [];
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
    asked.push(JSON.stringify(params.messages));
    return SAMPLED;
  });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(params.message);
    return FILLED;
  });
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updated.push(params.uri));
  const transport =
    target.kind === "direct"
      ? new StdioV1({ command: process.execPath, stderr: "ignore", ...started(target.command) })
      : new TransportV1(new URL(target.url), { requestInit: requestInit() });
  // The SDK's own types disagree with exactOptionalPropertyTypes about its own transport.
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return {
    client,
    asked,
    updated,
    call: (name, args, onprogress) => client.callTool({ name, arguments: args }, undefined, heard(onprogress)),
    async subscribe(uri) {
      await client.subscribeResource({ uri });
      return () => client.unsubscribeResource({ uri });
    },
    setLevel: (level) => client.setLoggingLevel(level),
    close: () => client.close(),
  };
}

async function connectV2(target: Target, mode: "legacy" | "auto"): Promise<AnyClient> {
  const options = { capabilities: CAPABILITIES, versionNegotiation: { mode } };
  const client = new ClientV2({ name: "test", version: "1" }, options);
  const asked: string[] = [];
  const updated: string[] = [];
  client.setRequestHandler("sampling/createMessage", ({ params }) => {
    asked.push(JSON.stringify(params.messages));
    return SAMPLED;
  });
  client.setRequestHandler("elicitation/create", ({ params }) => {
    asked.push(params.message);
    return FILLED;
  });
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => void updated.push(params.uri));
  const transport =
    target.kind === "direct"
      ? new StdioV2({ command: process.execPath, stderr: "ignore", ...started(target.command) })
      : new TransportV2(new URL(target.url), { requestInit: requestInit() });
  await client.connect(transport);
  const isStateless = mode === "auto" && target.kind === "through";
  return {
    client,
    asked,
    updated,
    call: (name, args, onprogress) => client.callTool({ name, arguments: args }, heard(onprogress)),
    async subscribe(uri) {
      if (isStateless) {
        const listening = await client.listen({ resourceSubscriptions: [uri] });
        return () => listening.close();
      }
      await client.subscribeResource({ uri });
      return () => client.unsubscribeResource({ uri });
    },
    setLevel: (level) => client.setLoggingLevel(level),
    close: () => client.close(),
  };
}

function started({ args, env }: Command): { readonly args: string[]; readonly env: Record<string, string> } {
  return { args: [...args], env: { PATH: process.env["PATH"] ?? "", ...env } };
}

function heard(onprogress: ((progress: number) => void) | undefined) {
  return onprogress === undefined
    ? {}
    : { onprogress: ({ progress }: { readonly progress: number }) => onprogress(progress) };
}

const CLIENTS = {
  "1.x": { name: "the official SDK 1.x", asks: true, connect: connectV1 },
  legacy: {
    name: "the official SDK 2.x (legacy)",
    asks: true,
    connect: (target: Target) => connectV2(target, "legacy"),
  },
  auto: { name: "the official SDK 2.x (auto)", asks: false, connect: (target: Target) => connectV2(target, "auto") },
};

let rig: Rig;
const remotes: Awaited<ReturnType<typeof startEverything>>[] = [];
const directories: string[] = [];

async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "writ-official-"));
  directories.push(directory);
  return directory;
}

beforeAll(async () => {
  const [http, sse] = await Promise.all([startEverything(), startEverything("sse")]);
  remotes.push(http, sse);
  rig = await startRig();
  await rig.addUpstream("everything-http", http.url, { isolation: "session" });
  await rig.addUpstream("everything-sse", sse.url, { isolation: "session" });
  await applyRules(rig.admin, TENANT, RULES);
  token = await rig.mint();
});
afterAll(async () => {
  await rig?.close();
  for (const remote of remotes) await remote.close();
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
});

/** Registers the server as an upstream that works in `directory`; the one of its name before it goes. */
async function registerChild(upstream: string, server: keyof typeof COMMANDS, directory: string): Promise<void> {
  const params = { tenant: TENANT };
  for await (const known of rig.admin.pages("upstreams.list", { params, query: {} })) {
    if (known.name !== upstream) continue;
    const { id, version } = known;
    await rig.admin.call("upstreams.remove", { params: { ...params, id }, query: { version } });
  }
  const { args, env } = COMMANDS[server](directory);
  const transport = { type: "stdio" as const, command: process.execPath, args: [...args], env };
  const body = { name: upstream, transport, isolation: "session" as const };
  const { id } = await rig.admin.call("upstreams.create", { params, body });
  await rig.admin.call("upstreams.pin", { params: { ...params, id } });
}

/** Where two texts begin to differ. */
function differenceOf(direct: string, through: string): string {
  const at = [...direct].findIndex((character, index) => character !== through[index]);
  const from = Math.max(0, (at < 0 ? direct.length : at) - 60);
  return `directly ${JSON.stringify(direct.slice(from, from + 160))}, through Writ ${JSON.stringify(through.slice(from, from + 160))}`;
}

describe.each(SERVERS)("the official server $upstream", ({ upstream, server, steps, modes }) => {
  test.each(modes.map((mode) => CLIENTS[mode]))("answers $name through Writ as directly", async ({ connect, asks }) => {
    const own = await makeDirectory();
    const direct = await connect({ kind: "direct", command: COMMANDS[server](own) });
    const expected = await takeSteps(direct, steps, { directory: own, asks });
    await direct.close();

    const writs = await makeDirectory();
    if (upstream !== "everything-http" && upstream !== "everything-sse") await registerChild(upstream, server, writs);
    const through = await connect({ kind: "through", url: rig.url(upstream) });
    const came = await takeSteps(through, steps, { directory: writs, asks });
    await through.close();

    expect(Object.keys(expected).length).toBeGreaterThan(12);
    const differences = Object.keys(expected)
      .filter((what) => came[what] !== expected[what])
      .map((what) => `${what}: ${differenceOf(expected[what] ?? "", came[what] ?? "")}`);
    expect(differences).toEqual([]);
  });
});

test("a tool that only runs as a long-running task is listed where a rule allows it, and no task is passed on", async () => {
  const connect = async (target: Target): Promise<ClientV1> => {
    const tasks = { requests: { sampling: { createMessage: {} }, elicitation: { create: {} } } };
    const client = new ClientV1({ name: "test", version: "1" }, { capabilities: { ...CAPABILITIES, tasks } });
    const transport =
      target.kind === "direct"
        ? new StdioV1({ command: process.execPath, stderr: "ignore", ...started(target.command) })
        : new TransportV1(new URL(target.url), { requestInit: requestInit() });
    // The SDK's own types disagree with exactOptionalPropertyTypes about its own transport.
    await client.connect(transport as Parameters<typeof client.connect>[0]);
    return client;
  };
  const namesOf = async (client: ClientV1) => (await client.listTools()).tools.map(({ name }) => name);
  const TASK_TOOL = "simulate-research-query";
  const direct = await connect({ kind: "direct", command: COMMANDS.everything() });
  const known = await namesOf(direct);
  await direct.close();
  await registerChild("everything-stdio", "everything", await makeDirectory());
  const through = await connect({ kind: "through", url: rig.url("everything-stdio") });
  try {
    expect(known).toContain(TASK_TOOL);
    const listed = await namesOf(through);
    expect(listed).toContain(TASK_TOOL);
    // The server lists these to clients that run tasks; to the server, Writ is none.
    const missing = known.filter((name) => !listed.includes(name));
    expect(missing.sort()).toEqual(["trigger-elicitation-request-async", "trigger-sampling-request-async"]);
    expect(through.getServerCapabilities()?.tasks).toBeUndefined();

    const params = { name: TASK_TOOL, arguments: { topic: "tea" } };
    const call = (more: object) =>
      through.request({ method: "tools/call", params: { ...params, ...more } }, CallToolResultSchema);
    // The server's own answer.
    await expect(call({})).resolves.toMatchObject({
      isError: true,
      content: [{ text: expect.stringMatching(/task/) }],
    });
    await expect(call({ task: { ttl: 60_000 } })).rejects.toThrow(/fault_params/);
  } finally {
    await through.close();
  }

  // It is as hidden as every other tool that no rule allows.
  await applyRules(rig.admin, TENANT, `${RULES}${NO_TASKS}`);
  const hidden = await connect({ kind: "through", url: rig.url("everything-stdio") });
  try {
    expect(await namesOf(hidden)).not.toContain(TASK_TOOL);
  } finally {
    await hidden.close();
    await applyRules(rig.admin, TENANT, RULES);
  }
});
