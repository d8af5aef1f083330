/**
 * What the gateway asks upstreams by itself: their catalogues. Each upstream is read once when it appears or changes
 * and then at intervals; what was seen is stored as an observation and said in an event. Pinning what was seen, so
 * that it can be called, is a command of the control plane.
 */
import { type AuditEvent, makeUuidv7, type Upstream } from "@writ/contract";
import type { TenantState } from "@writ/core";
import { type Clock, Failure, type Random } from "./ports.ts";
import type { ObservationStore } from "./store/observation-store.ts";

export interface CatalogueReader {
  /** The tools' definitions as the upstream gave them, byte for byte. Throws a Failure. */
  readCatalogue(
    tenantId: string,
    upstreamId: string,
    upstream: Upstream,
    signal: AbortSignal,
  ): Promise<{ readonly tools: readonly { readonly name: string; readonly definition: string }[] }>;
}

export interface CatalogueWatch {
  /** Looks for upstreams of a tenant that were not read as they are now. */
  review(state: TenantState): void;
  close(): Promise<void>;
}

export interface CatalogueWatchOptions {
  readonly reader: CatalogueReader;
  readonly store: ObservationStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly gatewayId: string;
  readonly record: (event: AuditEvent) => void;
  readonly log: { warn(fields: object, message: string): void };
}

/** Catalogues read at once. */
const READING_MAX = 4;
/** Upstreams waiting to be read; beyond, they are found again at the next review. */
const WAITING_MAX = 1_000;
const DETAIL_LENGTH_MAX = 500;
const READ_TIMEOUT_MS = 30_000;
const AGAIN_AFTER_MS = 10 * 60_000;
const AGAIN_AFTER_FAILURE_MS = 15_000;

interface Task {
  readonly tenantId: string;
  readonly upstreamId: string;
  readonly upstream: Upstream;
}

export function createCatalogueWatch(options: CatalogueWatchOptions): CatalogueWatch {
  const { reader, store, clock, random, log } = options;
  /** What was read last of each upstream, and when to read it again. */
  const seen = new Map<string, { readonly transport: string; readonly againMs: number }>();
  const waiting: Task[] = [];
  const running = new Set<Promise<void>>();
  const closing = new AbortController();

  function review(state: TenantState): void {
    const nowMs = clock.monotonicMs();
    for (const { id, value } of state.list("upstream")) {
      if (value.status !== "active") continue;
      const key = `${state.tenantId}/${id}`;
      const transport = JSON.stringify(value.transport);
      const known = seen.get(key);
      if (known !== undefined && known.transport === transport && nowMs < known.againMs) continue;
      if (waiting.length >= WAITING_MAX) return;
      seen.set(key, { transport, againMs: nowMs + AGAIN_AFTER_MS });
      waiting.push({ tenantId: state.tenantId, upstreamId: id, upstream: value });
    }
    pump();
  }

  function pump(): void {
    while (running.size < READING_MAX && !closing.signal.aborted) {
      const task = waiting.shift();
      if (task === undefined) return;
      const run = read(task).finally(() => {
        running.delete(run);
        pump();
      });
      running.add(run);
    }
  }

  async function read(task: Task): Promise<void> {
    const { tenantId, upstreamId, upstream } = task;
    let tools: readonly { name: string; definition: string }[] = [];
    let status = "ok";
    let detail = "";
    try {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(READ_TIMEOUT_MS)]);
      ({ tools } = await reader.readCatalogue(tenantId, upstreamId, upstream, signal));
    } catch (error) {
      // A failure of the upstream becomes an observation that says so, and is tried again soon.
      if (closing.signal.aborted) return;
      log.warn({ error, upstream: upstream.name }, "an upstream's catalogue could not be read");
      status = "failed";
      if (error instanceof Failure) detail = error.message.slice(0, DETAIL_LENGTH_MAX);
      const transport = JSON.stringify(upstream.transport);
      seen.set(`${tenantId}/${upstreamId}`, { transport, againMs: clock.monotonicMs() + AGAIN_AFTER_FAILURE_MS });
    }
    const timeMs = clock.nowMs();
    try {
      const definitions = tools.map((tool) => tool.definition);
      await store.observe({
        tenantId,
        upstreamId,
        gatewayId: options.gatewayId,
        observedAtMs: timeMs,
        status,
        detail,
        definitions,
      });
      options.record({
        event: "catalogue.read",
        id: makeUuidv7(timeMs, random.bytes(10)),
        timeMs,
        tenantId,
        fields: { upstream: upstream.name, status, tools: tools.length },
      });
    } catch (error) {
      // A failure of the database: forgotten here, so that the next review reads again.
      seen.delete(`${tenantId}/${upstreamId}`);
      if (!closing.signal.aborted) log.warn({ error, upstream: upstream.name }, "a catalogue could not be stored");
    }
  }

  return {
    review,
    async close() {
      closing.abort();
      waiting.length = 0;
      await Promise.all(running);
    },
  };
}
