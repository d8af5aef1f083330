/** An upstream as the API shows it. Values of a stdio upstream's environment are keys of other services: shown to nobody. */
import type { StoredTransport, Upstream, UpstreamTransport } from "@writ/contract";
import type { BreakerView, UpstreamView } from "@writ/contract/admin";
import type { UpstreamStandings } from "@writ/history";
import type { Stored } from "../store/control-store.ts";
import { viewOf } from "./read-objects.ts";

/** What stands for a value that is not shown. Given back in a change, it means the stored value of that name. */
export const VALUE_HIDDEN = "***";

export function makeUpstreamView(
  stored: Stored<Upstream>,
  toolsPinned: number,
  standings: UpstreamStandings,
): UpstreamView {
  // Its lock is what a review shows.
  const { lock: _, ...value } = stored.value;
  const view = viewOf({ ...stored, value });
  return {
    ...view,
    transport: hideEnvironment(stored.value.transport),
    toolsPinned,
    breaker: breakerOf(stored.id, standings),
  };
}

function breakerOf(upstreamId: string, { liveGateways, byUpstream }: UpstreamStandings): BreakerView {
  if (liveGateways === 0) return { state: "unknown", gateways: 0, liveGateways };
  const { open, halfOpen, untilMs } = byUpstream.get(upstreamId) ?? { open: 0, halfOpen: 0 };
  if (open > 0) return { state: "open", gateways: open, liveGateways, ...(untilMs === undefined ? {} : { untilMs }) };
  if (halfOpen > 0) return { state: "half_open", gateways: halfOpen, liveGateways };
  return { state: "closed", gateways: liveGateways, liveGateways };
}

function hideEnvironment(transport: StoredTransport): UpstreamTransport {
  if (transport.type !== "stdio") return transport;
  const env = Object.fromEntries(Object.keys(transport.env).map((name) => [name, VALUE_HIDDEN]));
  return { ...transport, env };
}
