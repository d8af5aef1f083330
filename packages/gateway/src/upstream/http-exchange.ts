/**
 * One request to an MCP server over HTTP, and every JSON-RPC message that comes back on it, from a JSON body
 * or from a stream. It knows exactly when the request reached a socket, because that decides between "surely not
 * sent" and "may have been sent". It never follows a redirect, never repeats a request and knows nothing of sessions.
 */
import type { Dispatcher } from "undici";
import type { UpstreamConnection } from "./credentials.ts";
import { describeConnectionError } from "./guarded-connector.ts";
import { createSseParser, SseOverflow, type SseParser } from "./sse-parser.ts";

export type Exchange =
  /** No byte of the request was given to a socket. */
  | { readonly kind: "not_sent"; readonly detail: string }
  /** It was, and nothing came back. */
  | { readonly kind: "no_answer"; readonly detail: string }
  /** An answer began. `broken` says why it did not end as it should. */
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly sessionId: string | undefined;
      readonly bytes: number;
      /** Of a stream that can be taken up again: from where, and after how long. */
      readonly lastEventId: string | undefined;
      readonly retryMs: number | undefined;
      readonly broken: string | undefined;
    };

export interface ExchangeRequest {
  readonly method: "POST" | "DELETE" | "GET";
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: string | null;
}

export interface ExchangeOptions {
  /** Any of them ends the exchange. */
  readonly signals: readonly AbortSignal[];
  /** Infinite for a stream that stays open. */
  readonly deadlineMs: number;
  /** The request is not sent any more when it is not on a socket by then. */
  readonly sendWithinMs: number;
  readonly messageBytesMax: number;
  readonly answerBytesMax: number;
  /** How long the stream may go on after `onMessage` returned "last". */
  readonly lingerMs: number;
  /** Each message in order; a promise is back-pressure. "last" means that nothing further is wanted. */
  readonly onMessage: (text: string) => "more" | "last" | Promise<"more" | "last">;
  /** Events of a stream that have a name and are no messages. */
  readonly onEvent?: (event: string, data: string) => void;
  /** Called once when the request goes to a socket. */
  readonly onSent?: () => void;
}

/** Never rejects. */
export function exchange(
  connection: UpstreamConnection,
  request: ExchangeRequest,
  options: ExchangeOptions,
): Promise<Exchange> {
  return new Promise((resolve) => {
    let controller: Dispatcher.DispatchController | undefined;
    let state: "waiting" | "sent" | "answered" | "done" = "waiting";
    let status = 0;
    let sessionId: string | undefined;
    let bytes = 0;
    let stopped: string | undefined;
    let last = false;
    /** The answer is at its end: what is delivered now is not followed by anything. */
    let ending = false;
    let parser: SseParser | undefined;
    let read: ((chunk: Buffer) => void) | undefined;
    let end: (() => void) | undefined;
    let chain: Promise<void> | undefined;

    let sendTimer: NodeJS.Timeout | undefined;
    const deadlineTimer = Number.isFinite(options.deadlineMs)
      ? setTimeout(() => stop("the upstream did not answer in time"), options.deadlineMs)
      : undefined;
    let lingerTimer: NodeJS.Timeout | undefined;
    const onAbort = (): void => stop("the call was cut");
    for (const signal of options.signals) signal.addEventListener("abort", onAbort, { once: true });

    function finish(detail: string | undefined): void {
      if (state === "done") return;
      const reached = state;
      state = "done";
      clearTimeout(sendTimer);
      clearTimeout(deadlineTimer);
      clearTimeout(lingerTimer);
      for (const signal of options.signals) signal.removeEventListener("abort", onAbort);
      if (reached === "waiting") resolve({ kind: "not_sent", detail: detail ?? "nothing was sent" });
      else if (reached === "sent") resolve({ kind: "no_answer", detail: detail ?? "the connection ended" });
      else {
        const { lastEventId, retryMs } = parser?.resumption() ?? { lastEventId: undefined, retryMs: undefined };
        const broken = last ? undefined : detail;
        resolve({ kind: "answered", status, sessionId, bytes, lastEventId, retryMs, broken });
      }
    }

    /** Ends the exchange from our side. Before the request is on a socket this makes sure that it never will be. */
    function stop(detail: string): void {
      if (state === "done") return;
      stopped ??= detail;
      controller?.abort(new Error(stopped));
      finish(stopped);
    }

    function deliver(received: string): void {
      if (state === "done" || last) return;
      const text = connection.mask(received);
      if (chain !== undefined) {
        chain = chain.then(() => hand(text));
        return;
      }
      const pending = hand(text);
      if (pending === undefined) return;
      controller?.pause();
      chain = pending;
      void settleChain(pending); // its failure stops the exchange inside
    }

    async function settleChain(first: Promise<void>): Promise<void> {
      let awaited = first;
      await awaited;
      while (chain !== undefined && chain !== awaited) {
        awaited = chain;
        await awaited;
      }
      chain = undefined;
      controller?.resume();
    }

    /** A reader that throws or rejects is broken: that becomes the end of the exchange. */
    function hand(text: string): Promise<void> | undefined {
      if (state === "done" || last) return undefined;
      try {
        const taken = options.onMessage(text);
        if (typeof taken === "string") {
          if (taken === "last") finishSoon();
          return undefined;
        }
        return taken.then(
          (wish) => {
            if (wish === "last") finishSoon();
          },
          () => stop("the reader of the answer failed"),
        );
      } catch {
        stop("the reader of the answer failed");
        return undefined;
      }
    }

    function finishSoon(): void {
      last = true;
      if (ending) return;
      lingerTimer = setTimeout(() => stop("the stream went on after the response"), options.lingerMs);
    }

    function begin(headers: Readonly<Record<string, string | string[] | undefined>>): void {
      const type = String(headers["content-type"] ?? "")
        .split(";")[0]
        ?.trim()
        .toLowerCase();
      const encoding = headers["content-encoding"];
      if (encoding !== undefined && encoding !== "identity") {
        stop("the answer is compressed though none was asked for");
        return;
      }
      if (type === "text/event-stream") {
        const events = createSseParser(options.messageBytesMax, (event, data) => {
          if (state === "answered") options.onEvent?.(event, data);
        });
        parser = events;
        read = (chunk) => {
          try {
            for (const data of events.push(chunk)) if (data !== "") deliver(data);
          } catch (error) {
            // A fault of the upstream's stream, turned into the end of the exchange.
            stop(error instanceof SseOverflow ? error.message : "the stream cannot be read");
          }
        };
        end = () => undefined;
        return;
      }
      const chunks: Buffer[] = [];
      let held = 0;
      const isJson = type === "application/json";
      read = (chunk) => {
        held += chunk.length;
        if (held > options.messageBytesMax) return stop(`the answer is larger than ${options.messageBytesMax} bytes`);
        if (isJson) chunks.push(chunk);
      };
      end = () => {
        const text = (chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)).toString(
          "utf8",
        );
        if (text.trim() !== "") deliver(text);
      };
    }

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started;
        if (state !== "waiting") {
          // Stopped while it waited for a connection: aborting here keeps it off the socket.
          started.abort(new Error(stopped ?? "stopped"));
          return;
        }
        state = "sent";
        clearTimeout(sendTimer);
        options.onSent?.();
      },
      onResponseStart(_controller, code, headers) {
        if (state !== "sent" || code < 200) return;
        state = "answered";
        status = code;
        // Whatever its body says: an answer that points elsewhere is none, and nobody goes there.
        if (code >= 300 && code < 400) return stop(`the upstream redirects (HTTP ${code}), which is never followed`);
        const id = headers["mcp-session-id"];
        sessionId = typeof id === "string" && /^[\x21-\x7e]{1,1024}$/.test(id) ? id : undefined;
        begin(headers);
      },
      onResponseData(_controller, chunk) {
        if (state !== "answered") return;
        bytes += chunk.length;
        if (bytes > options.answerBytesMax) return stop(`the answer is larger than ${options.answerBytesMax} bytes`);
        if (!last) read?.(chunk);
      },
      onResponseEnd() {
        ending = true;
        if (state === "answered") end?.();
        if (chain === undefined) finish(undefined);
        else void chain.then(() => finish(undefined)); // the chain never rejects
      },
      onResponseError(_controller, error) {
        finish(stopped ?? describeConnectionError(error));
      },
    };
    if (options.signals.some((signal) => signal.aborted)) return stop("the call was cut");
    try {
      connection.dispatch(
        {
          method: request.method,
          path: request.path,
          body: request.body,
          headersTimeout: 0,
          bodyTimeout: 0,
          headers: request.headers,
        },
        handler,
      );
      // Mostly a connection is free and took it at once.
      if (state === "waiting") {
        sendTimer = setTimeout(
          () => state === "waiting" && stop("no connection took the request in time"),
          options.sendWithinMs,
        );
      }
    } catch (error) {
      // A closed pool or a header that cannot be written: nothing was sent.
      stop(describeConnectionError(error));
    }
  });
}
