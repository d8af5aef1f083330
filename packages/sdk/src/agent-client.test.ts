import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { createAgentClient, DenialError, encodeHeaderValue, ToolError } from "./agent-client.ts";
import { readEventStream } from "./event-stream.ts";

interface Seen {
  readonly text: string;
  readonly headers: IncomingMessage["headers"];
  readonly url: string;
  readonly body: { id: number; method: string; params: { name: string; arguments: unknown } };
}

let server: Server | undefined;
afterEach(() => server?.close());

/** A peer that speaks as the gateway does; what was sent is kept. */
async function peer(answer: (seen: Seen, response: ServerResponse) => void): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const body = JSON.parse(text) as Seen["body"];
      const one = { text, headers: request.headers, url: request.url ?? "", body };
      seen.push(one);
      answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // a TCP server has an AddressInfo
  return { url: `http://127.0.0.1:${port}`, seen };
}

const call = { upstream: "everything", tool: "echo", arguments: { message: "hi" } };

describe("the agent client", () => {
  test("sends one stateless request whose headers agree with its body", async () => {
    const { url, seen } = await peer(({ body }, response) => {
      response.setHeader("writ-call-id", "c1");
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ jsonrpc: "2.0", id: body.id, result: { content: [] } }));
    });
    const answer = await createAgentClient({ url, token: "writ_x" }).callTool(call);
    expect(answer).toEqual({ result: { content: [] }, callId: "c1" });
    expect(seen[0]?.url).toBe("/mcp/everything");
    expect(seen[0]?.headers).toMatchObject({
      "mcp-method": "tools/call",
      "mcp-name": "echo",
      authorization: "Bearer writ_x",
    });
  });

  test("sends an idempotency key in quotes, and none where the call has none", async () => {
    const { url, seen } = await peer(({ body }, response) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ jsonrpc: "2.0", id: body.id, result: {} }));
    });
    const client = createAgentClient({ url, token: "writ_x" });
    await client.callTool({ ...call, idempotencyKey: String.raw`an "order" \ 7` });
    await client.callTool(call);
    expect(seen.map(({ headers }) => headers["idempotency-key"])).toEqual([String.raw`"an \"order\" \\ 7"`, undefined]);
  });

  test("sends the text of arguments and caveats as it is, in which no number is rounded", async () => {
    const child = { token: "writ_y", node: "n", expiresAt: "2026-01-01T00:00:00.000Z", carves: [] };
    const { url, seen } = await peer(({ body, url: path }, response) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(path === "/mcp/up" ? { jsonrpc: "2.0", id: body.id, result: {} } : child));
    });
    const client = createAgentClient({ url, token: "writ_x" });
    await client.callTool({ upstream: "up", tool: "pay", arguments: '{"amount": 1.10,"to":9007199254740993}' });
    const caveat = '{"args":{"up/pay":{"/to":{"eq":9007199254740993}}}}';
    expect(await client.recordChild({ caveats: [caveat, { depth: 0 }], agent: "a1" })).toEqual(child);
    expect(seen[0]?.text).toContain('"arguments":{"amount": 1.10,"to":9007199254740993}');
    expect(seen[1]?.text).toBe(`{"caveats":[${caveat},{"depth":0}],"agent":"a1"}`);
  });

  test("reads the answer from a stream, past notifications", async () => {
    const { url } = await peer(({ body }, response) => {
      response.setHeader("content-type", "text/event-stream");
      response.write(': hello\n\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n');
      response.end(`event: message\r\ndata: {"jsonrpc":"2.0","id":${body.id},\r\ndata: "result":{"ok":true}}\r\n\r\n`);
    });
    expect((await createAgentClient({ url, token: "writ_x" }).callTool(call)).result).toEqual({ ok: true });
  });

  test.each([
    [
      200,
      { jsonrpc: "2.0", id: 1, error: { code: -32010, message: "no", data: { reason: "caveat_args", callId: "c2" } } },
      "caveat_args",
    ],
    [401, { code: "token_expired", title: "t", detail: "d" }, "token_expired"],
    [502, { unexpected: true }, "unknown"],
  ])("a denial over HTTP %d has its reason", async (status, body, reason) => {
    const { url } = await peer((_seen, response) => {
      response.statusCode = status;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(body));
    });
    const error = await createAgentClient({ url, token: "writ_secret" })
      .callTool(call)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DenialError);
    expect(error).toMatchObject({ reason, status });
    expect(String(error)).not.toContain("writ_secret");
  });

  test("an error of the upstream is not mistaken for a denial", async () => {
    const { url } = await peer(({ body }, response) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ jsonrpc: "2.0", id: body.id, error: { code: -32000, message: "broken" } }));
    });
    await expect(createAgentClient({ url, token: "writ_x" }).callTool(call)).rejects.toBeInstanceOf(ToolError);
  });

  test("a token does not follow a redirect", async () => {
    const { url, seen } = await peer((_seen, response) => {
      response.writeHead(307, { location: "/elsewhere" });
      response.end();
    });
    await expect(createAgentClient({ url, token: "writ_x" }).callTool(call)).rejects.toThrow();
    expect(seen.length).toBe(1);
  });
});

test("a stream is read alike however it is cut", async () => {
  const text = "data: one\r\n\r\ndata:two\ndata: three\n\n: c\rdata: four\r\r";
  const bytes = new TextEncoder().encode(`${text}data: fünf\n\ndata: unfinished`);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 8 }), async (cuts) => {
      const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      const parts = at.slice(1).map((end, index) => bytes.slice(at[index], end));
      const found: string[] = [];
      for await (const data of readEventStream(ReadableStream.from(parts) as ReadableStream<Uint8Array>))
        found.push(data);
      expect(found).toEqual(["one", "two\nthree", "four", "fünf"]);
    }),
  );
});

test("a header value comes back as it was", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (text) => {
      const value = encodeHeaderValue(text);
      expect(value).toMatch(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/);
      const encoded = /^=\?base64\?(.*)\?=$/.exec(value)?.[1];
      expect(encoded === undefined ? value : Buffer.from(encoded, "base64").toString()).toBe(text);
    }),
  );
});
