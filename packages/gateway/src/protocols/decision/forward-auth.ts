/**
 * Decisions for proxies that ask before they pass an HTTP request on: Envoy's ext_authz (HTTP service) and nginx's
 * auth_request. Reads which request is meant, and of whom; the gate decides; 200 lets the request pass, everything else
 * does not. The proxy enforces: what it then sends, and where, is its own affair.
 *
 *     /ext-authz/token/<upstream>/<path>           the agent's own token, which the proxy passes on
 *     /ext-authz/agent/<agent>/<upstream>/<path>   an agent that the proxy has authenticated itself
 *     /auth-request/…                              the same; method and target in X-Original-Method and X-Original-URI
 *
 * Both take the proxy's key in `Writ-Enforcement-Point`. Who is asking is in the part of the path that the proxy's own
 * configuration writes: proxies pass on headers that their clients have set, so no header can name a subject.
 *
 * The body is judged only where the proxy sent all of it, as JSON. An absent or partial one is a body that nobody has
 * seen, and whatever needs it to decide, denies.
 */
import {
  isJsonObject,
  type JsonObject,
  parseStrictJson,
  type Reason,
  readHttpMethod,
  readHttpTarget,
} from "@writ/contract";
import { encodeDecisionDenial, encodeHttpDenial } from "../../encode-denial.ts";
import type { AuthenticatedPoint, CallEnd, CallSink, Gate } from "../../gate.ts";
import type { AgentCall } from "../../ports.ts";
import type { Exchange, Route } from "../../server/data-listener.ts";
import { findOverride } from "../../server/header-families.ts";
import { makeProblem, type Problem } from "../../server/problem.ts";
import { metadataUrlOf } from "../../server/resource-metadata.ts";

export interface ForwardAuthOptions {
  readonly gate: Gate;
  readonly publicUrl: () => string;
}

type Proxy = "envoy" | "nginx";

/** Headers by which a proxy says which request it means. */
const OF_PROXY: Readonly<Record<Proxy, ReadonlySet<string>>> = {
  envoy: new Set(),
  nginx: new Set(["x-original-method", "x-original-uri"]),
};

/** Media types of bodies that are read as arguments, as at the HTTP door. */
const JSON_TYPE = /^(?:application|text)\/(?:[a-z0-9!#$&^_.+-]+\+)?json *(?:; *charset="?utf-?8"? *)?$/i;

export function createForwardAuthRoutes(options: ForwardAuthOptions): readonly Route[] {
  const { gate, publicUrl } = options;
  const ofEnvoy = {
    method: "*",
    handle: (exchange: Exchange) => answer(exchange, "envoy"),
    refusedAs: withReason,
  } as const;
  const ofNginx = {
    method: "GET",
    handle: (exchange: Exchange) => answer(exchange, "nginx"),
    refusedAs: refusedToNginx,
  } as const;
  return [
    { ...ofEnvoy, pattern: "/ext-authz/token/:upstream/**" },
    { ...ofEnvoy, pattern: "/ext-authz/agent/:agent/:upstream/**" },
    { ...ofNginx, pattern: "/auth-request/token/:upstream" },
    { ...ofNginx, pattern: "/auth-request/agent/:agent/:upstream" },
  ];

  async function answer(exchange: Exchange, proxy: Proxy): Promise<void> {
    const decided = await decide(exchange, proxy);
    const { status, headers, body } = proxy === "nginx" ? forNginx(decided) : decided;
    exchange.answer(status, headers, body);
  }

  async function decide(exchange: Exchange, proxy: Proxy): Promise<Problem> {
    const upstream = exchange.params["upstream"] ?? "";
    const resourceMetadataUrl = metadataUrlOf(publicUrl(), `/http/${upstream}`);
    const point = await authenticatePoint(exchange);
    // A proxy with a wrong key is no agent's fault, and no reason for one to look for another token.
    if (point.kind === "rejected") return refused(point.reason, { status: point.status });
    const presenter = await authenticateSubject(exchange, point);
    if (presenter.kind === "rejected") {
      const denial = { reason: presenter.reason, detail: "", data: {} };
      return withReason(presenter.reason, encodeHttpDenial(denial, { callId: undefined, resourceMetadataUrl }));
    }
    const override = findOverride(exchange.request.rawHeaders, OF_PROXY[proxy]);
    if (override !== undefined) {
      // The proxy passes it on, and what stands behind may do what it says instead of what is judged here.
      return refused("fault_header", { data: { detail: `the header ${override} must not be passed on` } });
    }
    const read = proxy === "envoy" ? await readForEnvoy(exchange) : readForNginx(exchange);
    if (read.kind === "fault") return refused(read.reason, { data: { detail: read.detail } });
    const sink = { ...NOTHING_SENT, rated: exchange.rated };
    const end = await gate.handleCall(presenter, makeQuestion(upstream, read), sink, exchange.cut);
    return encodeEnd(end, read, resourceMetadataUrl);
  }

  async function authenticatePoint(
    exchange: Exchange,
  ): Promise<AuthenticatedPoint | { readonly kind: "rejected"; readonly reason: Reason; readonly status: number }> {
    const key = exchange.request.headers["writ-enforcement-point"];
    const authorization = typeof key === "string" ? `Bearer ${key}` : undefined;
    const found = await gate.authenticatePoint({ authorization, remoteAddress: exchange.remoteAddress });
    if (found.kind !== "rejected") return found;
    return { kind: "rejected", reason: found.reason, status: found.reason === "state_unavailable" ? 503 : 403 };
  }

  async function authenticateSubject(exchange: Exchange, point: AuthenticatedPoint) {
    const { agent } = exchange.params;
    if (agent !== undefined) return gate.assertSubject(point, agent);
    const { authorization } = exchange.request.headers;
    const { remoteAddress } = exchange;
    const found = await gate.authenticate({ authorization, remoteAddress, relayedBy: point.enforcementPointId });
    // The upstream is the proxy's own, and its tenant's: another tenant may have one of that name, with other rules.
    if (found.kind === "authenticated" && found.tenantId !== point.tenantId) return OF_ANOTHER_TENANT;
    return found;
  }
}

/** Answered like a token that nobody has minted. */
const OF_ANOTHER_TENANT = { kind: "rejected", reason: "token_unknown" } as const;

/** There is no answer but the decision. */
const NOTHING_SENT: CallSink = { allowed() {}, local() {}, notification() {}, response() {} };

interface AskedRequest {
  readonly kind: "request";
  readonly target: NonNullable<AgentCall["target"]>;
  /** Undefined: nobody has seen them. */
  readonly arguments: JsonObject | undefined;
  readonly text: string;
}

interface Fault {
  readonly kind: "fault";
  readonly reason: Reason;
  readonly detail: string;
}

/** The method is the request's own, and the target follows the prefix that Envoy was configured with. */
async function readForEnvoy(exchange: Exchange): Promise<AskedRequest | Fault> {
  const { request, params } = exchange;
  const { agent, upstream } = params;
  const prefix = agent === undefined ? `/ext-authz/token/${upstream}` : `/ext-authz/agent/${agent}/${upstream}`;
  const rest = (request.url ?? "").slice(prefix.length);
  const target = readAsked(request.method, rest === "" || rest.startsWith("?") ? `/${rest}` : rest);
  if (target.kind === "fault") return target;
  const isPartial = request.headers["x-envoy-auth-partial-body"] !== "false";
  const hasBody = request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"]) > 0;
  const coding = request.headers["content-encoding"] ?? "identity";
  const isPlain = coding.toLowerCase() === "identity" && JSON_TYPE.test(request.headers["content-type"] ?? "");
  if (!hasBody || isPartial || !isPlain) return target;
  const body = await exchange.readBody();
  if (body.kind === "fault") return { kind: "fault", reason: body.reason, detail: "" };
  const parsed = parseStrictJson(body.bytes);
  if (parsed.kind === "fault") return { kind: "fault", reason: "fault_json", detail: parsed.detail };
  return isJsonObject(parsed.value) ? { ...target, arguments: parsed.value, text: parsed.text } : target;
}

/** A subrequest has neither the method nor the body of the request that it is for. */
function readForNginx({ request }: Exchange): AskedRequest | Fault {
  const { "x-original-method": method, "x-original-uri": uri } = request.headers;
  if (typeof method !== "string" || typeof uri !== "string") {
    return { kind: "fault", reason: "fault_header", detail: "X-Original-Method and X-Original-URI are needed" };
  }
  return readAsked(method, uri);
}

function readAsked(method: string | undefined, text: string): AskedRequest | Fault {
  const readMethod = readHttpMethod(method ?? "");
  if (readMethod.kind === "fault") return { kind: "fault", reason: "fault_target", detail: readMethod.detail };
  const target = readHttpTarget(text);
  if (target.kind === "fault") return { kind: "fault", reason: "fault_target", detail: target.detail };
  return { kind: "request", target: { method: readMethod.method, ...target.target }, arguments: undefined, text: "" };
}

function makeQuestion(upstream: string, asked: AskedRequest): AgentCall {
  return {
    protocol: "decision",
    action: "http.request",
    upstream,
    tool: "",
    target: asked.target,
    arguments: asked.arguments ?? (Object.create(null) as JsonObject), // without a prototype, as all that is judged
    ...(asked.arguments === undefined ? { argumentsUnseen: true } : {}),
    argumentsText: asked.text,
    message: undefined,
    child: undefined,
    mcpSession: undefined,
  };
}

function encodeEnd(end: CallEnd, { target }: AskedRequest, resourceMetadataUrl: string): Problem {
  const { callId } = end;
  if (end.kind === "answered") {
    const { path, query } = target;
    // What was judged: a proxy that sends this instead of what it got leaves nothing between the two.
    const headers = {
      "writ-call-id": callId,
      "writ-target": query === "" ? path : `${path}?${query}`,
      ...(end.wouldDeny === undefined ? {} : { "writ-would-deny": end.wouldDeny }),
    };
    return { status: 200, headers, body: "" };
  }
  const denial = end.kind === "denied" ? end.denial : { ...end, hidden: false, data: {} };
  const told = encodeDecisionDenial(denial, { callId, tool: "", resourceMetadataUrl });
  if (told.kind === "undecided") return withReason(told.reason, told.problem);
  return refused(told.reason, { status: 403, callId, headers: { "writ-call-id": callId } });
}

function refused(reason: Reason, options: Parameters<typeof makeProblem>[1]): Problem {
  return withReason(reason, makeProblem(reason, options));
}

/** Proxies read headers of an answer, and no bodies. */
function withReason(reason: Reason, problem: Problem): Problem {
  return { ...problem, headers: { ...problem.headers, "writ-reason": reason } };
}

/** ngx_http_auth_request_module knows 401 and 403; it takes any other refusal for an error of its own, answered 500. */
function forNginx(problem: Problem): Problem {
  const { status } = problem;
  return status === 200 || status === 401 || status >= 500 ? problem : { ...problem, status: 403 };
}

function refusedToNginx(reason: Reason, problem: Problem): Problem {
  return forNginx(withReason(reason, problem));
}
