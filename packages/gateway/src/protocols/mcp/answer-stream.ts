/**
 * The answer to one MCP request: a JSON body, or a stream of server-sent events once that is wanted or the answer
 * takes long. Nothing goes out before the call was allowed. Texts from upstream are framed, never re-serialised.
 */
import { findMember, membersOf, valueText, withMember } from "../../json-members.ts";
import { type Exchange, streamHeaders } from "../../server/data-listener.ts";
import type { KeepAlive } from "./keep-alive.ts";
import { reaches } from "./log-filter.ts";
import type { ResumableStream } from "./resumable-streams.ts";
import { writeEvent } from "./write-event.ts";

export interface AnswerStreamOptions {
  readonly exchange: Exchange;
  readonly idText: string;
  /** JSON text of the client's progress token; undefined when it wants no progress. */
  readonly progressToken: string | undefined;
  /** Whether the agent speaks the stateless revision, whose results say that they are complete. */
  readonly stateless: boolean;
  /** Whether the stateless revision has results of this request say for how long and whom they may be kept. */
  readonly cacheable?: boolean;
  /** The least level of log messages that is wanted; "none": none at all. Undefined: as the server pleases. */
  readonly logLevel?: string | undefined;
  /** Whether this is a stream from the start. */
  readonly streams?: boolean;
  readonly accepts: { readonly json: boolean; readonly stream: boolean };
  /** At each beat a comment goes out; a waiting JSON answer becomes a stream then. */
  readonly keepAlive: KeepAlive;
  /** Opens what outlives its connection, where the stream can be taken up again. Begins the answer with these headers. */
  readonly resumable?: (headers: Readonly<Record<string, string>>) => ResumableStream | undefined;
}

export interface AnswerStream {
  /** The call may be answered now; `headers` go out with the first byte. */
  allowed(headers: Readonly<Record<string, string>>): void;
  notification(method: string, params: string): void | Promise<void>;
  response(member: "result" | "error", json: string): void | Promise<void>;
  /** A request to the agent, as JSON text; "unheard" where the agent takes no stream. */
  request(text: string): "sent" | "unheard";
  /** Whether a byte of an answer has gone out. */
  begun(): boolean;
  /** Whether `response` was called. */
  answered(): boolean;
  /** Ends the beats. Idempotent. */
  end(): void;
  /** Resolves when nothing of the answer is kept for an agent that may come back; undefined where nothing is. */
  kept(): Promise<void> | undefined;
}

export function createAnswerStream(options: AnswerStreamOptions): AnswerStream {
  const { exchange, idText, accepts, keepAlive } = options;
  const { response } = exchange;
  let headers: Readonly<Record<string, string>> = {};
  let streaming = false;
  let answered = false;
  let outliving: ResumableStream | undefined;

  function begin(): void {
    if (streaming || response.headersSent || response.destroyed) return;
    streaming = true;
    const own = { ...headers, "content-type": "text/event-stream", "x-accel-buffering": "no" };
    outliving = options.resumable?.(own);
    if (outliving !== undefined) return;
    response.writeHead(200, streamHeaders(own));
    response.flushHeaders();
  }

  function beat(): void {
    begin();
    if (outliving !== undefined) outliving.beat();
    // A peer that does not read is cut by the listener's own limit.
    else if (streaming) void exchange.write(": waiting\n\n");
  }

  function say(json: string): void | Promise<void> {
    return outliving === undefined ? exchange.write(writeEvent(json)) : outliving.say(json);
  }

  function end(): void {
    keepAlive.remove(beat);
    // Whatever became of the call, nothing more is said.
    if (!answered) void outliving?.finish();
  }

  return {
    begun: () => response.headersSent,
    answered: () => answered,
    end,
    kept: () => outliving?.emptied,
    allowed(extra) {
      headers = extra;
      if (!accepts.stream) return;
      if (options.progressToken !== undefined || !accepts.json || options.streams === true) begin();
      keepAlive.add(beat);
    },
    notification(method, params) {
      if (!accepts.stream || answered) return;
      if (method === "notifications/progress" && options.progressToken === undefined) return;
      if (method === "notifications/message" && options.logLevel !== undefined) {
        if (options.logLevel === "none" || !reaches(options.logLevel, params)) return;
      }
      begin();
      const own =
        method === "notifications/progress" ? withMember(params, "progressToken", options.progressToken ?? "") : params;
      return say(`{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${own}}`);
    },
    request(text) {
      if (!accepts.stream || answered) return "unheard";
      begin();
      // Whoever reads slowly is cut by the listener's own limit.
      void say(text);
      return "sent";
    },
    response(member, json) {
      if (answered) return;
      answered = true;
      end();
      const told = options.stateless ? toStateless(member, json, options.cacheable === true) : json;
      const text = `{"jsonrpc":"2.0","id":${idText},"${member}":${told}}`;
      if (!streaming) {
        const status = options.stateless && member === "error" ? statusOf(json) : 200;
        exchange.answer(status, { ...headers, "content-type": "application/json" }, text);
        return;
      }
      const written = say(text);
      if (outliving !== undefined) return outliving.finish();
      if (written === undefined) {
        response.end();
        return;
      }
      return written.then(() => void response.end());
    },
  };
}

/**
 * An answer in the words of the stateless revision, whichever one its upstream speaks. What Writ lists depends on the
 * caller and on authority that may move at any time: it is for nobody else, and for no longer than now.
 */
function toStateless(member: "result" | "error", json: string, cacheable: boolean): string {
  if (member === "error") return withKnownCode(json);
  const told = complete(json);
  return cacheable ? withMember(withMember(told, "cacheScope", '"private"'), "ttlMs", "0") : told;
}

/** The stateless revision answers a lack of a capability of the client (-32021) with an HTTP status of its own. */
function statusOf(error: string): number {
  if (!error.includes("-32021")) return 200;
  const code = findMember(membersOf(error), "code");
  return code !== undefined && valueText(error, code) === "-32021" ? 400 : 200;
}

/** Older revisions have a code of its own for a resource that does not exist (-32002). */
function withKnownCode(error: string): string {
  if (!error.includes("-32002")) return error;
  const code = findMember(membersOf(error), "code");
  return code !== undefined && valueText(error, code) === "-32002" ? withMember(error, "code", "-32602") : error;
}

/** An upstream of an older revision does not say that its result is complete; the stateless revision demands it. */
function complete(result: string): string {
  // A name can be spelt with escapes; without any it stands in the text as it is.
  const mayHave = result.includes("resultType") || result.includes("\\");
  if (mayHave && findMember(membersOf(result), "resultType") !== undefined) return result;
  // A result is an object, and begins with its brace.
  const rest = result.slice(1);
  return `{"resultType":"complete"${/^\s*\}/.test(rest) ? "" : ","}${rest}`;
}
