/**
 * The agent's client as commands need it: a refusal is an answer to be shown, and a gateway that is not there is said
 * with what to do about it. What is spoken is in `@writ/sdk`.
 */
import {
  type AgentClient,
  createAgentClient,
  DenialError,
  type RecordChildInput,
  type RecordedChild,
  ToolError,
} from "@writ/sdk";
import { CliError, EXIT, refused } from "./exit-codes.ts";
import { isUnreachable, withCause } from "./explain-error.ts";
import { VERSION } from "./version.ts";

export const DEFAULT_GATEWAY_URL = "http://127.0.0.1:8484";

const CALL_TIMEOUT_MS = 120_000;

export interface GatewayClient {
  callTool(call: ToolCall): Promise<GatewayAnswer<Readonly<Record<string, unknown>>>>;
  listTools(upstream: string): Promise<GatewayAnswer<readonly Readonly<Record<string, unknown>>[]>>;
  /** Asks the gateway to record a child. */
  recordChild(input: RecordChildInput): Promise<GatewayAnswer<RecordedChild>>;
}

export interface ToolCall {
  readonly upstream: string;
  readonly tool: string;
  /** JSON text of an object. */
  readonly argumentsText: string;
}

/** What came back: a result, or a refusal with whatever it says of its reason. */
export type GatewayAnswer<T = unknown> =
  | { readonly kind: "result"; readonly callId: string | undefined; readonly result: T }
  | { readonly kind: "refused"; readonly callId: string | undefined; readonly refusal: Refusal };

export interface Refusal {
  readonly status: number;
  /** JSON-RPC code, where there is one. */
  readonly code: number | undefined;
  readonly reason: string | undefined;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export function createGatewayClient(options: {
  readonly url: string;
  readonly token: string;
  readonly clientName: string;
}): GatewayClient {
  const { url, token, clientName } = options;
  const clientInfo = { name: clientName, version: VERSION };
  const client = createAgentClient({ url, token, clientInfo, timeoutMs: CALL_TIMEOUT_MS });

  const answer = async <T>(
    ask: (agent: AgentClient) => Promise<{ readonly result: T; readonly callId?: string }>,
  ): Promise<GatewayAnswer<T>> => {
    try {
      const { result, callId } = await ask(client);
      return { kind: "result", callId, result };
    } catch (error) {
      // What the gateway answered is an answer; a failure to reach it is said in a sentence, and every other goes on.
      if (error instanceof DenialError || error instanceof ToolError) return refusalOf(error);
      if (isUnreachable(error)) throw unreachable(url, error);
      throw error;
    }
  };

  return {
    callTool: ({ upstream, tool, argumentsText }) =>
      answer((agent) => agent.callTool({ upstream, tool, arguments: argumentsText })),
    listTools: (upstream) => answer(async (agent) => ({ result: await agent.listTools(upstream) })),
    recordChild: (input) => answer(async (agent) => ({ result: await agent.recordChild(input) })),
  };
}

function refusalOf(error: DenialError | ToolError): GatewayAnswer<never> {
  const { status, code, message, callId } = error;
  const refusal =
    error instanceof DenialError
      ? { status, code, reason: error.reason === "unknown" ? undefined : error.reason, message, data: error.data }
      : { status, code, reason: undefined, message, data: {} };
  return { kind: "refused", callId: callId === "" ? undefined : callId, refusal };
}

function unreachable(url: string, error: unknown): CliError {
  const why = error instanceof Error ? withCause(error).replace(/^fetch failed: /, "") : "";
  return new CliError(
    EXIT.failure,
    "unreachable",
    `The gateway at ${url} does not answer (${why}). Start it with writ serve, or name it with --gateway-url or WRIT_GATEWAY_URL.`,
    { cause: error },
  );
}

/** `upstream/tool`, where the tool may hold slashes itself. */
export function readToolName(text: string): { readonly upstream: string; readonly tool: string } {
  const at = text.indexOf("/");
  if (at < 1 || at === text.length - 1)
    throw refused(`${text} is no tool: write upstream/tool, such as everything/echo.`);
  return { upstream: text.slice(0, at), tool: text.slice(at + 1) };
}
