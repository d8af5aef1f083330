/** Lists the upstreams under observation, and those whose observation has ended by itself and not by a command. */
import type { ObserveView, Page } from "@writ/contract/admin";
import type { ControlContext } from "../control-context.ts";
import { selectObjects, viewOf } from "./read-objects.ts";

const OBSERVED_MAX = 10_000;

export function listObserved(context: ControlContext, tenantId: string): Promise<Page<ObserveView>> {
  const nowMs = context.clock.nowMs();
  return context.store.read([tenantId], async (transaction) => {
    const found = await selectObjects(transaction, tenantId, "observe_mode", { after: "", limit: OBSERVED_MAX });
    return { items: found.map((each) => ({ ...viewOf(each), active: nowMs < each.value.untilMs })) };
  });
}
