/**
 * Names on the endpoint that leads to all upstreams: `upstream__tool`, `upstream__prompt` and `upstream+URI`. An upstream's
 * name has neither an underscore nor a plus, so the first of either ends it. Names are put into texts and taken out of
 * them; every other byte stays.
 */
import type { JsonObject } from "@writ/contract";
import { elementsOf, findMember, membersOf, valueText, withMember } from "../../json-members.ts";
import { isObject, type McpRequest } from "./decode.ts";

/** The name of no upstream: what is attempted on it does not exist. */
export const NO_UPSTREAM = "-";

const NAME_END = "__";
const URI_END = "+";

function nameOn(upstream: string, name: string): string {
  return `${upstream}${NAME_END}${name}`;
}

export function uriOn(upstream: string, uri: string): string {
  return `${upstream}${URI_END}${uri}`;
}

/** The URI as the upstream knows it; undefined when it is another upstream's. */
export function uriOf(upstream: string, uri: string): string | undefined {
  const prefix = `${upstream}${URI_END}`;
  return uri.startsWith(prefix) ? uri.slice(prefix.length) : undefined;
}

function split(whole: unknown, end: string): readonly [upstream: string, rest: string] {
  const at = typeof whole === "string" ? whole.indexOf(end) : -1;
  if (typeof whole !== "string" || at < 1 || at + end.length === whole.length) return [NO_UPSTREAM, String(whole)];
  return [whole.slice(0, at), whole.slice(at + end.length)];
}

/** A request as its upstream gets it, and which that is; undefined where the request names nothing of one. */
export function requestFor(
  request: McpRequest,
): { readonly upstream: string; readonly request: McpRequest } | undefined {
  const { params } = request;
  switch (request.method) {
    case "tools/call":
    case "prompts/get": {
      const [upstream, name] = split(params["name"], NAME_END);
      return typeof params["name"] === "string" ? { upstream, request: renamed(request, "name", name) } : undefined;
    }
    case "resources/read":
    case "resources/subscribe": {
      const [upstream, uri] = split(params["uri"], URI_END);
      return typeof params["uri"] === "string" ? { upstream, request: renamed(request, "uri", uri) } : undefined;
    }
    case "completion/complete": {
      const { ref } = params;
      if (!isObject(ref)) return undefined;
      const member = ref["name"] === undefined ? "uri" : "name";
      const [upstream, rest] = split(ref[member], member === "uri" ? URI_END : NAME_END);
      if (typeof ref[member] !== "string") return undefined;
      const found = findMember(membersOf(request.paramsText), "ref");
      const text = found === undefined ? "{}" : valueText(request.paramsText, found);
      return {
        upstream,
        request: {
          ...request,
          params: withValue(params, "ref", withValue(ref, member, rest)),
          paramsText: withMember(request.paramsText, "ref", withMember(text, member, JSON.stringify(rest))),
        },
      };
    }
    default:
      return undefined;
  }
}

function renamed(request: McpRequest, member: string, value: string): McpRequest {
  const paramsText = withMember(request.paramsText, member, JSON.stringify(value));
  return { ...request, params: withValue(request.params, member, value), paramsText };
}

function withValue(object: JsonObject, name: string, value: string | JsonObject): JsonObject {
  // Null-prototype, as every JsonObject is.
  return Object.assign(Object.create(null) as Record<string, unknown>, object, { [name]: value }) as JsonObject;
}

/** What a list has, by its method: the member that holds it, and the one that names an element. */
export const LISTS = {
  "tools/list": { member: "tools", key: "name", on: nameOn },
  "prompts/list": { member: "prompts", key: "name", on: nameOn },
  "resources/list": { member: "resources", key: "uri", on: uriOn },
  "resources/templates/list": { member: "resourceTemplates", key: "uriTemplate", on: uriOn },
} as const;

/** JSON texts of the elements of a list of one upstream, under the names of this endpoint. */
export function elementsOn(
  upstream: string,
  list: string,
  { key, on }: { readonly key: string; readonly on: (upstream: string, name: string) => string },
): readonly string[] {
  if (!list.startsWith("[")) return [];
  return elementsOf(list).map(({ start, end }) => rename(list.slice(start, end), key, (name) => on(upstream, name)));
}

function rename(object: string, key: string, to: (name: string) => string): string {
  const found = object.startsWith("{") ? findMember(membersOf(object), key) : undefined;
  const name: unknown = found === undefined ? undefined : JSON.parse(valueText(object, found));
  return typeof name === "string" ? withMember(object, key, JSON.stringify(to(name))) : object;
}

/** The result of a `resources/read`, its contents under the URIs of this endpoint. */
export function contentsOn(upstream: string, result: string): string {
  const found = findMember(membersOf(result), "contents");
  const list = found === undefined ? "" : valueText(result, found);
  if (!list.startsWith("[")) return result;
  return withMember(result, "contents", `[${elementsOn(upstream, list, { key: "uri", on: uriOn }).join(",")}]`);
}

/** The `params` of an update of a resource. */
export function updateOn(upstream: string, params: string): string {
  return rename(params, "uri", (uri) => uriOn(upstream, uri));
}
