/**
 * An agent's side of MCP 2026-07-28 for tests: one HTTP request a call over real sockets, kept alive, with the times at
 * which bytes of a stream arrived. Written apart from the SDK, so that a mistake there is not repeated here.
 */
import http from "node:http";

export interface Answer {
  readonly status: number;
  /** The JSON-RPC result's text content; "" for anything else. */
  readonly text: string;
  /** Reason of a denial, from either shape of error; "" when there is none. */
  readonly reason: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly body: string;
}

export interface ToolRequest {
  readonly gatewayUrl: string;
  readonly upstream: string;
  readonly token: string;
  readonly tool: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly idempotencyKey?: string;
}

export interface OpenStream {
  /** Milliseconds on the monotonic clock at which the last bytes arrived, and how many pieces there were. */
  readonly lastByteMs: () => number;
  readonly pieces: () => number;
  /** Resolves when the response has ended or the connection has broken. */
  readonly ended: Promise<void>;
  close(): void;
}

const PROTOCOL = "2026-07-28";
/** A call that takes longer is an error of the test. */
const ANSWER_WITHIN_MS = 60_000;

export interface McpClient {
  call(request: ToolRequest): Promise<Answer>;
  /** A call with a progress token; resolves when its first bytes have arrived. */
  stream(request: ToolRequest): Promise<OpenStream>;
  post(url: string, token: string, body: unknown): Promise<Answer>;
  close(): void;
}

export function createMcpClient(): McpClient {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1_000 });
  let nextId = 0;

  function open(request: ToolRequest, progressToken: string | undefined): http.ClientRequest {
    nextId += 1;
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: nextId,
      method: "tools/call",
      params: {
        name: request.tool,
        arguments: request.arguments,
        _meta: {
          "io.modelcontextprotocol/protocolVersion": PROTOCOL,
          "io.modelcontextprotocol/clientCapabilities": {},
          ...(progressToken === undefined ? {} : { progressToken }),
        },
      },
    });
    const outgoing = http.request(`${request.gatewayUrl}/mcp/${request.upstream}`, {
      agent,
      method: "POST",
      timeout: ANSWER_WITHIN_MS,
      headers: {
        authorization: `Bearer ${request.token}`,
        "content-type": "application/json",
        accept: progressToken === undefined ? "application/json" : "application/json, text/event-stream",
        "mcp-protocol-version": PROTOCOL,
        "mcp-method": "tools/call",
        "mcp-name": request.tool,
        ...(request.idempotencyKey === undefined ? {} : { "idempotency-key": `"${request.idempotencyKey}"` }),
      },
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer in time")));
    outgoing.end(body);
    return outgoing;
  }

  return {
    call: (request) => readAnswer(open(request, undefined)),
    async stream(request) {
      const outgoing = open(request, "p");
      let lastByteMs = 0;
      let pieces = 0;
      let finish: () => void = () => undefined;
      const ended = new Promise<void>((resolve) => {
        finish = resolve;
      });
      await new Promise<void>((resolve, reject) => {
        outgoing.once("error", (error) => {
          finish();
          reject(error);
        });
        outgoing.once("response", (response) => {
          response.on("data", (bytes: Buffer) => {
            lastByteMs = performance.now();
            pieces += 1;
            if (response.headers["content-type"] === "text/event-stream") resolve();
            else reject(new Error(`no stream: ${response.statusCode} ${bytes.toString("utf8").slice(0, 500)}`));
          });
          response.once("error", () => undefined);
          response.once("close", () => {
            finish();
            reject(new Error("the stream ended before it began"));
          });
        });
      });
      return { lastByteMs: () => lastByteMs, pieces: () => pieces, ended, close: () => outgoing.destroy() };
    },
    post(url, token, body) {
      const outgoing = http.request(url, {
        agent,
        method: "POST",
        timeout: ANSWER_WITHIN_MS,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      });
      outgoing.on("timeout", () => outgoing.destroy(new Error("no answer in time")));
      outgoing.end(JSON.stringify(body));
      return readAnswer(outgoing);
    },
    close: () => agent.destroy(),
  };
}

function readAnswer(outgoing: http.ClientRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    outgoing.once("error", reject);
    outgoing.once("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.once("error", reject);
      response.once("end", () => resolve(describe(response.statusCode ?? 0, body)));
    });
  });
}

interface Body {
  readonly result?: { readonly content?: readonly { readonly text?: string }[] };
  readonly error?: { readonly data?: Readonly<Record<string, unknown>>; readonly message?: string };
}

function describe(status: number, body: string): Answer {
  // An answer of the gateway, in one of the two shapes that its errors have.
  const parsed = (body === "" ? {} : JSON.parse(body)) as Body & Readonly<Record<string, unknown>>;
  const data = parsed.error?.data ?? parsed;
  const reason = data["reason"] ?? parsed.error?.message ?? "";
  return { status, text: parsed.result?.content?.[0]?.text ?? "", reason: String(reason), data, body };
}
