/** Describe: makes the one access request of an attempt, and checks that one is complete. It judges nothing else. */
import {
  type AccessRequest,
  type Action,
  type HttpResource,
  isAction,
  type Resource,
  readHttpMethod,
  readHttpTarget,
} from "@writ/contract";
import { actorChain } from "./actor-chain.ts";
import { findHttpRoute } from "./http-routes.ts";
import type { DescribeInput, Presenter } from "./judgement.ts";
import type { TenantState } from "./tenant-state.ts";

/** The access request of an attempt, with what authority knows of it: the actor chain and the pinned definition. */
export function describe(state: TenantState, input: DescribeInput): AccessRequest {
  const { token, action, upstream, tool, named, http } = input;
  const chain = actorChain(state, token);
  const pinned = action === "tool.call" ? state.get("tool", `${upstream}/${tool}`) : undefined;
  return {
    subject: {
      agentId: input.subject ?? chain.at(-1) ?? token.agentId,
      principalId: token.principalId,
      actorChain: chain,
    },
    action,
    resource: {
      upstream,
      kind: named?.kind ?? RESOURCE_KINDS[action],
      name: named?.name ?? (http === undefined ? tool : routeName(state, upstream, http)),
      definitionDigest: pinned?.digest ?? "",
      ...(http === undefined ? {} : { http: { method: http.method, path: http.path, query: http.query } }),
    },
    context: {
      callId: input.callId,
      protocol: input.protocol,
      timeMs: input.nowMs,
      arguments: input.arguments,
      ...(input.argumentsUnseen === undefined ? {} : { argumentsUnseen: input.argumentsUnseen }),
      ...(input.address === undefined ? {} : { address: input.address }),
    },
  };
}

/** The route that a request takes, by its name; "" when there is none. */
function routeName(state: TenantState, upstream: string, { method, path }: HttpResource): string {
  const known = state.upstreamByName(upstream);
  return (known && findHttpRoute(known.value.transport, method, path)?.match) ?? "";
}

export const RESOURCE_KINDS: Readonly<Record<Action, Resource["kind"]>> = {
  "tool.call": "tool",
  "tool.list": "catalogue",
  "resource.read": "resource",
  "resource.list": "catalogue",
  "resource.subscribe": "resource",
  "prompt.get": "prompt",
  "prompt.list": "catalogue",
  completion: "prompt",
  "mcp.session": "session",
  "client.sample": "session",
  "client.elicit": "session",
  "client.roots": "session",
  "model.generate": "model",
  "model.list": "catalogue",
  "http.request": "http",
  "token.attenuate": "token",
};

const NAMED: ReadonlySet<Resource["kind"]> = new Set(["tool", "resource", "prompt"]);

/** What an access request lacks for a decision about this token, in words; undefined when it is complete. */
export function incompleteness(request: AccessRequest, token: Presenter, chain: readonly string[]): string | undefined {
  const { subject, action, resource, context } = request;
  if (!isAction(action)) return "the action is none of the closed list";
  if (subject.agentId !== chain.at(-1) || subject.principalId !== token.principalId) {
    return "the subject is not the token's";
  }
  if (subject.actorChain.length !== chain.length || subject.actorChain.some((id, index) => id !== chain[index])) {
    return "the actor chain is not the recorded one";
  }
  // What is completed is an argument of a prompt, or a variable of a resource template.
  const isTemplate = action === "completion" && resource.kind === "resource";
  if (resource.kind !== RESOURCE_KINDS[action] && !isTemplate)
    return "the resource is of another kind than the action's";
  if ((resource.upstream === "") !== (action === "token.attenuate")) return "the upstream is missing or out of place";
  if (resource.name === "" && NAMED.has(resource.kind)) return `the ${resource.kind} is missing`;
  if ((resource.http !== undefined) !== (action === "http.request"))
    return "the method and path are missing or out of place";
  if (resource.http !== undefined && !isSpelt(resource.http))
    return "the method, path or query is not in its one spelling";
  if (context.callId === "" || !Number.isFinite(context.timeMs)) return "the call's id or time is missing";
  if (typeof context.arguments !== "object" || context.arguments === null) return "the arguments are missing";
  return undefined;
}

/** Whether this is what is sent, byte for byte, whoever described it. */
function isSpelt({ method, path, query }: HttpResource): boolean {
  const read = readHttpTarget(query === "" ? path : `${path}?${query}`);
  return (
    readHttpMethod(method).kind === "method" &&
    read.kind === "target" &&
    read.target.path === path &&
    read.target.query === query
  );
}
