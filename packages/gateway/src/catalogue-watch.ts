/**
 * What the gateway asks upstreams by itself: their catalogues. Each upstream is read when it appears or changes, when
 * the control plane asks for it, when it says that its tools have changed, and at intervals. What has drifted from what is pinned is quarantined at once; what was
 * seen is stored as an observation and said in events. Pinning, so that something can be called, is a command of the
 * control plane: nothing here widens.
 */
import { hash } from "node:crypto";
import { type AuditEvent, type EventName, makeUuidv7, type Upstream } from "@writ/contract";
import {
  type CatalogueComparison,
  canonicalInstructions,
  compareCatalogue,
  pinnedTextOf,
  type SeenCatalogue,
  type TenantState,
} from "@writ/core";
import { QUARANTINE_MAX, type Quarantined } from "@writ/history";
import { type Clock, Failure, type Random } from "./ports.ts";
import type { ObservationStore } from "./store/observation-store.ts";

export interface CatalogueReader {
  /** The tools' definitions as the upstream gave them, byte for byte. Throws a Failure. */
  readCatalogue(tenantId: string, upstreamId: string, upstream: Upstream, signal: AbortSignal): Promise<SeenCatalogue>;
}

export interface CatalogueWatch {
  /** Looks for upstreams of a tenant that were not read as they are now. */
  review(state: TenantState): void;
  /**
   * An upstream says that its tools have changed: read at once, but neither beside a reading that is under way nor sooner
   * than some seconds after one that it caused; then at the next review.
   */
  heard(tenantId: string, upstreamId: string): void;
  /** Reads what the control plane asked for, of tenants that are in memory. Never rejects. */
  serve(): Promise<void>;
  close(): Promise<void>;
}

export interface CatalogueWatchOptions {
  readonly reader: CatalogueReader;
  readonly store: ObservationStore;
  readonly states: {
    current(tenantId: string): TenantState | undefined;
    catchUp(tenantId: string, signal: AbortSignal): Promise<TenantState | undefined>;
  };
  readonly clock: Clock;
  readonly random: Random;
  readonly gatewayId: string;
  /** How long after a reading the next one follows. */
  readonly intervalMs: number;
  readonly record: (event: AuditEvent) => void;
  readonly log: { warn(fields: object, message: string): void };
}

/** Catalogues read at once. */
const READING_MAX = 4;
/** Upstreams waiting to be read; beyond, they are found again at the next review. */
const WAITING_MAX = 1_000;
const DETAIL_LENGTH_MAX = 500;
const READ_TIMEOUT_MS = 30_000;
const AGAIN_AFTER_FAILURE_MS = 15_000;
const CATCH_UP_MS = 5_000;
/** What an upstream says cannot have it read more often. */
const HEARD_EVERY_MS = 5_000;
/** Names of one kind in one event. */
const NAMES_MAX = 100;

interface Task {
  readonly tenantId: string;
  readonly upstreamId: string;
  readonly upstream: Upstream;
  /** Which of the readings asked for this is; 0 for one that nobody asked for. */
  readonly wanted: number;
}

interface Seen {
  readonly transport: string;
  readonly againMs: number;
  readonly wanted: number;
}

export function createCatalogueWatch(options: CatalogueWatchOptions): CatalogueWatch {
  const { reader, store, states, clock, random, gatewayId, log } = options;
  /** What was read last of each upstream, and when to read it again. */
  const seen = new Map<string, Seen>();
  const waiting: Task[] = [];
  const running = new Set<Promise<void>>();
  /** How many readings of each upstream wait or are under way. */
  const busy = new Map<string, number>();
  /** When each upstream was last read for what it said. */
  const heardMs = new Map<string, number>();
  const closing = new AbortController();

  function review(state: TenantState): void {
    const nowMs = clock.monotonicMs();
    for (const { id, value } of state.list("upstream")) {
      const known = seen.get(keyOf(state.tenantId, id));
      const isKnown = known !== undefined && known.transport === JSON.stringify(value.transport);
      if (isKnown && nowMs < known.againMs) continue;
      if (!plan({ tenantId: state.tenantId, upstreamId: id, upstream: value, wanted: known?.wanted ?? 0 })) return;
    }
    pump();
  }

  function heard(tenantId: string, upstreamId: string): void {
    const key = keyOf(tenantId, upstreamId);
    const known = seen.get(key);
    const upstream = states.current(tenantId)?.get("upstream", upstreamId);
    // One that was never read is read anyway.
    if (upstream === undefined || known === undefined) return;
    const nowMs = clock.monotonicMs();
    const soonestMs = (heardMs.get(key) ?? Number.NEGATIVE_INFINITY) + HEARD_EVERY_MS;
    if (busy.has(key) || nowMs < soonestMs) {
      seen.set(key, { ...known, againMs: Math.min(known.againMs, Math.max(nowMs, soonestMs)) });
      return;
    }
    if (!plan({ tenantId, upstreamId, upstream, wanted: known.wanted })) return;
    heardMs.set(key, nowMs);
    pump();
  }

  async function serve(): Promise<void> {
    try {
      for (const { tenantId, upstreamId, wanted } of await store.wanted()) {
        const upstream = states.current(tenantId)?.get("upstream", upstreamId);
        if (upstream === undefined || (seen.get(keyOf(tenantId, upstreamId))?.wanted ?? 0) >= wanted) continue;
        if (!plan({ tenantId, upstreamId, upstream, wanted })) return;
      }
      pump();
    } catch (error) {
      // A failure of the database: whoever asked waits, and it is looked for again at the next turn.
      if (!closing.signal.aborted) log.warn({ error }, "the readings that were asked for could not be found");
    }
  }

  /** False when no more can wait. */
  function plan(task: Task): boolean {
    if (task.upstream.status !== "active" || task.upstream.transport.type === "http_api") return true;
    if (waiting.length >= WAITING_MAX) return false;
    remember(task, options.intervalMs);
    waiting.push(task);
    const key = keyOf(task.tenantId, task.upstreamId);
    busy.set(key, (busy.get(key) ?? 0) + 1);
    return true;
  }

  function remember({ tenantId, upstreamId, upstream, wanted }: Task, afterMs: number): void {
    const transport = JSON.stringify(upstream.transport);
    seen.set(keyOf(tenantId, upstreamId), { transport, againMs: clock.monotonicMs() + afterMs, wanted });
  }

  function pump(): void {
    while (running.size < READING_MAX && !closing.signal.aborted) {
      const task = waiting.shift();
      if (task === undefined) return;
      const run = read(task).finally(() => {
        running.delete(run);
        const key = keyOf(task.tenantId, task.upstreamId);
        const left = (busy.get(key) ?? 1) - 1;
        if (left > 0) busy.set(key, left);
        else busy.delete(key);
        pump();
      });
      running.add(run);
    }
  }

  async function read(task: Task): Promise<void> {
    const { tenantId, upstreamId, upstream, wanted } = task;
    // What is pinned before the reading begins: what is approved meanwhile is not compared with something older.
    const state = states.current(tenantId);
    const pinned = state?.toolsOf(upstream.name) ?? [];
    const lock = state?.get("upstream", upstreamId)?.lock;
    let catalogue: SeenCatalogue | undefined;
    let detail = "";
    try {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(READ_TIMEOUT_MS)]);
      catalogue = await reader.readCatalogue(tenantId, upstreamId, upstream, signal);
    } catch (error) {
      // A failure of the upstream becomes an observation that says so, and is tried again soon.
      if (closing.signal.aborted) return;
      log.warn({ error, upstream: upstream.name }, "an upstream's catalogue could not be read");
      if (error instanceof Failure) detail = error.message.slice(0, DETAIL_LENGTH_MAX);
      remember(task, Math.min(AGAIN_AFTER_FAILURE_MS, options.intervalMs));
    }
    const timeMs = clock.nowMs();
    try {
      let comparison: CatalogueComparison | undefined;
      if (catalogue !== undefined) {
        comparison = compareCatalogue(catalogue, pinned, lock);
        await quarantine(task, catalogue, comparison, lock);
      }
      const digest = catalogue === undefined ? "" : digestOfCatalogue(catalogue);
      const { isNew } = await store.observe({
        tenantId,
        upstreamId,
        gatewayId,
        observedAtMs: timeMs,
        status: catalogue === undefined ? "failed" : "ok",
        detail,
        definitions: catalogue?.tools.map((tool) => tool.definition) ?? [],
        instructions: catalogue?.instructions ?? '""',
        digest,
        wanted,
      });
      const status = catalogue === undefined ? "failed" : "ok";
      record(tenantId, "catalogue.read", { upstream: upstream.name, status, tools: catalogue?.tools.length ?? 0 });
      // Of what was never approved nothing has changed.
      const isFirst = lock === undefined && pinned.length === 0;
      if (isNew && !isFirst && comparison !== undefined) sayChanges(tenantId, upstream.name, digest, comparison);
    } catch (error) {
      // A failure of the database: forgotten here, so that the next review reads again.
      seen.delete(keyOf(tenantId, upstreamId));
      if (!closing.signal.aborted) log.warn({ error, upstream: upstream.name }, "a catalogue could not be stored");
    }
  }

  async function quarantine(
    task: Task,
    catalogue: SeenCatalogue,
    comparison: CatalogueComparison,
    lock: Upstream["lock"],
  ): Promise<void> {
    const { tenantId, upstreamId, upstream } = task;
    const items: Quarantined[] = [];
    const common = { upstream: upstream.name, gateway: gatewayId };
    for (const { tool, definition } of comparison.changed) {
      if (tool.status !== "active") continue;
      const drift = { pinned: tool.digest, seen: sha256(pinnedTextOf(definition)) };
      const event = makeEvent(tenantId, "tool.quarantined", { ...common, tool: tool.name, ...drift });
      items.push({ name: tool.name, definition, ...drift, event });
    }
    if (comparison.instructions === "changed" && lock?.status === "active") {
      const drift = { pinned: lock.digest, seen: sha256(canonicalInstructions(catalogue.instructions)) };
      const event = makeEvent(tenantId, "upstream.quarantined", { ...common, ...drift });
      items.push({ name: "", definition: catalogue.instructions ?? '""', ...drift, event });
    }
    if (items.length === 0) return;
    for (let at = 0; at < items.length; at += QUARANTINE_MAX) {
      const page = items.slice(at, at + QUARANTINE_MAX);
      const { kind } = await store.quarantine({ tenantId, nowMs: clock.nowMs(), upstreamId, items: page });
      // Something else is pinned by now: it is compared with what is read next, at once.
      if (kind === "moved") seen.delete(keyOf(tenantId, upstreamId));
    }
    // Calls commit on the head alone; this is so that they need not find out there, and that what is open is cut.
    await states.catchUp(tenantId, AbortSignal.any([closing.signal, AbortSignal.timeout(CATCH_UP_MS)]));
  }

  function sayChanges(tenantId: string, upstream: string, digest: string, comparison: CatalogueComparison): void {
    const { added, missing, changed, instructions } = comparison;
    if (added.length + missing.length + changed.length === 0 && instructions !== "changed") return;
    record(tenantId, "catalogue.changed", {
      upstream,
      digest,
      added: added.slice(0, NAMES_MAX),
      missing: missing.slice(0, NAMES_MAX),
      changed: changed.slice(0, NAMES_MAX).map(({ tool }) => tool.name),
      instructions,
    });
  }

  function record<N extends EventName>(tenantId: string, event: N, fields: FieldsOf<N>): void {
    options.record(makeEvent(tenantId, event, fields));
  }

  function makeEvent<N extends EventName>(
    tenantId: string,
    event: N,
    fields: FieldsOf<N>,
  ): AuditEvent & { readonly event: N } {
    const timeMs = clock.nowMs();
    const made = { event, id: makeUuidv7(timeMs, random.bytes(10)), timeMs, tenantId, fields };
    // Name and fields are of one entry of the catalogue; the compiler cannot follow the pair through the union.
    return made as unknown as AuditEvent & { readonly event: N };
  }

  return {
    review,
    heard,
    serve,
    async close() {
      closing.abort();
      waiting.length = 0;
      await Promise.all(running);
    },
  };
}

type FieldsOf<N extends EventName> = (AuditEvent & { readonly event: N })["fields"];

/** Ids of tenants and upstreams contain no slash. */
function keyOf(tenantId: string, upstreamId: string): string {
  return `${tenantId}/${upstreamId}`;
}

function digestOfCatalogue({ tools, instructions }: SeenCatalogue): string {
  const digests = tools.map(({ definition }) => sha256(pinnedTextOf(definition))).sort();
  return sha256([sha256(canonicalInstructions(instructions)), ...digests].join(""));
}

function sha256(text: string): string {
  return hash("sha256", text, "hex");
}
