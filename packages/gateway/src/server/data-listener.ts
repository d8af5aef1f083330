/**
 * The data plane's HTTP listener: limits, header rules, bodies, health, a table of routes, and the drain. It knows no
 * protocol and no credential; what a route answers is the route's business.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Reason } from "@writ/contract";
import type { AddressAdmission } from "../rates/address-rate.ts";
import type { RateStanding } from "../rates/rate-standing.ts";
import { checkRequest } from "./check-request.ts";
import type { ListenerLimits } from "./limits.ts";
import { makeProblem, type Problem } from "./problem.ts";
import { rateHeaders } from "./rate-headers.ts";

export interface DataListenerOptions {
  readonly limits: ListenerLimits;
  /** `name` or `name:port`; in lower case. */
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly routes: readonly Route[];
  /** Why no calls are taken; undefined when they are. Asked by `/readyz`. */
  readonly notReady: () => Reason | undefined;
  /** Whether an upstream is under observation, which `/readyz` says as well. */
  readonly isObserving?: () => boolean;
  /** Whether one more request of this address is answered; absent where addresses have no rate. */
  readonly admitAddress?: ((remoteAddress: string) => AddressAdmission) | undefined;
  readonly log: (event: string, fields: Readonly<Record<string, string | number>>) => void;
}

/**
 * One entry of the table. A segment `:name` of the pattern matches one path segment; `**` at its end whatever follows,
 * spelt as it may be: the route reads it.
 */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE" | "*";
  readonly pattern: string;
  /** May reject: that is a failure of ours, logged and answered 500. */
  readonly handle: (exchange: Exchange) => Promise<void>;
  /**
   * Given where proxies ask about requests that they got, whose headers come along: how the listener's own refusals are
   * told there. It counts for all addresses with the first segment of the pattern.
   */
  readonly refusedAs?: (reason: Reason, problem: Problem) => Problem;
}

/** One request and the way to answer it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly params: Readonly<Record<string, string>>;
  readonly remoteAddress: string;
  /** Aborted when the peer is gone before its answer was complete, or the drain is over; a route may abort it too. */
  readonly cut: AbortController;
  /** From now on a peer that is gone cuts nothing: `left` is called instead, maybe more than once. The drain still cuts. */
  outlive(left: () => void): void;
  /** Tells in the headers of the answer where rates stand, unless it has begun. A later word on one of them counts. */
  rated(standings: readonly RateStanding[]): void;
  /** Reads the body whole, once. A fault is to be answered by the caller. */
  readBody(): Promise<Body>;
  /** Sends a whole answer. */
  answer(status: number, headers: Readonly<Record<string, string>>, body: string): void;
  problem(problem: Problem): void;
  /** Writes a part of a stream that has begun; resolves when there is room for more, or nobody to read it. */
  write(part: string | Uint8Array): void | Promise<void>;
}

export type Body =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "fault"; readonly reason: Reason };

export interface DataListener {
  /** Resolves to the port. Rejects with code EADDRINUSE when it is taken. */
  listen(port: number, host: string): Promise<number>;
  /** Accepts nothing more, lets what runs end, then cuts it. */
  drain(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
  /** Requests that are not answered yet. */
  running(): number;
}

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

interface CompiledRoute {
  readonly route: Route;
  readonly expression: RegExp;
  readonly names: readonly string[];
}

export function createDataListener(options: DataListenerOptions): DataListener {
  const { limits, log } = options;
  const routes = options.routes.map(compileRoute);
  const findRoutes = createRouteFinder(routes);
  const refusals = new Map(options.routes.map(({ pattern, refusedAs }) => [firstSegment(pattern), refusedAs]));
  const rules = {
    allowedHosts: new Set(options.allowedHosts.map((host) => host.toLowerCase())),
    allowedOrigins: new Set(options.allowedOrigins.map((origin) => origin.toLowerCase())),
    urlBytesMax: limits.urlBytesMax,
    headersMax: limits.headersMax,
  };
  const running = new Set<AbortController>();
  const unanswered = new WeakMap<Socket, number>();
  let bodiesBytes = 0;
  let draining = false;
  let idle: (() => void) | undefined;

  const server: Server = createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, limits.headersTimeoutMs, limits.requestTimeoutMs),
      insecureHTTPParser: false,
      requireHostHeader: true,
      noDelay: true,
    },
    accept,
  );
  server.maxConnections = limits.connectionsMax;
  // One more than allowed: the parser drops what is beyond, and a header that is dropped unseen decides nothing here.
  server.maxHeadersCount = limits.headersMax + 1;
  server.on("checkContinue", accept);
  server.on("checkExpectation", accept); // refused as every other fault is
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!socket.writable || socket.destroyed) {
      socket.destroy();
      return;
    }
    const fault = clientFault(error.code);
    const problem = makeProblem(fault.reason, { status: fault.status });
    // Only a connection that has not begun another answer may be written to.
    if (socket.bytesWritten > 0 && (unanswered.get(socket) ?? 0) > 0) {
      socket.destroy();
      return;
    }
    socket.end(
      `HTTP/1.1 ${problem.status} ${fault.phrase}\r\ncontent-type: application/problem+json\r\nwrit-reason: ${fault.reason}\r\ncontent-length: ${Buffer.byteLength(problem.body)}\r\nconnection: close\r\n\r\n${problem.body}`,
      () => socket.destroy(),
    );
  });

  function accept(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const before = unanswered.get(socket) ?? 0;
    if (before >= limits.pipelinedMax) {
      log("listener.pipelined", { unanswered: before });
      socket.destroy();
      return;
    }
    unanswered.set(socket, before + 1);
    const gone = new AbortController();
    running.add(gone);
    let held = 0;
    response.once("close", () => {
      unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1);
      bodiesBytes -= held;
      held = 0;
      running.delete(gone);
      if (!response.writableFinished) leave();
      if (running.size === 0) idle?.();
    });
    // A peer that is gone shows on the response, which closes; the error itself says nothing more.
    request.on("error", ignore);
    response.on("error", ignore);

    let left: (() => void) | undefined;
    const leave = (): void => {
      if (left === undefined) gone.abort();
      else left();
    };
    const exchange: OpenExchange = {
      request,
      response,
      params: NO_PARAMS,
      remoteAddress: socket.remoteAddress ?? "",
      cut: gone,
      outlive(instead) {
        left = instead;
      },
      rated: createRated(response),
      readBody: () => readBody(request, response, reserve),
      answer: (status, headers, body) => answer(request, response, status, headers, body),
      problem: (problem) => answer(request, response, problem.status, problem.headers, problem.body),
      write: (part) => write(response, leave, part),
    };
    function reserve(bytes: number): boolean {
      if (bodiesBytes + bytes > limits.bodiesBytesMax) return false;
      bodiesBytes += bytes;
      held += bytes;
      return true;
    }
    route(exchange).catch((error: unknown) => {
      // A route that throws has failed, and says no more than that to its peer.
      log("listener.route_failed", { error: error instanceof Error ? (error.stack ?? error.message) : "unknown" });
      if (response.headersSent) response.destroy();
      else refuse(exchange, "internal_error");
    });
  }

  function refuse(exchange: Exchange, reason: Reason, parts: Parameters<typeof makeProblem>[1] = {}): void {
    const problem = makeProblem(reason, parts);
    exchange.problem(refusals.get(firstSegment(exchange.request.url ?? ""))?.(reason, problem) ?? problem);
  }

  async function route(exchange: OpenExchange): Promise<void> {
    const { request } = exchange;
    const looks = request.method === "GET" || request.method === "HEAD";
    if (looks && (request.url === "/healthz" || request.url === "/readyz")) {
      const reason = request.url === "/readyz" ? (draining ? "gateway_draining" : options.notReady()) : undefined;
      if (reason === undefined) {
        const observing = request.url === "/readyz" && options.isObserving?.() === true;
        const body = observing ? '{"status":"ok","observeMode":"on"}' : '{"status":"ok"}';
        return exchange.answer(200, { "content-type": "application/json" }, body);
      }
      return exchange.problem(makeProblem(reason, { status: 503 }));
    }
    const admission = options.admitAddress?.(exchange.remoteAddress);
    if (admission !== undefined) exchange.rated(admission.standings);
    if (admission?.kind === "refused") {
      return refuse(exchange, "rate_address", { headers: { "retry-after": String(admission.retryAfterSeconds) } });
    }
    const isRelayed = refusals.get(firstSegment(request.url ?? "")) !== undefined;
    const check = checkRequest(request, rules, isRelayed);
    if (check.kind === "refused") {
      const { reason, status, detail } = check;
      const data = detail === undefined ? {} : { data: { detail } };
      return refuse(exchange, reason, { ...(status === undefined ? {} : { status }), ...data });
    }
    const found = findRoutes(check.path);
    for (const { route: candidate, params } of found) {
      if (candidate.method !== "*" && candidate.method !== request.method) continue;
      exchange.params = params;
      return candidate.handle(exchange);
    }
    if (found.length === 0) return refuse(exchange, "fault_request", { status: 404 });
    const allow = found.map(({ route: { method } }) => method).join(", ");
    refuse(exchange, "fault_method", { status: 405, headers: { allow } });
  }

  function readBody(
    request: IncomingMessage,
    response: ServerResponse,
    reserve: (bytes: number) => boolean,
  ): Promise<Body> {
    const announced = Number(request.headers["content-length"] ?? 0);
    if (announced > limits.bodyBytesMax) return Promise.resolve({ kind: "fault", reason: "fault_too_large" });
    if (request.headers.expect?.toLowerCase() === "100-continue") response.writeContinue();
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let length = 0;
      const end = (body: Body): void => {
        request.off("data", onData);
        request.off("end", onEnd);
        request.off("close", onClose);
        resolve(body);
      };
      const onData = (chunk: Buffer): void => {
        length += chunk.length;
        if (length > limits.bodyBytesMax) {
          request.pause();
          end({ kind: "fault", reason: "fault_too_large" });
        } else if (!reserve(chunk.length)) {
          request.pause();
          end({ kind: "fault", reason: "gateway_overloaded" });
        } else chunks.push(chunk);
      };
      const onEnd = (): void =>
        end({ kind: "bytes", bytes: chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks) });
      const onClose = (): void => end({ kind: "fault", reason: "fault_timeout" });
      request.on("data", onData);
      request.on("end", onEnd);
      request.on("close", onClose);
    });
  }

  function answer(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    headers: Readonly<Record<string, string>>,
    body: string,
  ): void {
    if (response.headersSent || response.destroyed) return;
    // Whoever is refused before the body was read is not listened to any further.
    const bytes = Buffer.byteLength(body);
    const unread = !request.complete && !request.readableEnded && hasBody(request);
    response.writeHead(status, {
      ...SECURITY_HEADERS,
      ...headers,
      ...(status === 202 || status === 204 ? {} : { "content-length": String(bytes) }),
      ...(unread || draining ? { connection: "close" } : {}),
    });
    // As text the body goes out with the head in one write. As many bytes as characters: ASCII, which is copied as it is.
    response.end(body === "" ? undefined : body, bytes === body.length ? "latin1" : "utf8");
    if (!unread) return;
    const { socket } = request;
    request.pause();
    setTimeout(() => socket.destroy(), limits.refusedLingerMs).unref();
  }

  function write(response: ServerResponse, leave: () => void, part: string | Uint8Array): void | Promise<void> {
    if (response.destroyed || response.writableEnded) {
      // Said at once: a writer that only looks at the signal must not go on until the next event.
      leave();
      return;
    }
    if (!response.headersSent) throw new TypeError("a stream is written to before it has begun");
    if (response.write(part)) return;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        response.off("drain", done);
        response.off("close", done);
        resolve();
      };
      const timer = setTimeout(() => {
        log("listener.stalled", {});
        response.destroy();
        leave();
        done();
      }, limits.writeStallMs);
      response.once("drain", done);
      response.once("close", done);
    });
  }

  return {
    running: () => running.size,
    listen(port, host) {
      return new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          server.off("error", reject);
          server.on("error", (error) => log("listener.error", { error: error.message }));
          resolve((server.address() as AddressInfo).port); // a TCP listener's address is this
        });
      });
    },
    async drain(timeoutMs) {
      draining = true;
      server.close();
      server.closeIdleConnections();
      if (running.size > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timeoutMs);
          idle = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      for (const gone of running) gone.abort();
      server.closeIdleConnections();
    },
    close() {
      draining = true;
      for (const gone of running) gone.abort();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

/** What stands between the first two slashes of an address. */
function firstSegment(address: string): string {
  return /^\/([^/?]*)/.exec(address)?.[1] ?? "";
}

/** Headers that are set before an answer begins go out with it, whoever begins it. */
function createRated(response: ServerResponse): Exchange["rated"] {
  let told: Map<string, RateStanding> | undefined;
  return (standings) => {
    if (response.headersSent || standings.length === 0) return;
    told ??= new Map();
    for (const { name } of standings) told.delete(name);
    const others = [...told.values()];
    for (const standing of standings) told.set(standing.name, standing);
    for (const [name, value] of Object.entries(rateHeaders([...others, ...standings]))) response.setHeader(name, value);
  };
}

/** The headers of every answer, for routes that begin a stream by themselves. */
export function streamHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return { ...SECURITY_HEADERS, ...headers };
}

function hasBody(request: IncomingMessage): boolean {
  return request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0;
}

function ignore(): void {}

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});

/** The exchange as the listener makes it: its parameters are known once it has a route. */
interface OpenExchange extends Exchange {
  params: Readonly<Record<string, string>>;
}

interface FoundRoute {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/** Paths whose routes are remembered: agents use few, and anybody can make up more. */
const PATHS_REMEMBERED_MAX = 1_000;

/** The routes of a path, one a method; a path that was seen before is not matched again. */
function createRouteFinder(routes: readonly CompiledRoute[]): (path: string) => readonly FoundRoute[] {
  const remembered = new Map<string, readonly FoundRoute[]>();
  return (path) => {
    const known = remembered.get(path);
    if (known !== undefined) return known;
    const found: FoundRoute[] = [];
    for (const { route, expression, names } of routes) {
      const match = expression.exec(path);
      if (match === null) continue;
      found.push({ route, params: Object.fromEntries(names.map((name, index) => [name, match[index + 1] ?? ""])) });
    }
    if (remembered.size >= PATHS_REMEMBERED_MAX) remembered.clear();
    if (found.length > 0 && !found.some(({ route }) => route.pattern.endsWith("/**"))) remembered.set(path, found);
    return found;
  };
}

function compileRoute(route: Route): CompiledRoute {
  const names: string[] = [];
  const isOpen = route.pattern.endsWith("/**");
  const expression = (isOpen ? route.pattern.slice(0, -3) : route.pattern)
    .split("/")
    .map((segment) => {
      if (!segment.startsWith(":")) return segment.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
      names.push(segment.slice(1));
      return "([A-Za-z0-9._~-]{1,128})";
    })
    .join("/");
  return { route, expression: new RegExp(`^${expression}${isOpen ? "(?:/.*)?" : ""}$`), names };
}

function clientFault(code: string | undefined): {
  readonly reason: Reason;
  readonly status: number;
  readonly phrase: string;
} {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return { reason: "fault_too_large", status: 431, phrase: "Request Header Fields Too Large" };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { reason: "fault_timeout", status: 408, phrase: "Request Timeout" };
    default:
      return { reason: "fault_request", status: 400, phrase: "Bad Request" };
  }
}
