/**
 * Reads one JSON-RPC message of MCP from the bytes of a body. What is judged and what is sent come from the same
 * bytes: `params` stays text, only the progress token is cut out of it. A fault is a value; nothing is thrown.
 */
import { ExactNumber, type JsonObject, type JsonValue, memberCut, parseStrictJson, type Reason } from "@writ/contract";
import { elementsOf, type JsonSpan } from "../../json-members.ts";

export const STATELESS_REVISION = "2026-07-28";
export const SESSION_REVISIONS: readonly string[] = ["2025-11-25", "2025-06-18", "2025-03-26"];
/** The revision offered when a client asks for one that is not known. */
export const SESSION_REVISION = "2025-11-25";
/** The only revision that has batches. */
export const BATCH_REVISION = "2025-03-26";

export const PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion";
export const CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
export const SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId";
export const LOG_LEVEL = "io.modelcontextprotocol/logLevel";

const ID_BYTES_MAX = 256;
const METHOD_LENGTH_MAX = 256;
const SPANS = ["id", "params", "params.arguments", "params._meta.progressToken", "result", "error"] as const;
/** Members of a batch, where the revision has them. */
const BATCH_MEMBERS_MAX = 20;

export interface McpRequest {
  readonly kind: "request";
  readonly method: string;
  /** JSON text of the id as it came, and a key that two spellings of one id share. */
  readonly idText: string;
  readonly idKey: string;
  readonly params: JsonObject;
  /** Without the progress token. */
  readonly paramsText: string;
  readonly argumentsText: string;
  /** JSON text of the progress token; undefined when progress is not wanted. */
  readonly progressToken: string | undefined;
}

export type McpMessage =
  | McpRequest
  | { readonly kind: "notification"; readonly method: string; readonly params: JsonObject }
  /** The answer to a request of an upstream; JSON text as it came. */
  | { readonly kind: "response"; readonly idKey: string; readonly member: "result" | "error"; readonly json: string }
  /** Several messages, each as bytes; only the oldest session revision has them. */
  | { readonly kind: "batch"; readonly members: readonly Uint8Array[] }
  | { readonly kind: "fault"; readonly reason: Reason; readonly idText: string };

const NOTHING: JsonObject = Object.freeze(Object.create(null) as JsonObject);

export function decodeMessage(bytes: Uint8Array): McpMessage {
  const json = parseStrictJson(bytes, { spans: SPANS, depthMax: 64 });
  if (json.kind === "fault") return { kind: "fault", reason: "fault_json", idText: "null" };
  const { value, text, spans } = json;
  if (Array.isArray(value)) return readBatch(value, text);
  if (!isObject(value)) return { kind: "fault", reason: "fault_request", idText: "null" };
  const idSpan = spans.get("id");
  const idText = idSpan === undefined ? "null" : text.slice(idSpan.start, idSpan.end);
  const idKey = keyOf(value["id"]);
  if (idSpan !== undefined && (idKey === undefined || idText.length > ID_BYTES_MAX)) {
    return { kind: "fault", reason: "fault_request", idText: "null" };
  }
  if (value["method"] === undefined && value["jsonrpc"] === "2.0" && idKey !== undefined) {
    return readResponse(value, { text, idKey, idText, result: spans.get("result"), error: spans.get("error") });
  }
  const { method, params } = value;
  if (value["jsonrpc"] !== "2.0" || typeof method !== "string" || method.length > METHOD_LENGTH_MAX) {
    return { kind: "fault", reason: "fault_request", idText };
  }
  if (params !== undefined && !isObject(params)) return { kind: "fault", reason: "fault_params", idText };
  if (idKey === undefined) return { kind: "notification", method, params: params ?? NOTHING };

  const paramsSpan = spans.get("params");
  const argumentsSpan = spans.get("params.arguments");
  const tokenSpan = spans.get("params._meta.progressToken");
  let paramsText = paramsSpan === undefined ? "{}" : text.slice(paramsSpan.start, paramsSpan.end);
  let progressToken: string | undefined;
  if (paramsSpan !== undefined && tokenSpan !== undefined) {
    const meta = params?.["_meta"];
    if (keyOf(isObject(meta) ? meta["progressToken"] : undefined) === undefined) {
      return { kind: "fault", reason: "fault_params", idText };
    }
    progressToken = text.slice(tokenSpan.start, tokenSpan.end);
    const cut = memberCut(text, tokenSpan);
    paramsText = text.slice(paramsSpan.start, cut.start) + text.slice(cut.end, paramsSpan.end);
  }
  return {
    kind: "request",
    method,
    idText,
    idKey,
    params: params ?? NOTHING,
    paramsText,
    argumentsText: argumentsSpan === undefined ? "" : text.slice(argumentsSpan.start, argumentsSpan.end),
    progressToken,
  };
}

const encoder = new TextEncoder();

/** The text has one reading as a whole, so each of its elements has one, too. */
function readBatch(value: readonly JsonValue[], text: string): McpMessage {
  if (value.length === 0 || value.length > BATCH_MEMBERS_MAX) {
    return { kind: "fault", reason: "fault_request", idText: "null" };
  }
  return { kind: "batch", members: elementsOf(text).map(({ start, end }) => encoder.encode(text.slice(start, end))) };
}

function readResponse(
  value: JsonObject,
  parts: {
    readonly text: string;
    readonly idKey: string;
    readonly idText: string;
    readonly result: JsonSpan | undefined;
    readonly error: JsonSpan | undefined;
  },
): McpMessage {
  const { result, error } = parts;
  const span = result ?? error;
  const member = result === undefined ? "error" : "result";
  if (span === undefined || (result !== undefined && error !== undefined) || !isObject(value[member])) {
    return { kind: "fault", reason: "fault_request", idText: parts.idText };
  }
  return { kind: "response", idKey: parts.idKey, member, json: parts.text.slice(span.start, span.end) };
}

/** A request's id, or a reference to one, so that `1` and `"1"` differ and nothing else does; undefined: not an id. */
export function keyOf(id: JsonValue | undefined): string | undefined {
  if (typeof id === "string") return `s${id}`;
  if (typeof id === "number" && Number.isSafeInteger(id)) return `n${id}`;
  return undefined;
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}

/** A header that may be in the sentinel form of MCP 2026-07-28 ("Value Encoding"); undefined when it cannot be read. */
export function decodeHeaderValue(value: string): string | undefined {
  const encoded = /^=\?base64\?(.*)\?=$/.exec(value)?.[1];
  if (encoded === undefined) return value;
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.toString("base64") !== encoded) return undefined;
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? text : undefined;
}
