/**
 * The upstream of the benchmark: the least MCP server that both the bare proxy and Writ can stand in front of. It
 * answers `tools/call` at once with a constant, so that what is measured is what stands before it. `/mcp/big` lists 200
 * tools, `/mcp/stream` answers a call in 64 events, `/files/1k` and `/files/1m` are plain HTTP.
 * `node bench/upstream.ts` prints its port.
 */
import { createServer } from "node:http";

const tools = (count: number): readonly object[] =>
  Array.from({ length: count }, (_, index) => ({
    name: index === 0 ? "transfer" : `tool-${index}`,
    description: `Tool ${index} of the benchmark`,
    inputSchema: {
      type: "object",
      properties: { account: { type: "string" }, amount: { type: "number" }, memo: { type: "string" } },
    },
  }));
const LISTS: ReadonlyMap<string, string> = new Map([
  ["/mcp", JSON.stringify({ tools: tools(20) })],
  ["/mcp/big", JSON.stringify({ tools: tools(200) })],
  ["/mcp/stream", JSON.stringify({ tools: tools(1) })],
]);
const FILES: ReadonlyMap<string, Buffer> = new Map([
  ["/files/1k", Buffer.alloc(1024, "k")],
  ["/files/1m", Buffer.alloc(1024 * 1024, "m")],
]);
/** Events of a streamed answer, the last of which is the response. */
const EVENTS = 64;

const RESULT = JSON.stringify({ content: [{ type: "text", text: "transferred; reference 7f3b2c9a" }], isError: false });

const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8");
  request.on("data", (chunk: string) => {
    body += chunk;
  });
  request.on("end", () => {
    const file = FILES.get(request.url ?? "");
    if (file !== undefined) {
      response.writeHead(200, { "content-type": "application/octet-stream", "content-length": file.length }).end(file);
      return;
    }
    if (request.method !== "POST") {
      response.writeHead(405).end();
      return;
    }
    const message = JSON.parse(body) as {
      id?: number | string;
      method: string;
      params?: { _meta?: { progressToken?: number | string } };
    };
    if (message.id === undefined) {
      response.writeHead(202).end();
      return;
    }
    const id = JSON.stringify(message.id);
    const path = request.url ?? "";
    const text = `{"jsonrpc":"2.0","id":${id},${answer(message.method, path)}}`;
    if (path === "/mcp/stream" && message.method === "tools/call") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const progressToken = JSON.stringify(message.params?.["_meta"]?.progressToken ?? 0);
      for (let progress = 1; progress < EVENTS; progress += 1) {
        const params = `{"progressToken":${progressToken},"progress":${progress},"total":${EVENTS}}`;
        response.write(`data: {"jsonrpc":"2.0","method":"notifications/progress","params":${params}}\n\n`);
      }
      response.end(`data: ${text}\n\n`);
      return;
    }
    response
      .writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
      .end(text);
  });
});

function answer(method: string, path: string): string {
  switch (method) {
    case "tools/call":
      return `"result":${RESULT}`;
    case "tools/list":
      return `"result":${LISTS.get(path) ?? "{}"}`;
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
