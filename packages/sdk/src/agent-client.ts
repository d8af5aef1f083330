/**
 * A client for agents: lists and calls tools through a gateway by MCP 2026-07-28, which has no sessions, so that each
 * call is one HTTP request. Denials are errors with their reason. It retries nothing: a call may have run.
 */
import { isReason, type Reason } from "@writ/contract";
import { readEventStream } from "./event-stream.ts";

export interface AgentClientOptions {
  /** The gateway's public URL, for example `http://127.0.0.1:8484`. */
  readonly url: string;
  /** `writ_…`; sent in the Authorization header and nowhere else. */
  readonly token: string;
  readonly fetch?: typeof globalThis.fetch;
  /** 60 seconds when left out. */
  readonly timeoutMs?: number;
  /** What upstreams are told of the program; this SDK when left out. */
  readonly clientInfo?: { readonly name: string; readonly version: string };
}

export interface ToolCall {
  readonly upstream: string;
  readonly tool: string;
  /** An object, or the JSON text of one, which is sent as it is: JavaScript would round some numbers. */
  readonly arguments?: Readonly<Record<string, unknown>> | string;
  /** 1 to 255 printable characters of ASCII. However often it is called under one key, the upstream gets the call once. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

export interface ToolAnswer {
  /** The upstream's `result`, as it came. */
  readonly result: Readonly<Record<string, unknown>>;
  /** Names the call in the log. */
  readonly callId: string;
}

export interface RecordChildInput {
  /** Each an object, or the JSON text of one. */
  readonly caveats: readonly (Readonly<Record<string, unknown>> | string)[];
  readonly carve?: readonly { readonly unit: string; readonly window: string; readonly amount: number }[];
  /** Id of the agent that it is handed to. */
  readonly agent?: string;
}

export interface RecordedChild {
  readonly token: string;
  readonly node: string;
  readonly expiresAt: string;
  /** What was set aside for it, with what remains of each. */
  readonly carves: readonly Readonly<Record<string, unknown>>[];
}

export interface AgentClient {
  /** Throws `DenialError` when Writ says no, `ToolError` when the upstream answers with an error. */
  callTool(call: ToolCall): Promise<ToolAnswer>;
  /** The tools that this token may call. */
  listTools(upstream: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Has the gateway record a child of the token. For children offline see `attenuateToken`. */
  recordChild(input: RecordChildInput): Promise<RecordedChild>;
}

/** Writ did not allow the call. `reason` is a code of the closed list. */
export class DenialError extends Error {
  readonly reason: Reason | "unknown";
  readonly callId: string;
  /** Of HTTP. */
  readonly status: number;
  /** Of JSON-RPC; undefined where the gateway answered before it had read the call. */
  readonly code: number | undefined;
  /** What else the gateway says: `check`, `help`, `remaining`, `retryAfterSeconds` and so on. */
  readonly data: Readonly<Record<string, unknown>>;
  constructor(details: {
    readonly reason: string;
    readonly message: string;
    readonly callId: string;
    readonly status: number;
    readonly code: number | undefined;
    readonly data: Readonly<Record<string, unknown>>;
  }) {
    super(details.message);
    this.name = "DenialError";
    this.reason = isReason(details.reason) ? details.reason : "unknown";
    this.callId = details.callId;
    this.status = details.status;
    this.code = details.code;
    this.data = details.data;
  }
}

/** The upstream, or the protocol, answered with an error that is no decision of Writ. */
export class ToolError extends Error {
  readonly code: number;
  readonly callId: string;
  /** Of HTTP. */
  readonly status: number;
  constructor(message: string, details: { readonly code: number; readonly callId: string; readonly status: number }) {
    super(message);
    this.name = "ToolError";
    this.code = details.code;
    this.callId = details.callId;
    this.status = details.status;
  }
}

const REVISION = "2026-07-28";
/** Longest answer that is not a stream. */
const ANSWER_CHARACTERS_MAX = 16 * 1024 * 1024;

type Json = Readonly<Record<string, unknown>>;

export function createAgentClient(options: AgentClientOptions): AgentClient {
  const fetchWith = options.fetch ?? globalThis.fetch;
  const base = options.url.replace(/\/+$/, "");
  const meta = JSON.stringify({
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": options.clientInfo ?? { name: "writ-sdk", version: "0.1.0" },
  });
  let lastId = 0;

  const post = (
    path: string,
    headers: Record<string, string>,
    body: string,
    signal?: AbortSignal,
  ): Promise<Response> => {
    const timeout = AbortSignal.timeout(options.timeoutMs ?? 60_000);
    return fetchWith(base + path, {
      method: "POST",
      headers: { authorization: `Bearer ${options.token}`, "content-type": "application/json", ...headers },
      body,
      // A token must not follow a redirect to somebody else.
      redirect: "error",
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    });
  };

  const send = async (
    upstream: string,
    method: string,
    members: string,
    extra: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<ToolAnswer> => {
    lastId += 1;
    const headers = {
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": REVISION,
      "mcp-method": method,
      ...extra,
    };
    const body = `{"jsonrpc":"2.0","id":${lastId},"method":"${method}","params":{${members}"_meta":${meta}}}`;
    const response = await post(`/mcp/${encodeURIComponent(upstream)}`, headers, body, signal);
    const callId = response.headers.get("writ-call-id") ?? "";
    const message = await readMessage(response, lastId);
    if (isJson(message?.["result"]) && response.ok) return { result: message["result"], callId };
    throw toError(response.status, callId, message);
  };

  return {
    callTool({ upstream, tool, arguments: args = {}, idempotencyKey: key, signal }) {
      const members = `"name":${JSON.stringify(tool)},"arguments":${textOf(args)},`;
      const headers = {
        "mcp-name": encodeHeaderValue(tool),
        ...(key === undefined ? {} : { "idempotency-key": quote(key) }),
      };
      return send(upstream, "tools/call", members, headers, signal);
    },
    async listTools(upstream) {
      const { result } = await send(upstream, "tools/list", "", {});
      const tools = result["tools"];
      return Array.isArray(tools) ? tools.filter(isJson) : [];
    },
    async recordChild({ caveats, ...input }) {
      const rest = JSON.stringify(input).slice(1);
      const body = `{"caveats":[${caveats.map(textOf).join()}]${rest === "}" ? "" : ","}${rest}`;
      const response = await post("/v1/tokens/attenuate", { accept: "application/json" }, body);
      const answer = await readJson(response);
      const { token, node, expiresAt, carves } = isJson(answer) ? answer : {};
      if (!response.ok || typeof token !== "string" || typeof node !== "string" || typeof expiresAt !== "string") {
        throw toError(response.status, response.headers.get("writ-call-id") ?? "", isJson(answer) ? answer : undefined);
      }
      return { token, node, expiresAt, carves: Array.isArray(carves) ? carves.filter(isJson) : [] };
    },
  };
}

function textOf(value: Json | string): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The response to request `id`, from a JSON body or from the end of an event stream; notifications are passed over. */
async function readMessage(response: Response, id: number): Promise<Json | undefined> {
  if (response.headers.get("content-type")?.startsWith("text/event-stream") === true && response.body !== null) {
    for await (const data of readEventStream(response.body)) {
      const message = parse(data);
      if (isJson(message) && message["id"] === id && message["method"] === undefined) return message;
    }
    return undefined;
  }
  const message = await readJson(response);
  return isJson(message) ? message : undefined;
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text.length > ANSWER_CHARACTERS_MAX) throw new RangeError("the answer is too long");
  return parse(text);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a proxy's page, perhaps: the status says what there is to say
  }
}

/** A JSON-RPC error, a problem document, or neither. */
function toError(status: number, callId: string, message: Json | undefined): DenialError | ToolError {
  const error = isJson(message?.["error"]) ? message["error"] : undefined;
  const data = isJson(error?.["data"]) ? error["data"] : (message ?? {});
  const reason = data["reason"] ?? message?.["code"] ?? message?.["reason"];
  const text = String(
    error?.["message"] ?? message?.["detail"] ?? message?.["title"] ?? `the gateway answered ${status}`,
  );
  const id = callId === "" && typeof data["callId"] === "string" ? data["callId"] : callId;
  const code = typeof error?.["code"] === "number" ? error["code"] : undefined;
  if (typeof reason === "string" || error === undefined) {
    return new DenialError({ reason: String(reason), message: text, callId: id, status, code, data });
  }
  return new ToolError(text, { code: code ?? 0, callId: id, status });
}

/** MCP 2026-07-28, "Value Encoding": what a header cannot hold as it is goes as base64 in its sentinel form. */
export function encodeHeaderValue(text: string): string {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith("=?")) return text;
  const bytes = new TextEncoder().encode(text);
  return `=?base64?${btoa(String.fromCharCode(...bytes))}?=`;
}

/** A String of Structured Fields (RFC 9651 section 3.3.3). */
function quote(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
