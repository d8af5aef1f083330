/**
 * Connections to one HTTP API, each for one request at a time. One is taken, opened where none is idle, before a call
 * is committed, so that behind the commit nothing waits for a name, an address or a handshake. Which addresses may be
 * connected to is the connector's business; what is sent, and how often one may try, is not decided here.
 */
import type { Socket } from "node:net";
import { type buildConnector, Client } from "undici";

export interface ApiConnections {
  /** A connection that stands. Rejects with what kept it from opening, or when `signal` comes first. */
  take(signal: AbortSignal): Promise<Client>;
  /** For the next one, where it still stands. */
  giveBack(client: Client): void;
  /** Ends the idle ones, and every other when it is given back. Idempotent. */
  close(): Promise<void>;
}

/** A server that closes an idle connection at the very moment of a request makes its outcome unknown: so not long. */
const IDLE_MS = 4_000;
const HEADER_BYTES_MAX = 32 * 1024;

export function createApiConnections(options: {
  readonly url: URL;
  readonly connect: buildConnector.connector;
}): ApiConnections {
  const { url, connect } = options;
  const idle: Client[] = [];
  const standing = new WeakSet<Client>();
  let closed = false;

  function open(signal: AbortSignal): Promise<Client> {
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
        resolve(clientOf(socket));
      });
    });
  }

  function clientOf(socket: Socket): Client {
    let given = false;
    socket.on("error", () => undefined); // it shows on the request, or makes the connection none
    const client = new Client(url.origin, {
      connect(_target, callback) {
        // A request that came too late for this connection is not sent on another.
        const isLate = given || socket.destroyed;
        given = true;
        // undici takes an answer that comes before its own call has returned for none.
        queueMicrotask(() => {
          if (isLate) callback(new Error("the connection has ended"), null);
          else callback(null, socket);
        });
      },
      pipelining: 1,
      keepAliveTimeout: IDLE_MS,
      keepAliveMaxTimeout: IDLE_MS,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: HEADER_BYTES_MAX,
      allowH2: false,
    });
    const end = (): void => {
      standing.delete(client);
      const at = idle.indexOf(client);
      if (at >= 0) idle.splice(at, 1);
      void client.destroy(); // resolves once nothing is left of it, which nobody waits for
    };
    client.on("disconnect", end);
    socket.once("close", end);
    standing.add(client);
    return client;
  }

  return {
    async take(signal) {
      if (closed) throw new Error("the upstream is not used any more");
      return idle.pop() ?? (await open(signal));
    },
    giveBack(client) {
      if (closed || !standing.has(client))
        void client.destroy(); // as above
      else idle.push(client);
    },
    async close() {
      closed = true;
      await Promise.all(idle.splice(0).map((client) => client.destroy()));
    },
  };
}
