/**
 * What the parameters of each MCP request attempt: the action, on which tool, resource or prompt, with which arguments.
 * Names are read from the strictly parsed value whose text goes upstream, so that nothing is judged that is not sent.
 * A fault is a value.
 */
import { foldName, type JsonObject } from "@writ/contract";
import type { AgentAction, Resumption } from "../../ports.ts";
import { isObject, type McpRequest } from "./decode.ts";
import { isLogLevel } from "./log-filter.ts";

/** What a request attempts; `name` is what protocols route by and "" where there is none. */
export interface MethodCall {
  readonly kind: "call";
  readonly action: AgentAction;
  readonly tool: string;
  readonly named: { readonly kind: "resource" | "prompt"; readonly name: string } | undefined;
  readonly arguments: JsonObject;
  readonly argumentsText: string;
  readonly name: string;
  /** What it gives its upstream that asked for input. */
  readonly resumes?: Resumption;
}

export type MethodReading = MethodCall | { readonly kind: "unknown" } | { readonly kind: "fault" };

const TOOL_NAME_LENGTH_MAX = 256;
const URI_LENGTH_MAX = 8_192;

const NOTHING: JsonObject = Object.freeze(Object.create(null) as JsonObject);
const FAULT = { kind: "fault" } as const;
const SET_LEVEL: MethodCall = {
  kind: "call",
  action: "mcp.session",
  tool: "",
  named: undefined,
  arguments: NOTHING,
  argumentsText: "",
  name: "",
};

/** By method, the members of its parameters that name what is done; the text goes to the upstream as it came. */
const MEMBERS = {
  "tools/call": membersNamed("name", "arguments"),
  "resources/list": membersNamed("cursor"),
  "resources/templates/list": membersNamed("cursor"),
  "resources/read": membersNamed("uri"),
  "resources/subscribe": membersNamed("uri"),
  "prompts/list": membersNamed("cursor"),
  "prompts/get": membersNamed("name", "arguments"),
  "completion/complete": membersNamed("ref", "argument", "context"),
  "logging/setLevel": membersNamed("level"),
} as const;

interface Members {
  readonly known: ReadonlySet<string>;
  readonly folded: ReadonlySet<string>;
}

function membersNamed(...names: readonly string[]): Members {
  const known = new Set([...names, "_meta"]);
  return { known, folded: new Set([...known].map(foldName)) };
}

/** A member that changes what a request does and that nothing judges yet: long-running tasks. */
const REFUSED: ReadonlySet<string> = new Set(["task"].map(foldName));
/** What goes back to an upstream that asked for input: of one revision, and of requests that may be asked so only. */
const ANSWERS: ReadonlySet<string> = new Set(["inputResponses", "requestState"]);
const ANSWERS_FOLDED: ReadonlySet<string> = new Set([...ANSWERS].map(foldName));

/** Requests that may be answered by asking for input. */
export const INPUT_METHODS: ReadonlySet<string> = new Set(["tools/call", "resources/read", "prompts/get"]);

/** `input`: whether the agent may send what an upstream asked it for. */
export function readMethod(request: McpRequest, { input = false }: { readonly input?: boolean } = {}): MethodReading {
  const members = Object.hasOwn(MEMBERS, request.method) ? MEMBERS[request.method as keyof typeof MEMBERS] : undefined;
  if (members === undefined) return { kind: "unknown" };
  if (!isReadable(request.params, members, input && INPUT_METHODS.has(request.method))) return FAULT;
  const reading = readCall(request);
  const resumes = readAnswers(request.params);
  if (resumes === undefined || reading.kind !== "call") return reading;
  return resumes.kind === "fault" ? FAULT : { ...reading, resumes };
}

function readCall(request: McpRequest): MethodReading {
  switch (request.method as keyof typeof MEMBERS) {
    case "tools/call":
      return readToolCall(request);
    case "resources/list":
    case "resources/templates/list":
      return readList(request, "resource.list");
    case "prompts/list":
      return readList(request, "prompt.list");
    case "resources/read":
      return readResource(request, "resource.read");
    case "resources/subscribe":
      return readResource(request, "resource.subscribe");
    case "logging/setLevel":
      return isLogLevel(request.params["level"]) ? SET_LEVEL : FAULT;
    case "prompts/get":
      return readPrompt(request);
    case "completion/complete":
      return readCompletion(request);
  }
}

/** What a request goes on with; undefined for one that was asked for nothing. */
function readAnswers({
  inputResponses,
  requestState,
}: JsonObject): Resumption | { readonly kind: "fault" } | undefined {
  if (inputResponses === undefined && requestState === undefined) return undefined;
  if (inputResponses !== undefined && !isObject(inputResponses)) return FAULT;
  if (requestState !== undefined && typeof requestState !== "string") return FAULT;
  return { kind: "claimed", answers: Object.keys(inputResponses ?? NOTHING), state: requestState };
}

/** Whether every reader takes the same members for the ones that name what is done. */
function isReadable(params: JsonObject, { known, folded }: Members, input: boolean): boolean {
  for (const member of Object.keys(params)) {
    if (known.has(member)) continue;
    const name = foldName(member);
    // A reader that ignores case would take the member for one that was not judged (`Arguments`).
    if (folded.has(name) || REFUSED.has(name)) return false;
    if (ANSWERS_FOLDED.has(name) && !(input && ANSWERS.has(member))) return false;
  }
  return true;
}

/** What is put on record of the arguments: with what the agent was asked for, where it was. */
function recorded({ params, paramsText, argumentsText }: McpRequest): string {
  return params["inputResponses"] === undefined && params["requestState"] === undefined ? argumentsText : paramsText;
}

function readToolCall(request: McpRequest): MethodReading {
  const { name, arguments: args } = request.params;
  if (typeof name !== "string" || name === "" || name.length > TOOL_NAME_LENGTH_MAX) return FAULT;
  if (args !== undefined && !isObject(args)) return FAULT;
  const call = { kind: "call", action: "tool.call", named: undefined } as const;
  return { ...call, tool: name, name, arguments: args ?? NOTHING, argumentsText: recorded(request) };
}

function readList({ params }: McpRequest, action: AgentAction): MethodReading {
  const { cursor } = params;
  if (cursor !== undefined && typeof cursor !== "string") return FAULT;
  return { kind: "call", action, tool: "", named: undefined, arguments: NOTHING, argumentsText: "", name: "" };
}

function readResource(request: McpRequest, action: AgentAction): MethodReading {
  const { uri } = request.params;
  if (!isUri(uri)) return FAULT;
  const named = { kind: "resource", name: uri } as const;
  return { kind: "call", action, tool: "", named, arguments: NOTHING, argumentsText: recorded(request), name: uri };
}

function readPrompt(request: McpRequest): MethodReading {
  const { name, arguments: args } = request.params;
  if (typeof name !== "string" || name === "" || name.length > TOOL_NAME_LENGTH_MAX) return FAULT;
  if (args !== undefined && !isObject(args)) return FAULT;
  const call = { kind: "call", action: "prompt.get", tool: "", named: { kind: "prompt", name } } as const;
  return { ...call, arguments: args ?? NOTHING, argumentsText: recorded(request), name };
}

function readCompletion({ params, paramsText }: McpRequest): MethodReading {
  const { ref, argument, context } = params;
  if (!isObject(ref) || !isObject(argument)) return FAULT;
  if (context !== undefined && !isObject(context)) return FAULT;
  // What is completed belongs to one prompt or to one template: a reference that names both has two readings.
  const { type, name, uri } = ref;
  const call = {
    kind: "call",
    action: "completion",
    tool: "",
    arguments: argument,
    argumentsText: paramsText,
    name: "",
  } as const;
  if (type === "ref/prompt" && typeof name === "string" && name !== "" && uri === undefined) {
    if (name.length > TOOL_NAME_LENGTH_MAX) return FAULT;
    return { ...call, named: { kind: "prompt", name } };
  }
  if (type === "ref/resource" && isUri(uri) && name === undefined) {
    return { ...call, named: { kind: "resource", name: uri } };
  }
  return FAULT;
}

/**
 * A URI, or a template of one, that means the same to whoever resolves it as to whoever compares its text: one with dot
 * segments may lead out of what a pattern of a rule covers, and control characters end a text early for some readers.
 */
export function isUri(value: unknown): value is string {
  if (typeof value !== "string" || value === "" || value.length > URI_LENGTH_MAX) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(value)) return false;
  const plain = value.replaceAll(/%(?:2e|2f|5c)/gi, (spelt) =>
    String.fromCharCode(Number.parseInt(spelt.slice(1), 16)),
  );
  return !/(?:^|[/\\])\.{1,2}(?:[/\\?#]|$)/.test(plain);
}
