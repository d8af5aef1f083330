/**
 * Stands before an MCP endpoint for a client that sends no credential: adds the Authorization header to each request and
 * changes nothing else, the Host header included.
 */
import { createServer, request as send } from "node:http";
import type { AddressInfo } from "node:net";

export interface PassThrough {
  readonly port: number;
  close(): Promise<void>;
}

export async function startPassThrough(options: {
  readonly url: string;
  readonly bearer: string;
}): Promise<PassThrough> {
  const target = new URL(options.url);
  const server = createServer((request, response) => {
    const headers = [...request.rawHeaders, "authorization", `Bearer ${options.bearer}`];
    const { hostname, port, pathname } = target;
    const onward = send({ hostname, port, path: pathname, method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      response.flushHeaders();
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port, // a TCP listener's address is this
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
