/**
 * Observe mode: which upstreams are under observation, for what, and until when. What becomes of a policy's no there is
 * judge.ts's to say.
 */
import { type Action, OBSERVE_MS_MAX } from "@writ/contract";
import type { TenantState } from "./tenant-state.ts";

/** What a policy may only observe. An action that is not here is denied under observation as well. */
const OBSERVABLE: ReadonlySet<Action> = new Set([
  "tool.call",
  "tool.list",
  "resource.read",
  "resource.list",
  "resource.subscribe",
  "prompt.get",
  "prompt.list",
  "completion",
  "mcp.session",
  "http.request",
]);

/** Until when an upstream is under observation for an action, in milliseconds since the epoch; undefined when it is not. */
export function observedUntilMs(
  state: TenantState,
  { upstream, action, nowMs }: { readonly upstream: string; readonly action: Action; readonly nowMs: number },
): number | undefined {
  if (!OBSERVABLE.has(action)) return undefined;
  const known = state.upstreamByName(upstream);
  const mode = known === undefined ? undefined : state.get("observe_mode", known.id);
  if (mode === undefined) return undefined;
  const { startedAtMs, untilMs } = mode;
  // Written so that what is no number is no observation.
  return nowMs < untilMs && untilMs - startedAtMs <= OBSERVE_MS_MAX ? untilMs : undefined;
}

export interface ObservedUpstream {
  readonly upstream: string;
  readonly untilMs: number;
}

/** The upstreams of a tenant that are under observation now, by name. */
export function observedUpstreams(state: TenantState, nowMs: number): readonly ObservedUpstream[] {
  const observed: ObservedUpstream[] = [];
  for (const { id } of state.list("observe_mode")) {
    const upstream = state.get("upstream", id)?.name;
    if (upstream === undefined) continue;
    const untilMs = observedUntilMs(state, { upstream, action: "tool.call", nowMs });
    if (untilMs !== undefined) observed.push({ upstream, untilMs });
  }
  return observed.sort((a, b) => (a.upstream < b.upstream ? -1 : 1));
}
