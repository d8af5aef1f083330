/** Changes an upstream's transport, limits or status. Its name never changes: endpoints and tokens hold it. */
import type { UpstreamUpdate, UpstreamView } from "@writ/contract/admin";
import { readStandings } from "@writ/history";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { countTools } from "../queries/count-tools.ts";
import { makeUpstreamView } from "../queries/make-upstream-view.ts";
import { applyChange, getForChange, requireTarget } from "./change-object.ts";
import { checkTransport } from "./create-upstream.ts";
import { requireTransportAuthority } from "./require-transport-authority.ts";
import { storeTransport } from "./store-transport.ts";

export function updateUpstream(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  reference: string,
  input: UpstreamUpdate,
): Promise<UpstreamView> {
  const { version: expected, transport: given, ...rest } = input;
  if (given !== undefined) {
    requireTransportAuthority(actor, given);
    checkTransport(given);
  }
  return context.store.command(actor, tenantId, async (transaction) => {
    const id = await requireTarget(transaction, "upstream", reference);
    const stored = await getForChange(transaction, "upstream", id, expected);
    if (given !== undefined) requireTransportAuthority(actor, stored.value.transport);
    const place = { tenantId, upstreamId: id };
    const transport = given === undefined ? undefined : storeTransport(context, place, given, stored.value.transport);
    const { value, changed } = applyChange(stored.value, {
      ...rest,
      ...(transport === undefined ? {} : { transport }),
    });
    const version = await transaction.put("upstream", id, value, expected);
    if (changed.includes("transport")) {
      // What was seen over the old transport must not be pinned for the new one.
      await transaction.query("DELETE FROM catalogue_observation WHERE tenant_id = $1 AND upstream_id = $2", [
        tenantId,
        id,
      ]);
    }
    transaction.record("upstream.updated", { version, upstreamId: id, changed });
    const toolsPinned = await countTools(transaction, tenantId, value.name);
    return makeUpstreamView({ id, version, value }, toolsPinned, await readStandings(transaction));
  });
}
