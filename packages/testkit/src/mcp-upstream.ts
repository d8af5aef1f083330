/**
 * A working MCP server that tests use as an upstream: Streamable HTTP with sessions (2025-11-25) or stateless
 * (2026-07-28), or lines on stdin and stdout with either. It writes down every request it receives, so that a test can
 * compare what was forwarded with what was allowed, and has tools that fail in the ways upstreams do. Written apart
 * from the gateway's own code, so that a mistake there is not repeated here.
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export interface ReceivedCall {
  readonly tool: string;
  /** The body of the request as it came. */
  readonly text: string;
  readonly id: unknown;
  readonly mcpSession: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface McpUpstreamOptions {
  /** `legacy`: HTTP+SSE as revision 2024-11-05 has it. */
  readonly era: "session" | "stateless" | "legacy";
  readonly port?: number;
  /** Called for each tools/call before it is answered; for tests in other processes, a line for each. */
  readonly onCall?: (call: ReceivedCall) => void;
}

export interface McpUpstream {
  readonly url: string;
  /** Every tools/call received, in order. */
  readonly calls: readonly ReceivedCall[];
  /** Every other method or notification received, by name. */
  readonly others: readonly string[];
  /** Ids of requests whose cancellation was received (a notification, or a stream that was closed). */
  readonly cancelled: readonly unknown[];
  readonly sessionsOpened: () => number;
  /** Lists these from now on; what they do stays. */
  define(definitions: readonly string[]): void;
  /** Forgets all sessions: later requests on them are answered so. 400 carries a JSON-RPC error for the request's id. */
  forgetSessions(answer?: 400 | 404): void;
  /** Lets one waiting `slow` call make its next step. */
  step(): void;
  close(): Promise<void>;
}

interface JsonRpc {
  readonly id?: unknown;
  readonly method?: unknown;
  readonly params?: { readonly [name: string]: unknown };
}

/** The tools, as the member of `tools/list`; unusual spacing and number spellings on purpose. */
export const MCP_UPSTREAM_TOOLS: readonly string[] = [
  '{"name":"echo", "description":"Answers with its message.","inputSchema":{"type":"object","properties":{"message":{"type":"string"}}},"x-precise":1.10}',
  '{"name":"add","description":"Adds two numbers.","inputSchema":{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}}}}',
  '{"name":"slow","description":"Makes `steps` steps, each reported as progress.","inputSchema":{"type":"object"}}',
  '{"name":"raw","description":"Answers with the request as it came, in a result of unusual spelling.","inputSchema":{"type":"object"}}',
  '{"name":"error","description":"Answers with a JSON-RPC error.","inputSchema":{"type":"object"}}',
  '{"name":"ask","description":"Asks for input.","inputSchema":{"type":"object"}}',
  '{"name":"fail-after-headers","description":"Begins a stream and breaks it.","inputSchema":{"type":"object"}}',
  '{"name":"die","description":"Breaks the connection (or the process) without an answer.","inputSchema":{"type":"object"}}',
  '{"name":"babble","description":"Answers without end.","inputSchema":{"type":"object"}}',
  '{"name":"redirect","description":"Answers with a redirect.","inputSchema":{"type":"object"}}',
  '{"name":"silent","description":"Never answers.","inputSchema":{"type":"object"}}',
  '{"name":"cross","description":"Answers with somebody else\'s id first.","inputSchema":{"type":"object"}}',
];

const SERVER_INFO = '{"name":"testkit","version":"1.0.0"}';
const PROTOCOL = "io.modelcontextprotocol/protocolVersion";

interface Conversation {
  readonly stateless: boolean;
  send(text: string): void;
  /** Ends the transport in the tool's own bad way. */
  fail(way: "die" | "babble" | "redirect" | "fail-after-headers"): void;
  /** Whether the caller has gone or cancelled. */
  gone(): boolean;
  waitForStep(): Promise<void>;
}

function result(id: unknown, members: string, stateless: boolean): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{${stateless ? '"resultType":"complete",' : ""}${members}}}`;
}

function text(value: string): string {
  return `"content":[{"type":"text","text":${JSON.stringify(value)}}]`;
}

async function callTool(message: JsonRpc, received: string, conversation: Conversation): Promise<void> {
  const { stateless } = conversation;
  const name = String(message.params?.["name"]);
  const args = (message.params?.["arguments"] ?? {}) as Record<string, unknown>; // a test's own input
  const meta = (message.params?.["_meta"] ?? {}) as Record<string, unknown>; // likewise
  const answer = (members: string): void => conversation.send(result(message.id, members, stateless));
  switch (name) {
    case "echo":
      return answer(text(String(args["message"])));
    case "add":
      return answer(text(String(Number(args["a"]) + Number(args["b"]))));
    case "raw":
      return answer(
        `${text(received)}, "structuredContent" : {"big":9007199254740993,"price":1.10,"twice":1,"twice":2},"x-unknown":[ ]`,
      );
    case "slow": {
      const steps = Number(args["steps"] ?? 3);
      for (let step = 1; step <= steps; step += 1) {
        if (args["wait"] === true) await conversation.waitForStep();
        if (conversation.gone()) return;
        if (meta["progressToken"] !== undefined) {
          const token = JSON.stringify(meta["progressToken"]);
          conversation.send(
            `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":${step},"total":${steps},"x-more":1.0}}`,
          );
        }
      }
      return answer(text(`${steps} steps`));
    }
    case "error":
      return conversation.send(
        `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"error":{"code":-32603,"message":"broken on purpose","data":{"n":1.0}}}`,
      );
    case "ask":
      return conversation.send(
        `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":{"resultType":"input_required","inputRequests":{}}}`,
      );
    case "cross":
      conversation.send(`{"jsonrpc":"2.0","id":999999,"result":{${text("for somebody else")}}}`);
      conversation.send(
        '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":999999,"progress":1}}',
      );
      return answer(text("yours"));
    case "die":
    case "babble":
    case "redirect":
    case "fail-after-headers":
      return conversation.fail(name);
    case "silent":
      return;
    default:
      return conversation.send(
        `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"error":{"code":-32602,"message":${JSON.stringify(`Unknown tool: ${name}`)}}}`,
      );
  }
}

/** What both transports answer alike; undefined when it is not such a method. */
function answerCommon(
  message: JsonRpc,
  era: McpUpstreamOptions["era"],
  tools: readonly string[] = MCP_UPSTREAM_TOOLS,
): string | undefined {
  const stateless = era === "stateless";
  switch (String(message.method)) {
    case "ping":
      return result(message.id, "", false);
    case "tools/list": {
      const half = Math.ceil(tools.length / 2);
      const second = message.params?.["cursor"] === "half";
      const page = second ? tools.slice(half) : tools.slice(0, half);
      const more = `${second ? "" : ',"nextCursor":"half"'}${stateless ? ',"ttlMs":1000,"cacheScope":"public"' : ""}`;
      return result(message.id, `"tools":[${page.join(", ")}]${more}`, stateless);
    }
    case "initialize":
      if (stateless) break;
      return result(
        message.id,
        `"protocolVersion":"${era === "legacy" ? "2024-11-05" : "2025-11-25"}","capabilities":{"tools":{},"logging":{}},"serverInfo":${SERVER_INFO},"instructions":"Be kind."`,
        false,
      );
    case "server/discover":
      if (!stateless) break;
      return result(
        message.id,
        `"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":1000,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":${SERVER_INFO}}`,
        true,
      );
  }
  return undefined;
}

/** Starts the server on loopback. */
export async function startMcpUpstream(options: McpUpstreamOptions): Promise<McpUpstream> {
  const calls: ReceivedCall[] = [];
  const others: string[] = [];
  const cancelled: unknown[] = [];
  const cancelledIn = new Set<string>();
  const sessions = new Set<string>();
  const streams = new Map<string, ServerResponse>();
  let opened = 0;
  let lostAnswer: 400 | 404 = 404;
  let tools = MCP_UPSTREAM_TOOLS;
  const waiting: (() => void)[] = [];
  let steps = 0;

  function step(): void {
    const next = waiting.shift();
    if (next === undefined) steps += 1;
    else next();
  }

  function takeStep(): Promise<void> {
    if (steps > 0) {
      steps -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve) => waiting.push(resolve));
  }

  function receiveCall(
    message: JsonRpc,
    text: string,
    { session, request }: { readonly session: string | undefined; readonly request: IncomingMessage },
  ): ReceivedCall {
    const tool = String(message.params?.["name"]);
    const call = { tool, text, id: message.id, mcpSession: session, headers: request.headers };
    calls.push(call);
    options.onCall?.(call);
    return call;
  }

  /** Writes until the socket pushes back, and goes on when it does no longer. */
  function flood(response: ServerResponse): void {
    const write = (): void => {
      while (!response.destroyed && response.write(`data: ${"x".repeat(8192)}\n`)) {
        // The socket took it.
      }
    };
    response.on("drain", write);
    write();
  }

  /** A message of HTTP+SSE: accepted on its own request, answered on the session's stream. */
  async function handleOnStream(
    message: JsonRpc,
    received: string,
    wire: { readonly request: IncomingMessage; readonly response: ServerResponse; readonly stream: ServerResponse },
  ): Promise<void> {
    const { request, response, stream } = wire;
    const session = request.url;
    const send = (part: string): void => void stream.write(`event: message\ndata: ${part}\n\n`);
    const accept = (): void => void response.writeHead(202).end("Accepted");
    const common = answerCommon(message, "legacy");
    if (common !== undefined || message.method !== "tools/call") {
      accept();
      return send(
        common ??
          `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"error":{"code":-32601,"message":"Method not found"}}`,
      );
    }
    const call = receiveCall(message, received, { session, request });
    if (call.tool === "redirect") return void response.writeHead(307, { location: "/elsewhere" }).end();
    if (call.tool === "sick") return void response.writeHead(503).end();
    accept();
    await callTool(message, received, {
      stateless: false,
      send,
      gone: () => stream.destroyed || cancelledIn.has(`undefined ${JSON.stringify(message.id)}`),
      waitForStep: takeStep,
      fail(way) {
        if (way !== "babble") return void stream.destroy();
        flood(stream);
      },
    });
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer); // a stream without encoding yields buffers
    const received = Buffer.concat(chunks).toString("utf8");
    const refuse = (status: number, body = ""): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(body);
    };
    const header = request.headers["mcp-session-id"];
    const session = typeof header === "string" ? header : undefined;
    if (request.method === "DELETE" && session !== undefined && options.era === "session") {
      others.push("DELETE");
      sessions.delete(session);
      return refuse(200);
    }
    if (options.era === "legacy" && request.method === "GET") {
      const id = randomUUID();
      opened += 1;
      streams.set(id, response);
      response.once("close", () => streams.delete(id));
      response.writeHead(200, { "content-type": "text/event-stream" });
      return void response.write(`event: endpoint\ndata: /messages?session=${id}\n\n`);
    }
    if (request.method !== "POST") return refuse(405);
    const path = new URL(request.url ?? "", "http://upstream.invalid");
    const stream = options.era === "legacy" ? streams.get(path.searchParams.get("session") ?? "") : undefined;
    if (options.era === "legacy" && stream === undefined) {
      return refuse(path.pathname === "/messages" ? lostAnswer : 405, "gone");
    }
    const message = JSON.parse(received) as JsonRpc; // a test's own input
    const method = String(message.method);
    if (options.era === "session") {
      if (method !== "initialize" && session === undefined) return refuse(400);
      if (session !== undefined && !sessions.has(session)) {
        if (lostAnswer === 404) return refuse(404);
        const id = JSON.stringify(message.id);
        return refuse(400, `{"jsonrpc":"2.0","id":${id},"error":{"code":-32000,"message":"No valid session"}}`);
      }
    } else if (options.era === "stateless") {
      const meta = (message.params?.["_meta"] ?? {}) as Record<string, unknown>; // likewise
      const version = request.headers["mcp-protocol-version"];
      const name = message.params?.["name"];
      const agrees =
        meta[PROTOCOL] === version &&
        request.headers["mcp-method"] === method &&
        (method !== "tools/call" || request.headers["mcp-name"] === name);
      if (!agrees) {
        return refuse(
          400,
          `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"error":{"code":-32020,"message":"Header mismatch"}}`,
        );
      }
      if (typeof meta["io.modelcontextprotocol/clientCapabilities"] !== "object") {
        return refuse(
          400,
          `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"error":{"code":-32602,"message":"Invalid params"}}`,
        );
      }
    }
    if (method !== "tools/call") others.push(method);
    if (message.id === undefined || message.method === undefined) {
      if (method === "notifications/cancelled") {
        cancelled.push(message.params?.["requestId"]);
        cancelledIn.add(`${session} ${JSON.stringify(message.params?.["requestId"])}`);
      }
      return void response.writeHead(202).end();
    }
    if (stream !== undefined) return handleOnStream(message, received, { request, response, stream });
    const common = answerCommon(message, options.era, tools);
    if (common !== undefined) {
      if (method === "initialize") {
        const id = randomUUID();
        sessions.add(id);
        opened += 1;
        response.setHeader("mcp-session-id", id);
      }
      return refuse(200, common);
    }
    if (method !== "tools/call") {
      return refuse(
        404,
        `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"error":{"code":-32601,"message":"Method not found"}}`,
      );
    }
    const call = receiveCall(message, received, { session, request });
    // What a proxy answers for a server that is gone; in no list, and over HTTP only.
    if (call.tool === "sick") return refuse(503);
    response.once("close", () => {
      if (!response.writableFinished) cancelled.push(message.id);
    });
    const streamed = ["slow", "cross", "fail-after-headers", "babble", "silent"].includes(call.tool);
    const begin = (): void => {
      if (!response.headersSent)
        response.writeHead(200, { "content-type": streamed ? "text/event-stream" : "application/json" });
    };
    await callTool(message, received, {
      stateless: options.era === "stateless",
      // Two clients may use the same ids; a session's are its own.
      gone: () => response.destroyed || cancelledIn.has(`${session} ${JSON.stringify(message.id)}`),
      waitForStep: () => {
        begin();
        response.flushHeaders();
        return takeStep();
      },
      send(part) {
        begin();
        response.write(streamed ? `event: message\ndata: ${part}\n\n` : part);
        const parsed = JSON.parse(part) as { result?: unknown; error?: unknown; id?: unknown }; // made above
        if (parsed.id === message.id && (parsed.result ?? parsed.error) !== undefined) response.end();
      },
      fail(way) {
        if (way === "die") return void request.socket.destroy();
        if (way === "redirect") return void response.writeHead(307, { location: "/elsewhere" }).end();
        begin();
        if (way === "fail-after-headers") {
          response.write(": begun\n\n", () => request.socket.destroy());
          return;
        }
        flood(response);
      },
    });
  }

  const server: Server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}/mcp`,
    calls,
    others,
    cancelled,
    sessionsOpened: () => opened,
    define(definitions) {
      tools = definitions;
    },
    forgetSessions(answer = 404) {
      lostAnswer = answer;
      sessions.clear();
      for (const stream of streams.values()) stream.destroy();
    },
    step,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export interface StdioUpstreamOptions {
  readonly era: "session" | "stateless";
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  /** Ends the process as `die` does. */
  readonly exit: (code: number) => void;
}

/** Serves the same tools over lines. `die` exits, `babble` writes without a line end. Resolves at the end of input. */
export async function serveMcpUpstreamOnLines(options: StdioUpstreamOptions): Promise<void> {
  const cancelled = new Set<unknown>();
  const write = (line: string): void => void options.output.write(`${line}\n`);
  let held = "";
  for await (const chunk of options.input) {
    held += String(chunk);
    for (let at = held.indexOf("\n"); at >= 0; at = held.indexOf("\n")) {
      const line = held.slice(0, at);
      held = held.slice(at + 1);
      const message = JSON.parse(line) as JsonRpc; // a test's own input
      if (message.method === "notifications/cancelled") cancelled.add(message.params?.["requestId"]);
      if (message.id === undefined || message.method === undefined) continue;
      const common = answerCommon(message, options.era);
      if (common !== undefined) {
        write(common);
        continue;
      }
      if (message.method !== "tools/call") {
        write(
          `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"error":{"code":-32601,"message":"Method not found"}}`,
        );
        continue;
      }
      if (message.params?.["name"] === "environment") {
        write(result(message.id, text(JSON.stringify(process.env)), options.era === "stateless"));
        continue;
      }
      void callTool(message, line, {
        stateless: options.era === "stateless",
        gone: () => cancelled.has(message.id),
        waitForStep: () => new Promise((resolve) => setTimeout(resolve, 5)),
        send: write,
        fail(way) {
          if (way !== "babble") return options.exit(3);
          const flood = (): void => {
            while (options.output.write("x".repeat(65536))) {
              // Writes until the pipe is full; `drain` goes on.
            }
          };
          options.output.on("drain", flood);
          flood();
        },
      });
    }
  }
}
