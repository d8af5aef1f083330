/**
 * A server of MCP 2025-11-25 with what the official conformance suite asks for, on the official SDK 1.x: a process of its
 * own. Prints the port that it listens on.
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { type EventStore, StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  CreateMessageResultSchema,
  ElicitResultSchema,
  GetPromptRequestSchema,
  type JSONRPCMessage,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import {
  ASKING_TOOLS,
  FORMS,
  PLAIN_TOOLS,
  PROMPTS,
  promptMessages,
  RESOURCES,
  readContents,
  TEMPLATES,
  TOOLS,
} from "./fixture-content.ts";

const transports = new Map<string, StreamableHTTPServerTransport>();

/** Events of all streams, so that one that was broken off can be taken up again. */
function createEventStore(): EventStore {
  const events: { readonly id: string; readonly stream: string; readonly message: JSONRPCMessage }[] = [];
  return {
    async storeEvent(stream, message) {
      const id = `${stream}/${events.length}`;
      events.push({ id, stream, message });
      return id;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const at = events.findIndex(({ id }) => id === lastEventId);
      const stream = events[at]?.stream ?? "";
      for (const event of events.slice(at + 1)) {
        if (event.stream === stream && Object.keys(event.message).length > 0) await send(event.id, event.message);
      }
      return stream;
    },
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const said = (text: string) => ({ content: [{ type: "text" as const, text }] });

function createFixture(): Server {
  const server = new Server(
    { name: "conformance-fixture", version: "1.0.0" },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
    },
  );
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...TOOLS, ...ASKING_TOOLS] }));
  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: RESOURCES }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: TEMPLATES }));
  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: PROMPTS }));
  server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
  server.setRequestHandler(SetLevelRequestSchema, () => ({}));
  server.setRequestHandler(CompleteRequestSchema, () => ({ completion: { values: [], total: 0, hasMore: false } }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params: { uri } }) => {
    const contents = readContents(uri);
    if (contents === undefined) throw new McpError(-32002, "Resource not found", { uri });
    return { contents };
  });
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => {
    const messages = promptMessages(params.name, params.arguments ?? {});
    if (messages === undefined) throw new McpError(-32602, `Unknown prompt: ${params.name}`);
    return { messages };
  });
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const { name, arguments: args = {}, _meta } = params;
    const plain = Object.hasOwn(PLAIN_TOOLS, name) ? PLAIN_TOOLS[name as keyof typeof PLAIN_TOOLS] : undefined;
    if (plain !== undefined) return { content: plain };
    const elicit = async (message: string, requestedSchema: (typeof FORMS)[keyof typeof FORMS]) => {
      // The form is data, of the shape that the schema of the SDK has.
      const request = { method: "elicitation/create", params: { mode: "form", message, requestedSchema } } as never;
      const { action, content = {} } = await extra.sendRequest(request, ElicitResultSchema);
      return `action=${action}, content=${JSON.stringify(content)}`;
    };
    switch (name) {
      case "test_tool_with_logging":
        for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
          await extra.sendNotification({ method: "notifications/message", params: { level: "info", data } });
          await pause(20);
        }
        return said("Tool with logging executed successfully");
      case "test_tool_with_progress": {
        const progressToken = _meta?.progressToken ?? 0;
        for (const progress of [0, 50, 100]) {
          const told = { progressToken, progress, total: 100 };
          await extra.sendNotification({ method: "notifications/progress", params: told });
          await pause(20);
        }
        return said(String(progressToken));
      }
      case "test_error_handling":
        return { ...said("This tool intentionally returns an error for testing"), isError: true };
      case "json_schema_2020_12_tool":
        return said(`JSON Schema 2020-12 tool called with: ${JSON.stringify(args)}`);
      case "test_reconnection":
        extra.closeSSEStream?.();
        await pause(100);
        return said("Reconnection test completed successfully.");
      case "test_sampling": {
        const asked = { role: "user" as const, content: { type: "text" as const, text: String(args["prompt"]) } };
        const request = { method: "sampling/createMessage" as const, params: { messages: [asked], maxTokens: 100 } };
        const { content } = await extra.sendRequest(request, CreateMessageResultSchema);
        return said(`LLM response: ${content.type === "text" ? content.text : ""}`);
      }
      case "test_elicitation":
        return said(`User response: ${await elicit(String(args["message"]), FORMS.response)}`);
      case "test_elicitation_sep1034_defaults":
        return said(`Elicitation completed: ${await elicit("Please review the defaults", FORMS.defaults)}`);
      case "test_elicitation_sep1330_enums":
        return said(`Elicitation completed: ${await elicit("Please select options", FORMS.enums)}`);
      default:
        throw new McpError(-32602, `Unknown tool: ${name}`);
    }
  });
  return server;
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer); // a stream without encoding yields buffers
  const body: unknown = chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString("utf8"));
  const id = request.headers["mcp-session-id"];
  const known = typeof id === "string" ? transports.get(id) : undefined;
  if (known !== undefined) return known.handleRequest(request, response, body);
  const opens = typeof body === "object" && body !== null && "method" in body && body.method === "initialize";
  if (id !== undefined || !opens) {
    response.writeHead(id === undefined ? 400 : 404).end();
    return;
  }
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    eventStore: createEventStore(),
    retryInterval: 500,
    enableDnsRebindingProtection: true,
    allowedHosts: [`127.0.0.1:${port()}`, `localhost:${port()}`],
    onsessioninitialized: (made) => void transports.set(made, transport),
  });
  transport.onclose = () => void transports.delete(transport.sessionId ?? "");
  // The SDK's own types disagree with exactOptionalPropertyTypes about its own transport.
  await createFixture().connect(transport as Parameters<Server["connect"]>[0]);
  return transport.handleRequest(request, response, body);
}

const http = createServer((request, response) => {
  handle(request, response).catch(() => response.destroy());
});
const port = (): number => (http.address() as AddressInfo).port; // a TCP listener's address is this
http.listen(0, "127.0.0.1", () => process.stdout.write(`${port()}\n`));
