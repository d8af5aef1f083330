/**
 * Connections to one HTTP API, each for one request at a time. One is taken, opened where none is idle, before a call
 * is committed, so that behind the commit nothing waits for a name, an address or a handshake. Which addresses may be
 * connected to is the connector's business; what is sent, and how often one may try, is not decided here.
 *
 *     opened ──► taken ◄──► idle        a call that the commit denies gives its connection back without having used it
 *                  │          │
 *                  └► over ◄──┘         ended, bytes that nobody asked for, or too long without a request
 *
 * The first request hands the socket to undici, which from then on sees what comes of it; before that it is watched
 * here, because nobody else reads it: a server that ends what it has waited for may say so first (408).
 */
import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type buildConnector, Client, type Dispatcher } from "undici";

export type ApiConnection = Pick<Dispatcher, "dispatch">;

export interface ApiConnections {
  /** A connection that stands, as far as can be known here. Rejects with what kept it from opening, or when `signal` comes first. */
  take(signal: AbortSignal): Promise<ApiConnection>;
  /** For the next one, where it still stands. */
  giveBack(connection: ApiConnection): void;
  /** Ends the idle ones, and every other when it is given back. Idempotent. */
  close(): Promise<void>;
}

export interface ApiConnectionsOptions {
  readonly url: URL;
  readonly connect: buildConnector.connector;
  /**
   * What has carried nothing for so long is not taken any more. A server that closes an idle connection at the very
   * moment of a request makes its outcome unknown: so not long.
   */
  readonly idleMs: number;
}

/** What is taken at the last moment still stands when its call is committed. */
const COMMIT_MS = 1000;
const HEADER_BYTES_MAX = 32 * 1024;

interface Connection extends ApiConnection {
  /** Whether it may be taken. */
  stands(): boolean;
  /** It is given back: its time runs anew if it was used. */
  rest(): void;
  end(): Promise<void>;
}

export function createApiConnections({ url, connect, idleMs }: ApiConnectionsOptions): ApiConnections {
  const idle: Connection[] = [];
  const known = new WeakMap<ApiConnection, Connection>();
  let closed = false;

  function open(signal: AbortSignal): Promise<Connection> {
    const secure = url.protocol === "https:";
    const hostname = url.hostname.replace(/^\[|\]$/g, "");
    const target = { host: url.host, hostname, protocol: url.protocol, port: url.port || (secure ? "443" : "80") };
    return new Promise((resolve, reject) => {
      const giveUp = (): void => reject(new Error("nobody waits for the connection any more"));
      signal.addEventListener("abort", giveUp, { once: true });
      connect(target, (error, socket) => {
        signal.removeEventListener("abort", giveUp);
        if (error !== null) return reject(error);
        if (signal.aborted || closed) {
          socket.on("error", () => undefined).destroy();
          return giveUp();
        }
        resolve(connectionOver(socket));
      });
    });
  }

  function connectionOver(socket: Socket): Connection {
    let isGiven = false;
    let isUsed = false;
    let hasRested = false;
    socket.on("error", () => undefined); // it shows on the request, or makes the connection none
    const client = new Client(url.origin, {
      connect(_target, callback) {
        // A request that came too late for this connection is not sent on another.
        const isLate = isGiven || socket.destroyed;
        isGiven = true;
        // undici takes an answer that comes before its own call has returned for none.
        queueMicrotask(() => {
          socket.off("readable", onUnasked);
          if (isLate || socket.destroyed || socket.readableLength > 0)
            callback(new Error("the connection has ended"), null);
          else callback(null, socket);
        });
      },
      pipelining: 1,
      // Its clock ends what is taken as well, and so has to be the later one.
      keepAliveTimeout: idleMs + COMMIT_MS,
      keepAliveMaxTimeout: idleMs + COMMIT_MS,
      keepAliveTimeoutThreshold: COMMIT_MS,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: HEADER_BYTES_MAX,
      allowH2: false,
    });
    const timer = setTimeout(() => {
      hasRested = true;
      if (idle.includes(connection)) void connection.end(); // resolves once nothing is left of it, which nobody waits for
    }, idleMs).unref();
    const connection: Connection = {
      dispatch(options, handler) {
        isUsed = true;
        return client.dispatch(options, handler);
      },
      stands: () => !hasRested && !client.destroyed && !socket.destroyed,
      rest() {
        if (!isUsed) return;
        isUsed = false;
        hasRested = false;
        timer.refresh();
      },
      async end() {
        clearTimeout(timer);
        const at = idle.indexOf(connection);
        if (at >= 0) idle.splice(at, 1);
        const ended = client.destroyed ? undefined : client.destroy();
        socket.destroy(); // undici knows it only if it carried a request
        await ended;
      },
    };
    const onEnd = (): void => void connection.end(); // as above
    const onUnasked = (): void => void socket.destroy(); // an end, or bytes before one
    client.on("disconnect", onEnd);
    socket.once("close", onEnd);
    socket.on("readable", onUnasked);
    known.set(connection, connection);
    return connection;
  }

  return {
    async take(signal) {
      for (let found = idle.pop(); found !== undefined; found = idle.pop()) {
        // What its server did meanwhile is seen when the sockets are polled the next time, which is behind this turn.
        await nextTurn();
        await nextTurn();
        if (closed || !found.stands()) await found.end();
        else return found;
      }
      if (closed) throw new Error("the upstream is not used any more");
      return open(signal);
    },
    giveBack(given) {
      const connection = known.get(given);
      if (connection === undefined) throw new TypeError("a connection that was not taken here");
      connection.rest();
      if (closed || !connection.stands())
        void connection.end(); // as above
      else idle.push(connection);
    },
    async close() {
      closed = true;
      await Promise.all(idle.splice(0).map((connection) => connection.end()));
    },
  };
}
