/**
 * The lease that says this process is alive. While it is renewed, the calls it has open are its own; when it lapses,
 * any gateway turns them into `unknown`. Keeps no calls itself.
 */
export interface LeaseStore {
  /** Resolves to how many gateways hold a lease, this one included. */
  renew(gatewayId: string, ttlMs: number): Promise<number>;
  /** Ends the leases that have lapsed, their open calls as unknown; returns how many calls that were. */
  lapse(): Promise<number>;
  /** Ends this process's own lease, after drain. */
  end(gatewayId: string): Promise<void>;
}

export interface Leases {
  start(): Promise<void>;
  /** How many gateways held a lease when this one was renewed last; at least 1. */
  liveGateways(): number;
  close(): Promise<void>;
}

const LEASE_TTL_MS = 15_000;
const RENEW_EVERY_MS = 3_000;

export function createLeases(options: {
  readonly store: LeaseStore;
  readonly gatewayId: string;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}): Leases {
  const { store, gatewayId, log } = options;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let busy = false;
  let liveGateways = 1;

  async function renew(): Promise<void> {
    const live = Math.max(1, await store.renew(gatewayId, LEASE_TTL_MS));
    if (live !== liveGateways) log.info({ before: liveGateways, now: live }, "gateways that share each rate");
    liveGateways = live;
  }

  async function keep(): Promise<void> {
    if (busy) return;
    busy = true;
    try {
      await renew();
      const calls = await store.lapse();
      if (calls > 0) log.warn({ calls }, "calls of a gateway that is gone ended as unknown");
    } catch (error) {
      // A failure of the database: the lease may lapse; late outcomes of its calls still settle.
      log.warn({ error }, "the lease could not be renewed");
    } finally {
      busy = false;
    }
  }

  return {
    liveGateways: () => liveGateways,
    async start() {
      await renew();
      timer = setInterval(() => {
        running = keep();
      }, RENEW_EVERY_MS);
    },
    async close() {
      clearInterval(timer);
      await running;
      await store.end(gatewayId).catch((error: unknown) => log.warn({ error }, "the lease could not be ended"));
    },
  };
}
