/** The access request: what every check sees of one attempt. How it is made from a call is core's. */
import type { Action } from "./actions.ts";
import type { JsonObject } from "./strict-json.ts";

/**
 * The subject of a call for which nobody presented a credential. Identifiers of agents and principals are UUIDs, and none
 * of them is given this name.
 */
export const ANONYMOUS = "anonymous";

/**
 * The one value that every check sees: caveats, policy, budgets and the log. It describes exactly one attempt.
 * Shape after OpenID AuthZEN 1.0 (subject, action, resource, context).
 */
export interface AccessRequest {
  readonly subject: Subject;
  readonly action: Action;
  readonly resource: Resource;
  readonly context: RequestContext;
}

export interface Subject {
  /** The agent's identifier (UUID), as named by its credential, or `ANONYMOUS`. */
  readonly agentId: string;
  /** The principal to whom the authority ultimately belongs. */
  readonly principalId: string;
  /** Recorded agents of the token chain, from the root to the presenter; the last equals `agentId`. */
  readonly actorChain: readonly string[];
}

export interface Resource {
  /** The upstream's name, unique in the tenant; "" for actions on no upstream (`token.attenuate`). */
  readonly upstream: string;
  readonly kind: "tool" | "catalogue" | "session" | "token" | "model" | "http" | "resource" | "prompt";
  /**
   * The tool's name as the upstream knows it, the resource's URI, the prompt's name, or the text of the route that an
   * HTTP request takes; "" where the action has none.
   */
  readonly name: string;
  /** SHA-256 (hex) of the pinned tool definition; "" where there is none. */
  readonly definitionDigest: string;
  /** Of an `http.request`, and of nothing else. */
  readonly http?: HttpResource;
}

/** What an HTTP request asks for, in its one spelling (`readHttpMethod`, `readHttpTarget`); `name` is its route. */
export interface HttpResource {
  readonly method: string;
  /** Below the upstream's base URL. */
  readonly path: string;
  /** Without the question mark; "" when there is none. */
  readonly query: string;
}

export interface RequestContext {
  readonly callId: string;
  readonly protocol: "mcp" | "llm" | "http" | "decision" | "api";
  /** Gateway time of the decision, milliseconds since the epoch. */
  readonly timeMs: number;
  /** The arguments exactly as they will be forwarded, strictly parsed; {} where there are none, or none can be seen. */
  readonly arguments: JsonObject;
  /** The presenter's address as its listener saw it; absent where no listener did, or saw somebody else's. */
  readonly address?: string;
  /** The request has a body that nobody has read as arguments: no condition on arguments can be judged by it. */
  readonly argumentsUnseen?: true;
}
