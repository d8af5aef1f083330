/**
 * The answer to one MCP request: a JSON body, or a stream of server-sent events once that is wanted or the answer
 * takes long. Nothing goes out before the call was allowed. Texts from upstream are framed, never re-serialised.
 */
import { findMember, membersOf, valueText, withMember } from "../../json-members.ts";
import { type Exchange, streamHeaders } from "../../server/data-listener.ts";
import type { KeepAlive } from "./keep-alive.ts";
import { reaches } from "./log-filter.ts";

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
}

export function createAnswerStream(options: AnswerStreamOptions): AnswerStream {
  const { exchange, idText, accepts, keepAlive } = options;
  const { response } = exchange;
  let headers: Readonly<Record<string, string>> = {};
  let streaming = false;
  let answered = false;

  function begin(): void {
    if (streaming || response.headersSent || response.destroyed) return;
    streaming = true;
    response.writeHead(
      200,
      streamHeaders({ ...headers, "content-type": "text/event-stream", "x-accel-buffering": "no" }),
    );
    response.flushHeaders();
  }

  function beat(): void {
    begin();
    // A peer that does not read is cut by the listener's own limit.
    if (streaming) void exchange.write(": waiting\n\n");
  }

  function end(): void {
    keepAlive.remove(beat);
  }

  return {
    begun: () => response.headersSent,
    answered: () => answered,
    end,
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
      return exchange.write(event(`{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${own}}`));
    },
    request(text) {
      if (!accepts.stream || answered) return "unheard";
      begin();
      // Whoever reads slowly is cut by the listener's own limit.
      void exchange.write(event(text));
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
      const written = exchange.write(event(text));
      if (written === undefined) {
        response.end();
        return;
      }
      return written.then(() => void response.end());
    },
  };
}

/** Line ends between the tokens of a JSON text become further `data` lines, which a reader joins again. */
function event(json: string): string {
  const data = /[\r\n]/.test(json) ? json.replaceAll(/\r\n|\r|\n/g, "\ndata: ") : json;
  return `event: message\ndata: ${data}\n\n`;
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
