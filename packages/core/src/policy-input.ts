/** Makes what a policy is asked: names and labels of whom authority knows, and what of the attempt a policy may rest on. */
import { type Action, ANONYMOUS, type RequestContext, type Resource } from "@writ/contract";
import type { PolicyInput } from "@writ/policy";
import type { TenantState } from "./tenant-state.ts";

interface PolicyQuestion {
  /** The agent that is asked about: one of the chain. */
  readonly agentId: string;
  readonly chain: readonly string[];
  readonly principalId: string;
  /** Undefined: no token was presented. */
  readonly rootNode: string | undefined;
  readonly action: Action;
  readonly resource: Resource;
  readonly context: Pick<RequestContext, "protocol" | "arguments" | "argumentsUnseen">;
  readonly nowMs: number;
}

/** Throws a TypeError for whom authority does not know: whoever asks has judged the standing before. */
export function makePolicyInput(state: TenantState, question: PolicyQuestion): PolicyInput {
  const { agentId, chain, principalId, rootNode, action, resource, context, nowMs } = question;
  const principal = principalId === ANONYMOUS ? NOBODY : state.get("principal", principalId);
  const minted = rootNode === undefined ? [] : state.get("root_token", rootNode)?.caveats;
  if (principal === undefined || minted === undefined) throw new TypeError("standing was not judged");
  return {
    version: 1,
    subject: {
      agent: policyAgent(state, agentId),
      principal: { id: principalId, name: principal.name, type: principal.type },
      actorChain: chain.map((id) => policyAgent(state, id)),
    },
    action,
    resource,
    context: {
      protocol: context.protocol,
      timeMs: nowMs,
      mintedCaveats: minted,
      arguments: context.arguments,
      ...(context.argumentsUnseen === undefined ? {} : { argumentsUnseen: context.argumentsUnseen }),
    },
  };
}

/** The principal of an attempt for which nobody presented a credential. */
const NOBODY = { name: ANONYMOUS, type: "anonymous" } as const;

function policyAgent(state: TenantState, id: string): PolicyInput["subject"]["agent"] {
  if (id === ANONYMOUS) return { id, name: ANONYMOUS, labels: {} };
  const agent = state.get("agent", id);
  if (agent === undefined) throw new TypeError("standing was not judged");
  return { id, name: agent.name, labels: agent.labels };
}
