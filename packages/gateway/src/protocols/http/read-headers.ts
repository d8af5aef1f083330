/**
 * Which headers of a request go on to an HTTP API. What is about a connection, carries a credential or a session, or
 * says who asked, stays here; what could make an upstream see another method or path than was judged is refused. Pure.
 */

export type HeadersReading =
  | { readonly kind: "headers"; readonly headers: readonly string[] }
  | { readonly kind: "fault"; readonly detail: string };

/** Connection options that take no header away which somebody may have relied on. */
const OPTIONS_KNOWN: ReadonlySet<string> = new Set(["close", "keep-alive", "te"]);

const DROPPED: ReadonlySet<string> = new Set([
  // About the connection (RFC 9110 section 7.6.1); Writ makes its own.
  "connection",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  // The agent's credential is for Writ; cookies would carry sessions from one upstream of this host to another.
  "authorization",
  "cookie",
  "cookie2",
  "proxy-authorization",
  // An answer that nobody can look into is refused, so none is asked for.
  "accept-encoding",
  // Read here: the upstream gets one of the agent's own, which no other agent can send.
  "idempotency-key",
  // An upstream may trust a proxy's word about who asks; this would be the agent's own.
  "forwarded",
  "from",
  "origin",
  "referer",
  "remote-user",
  "true-client-ip",
  "via",
  "x-client-cert",
  "x-client-ip",
  "x-host",
  "x-original-host",
  "x-real-ip",
]);
const PREFIXES_DROPPED = [
  "x-forwarded-",
  "writ-",
  "cf-",
  "fastly-",
  "access-control-",
  "sec-fetch-",
  // What proxies and clouds say of whom they have authenticated.
  "ssl-client-",
  "x-amzn-oidc-",
  "x-auth-request-",
  "x-authenticated-",
  "x-envoy-",
  "x-goog-authenticated-user-",
  "x-goog-iap-",
  "x-ms-client-principal",
  "x-remote-",
  "x-ssl-client-",
  "x-webauth-",
];

/** They tell some frameworks another method or path than the request line. */
const REFUSED: ReadonlySet<string> = new Set([
  "http2-settings",
  "x-http-method",
  "x-http-method-override",
  "x-http-path-override",
  "x-method-override",
  "x-original-uri",
  "x-original-url",
  "x-rewrite-url",
  "x-uri",
]);

/** `rawHeaders` are names and values in turn, as they came. */
export function readHeaders(rawHeaders: readonly string[]): HeadersReading {
  const headers: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    const value = rawHeaders[at + 1] ?? "";
    // Gateways of other languages (CGI, WSGI) take an underscore for a dash.
    const plain = name.toLowerCase().replaceAll("_", "-");
    if (REFUSED.has(plain)) return { kind: "fault", detail: `the header ${plain} is not passed on` };
    if (plain === "connection") {
      const options = value.toLowerCase().split(",");
      if (options.some((option) => !OPTIONS_KNOWN.has(option.trim()))) {
        return { kind: "fault", detail: "the Connection header names a header that would be lost" };
      }
    }
    if (DROPPED.has(plain) || PREFIXES_DROPPED.some((prefix) => plain.startsWith(prefix))) continue;
    // What is only nearly a length or a type is nobody's.
    if (plain !== name.toLowerCase() && (plain.startsWith("content-") || plain === "upgrade")) continue;
    headers.push(name.toLowerCase(), value);
  }
  headers.push("accept-encoding", "identity");
  return { kind: "headers", headers };
}
