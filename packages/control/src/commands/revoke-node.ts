/**
 * Revokes a node of a delegation tree with all below it. Any node may be named: children made offline are on no
 * record, and it must be possible to end one of them alone. Revoking twice changes nothing.
 */
import type { NodeRevoke, NodeRevokeAnswer } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { Problem } from "../problem.ts";

const NODE = /^[0-9a-f]{32}$/;

export function revokeNode(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  node: string,
  input: NodeRevoke,
): Promise<NodeRevokeAnswer> {
  if (!NODE.test(node)) throw new Problem("fault_request", "a node is 32 lower-case hexadecimal digits");
  const revokedAtMs = context.clock.nowMs();
  return context.store.command(
    actor,
    tenantId,
    async (transaction) => {
      const before = await transaction.get("revocation", node);
      if (before !== undefined) return { node, revokedAtMs: before.value.revokedAtMs, changed: false };
      const value = { reason: input.reason, at: "control", revokedAtMs } as const;
      const version = await transaction.put("revocation", node, value, 0);
      transaction.record("token.revoked", { version, node, reason: input.reason });
      return { node, revokedAtMs, changed: true };
    },
    { urgent: true },
  );
}
