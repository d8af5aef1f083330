/**
 * Takes the elements that may not be known out of a page of resources, resource templates or prompts, as an upstream
 * gave it. Everything else stays byte for byte. Who may know what is not decided here.
 */
import { elementsOf, type JsonMember, membersOf, valueText } from "./json-members.ts";

/** By the member that holds the list: what it is a list of, and the member that names an element. */
const LISTS = new Map([
  ["resources", { kind: "resource", key: "uri" }],
  ["resourceTemplates", { kind: "resource", key: "uriTemplate" }],
  ["prompts", { kind: "prompt", key: "name" }],
] as const);

type Visible = (kind: "resource" | "prompt", names: readonly string[]) => readonly ("listed" | "hidden")[];

/** `json` is the JSON text of a result, an object. What cannot be read as a list is left out. */
export function filterList(json: string, visible: Visible): string {
  const parts: string[] = [];
  for (const member of membersOf(json)) {
    const list = LISTS.get(member.name as "resources"); // any other name has no entry
    const name = json.slice(member.start, member.valueStart);
    const value = valueText(json, member);
    parts.push(name + (list === undefined ? value : filterElements(value, list, visible)));
  }
  return `{${parts.join(",")}}`;
}

function filterElements(
  text: string,
  { kind, key }: { readonly kind: "resource" | "prompt"; readonly key: string },
  visible: Visible,
): string {
  if (!text.startsWith("[")) return "[]";
  const elements: { readonly text: string; readonly name: string }[] = [];
  for (const span of elementsOf(text)) {
    const element = text.slice(span.start, span.end);
    const names = element.startsWith("{") ? membersOf(element).filter((member) => member.name === key) : [];
    const name = names.length === 1 ? textOf(element, names[0]) : undefined;
    if (name !== undefined) elements.push({ text: element, name });
  }
  const verdicts = visible(
    kind,
    elements.map(({ name }) => name),
  );
  return `[${elements
    .filter((_, index) => verdicts[index] === "listed")
    .map((element) => element.text)
    .join(",")}]`;
}

function textOf(json: string, member: JsonMember | undefined): string | undefined {
  const value: unknown = member === undefined ? undefined : JSON.parse(valueText(json, member));
  return typeof value === "string" ? value : undefined;
}
