/** The data plane as a whole: the core with its adapters behind one listener. */
import { createGatewayCore, type GatewayOptions } from "./compose.ts";
import { createMcpRoutes } from "./protocols/mcp/mcp-routes.ts";
import { createAttenuateRoutes } from "./protocols/tokens/attenuate-route.ts";
import { createDataListener } from "./server/data-listener.ts";
import { DATA_LISTENER_LIMITS, type ListenerLimits } from "./server/limits.ts";

export interface GatewayListenerOptions extends GatewayOptions {
  readonly host: string;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** How agents reach the gateway; a function, because the port may be found late. */
  readonly publicUrl: () => string;
  readonly limits?: Partial<ListenerLimits>;
}

export interface Gateway {
  readonly gatewayId: string;
  /** Reads authority, takes the lease. Before `listen`. */
  start(): Promise<void>;
  /** Resolves to the port. Rejects with code EADDRINUSE when it is taken. */
  listen(port: number): Promise<number>;
  /** Takes nothing new, lets what runs end, puts everything on record; bounded. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

const DRAIN_MS = 10_000;

export function createGateway(options: GatewayListenerOptions): Gateway {
  const core = createGatewayCore(options);
  const { gate, attenuation, notReady } = core;
  const { clock, random, version, publicUrl, log } = options;
  const listener = createDataListener({
    limits: { ...DATA_LISTENER_LIMITS, ...options.limits },
    allowedHosts: options.allowedHosts,
    allowedOrigins: options.allowedOrigins,
    routes: [
      ...createMcpRoutes({ gate, clock, random, publicUrl, version }),
      ...createAttenuateRoutes({ gate, attenuation, publicUrl }),
    ],
    notReady,
    log: (event, fields) => log.warn(fields, event),
  });
  return {
    gatewayId: core.gatewayId,
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
