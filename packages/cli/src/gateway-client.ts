/**
 * A small MCP client for one call at a time: the stateless revision over HTTP, as an agent would send it. Arguments
 * are sent as the text they were given in. Also the gateway's own route for recorded children. It retries nothing.
 */
import { CliError, EXIT, refused } from "./exit-codes.ts";
import { isUnreachable, withCause } from "./explain-error.ts";

export const DEFAULT_GATEWAY_URL = "http://127.0.0.1:8484";

const REVISION = "2026-07-28";
const ANSWER_CHARACTERS_MAX = 16 * 1024 * 1024;
const CALL_TIMEOUT_MS = 120_000;

export interface GatewayClient {
  callTool(tool: ToolCall): Promise<GatewayAnswer>;
  listTools(upstream: string): Promise<GatewayAnswer>;
  /** Asks the gateway to record a child; `body` is its JSON. */
  attenuate(body: unknown): Promise<GatewayAnswer>;
}

export interface ToolCall {
  readonly upstream: string;
  readonly tool: string;
  /** JSON text of an object. */
  readonly argumentsText: string;
}

/** What came back: a result, or a refusal with whatever it says of its reason. */
export type GatewayAnswer =
  | { readonly kind: "result"; readonly callId: string | undefined; readonly result: unknown }
  | { readonly kind: "refused"; readonly callId: string | undefined; readonly refusal: Refusal };

export interface Refusal {
  readonly status: number;
  /** JSON-RPC code, where there is one. */
  readonly code: number | undefined;
  readonly reason: string | undefined;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export function createGatewayClient(options: {
  readonly url: string;
  /** Sent in the Authorization header and nowhere else. */
  readonly token: string;
  readonly clientName: string;
  readonly version: string;
}): GatewayClient {
  const meta = JSON.stringify({
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": { name: options.clientName, version: options.version },
    "io.modelcontextprotocol/clientCapabilities": {},
  });
  let nextId = 0;

  const mcp = async (
    upstream: string,
    method: string,
    name: string | undefined,
    members: string,
  ): Promise<GatewayAnswer> => {
    nextId += 1;
    const params = `{${members}${members === "" ? "" : ","}"_meta":${meta}}`;
    const body = `{"jsonrpc":"2.0","id":${nextId},"method":${JSON.stringify(method)},"params":${params}}`;
    const response = await post(`/mcp/${encodeURIComponent(upstream)}`, body, {
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": REVISION,
      "mcp-method": method,
      ...(name === undefined ? {} : { "mcp-name": headerValue(name) }),
    });
    return readMcpAnswer(response);
  };

  const post = async (
    path: string,
    body: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<{ readonly response: Response; readonly text: string }> => {
    try {
      const response = await fetch(options.url + path, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json", authorization: `Bearer ${options.token}` },
        body,
        // A token must not follow a redirect to somebody else.
        redirect: "error",
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      });
      const text = await response.text();
      if (text.length > ANSWER_CHARACTERS_MAX) {
        throw new CliError(EXIT.failure, "answer_too_large", "The answer is too large to be shown.");
      }
      return { response, text };
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      const why = error instanceof Error ? withCause(error).replace(/^fetch failed: /, "") : "";
      throw new CliError(
        EXIT.failure,
        "unreachable",
        `The gateway at ${options.url} does not answer (${why}). Start it with writ serve, or name it with --gateway-url or WRIT_GATEWAY_URL.`,
        { cause: error },
      );
    }
  };

  return {
    callTool: ({ upstream, tool, argumentsText }) =>
      mcp(upstream, "tools/call", tool, `"name":${JSON.stringify(tool)},"arguments":${argumentsText}`),
    listTools: (upstream) => mcp(upstream, "tools/list", undefined, ""),
    async attenuate(body) {
      const { response, text } = await post("/v1/tokens/attenuate", JSON.stringify(body), {
        accept: "application/json",
      });
      const callId = response.headers.get("writ-call-id") ?? undefined;
      const value = readJson(text);
      if (response.ok) return { kind: "result", callId, result: value };
      return { kind: "refused", callId, refusal: readProblem(response.status, value) };
    },
  };
}

/** Header values are visible ASCII; anything else goes in the form that MCP has for it. */
function headerValue(name: string): string {
  if (/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(name) && !name.startsWith("=?base64?")) return name;
  return `=?base64?${Buffer.from(name, "utf8").toString("base64")}?=`;
}

function readMcpAnswer({ response, text }: { readonly response: Response; readonly text: string }): GatewayAnswer {
  const callId = response.headers.get("writ-call-id") ?? undefined;
  const streamed = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const message = streamed ? lastEvent(text) : readJson(text);
  if (isRecord(message) && "result" in message) return { kind: "result", callId, result: message["result"] };
  const error = isRecord(message) ? message["error"] : undefined;
  if (!isRecord(error)) return { kind: "refused", callId, refusal: readProblem(response.status, message) };
  const data = isRecord(error["data"]) ? error["data"] : {};
  return {
    kind: "refused",
    callId,
    refusal: {
      status: response.status,
      code: typeof error["code"] === "number" ? error["code"] : undefined,
      reason: typeof data["reason"] === "string" ? data["reason"] : undefined,
      message: typeof error["message"] === "string" ? error["message"] : "The gateway gave no message.",
      data,
    },
  };
}

function readProblem(status: number, value: unknown): Refusal {
  const problem = isRecord(value) ? value : {};
  const text = (name: string): string | undefined => {
    const found = problem[name];
    return typeof found === "string" ? found : undefined;
  };
  return {
    status,
    code: undefined,
    reason: text("reason") ?? text("code"),
    message: text("detail") ?? text("title") ?? `The server answered ${status} without saying why.`,
    data: problem,
  };
}

/** The response is the last message of a stream; progress comes before it. */
function lastEvent(text: string): unknown {
  const events = text.split(/\r?\n\r?\n/);
  for (const event of events.toReversed()) {
    const data = event
      .split(/\r?\n/)
      .filter((line) => line.startsWith("data:"))
      .map((line) => line.slice(5).replace(/^ /, ""))
      .join("\n");
    const value = readJson(data);
    if (isRecord(value) && ("result" in value || "error" in value)) return value;
  }
  return undefined;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the caller says so by the status.
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `upstream/tool`, where the tool may hold slashes itself. */
export function readToolName(text: string): { readonly upstream: string; readonly tool: string } {
  const at = text.indexOf("/");
  if (at < 1 || at === text.length - 1)
    throw refused(`${text} is no tool: write upstream/tool, such as everything/echo.`);
  return { upstream: text.slice(0, at), tool: text.slice(at + 1) };
}
