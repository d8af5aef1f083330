/**
 * A session with one MCP server over Streamable HTTP, on the newest revision that both know: stateless 2026-07-28,
 * or `initialize` and a session id before that; a server with neither gets legacy-session.ts. It sends each call once: a lost session makes it unusable and the
 * caller opens another for later calls; the call that found out is not repeated.
 */
import { findMember, membersOf, valueText } from "../json-members.ts";
import { type MirroredArgument, mirrorArguments } from "../mirrored-arguments.ts";
import { type AnswerSink, Failure, LISTEN_METHOD, type SendOutcome, type UpstreamMessage } from "../ports.ts";
import type { UpstreamConnection } from "./credentials.ts";
import { createEars } from "./ears.ts";
import { type Exchange, type ExchangeOptions, type ExchangeRequest, exchange } from "./http-exchange.ts";
import { openLegacySession } from "./legacy-session.ts";
import type { UpstreamLimits } from "./limits.ts";
import { answerLocally, createLogLevels } from "./log-levels.ts";
import {
  answerText,
  CLIENT_METHODS,
  cancelledText,
  headerValue,
  isComplete,
  METHOD_NOT_FOUND,
  ownParams,
  readNotification,
  readOpening,
  readServerMessage,
  requestText,
  SESSION_REVISION,
  SESSION_REVISIONS,
  STATELESS_REVISION,
} from "./messages.ts";
import type { SendOptions, SessionContext, UpstreamSession } from "./session.ts";

export interface HttpSessionOptions extends SessionContext {
  readonly connection: UpstreamConnection;
  /** For streams that stay open as long as their session. */
  readonly streams: UpstreamConnection;
  readonly url: URL;
  readonly limits: UpstreamLimits;
  /** What an earlier session found out about the server; undefined asks it. */
  readonly era: "stateless" | "session" | undefined;
  /** Of a tool, as its upstream last listed it. */
  readonly mirrored: (tool: string) => readonly MirroredArgument[];
  readonly signal: AbortSignal;
}

interface Answer {
  readonly exchange: Exchange;
  readonly member: "result" | "error" | undefined;
  readonly json: string;
}

/** Opens a session that is ready for calls. Failure `upstream_unavailable`. */
export async function openHttpSession(options: HttpSessionOptions): Promise<UpstreamSession> {
  const { limits, client } = options;
  if (options.era !== "session") {
    const discover = (id: number): Promise<Answer> =>
      ask(options, "server/discover", ownParams(client), id, statelessHeaders("server/discover", ""));
    let probe = await discover(1);
    // It refuses a version and names ours among those that it has: such a server is asked again, and no older way.
    if (isVersionRefused(probe)) probe = await discover(2);
    const versions = probe.member === "result" ? strings(probe.json, "supportedVersions") : [];
    if (versions.includes(STATELESS_REVISION)) return makeSession(options, STATELESS_REVISION, undefined, probe.json);
    if (probe.exchange.kind !== "answered") throw unavailable(probe);
    if (options.era === "stateless")
      throw new Failure("upstream_unavailable", "the upstream no longer speaks its revision");
  }
  const opening = await ask(
    options,
    "initialize",
    `{"protocolVersion":"${SESSION_REVISION}","capabilities":${options.clientCapabilities},"clientInfo":${JSON.stringify(client)}}`,
    1,
    [],
  );
  if (isOlder(opening)) return openLegacySession(options);
  if (opening.member !== "result" || opening.exchange.kind !== "answered") throw unavailable(opening);
  const revision = string(opening.json, "protocolVersion");
  if (revision === undefined || !SESSION_REVISIONS.includes(revision)) {
    throw new Failure("upstream_unavailable", "the upstream speaks no revision of MCP that this gateway knows");
  }
  const sessionId = opening.exchange.sessionId;
  const ready = await post(
    options,
    '{"jsonrpc":"2.0","method":"notifications/initialized"}',
    sessionHeaders(revision, sessionId),
  );
  if (ready.kind !== "answered" || ready.status >= 300) {
    throw new Failure("upstream_unavailable", "the upstream did not take the end of the initialization");
  }
  return makeSession(options, revision, sessionId, opening.json);

  function unavailable(answer: Answer): Failure {
    const end = answer.exchange;
    const detail = end.kind === "answered" ? (end.broken ?? `HTTP ${end.status}`) : end.detail;
    return new Failure(
      "upstream_unavailable",
      `the upstream opened no session within ${limits.openTimeoutMs} ms: ${detail}`,
    );
  }
}

/** How a server that has only HTTP+SSE answers a POST to the address of its stream (MCP 2025-11-25, Transports). */
function isOlder({ exchange: end, member }: Answer): boolean {
  return member === undefined && end.kind === "answered" && [400, 404, 405].includes(end.status);
}

/** MCP 2026-07-28, Streamable HTTP, "Backward Compatibility". */
function isVersionRefused({ member, json }: Answer): boolean {
  if (member !== "error") return false;
  const members = membersOf(json);
  const code = findMember(members, "code");
  const data = findMember(members, "data");
  const dataText = data === undefined ? "" : valueText(json, data);
  if (code === undefined || valueText(json, code) !== UNSUPPORTED_VERSION || !dataText.startsWith("{")) return false;
  return strings(dataText, "supported").includes(STATELESS_REVISION);
}

/** Names and values in turn, as everything that becomes headers here. */
function statelessHeaders(method: string, name: string): readonly string[] {
  const headers = ["mcp-protocol-version", STATELESS_REVISION, "mcp-method", method];
  if (name !== "") headers.push("mcp-name", headerValue(name));
  return headers;
}

function sessionHeaders(revision: string, sessionId: string | undefined): readonly string[] {
  const headers = ["mcp-protocol-version", revision];
  if (sessionId !== undefined) headers.push("mcp-session-id", sessionId);
  return headers;
}

/** Whether an answer ended early enough and well enough to be asked for the rest of it. */
function isResumable(end: Exchange): end is Exchange & { kind: "answered" } {
  return end.kind === "answered" && end.status === 200 && end.lastEventId !== undefined;
}

/** Resolves after a while, or when one of the signals says so. */
function pause(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  if (signals.some((signal) => signal.aborted)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    for (const signal of signals) signal.addEventListener("abort", done, { once: true });
  });
}

/** The code of an error, as JSON text. */
const UNSUPPORTED_VERSION = "-32022";
/** How often one answer is fetched from where it stopped. */
const RESUMED_MAX = 32;
/** Before a stream is opened again, where its server does not say. */
const RECONNECT_MS = 1_000;
/** The longest time that a timer can measure. */
const STREAM_MS = 2_147_483_647;

type Wire = Pick<HttpSessionOptions, "connection" | "url" | "limits" | "client"> & { readonly method?: "GET" };

function request(wire: Wire, body: string | null, headers: readonly string[]): ExchangeRequest {
  return {
    method: wire.method ?? (body === null ? "DELETE" : "POST"),
    path: pathOf(wire.url),
    headers: commonHeaders(wire, body !== null).concat(headers),
    body,
  };
}

function pathOf(url: URL): string {
  return `${url.pathname}${url.search}`;
}

function commonHeaders({ client }: Pick<Wire, "client">, hasBody: boolean): string[] {
  const headers = hasBody ? ["content-type", "application/json"] : [];
  headers.push("accept", "application/json, text/event-stream", "accept-encoding", "identity");
  headers.push("user-agent", `${client.name}/${client.version}`);
  return headers;
}

/** A message of ours that has no answer: notifications, answers to a server's requests, the end of a session. */
function post(
  wire: Wire,
  body: string | null,
  headers: readonly string[],
  signals: readonly AbortSignal[] = [],
): Promise<Exchange> {
  return exchange(wire.connection, request(wire, body, headers), {
    ...wire.limits,
    signals,
    deadlineMs: wire.limits.probeTimeoutMs,
    sendWithinMs: wire.limits.probeTimeoutMs,
    onMessage: () => "more",
  });
}

/** A request of the gateway's own, before any agent's call. */
async function ask(
  options: HttpSessionOptions,
  method: string,
  params: string,
  id: number,
  headers: readonly string[],
): Promise<Answer> {
  let member: "result" | "error" | undefined;
  let json = "";
  const end = await exchange(
    options.connection,
    request(options, `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`, headers),
    {
      ...options.limits,
      signals: [options.signal],
      deadlineMs: options.limits.openTimeoutMs,
      sendWithinMs: options.limits.openTimeoutMs,
      onMessage(text) {
        const message = readServerMessage(text);
        if (message.kind === "unreadable" && message.id === id) return "last";
        if (message.kind !== "response" || message.id !== id) return "more";
        member = message.member;
        json = message.json;
        return "last";
      },
    },
  );
  return { exchange: end, member, json };
}

function makeSession(
  options: HttpSessionOptions,
  revision: string,
  sessionId: string | undefined,
  opening: string,
): UpstreamSession {
  const { connection, limits, client, log } = options;
  const stateless = revision === STATELESS_REVISION;
  let nextId = 2;
  let usable = true;
  let serverRequests = 0;
  const levels = createLogLevels();
  let closing: Promise<void> | undefined;
  const ended = new AbortController();

  const path = pathOf(options.url);
  /** What a call of this session carries, whatever it is about. */
  const headers = commonHeaders(options, true).concat(stateless ? [] : sessionHeaders(revision, sessionId));

  function headersFor(message: UpstreamMessage): string[] {
    if (!stateless) return headers;
    const mirrored = message.method === "tools/call" ? options.mirrored(message.name) : [];
    return headers.concat(
      statelessHeaders(message.method, message.name),
      Object.entries(mirrorArguments(mirrored, message.params)).flat(),
    );
  }

  /** Servers of the session revisions may ask; only a ping has an answer that needs no agent. */
  function answerServer(
    { idText, method, params }: { readonly idText: string; readonly method: string; readonly params: string },
    ask: AnswerSink["request"],
  ): void {
    if (stateless || serverRequests >= limits.serverRequestsMax) return;
    serverRequests += 1;
    // Nobody waits for it: neither the agent's answer nor `post` rejects.
    void (async () => {
      let answer = METHOD_NOT_FOUND;
      if (method === "ping") answer = { member: "result", json: "{}" };
      else if (ask !== undefined && CLIENT_METHODS.has(method)) answer = await ask(method, params);
      await post(options, answerText(idText, answer), sessionHeaders(revision, sessionId), [ended.signal]);
      serverRequests -= 1;
    })();
  }

  const { capabilities } = readOpening(opening);
  const ears = createEars({
    alone: options.alone,
    toolsChanged: options.toolsChanged,
    capabilities: () => capabilities,
    begin: openStream,
    end: () => stream?.abort(),
    async subscribe(method, uri) {
      if (ended.signal.aborted || !usable) return;
      const text = `{"jsonrpc":"2.0","id":${nextId++},"method":"${method}","params":${JSON.stringify({ uri })}}`;
      // What comes of it nobody waits for: whoever listens hears of updates, or does not. `post` never rejects.
      await post(options, text, sessionHeaders(revision, sessionId), [ended.signal]);
    },
  });
  let stream: AbortController | undefined;

  /** Keeps the session's own stream open for as long as anybody listens; a server that offers none is left alone. */
  function openStream(): void {
    const own = new AbortController();
    stream = own;
    // `exchange` never rejects, nor does a pause.
    void (async () => {
      let lastEventId: string | undefined;
      while (!own.signal.aborted && !ended.signal.aborted && usable) {
        const end = await exchange(connection, request({ ...options, method: "GET" }, null, resumedFrom(lastEventId)), {
          ...limits,
          signals: [own.signal, ended.signal],
          deadlineMs: STREAM_MS,
          answerBytesMax: Number.MAX_SAFE_INTEGER,
          onMessage(text) {
            const part = readServerMessage(text);
            if (part.kind === "notification") ears.hear(part);
            else if (part.kind === "request") answerServer(part, ears.asked());
            return "more";
          },
        });
        if (end.kind !== "answered" || end.status !== 200) return;
        lastEventId = end.lastEventId ?? lastEventId;
        await pause(end.retryMs ?? RECONNECT_MS, [own.signal, ended.signal]);
      }
    })();
  }

  function resumedFrom(lastEventId: string | undefined): readonly string[] {
    const own = sessionHeaders(revision, sessionId);
    return lastEventId === undefined ? own : own.concat("last-event-id", lastEventId);
  }

  async function send(message: UpstreamMessage, sink: AnswerSink, sendOptions: SendOptions): Promise<SendOutcome> {
    const listens = message.method === LISTEN_METHOD;
    if (listens && !stateless) return ears.listen(message, sink, sendOptions);
    const local = levels.answer(message, stateless);
    if (local !== undefined) return answerLocally(local, sink);
    const id = nextId++;
    let notifications = 0;
    let answered: "result" | "error" | undefined;
    let fault: string | undefined;
    let sent = false;

    const signals = [sendOptions.signal, ended.signal];
    const exchangeOptions: ExchangeOptions = {
      ...limits,
      ...(listens ? { answerBytesMax: Number.MAX_SAFE_INTEGER } : {}),
      signals,
      deadlineMs: sendOptions.deadlineMs,
      onSent() {
        sent = true;
      },
      onMessage(text) {
        const part = readServerMessage(text);
        switch (part.kind) {
          case "unreadable":
            fault = part.detail;
            return "last";
          case "request":
            answerServer(part, sink.request);
            return "more";
          case "notification": {
            const about = readNotification(part);
            if (about.kind === "other") ears.hear(part);
            const own =
              about.kind === "log" ||
              (about.kind === "progress" && message.progress && about.token === String(id)) ||
              (about.kind === "subscription" && listens && about.token === String(id));
            if (!own) return "more";
            notifications += 1;
            if (notifications > limits.notificationsMax && !listens) return "more";
            const passed = sink.notification(part.method, about.kind === "log" ? part.params : about.params);
            return passed === undefined ? "more" : passed.then(() => "more" as const);
          }
          case "response": {
            if (part.id !== id) return "more";
            fault = refusal(part.member, part.json, message.input === true);
            if (fault !== undefined) return "last";
            answered = part.member;
            const passed = sink.response(part.member, part.json);
            return passed === undefined ? "last" : passed.then(() => "last" as const);
          }
        }
      },
    };
    const startedMs = performance.now();
    let end = await exchange(
      connection,
      { method: "POST", path, headers: headersFor(message), body: requestText(id, message, { stateless, client }) },
      exchangeOptions,
    );
    // A server may end the stream before its answer and have it fetched from where it stopped. That repeats nothing.
    for (let round = 0; round < RESUMED_MAX && isResumable(end); round += 1) {
      if (stateless || answered !== undefined || fault !== undefined || end.lastEventId === undefined) break;
      const { lastEventId, bytes } = end;
      await pause(end.retryMs ?? RECONNECT_MS, signals);
      const leftMs = sendOptions.deadlineMs - (performance.now() - startedMs);
      if (leftMs <= 0 || signals.some((signal) => signal.aborted)) break;
      const resumed = await exchange(
        connection,
        request({ ...options, method: "GET" }, null, resumedFrom(lastEventId)),
        { ...exchangeOptions, deadlineMs: leftMs },
      );
      if (resumed.kind !== "answered" || resumed.status !== 200) break;
      end = { ...resumed, bytes: resumed.bytes + bytes, lastEventId: resumed.lastEventId ?? lastEventId };
    }

    // 404 is how MCP says that a session is gone; servers in the field also say 400, some with an error for our id.
    if (end.kind === "answered" && (end.status === 404 || end.status === 400) && !stateless) {
      usable = false;
      log("upstream.session_lost", { revision });
    }
    if (sent && !stateless && sendOptions.signal.aborted && answered === undefined) {
      // Best effort; `post` never rejects.
      void post(options, cancelledText(id, "cut by the gateway"), sessionHeaders(revision, sessionId));
    }
    if (answered !== undefined) {
      return {
        kind: "completed",
        bytes: end.kind === "answered" ? end.bytes : 0,
        notifications,
        error: answered === "error",
      };
    }
    if (end.kind === "not_sent") return { kind: "aborted", detail: end.detail };
    if (end.kind === "no_answer") return { kind: "unknown", detail: end.detail };
    const detail =
      fault ?? end.broken ?? (end.status === 200 ? "the stream ended without a response" : `HTTP ${end.status}`);
    return { kind: "failed", detail, bytes: end.bytes, notifications, unavailable: end.status >= 500 };
  }

  /** Answers that are about Writ and the upstream, not about the agent's call. */
  function refusal(member: "result" | "error", json: string, input: boolean): string | undefined {
    if (member === "result") {
      return input || isComplete(json) ? undefined : "the upstream asked for input, which is not passed on";
    }
    // Only the stateless revision keeps these codes for itself; in the older ones they are the server's own to give.
    if (!stateless) return undefined;
    const code = findMember(membersOf(json), "code");
    const value = code === undefined ? 0 : Number(valueText(json, code));
    // -32021 says that the agent lacks a capability, which the agent was asked for and not Writ.
    if (value > -32020 || value < -32099 || value === -32021) return undefined;
    usable = false;
    return `the upstream refused the protocol (${value})`;
  }

  return {
    revision,
    ...readOpening(opening),
    alive: () => usable && closing === undefined,
    send,
    close() {
      closing ??= (async () => {
        ended.abort();
        ears.close();
        if (sessionId !== undefined && usable) await post(options, null, sessionHeaders(revision, sessionId));
      })();
      return closing;
    },
  };
}

function string(json: string, name: string): string | undefined {
  const member = findMember(membersOf(json), name);
  const value: unknown = member === undefined ? undefined : JSON.parse(valueText(json, member));
  return typeof value === "string" ? value : undefined;
}

function strings(json: string, name: string): readonly string[] {
  const member = findMember(membersOf(json), name);
  const value: unknown = member === undefined ? undefined : JSON.parse(valueText(json, member));
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
