/**
 * Builds the data plane from plain parameters (the core, its adapters, one listener) and returns what a process does
 * with it: start, listen, drain, close. Reads no environment, no files and no arguments.
 */
import { createGatewayCore, type GatewayOptions } from "./gateway-core.ts";
import type { ObservedOfTenant } from "./observed-upstreams.ts";
import { createDecisionRoutes } from "./protocols/decision/decision-routes.ts";
import { createForwardAuthRoutes } from "./protocols/decision/forward-auth.ts";
import { createHttpRoutes } from "./protocols/http/http-routes.ts";
import { createMcpRoutes } from "./protocols/mcp/mcp-routes.ts";
import { createAttenuateRoutes } from "./protocols/tokens/attenuate-route.ts";
import { createBudgetRoutes } from "./protocols/tokens/budget-route.ts";
import { createDataListener } from "./server/data-listener.ts";
import { DATA_LISTENER_LIMITS, type ListenerLimits } from "./server/limits.ts";

export interface GatewayListenerOptions extends GatewayOptions {
  readonly host: string;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** How agents reach the gateway; a function, because the port may be found late. */
  readonly publicUrl: () => string;
  /** How long an agent of a revision with sessions may be away from the stream of a call. */
  readonly resumeWithinMs: number;
  readonly limits?: Partial<ListenerLimits>;
}

export interface Gateway {
  readonly gatewayId: string;
  /** Reads authority, takes the lease. Before `listen`. */
  start(): Promise<void>;
  /** Resolves to the port. Rejects with code EADDRINUSE when it is taken. */
  listen(port: number): Promise<number>;
  /** The upstreams under observation, of the tenants in memory: what their policies would deny is allowed. */
  observed(): readonly ObservedOfTenant[];
  /** Takes nothing new, lets what runs end, puts everything on record; bounded. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

const DRAIN_MS = 10_000;

export function createGateway(options: GatewayListenerOptions): Gateway {
  const core = createGatewayCore(options);
  const { gate, notReady } = core;
  const { clock, random, version, publicUrl, resumeWithinMs, log } = options;
  const listener = createDataListener({
    limits: { ...DATA_LISTENER_LIMITS, ...options.limits },
    allowedHosts: options.allowedHosts,
    allowedOrigins: options.allowedOrigins,
    routes: [
      ...createMcpRoutes({ gate, clock, random, publicUrl, version, resumeWithinMs }),
      ...createHttpRoutes({ gate, publicUrl }),
      ...createAttenuateRoutes({ gate, publicUrl }),
      ...createBudgetRoutes({ gate, publicUrl }),
      ...createDecisionRoutes({ gate, publicUrl }),
      ...createForwardAuthRoutes({ gate, publicUrl }),
    ],
    notReady,
    isObserving: core.isObserving,
    admitAddress: core.admitAddress,
    log: (event, fields) => log.warn(fields, event),
  });
  return {
    gatewayId: core.gatewayId,
    observed: core.observed,
    start: () => core.start(),
    listen: (port) => listener.listen(port, options.host),
    async drain() {
      await Promise.all([listener.drain(DRAIN_MS), core.drain(DRAIN_MS)]);
    },
    async close() {
      await listener.close();
      await core.close();
    },
  };
}
