/**
 * The HTTP door: `/http/<upstream>/<path>`, and for whoever has no token `/public/<tenant>/<upstream>/<path>`. It reads a request into a call (method and target in their one spelling, the
 * headers that go on, a JSON body as arguments), hands it to the gate and writes the answer as it comes. Whether a
 * request may be made is decided behind the gate.
 *
 * A body that says it is JSON is read whole and judged; one that is too large is refused, never judged in part. Every
 * other body is passed on as a stream that nobody reads, and whatever needs its arguments to decide, denies.
 */
import { isJsonObject, type JsonObject, parseStrictJson, readHttpMethod, readHttpTarget } from "@writ/contract";
import { writeBudgetHeader } from "../../budget-left.ts";
import type { Denial } from "../../denial.ts";
import { encodeHttpDenial, encodePublicDenial } from "../../encode-denial.ts";
import type { Authenticated, CallEnd, CallSink, Gate } from "../../gate.ts";
import { type KeyReading, readKeyHeader } from "../../idempotency-key.ts";
import type { AgentCall, HttpCall, HttpSink } from "../../ports.ts";
import { type Exchange, type Route, streamHeaders } from "../../server/data-listener.ts";
import { makeProblem, type Problem } from "../../server/problem.ts";
import { describeResource, metadataUrlOf } from "../../server/resource-metadata.ts";
import { readHeaders } from "./read-headers.ts";

export interface HttpRoutesOptions {
  readonly gate: Gate;
  readonly publicUrl: () => string;
}

const JSON_TYPE = /^(?:application|text)\/(?:[a-z0-9!#$&^_.+-]+\+)?json$/;
/** All that may stand behind the type where a charset is named: others read other characters out of the same bytes. */
const UTF8 = /^ *charset=(?:utf-?8|"utf-?8") *$/;
/** A body would mean something to some upstreams and nothing to others (RFC 9110 section 9.3). */
const WITHOUT_BODY: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

export function createHttpRoutes({ gate, publicUrl }: HttpRoutesOptions): readonly Route[] {
  return [
    { method: "*", pattern: "/http/:upstream/**", handle },
    { method: "*", pattern: "/public/:tenant/:upstream/**", handle: handlePublic },
    describeResource("/http/:upstream", publicUrl),
  ];

  async function handle(exchange: Exchange): Promise<void> {
    const upstream = exchange.params["upstream"] ?? "";
    const { authorization } = exchange.request.headers;
    const resourceMetadataUrl = metadataUrlOf(publicUrl(), `/http/${upstream}`);
    const answer = gate.authenticate({ authorization, remoteAddress: exchange.remoteAddress });
    const authentication = "kind" in answer ? answer : await answer;
    if (authentication.kind === "rejected") {
      const denial = { reason: authentication.reason, detail: "", data: {} };
      return exchange.problem(encodeHttpDenial(denial, { callId: undefined, resourceMetadataUrl }));
    }
    const address = `/http/${upstream}`;
    const head = readHead(exchange, address);
    if (head.kind === "fault") return exchange.problem(head.problem);
    return pass(exchange, { authentication, upstream, address, head }, (denial, callId) =>
      encodeHttpDenial(denial, { callId, resourceMetadataUrl }),
    );
  }

  /**
   * Read as far as that rests on nothing of ours before it is seen whether there is such an address at all. A credential
   * is refused: whoever shows one means to be somebody here.
   */
  async function handlePublic(exchange: Exchange): Promise<void> {
    const { tenant = "", upstream = "" } = exchange.params;
    if (exchange.request.headers.authorization !== undefined) {
      const detail = "an Authorization header is not taken at a public address";
      return exchange.problem(makeProblem("fault_header", { data: { detail } }));
    }
    // It would be one among those of all strangers.
    if (exchange.request.headers["idempotency-key"] !== undefined) {
      const detail = "an idempotency key names a call of a token, and a public address takes none";
      return exchange.problem(makeProblem("fault_header", { data: { detail } }));
    }
    const address = `/public/${tenant}/${upstream}`;
    const head = readHead(exchange, address);
    if (head.kind === "fault") return exchange.problem(head.problem);
    const { method, path } = head.target;
    const { remoteAddress } = exchange;
    const asked = gate.admitPublic({ unverifiedTenantId: tenant, upstream, method, path, remoteAddress });
    const authentication = "kind" in asked ? asked : await asked;
    if (authentication.kind === "rejected") {
      const denial = { reason: authentication.reason, detail: "", hidden: false, data: {} };
      return exchange.problem(encodePublicDenial(denial, undefined));
    }
    return pass(exchange, { authentication, upstream, address, head }, encodePublicDenial);
  }

  async function pass(
    exchange: Exchange,
    { authentication, upstream, address, head }: Asked,
    encode: (denial: Denial, callId: string) => Problem,
  ): Promise<void> {
    const { response } = exchange;
    const read = await readCall(exchange, upstream, head);
    if (read.kind === "fault") return exchange.problem(read.problem);
    const sink = makeSink(exchange, read.call, address);
    const end: CallEnd = await gate.handleCall(authentication, read.call, sink, exchange.cut);
    switch (end.kind) {
      case "answered":
        response.end();
        return;
      case "denied":
        return exchange.problem(encode(end.denial, end.callId));
      case "broken": {
        // Whoever has a part of the answer learns from the end of the connection that it is no more than that.
        if (response.headersSent) return void response.destroy();
        const { reason, detail } = end;
        return exchange.problem(encode({ reason, detail, hidden: false, data: {} }, end.callId));
      }
    }
  }
}

/** A request of somebody, by what stands before its path. */
interface Asked {
  readonly authentication: Authenticated;
  readonly upstream: string;
  /** Below it are the upstream's paths. */
  readonly address: string;
  readonly head: RequestHead;
}

function makeSink(exchange: Exchange, call: AgentCall, address: string): CallSink {
  const { request, response } = exchange;
  const nothing = (): void => undefined;
  let callId = "";
  let budget: Readonly<Record<string, string>> = {};
  let observed: Readonly<Record<string, string>> = {};
  const http: HttpSink = {
    head(status, headers) {
      const { location, ...given } = headers;
      const rest = response.hasHeader("ratelimit") ? withoutOwn(given, response) : given;
      const moved = location === undefined ? {} : { location: `${address}${String(location)}` };
      const own = streamHeaders({ ...moved, "writ-call-id": callId, ...budget, ...observed });
      // The listener's own headers are not the upstream's to change.
      response.writeHead(status, { ...rest, ...own });
    },
    data: (chunk) => exchange.write(chunk),
  };
  return {
    rated: exchange.rated,
    allowed(id, left, wouldDeny) {
      callId = id;
      if (left !== undefined) budget = writeBudgetHeader(left);
      if (wouldDeny !== undefined) observed = { "writ-would-deny": wouldDeny };
      const isAwaited = request.headers.expect?.toLowerCase() === "100-continue";
      if (isAwaited && call.http?.body?.kind === "stream") response.writeContinue();
    },
    http,
    local: nothing,
    notification: nothing,
    response: nothing,
  };
}

/** Headers of an upstream without those that the gateway has set itself, of its own rates. */
function withoutOwn(
  headers: Parameters<HttpSink["head"]>[1],
  response: Exchange["response"],
): Parameters<HttpSink["head"]>[1] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !response.hasHeader(name)));
}

type CallReading =
  | { readonly kind: "call"; readonly call: AgentCall }
  | { readonly kind: "fault"; readonly problem: Problem };

type Fault = Extract<CallReading, { kind: "fault" }>;

function fault(...parts: Parameters<typeof makeProblem>): Fault {
  return { kind: "fault", problem: makeProblem(...parts) };
}

interface RequestHead {
  readonly kind: "head";
  readonly target: HttpCall["target"];
  readonly headers: readonly string[];
  readonly key: Exclude<KeyReading, { kind: "fault" }>;
}

function readHead({ request }: Exchange, address: string): RequestHead | Fault {
  const { headers } = request;
  if (headers.upgrade !== undefined) return fault("fault_upgrade");
  const method = readHttpMethod(request.method ?? "");
  if (method.kind === "fault") return fault("fault_method", { status: 405, data: { detail: method.detail } });
  const target = readHttpTarget(targetOf(request.url ?? "", address));
  if (target.kind === "fault") return fault("fault_target", { data: { detail: target.detail } });
  const passed = readHeaders(request.rawHeaders);
  if (passed.kind === "fault") return fault("fault_header", { data: { detail: passed.detail } });
  const key = readKeyHeader(headers["idempotency-key"]);
  if (key.kind === "fault") return fault("fault_header", { data: { detail: key.detail } });
  return { kind: "head", target: { method: method.method, ...target.target }, headers: passed.headers, key };
}

async function readCall(exchange: Exchange, upstream: string, head: RequestHead): Promise<CallReading> {
  const body = await readBody(exchange);
  if (body.kind === "fault") return body;
  const { target, headers, key } = head;
  if (body.body !== undefined && WITHOUT_BODY.has(target.method)) {
    return fault("fault_request", { data: { detail: `a ${target.method} request with a body is not passed on` } });
  }
  const http: HttpCall = { target, headers, body: body.body };
  const call: AgentCall = {
    protocol: "http",
    action: "http.request",
    upstream,
    tool: "",
    http,
    arguments: body.arguments ?? (Object.create(null) as JsonObject), // without a prototype, as all that is judged
    ...(body.arguments === undefined && body.body !== undefined ? { argumentsUnseen: true } : {}),
    argumentsText: body.text,
    message: undefined,
    child: undefined,
    mcpSession: undefined,
    ...(key.kind === "none" ? {} : { idempotencyKey: key.key }),
  };
  return { kind: "call", call };
}

/** What follows the address, which the listener has matched byte for byte. */
function targetOf(url: string, address: string): string {
  const rest = url.slice(address.length);
  return rest === "" || rest.startsWith("?") ? `/${rest}` : rest;
}

interface BodyRead {
  readonly kind: "body";
  readonly body: HttpCall["body"];
  readonly arguments: JsonObject | undefined;
  /** JSON text; "" where nobody has read it. */
  readonly text: string;
}

async function readBody(exchange: Exchange): Promise<BodyRead | Fault> {
  const { headers } = exchange.request;
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  if (!hasBody) return { kind: "body", body: undefined, arguments: undefined, text: "" };
  const contentType = (headers["content-type"] ?? "").toLowerCase();
  const end = contentType.indexOf(";");
  const type = end < 0 ? contentType : contentType.slice(0, end);
  const parameters = end < 0 ? "" : contentType.slice(end + 1);
  if (!JSON_TYPE.test(type.trim())) {
    return { kind: "body", body: { kind: "stream", stream: exchange.request }, arguments: undefined, text: "" };
  }
  if (parameters.includes("charset") && !UTF8.test(parameters)) return fault("fault_media_type");
  const read = await exchange.readBody();
  if (read.kind === "fault") return fault(read.reason);
  const parsed = parseStrictJson(read.bytes);
  if (parsed.kind === "fault") return fault("fault_json", { data: { detail: parsed.detail } });
  return {
    kind: "body",
    body: { kind: "bytes", bytes: read.bytes },
    arguments: isJsonObject(parsed.value) ? parsed.value : undefined,
    text: parsed.text,
  };
}
