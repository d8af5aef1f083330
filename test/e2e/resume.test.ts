/**
 * Streams of calls that break off, over real processes and sockets: agents fetch the rest, the upstream is called once, and
 * the record, the budgets and the end of what is no longer allowed are those of an unbroken stream.
 */
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { startBreakingProxy } from "@writ/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyRules, eventually, type LoggedEvent, postMcp, type Rig, RULES, startRig, TENANT } from "./rig.ts";
import { connectV1, connectV2 } from "./sdk-clients.ts";

const PARAMS = { tenant: TENANT };
/** Long enough for a client of the SDK to come back, and short enough to wait for. */
const RESUME_WITHIN_MS = 3_000;

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ env: { WRIT_GATEWAY_RESUME_WITHIN_MS: String(RESUME_WITHIN_MS) } });
});
afterAll(() => rig?.close());

const clients = [
  { name: "the official SDK 1.x", connect: connectV1 },
  { name: "the official SDK 2.x", connect: (url: string, bearer: string) => connectV2(url, bearer, "legacy") },
];

const TOOL = "trigger-long-running-operation";
const endpoints = [
  { path: "/mcp/everything", tool: TOOL },
  { path: "/mcp", tool: `everything__${TOOL}` },
];

describe.each(clients)("a client of $name", ({ connect }) => {
  test.each(endpoints)(
    "hears all progress of the reference server once, and its answer, over a connection to $path that breaks",
    async ({ path, tool }) => {
      const through = await startBreakingProxy(`${rig.writ.gatewayUrl}${path}`);
      const client = await connect(through.url, await rig.mint());
      const heard: number[] = [];
      const call = { name: tool, arguments: { duration: 4, steps: 8 } };
      const onprogress = ({ progress }: { readonly progress: number }): void => {
        heard.push(progress);
        if (progress === 2 || progress === 6) through.breakAll();
      };
      // The clients' own signatures differ in what stands between the call and its options.
      const answer =
        client instanceof ClientV1
          ? client.callTool(call, undefined, { onprogress })
          : client.callTool(call, { onprogress });
      expect(await answer).toMatchObject({ content: [{ text: expect.stringContaining("completed") }] });
      expect(heard).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      await client.close();
      await through.close();
    },
    60_000,
  );
});

test("a client of the official SDK 1.x that starts anew goes on with its session, its token and the last event that it has", async () => {
  const token = await rig.mint();
  const requestInit = { headers: { Authorization: `Bearer ${token}` } };
  const open = (sessionId?: string) => {
    const transport = new TransportV1(new URL(rig.url("up")), {
      requestInit,
      ...(sessionId === undefined ? {} : { sessionId }),
    });
    return { transport, client: new ClientV1({ name: "test", version: "1" }) };
  };
  const first = open();
  // The SDK's own types disagree with exactOptionalPropertyTypes about its own transport.
  await first.client.connect(first.transport as Parameters<ClientV1["connect"]>[0]);
  const calls = rig.upstream.calls.length;
  let last = "";
  const request = { method: "tools/call", params: { name: "slow", arguments: { steps: 3, wait: true } } } as const;
  const told = Promise.withResolvers<void>();
  const options = { onprogress: () => told.resolve(), onresumptiontoken: (token: string) => (last = token) };
  const lost = first.client.request(request, CallToolResultSchema, options).catch(() => "lost");
  rig.upstream.step();
  await told.promise;
  await first.transport.close();
  expect(await lost).toBe("lost");
  rig.upstream.step();
  rig.upstream.step();

  const second = open(first.transport.sessionId);
  second.transport.setProtocolVersion("2025-11-25");
  await second.client.connect(second.transport as Parameters<ClientV1["connect"]>[0]);
  const answer = await second.client.request(request, CallToolResultSchema, { resumptionToken: last });
  expect(answer).toMatchObject({ content: [{ text: "3 steps" }] });
  expect(rig.upstream.calls.length).toBe(calls + 1);
  await second.client.close();
});

/** A session by hand, whose calls are broken off as a test pleases. */
async function openSession(token: string) {
  const url = rig.url("up");
  const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`;
  const opened = await postMcp(url, token, { body: initialize });
  const headers = {
    authorization: `Bearer ${token}`,
    accept: "application/json, text/event-stream",
    "mcp-session-id": opened.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": "2025-11-25",
  };
  let id = 1;
  return {
    /** Calls `slow` and reads until it has made a step; `leave` breaks the connection. */
    async call(steps: number) {
      id += 1;
      const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"slow","arguments":{"steps":${steps},"wait":true},"_meta":{"progressToken":1}}}`;
      const cut = new AbortController();
      const response = await fetch(url, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body,
        signal: cut.signal,
      });
      const callId = response.headers.get("writ-call-id") ?? "";
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      rig.upstream.step();
      let text = "";
      while (!text.includes("progress")) text += (await reader?.read())?.value ?? "";
      return {
        callId,
        /** The id of the first step; the one before it says where the stream begins. */
        from: [...text.matchAll(/^id: (.*)$/gm)][1]?.[1] ?? "",
        leave: () => cut.abort(),
        async end() {
          for (;;) {
            const part = await reader?.read();
            if (part?.done !== false) return text;
            text += part.value;
          }
        },
      };
    },
    async takeUp(from: string) {
      const response = await fetch(url, { headers: { ...headers, "last-event-id": from } });
      return { status: response.status, text: await response.text() };
    },
  };
}

/** The outcome of a call, as soon as it is on record. */
function outcomeOf(callId: string): Promise<LoggedEvent> {
  return eventually(`the outcome of ${callId}`, async () =>
    (await rig.events()).find(
      ({ name, fields }) => fields["callId"] === callId && !name.startsWith("call.decided") && name !== "call.allowed",
    ),
  );
}

describe("a call whose stream broke off", () => {
  test("I1 has one decision and the outcome of an unbroken one", async () => {
    const session = await openSession(await rig.mint());
    const whole = await session.call(3);
    rig.upstream.step();
    rig.upstream.step();
    await whole.end();
    const broken = await session.call(3);
    broken.leave();
    rig.upstream.step();
    const rest = session.takeUp(broken.from);
    rig.upstream.step();
    expect((await rest).text).toContain("3 steps");
    const [one, other] = [await outcomeOf(whole.callId), await outcomeOf(broken.callId)];
    expect(other.name).toBe("call.completed");
    const same = ({ fields: { status, messages, responseBytes } }: LoggedEvent) => ({
      status,
      messages,
      responseBytes,
    });
    expect(same(other)).toEqual(same(one));
    const own = (await rig.events()).filter(({ fields }) => fields["callId"] === broken.callId);
    expect(own.length).toBe(2);
  });

  test("I7 settles its budget when nobody ever comes back, whether it is answered or cut", async () => {
    const token = await rig.mint([{ budget: { limit: 100, unit: "calls", window: "day" } }]);
    const session = await openSession(token);
    const answered = await session.call(2);
    answered.leave();
    rig.upstream.step();
    expect(await outcomeOf(answered.callId)).toMatchObject({ name: "call.completed", fields: { status: "ok" } });
    const cut = await session.call(9);
    cut.leave();
    expect((await outcomeOf(cut.callId)).name).toMatch(/^call\.(?:failed|unknown)$/);
    rig.upstream.step(); // what waits for it there is over
    expect((await session.takeUp(cut.from)).status).toBe(400);
    await expect
      .poll(async () => {
        let reserved = 0;
        for await (const usage of rig.admin.pages("budgets.usage", { params: PARAMS, query: {} })) {
          reserved += usage.reserved;
        }
        return reserved;
      })
      .toBe(0);
  }, 30_000);

  const ends = [
    {
      what: "its token is revoked",
      end: async (node: string) =>
        void (await rig.admin.call("nodes.revoke", { params: { ...PARAMS, node }, body: { reason: "test" } })),
      undo: async () => undefined,
    },
    {
      what: "a kill switch is engaged",
      end: async () => void (await rig.admin.call("kill.engage-tenant", { params: PARAMS, body: { reason: "test" } })),
      undo: async () => void (await rig.admin.call("kill.release-tenant", { params: PARAMS })),
    },
    {
      what: "a rule no longer allows it",
      end: () => applyRules(rig.admin, TENANT, RULES.replace('"up/*"', '"up/echo"')),
      undo: () => applyRules(rig.admin, TENANT, RULES),
    },
  ];

  test.each(ends)("I5 is cut when $what while its agent is away, and what was kept is gone", async ({ end, undo }) => {
    const { token, node } = await rig.admin.call("tokens.mint", { params: PARAMS, body: { agent: "assistant" } });
    const session = await openSession(token);
    const over = await session.call(1);
    await over.end();
    const running = await session.call(9);
    running.leave();
    // Of the one that is over the answer can still be fetched.
    expect((await session.takeUp(over.from)).text).toContain("1 steps");
    try {
      await end(node);
      await expect.poll(async () => (await session.takeUp(over.from)).text, { timeout: 5_000 }).not.toContain("steps");
      expect((await session.takeUp(running.from)).text).not.toContain("progress");
      const outcome = await outcomeOf(running.callId);
      expect([outcome.name, outcome.fields["status"]]).toEqual([
        expect.stringMatching(/^call\.(?:failed|unknown)$/),
        expect.stringMatching(/token_revoked|kill_engaged|policy_default_deny/),
      ]);
    } finally {
      rig.upstream.step(); // what waits for it there is over
      await undo();
    }
  });
});
