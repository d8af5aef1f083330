/**
 * What MCP has besides tools, through Writ as directly: the official reference server over stdio and Streamable HTTP, the
 * official SDKs 1.x and 2.x in both eras. What rules do not allow is as if it did not exist.
 */
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Fixture, startFixture } from "../conformance/start-fixture.ts";
import {
  applyRules,
  EVERYTHING,
  eventually,
  postMcp,
  type Rig,
  startEverything,
  startRig,
  statelessCall,
  TENANT,
} from "./rig.ts";
import { connectV1, connectV2 } from "./sdk-clients.ts";

const RULES = `version: 1
rules:
  - id: connect
    effect: allow
    match: { action: [mcp.session, tool.list, resource.list, prompt.list] }
  - id: documents
    effect: allow
    match: { resource: ["everything/demo://resource/*", "remote/demo://resource/*"] }
  - id: not-the-startup
    effect: deny
    match: { resource: "*/demo://resource/static/document/startup.md" }
  - id: prompts
    effect: allow
    match: { prompt: ["*/simple-prompt", "*/completable-prompt"] }
`;

const QUESTIONS = "action: [mcp.session, tool.list, resource.list, prompt.list, resource.subscribe, client.elicit]";
/** For a server of the stateless revision that asks for input. */
const NEWEST_RULES = `version: 1
rules:
  - { id: connect, effect: allow, match: { ${QUESTIONS}, upstream: newest } }
  - { id: tools, effect: allow, match: { tool: newest/* } }
  - { id: no-regions, effect: deny, match: { tool: newest/test_x_mcp_header }, when: { args: { /region: { prefix: no } } } }
  - { id: resources, effect: allow, match: { action: resource.read, resource: newest/* } }
  - { id: prompts, effect: allow, match: { prompt: newest/* } }
`;

let rig: Rig;
let everything: Awaited<ReturnType<typeof startEverything>>;
let older: Awaited<ReturnType<typeof startEverything>>;
let token: string;

beforeAll(async () => {
  [everything, older] = await Promise.all([startEverything(), startEverything("sse")]);
  rig = await startRig();
  await rig.addUpstream("remote", everything.url);
  await rig.addUpstream("strict", everything.url);
  await rig.addUpstream("older-alone", older.url, { isolation: "session" });
  await rig.addUpstream("older-together", older.url, { isolation: "principal" });
  const params = { tenant: TENANT };
  const transport = { type: "stdio", command: process.execPath, args: [EVERYTHING], env: {} } as const;
  for (const name of ["alone", "together"]) {
    const isolation = name === "alone" ? ("session" as const) : ("principal" as const);
    const { id } = await rig.admin.call("upstreams.create", { params, body: { name, transport, isolation } });
    await rig.admin.call("upstreams.pin", { params: { ...params, id } });
  }
  await applyRules(rig.admin, TENANT, RULES);
  token = await rig.mint();
});
afterAll(async () => {
  await rig?.close();
  await everything?.close();
  await older?.close();
});

const clients = [
  { name: "the official SDK 1.x", connect: connectV1 },
  ...(["legacy", "auto"] as const).map((mode) => ({
    name: `the official SDK 2.x (${mode})`,
    connect: (url: string, bearer: string) => connectV2(url, bearer, mode),
  })),
];

const ARCHITECTURE = "demo://resource/static/document/architecture.md";
const STARTUP = "demo://resource/static/document/startup.md";

describe.each(clients)("$name", ({ connect }) => {
  describe.each(["everything", "remote"])("on the reference server as %s", (upstream) => {
    test("is told that the server has resources, prompts and completion", async () => {
      const client = await connect(rig.url(upstream), token);
      expect(client.getServerCapabilities()).toMatchObject({ tools: {}, resources: {}, prompts: {}, completions: {} });
      await client.close();
    });

    test("lists the resources, templates and prompts that a rule allows, and no others", async () => {
      const client = await connect(rig.url(upstream), token);
      const uris = (await client.listResources()).resources.map(({ uri }) => uri);
      expect(uris).toContain(ARCHITECTURE);
      expect(uris).not.toContain(STARTUP);
      const templates = (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate);
      expect(templates).toContain("demo://resource/dynamic/text/{resourceId}");
      const prompts = (await client.listPrompts()).prompts.map(({ name }) => name);
      expect(prompts.sort()).toEqual(["completable-prompt", "simple-prompt"]);
      await client.close();
    });

    test("reads a resource, gets a prompt and completes an argument", async () => {
      const client = await connect(rig.url(upstream), token);
      const read = await client.readResource({ uri: ARCHITECTURE });
      expect(read.contents[0]).toMatchObject({ uri: ARCHITECTURE, text: expect.stringContaining("Architecture") });
      const prompt = await client.getPrompt({ name: "simple-prompt" });
      expect(prompt.messages[0]?.role).toBe("user");
      const ref = { type: "ref/prompt", name: "completable-prompt" } as const;
      const { completion } = await client.complete({ ref, argument: { name: "department", value: "E" } });
      expect(completion.values).toContain("Engineering");
      await client.close();
    });

    test("gets the answer of one that does not exist to what no rule allows", async () => {
      const client = await connect(rig.url(upstream), token);
      // The SDK 2.x reads the code of the older revisions as that of the newest one.
      const code = client instanceof ClientV1 ? -32002 : -32602;
      await expect(client.readResource({ uri: STARTUP })).rejects.toMatchObject({
        code,
        message: expect.stringContaining("Resource not found"),
      });
      await expect(client.getPrompt({ name: "args-prompt", arguments: { city: "x" } })).rejects.toMatchObject({
        code: -32602,
        message: expect.stringContaining("Unknown prompt: args-prompt"),
      });
      await client.close();
    });

    test("is held to the actions of its token", async () => {
      const weaker = await rig.mint([{ actions: ["mcp.session", "resource.list", "prompt.list", "prompt.get"] }]);
      const client = await connect(rig.url(upstream), weaker);
      expect((await client.listResources()).resources).toEqual([]);
      expect((await client.listPrompts()).prompts).toHaveLength(2);
      await expect(client.readResource({ uri: ARCHITECTURE })).rejects.toMatchObject({
        code: -32010,
        data: { reason: "caveat_action" },
      });
      await client.close();
    });
  });
});

/** A client of the official SDK 1.x that answers whatever it is asked. */
async function connectAnswering(url: string, bearer: string): Promise<{ client: ClientV1; readonly asked: unknown[] }> {
  const asked: unknown[] = [];
  const capabilities = { sampling: {}, elicitation: {}, roots: {} };
  const client = new ClientV1({ name: "test", version: "1" }, { capabilities });
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
    asked.push(params.messages);
    return { model: "m", role: "assistant" as const, content: { type: "text" as const, text: "sampled here" } };
  });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(params.message);
    return { action: "accept" as const, content: { name: "Ada" } };
  });
  client.setRequestHandler(ListRootsRequestSchema, () => {
    asked.push("roots");
    return { roots: [{ uri: "file:///home/ada", name: "home" }] };
  });
  const requestInit = { headers: { Authorization: `Bearer ${bearer}` } };
  // The SDK's own types disagree with exactOptionalPropertyTypes about its own transport.
  await client.connect(new TransportV1(new URL(url), { requestInit }) as Parameters<typeof client.connect>[0]);
  return { client, asked };
}

const ASKING = `version: 1
rules:
  - { id: connect, effect: allow, match: { action: [mcp.session, tool.list] } }
  - { id: tools, effect: allow, match: { tool: "*/*" } }
  - { id: questions, effect: allow, match: { action: [client.sample, client.elicit, client.roots], upstream: [remote, alone, older-alone, older-together] } }
`;

describe("what a server asks its client", () => {
  beforeAll(async () => {
    await applyRules(rig.admin, TENANT, ASKING);
  });
  afterAll(() => applyRules(rig.admin, TENANT, RULES));

  test.each(["remote", "alone", "older-alone"])("reaches it from %s, and its answer goes back", async (upstream) => {
    const { client, asked } = await connectAnswering(rig.url(upstream), token);
    const sampled = await client.callTool({ name: "trigger-sampling-request", arguments: { prompt: "why" } });
    expect(JSON.stringify(sampled.content)).toContain("sampled here");
    expect(JSON.stringify(asked)).toContain("why");
    const elicited = await client.callTool({ name: "trigger-elicitation-request", arguments: {} });
    expect(JSON.stringify(elicited.content)).toContain("Ada");
    await client.close();
    const decided = (await rig.events()).filter(({ fields }) => String(fields["action"]).startsWith("client."));
    expect(decided.map(({ fields }) => fields["action"])).toEqual(
      expect.arrayContaining(["client.sample", "client.elicit"]),
    );
    for (const { line } of decided) expect(line).not.toContain("why");
  });

  test("does not reach it where no rule allows the question: to the server it has no such method", async () => {
    const { client, asked } = await connectAnswering(rig.url("strict"), token);
    const sampled = await client.callTool({ name: "trigger-sampling-request", arguments: { prompt: "why" } });
    expect(sampled.isError).toBe(true);
    expect(JSON.stringify(sampled.content)).toContain("Method not found");
    expect(asked).toEqual([]);
    await client.close();
    const last = (await rig.events()).filter(({ fields }) => fields["action"] === "client.sample").at(-1);
    expect(last?.fields).toMatchObject({ decision: "deny", upstream: "strict" });
  });

  test.each(["together", "older-together"])(
    "trap-40 does not reach it where the channel of %s is shared: it might be another agent's",
    async (upstream) => {
      const { client, asked } = await connectAnswering(rig.url(upstream), token);
      const sampled = await client.callTool({ name: "trigger-sampling-request", arguments: { prompt: "why" } });
      expect(sampled.isError).toBe(true);
      expect(asked).toEqual([]);
      await client.close();
    },
  );
});

const LISTENING = `version: 1
rules:
  - { id: connect, effect: allow, match: { action: [mcp.session, tool.list] } }
  - { id: tools, effect: allow, match: { tool: "*/*" } }
  - { id: resources, effect: allow, match: { resource: "*/demo://resource/*" } }
  - { id: not-the-startup, effect: deny, match: { resource: "*/${STARTUP}" } }
`;

describe("what a server tells by itself", () => {
  beforeAll(() => applyRules(rig.admin, TENANT, LISTENING));
  afterAll(() => applyRules(rig.admin, TENANT, RULES));

  test.each(["everything", "remote"])(
    "reaches a client of the SDK 1.x on the stream of its session, for what it subscribed to at %s",
    async (upstream) => {
      const { client } = await connectAnswering(rig.url(upstream), token);
      expect(client.getServerCapabilities()).toMatchObject({ resources: { subscribe: true }, logging: {} });
      const updated: string[] = [];
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updated.push(params.uri));
      await expect(client.subscribeResource({ uri: STARTUP })).rejects.toMatchObject({ code: -32002 });
      await client.subscribeResource({ uri: ARCHITECTURE });
      await client.callTool({ name: "toggle-subscriber-updates", arguments: {} });
      await eventually("an update", async () => updated[0]);
      expect(new Set(updated)).toEqual(new Set([ARCHITECTURE]));
      await client.unsubscribeResource({ uri: ARCHITECTURE });
      await client.callTool({ name: "toggle-subscriber-updates", arguments: {} });
      await client.close();
    },
  );

  test("reaches a client of the stateless revision by a request that listens", async () => {
    const client = new ClientV2({ name: "test", version: "1" }, { versionNegotiation: { mode: "auto" } });
    const requestInit = { headers: { Authorization: `Bearer ${token}` } };
    await client.connect(new TransportV2(new URL(rig.url("remote")), { requestInit }));
    const updated: string[] = [];
    client.setNotificationHandler("notifications/resources/updated", ({ params }) => void updated.push(params.uri));
    const listening = await client.listen({ resourceSubscriptions: [ARCHITECTURE, STARTUP] });
    expect(listening.honoredFilter).toEqual({ resourceSubscriptions: [ARCHITECTURE] });
    await client.callTool({ name: "toggle-subscriber-updates", arguments: {} });
    await eventually("an update", async () => updated[0]);
    expect(new Set(updated)).toEqual(new Set([ARCHITECTURE]));
    await listening.close();
    await client.callTool({ name: "toggle-subscriber-updates", arguments: {} });
    await client.close();
  });

  test("I5 ends when a rule no longer allows it", async () => {
    const { client } = await connectAnswering(rig.url("remote"), token);
    const updated: string[] = [];
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updated.push(params.uri));
    await client.subscribeResource({ uri: ARCHITECTURE });
    await client.callTool({ name: "toggle-subscriber-updates", arguments: {} });
    await eventually("an update", async () => updated[0]);
    const session = LISTENING.replace("mcp.session, ", "");
    await applyRules(rig.admin, TENANT, session);
    await eventually("the end of the listening", async () =>
      (await rig.events()).find(
        ({ name, fields }) => name === "call.completed" && fields["status"] === "policy_default_deny",
      ),
    );
    await applyRules(rig.admin, TENANT, LISTENING);
    await client.callTool({ name: "toggle-subscriber-updates", arguments: {} });
    await client.close();
  });

  test("is filtered by the level that each client set", async () => {
    const { client } = await connectAnswering(rig.url("alone"), token);
    const levels: string[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void levels.push(params.level));
    await client.setLoggingLevel("error");
    // Each time that it begins, the server says one message at once, of a level by chance.
    await eventually("messages", async () => {
      await client.callTool({ name: "toggle-simulated-logging", arguments: {} });
      return levels.length < 3 ? undefined : levels;
    });
    expect(levels.every((level) => ["error", "critical", "alert", "emergency"].includes(level))).toBe(true);
    await client.close();
  }, 60_000);
});

const EVERYWHERE = `version: 1
rules:
  - { id: connect, effect: allow, match: { action: [mcp.session, tool.list, resource.list, prompt.list], upstream: [everything, remote] } }
  - { id: tools, effect: allow, match: { tool: ["*/echo", "*/get-sum", "*/toggle-subscriber-updates"] } }
  - { id: resources, effect: allow, match: { resource: "*/${ARCHITECTURE}" } }
  - { id: prompts, effect: allow, match: { prompt: "remote/*" } }
`;

describe("the endpoint of all upstreams", () => {
  const url = (): string => `${rig.writ.gatewayUrl}/mcp`;
  beforeAll(() => applyRules(rig.admin, TENANT, EVERYWHERE));
  afterAll(() => applyRules(rig.admin, TENANT, RULES));

  describe.each(clients)("with $name", ({ connect }) => {
    test("lists what its caller may use of each upstream, under names that say of which", async () => {
      const client = await connect(url(), token);
      expect(client.getServerCapabilities()).toMatchObject({ tools: {}, resources: {}, prompts: {} });
      const tools = (await client.listTools()).tools.map(({ name }) => name).sort();
      const names = ["echo", "get-sum", "toggle-subscriber-updates"];
      expect(tools).toEqual(
        ["everything", "remote"].flatMap((upstream) => names.map((name) => `${upstream}__${name}`)),
      );
      const uris = (await client.listResources()).resources.map(({ uri }) => uri).sort();
      expect(uris).toEqual([`everything+${ARCHITECTURE}`, `remote+${ARCHITECTURE}`]);
      const prompts = (await client.listPrompts()).prompts.map(({ name }) => name);
      expect(prompts).toContain("remote__simple-prompt");
      expect(prompts.every((name) => name.startsWith("remote__"))).toBe(true);
      await client.close();
    });

    test("calls, reads, gets and completes at the upstream that the name says", async () => {
      const client = await connect(url(), token);
      const answer = await client.callTool({ name: "remote__echo", arguments: { message: "hi" } });
      expect(answer).toMatchObject({ content: [{ text: "Echo: hi" }] });
      const uri = `everything+${ARCHITECTURE}`;
      expect((await client.readResource({ uri })).contents[0]).toMatchObject({ uri });
      expect((await client.getPrompt({ name: "remote__simple-prompt" })).messages).toHaveLength(1);
      const ref = { type: "ref/prompt", name: "remote__completable-prompt" } as const;
      const { completion } = await client.complete({ ref, argument: { name: "department", value: "E" } });
      expect(completion.values).toContain("Engineering");
      await client.close();
      const last = (await rig.events()).findLast(({ fields }) => fields["action"] === "tool.call");
      expect(last?.fields).toMatchObject({ upstream: "remote", tool: "echo" });
    });

    test("trap-18 answers alike for a hidden tool, an unknown one and one of no upstream", async () => {
      const client = await connect(url(), token);
      const errorOf = async (name: string): Promise<unknown> => {
        try {
          return await client.callTool({ name, arguments: {} });
        } catch (error) {
          // The SDK turns a JSON-RPC error into one of its own; that is what is compared.
          const { code, message, data } = error as { code: unknown; message: string; data: unknown };
          return { code, message: message.replaceAll(name, "TOOL"), data };
        }
      };
      const hidden = await errorOf("everything__get-env");
      expect(hidden).toMatchObject({ code: -32602, message: expect.stringContaining("Unknown tool: TOOL") });
      for (const name of ["everything__nothing", "nowhere__echo", "echo", "__echo", "everything__"]) {
        expect(await errorOf(name), name).toEqual(hidden);
      }
      await client.close();
    });
  });

  test("tells a session of updates, under the same names", async () => {
    const { client } = await connectAnswering(url(), token);
    const updated: string[] = [];
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updated.push(params.uri));
    await client.subscribeResource({ uri: `remote+${ARCHITECTURE}` });
    await client.callTool({ name: "remote__toggle-subscriber-updates", arguments: {} });
    await eventually("an update", async () => updated[0]);
    expect(new Set(updated)).toEqual(new Set([`remote+${ARCHITECTURE}`]));
    await client.close();
  });

  test("tells a client of the stateless revision by a request that listens at all of them", async () => {
    const client = await connectV2(url(), token, "auto");
    const updated: string[] = [];
    client.setNotificationHandler("notifications/resources/updated", ({ params }) => void updated.push(params.uri));
    const uris = ["everything", "remote", "nowhere"].map((upstream) => `${upstream}+${ARCHITECTURE}`);
    const unlisted = `remote+${STARTUP}`;
    const listening = await client.listen({ toolsListChanged: true, resourceSubscriptions: [...uris, unlisted] });
    expect(listening.honoredFilter).toEqual({
      toolsListChanged: true,
      resourceSubscriptions: expect.arrayContaining(uris.slice(0, 2)),
    });
    expect(listening.honoredFilter.resourceSubscriptions).toHaveLength(2);
    await client.callTool({ name: "remote__toggle-subscriber-updates", arguments: {} });
    await eventually("an update", async () => updated[0]);
    expect(new Set(updated)).toEqual(new Set([`remote+${ARCHITECTURE}`]));
    await client.callTool({ name: "remote__toggle-subscriber-updates", arguments: {} });
    await applyRules(rig.admin, TENANT, EVERYWHERE.replace("mcp.session, ", ""));
    await listening.closed;
    await applyRules(rig.admin, TENANT, EVERYWHERE);
    await client.close();
  });

  test("has metadata and a challenge of its own", async () => {
    const answer = await fetch(url(), { method: "POST", body: "{}" });
    expect(answer.status).toBe(401);
    const metadata = /resource_metadata="([^"]+)"/.exec(answer.headers.get("www-authenticate") ?? "")?.[1] ?? "";
    expect(await (await fetch(metadata)).json()).toMatchObject({ resource: url() });
  });
});

describe("between revisions", () => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await startFixture("stateless");
    await rig.addUpstream("newest", fixture.url);
    await applyRules(rig.admin, TENANT, NEWEST_RULES);
  });
  afterAll(async () => {
    fixture?.end();
    await applyRules(rig.admin, TENANT, RULES);
  });

  test("a client of the session revisions uses a server of the stateless one, and hears of its changes", async () => {
    const { client } = await connectAnswering(rig.url("newest"), token);
    let changes = 0;
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
      changes += 1;
    });
    const readings = async () =>
      (await rig.events()).filter(({ name, fields }) => name === "catalogue.read" && fields["upstream"] === "newest")
        .length;
    const before = await readings();
    expect((await client.listResources()).resources).toHaveLength(3);
    const read = await client.readResource({ uri: "test://template/7/data" });
    expect(JSON.stringify(read.contents)).toContain("Data for ID: 7");
    const args = { arg1: "one", arg2: "two" };
    const prompt = await client.getPrompt({ name: "test_prompt_with_arguments", arguments: args });
    expect(JSON.stringify(prompt.messages)).toContain("arg1='one'");
    await expect(client.readResource({ uri: "test://nothing" })).rejects.toMatchObject({ code: -32602 });
    const answer = await client.callTool({ name: "test_simple_text", arguments: {} });
    expect(JSON.stringify(answer.content)).toContain("simple text");
    await eventually("a change", async () => {
      await client.callTool({ name: "test_trigger_tool_change", arguments: {} });
      return changes > 0 ? true : undefined;
    });
    // Writ has heard it as well, and looks at the tools.
    await eventually("a reading", async () => ((await readings()) > before ? true : undefined));
    await client.close();
  });

  test("a server that would ask such a client for input says that the client cannot be asked", async () => {
    const { client } = await connectAnswering(rig.url("newest"), token);
    const call = client.callTool({ name: "test_input_required_result_elicitation", arguments: {} });
    await expect(call).rejects.toMatchObject({ code: -32021 });
    await client.close();
  });

  test("I6 a header that repeats an argument must say the same, and is compared only once the call is allowed", async () => {
    const refused = async (region: string, header: Readonly<Record<string, string>>) => {
      const { body, headers } = statelessCall("test_x_mcp_header", { region, query: "q" });
      const answer = await rig.post("newest", token, body, { ...headers, ...header });
      const { error } = JSON.parse(answer.text) as { error?: { code: number; data: { reason: string } } }; // JSON-RPC
      return [answer.status, error?.code, error?.data.reason];
    };
    const mismatch = [400, -32020, "fault_header"];
    expect(await refused("eu", { "mcp-param-region": "us" })).toEqual(mismatch);
    expect(await refused("eu", { "mcp-param-region": "=?base64?ZXU?=" })).toEqual(mismatch);
    expect(await refused("eu", {})).toEqual(mismatch);
    const last = (await rig.events()).findLast(({ name }) => name === "call.decided");
    expect(last?.fields).toMatchObject({ decision: "deny", reasons: ["fault_header"], tool: "test_x_mcp_header" });
    expect(await refused("eu", { "mcp-param-region": "=?base64?ZXU=?=", "mcp-param-other": "x" })).toEqual([
      200,
      undefined,
      undefined,
    ]);
    expect(await refused("nowhere", { "mcp-param-region": "us" })).toEqual([200, -32014, "policy_denied"]);
  });

  async function connectNewest(): Promise<{ client: ClientV2; readonly asked: string[] }> {
    const capabilities = { elicitation: {}, sampling: {}, roots: {} };
    const client = new ClientV2({ name: "test", version: "1" }, { capabilities, versionNegotiation: { mode: "auto" } });
    const asked: string[] = [];
    client.setRequestHandler("elicitation/create", ({ params }) => {
      asked.push(params.message);
      return { action: "accept" as const, content: { name: "Ada" } };
    });
    client.setRequestHandler("sampling/createMessage", () => {
      asked.push("sampling");
      return { model: "m", role: "assistant" as const, content: { type: "text" as const, text: "Paris" } };
    });
    client.setRequestHandler("roots/list", () => {
      asked.push("roots");
      return { roots: [] };
    });
    const requestInit = { headers: { Authorization: `Bearer ${token}` } };
    await client.connect(new TransportV2(new URL(rig.url("newest")), { requestInit }));
    return { client, asked };
  }

  test("a client of the stateless revision is asked for input, and its answer comes with another call", async () => {
    const { client, asked } = await connectNewest();
    const before = (await rig.events()).length;
    const answer = await client.callTool({ name: "test_input_required_result_elicitation", arguments: {} });
    expect(JSON.stringify(answer.content)).toContain("Ada");
    expect(asked).toEqual(["What is your name?"]);
    const decided = (await rig.events()).slice(before).filter(({ name }) => name === "call.decided");
    expect(decided.map(({ fields }) => fields["action"])).toEqual(["tool.call", "client.elicit", "tool.call"]);
    await client.close();
  });

  test("what it answers passes only where it was asked, as long as it may be", async () => {
    const elicitation = "test_input_required_result_elicitation";
    // What it is asked is decided from where it asks, too.
    const here = await rig.mint([{ net: ["127.0.0.0/8"] }]);
    const post = async (members: object, tool = elicitation) => {
      const { body, headers } = statelessCall(tool, {});
      const message = JSON.parse(body) as { params: { _meta: Record<string, unknown> } };
      message.params._meta["io.modelcontextprotocol/clientCapabilities"] = { elicitation: {} };
      Object.assign(message.params, members);
      const { text } = await postMcp(rig.url("newest"), here, { body: JSON.stringify(message), headers });
      const json = text.startsWith("{") ? text : (/^data: (.*)$/m.exec(text)?.[1] ?? "");
      const { result, error } = JSON.parse(json) as {
        result?: { resultType: string; requestState?: string; content?: object };
        error?: { code: number; data?: { reason?: string } };
      };
      return { result, reason: error?.data?.reason };
    };
    const inputResponses = { user_name: { action: "accept", content: { name: "Ada" } } };
    const asked = await post({});
    expect(asked.result).toMatchObject({ resultType: "input_required" });
    const { requestState } = asked.result ?? {};

    expect((await post({ inputResponses })).reason).toBe("access_input_unasked");
    expect((await post({ inputResponses, requestState: "mine" })).reason).toBe("access_input_unasked");
    expect((await post({ inputResponses, requestState }, "test_simple_text")).reason).toBe("access_input_unasked");
    expect((await post({ inputResponses, requestState })).result).toMatchObject({ resultType: "complete" });

    await applyRules(rig.admin, TENANT, NEWEST_RULES.replace("client.elicit", "client.sample"));
    try {
      expect((await post({ inputResponses, requestState })).reason).toBe("policy_default_deny");
    } finally {
      await applyRules(rig.admin, TENANT, NEWEST_RULES);
    }
  });

  test("it is asked for nothing that no rule allows, not even beside what one allows", async () => {
    const { client, asked } = await connectNewest();
    for (const name of ["test_input_required_result_sampling", "test_input_required_result_multiple_inputs"]) {
      await expect(client.callTool({ name, arguments: {} })).rejects.toMatchObject({
        data: { reason: "upstream_input_refused" },
      });
    }
    expect(asked).toEqual([]);
    await client.close();
  });
});

test("each is on record before it reached the server, uncharged and without the names that agents gave", async () => {
  const [sdk] = clients;
  const client = await sdk?.connect(rig.url("everything"), token);
  await client?.readResource({ uri: ARCHITECTURE });
  await client?.readResource({ uri: ARCHITECTURE });
  await client?.close();
  const events = (await rig.events()).filter(({ fields }) => fields["action"] === "resource.read");
  const last = events.at(-1);
  expect(last?.fields).toMatchObject({ decision: "allow", ruleId: "documents", upstream: "everything" });
  expect(last?.fields["resource"]).toMatch(/^sha256:/);
  expect(last?.fields).not.toHaveProperty("claims");
  for (const { line } of events) expect(line).not.toContain("demo://");
});
