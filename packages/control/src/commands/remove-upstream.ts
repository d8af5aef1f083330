/** Removes an upstream with its pinned tools, in one revision. */

import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { getForChange, requireTarget } from "./change-object.ts";

export function removeUpstream(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  reference: string,
  expected: number,
): Promise<null> {
  return context.store.command(actor, tenantId, async (transaction) => {
    const id = await requireTarget(transaction, "upstream", reference);
    const { value } = await getForChange(transaction, "upstream", id, expected);
    for (const tool of await transaction.find("tool", { member: "upstream", equals: value.name })) {
      await transaction.remove("tool", tool.id, tool.version);
    }
    const observe = await transaction.get("observe_mode", id);
    if (observe !== undefined) await transaction.remove("observe_mode", id, observe.version);
    await transaction.remove("upstream", id, expected);
    transaction.record("upstream.removed", { version: expected, upstreamId: id, upstream: value.name });
    return null;
  });
}
