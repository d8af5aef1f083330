/**
 * An MCP server on the official SDK whose catalogue a test changes while it runs: definitions, their order, the size of
 * pages, instructions. Writes down which tools were called. Proves nothing itself.
 */
import { createServer, type Server as HttpServer } from "node:http";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import {
  CallToolRequestSchema,
  ListToolsRequestSchema,
  type Tool as McpTool,
} from "@modelcontextprotocol/sdk/types.js";

export interface ChangingUpstream {
  readonly url: string;
  tools: readonly McpTool[];
  instructions: string;
  /** Tools on one page. */
  pageSize: number;
  /** Names of the tools that were called, in order. */
  readonly called: string[];
  /** Calls that wait until they are let go. */
  readonly waiting: (() => void)[];
  /** Stops listening and listens again on the same port: all connections and sessions are lost. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** A tool with one text argument. */
export function makeTool(name: string, description: string, more: Partial<McpTool> = {}): McpTool {
  return {
    name,
    description,
    inputSchema: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
    ...more,
  };
}

export async function startChangingUpstream(tools: readonly McpTool[]): Promise<ChangingUpstream> {
  let port = 0;
  let listener: HttpServer | undefined;

  async function listen(): Promise<void> {
    const server = createServer((request, response) => {
      // Stateless, as the SDK has it: a server of its own for each request.
      const mcp = new Server(
        { name: "changing", version: "1.0.0" },
        { capabilities: { tools: {} }, instructions: upstream.instructions },
      );
      mcp.setRequestHandler(ListToolsRequestSchema, ({ params }) => {
        const start = Number(params?.cursor ?? 0);
        const end = start + upstream.pageSize;
        const page = upstream.tools.slice(start, end);
        return { tools: [...page], ...(end < upstream.tools.length ? { nextCursor: String(end) } : {}) };
      });
      mcp.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
        upstream.called.push(params.name);
        if (params.name === "wait") await new Promise<void>((resolve) => upstream.waiting.push(resolve));
        return { content: [{ type: "text", text: `did ${params.name}` }] };
      });
      // No session id: the way in which the SDK's options say "stateless".
      const transport = new StreamableHTTPServerTransport({});
      void mcp
        // The SDK's own transport type lacks `| undefined` where the interface has it.
        .connect(transport as unknown as Parameters<typeof mcp.connect>[0])
        .then(() => transport.handleRequest(request, response))
        .catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new TypeError("the server has no port");
    port = address.port;
    listener = server;
  }

  async function close(): Promise<void> {
    const server = listener;
    listener = undefined;
    for (const resume of upstream.waiting.splice(0)) resume();
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  }

  const upstream: ChangingUpstream = {
    get url() {
      return `http://127.0.0.1:${port}/mcp`;
    },
    tools,
    instructions: "Be kind.",
    pageSize: 50,
    called: [],
    waiting: [],
    async restart() {
      await close();
      await listen();
    },
    close,
  };
  await listen();
  return upstream;
}
