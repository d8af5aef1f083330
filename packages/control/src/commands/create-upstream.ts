/** Registers an upstream. None of its tools can be called before they are pinned. */
import type { UpstreamCreate, UpstreamView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { makeUpstreamView } from "../queries/make-upstream-view.ts";
import { requireTransportAuthority } from "./require-transport-authority.ts";
import { storeTransport } from "./store-transport.ts";

export const UPSTREAM_DEFAULTS = { isolation: "principal", timeoutMs: 60_000, concurrencyMax: 64 } as const;

export function createUpstream(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: UpstreamCreate,
): Promise<UpstreamView> {
  requireTransportAuthority(actor, input.transport);
  checkTransport(input.transport);
  const id = makeId(context);
  const value = {
    name: input.name,
    transport: storeTransport(context, { tenantId, upstreamId: id }, input.transport, undefined),
    isolation: input.isolation ?? UPSTREAM_DEFAULTS.isolation,
    status: "active",
    timeoutMs: input.timeoutMs ?? UPSTREAM_DEFAULTS.timeoutMs,
    concurrencyMax: input.concurrencyMax ?? UPSTREAM_DEFAULTS.concurrencyMax,
  } as const;
  return context.store.command(actor, tenantId, async (transaction) => {
    const version = await transaction.put("upstream", id, value, 0);
    transaction.record("upstream.created", { version, upstreamId: id, upstream: value.name });
    return makeUpstreamView({ id, version, value }, 0);
  });
}

/** Problem `fault_request` for a URL that cannot be one, or that would carry a credential into logs and lists. */
export function checkTransport(transport: UpstreamCreate["transport"]): void {
  if (transport.type !== "http") return;
  const url = URL.canParse(transport.url) ? new URL(transport.url) : undefined;
  if (url === undefined) throw new Problem("fault_request", "transport.url is not a URL");
  if (url.username !== "" || url.password !== "" || url.hash !== "") {
    throw new Problem("fault_request", "transport.url must hold neither credentials nor a fragment");
  }
}
