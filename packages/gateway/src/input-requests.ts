/**
 * What a result of MCP 2026-07-28 asks the agent for before its call can go on (`input_required`). It reads; whether the
 * agent may be asked is decided elsewhere.
 */
import { membersOf, valueText } from "./json-members.ts";

/** A request of an upstream to an agent; `params` is JSON text of an object. */
export interface Question {
  readonly method: string;
  readonly params: string;
}

/** The questions of a result; undefined when it is complete. A question that cannot be read has a method of "". */
export function readInputRequests(result: string): readonly Question[] | undefined {
  // A name can be spelt with escapes; without any it stands in the text as it is.
  if (!result.includes("resultType") && !result.includes("\\")) return undefined;
  const members = membersOf(result);
  const types = members.filter(({ name }) => name === "resultType");
  if (types.every((type) => JSON.parse(valueText(result, type)) === "complete")) return undefined;
  const requests = members.filter(({ name }) => name === "inputRequests");
  // Whoever reads the first of two members is asked something else than whoever reads the last.
  if (types.length > 1 || requests.length > 1) return [UNREADABLE];
  const [type] = types;
  if (type !== undefined && JSON.parse(valueText(result, type)) !== "input_required") return [UNREADABLE];
  const [only] = requests;
  if (only === undefined) return [];
  const text = valueText(result, only);
  if (!text.startsWith("{")) return [UNREADABLE];
  return membersOf(text).map((member) => readQuestion(valueText(text, member)));
}

const UNREADABLE: Question = { method: "", params: "{}" };

function readQuestion(text: string): Question {
  if (!text.startsWith("{")) return UNREADABLE;
  const members = membersOf(text);
  const named = (name: string): readonly string[] =>
    members.filter((member) => member.name === name).map((member) => valueText(text, member));
  const [method, ...methods] = named("method");
  const [params = "{}", ...more] = named("params");
  const read: unknown = method === undefined ? undefined : JSON.parse(method);
  if (typeof read !== "string" || methods.length > 0 || more.length > 0) return UNREADABLE;
  return { method: read, params };
}
