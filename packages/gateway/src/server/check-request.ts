/**
 * What is checked of every request from its first lines alone: that it has one reading, was meant for this listener
 * (DNS rebinding) and carries no credential where credentials get logged. Pure.
 */
import type { IncomingMessage } from "node:http";
import type { Reason } from "@writ/contract";

export interface RequestRules {
  /** Hosts that are served: `name` for any port, or `name:port`. Lower case. */
  readonly allowedHosts: ReadonlySet<string>;
  /** Origins of web pages that may call, besides the listener's own. */
  readonly allowedOrigins: ReadonlySet<string>;
  readonly urlBytesMax: number;
  readonly headersMax: number;
}

export type RequestCheck =
  | { readonly kind: "accepted"; readonly path: string }
  /** `detail` holds nothing of the request but what a closed list has, too. */
  | { readonly kind: "refused"; readonly reason: Reason; readonly status?: number; readonly detail?: string };

/** Headers that decide something: one value or none, never a choice between two. */
const SINGLE = new Set([
  "authorization",
  "host",
  "origin",
  "content-type",
  "content-length",
  "content-encoding",
  "mcp-session-id",
  "mcp-protocol-version",
  "mcp-method",
  "mcp-name",
  "writ-enforcement-point",
  "x-original-uri",
  "x-original-method",
  "x-envoy-auth-partial-body",
]);

const CREDENTIAL_NAMES = /^(?:access[-_]?token|token|auth|authorization|api[-_]?key|key|password|secret|bearer)$/i;
const CREDENTIAL_VALUES = /(?:^|[^A-Za-z0-9])(?:writ_|st_|wadm_|wpep_|bearer[ +])/i;

/** Where a proxy asks about a request that it got, they are that request's: of a page elsewhere, and of a body that stayed there. */
const RELAYED = new Set(["origin", "content-encoding"]);
const NOTHING_RELAYED = new Set<string>();

/** `isRelayed`: a proxy's question, with headers of the request that it is about. */
export function checkRequest(
  request: Pick<IncomingMessage, "url" | "headers" | "rawHeaders">,
  rules: RequestRules,
  isRelayed = false,
): RequestCheck {
  const relayed = isRelayed ? RELAYED : NOTHING_RELAYED;
  const url = request.url ?? "";
  if (url.length > rules.urlBytesMax) return { kind: "refused", reason: "fault_too_large", status: 414 };
  if (request.rawHeaders.length / 2 > rules.headersMax)
    return { kind: "refused", reason: "fault_too_large", status: 431 };
  if (!url.startsWith("/")) return { kind: "refused", reason: "fault_request" };
  if (repeats(request, relayed)) return { kind: "refused", reason: "fault_header" };
  // A coded body is not what its bytes say; whoever decoded it behind us would read another one than was judged.
  const coding = request.headers["content-encoding"];
  if (!relayed.has("content-encoding") && coding !== undefined && coding.toLowerCase() !== "identity") {
    return { kind: "refused", reason: "fault_media_type" };
  }
  const { expect } = request.headers;
  if (expect !== undefined && expect.toLowerCase() !== "100-continue") {
    return { kind: "refused", reason: "fault_header", status: 417 };
  }
  const query = url.indexOf("?");
  const path = query < 0 ? url : url.slice(0, query);
  const credential = findCredential(path, query < 0 ? "" : url.slice(query + 1));
  if (credential !== undefined) return { kind: "refused", reason: "fault_request", detail: credential };
  const { host, origin } = request.headers;
  if (host === undefined || !servesHost(host.toLowerCase(), rules)) return { kind: "refused", reason: "fault_origin" };
  if (
    !relayed.has("origin") &&
    origin !== undefined &&
    !servesOrigin(origin.toLowerCase(), host.toLowerCase(), rules)
  ) {
    return { kind: "refused", reason: "fault_origin" };
  }
  return { kind: "accepted", path };
}

function repeats(
  { rawHeaders, headers }: Pick<IncomingMessage, "headers" | "rawHeaders">,
  relayed: ReadonlySet<string>,
): boolean {
  // As many names as lines: none repeats, whichever it is.
  let names = 0;
  for (const _name in headers) names += 1;
  if (names * 2 === rawHeaders.length) return false;
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? "";
    if (!SINGLE.has(name) || relayed.has(name)) continue;
    if (seen.has(name)) return true;
    seen.add(name);
  }
  return false;
}

/** What is wrong with a URL that carries a credential, or something that is named like one; nothing of its value is told. */
function findCredential(path: string, query: string): string | undefined {
  const instead = "credentials do not go into URLs, which get logged: send it in the Authorization header";
  if (CREDENTIAL_VALUES.test(path.includes("%") ? decode(path) : path))
    return `the path holds a credential; ${instead}`;
  if (query === "") return undefined;
  for (const part of query.split("&")) {
    const equals = part.indexOf("=");
    const name = decode(equals < 0 ? part : part.slice(0, equals));
    if (CREDENTIAL_NAMES.test(name)) return `the query has a parameter ${name}; ${instead}`;
    if (CREDENTIAL_VALUES.test(decode(part))) return `the query holds a credential; ${instead}`;
  }
  return undefined;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not percent-encoding: it is looked at as it came.
    return text;
  }
}

function servesHost(host: string, rules: RequestRules): boolean {
  if (rules.allowedHosts.has(host)) return true;
  const name = /^(.*?)(?::[0-9]{1,5})?$/.exec(host)?.[1];
  return name !== undefined && name !== "" && rules.allowedHosts.has(name);
}

function servesOrigin(origin: string, host: string, rules: RequestRules): boolean {
  if (rules.allowedOrigins.has(origin)) return true;
  return origin === `http://${host}` || origin === `https://${host}`;
}
