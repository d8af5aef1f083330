/** Lists engaged kill switches: those of a tenant, and the instance's, which binds it as well. */
import { INSTANCE_TENANT } from "@writ/contract";
import type { KillView, Page } from "@writ/contract/admin";
import type { ControlContext } from "../control-context.ts";
import { selectObjects, viewOf } from "./read-objects.ts";

const KILLS_MAX = 10_000;

export function listKills(context: ControlContext, tenantId: string): Promise<Page<KillView>> {
  const tenants = tenantId === INSTANCE_TENANT ? [tenantId] : [INSTANCE_TENANT, tenantId];
  return context.store.read(tenants, async (transaction) => {
    const items: KillView[] = [];
    for (const tenant of tenants) {
      const page = { after: "", limit: KILLS_MAX };
      items.push(...(await selectObjects(transaction, tenant, "kill", page)).map((kill) => viewOf(kill)));
    }
    return { items };
  });
}
