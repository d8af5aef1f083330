/**
 * Who is asking: the recorded agents of a token's path. Only what is on record counts; a holder can name nobody.
 */
import type { Presenter } from "./judgement.ts";
import type { TenantState } from "./tenant-state.ts";

/** Recorded agents from the root to the presenter, repeated neighbours once; the last is the subject. */
export function actorChain(state: TenantState, token: Presenter): readonly string[] {
  const chain = [token.agentId];
  for (const node of token.path) {
    const agentId = state.get("node", node)?.agentId;
    if (agentId !== undefined && agentId !== chain.at(-1)) chain.push(agentId);
  }
  return chain;
}
