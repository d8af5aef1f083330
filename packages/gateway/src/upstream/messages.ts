/**
 * JSON-RPC texts towards and from an upstream. Outbound texts are spliced from the judged bytes; inbound ones are
 * taken apart by spans, so that a result reaches the agent byte for byte. No I/O.
 */
import { findMember, membersOf, valueText, withMember, withoutMember } from "../json-members.ts";
import type { ClientAnswer, UpstreamMessage } from "../ports.ts";

export const STATELESS_REVISION = "2026-07-28";
export const SESSION_REVISION = "2025-11-25";
/** Older revisions that differ in nothing this side uses. */
export const SESSION_REVISIONS: readonly string[] = [SESSION_REVISION, "2025-06-18", "2025-03-26"];

const META = "io.modelcontextprotocol/";

export interface Implementation {
  readonly name: string;
  readonly version: string;
}

/** `_meta` of a request that Writ makes for itself on the stateless revision, as the JSON text of `params`. */
export function ownParams(client: Implementation): string {
  return withStatelessMeta("{}", client, "{}");
}

/**
 * Sets what the stateless revision demands of each request. Towards the upstream Writ is the client: it names those
 * capabilities of the agent that it passes requests for, each of which is an action that is decided.
 */
function withStatelessMeta(params: string, client: Implementation, capabilities: string, logLevel?: string): string {
  const meta = findMember(membersOf(params), "_meta");
  let text = meta === undefined ? "{}" : valueText(params, meta);
  if (!text.startsWith("{")) text = "{}";
  text = withMember(text, `${META}clientCapabilities`, capabilities);
  if (findMember(membersOf(text), `${META}clientInfo`) === undefined) {
    text = withMember(text, `${META}clientInfo`, JSON.stringify(client));
  }
  if (logLevel !== undefined) text = withMember(text, `${META}logLevel`, logLevel);
  text = withMember(text, `${META}protocolVersion`, `"${STATELESS_REVISION}"`);
  return withMember(params, "_meta", text);
}

/** The JSON text of a request: the id and the progress token are ours, everything else is as it was judged. */
export function requestText(
  id: number,
  message: UpstreamMessage,
  options: { readonly stateless: boolean; readonly client: Implementation },
): string {
  let params = message.params === "" ? "{}" : message.params;
  if (options.stateless) {
    params = withStatelessMeta(params, options.client, message.clientCapabilities ?? "{}", message.logLevel);
  }
  if (message.progress) {
    const meta = findMember(membersOf(params), "_meta");
    const text = meta === undefined ? "{}" : valueText(params, meta);
    params = withMember(params, "_meta", withMember(text.startsWith("{") ? text : "{}", "progressToken", String(id)));
  }
  return `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(message.method)},"params":${params}}`;
}

export function cancelledText(id: number, reason: string): string {
  return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id},"reason":${JSON.stringify(reason)}}}`;
}

/** A message from an upstream. Texts are cut from the received bytes. */
export type ServerMessage =
  | { readonly kind: "response"; readonly id: number; readonly member: "result" | "error"; readonly json: string }
  | { readonly kind: "notification"; readonly method: string; readonly params: string }
  /** The server asks something; `idText` is the JSON text of its id. */
  | { readonly kind: "request"; readonly idText: string; readonly method: string; readonly params: string }
  /** `id` is that of the request that it answers; 0 when it names none of ours. */
  | { readonly kind: "unreadable"; readonly id: number; readonly detail: string };

const ENVELOPE = new Set(["jsonrpc", "id", "method", "params", "result", "error"]);

/** Takes one message apart. Names that decide what it is may not repeat; inside a result anything valid passes. */
export function readServerMessage(text: string): ServerMessage {
  try {
    JSON.parse(text);
  } catch {
    // A fault of the upstream, returned as a value: the text has no reading.
    return unreadable("not JSON");
  }
  if (!/^[\s]*\{/.test(text)) return unreadable("not an object");
  const parts: Record<string, string | undefined> = {};
  const twice: string[] = [];
  for (const member of membersOf(text)) {
    if (!ENVELOPE.has(member.name)) continue;
    if (parts[member.name] !== undefined) twice.push(member.name);
    parts[member.name] = valueText(text, member);
  }
  const { jsonrpc, id, method, params = "{}", result, error } = parts;
  // Our ids are small integers, printed by us; any other spelling is not an answer to us. Nor is what asks us.
  const isOurs = method === undefined && !twice.includes("id") && id !== undefined && /^[1-9][0-9]{0,15}$/.test(id);
  const number = isOurs ? Number(id) : 0;
  if (twice.length > 0) return unreadable(`"${twice[0]}" is there twice`, number);
  if (jsonrpc !== '"2.0"') return unreadable("not JSON-RPC 2.0", number);
  if (method !== undefined) {
    const name: unknown = JSON.parse(method);
    if (typeof name !== "string") return unreadable("the method is not a string");
    if (!params.startsWith("{")) return unreadable("the params are not an object");
    if (id !== undefined) return { kind: "request", idText: id, method: name, params };
    return { kind: "notification", method: name, params };
  }
  if (result !== undefined && error !== undefined) return unreadable("both result and error", number);
  const json = result ?? error;
  if (json === undefined) return unreadable("neither result nor error", number);
  if (!json.startsWith("{")) return unreadable("the answer is not an object", number);
  return { kind: "response", id: number, member: result === undefined ? "error" : "result", json };
}

function unreadable(detail: string, id = 0): ServerMessage {
  return { kind: "unreadable", id, detail: `the upstream sent a message that cannot be read: ${detail}` };
}

/** What the notification is about, as far as this side passes any on. */
export function readNotification(message: { readonly method: string; readonly params: string }):
  | { readonly kind: "progress"; readonly token: string; readonly params: string }
  | { readonly kind: "log" }
  /** On a listening of the stateless revision; the token is the id of the request that listens. */
  | { readonly kind: "subscription"; readonly token: string; readonly params: string }
  | { readonly kind: "other" } {
  if (message.method === "notifications/message") return { kind: "log" };
  if (message.method !== "notifications/progress") return readSubscription(message.params);
  const token = findMember(membersOf(message.params), "progressToken");
  if (token === undefined) return { kind: "other" };
  return {
    kind: "progress",
    token: valueText(message.params, token),
    params: withoutMember(message.params, "progressToken"),
  };
}

function readSubscription(
  params: string,
): { readonly kind: "subscription"; readonly token: string; readonly params: string } | { readonly kind: "other" } {
  if (!params.includes("subscriptionId")) return { kind: "other" };
  const meta = findMember(membersOf(params), "_meta");
  const text = meta === undefined ? "" : valueText(params, meta);
  const id = text.startsWith("{") ? findMember(membersOf(text), `${META}subscriptionId`) : undefined;
  if (id === undefined) return { kind: "other" };
  const rest = withoutMember(text, `${META}subscriptionId`);
  return { kind: "subscription", token: valueText(text, id), params: withMember(params, "_meta", rest) };
}

/** What a server may ask the agent for, each an action that is decided; anything else is not a method here. */
export const CLIENT_METHODS: ReadonlySet<string> = new Set([
  "sampling/createMessage",
  "elicitation/create",
  "roots/list",
]);

/** The answer to a request of a server, for the id that it chose. */
export function answerText(idText: string, answer: ClientAnswer): string {
  return `{"jsonrpc":"2.0","id":${idText},"${answer.member}":${answer.json}}`;
}

export const METHOD_NOT_FOUND: ClientAnswer = {
  member: "error",
  json: '{"code":-32601,"message":"Method not found"}',
};

/**
 * Whether a result is the end of its call. One that asks the agent for input would be an action of its own
 * (`client.elicit`, `client.sample`, `client.roots`), and is passed only to an agent that knows such answers.
 */
export function isComplete(result: string): boolean {
  // A name can be spelt with escapes; without any it stands in the text as it is.
  if (!result.includes("resultType") && !result.includes("\\")) return true;
  const types = membersOf(result).filter((member) => member.name === "resultType");
  return types.every((member) => JSON.parse(valueText(result, member)) === "complete");
}

/** The value of a header that mirrors a name (MCP 2026-07-28, Streamable HTTP, "Value Encoding"). */
export function headerValue(name: string): string {
  const plain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(name);
  if (plain && !(name.startsWith("=?base64?") && name.endsWith("?="))) return name;
  return `=?base64?${Buffer.from(name, "utf8").toString("base64")}?=`;
}

/** What a server says of itself when a session opens, in either era: JSON texts. */
export function readOpening(opening: string): {
  readonly capabilities: string;
  readonly serverInfo: string;
  readonly instructions: string | undefined;
} {
  const part = (text: string, name: string): string | undefined => {
    const member = text.startsWith("{") ? findMember(membersOf(text), name) : undefined;
    return member === undefined ? undefined : valueText(text, member);
  };
  return {
    capabilities: part(opening, "capabilities") ?? "{}",
    serverInfo: part(opening, "serverInfo") ?? part(part(opening, "_meta") ?? "{}", `${META}serverInfo`) ?? "{}",
    instructions: part(opening, "instructions"),
  };
}
