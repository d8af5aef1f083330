/**
 * What Writ is compared with: a proxy of the same runtime and the same HTTP client that reads the body, replaces the
 * credential and passes everything on, and does nothing else. `node bench/bare-proxy.ts UPSTREAM_PORT` prints its port.
 */
import { createServer } from "node:http";
import { Pool } from "undici";

const pool = new Pool(`http://127.0.0.1:${process.argv[2] ?? "0"}`, { connections: 64, pipelining: 1 });

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const { host: _host, connection: _connection, authorization: _authorization, ...headers } = request.headers;
    pool.dispatch(
      {
        path: request.url ?? "/",
        method: request.method ?? "POST",
        headers: { ...headers, authorization: "Bearer upstream" },
        body: chunks.length === 0 ? null : Buffer.concat(chunks),
      },
      {
        onRequestStart() {},
        onResponseStart(_controller, status, received) {
          const passed: Record<string, string | string[]> = {};
          for (const [name, value] of Object.entries(received)) {
            if (value !== undefined && name !== "connection" && name !== "keep-alive") passed[name] = value;
          }
          response.writeHead(status, passed);
        },
        onResponseData(_controller, chunk) {
          response.write(chunk);
        },
        onResponseEnd() {
          response.end();
        },
        onResponseError() {
          if (!response.headersSent) response.writeHead(502);
          response.end();
        },
      },
    );
  });
});

server.keepAliveTimeout = 120_000;
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") process.stdout.write(`${address.port}\n`);
});
