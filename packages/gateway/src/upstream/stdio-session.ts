/**
 * A session with one MCP server that is a child process. Calls share the one pair of pipes, so every answer is
 * matched by an id that this side chose; what cannot be matched reaches nobody. Starting anew after an end is the
 * caller's business; a call is never repeated.
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
import { createEars } from "./ears.ts";
import type { UpstreamLimits } from "./limits.ts";
import { answerLocally, createLogLevels } from "./log-levels.ts";
import type { MaskSecrets } from "./mask-secrets.ts";
import {
  answerText,
  CLIENT_METHODS,
  cancelledText,
  METHOD_NOT_FOUND,
  ownParams,
  readNotification,
  readOpening,
  readServerMessage,
  requestText,
  SESSION_REVISION,
  SESSION_REVISIONS,
  type ServerMessage,
  STATELESS_REVISION,
} from "./messages.ts";
import type { SendOptions, SessionContext, UpstreamSession } from "./session.ts";
import { type Child, type Line, startChild } from "./stdio-child.ts";
import { countStrayMessages } from "./stray-messages.ts";

export interface StdioSessionOptions extends SessionContext {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  /** Of each text that the child sends, before anybody reads it. */
  readonly mask: MaskSecrets;
  readonly limits: UpstreamLimits;
  readonly era: "stateless" | "session" | undefined;
  readonly signal: AbortSignal;
  /** Once, when the session can be used no longer. */
  readonly onEnd: (detail: string, wanted: boolean) => void;
}

const STUCK = "the child does not read its stdin";

/** One request in flight: what to do with each message that belongs to it, and with the end of everything. */
interface Flight {
  /** Whether the child can have read the request; whatever it says before that is none of its answers. */
  sent(): boolean;
  /** Asks the agent whose call it is; undefined where nobody can be asked. */
  readonly ask: AnswerSink["request"];
  message(part: ServerMessage, bytes: number): void;
  broken(detail: string): void;
}

/** Starts the child and opens a session that is ready for calls. Failure `upstream_unavailable`. */
export async function openStdioSession(options: StdioSessionOptions): Promise<UpstreamSession> {
  const { limits, client, log } = options;
  const flights = new Map<number, Flight>();
  let revision: string = STATELESS_REVISION;
  let opening = "{}";
  let nextId = 1;
  let ended: string | undefined;
  const stray = countStrayMessages(limits.strayMessagesMax);
  let serverRequests = 0;
  const levels = createLogLevels();
  let closing: Promise<void> | undefined;
  /** What the child is asked before its session is ready. */
  let waitsFor = "";

  const ears = createEars({
    alone: options.alone,
    toolsChanged: options.toolsChanged,
    capabilities: () => readOpening(opening).capabilities,
    begin: () => undefined,
    end: () => undefined,
    async subscribe(method, uri) {
      // What comes of it nobody waits for: whoever listens hears of updates, or does not.
      if (ended === undefined) await ask(method, JSON.stringify({ uri }), limits.probeTimeoutMs);
    },
  });
  const child: Child = startChild({
    command: options.command,
    args: options.args,
    env: options.env,
    cwd: options.cwd,
    limits,
    log,
    mask: options.mask,
    onLine,
    onEnd(detail, wanted) {
      ended = detail;
      for (const flight of [...flights.values()]) flight.broken(detail);
      ears.close();
      flights.clear();
      options.onEnd(detail, wanted);
    },
  });

  function onLine(line: string): void {
    const part = readServerMessage(line);
    const flight = flightOf(part);
    if (flight?.sent() === true) {
      flight.message(part, line.length);
      return;
    }
    if (part.kind === "request" && serverRequests < limits.serverRequestsMax) {
      const ask = part.method === "ping" ? undefined : askedBy(part.method);
      void answerChild(part.idText, ask === undefined ? undefined : ask(part.method, part.params), part.method);
      if (ask !== undefined) return;
    }
    if (part.kind === "notification" && ears.hear(part) === "heard" && ears.listening() > 0) return;
    if (!stray.add()) child.kill("the child sends messages that belong to no call");
  }

  /**
   * Who is asked: nothing on the pipe says for which call the child asks. In a session that one agent has for itself it
   * is that agent, on the call that it made last; elsewhere one agent might be asked another's question.
   */
  function askedBy(method: string): AnswerSink["request"] {
    if (!options.alone || !CLIENT_METHODS.has(method)) return undefined;
    const flight = [...flights.values()].findLast((one) => one.sent() && one.ask !== undefined);
    return flight?.ask ?? ears.asked();
  }

  /** Never rejects. A child may ask again as soon as it has read the answer; what piles up is bounded by its own pipe. */
  async function answerChild(idText: string, asked: Promise<ClientAnswer> | undefined, method: string): Promise<void> {
    serverRequests += 1;
    const ours: ClientAnswer = method === "ping" ? { member: "result", json: "{}" } : METHOD_NOT_FOUND;
    const answer = (await asked) ?? ours;
    const text = answerText(idText, answer).replaceAll(/[\r\n]/g, " ");
    if (ended === undefined && child.heldBytes() + text.length < limits.stdinHeldBytesMax) child.write(text);
    setImmediate(() => {
      serverRequests -= 1;
    });
  }

  function flightOf(part: ServerMessage): Flight | undefined {
    if (part.kind === "response" || part.kind === "unreadable") return flights.get(part.id);
    if (part.kind !== "notification") return undefined;
    const about = readNotification(part);
    if (about.kind === "log" && options.alone) return [...flights.values()].findLast((flight) => flight.sent());
    if (about.kind !== "progress" && about.kind !== "subscription") return undefined;
    if (!/^[1-9][0-9]{0,15}$/.test(about.token)) return undefined;
    return flights.get(Number(about.token));
  }

  async function ask(method: string, params: string, timeoutMs: number): Promise<{ member: string; json: string }> {
    const id = nextId++;
    waitsFor = method;
    return new Promise((resolve) => {
      const done = (member: string, json: string): void => {
        clearTimeout(timer);
        options.signal.removeEventListener("abort", onAbort);
        flights.delete(id);
        resolve({ member, json });
      };
      const onAbort = (): void => {
        const isLate = options.signal.reason instanceof Error && options.signal.reason.name === "TimeoutError";
        done(
          "cut",
          isLate ? `no answer to ${method} within ${limits.openTimeoutMs} ms of its start` : "the start was cut",
        );
      };
      const timer = setTimeout(() => done("silent", `no answer to ${method} in ${timeoutMs} ms`), timeoutMs);
      options.signal.addEventListener("abort", onAbort, { once: true });
      flights.set(id, {
        sent: () => true,
        ask: undefined,
        message(part) {
          if (part.kind === "response") done(part.member, part.json);
          if (part.kind === "unreadable") done("unreadable", part.detail);
        },
        broken: (detail) => done("broken", detail),
      });
      if (ended !== undefined) done("broken", ended);
      else child.write(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`);
    });
  }

  async function refuse(detail: string): Promise<never> {
    clearTimeout(slow);
    const hadEnded = ended !== undefined;
    await child.end();
    // Its stdout may be seen to end before it is.
    const code = hadEnded ? child.exitCode() : undefined;
    const why = code === undefined ? detail : `the child exited with code ${code}`;
    const where =
      child.pid === 0 ? "" : `; what it wrote to stderr is in the gateway's log (upstream.stderr, pid ${child.pid})`;
    throw new Failure("upstream_unavailable", `the upstream opened no session: ${why}${where}`);
  }

  const slow = setTimeout(() => {
    if (ended === undefined)
      log("upstream.child_slow", { pid: child.pid, waitsFor, openTimeoutMs: limits.openTimeoutMs });
  }, limits.slowStartMs);
  let known = false;
  if (options.era !== "session") {
    // A server of an older revision may leave this unanswered: silence then counts as "older".
    const probe = await ask(
      "server/discover",
      ownParams(client),
      options.era === "stateless" ? limits.openTimeoutMs : limits.probeTimeoutMs,
    );
    if (probe.member === "broken" || probe.member === "cut") await refuse(probe.json);
    if (probe.member === "result") {
      const versions = findMember(membersOf(probe.json), "supportedVersions");
      const list: unknown = versions === undefined ? [] : JSON.parse(valueText(probe.json, versions));
      known = Array.isArray(list) && list.includes(STATELESS_REVISION);
      opening = probe.json;
    }
  }
  if (!known) {
    const answer = await ask(
      "initialize",
      `{"protocolVersion":"${SESSION_REVISION}","capabilities":${options.clientCapabilities},"clientInfo":${JSON.stringify(client)}}`,
      limits.openTimeoutMs,
    );
    // Its own words are not passed on: what this ends in may be put on record.
    if (answer.member !== "result") await refuse(answer.member === "error" ? "it refuses to" : answer.json);
    const version = findMember(membersOf(answer.json), "protocolVersion");
    revision = version === undefined ? "" : String(JSON.parse(valueText(answer.json, version)));
    if (!SESSION_REVISIONS.includes(revision)) await refuse("it speaks no revision of MCP that this gateway knows");
    opening = answer.json;
    child.write('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  }
  clearTimeout(slow);
  const stateless = revision === STATELESS_REVISION;

  function send(message: UpstreamMessage, sink: AnswerSink, sendOptions: SendOptions): Promise<SendOutcome> {
    const listens = message.method === LISTEN_METHOD;
    if (listens && !stateless) return ears.listen(message, sink, sendOptions);
    const local = levels.answer(message, stateless);
    if (local !== undefined) return answerLocally(local, sink);
    return new Promise((resolve) => {
      const id = nextId++;
      let line: Line | undefined;
      let lateTimer: NodeJS.Timeout | undefined;
      const answer = createCallAnswer({
        sink,
        limits,
        read(part) {
          const about = readNotification(part);
          if (about.kind === "log") return options.alone ? part.params : undefined;
          if (about.kind === "progress") return message.progress ? about.params : undefined;
          return about.kind === "subscription" ? about.params : undefined;
        },
        lasts: listens,
        mayAsk: message.input === true,
        onResponse: () => flights.delete(id),
        cut,
        onEnd(outcome) {
          clearTimeout(timer);
          clearTimeout(lateTimer);
          sendOptions.signal.removeEventListener("abort", onAbort);
          flights.delete(id);
          resolve(outcome);
        },
      });

      function broken(detail: string): void {
        if (line?.place() === "queued") answer.end({ kind: "aborted", detail });
        else answer.broken(detail);
      }
      function cut(detail: string): void {
        if (answer.isOver()) return;
        line?.takeBack();
        const place = line?.place();
        if (place === "left" && child.heldBytes() < limits.stdinHeldBytesMax) {
          child.write(cancelledText(id, "cut by the gateway"));
        }
        broken(detail);
        // The rest of the line would arrive whenever the child reads again: the child must not get to it.
        if (place === "leaving") child.kill(STUCK);
      }
      const onAbort = (): void => cut("the call was cut");

      const timer = setTimeout(() => cut("the upstream did not answer in time"), sendOptions.deadlineMs);
      if (sendOptions.signal.aborted || ended !== undefined || closing !== undefined) {
        return answer.end({ kind: "aborted", detail: ended ?? "the call was cut" });
      }
      // A message is one line: line ends between JSON tokens become spaces, inside strings there are none.
      const text = requestText(id, message, { stateless, client }).replaceAll(/[\r\n]/g, " ");
      if (child.heldBytes() + Buffer.byteLength(text) > limits.stdinHeldBytesMax) {
        return answer.end({ kind: "aborted", detail: STUCK });
      }
      sendOptions.signal.addEventListener("abort", onAbort, { once: true });
      flights.set(id, {
        broken,
        ask: sink.request,
        sent: () => line?.place() === "left",
        message: answer.message,
      });
      line = child.write(text, limits.sendWithinMs);
      if (line === undefined) return answer.end({ kind: "aborted", detail: "the child is ending" });
      if (line.place() === "left") return;
      lateTimer = setTimeout(() => {
        if (line?.place() !== "left") cut(STUCK);
      }, limits.sendWithinMs);
    });
  }

  return {
    revision,
    ...readOpening(opening),
    alive: () => ended === undefined && closing === undefined,
    send,
    close() {
      closing ??= child.end();
      return closing;
    },
  };
}
