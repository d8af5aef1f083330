/** A loopback TCP proxy that passes bytes on as they come, and breaks all its connections when it is told to. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface BreakingProxy {
  /** The URL that was given, through the proxy. */
  readonly url: string;
  /** How many connections there were. */
  readonly connections: () => number;
  breakAll(): void;
  close(): Promise<void>;
}

/** Starts a proxy to the port of `url` on this machine. */
export async function startBreakingProxy(url: string): Promise<BreakingProxy> {
  const onward = Number(new URL(url).port);
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((client) => {
    connections += 1;
    const upstream = connect(onward, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      // An error is followed by "close".
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const through = new URL(url);
  through.port = String((server.address() as AddressInfo).port); // a TCP listener's address is this
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: through.href,
    connections: () => connections,
    breakAll,
    async close() {
      breakAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
