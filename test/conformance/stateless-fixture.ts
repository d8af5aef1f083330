/**
 * A server of MCP 2026-07-28 with what the official conformance suite asks for, on the official SDK 2.x: a process of its
 * own. Prints the port that it listens on.
 */
import { createHmac, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { toNodeHandler } from "@modelcontextprotocol/node";
import {
  createMcpHandler,
  hostHeaderValidationResponse,
  type InputRequest,
  inputRequired,
  localhostAllowedHostnames,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ResourceNotFoundError,
  Server,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { PLAIN_TOOLS, PROMPTS, promptMessages, RESOURCES, readContents, TEMPLATES, TOOLS } from "./fixture-content.ts";

const said = (text: string) => ({ content: [{ type: "text" as const, text }] });
const anything = { type: "object" as const, properties: {} };
const tool = (name: string, inputSchema: { readonly type: "object" } = anything) => ({
  name,
  description: `A tool of the conformance suite: ${name.replaceAll("_", " ")}.`,
  inputSchema,
});

const form = (message: string, member: string) =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { [member]: { type: "string" } }, required: [member] },
  });
const sample = (text: string) =>
  inputRequired.createMessage({ messages: [{ role: "user", content: { type: "text", text } }], maxTokens: 100 });

/** What each tool asks for before it answers, a round after the other. */
const ASKED: Readonly<Record<string, readonly Readonly<Record<string, InputRequest>>[]>> = {
  test_input_required_result_elicitation: [{ user_name: form("What is your name?", "name") }],
  test_input_required_result_sampling: [{ capital_question: sample("What is the capital of France?") }],
  test_input_required_result_list_roots: [{ client_roots: inputRequired.listRoots() }],
  test_input_required_result_request_state: [{ confirm: form("Please confirm", "ok") }],
  test_input_required_result_multiple_inputs: [
    {
      user_name: form("What is your name?", "name"),
      greeting: sample("Say hello"),
      client_roots: inputRequired.listRoots(),
    },
  ],
  test_input_required_result_multi_round: [
    { step1: form("Step 1: what is your name?", "name") },
    { step2: form("Step 2: what is your favourite colour?", "color") },
  ],
  test_input_required_result_tampered_state: [{ confirm: form("Please confirm", "ok") }],
  test_input_required_result_capabilities: [
    { user_name: form("What is your name?", "name"), greeting: sample("Say hello") },
  ],
};
/** Tools whose rounds are told apart by a state that the client keeps. */
const STATEFUL = new Set(["request_state", "multiple_inputs", "multi_round", "tampered_state"]);

const key = randomBytes(32);
const seal = (round: number): string => {
  const mac = createHmac("sha256", key).update(String(round)).digest("base64url");
  return `${round}.${mac}`;
};

/** Which round this is; throws when the state is none of ours. */
function roundOf(state: string | undefined): number {
  if (state === undefined) return 0;
  const round = Number(state.split(".")[0]);
  if (state !== seal(round)) throw new ProtocolError(-32602, "Invalid request state");
  return round;
}

const CAPABILITY_OF: Readonly<Record<string, string>> = {
  "elicitation/create": "elicitation",
  "sampling/createMessage": "sampling",
  "roots/list": "roots",
};

function ask(name: string, context: ServerContext, capabilities: Readonly<Record<string, unknown>>) {
  const { mcpReq } = context;
  const rounds = ASKED[name] ?? [];
  const isStateful = STATEFUL.has(name.replace("test_input_required_result_", ""));
  const round = isStateful ? roundOf(mcpReq.requestState() as string | undefined) : 0;
  const wanted = Object.entries(rounds[round] ?? {}).filter(([, { method }]) => {
    return !name.endsWith("capabilities") || capabilities[CAPABILITY_OF[method] ?? ""] !== undefined;
  });
  const answers = mcpReq.inputResponses ?? {};
  const isAnswered =
    isStateful && mcpReq.requestState() === undefined ? false : wanted.every(([id]) => isAnswer(answers[id]));
  const next = isStateful ? round + (isAnswered && mcpReq.requestState() !== undefined ? 1 : 0) : Number(isAnswered);
  if (isStateful && mcpReq.requestState() !== undefined && isAnswered && rounds[round + 1] === undefined) {
    return said(`state-ok: ${JSON.stringify(answers)}`);
  }
  if (!isStateful && isAnswered) return said(`Answered: ${JSON.stringify(answers)}`);
  const asked = isStateful ? Object.entries(rounds[next] ?? {}) : wanted;
  return inputRequired({
    inputRequests: Object.fromEntries(asked),
    ...(isStateful ? { requestState: seal(next) } : {}),
  });
}

/** Whether an answer is of a shape that any question has. */
function isAnswer(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null && ["action", "content", "roots"].some((name) => name in answer);
}

const handler = createMcpHandler(() => {
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
  const headers = (annotated: boolean) => ({
    type: "object" as const,
    properties: {
      region: { type: "string", ...(annotated ? { "x-mcp-header": "Region" } : {}) },
      query: { type: "string" },
    },
    required: ["region", "query"],
  });
  const tools = [
    ...TOOLS,
    ...Object.keys(ASKED).map((name) => tool(name)),
    tool("test_x_mcp_header", headers(true)),
    tool("test_missing_capability"),
    tool("test_streaming_elicitation"),
    tool("test_logging_tool"),
    tool("test_trigger_tool_change"),
    tool("test_trigger_prompt_change"),
  ];
  server.setRequestHandler("tools/list", () => ({ tools }) as never); // data, of the shape that the SDK's types have
  server.setRequestHandler("resources/list", () => ({ resources: RESOURCES }));
  server.setRequestHandler("resources/templates/list", () => ({ resourceTemplates: TEMPLATES }));
  server.setRequestHandler("prompts/list", () => ({
    prompts: [...PROMPTS, { name: "test_input_required_result_prompt", description: "Asks for its context." }],
  }));
  server.setRequestHandler("completion/complete", () => ({ completion: { values: [], total: 0, hasMore: false } }));
  server.setRequestHandler("resources/read", ({ params: { uri } }) => {
    const contents = readContents(uri);
    if (contents === undefined) throw new ResourceNotFoundError(uri);
    return { contents } as never; // likewise
  });
  server.setRequestHandler("prompts/get", ({ params }, context) => {
    if (params.name === "test_input_required_result_prompt") {
      const answered = isAnswer(context.mcpReq.inputResponses?.["user_context"]);
      if (!answered) return inputRequired({ inputRequests: { user_context: form("Which context?", "context") } });
      return { messages: [{ role: "user" as const, content: { type: "text" as const, text: "With its context." } }] };
    }
    const messages = promptMessages(params.name, params.arguments ?? {});
    if (messages === undefined) throw new ProtocolError(-32602, `Unknown prompt: ${params.name}`);
    return { messages };
  });
  server.setRequestHandler("tools/call", async ({ params }, context) => {
    const { name, arguments: args = {} } = params;
    const meta = (params._meta ?? {}) as Readonly<Record<string, unknown>>; // any JSON
    const plain = Object.hasOwn(PLAIN_TOOLS, name) ? PLAIN_TOOLS[name as keyof typeof PLAIN_TOOLS] : undefined;
    if (plain !== undefined) return { content: plain };
    const capabilities = (server.getClientCapabilities() ?? {}) as Readonly<Record<string, unknown>>; // any JSON
    if (Object.hasOwn(ASKED, name)) return ask(name, context, capabilities);
    const progressToken = meta["progressToken"] as string | number | undefined; // as the protocol has it
    switch (name) {
      case "test_tool_with_logging":
        return said("Tool with logging executed successfully");
      case "test_tool_with_progress":
      case "test_streaming_elicitation":
        if (progressToken !== undefined) {
          for (const progress of [0, 50, 100]) {
            const told = { progressToken, progress, total: 100 };
            await context.mcpReq.notify({ method: "notifications/progress", params: told });
          }
        }
        return said("done");
      case "test_logging_tool":
        await context.mcpReq.log("info", "logged");
        return said("logged");
      case "test_missing_capability":
        if (capabilities["sampling"] === undefined) {
          throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
        }
        return said("sampling is there");
      case "test_trigger_tool_change":
        handler.notify.toolsChanged();
        return said("changed");
      case "test_trigger_prompt_change":
        handler.notify.promptsChanged();
        return said("changed");
      case "test_error_handling":
        return { ...said("This tool intentionally returns an error for testing"), isError: true };
      case "test_x_mcp_header":
      case "json_schema_2020_12_tool":
        return said(`called with: ${JSON.stringify(args)}`);
      default:
        throw new ProtocolError(-32602, `Unknown tool: ${name}`);
    }
  });
  return server;
});

const node = toNodeHandler({
  fetch: async (request, options) =>
    hostHeaderValidationResponse(request, localhostAllowedHostnames()) ?? handler.fetch(request, options),
});
const http = createServer((request, response) => {
  // The SDK's own types disagree with exactOptionalPropertyTypes about Node's request.
  node(request as Parameters<typeof node>[0], response).catch(() => response.destroy());
});
http.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(http.address() as AddressInfo).port}\n`); // a TCP listener's address is this
});
