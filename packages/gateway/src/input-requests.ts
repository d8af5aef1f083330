/**
 * What a result of MCP 2026-07-28 asks the agent for before its call can go on (`input_required`), and what an attempt to
 * ask is. It reads; whether the agent may be asked is decided elsewhere.
 */
import { isJsonObject, parseStrictJsonText } from "@writ/contract";
import { membersOf, valueText } from "./json-members.ts";
import type { AgentCall } from "./ports.ts";

/** A request of an upstream to an agent; `params` is JSON text of an object. */
export interface Question {
  readonly method: string;
  readonly params: string;
}

/** One of a result's; `key` is what its answer is called. */
export interface AskedQuestion extends Question {
  readonly key: string;
}

/** What an upstream asks an agent for, as actions. */
const CLIENT_ACTIONS: ReadonlyMap<string, AgentCall["action"]> = new Map([
  ["sampling/createMessage", "client.sample"],
  ["elicitation/create", "client.elicit"],
  ["roots/list", "client.roots"],
]);

/** The attempt to ask an agent something on behalf of its call; undefined for what no upstream may ask. */
export function questionCall(call: AgentCall, { method, params }: Question): AgentCall | undefined {
  const action = CLIENT_ACTIONS.get(method);
  const read = parseStrictJsonText(params);
  if (action === undefined || read.kind === "fault" || !isJsonObject(read.value)) return undefined;
  return {
    protocol: call.protocol,
    action,
    upstream: call.upstream,
    tool: "",
    arguments: read.value,
    argumentsText: params,
    message: undefined,
    child: undefined,
    mcpSession: call.mcpSession,
  };
}

/** The questions of a result; undefined when it is complete. A question that cannot be read has a method of "". */
export function readInputRequests(result: string): readonly AskedQuestion[] | undefined {
  // A name can be spelt with escapes; without any it stands in the text as it is.
  if (!result.includes("resultType") && !result.includes("\\")) return undefined;
  const members = membersOf(result);
  const types = members.filter(({ name }) => name === "resultType");
  if (types.every((type) => JSON.parse(valueText(result, type)) === "complete")) return undefined;
  const requests = members.filter(({ name }) => name === "inputRequests");
  // Whoever reads the first of two members is asked something else than whoever reads the last.
  const states = members.filter(({ name }) => name === "requestState");
  if (types.length > 1 || requests.length > 1 || states.length > 1) return [UNREADABLE];
  const [state] = states;
  if (state !== undefined && !valueText(result, state).startsWith('"')) return [UNREADABLE];
  const [type] = types;
  if (type !== undefined && JSON.parse(valueText(result, type)) !== "input_required") return [UNREADABLE];
  const [only] = requests;
  if (only === undefined) return [];
  const text = valueText(result, only);
  if (!text.startsWith("{")) return [UNREADABLE];
  const questions = membersOf(text).map((member) => readQuestion(member.name, valueText(text, member)));
  return new Set(questions.map(({ key }) => key)).size === questions.length ? questions : [UNREADABLE];
}

const UNREADABLE: AskedQuestion = { key: "", method: "", params: "{}" };

function readQuestion(key: string, text: string): AskedQuestion {
  if (!text.startsWith("{")) return UNREADABLE;
  const members = membersOf(text);
  const named = (name: string): readonly string[] =>
    members.filter((member) => member.name === name).map((member) => valueText(text, member));
  const [method, ...methods] = named("method");
  const [params = "{}", ...more] = named("params");
  const read: unknown = method === undefined ? undefined : JSON.parse(method);
  if (typeof read !== "string" || methods.length > 0 || more.length > 0) return UNREADABLE;
  return { key, method: read, params };
}
