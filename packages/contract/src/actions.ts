/**
 * The closed list of actions an agent can attempt. Adding one is a change of the wire contract:
 * tokens, policies and the log name actions by these strings.
 */
export const ACTIONS = [
  "tool.call",
  "tool.list",
  "resource.read",
  "resource.list",
  "resource.subscribe",
  "prompt.get",
  "prompt.list",
  "completion",
  "mcp.session",
  "client.sample",
  "client.elicit",
  "client.roots",
  "model.generate",
  "model.list",
  "http.request",
  "token.attenuate",
] as const;

export type Action = (typeof ACTIONS)[number];

/** The actions that use up `calls` caveats and budgets; every other action is free. */
const CHARGED: ReadonlySet<Action> = new Set(["tool.call", "model.generate", "http.request"]);

/** Whether an attempt of `action` uses up `calls` and budgets. */
export function isCharged(action: Action): boolean {
  return CHARGED.has(action);
}

export function isAction(value: unknown): value is Action {
  return typeof value === "string" && (ACTIONS as readonly string[]).includes(value);
}
