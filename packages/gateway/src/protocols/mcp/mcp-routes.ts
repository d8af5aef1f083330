/**
 * The MCP adapter: `/mcp/NAME`, and `/mcp` for all upstreams, over Streamable HTTP, for the revisions with sessions
 * (2025-11-25 and the two before it) and the stateless one (2026-07-28). It reads, hands the attempt to the gate, and writes what comes back. It
 * decides nothing: which tools exist, who may list or call them and how a refusal is worded lies elsewhere.
 *
 *   credential ─▶ body ─▶ one message ─▶ era ─▶ method ─▶ gate.handleCall ─▶ answer
 */
import type { IncomingHttpHeaders } from "node:http";
import type { JsonObject, JsonValue, Reason } from "@writ/contract";
import { writeBudgetHeader } from "../../budget-left.ts";
import { type DenialContext, encodeBroken, encodeDenial } from "../../encode-denial.ts";
import type { Authenticated, CallEnd, CallSink, Gate } from "../../gate.ts";
import { IDEMPOTENCY_KEY, type KeyReading, readKey, readKeyHeader } from "../../idempotency-key.ts";
import { findMember, membersOf, valueText, withMember } from "../../json-members.ts";
import { type AgentCall, type ClientAnswer, type Clock, LISTEN_METHOD, type Random } from "../../ports.ts";
import type { Exchange, Route } from "../../server/data-listener.ts";
import { describeResource, metadataUrlOf } from "../../server/resource-metadata.ts";
import { contentsOn, elementsOn, LISTS, NO_UPSTREAM, requestFor, updateOn, uriOf, uriOn } from "./all-upstreams.ts";
import { type AnswerStream, createAnswerStream } from "./answer-stream.ts";
import { createBatchMember } from "./batch-member.ts";
import { askable } from "./client-capabilities.ts";
import {
  BATCH_REVISION,
  CLIENT_CAPABILITIES,
  decodeHeaderValue,
  decodeMessage,
  isObject,
  keyOf,
  LOG_LEVEL,
  type McpMessage,
  type McpRequest,
  PROTOCOL_VERSION,
  SESSION_REVISION,
  SESSION_REVISIONS,
  STATELESS_REVISION,
  SUBSCRIPTION_ID,
} from "./decode.ts";
import { createKeepAlive } from "./keep-alive.ts";
import { isLogLevel, reaches } from "./log-filter.ts";
import {
  createMcpSessions,
  type InFlight,
  MCP_SESSION_LIMITS,
  type McpSession,
  type McpSessionLimits,
} from "./mcp-sessions.ts";
import { createMergedListening } from "./merged-listening.ts";
import { isHoldable, LIST_LIMITS, type ListLimits, readListCursor, writeListCursor } from "./merged-lists.ts";
import { INPUT_METHODS, isUri, readMethod } from "./read-method.ts";
import { createResumableStreams, type ResumptionLimits } from "./resumable-streams.ts";
import { offers, passedCapabilities } from "./server-capabilities.ts";
import { createSessionEar, isEarEvent } from "./session-ear.ts";

export interface McpRoutesOptions {
  readonly gate: Gate;
  readonly clock: Clock;
  readonly random: Random;
  /** How agents reach the gateway, without a trailing slash; a function, because the port may be found late. */
  readonly publicUrl: () => string;
  readonly version: string;
  /** How long an agent may be away from the stream of a call before that is cut; 0: it may not. */
  readonly resumeWithinMs: number;
  readonly sessionLimits?: McpSessionLimits;
  readonly resumptionLimits?: ResumptionLimits;
  readonly keepAliveMs?: number;
  readonly listLimits?: ListLimits;
}

const KEEP_ALIVE_MS = 15_000;
const SET_LEVEL = "logging/setLevel";
/** JSON-RPC codes that MCP 2026-07-28 defines, sent in their own meaning only. */
const HEADER_MISMATCH = -32020;
const UNSUPPORTED_VERSION = -32022;

/** What one HTTP request turned out to be about. */
interface Turn {
  readonly exchange: Exchange;
  /** "" where the endpoint leads to all of them and the request names nothing of one. */
  readonly upstream: string;
  readonly all: boolean;
  /** On the endpoint of all upstreams: the request as the agent sent it, with its names. */
  readonly sent?: McpRequest;
  readonly authenticated: Authenticated;
  readonly resourceMetadataUrl: string;
}

type Era = { readonly kind: "stateless" } | { readonly kind: "session"; readonly session: McpSession | undefined };

export function createMcpRoutes(options: McpRoutesOptions): readonly Route[] {
  const { gate, clock, random } = options;
  const limits = options.sessionLimits ?? MCP_SESSION_LIMITS;
  const sessions = createMcpSessions({ clock, random, limits });
  const { resumeWithinMs, resumptionLimits } = options;
  const resumables = createResumableStreams({
    makeId: sessions.makeId,
    resumeWithinMs,
    ...(resumptionLimits === undefined ? {} : { limits: resumptionLimits }),
  });
  const keepAlive = createKeepAlive(clock, options.keepAliveMs ?? KEEP_ALIVE_MS);
  const listLimits = options.listLimits ?? LIST_LIMITS;
  const serverInfo = JSON.stringify({ name: "writ", version: options.version });
  /** What each session listens to now. */
  const listenings = new WeakMap<McpSession, AbortController>();
  /** Requests in flight of connections that use no session. */
  const connections = new WeakMap<object, Map<string, InFlight>>();

  return [
    { method: "POST", pattern: "/mcp/:upstream", handle: (exchange) => authenticated(exchange, post) },
    { method: "GET", pattern: "/mcp/:upstream", handle: (exchange) => authenticated(exchange, get) },
    { method: "DELETE", pattern: "/mcp/:upstream", handle: (exchange) => authenticated(exchange, remove) },
    { method: "POST", pattern: "/mcp", handle: (exchange) => authenticated(exchange, post) },
    { method: "GET", pattern: "/mcp", handle: (exchange) => authenticated(exchange, get) },
    { method: "DELETE", pattern: "/mcp", handle: (exchange) => authenticated(exchange, remove) },
    describeResource("/mcp/:upstream", options.publicUrl),
    describeResource("/mcp", options.publicUrl),
  ];

  async function authenticated(exchange: Exchange, next: (turn: Turn) => Promise<void>): Promise<void> {
    const upstream = exchange.params["upstream"] ?? "";
    const resourceMetadataUrl = metadataUrlOf(options.publicUrl(), pathOf(exchange));
    const { authorization } = exchange.request.headers;
    const answer = gate.authenticate({ authorization, remoteAddress: exchange.remoteAddress });
    const authentication = "kind" in answer ? answer : await answer;
    if (authentication.kind === "rejected") {
      const context: DenialContext = { callId: undefined, idText: "null", tool: "", resourceMetadataUrl };
      return exchange.problem(encodeDenial({ reason: authentication.reason, hidden: false, data: {} }, context));
    }
    const all = upstream === "";
    return next({ exchange, upstream, all, authenticated: authentication, resourceMetadataUrl });
  }

  /**
   * The session's own stream, for what belongs to no request, or the stream of a call that broke off. The newest request for
   * one has it.
   */
  async function get(turn: Turn): Promise<void> {
    const { exchange } = turn;
    const { headers } = exchange.request;
    const session = findSession(turn);
    if (session === undefined) {
      // Without a session there is nothing to hear: the stateless revision has no such stream.
      if (headers["mcp-session-id"] !== undefined) return fault(turn, "fault_session", "null");
      return exchange.problem({ status: 405, headers: { allow: "POST, DELETE" }, body: "" });
    }
    if (!acceptOf(headers.accept).stream) return exchange.problem({ status: 406, headers: {}, body: "" });
    const lastEventId = headers["last-event-id"];
    const from = typeof lastEventId === "string" && lastEventId !== "" ? lastEventId : undefined;
    if (from !== undefined && !isEarEvent(from)) {
      const { address } = turn.authenticated;
      if (resumables.takeUp(session, from, { exchange, address }) === "unknown") {
        fault(turn, "fault_event_id", "null");
      }
      return;
    }
    if (session.ear === undefined || session.ear.closed.aborted) {
      session.ear = createSessionEar(keepAlive, session.ear?.nextId());
      const end = await new Promise<CallEnd | undefined>((resolve) => {
        void hearFor(turn, session, () => resolve(undefined)).then(resolve);
      });
      if (end?.kind === "denied") {
        session.ear.close();
        return deny(turn, end, "null");
      }
    }
    return session.ear.attach(exchange, from);
  }

  /**
   * Listens at the upstream for a session, until its ear closes or it has subscribed to something else. `begun` is called
   * once that is allowed. One listening is one call: decided, on record and cut as every other.
   */
  async function hearFor(turn: Turn, session: McpSession, begun: () => void): Promise<CallEnd | undefined> {
    const { ear } = session;
    if (ear === undefined) return undefined;
    listenings.get(session)?.abort();
    const cut = new AbortController();
    listenings.set(session, cut);
    const onClose = (): void => cut.abort();
    ear.closed.addEventListener("abort", onClose, { once: true });
    const ask = session.clientCapabilities;
    const say = (text: string): "sent" | "unheard" => {
      if (!ear.attached()) return "unheard";
      ear.say(text);
      return "sent";
    };
    const sinkFor = (upstream: string): CallSink => ({
      rated: turn.exchange.rated,
      allowed: begun,
      notification(method, params) {
        if (method === "notifications/subscriptions/acknowledged") return;
        const isLog = method === "notifications/message";
        if (isLog && session.logLevel !== undefined && !reaches(session.logLevel, params)) return;
        const isUpdate = turn.all && method === "notifications/resources/updated";
        const own = isUpdate ? updateOn(upstream, params) : params;
        ear.say(`{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${own}}`);
      },
      ...(ask === undefined ? {} : { request: askOn(session, ask, say, ear.closed) }),
      response: () => undefined,
      local: () => undefined,
    });
    const names = turn.all ? await gate.reachable(turn.authenticated) : [turn.upstream];
    const ends = await Promise.all(
      names.map((upstream) => {
        const own = [...session.subscriptions];
        const uris = turn.all ? own.map((uri) => uriOf(upstream, uri)).filter((uri) => uri !== undefined) : own;
        const call = listenCall(upstream, session.id, ALL_CHANGES, uris, session.clientCapabilities);
        return gate.handleCall(turn.authenticated, call, sinkFor(upstream), cut);
      }),
    );
    const end = ends.find(({ kind }) => kind !== "denied") ?? ends[0];
    ear.closed.removeEventListener("abort", onClose);
    if (listenings.get(session) !== cut) return end;
    listenings.delete(session);
    ear.close();
    return end;
  }

  /** The session listens to what it is subscribed to now, if it listens at all. */
  function hearAnew(turn: Turn, session: McpSession): void {
    if (session.ear === undefined || session.ear.closed.aborted) return;
    // Never rejects: `handleCall` does not.
    void hearFor(turn, session, () => undefined);
  }

  /** The stateless revision's way to hear of what belongs to no request: a request that lasts. */
  async function listen(turn: Turn, request: McpRequest, accepts: Accepts, era: Era): Promise<void> {
    const wants = readListening(request.params);
    if (wants === undefined || wants.uris.length > limits.listenUrisMax) {
      return fault(turn, "fault_params", request.idText);
    }
    if (!accepts.stream) return fault(turn, "fault_media_type", "null");
    const granted: string[] = [];
    for (const uri of wants.uris) {
      const end = await subscribe(turn, uri);
      if (end.kind === "answered") granted.push(uri);
    }
    return attempt(
      turn,
      request,
      accepts,
      era,
      listenCall(turn.upstream, undefined, wants.changes, granted, undefined),
    );
  }

  /**
   * The same on the endpoint of all upstreams: a call at each that the agent may reach, and one stream for all of them. The
   * stream tells of everything that it has promised, or ends: the first part that ends ends the others.
   */
  async function listenToAll(turn: Turn, request: McpRequest, accepts: Accepts): Promise<void> {
    const { exchange, authenticated: agent } = turn;
    const { idText } = request;
    const wants = readListening(request.params);
    if (wants === undefined || wants.uris.length > limits.listenUrisMax) return fault(turn, "fault_params", idText);
    if (!accepts.stream) return fault(turn, "fault_media_type", "null");
    const inFlight = inFlightOf(exchange);
    if (inFlight.has(request.idKey)) return fault(turn, "duplicate_in_flight", idText);
    if (inFlight.size >= limits.inFlightMax) return fault(turn, "gateway_overloaded", idText);
    inFlight.set(request.idKey, { cut: exchange.cut, callId: undefined });
    const level = logLevelOf(request);
    const shared = { exchange, idText, progressToken: undefined, stateless: true, streams: true } as const;
    const stream = createAnswerStream({ ...shared, logLevel: level, accepts, keepAlive });
    const names = await gate.reachable(agent);
    const say = (method: string, params: string) => stream.notification(method, withSubscription(params, idText));
    const merged = createMergedListening({ upstreams: names, say });
    const late = setTimeout(() => {
      if (stream.begun()) merged.acknowledge();
    }, ACKNOWLEDGED_WITHIN_MS);
    const listenAt = async (upstream: string): Promise<CallEnd> => {
      const granted: string[] = [];
      for (const whole of wants.uris) {
        const uri = uriOf(upstream, whole);
        if (uri !== undefined && (await subscribe({ ...turn, upstream }, uri)).kind === "answered") granted.push(uri);
      }
      const call = listenCall(upstream, undefined, wants.changes, granted, undefined);
      const nothing = (): void => undefined;
      const sink: CallSink = {
        allowed: (callId) => stream.allowed({ "writ-call-id": callId }),
        notification: (method, params) => merged.hear(upstream, method, params),
        response: nothing,
        local: nothing,
      };
      const end = await gate.handleCall(agent, call, sink, exchange.cut);
      if (merged.over(upstream) === "granted") exchange.cut.abort();
      return end;
    };
    try {
      const ends = await Promise.all((names.length === 0 ? [NO_UPSTREAM] : names).map(listenAt));
      const [first] = ends;
      if (stream.begun()) exchange.response.end();
      else if (first?.kind === "denied") deny(turn, first, idText);
      else fault(turn, "upstream_unavailable", idText);
    } finally {
      clearTimeout(late);
      stream.end();
      inFlight.delete(request.idKey);
    }
  }

  /** Whether this agent may hear of updates of a resource: an attempt of its own, on record. */
  async function subscribe(turn: Turn, uri: string): Promise<CallEnd> {
    const nothing = (): void => undefined;
    const { rated } = turn.exchange;
    const sink = { rated, allowed: nothing, notification: nothing, response: nothing, local: nothing };
    const named = { kind: "resource", name: uri } as const;
    const call = { ...listenCall(turn.upstream, undefined, {}, [], undefined), message: undefined, named };
    const { cut } = turn.exchange;
    return gate.handleCall(turn.authenticated, { ...call, action: "resource.subscribe" }, sink, cut);
  }

  async function remove(turn: Turn): Promise<void> {
    const session = findSession(turn);
    if (session === undefined) return fault(turn, "fault_session", "null");
    sessions.end(session);
    turn.exchange.answer(204, {}, "");
  }

  async function post(turn: Turn): Promise<void> {
    const { exchange } = turn;
    const { headers } = exchange.request;
    if (!isJson(headers["content-type"])) return fault(turn, "fault_media_type", "null");
    const accepts = acceptOf(headers.accept);
    if (!accepts.json && !accepts.stream) return fault(turn, "fault_media_type", "null");
    const body = await exchange.readBody();
    if (body.kind === "fault") return fault(turn, body.reason, "null");
    const message = decodeMessage(body.bytes);
    return message.kind === "batch"
      ? batch(turn, message.members, accepts)
      : receive(turn, message, accepts, undefined);
  }

  /**
   * Several messages at once, of the one revision that has them: each is received as if it had come alone. The answers go
   * back together, after the last of them.
   */
  async function batch(turn: Turn, members: readonly Uint8Array[], accepts: Accepts): Promise<void> {
    const session = findSession(turn);
    if (session === undefined) return noSession(turn, "null");
    if (session.revision !== BATCH_REVISION) return fault(turn, "fault_request", "null");
    // One key is of one call: in a batch each has its own in `_meta`.
    if (turn.exchange.request.headers["idempotency-key"] !== undefined) return fault(turn, "fault_header", "null");
    const answers = await Promise.all(
      members.map(async (bytes) => {
        const message = decodeMessage(bytes);
        const idText = message.kind === "request" || message.kind === "fault" ? message.idText : "null";
        const member = createBatchMember(turn.exchange, idText);
        if (message.kind === "batch" || (message.kind === "request" && message.method === "initialize")) {
          fault({ ...turn, exchange: member.exchange }, "fault_request", idText);
        } else {
          await receive({ ...turn, exchange: member.exchange }, message, { json: true, stream: false }, session);
        }
        return member.answer();
      }),
    );
    const told = answers.filter((answer) => answer !== undefined);
    const { exchange } = turn;
    if (told.length === 0) return exchange.answer(202, {}, "");
    const text = `[${told.join(",")}]`;
    if (accepts.json) return exchange.answer(200, { "content-type": "application/json" }, text);
    exchange.answer(200, { "content-type": "text/event-stream" }, `event: message\ndata: ${text}\n\n`);
  }

  /** One message; `own` is its session where that has been found already. */
  async function receive(
    turn: Turn,
    message: Exclude<McpMessage, { kind: "batch" }>,
    accepts: Accepts,
    own: McpSession | undefined,
  ): Promise<void> {
    const { exchange } = turn;
    const { headers } = exchange.request;
    if (message.kind === "fault") return fault(turn, message.reason, message.idText);

    if (message.kind === "response") {
      const session = own ?? findSession(turn);
      if (session === undefined) return noSession(turn, "null");
      // Only what this session was asked and has not answered; anything else is ignored.
      session.asked.get(message.idKey)?.({ member: message.member, json: message.json });
      return exchange.answer(202, {}, "");
    }
    if (message.kind === "notification") {
      if (eraOf(headers, message.params) === "stateless") return exchange.answer(202, {}, "");
      const session = own ?? findSession(turn);
      if (session === undefined) return noSession(turn, "null");
      // Only the sender's own request, and only while it is in flight; anything else is ignored, as MCP says.
      if (message.method === "notifications/cancelled") {
        const key = keyOf(message.params["requestId"]);
        if (key !== undefined) session.inFlight.get(key)?.cut.abort();
      }
      return exchange.answer(202, {}, "");
    }

    const version = eraOf(headers, message.params);
    if (version === "stateless") {
      const refusal = checkStateless(headers, message);
      if (refusal !== undefined) return jsonRpc(turn, 400, message.idText, refusal);
      return dispatch(turn, message, accepts, { kind: "stateless" });
    }
    if (version === "unknown") return fault(turn, "fault_header", message.idText);
    if (message.method === "initialize")
      return dispatch(turn, message, accepts, { kind: "session", session: undefined });
    const session = own ?? findSession(turn);
    if (session === undefined) return noSession(turn, message.idText);
    return dispatch(turn, message, accepts, { kind: "session", session });
  }

  /** What is left of the token's budgets: a method of ours, for agents that want to know before they run out. */
  async function budget(turn: Turn, request: McpRequest): Promise<void> {
    const read = await gate.remainingBudgets(turn.authenticated);
    if (read.kind === "denied") return fault(turn, read.reason, request.idText);
    const text = `{"jsonrpc":"2.0","id":${request.idText},"result":${JSON.stringify({ budgets: read.budgets })}}`;
    turn.exchange.answer(200, { "content-type": "application/json" }, text);
  }

  function findSession({ exchange, authenticated: { tokenDigest }, upstream }: Turn): McpSession | undefined {
    const id = exchange.request.headers["mcp-session-id"];
    return typeof id === "string" ? sessions.find(id, { tokenDigest, upstream }) : undefined;
  }

  function noSession(turn: Turn, idText: string): void {
    const missing = turn.exchange.request.headers["mcp-session-id"] === undefined;
    fault(turn, missing ? "fault_header" : "fault_session", idText);
  }

  function fault(turn: Turn, reason: Reason, idText: string): void {
    deny(turn, { callId: undefined, denial: { reason, hidden: false, data: {} } }, idText);
  }

  /** Answers a request that is about no tool, resource or prompt of its own with a denial. */
  function deny(
    { exchange, resourceMetadataUrl }: Turn,
    { callId, denial }: { readonly callId: string | undefined; readonly denial: Parameters<typeof encodeDenial>[0] },
    idText: string,
  ): void {
    exchange.problem(encodeDenial(denial, { callId, idText, tool: "", resourceMetadataUrl }));
  }

  function jsonRpc(turn: Turn, status: number, idText: string, error: object): void {
    const text = `{"jsonrpc":"2.0","id":${idText},"error":${JSON.stringify(error)}}`;
    turn.exchange.answer(status, { "content-type": "application/json" }, text);
  }

  async function dispatch(turn: Turn, request: McpRequest, accepts: Accepts, era: Era): Promise<void> {
    const stateless = era.kind === "stateless";
    if (turn.all && turn.sent === undefined) {
      const target = requestFor(request);
      if (target !== undefined) {
        return dispatch({ ...turn, upstream: target.upstream, sent: request }, target.request, accepts, era);
      }
      if (Object.hasOwn(LISTS, request.method)) return listAll(turn, request, era);
      if (stateless && request.method === LISTEN_METHOD) return listenToAll(turn, request, accepts);
    }
    const mcpSession = era.kind === "session" ? era.session?.id : undefined;
    const capabilities = era.kind === "session" ? era.session?.clientCapabilities : undefined;
    const base = {
      protocol: "mcp",
      upstream: turn.upstream,
      mcpSession,
      child: undefined,
      ...(capabilities === undefined ? {} : { clientCapabilities: capabilities }),
    } as const;
    const empty = { tool: "", arguments: NO_ARGUMENTS, argumentsText: "", message: undefined } as const;
    switch (request.method) {
      case "initialize":
        if (stateless) break;
        return initialize(turn, request, accepts, { ...base, ...empty, action: "mcp.session" });
      case "server/discover":
        if (!stateless) break;
        return openOn(turn, request, accepts, era, { ...base, ...empty, action: "mcp.session" }, (told) => ({
          json: `{"resultType":"complete","supportedVersions":["${STATELESS_REVISION}"],"capabilities":${told},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":${serverInfo}}}`,
          headers: {},
        }));
      case "writ/budget":
        return budget(turn, request);
      case "ping":
        if (stateless) break;
        turn.exchange.answer(
          200,
          { "content-type": "application/json" },
          `{"jsonrpc":"2.0","id":${request.idText},"result":{}}`,
        );
        return;
      case "tools/list":
        // Everything is on one page, so that no cursor was ever given out.
        if (request.params["cursor"] !== undefined) return fault(turn, "fault_params", request.idText);
        return attempt(turn, request, accepts, era, { ...base, ...empty, action: "tool.list" }, (tools) => ({
          json: stateless
            ? `{"resultType":"complete","tools":${tools},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":${serverInfo}}}`
            : `{"tools":${tools}}`,
          headers: {},
        }));
    }
    const session = era.kind === "session" ? era.session : undefined;
    if (stateless ? SESSION_METHODS.has(request.method) : !isOffered(session, request.method)) {
      return notFound(turn, request, stateless);
    }
    if (request.method === LISTEN_METHOD) {
      return stateless ? listen(turn, request, accepts, era) : notFound(turn, request, stateless);
    }
    if (request.method === "resources/unsubscribe") {
      const { uri } = request.params;
      if (!isUri(uri)) return fault(turn, "fault_params", request.idText);
      // It can only make what is heard less.
      if (session?.subscriptions.delete(uri) === true) hearAnew(turn, session);
      return turn.exchange.answer(200, JSON_TYPE, `{"jsonrpc":"2.0","id":${request.idText},"result":{}}`);
    }
    const asked = stateless ? askable(readClientCapabilities(request)) : undefined;
    const reading = readMethod(request, { input: stateless });
    if (reading.kind === "fault") return fault(turn, "fault_params", request.idText);
    if (reading.kind === "call") {
      const { action, tool, named, arguments: args, argumentsText, name, resumes } = reading;
      const progress = request.progressToken !== undefined && accepts.stream;
      if (action === "resource.subscribe" && session !== undefined) {
        if (session.subscriptions.size >= limits.subscriptionsMax) {
          return fault(turn, "gateway_overloaded", request.idText);
        }
        const call = { ...base, ...empty, action, named };
        return attempt(turn, request, accepts, era, call, () => {
          session.subscriptions.add(turn.all ? uriOn(turn.upstream, name) : name);
          hearAnew(turn, session);
          return { json: "{}", headers: {} };
        });
      }
      const setsLevel = request.method === SET_LEVEL && session !== undefined;
      if (setsLevel && turn.all) return setLevelOfAll(turn, request, session);
      const level = setsLevel ? String(request.params["level"]) : session?.logLevel;
      const key = keyFor(turn, request);
      if (key.kind === "fault") return fault(turn, key.reason, request.idText);
      const message = {
        method: request.method,
        params: request.paramsText,
        progress,
        name,
        ...(asked === undefined ? {} : { clientCapabilities: asked, input: INPUT_METHODS.has(request.method) }),
        ...(level === undefined ? {} : { logLevel: JSON.stringify(level) }),
      };
      const call = {
        ...base,
        action,
        tool,
        named,
        arguments: args,
        argumentsText,
        message,
        ...(key.kind === "none" ? {} : { idempotencyKey: key.key }),
        ...(stateless && action === "tool.call" ? { mirroredHeader: headersOf(turn.exchange) } : {}),
        ...(resumes === undefined ? {} : { resumes }),
      };
      return attempt(turn, request, accepts, era, call, undefined, () => {
        if (setsLevel) session.logLevel = level;
      });
    }
    notFound(turn, request, stateless);
  }

  function notFound(turn: Turn, { idText }: McpRequest, stateless: boolean): void {
    jsonRpc(turn, stateless ? 404 : 200, idText, { code: -32601, message: "Method not found" });
  }

  async function initialize(turn: Turn, request: McpRequest, accepts: Accepts, call: AgentCall): Promise<void> {
    const asked = request.params["protocolVersion"];
    const { capabilities } = request.params;
    if (typeof asked !== "string" || !isObject(capabilities)) {
      return fault(turn, "fault_params", request.idText);
    }
    const revision = SESSION_REVISIONS.includes(asked) ? asked : SESSION_REVISION;
    const { tokenDigest, tenantId, agentId } = turn.authenticated;
    const agent = `${tenantId.length}:${tenantId}${agentId}`;
    const clientCapabilities = askable(capabilities);
    const id = sessions.makeId();
    const opening = {
      ...call,
      mcpSession: id,
      ...(clientCapabilities === undefined ? {} : { clientCapabilities }),
    };
    return openOn(turn, request, accepts, { kind: "session", session: undefined }, opening, (told) => {
      const owner = { tokenDigest, agent, tenant: tenantId, upstream: turn.upstream };
      const session = sessions.open({ ...owner, id, revision, clientCapabilities, capabilities: told });
      if (session === undefined) return undefined;
      return {
        json: `{"protocolVersion":"${revision}","capabilities":${told},"serverInfo":${serverInfo}}`,
        headers: { "mcp-session-id": session.id },
      };
    });
  }

  /**
   * Opens a session, or tells of the endpoint: of all upstreams that the agent may reach, where it leads to all, each an
   * attempt of its own; the first one decides.
   */
  async function openOn(
    turn: Turn,
    request: McpRequest,
    accepts: Accepts,
    era: Era,
    call: AgentCall,
    local: (capabilities: string) => LocalAnswer | undefined,
  ): Promise<void> {
    if (!turn.all) return attempt(turn, request, accepts, era, call, (server) => local(passedCapabilities([server])));
    const [first = NO_UPSTREAM, ...others] = await gate.reachable(turn.authenticated);
    const told = await Promise.all(others.map((upstream) => ask(turn, { ...call, upstream })));
    const servers = told.map(({ json }) => json ?? "");
    return attempt(turn, request, accepts, era, { ...call, upstream: first }, (server) =>
      local(passedCapabilities([server, ...servers])),
    );
  }

  /** One attempt whose answer goes into another's. */
  async function ask(
    turn: Turn,
    call: AgentCall,
  ): Promise<{ readonly end: CallEnd; readonly json: string | undefined }> {
    let json: string | undefined;
    const sink: CallSink = {
      rated: turn.exchange.rated,
      allowed: () => undefined,
      notification: () => undefined,
      response(member, text) {
        if (member === "result") json = text;
      },
      local(text) {
        json = text;
      },
    };
    const end = await gate.handleCall(turn.authenticated, call, sink, turn.exchange.cut);
    return { end, json };
  }

  /** What each upstream lists for this agent, from where the cursor is. An upstream that does not answer now is not in it. */
  async function listAll(turn: Turn, request: McpRequest, era: Era): Promise<void> {
    const { cursor } = request.params;
    const from = typeof cursor === "string" ? readListCursor(cursor) : undefined;
    if (cursor !== undefined && from === undefined) return fault(turn, "fault_params", request.idText);
    const list = LISTS[request.method as keyof typeof LISTS]; // the caller has looked
    const elements: string[] = [];
    const left = new Map<string, string | undefined>();
    let bytes = 0;
    let isAnswered = false;
    let denied: CallEnd | undefined;
    const names = await gate.reachable(turn.authenticated);
    for (const upstream of names.length === 0 ? [NO_UPSTREAM] : names) {
      if (turn.exchange.cut.signal.aborted) return; // nobody is there to be told
      if (from !== undefined && !from.has(upstream)) continue;
      const start = from?.get(upstream);
      if (bytes >= listLimits.bytesMax) {
        left.set(upstream, start);
        continue;
      }
      const end = await listOne(turn, request.method, upstream, start, era, (text) => {
        bytes += text.length;
        for (const element of elementsOn(upstream, text, list)) elements.push(element);
      });
      if (end.kind !== "denied") isAnswered = true;
      else if (denied === undefined || isRated(end.denied)) denied = end.denied;
      if (end.kind === "more") left.set(upstream, end.cursor);
      // What will be answered in a moment is not left out.
      else if (end.kind === "denied" && isRated(end.denied)) left.set(upstream, start);
    }
    const { idText } = request;
    if (!isAnswered && elements.length === 0 && denied?.kind === "denied") return deny(turn, denied, idText);
    const next = left.size === 0 ? "" : `,"nextCursor":"${writeListCursor(left)}"`;
    const whole = `"${list.member}":[${elements.join(",")}]${next}`;
    const json =
      era.kind === "stateless"
        ? `{"resultType":"complete",${whole},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":${serverInfo}}}`
        : `{${whole}}`;
    turn.exchange.answer(200, JSON_TYPE, `{"jsonrpc":"2.0","id":${idText},"result":${json}}`);
  }

  /** One upstream's share of an answer, page by page. */
  async function listOne(
    turn: Turn,
    method: string,
    upstream: string,
    start: string | undefined,
    era: Era,
    take: (list: string) => void,
  ): Promise<
    | { readonly kind: "over" }
    | { readonly kind: "more"; readonly cursor: string }
    | { readonly kind: "denied"; readonly denied: CallEnd }
  > {
    const mcpSession = era.kind === "session" ? era.session?.id : undefined;
    const capabilities = era.kind === "session" ? era.session?.clientCapabilities : undefined;
    const base = {
      ...listenCall(upstream, mcpSession, {}, [], capabilities),
      message: undefined,
    };
    if (method === "tools/list") {
      const { end, json } = await ask(turn, { ...base, action: "tool.list" });
      if (json !== undefined) take(json);
      return end.kind === "denied" ? { kind: "denied", denied: end } : { kind: "over" };
    }
    const action = method === "prompts/list" ? "prompt.list" : "resource.list";
    let cursor = start;
    let bytes = 0;
    for (let pages = 0; pages < listLimits.sharePagesMax && bytes < listLimits.shareBytesMax; pages += 1) {
      const params = cursor === undefined ? "{}" : `{"cursor":${JSON.stringify(cursor)}}`;
      const { end, json } = await ask(turn, {
        ...base,
        action,
        message: { method, params, progress: false, name: "" },
      });
      if (json === undefined || end.kind === "denied") {
        // What came before stays, and whoever goes on there is told, if it does not go on.
        if (cursor !== undefined && cursor !== start) return { kind: "more", cursor };
        return end.kind === "denied" ? { kind: "denied", denied: end } : { kind: "over" };
      }
      const members = membersOf(json);
      const list = findMember(members, LISTS[method as keyof typeof LISTS].member); // the caller has looked
      if (list !== undefined) {
        const text = valueText(json, list);
        bytes += text.length;
        take(text);
      }
      const found = findMember(members, "nextCursor");
      const next: unknown = found === undefined ? undefined : JSON.parse(valueText(json, found));
      // A cursor that leads nowhere, or that no request could hold beside those of others, is the end of the list.
      if (typeof next !== "string" || next === cursor || !isHoldable(next)) return { kind: "over" };
      cursor = next;
    }
    return cursor === undefined ? { kind: "over" } : { kind: "more", cursor };
  }

  /** Sets the level at every upstream that has one; one that cannot be reached now keeps its own. */
  async function setLevelOfAll(turn: Turn, request: McpRequest, session: McpSession): Promise<void> {
    const { idText } = request;
    const message = { method: request.method, params: request.paramsText, progress: false, name: "" };
    const names = await gate.reachable(turn.authenticated);
    let denied: CallEnd | undefined;
    let isAllowed = false;
    for (const upstream of names.length === 0 ? [NO_UPSTREAM] : names) {
      const call = { ...listenCall(upstream, session.id, {}, [], session.clientCapabilities), message };
      const { end } = await ask(turn, call);
      // An upstream that the rate left as it was is to be asked again, and so are all.
      if (end.kind === "denied" && isRated(end)) return deny(turn, end, idText);
      if (end.kind === "denied") denied ??= end;
      else isAllowed = true;
    }
    if (!isAllowed && denied?.kind === "denied") return deny(turn, denied, idText);
    session.logLevel = String(request.params["level"]);
    turn.exchange.answer(200, JSON_TYPE, `{"jsonrpc":"2.0","id":${idText},"result":{}}`);
  }

  /** One attempt at the gate, from its place among the requests in flight to its answer. */
  async function attempt(
    turn: Turn,
    request: McpRequest,
    accepts: Accepts,
    era: Era,
    call: AgentCall,
    local: (json: string) => LocalAnswer | undefined = () => undefined,
    committed: () => void = () => {},
  ): Promise<void> {
    const { exchange, resourceMetadataUrl } = turn;
    const { idText } = request;
    const inFlight = era.kind === "session" && era.session !== undefined ? era.session.inFlight : inFlightOf(exchange);
    const first = inFlight.get(request.idKey);
    if (first !== undefined) {
      const context = { callId: first.callId, idText, ...namesOf(turn, call), resourceMetadataUrl };
      return exchange.problem(encodeDenial({ reason: "duplicate_in_flight", hidden: false, data: {} }, context));
    }
    if (inFlight.size >= limits.inFlightMax) return fault(turn, "gateway_overloaded", idText);
    const flight: InFlight = { cut: exchange.cut, callId: undefined };
    inFlight.set(request.idKey, flight);

    const session = era.kind === "session" && call.message !== undefined ? era.session : undefined;
    const stream = createAnswerStream({
      exchange,
      idText,
      ...(session === undefined
        ? {}
        : {
            resumable: (headers) => {
              const { address } = turn.authenticated;
              const requestLength = request.paramsText.length;
              return resumables.open({ session, exchange, address, cut: flight.cut, headers, requestLength });
            },
          }),
      progressToken: request.progressToken,
      stateless: era.kind === "stateless",
      cacheable: CACHEABLE.has(request.method),
      streams: request.method === LISTEN_METHOD,
      logLevel: era.kind === "session" ? era.session?.logLevel : logLevelOf(request),
      accepts,
      keepAlive,
    });
    let observed: Readonly<Record<string, string>> = {};
    const sink: CallSink = {
      rated: exchange.rated,
      allowed(callId, left, wouldDeny) {
        flight.callId = callId;
        committed();
        if (wouldDeny !== undefined) observed = { "writ-would-deny": wouldDeny };
        // What Writ answers by itself may add a header, and is never a stream.
        if (call.message === undefined) return;
        const budget = left === undefined ? {} : writeBudgetHeader(left);
        stream.allowed({ "writ-call-id": callId, ...budget, ...observed });
      },
      notification: (method, params) =>
        stream.notification(method, request.method === LISTEN_METHOD ? withSubscription(params, idText) : params),
      ...(era.kind === "session" && era.session?.clientCapabilities !== undefined
        ? {
            request: askOn(
              era.session,
              era.session.clientCapabilities,
              (text) => stream.request(text),
              exchange.cut.signal,
            ),
          }
        : {}),
      response: (member, json) =>
        stream.response(
          member,
          member === "result" && turn.all && request.method === "resources/read"
            ? contentsOn(turn.upstream, json)
            : json,
        ),
      kept: stream.kept,
      local(json) {
        const answer = local(json);
        if (answer === undefined) return fault(turn, "gateway_overloaded", idText);
        const headers = {
          ...answer.headers,
          ...(flight.callId === undefined ? {} : { "writ-call-id": flight.callId }),
          ...observed,
        };
        exchange.answer(
          200,
          { ...headers, "content-type": "application/json" },
          `{"jsonrpc":"2.0","id":${idText},"result":${answer.json}}`,
        );
      },
    };
    try {
      const end = await gate.handleCall(turn.authenticated, call, sink, flight.cut);
      finish(turn, request, era, call, stream, end);
    } finally {
      stream.end();
      inFlight.delete(request.idKey);
    }
  }

  function finish(
    turn: Turn,
    request: McpRequest,
    era: Era,
    call: AgentCall,
    stream: AnswerStream,
    end: CallEnd,
  ): void {
    const { exchange, resourceMetadataUrl } = turn;
    const { idText } = request;
    if (end.kind === "denied") {
      const stateless = era.kind === "stateless";
      const context = { callId: end.callId, idText, ...namesOf(turn, call), stateless, resourceMetadataUrl };
      exchange.problem(encodeDenial(end.denial, context));
    } else if (request.method === LISTEN_METHOD && stream.begun()) {
      // It lasted until somebody ended it; the end of the stream says so.
      exchange.response.end();
    } else if (end.kind === "broken" && !stream.answered()) {
      const error = encodeBroken(end.reason, end.callId);
      if (stream.begun()) {
        void stream.response("error", error); // the last thing on this stream: nobody waits for it
      } else {
        const text = `{"jsonrpc":"2.0","id":${idText},"error":${error}}`;
        exchange.answer(200, { ...JSON_TYPE, "writ-call-id": end.callId, "writ-reason": end.reason }, text);
      }
    }
  }

  /** Asks the client of a session on a stream of it, under an id that nobody else knows. */
  function askOn(
    session: McpSession,
    capabilities: string,
    say: (text: string) => "sent" | "unheard",
    signal: AbortSignal,
  ): (method: string, params: string) => Promise<ClientAnswer> {
    return (method, params) => {
      const capability = method.slice(0, method.indexOf("/"));
      if (!capabilities.includes(`"${capability}"`)) return Promise.resolve(NOT_OFFERED);
      if (session.asked.size >= limits.askedMax || signal.aborted) return Promise.resolve(NOT_OFFERED);
      const id = sessions.makeId();
      const key = keyOf(id) ?? "";
      return new Promise((resolve) => {
        const answer = (given: ClientAnswer): void => {
          session.asked.delete(key);
          signal.removeEventListener("abort", gone);
          resolve(given);
        };
        const gone = (): void => answer(NOT_OFFERED);
        signal.addEventListener("abort", gone, { once: true });
        session.asked.set(key, answer);
        const text = `{"jsonrpc":"2.0","id":"${id}","method":"${method}","params":${params}}`;
        if (say(text) === "unheard") answer(NOT_OFFERED);
      });
    };
  }

  function inFlightOf(exchange: Exchange): Map<string, InFlight> {
    const { socket } = exchange.request;
    const known = connections.get(socket);
    if (known !== undefined) return known;
    const made = new Map<string, InFlight>();
    connections.set(socket, made);
    return made;
  }
}

interface LocalAnswer {
  readonly json: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Accepts {
  readonly json: boolean;
  readonly stream: boolean;
}

/** Requests whose results of the stateless revision say for how long and whom they may be kept. */
const CACHEABLE: ReadonlySet<string> = new Set([
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "prompts/list",
]);

const JSON_TYPE: Readonly<Record<string, string>> = { "content-type": "application/json" };

/** Methods that the stateless revision does not have. */
const SESSION_METHODS: ReadonlySet<string> = new Set(["resources/subscribe", "resources/unsubscribe", SET_LEVEL]);

/** What a session's server must have said that it can do, for methods that no list answers for. */
function isOffered(session: McpSession | undefined, method: string): boolean {
  if (session === undefined || !SESSION_METHODS.has(method)) return true;
  if (method === SET_LEVEL) return offers(session.capabilities, "logging");
  return offers(session.capabilities, "resources", "subscribe");
}

interface Listening {
  readonly changes: Readonly<Record<string, true>>;
  readonly uris: readonly string[];
}

const CHANGES = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"] as const;
const ALL_CHANGES: Listening["changes"] = Object.fromEntries(CHANGES.map((change) => [change, true]));

/** What a `subscriptions/listen` asks for; undefined when it is of another shape. */
function readListening(params: JsonObject): Listening | undefined {
  const { notifications } = params;
  if (!isObject(notifications)) return undefined;
  const uris = notifications["resourceSubscriptions"] ?? [];
  if (!Array.isArray(uris)) return undefined;
  const read = uris.filter((uri) => isUri(uri));
  if (read.length !== uris.length) return undefined;
  const changes = CHANGES.filter((change) => notifications[change] === true);
  return { changes: Object.fromEntries(changes.map((change) => [change, true])), uris: [...new Set(read)] };
}

/** Whether this is a matter of time: what was refused now is answered later. */
function isRated(end: CallEnd): boolean {
  return end.kind === "denied" && end.denial.reason.startsWith("rate_");
}

/** The call that listens. Its message is Writ's own, whichever revision the agent speaks. */
function listenCall(
  upstream: string,
  mcpSession: string | undefined,
  changes: Listening["changes"],
  uris: readonly string[],
  clientCapabilities: string | undefined,
): AgentCall {
  const notifications = { ...changes, ...(uris.length === 0 ? {} : { resourceSubscriptions: uris }) };
  return {
    protocol: "mcp",
    action: "mcp.session",
    upstream,
    tool: "",
    arguments: NO_ARGUMENTS,
    argumentsText: "",
    message: { method: LISTEN_METHOD, params: JSON.stringify({ notifications }), progress: false, name: "" },
    child: undefined,
    mcpSession,
    ...(clientCapabilities === undefined ? {} : { clientCapabilities }),
  };
}

/** The stateless revision says on each notification which request listens for it. */
function withSubscription(params: string, idText: string): string {
  const meta = findMember(membersOf(params), "_meta");
  const text = meta === undefined ? "{}" : valueText(params, meta);
  return withMember(params, "_meta", withMember(text, SUBSCRIPTION_ID, idText));
}

/** The idempotency key of a request, which may be said in the header, in `_meta`, or the same in both. */
function keyFor(
  { exchange }: Turn,
  { params }: McpRequest,
): Exclude<KeyReading, { kind: "fault" }> | { readonly kind: "fault"; readonly reason: Reason } {
  const meta = params["_meta"];
  const inBody = readKey(isObject(meta) ? meta[IDEMPOTENCY_KEY] : undefined);
  if (inBody.kind === "fault") return { kind: "fault", reason: "fault_params" };
  const inHeader = readKeyHeader(exchange.request.headers["idempotency-key"]);
  if (inHeader.kind === "none") return inBody;
  if (inHeader.kind === "fault") return { kind: "fault", reason: "fault_header" };
  if (inBody.kind === "key" && inBody.key !== inHeader.key) return { kind: "fault", reason: "fault_header" };
  return inHeader;
}

/** Without a level in it, a request of the stateless revision wants no log messages. */
function logLevelOf({ params }: McpRequest): string {
  const meta = params["_meta"];
  const level = isObject(meta) ? meta[LOG_LEVEL] : undefined;
  return isLogLevel(level) ? level : "none";
}

/** How long a listening at all upstreams waits for those that do not answer. */
const ACKNOWLEDGED_WITHIN_MS = 10_000;

/** The path of the endpoint that a request is about. */
function pathOf({ params }: Exchange): string {
  const upstream = params["upstream"];
  return upstream === undefined ? "/mcp" : `/mcp/${upstream}`;
}

/** What an attempt is about in the agent's own words, for the denials that repeat them. */
function namesOf({ all, sent }: Turn, { tool, named }: AgentCall): Pick<DenialContext, "tool" | "named" | "all"> {
  if (sent === undefined) return { tool, named, all };
  const { name, uri, ref } = sent.params;
  if (named === undefined) return { tool: String(name), named, all };
  const own = isObject(ref) ? (ref["name"] ?? ref["uri"]) : (uri ?? name);
  return { tool, named: { kind: named.kind, name: String(own) }, all };
}

/** To an upstream: the agent does not have this method, or cannot be asked now. */
const NOT_OFFERED: ClientAnswer = { member: "error", json: '{"code":-32601,"message":"Method not found"}' };

function readClientCapabilities({ params }: McpRequest): JsonObject {
  const meta = params["_meta"];
  const capabilities = isObject(meta) ? meta[CLIENT_CAPABILITIES] : undefined;
  return isObject(capabilities) ? capabilities : NO_ARGUMENTS;
}

const NO_ARGUMENTS: JsonObject = Object.freeze(Object.create(null) as JsonObject);

/** Which revisions a request is of: by its header, and by the metadata that only the stateless one has. */
function eraOf(headers: IncomingHttpHeaders, params: JsonObject): "stateless" | "session" | "unknown" {
  const meta = params["_meta"];
  if (isObject(meta) && meta[PROTOCOL_VERSION] !== undefined) return "stateless";
  const version = headers["mcp-protocol-version"];
  if (version === STATELESS_REVISION) return "stateless";
  if (version === undefined || (typeof version === "string" && SESSION_REVISIONS.includes(version))) return "session";
  return "unknown";
}

/** What the stateless revision demands of headers and metadata; undefined when all of it holds. */
function checkStateless(headers: IncomingHttpHeaders, request: McpRequest): object | undefined {
  const meta: JsonValue | undefined = request.params["_meta"];
  const version = isObject(meta) ? meta[PROTOCOL_VERSION] : undefined;
  const mismatch = (name: string): object => ({
    code: HEADER_MISMATCH,
    message: `Header mismatch: ${name} is missing or does not match the body`,
  });
  if (headers["mcp-protocol-version"] === undefined) return mismatch("MCP-Protocol-Version");
  if (!isObject(meta) || typeof version !== "string" || !isObject(meta[CLIENT_CAPABILITIES])) {
    return { code: -32602, message: "Invalid params: _meta lacks a field that every request carries" };
  }
  if (headers["mcp-protocol-version"] !== version) return mismatch("MCP-Protocol-Version");
  if (version !== STATELESS_REVISION) {
    const data = { supported: [STATELESS_REVISION], requested: version };
    return { code: UNSUPPORTED_VERSION, message: "Unsupported protocol version", data };
  }
  if (headers["mcp-method"] !== request.method) return mismatch("Mcp-Method");
  const name = headers["mcp-name"];
  const source = request.method === "tools/call" || request.method === "prompts/get" ? "name" : "uri";
  const named = source === "name" || request.method === "resources/read";
  if (named) {
    if (typeof name !== "string" || decodeHeaderValue(name) !== request.params[source]) return mismatch("Mcp-Name");
  }
  return undefined;
}

/** Headers that may repeat arguments. */
function headersOf({ request }: Exchange): NonNullable<AgentCall["mirroredHeader"]> {
  return (name) => {
    const value = request.headers[name];
    if (value === undefined) return { kind: "absent" };
    // The parser takes bytes that no text of a header has.
    const isText = typeof value === "string" && /^[\t\x20-\x7e]*$/.test(value);
    const text = isText ? decodeHeaderValue(value) : undefined;
    return text === undefined ? { kind: "unreadable" } : { kind: "text", text };
  };
}

function isJson(contentType: string | undefined): boolean {
  if (contentType === "application/json") return true;
  return contentType !== undefined && /^application\/json\s*(?:;|$)/i.test(contentType);
}

/** What the specification has every client say. */
const USUAL_ACCEPT = "application/json, text/event-stream";
const USUAL_ACCEPTS: Accepts = { json: true, stream: true };

function acceptOf(accept: string | undefined): Accepts {
  return accept === USUAL_ACCEPT ? USUAL_ACCEPTS : readAccept(accept);
}

function readAccept(accept: string | undefined): Accepts {
  if (accept === undefined) return { json: true, stream: false };
  const types = accept.split(",").map((part) => part.split(";")[0]?.trim().toLowerCase());
  const any = types.includes("*/*");
  return {
    json: any || types.includes("application/json") || types.includes("application/*"),
    stream: types.includes("text/event-stream"),
  };
}
