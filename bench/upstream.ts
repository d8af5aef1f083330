/**
 * The upstream of the benchmark: the least MCP server that both the bare proxy and Writ can stand in front of. It
 * answers `tools/call` at once with a constant, so that what is measured is what stands before it.
 * `node bench/upstream.ts` prints its port.
 */
import { createServer } from "node:http";

const TOOLS = Array.from({ length: 20 }, (_, index) => ({
  name: index === 0 ? "transfer" : `tool-${index}`,
  description: `Tool ${index} of the benchmark`,
  inputSchema: {
    type: "object",
    properties: { account: { type: "string" }, amount: { type: "number" }, memo: { type: "string" } },
  },
}));

const RESULT = JSON.stringify({ content: [{ type: "text", text: "transferred; reference 7f3b2c9a" }], isError: false });

const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8");
  request.on("data", (chunk: string) => {
    body += chunk;
  });
  request.on("end", () => {
    if (request.method !== "POST") {
      response.writeHead(405).end();
      return;
    }
    const message = JSON.parse(body) as { id?: number | string; method: string };
    if (message.id === undefined) {
      response.writeHead(202).end();
      return;
    }
    const id = JSON.stringify(message.id);
    const text = `{"jsonrpc":"2.0","id":${id},${answer(message.method)}}`;
    response
      .writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
      .end(text);
  });
});

function answer(method: string): string {
  switch (method) {
    case "tools/call":
      return `"result":${RESULT}`;
    case "tools/list":
      return `"result":${JSON.stringify({ tools: TOOLS })}`;
    case "initialize":
      return `"result":${JSON.stringify({
        protocolVersion: "2025-11-25",
        capabilities: { tools: {} },
        serverInfo: { name: "bench-upstream", version: "1" },
      })}`;
    case "ping":
      return `"result":{}`;
    default:
      return `"error":{"code":-32601,"message":"Method not found"}`;
  }
}

server.keepAliveTimeout = 120_000;
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") process.stdout.write(`${address.port}\n`);
});
