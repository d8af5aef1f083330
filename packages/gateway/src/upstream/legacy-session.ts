/**
 * A session with an MCP server that has nothing newer than HTTP+SSE (revision 2024-11-05): one stream on which all
 * answers come, and an address, named on that stream, to which each message is posted. Calls share the stream, so every
 * answer is matched by an id that this side chose; what cannot be matched reaches nobody. The end of the stream is the
 * end of the session; a call is never repeated.
 */
import { findMember, membersOf, valueText } from "../json-members.ts";
import {
  type AnswerSink,
  type ClientAnswer,
  Failure,
  LISTEN_METHOD,
  type SendOutcome,
  type UpstreamMessage,
} from "../ports.ts";
import { createCallAnswer } from "./call-answer.ts";
import type { UpstreamConnection } from "./credentials.ts";
import { createEars } from "./ears.ts";
import { type Exchange, exchange } from "./http-exchange.ts";
import type { UpstreamLimits } from "./limits.ts";
import { answerLocally, createLogLevels } from "./log-levels.ts";
import {
  answerText,
  CLIENT_METHODS,
  cancelledText,
  METHOD_NOT_FOUND,
  readNotification,
  readOpening,
  readServerMessage,
  requestText,
  SESSION_REVISIONS,
  type ServerMessage,
} from "./messages.ts";
import type { SendOptions, SessionContext, UpstreamSession } from "./session.ts";
import { countStrayMessages } from "./stray-messages.ts";

const LEGACY_REVISION = "2024-11-05";
const ENDPOINT_LENGTH_MAX = 2048;

export interface LegacySessionOptions extends SessionContext {
  /** For what is posted. */
  readonly connection: UpstreamConnection;
  /** For streams, which stay open: they must not take the connections of calls. */
  readonly streams: UpstreamConnection;
  readonly url: URL;
  readonly limits: UpstreamLimits;
  readonly signal: AbortSignal;
}

const IGNORED: AnswerSink = { notification: () => undefined, response: () => undefined };

/** One request in flight: what to do with each message that belongs to it, and with the end of the stream. */
interface Flight {
  /** Whether the upstream can have read the request; whatever it says before that is none of its answers. */
  sent(): boolean;
  /** Asks the agent whose call it is; undefined where nobody can be asked. */
  readonly ask: AnswerSink["request"];
  message(part: ServerMessage, bytes: number): void;
  broken(detail: string): void;
}

/** Opens a session that is ready for calls. Failure `upstream_unavailable`. */
export async function openLegacySession(options: LegacySessionOptions): Promise<UpstreamSession> {
  const { limits, client, log, connection, url } = options;
  const flights = new Map<number, Flight>();
  const closing = new AbortController();
  let nextId = 1;
  let ended: string | undefined;
  let endpoint: string | undefined;
  let usable = true;
  const stray = countStrayMessages(limits.strayMessagesMax);
  let serverRequests = 0;
  let opening = "{}";
  const levels = createLogLevels();
  const ears = createEars({
    alone: options.alone,
    toolsChanged: options.toolsChanged,
    capabilities: () => readOpening(opening).capabilities,
    begin: () => undefined,
    end: () => undefined,
    async subscribe(method, uri) {
      if (ended !== undefined) return;
      const id = nextId++;
      const body = `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${JSON.stringify({ uri })}}`;
      const { signal } = closing;
      // What comes of it nobody waits for: whoever listens hears of updates, or does not.
      await fly(id, body, { sink: IGNORED, signal, deadlineMs: limits.probeTimeoutMs, progress: false });
    },
  });

  const named = new Promise<void>((resolve, reject) => {
    const signals = [closing.signal];
    const onAbort = (): void => closing.abort();
    options.signal.addEventListener("abort", onAbort, { once: true });
    const stream = exchange(
      options.streams,
      {
        method: "GET",
        path: `${url.pathname}${url.search}`,
        headers: [...headers(), "accept", "text/event-stream"],
        body: null,
      },
      {
        signals,
        deadlineMs: Number.POSITIVE_INFINITY,
        sendWithinMs: limits.openTimeoutMs,
        messageBytesMax: limits.messageBytesMax,
        // Of one call it is bounded where the call is; the stream lives as long as the session.
        answerBytesMax: Number.POSITIVE_INFINITY,
        lingerMs: limits.lingerMs,
        onMessage(text) {
          receive(text);
          return "more";
        },
        onEvent(event, data) {
          if (event !== "endpoint" || endpoint !== undefined) return;
          endpoint = readEndpoint(data, url);
          options.signal.removeEventListener("abort", onAbort);
          if (endpoint !== undefined) return resolve();
          end("the upstream names an address of another origin for its messages");
        },
      },
    );
    void stream.then((result) => {
      // Nothing to be undone: the session is over with its stream. `exchange` never rejects.
      end(describeEnd(result));
      options.signal.removeEventListener("abort", onAbort);
      reject(new Failure("upstream_unavailable", `the upstream opened no session over HTTP+SSE: ${ended}`));
    });
  });

  function headers(): string[] {
    return ["accept-encoding", "identity", "user-agent", `${client.name}/${client.version}`];
  }

  function end(detail: string): void {
    if (ended !== undefined) return;
    ended = detail;
    for (const flight of [...flights.values()]) flight.broken(detail);
    flights.clear();
    ears.close();
    closing.abort();
  }

  function receive(text: string): void {
    const part = readServerMessage(text);
    const flight = flightOf(part);
    if (flight?.sent() === true) {
      flight.message(part, text.length);
      return;
    }
    if (part.kind === "request" && serverRequests < limits.serverRequestsMax) {
      const ask = part.method === "ping" ? undefined : askedBy(part.method);
      // What it is answered nobody waits for; it never rejects.
      void answerServer(part, ask);
      if (ask !== undefined) return;
    }
    if (part.kind === "notification" && ears.hear(part) === "heard" && ears.listening() > 0) return;
    if (!stray.add()) end("the upstream sends messages that belong to no call");
  }

  function flightOf(part: ServerMessage): Flight | undefined {
    if (part.kind === "response" || part.kind === "unreadable") return flights.get(part.id);
    if (part.kind !== "notification") return undefined;
    const about = readNotification(part);
    if (about.kind === "log" && options.alone) return [...flights.values()].findLast((flight) => flight.sent());
    if (about.kind !== "progress" || !/^[1-9][0-9]{0,15}$/.test(about.token)) return undefined;
    return flights.get(Number(about.token));
  }

  /**
   * Who is asked: nothing on the stream says for which call the server asks. In a session that one agent has for itself
   * it is that agent, on the call that it made last; elsewhere one agent might be asked another's question.
   */
  function askedBy(method: string): AnswerSink["request"] {
    if (!options.alone || !CLIENT_METHODS.has(method)) return undefined;
    const flight = [...flights.values()].findLast((one) => one.sent() && one.ask !== undefined);
    return flight?.ask ?? ears.asked();
  }

  /** Never rejects: neither the agent's answer nor `post` does. */
  async function answerServer(
    { idText, method, params }: { readonly idText: string; readonly method: string; readonly params: string },
    ask: AnswerSink["request"],
  ): Promise<void> {
    serverRequests += 1;
    let answer: ClientAnswer = method === "ping" ? { member: "result", json: "{}" } : METHOD_NOT_FOUND;
    if (ask !== undefined) answer = await ask(method, params);
    await post(answerText(idText, answer), { signals: [closing.signal], deadlineMs: limits.probeTimeoutMs });
    serverRequests -= 1;
  }

  function post(
    body: string,
    how: { readonly signals: readonly AbortSignal[]; readonly deadlineMs: number; readonly onSent?: () => void },
  ): Promise<Exchange> {
    return exchange(
      connection,
      {
        method: "POST",
        path: endpoint ?? "/",
        headers: [...headers(), "accept", "application/json", "content-type", "application/json"],
        body,
      },
      { ...limits, ...how, onMessage: () => "more" },
    );
  }

  function send(message: UpstreamMessage, sink: AnswerSink, { signal, deadlineMs }: SendOptions): Promise<SendOutcome> {
    if (message.method === LISTEN_METHOD) return ears.listen(message, sink, { signal });
    const local = levels.answer(message, false);
    if (local !== undefined) return answerLocally(local, sink);
    const id = nextId++;
    return fly(id, requestText(id, message, { stateless: false, client }), {
      sink,
      signal,
      deadlineMs,
      progress: message.progress,
    });
  }

  /** One request and its answer. Never rejects. */
  function fly(
    id: number,
    body: string,
    call: {
      readonly sink: AnswerSink;
      readonly signal: AbortSignal;
      readonly deadlineMs: number;
      readonly progress: boolean;
    },
  ): Promise<SendOutcome> {
    return new Promise((resolve) => {
      const { sink, signal } = call;
      const over = new AbortController();
      let sent = false;
      const answer = createCallAnswer({
        sink,
        limits,
        read(part) {
          const about = readNotification(part);
          if (about.kind === "log") return options.alone ? part.params : undefined;
          return call.progress && about.kind === "progress" ? about.params : undefined;
        },
        lasts: false,
        mayAsk: false,
        onResponse: () => flights.delete(id),
        cut,
        onEnd(outcome) {
          clearTimeout(timer);
          signal.removeEventListener("abort", onAbort);
          flights.delete(id);
          // A post that still waits for a connection must not be sent any more.
          over.abort();
          resolve(outcome);
        },
      });

      function broken(detail: string): void {
        if (sent) answer.broken(detail);
        else answer.end({ kind: "aborted", detail });
      }
      function cut(detail: string): void {
        if (answer.isOver()) return;
        if (sent && ended === undefined) {
          // Best effort; `post` never rejects.
          void post(cancelledText(id, "cut by the gateway"), { signals: [], deadlineMs: limits.probeTimeoutMs });
        }
        broken(detail);
      }
      const onAbort = (): void => cut("the call was cut");

      const timer = setTimeout(() => cut("the upstream did not answer in time"), call.deadlineMs);
      if (signal.aborted || ended !== undefined) {
        return answer.end({ kind: "aborted", detail: ended ?? "the call was cut" });
      }
      signal.addEventListener("abort", onAbort, { once: true });
      flights.set(id, { broken, ask: sink.request, sent: () => sent, message: answer.message });
      const posted = post(body, {
        signals: [over.signal],
        deadlineMs: call.deadlineMs,
        onSent() {
          sent = true;
        },
      });
      void posted.then((result) => {
        // Accepted: the answer comes on the stream, or has come already.
        if (result.kind === "answered" && result.status < 300) return;
        if (result.kind !== "answered") return broken(result.detail);
        const detail = result.broken ?? `HTTP ${result.status}`;
        answer.fail(detail, { unavailable: result.status >= 500 });
        // How such servers say that a session is gone.
        if (result.status === 404 || result.status === 400) usable = false;
      });
    });
  }

  function refuse(detail: string): never {
    end(detail);
    throw new Failure("upstream_unavailable", `the upstream opened no session over HTTP+SSE: ${detail}`);
  }

  await named;
  const id = nextId++;
  const outcome = await fly(
    id,
    `{"jsonrpc":"2.0","id":${id},"method":"initialize","params":{"protocolVersion":"${LEGACY_REVISION}","capabilities":${options.clientCapabilities},"clientInfo":${JSON.stringify(client)}}}`,
    {
      sink: {
        notification: () => undefined,
        response(_member, json) {
          opening = json;
        },
      },
      signal: options.signal,
      deadlineMs: limits.openTimeoutMs,
      progress: false,
    },
  );
  if (outcome.kind !== "completed") refuse(outcome.detail);
  if (outcome.error) refuse("it refuses to");
  const version = findMember(membersOf(opening), "protocolVersion");
  const revision = version === undefined ? "" : String(JSON.parse(valueText(opening, version)));
  if (revision !== LEGACY_REVISION && !SESSION_REVISIONS.includes(revision)) {
    refuse("it speaks no revision of MCP that this gateway knows");
  }
  const ready = await post('{"jsonrpc":"2.0","method":"notifications/initialized"}', {
    signals: [options.signal],
    deadlineMs: limits.probeTimeoutMs,
  });
  if (ready.kind !== "answered" || ready.status >= 300) refuse("it did not take the end of the initialization");
  log("upstream.legacy_transport", { revision });

  return {
    revision,
    ...readOpening(opening),
    alive: () => usable && ended === undefined,
    send,
    close() {
      end("ended by the gateway");
      return Promise.resolve();
    },
  };
}

/** Path and query to post to; undefined when they are not of the stream's own origin. */
function readEndpoint(data: string, url: URL): string | undefined {
  if (data.length > ENDPOINT_LENGTH_MAX || !URL.canParse(data, url.href)) return undefined;
  const endpoint = new URL(data, url);
  if (endpoint.origin !== url.origin || endpoint.username !== "" || endpoint.password !== "") return undefined;
  return `${endpoint.pathname}${endpoint.search}`;
}

function describeEnd(result: Exchange): string {
  if (result.kind !== "answered") return result.detail;
  return result.broken ?? (result.status === 200 ? "the stream ended" : `HTTP ${result.status}`);
}
