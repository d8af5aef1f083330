/**
 * One request to an HTTP API, as it was judged, and its answer as a stream. It knows when the request reached a socket,
 * because that decides between "surely not sent" and "may have been sent". It follows no redirect and repeats nothing.
 */
import type { Readable } from "node:stream";
import { HTTP_TARGET_LENGTH_MAX, readHttpTarget } from "@writ/contract";
import type { Dispatcher } from "undici";
import type { HttpCall, HttpSink, SendOutcome } from "../ports.ts";
import { describeConnectionError } from "./guarded-connector.ts";

export interface SendHttpOptions {
  readonly baseUrl: URL;
  /** Any of them ends the exchange. */
  readonly signals: readonly AbortSignal[];
  readonly deadlineMs: number;
  /** Of a body that is passed on as a stream, and of every answer. */
  readonly bodyBytesMax: number;
  /** An answer that is a part of another is refused. */
  readonly wholeOnly: boolean;
}

/** Headers about a connection (RFC 9110 section 7.6.1), about the upstream's own origin, or for Writ alone to set. */
const ANSWER_HEADERS_DROPPED: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "alt-svc",
  "clear-site-data",
  "content-location",
  "public-key-pins",
  "refresh",
  "set-cookie",
  "set-cookie2",
  "strict-transport-security",
]);
const ANSWER_PREFIXES_DROPPED = ["writ-", "access-control-"];

/** Never rejects. */
export function sendHttp(
  dispatcher: Pick<Dispatcher, "dispatch">,
  { target, headers, body }: HttpCall,
  sink: HttpSink,
  options: SendHttpOptions,
): Promise<SendOutcome> {
  return new Promise((resolve) => {
    let controller: Dispatcher.DispatchController | undefined;
    let state: "waiting" | "sent" | "answered" | "done" = "waiting";
    let bytes = 0;
    let status = 0;
    let stopped: string | undefined;
    /** What the reader has not taken yet. */
    let taking: Promise<void> | undefined;
    const deadline = setTimeout(() => stop("the upstream did not answer in time"), options.deadlineMs);
    const onAbort = (): void => stop("the call was cut");
    for (const signal of options.signals) signal.addEventListener("abort", onAbort, { once: true });

    function finish(detail: string | undefined): void {
      if (state === "done") return;
      const reached = state;
      state = "done";
      clearTimeout(deadline);
      for (const signal of options.signals) signal.removeEventListener("abort", onAbort);
      if (reached === "waiting") resolve({ kind: "aborted", detail: detail ?? "nothing was sent" });
      else if (reached === "sent") resolve({ kind: "unknown", detail: detail ?? "the connection ended" });
      else if (detail !== undefined) resolve({ kind: "failed", detail, bytes, notifications: 0 });
      else resolve({ kind: "completed", bytes, notifications: 0, error: status >= 400 });
    }

    /** Ends the exchange from our side. Before the request is on a socket this makes sure that it never will be. */
    function stop(detail: string): void {
      if (state === "done") return;
      stopped ??= detail;
      controller?.abort(new Error(stopped));
      finish(stopped);
    }

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started;
        if (state !== "waiting") {
          started.abort(new Error(stopped ?? "stopped"));
          return;
        }
        state = "sent";
      },
      onResponseStart(_controller, code, fields) {
        if (state !== "sent" || code < 200) return;
        state = "answered";
        status = code;
        const answer =
          code === 206 && options.wholeOnly
            ? "the answer is a part, and the whole was asked for"
            : readAnswer(code, fields, options.baseUrl);
        if (typeof answer === "string") return stop(answer);
        sink.head(code, answer);
      },
      onResponseData(started, chunk) {
        if (state !== "answered") return;
        bytes += chunk.length;
        if (bytes > options.bodyBytesMax) return stop(`the answer is larger than ${options.bodyBytesMax} bytes`);
        const taken = sink.data(chunk);
        if (taken === undefined) return;
        started.pause();
        taking = taken.then(
          () => {
            taking = undefined;
            started.resume();
          },
          () => stop("the reader of the answer failed"),
        );
      },
      onResponseEnd() {
        if (taking === undefined) finish(undefined);
        else void taking.then(() => finish(undefined)); // never rejects
      },
      onResponseError(_controller, error) {
        finish(stopped ?? describeConnectionError(error));
      },
    };
    if (options.signals.some((signal) => signal.aborted)) return stop("the call was cut");
    const { method } = target;
    const basePath = options.baseUrl.pathname.replace(/\/$/, "");
    const path = `${basePath}${target.path}${target.query === "" ? "" : `?${target.query}`}`;
    try {
      dispatcher.dispatch({ method, path, headers: [...headers], body: readBody(body, options) }, handler);
    } catch (error) {
      // A connection that has ended, or a header that cannot be written: nothing was sent.
      stop(describeConnectionError(error));
    }
  });
}

function readBody(body: HttpCall["body"], options: SendHttpOptions): Buffer | Readable | null {
  if (body === undefined) return null;
  if (body.kind === "bytes") return Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength);
  // undici takes any iterable of bytes, which its types do not say.
  return limited(body.stream, options.bodyBytesMax) as unknown as Readable;
}

async function* limited(stream: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error("the body is too large");
    yield chunk;
  }
}

type Fields = Readonly<Record<string, string | string[] | undefined>>;

/** The headers of an answer as they go on; or why it does not. */
function readAnswer(code: number, fields: Fields, baseUrl: URL): string | Readonly<Record<string, string | string[]>> {
  const coding = fields["content-encoding"];
  // Nobody could look into it, and none was asked for.
  if (coding !== undefined && coding !== "identity") return "the answer is compressed though none was asked for";
  const transfer = fields["transfer-encoding"];
  if (transfer !== undefined && String(transfer).trim().toLowerCase() !== "chunked") {
    return "the answer's transfer coding is none that can be undone";
  }
  const named = new Set(
    String(fields["connection"] ?? "")
      .toLowerCase()
      .split(",")
      .map((name) => name.trim()),
  );
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(fields)) {
    const lower = name.toLowerCase();
    const isDropped =
      ANSWER_HEADERS_DROPPED.has(lower) || ANSWER_PREFIXES_DROPPED.some((each) => lower.startsWith(each));
    if (value === undefined || isDropped || named.has(lower) || lower === "location") continue;
    headers[lower] = value;
  }
  const { location } = fields;
  if (location === undefined) return headers;
  const below = typeof location === "string" ? belowBase(location, baseUrl) : undefined;
  if (below !== undefined) return { ...headers, location: below };
  const isRedirect = code >= 300 && code < 400;
  return isRedirect ? `the upstream redirects elsewhere (HTTP ${code}), which is not passed on` : headers;
}

/** A Location as a target below the base URL; undefined when it is elsewhere, or has no one spelling. */
function belowBase(location: string, baseUrl: URL): string | undefined {
  // A relative one is relative to a request that only its sender knows; absolute paths and URLs are read.
  if (location.length > HTTP_TARGET_LENGTH_MAX || location.startsWith("//")) return undefined;
  const origin = /^https?:\/\/[^/?#]*/i.exec(location)?.[0];
  if (origin !== undefined && (!URL.canParse(origin) || new URL(origin).origin !== baseUrl.origin)) return undefined;
  const rest = location.slice(origin?.length ?? 0).split("#")[0] ?? "";
  const base = baseUrl.pathname.replace(/\/$/, "");
  const read = readHttpTarget(rest === "" ? "/" : rest);
  if (read.kind === "fault") return undefined;
  const { path, query } = read.target;
  if (path !== base && !path.startsWith(`${base}/`)) return undefined;
  return `${path.slice(base.length) || "/"}${query === "" ? "" : `?${query}`}`;
}
