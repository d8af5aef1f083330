/**
 * Headers that do not go on to an HTTP API, by what somebody who trusts a proxy would take them for. Names as they are
 * compared: in lower case, with dashes. docs/http.md has the same table, and a test compares the two; and what is asked of it.
 */

export interface HeaderFamily {
  readonly about: string;
  /** `refused`: who sends it means another request than was judged. `stays`: the request goes on without it. */
  readonly fate: "refused" | "stays";
  readonly names: readonly string[];
  /** Beginnings of names. */
  readonly prefixes: readonly string[];
}

export const HEADER_FAMILIES: readonly HeaderFamily[] = [
  {
    about: "another method",
    fate: "refused",
    names: ["x-http-method", "x-http-method-override", "x-method", "x-method-override", "x-original-method"],
    prefixes: [],
  },
  {
    about: "another URL",
    fate: "refused",
    names: [
      "x-http-path-override",
      "x-http-url-override",
      "x-ms-original-url",
      "x-original-path",
      "x-original-uri",
      "x-original-url",
      "x-override-url",
      "x-replaced-path",
      "x-request-uri",
      "x-rewrite-uri",
      "x-rewrite-url",
      "x-uri",
      "x-waws-unencoded-url",
    ],
    prefixes: [],
  },
  { about: "another protocol", fate: "refused", names: ["http2-settings"], prefixes: [] },
  {
    // RFC 9110 section 7.6.1; Writ makes its own.
    about: "the connection",
    fate: "stays",
    names: ["connection", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"],
    prefixes: [],
  },
  {
    // The agent's credential is for Writ; cookies would carry sessions from one upstream of this host to another.
    about: "credentials and sessions",
    fate: "stays",
    names: ["authorization", "cookie", "cookie2", "proxy-authorization"],
    prefixes: [],
  },
  {
    // An answer that nobody can look into is refused, so none is asked for. The key is read here: the upstream gets one of
    // the agent's own, which no other agent can send.
    about: "what Writ says itself",
    fate: "stays",
    names: ["accept-encoding", "idempotency-key"],
    prefixes: ["writ-"],
  },
  {
    about: "a browser",
    fate: "stays",
    names: ["origin", "referer"],
    prefixes: ["access-control-", "sec-fetch-"],
  },
  {
    about: "where a request comes from",
    fate: "stays",
    names: [
      "ali-cdn-real-ip",
      "client-ip",
      "do-connecting-ip",
      "forwarded",
      "forwarded-for",
      "http-client-ip",
      "incap-client-ip",
      "proxy-client-ip",
      "true-client-ip",
      "via",
      "wl-proxy-client-ip",
      "x-client-ip",
      "x-cluster-client-ip",
      "x-custom-ip-authorization",
      "x-originating-ip",
      "x-proxyuser-ip",
      "x-real-ip",
      "x-source-ip",
      "x-sucuri-clientip",
      "x-user-ip",
    ],
    prefixes: [
      "cf-",
      "cloudfront-",
      "fastly-",
      "fly-",
      "x-akamai-",
      "x-azure-",
      "x-envoy-",
      "x-forwarded",
      "x-nf-",
      "x-original-",
      "x-vercel-",
    ],
  },
  {
    about: "another host or proxy",
    fate: "stays",
    names: ["disguised-host", "proxy", "x-backend-host", "x-host", "x-http-host-override", "x-script-name"],
    prefixes: ["x-waws-"],
  },
  {
    about: "who has been authenticated",
    fate: "stays",
    names: [
      "from",
      "sm-user",
      "sm-userdn",
      "teleport-jwt-assertion",
      "x-anonymous-consumer",
      "x-apigateway-api-userinfo",
      "x-auth-email",
      "x-auth-groups",
      "x-auth-roles",
      "x-auth-subject",
      "x-auth-user",
      "x-auth-userid",
      "x-auth-username",
      "x-email",
      "x-endpoint-api-userinfo",
      "x-groups",
      "x-id-token",
      "x-jwt-assertion",
      "x-roles",
      "x-scope-orgid",
      "x-user",
      "x-user-email",
      "x-user-groups",
      "x-user-id",
      "x-user-name",
      "x-user-role",
      "x-user-roles",
      "x-userid",
      "x-userinfo",
      "x-username",
    ],
    prefixes: [
      "impersonate-",
      "iv-",
      "l5d-",
      "oidc-",
      "remote-",
      "shib-",
      "tailscale-",
      "x-amzn-oidc-",
      "x-auth-request-",
      "x-authenticated-",
      "x-authentik-",
      "x-consumer-",
      "x-credential-",
      "x-goog-authenticated-user-",
      "x-goog-iap-",
      "x-ms-client-principal",
      "x-ms-token-",
      "x-pomerium-",
      "x-remote-",
      "x-vouch-",
      "x-webauth-",
    ],
  },
  {
    about: "a client's certificate",
    fate: "stays",
    names: ["client-cert", "client-cert-chain", "x-client-cert", "x-client-dn", "x-client-verify"],
    prefixes: ["ssl-client-", "x-amzn-mtls-", "x-arr-", "x-client-cert-", "x-ssl-", "x-tls-client-"],
  },
  {
    about: "a platform to itself",
    fate: "stays",
    names: [
      "x-accel-mapping",
      "x-amzn-lambda-context",
      "x-amzn-request-context",
      "x-cloudscheduler",
      "x-matched-path",
      "x-sendfile-type",
    ],
    prefixes: ["x-appengine-", "x-cloudtasks-", "x-invoke-", "x-middleware-"],
  },
];

/** Names of this fate, as they are compared. */
export function headersThat(fate: HeaderFamily["fate"]): ReadonlySet<string> {
  return new Set(HEADER_FAMILIES.filter((family) => family.fate === fate).flatMap(({ names }) => names));
}

const REFUSED = headersThat("refused");

/** As names are compared: gateways of other languages (CGI, WSGI) take an underscore for a dash. */
export function plainName(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}

/**
 * The first header that could make whoever gets the request see another method or path than was judged; of `except`, in
 * that very spelling, the request itself is made. `rawHeaders` are names and values in turn, as they came.
 */
export function findOverride(
  rawHeaders: readonly string[],
  except: ReadonlySet<string> = new Set(),
): string | undefined {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    if (!except.has(name.toLowerCase()) && REFUSED.has(plainName(name))) return plainName(name);
  }
  return undefined;
}
