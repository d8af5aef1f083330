/**
 * Asks a policy about a call that is on record, as the decision asked it: for every recorded agent of the chain, at the
 * call's own time. Of arguments and of the agent's own words the log holds salted digests, so that an answer may depend
 * on them, or not be had. Allows nothing.
 */
import type { Action, JsonObject, Reason, RequestContext } from "@writ/contract";
import type { PolicyPort, PolicyResult } from "@writ/policy";
import { RESOURCE_KINDS } from "./describe.ts";
import { makePolicyInput } from "./policy-input.ts";
import type { TenantState } from "./tenant-state.ts";

/** What an event says of a call, in its words. */
export interface RecordedCall {
  /** Of the root token, or of the asserted subject. */
  readonly agentId: string;
  readonly principalId: string;
  /** Hex; absent for a subject that was asserted. */
  readonly node?: string | undefined;
  readonly root?: string | undefined;
  readonly action: Action;
  readonly upstream: string;
  /** "" where the action has none. */
  readonly tool: string;
  readonly definitionDigest: string;
  readonly protocol: RequestContext["protocol"];
  readonly timeMs: number;
  /** Whether it had arguments, which are not on record. */
  readonly hadArguments: boolean;
  /** Whether what it was on is not on record: a resource, a prompt, a path. */
  readonly hadOwnName: boolean;
}

export type Retrial =
  | { readonly kind: "allow"; readonly ruleId: string }
  | { readonly kind: "deny"; readonly reason: Reason; readonly ruleId: string }
  /** It depends on the arguments; the rule is one that asks for them. */
  | { readonly kind: "arguments"; readonly ruleId: string }
  /** name: what the call was on is not on record. gone: neither is who made it, any more. policy: it fails. */
  | { readonly kind: "unknown"; readonly why: "name" | "gone" | "policy" };

const NO_ARGUMENTS = Object.freeze(Object.create(null)) as JsonObject; // no members at all

/** Nodes of one token, at most: it can hold no more. */
const NODES_MAX = 64;

/**
 * Makes what retries calls of one tenant with one policy, and never throws. Names and labels of agents are those of
 * `state`, whatever they were then.
 */
export function createRetrial(state: TenantState, port: PolicyPort): (call: RecordedCall) => Retrial {
  let delegated: ReadonlySet<string> | undefined;
  /** Whether agents besides the root token's act below a root. */
  const isDelegated = (root: string): boolean => {
    delegated ??= new Set(
      [...state.list("node")]
        .filter(({ value }) => value.agentId !== state.get("root_token", value.root)?.agentId)
        .map(({ value }) => value.root),
    );
    return delegated.has(root);
  };
  return (call) => {
    if (call.hadOwnName) return { kind: "unknown", why: "name" };
    const chain = recordedChain(state, call, isDelegated);
    if (chain === undefined) return { kind: "unknown", why: "gone" };
    let depends: Retrial | undefined;
    let ruleId = "";
    for (const agentId of chain) {
      const retrial = retryFor(state, port, call, { agentId, chain });
      if (retrial.kind === "deny" || retrial.kind === "unknown") return retrial;
      if (retrial.kind === "arguments") depends ??= retrial;
      ruleId = retrial.ruleId;
    }
    return depends ?? { kind: "allow", ruleId };
  };
}

function retryFor(
  state: TenantState,
  port: PolicyPort,
  call: RecordedCall,
  who: { readonly agentId: string; readonly chain: readonly string[] },
): Retrial {
  const { principalId, root: rootNode, action, upstream, tool: name, definitionDigest, protocol, timeMs: nowMs } = call;
  const resource = { upstream, kind: RESOURCE_KINDS[action], name, definitionDigest };
  const context = { protocol, arguments: NO_ARGUMENTS };
  let input: ReturnType<typeof makePolicyInput>;
  try {
    input = makePolicyInput(state, { ...who, principalId, rootNode, action, resource, context, nowMs });
  } catch {
    // Who is on record no more has no name and no labels to judge by.
    return { kind: "unknown", why: "gone" };
  }
  try {
    if (!call.hadArguments) return retrialOf(port.decide(input));
    const bounds = port.bounds?.(input);
    if (bounds === undefined) return { kind: "arguments", ruleId: "" };
    const most = retrialOf(bounds.most);
    const least = retrialOf(bounds.least);
    // What the kindest answer denies is denied whatever the arguments were.
    if (most.kind !== "allow") return most;
    if (least.kind === "unknown") return least;
    return least.kind === "allow"
      ? least
      : { kind: "arguments", ruleId: least.ruleId === "" ? most.ruleId : least.ruleId };
  } catch {
    // A policy that throws would deny; the report says so by itself.
    return { kind: "unknown", why: "policy" };
  }
}

function retrialOf(result: PolicyResult): Extract<Retrial, { kind: "allow" | "deny" | "unknown" }> {
  switch (result.kind) {
    case "allow":
      return { kind: "allow", ruleId: result.ruleId };
    case "deny":
      return { kind: "deny", reason: result.reason, ruleId: result.ruleId };
    case "step_up":
      return { kind: "deny", reason: "step_up_unavailable", ruleId: result.ruleId };
    default:
      return { kind: "unknown", why: "policy" };
  }
}

/** The recorded agents from the root to the presenter; undefined when the log does not say which those were. */
function recordedChain(
  state: TenantState,
  { agentId, node, root }: RecordedCall,
  isDelegated: (root: string) => boolean,
): readonly string[] | undefined {
  if (node === undefined || root === undefined || node === root) return [agentId];
  const agents: string[] = [];
  for (let at = node; at !== root; ) {
    const recorded = state.get("node", at);
    // An unrecorded node lies below one that is not named: only where nobody else acts below the root is the chain known.
    if (recorded === undefined || agents.length === NODES_MAX) return isDelegated(root) ? undefined : [agentId];
    agents.unshift(recorded.agentId);
    at = recorded.parent;
  }
  return [agentId, ...agents].filter((id, index, all) => id !== all[index - 1]);
}
