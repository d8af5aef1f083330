/**
 * All upstreams that this gateway talks to: for each a bounded number of slots, sessions by isolation key, one pool
 * of connections or its children, what is known of the server's revision, and its breaker.
 *
 *   hold ── a slot ── a session that is ready ──▶ Slot        (before the commit; everything that can wait)
 *   Slot.send ── one request on that session ──▶ SendOutcome  (after it; never repeated)
 *
 * A pool belongs to one upstream of one tenant, not to an origin: a slot is then a connection that nobody else can
 * take, and no tenant waits behind another (docs/adr/0008). Which calls may be sent is not decided here.
 */

import type { Upstream } from "@writ/contract";
import { makeAddressRules } from "@writ/runtime";
import { Pool } from "undici";
import { type MirroredArgument, readMirroredArguments } from "../mirrored-arguments.ts";
import {
  type AnswerSink,
  type Clock,
  Failure,
  type HoldRequest,
  type HttpSink,
  LISTEN_METHOD,
  type Random,
  type SendOutcome,
  type Slot,
  type UpstreamPort,
} from "../ports.ts";
import { type ApiConnection, type ApiConnections, createApiConnections } from "./api-connections.ts";
import { type Breaker, createBreaker, type FailureOf } from "./breaker.ts";
import { checkRunner } from "./check-runner.ts";
import type { CredentialFiles } from "./credential-files.ts";
import { type Credentials, createCredentials, type UpstreamConnection } from "./credentials.ts";
import { TOOLS_CHANGED } from "./ears.ts";
import { type AddressRefused, createGuardedConnector, type Resolve, resolveBySystem } from "./guarded-connector.ts";
import { openHttpSession } from "./http-session.ts";
import { UPSTREAM_LIMITS, type UpstreamLimits } from "./limits.ts";
import { createMaskSecrets } from "./mask-secrets.ts";
import { type Implementation, STATELESS_REVISION } from "./messages.ts";
import { type OpenEnvironment, secretsOf } from "./open-environment.ts";
import { type Catalogue, readCatalogue } from "./read-catalogue.ts";
import { sendHttp } from "./send-http.ts";
import type { UpstreamLog, UpstreamSession } from "./session.ts";
import { createSlots, type Slots } from "./slots.ts";
import { openStdioSession } from "./stdio-session.ts";

export interface UpstreamsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: UpstreamLog;
  /** Writ's version, as upstreams are told. */
  readonly version: string;
  readonly mode: "development" | "production";
  /**
   * The command that starts children under another user or in a container; the child's command and arguments follow
   * it. Production starts no child without one: a child of the same user can read the gateway's memory.
   */
  readonly stdioRunner: readonly string[];
  /** `/proc/<pid>/environ` of this process: what children in production must not be able to read. */
  readonly environmentFile: string;
  /** What is listed of addresses that are not public; every other such address of an HTTP upstream is refused. */
  readonly allowedAddresses: readonly string[];
  readonly credentialFiles: CredentialFiles;
  /** How names become addresses; as the machine does it unless given. */
  readonly resolve?: Resolve;
  /** All that a child's environment holds besides what its upstream configures. */
  readonly childEnvironment: { readonly path: string; readonly home: string };
  /** Opens the values of a child's environment. Failure `upstream_unavailable`. */
  readonly openEnvironment: OpenEnvironment;
  /** The directory children start in; the gateway's own unless given. */
  readonly childDirectory?: string;
  /** No call lasts longer, whatever its upstream says. */
  readonly callDeadlineMs: number;
  readonly limits?: UpstreamLimits;
  /** When an upstream is given up for a while, and when it answers again; each at most once in ten seconds. */
  readonly onHealth?: (health: UpstreamHealth) => void;
  /** An upstream says that its tools have changed, on a session that is open for an agent; as often as it likes. */
  readonly onToolsChanged?: (tenantId: string, upstreamId: string) => void;
}

export interface UpstreamHealth {
  readonly tenantId: string;
  readonly upstream: string;
  readonly state: "unavailable" | "available";
  /** Failures in a row, and the last one in words of ours. */
  readonly failures: number;
  readonly detail: string;
}

/** An upstream that failed, and has not answered since. */
export interface UpstreamGivenTime {
  readonly tenantId: string;
  readonly upstreamId: string;
  /** On the monotonic clock: it is not tried before. */
  readonly notBeforeMs: number;
}

export interface Upstreams extends UpstreamPort {
  /**
   * Reads the tools that an upstream lists, on a session of the gateway's own. Failure `upstream_unavailable`.
   * It takes no slot, so that a busy upstream can still be read.
   */
  readCatalogue(tenantId: string, upstreamId: string, upstream: Upstream, signal: AbortSignal): Promise<Catalogue>;
  /** Those that failed and have not answered since, HTTP APIs among them. */
  givenTime(): readonly UpstreamGivenTime[];
  /** Ends every session and child, bounded. Idempotent. */
  close(): Promise<void>;
  counts(): { readonly upstreams: number; readonly sessions: number; readonly children: number };
}

/** Isolation key of the gateway's own sessions; callers' keys cannot begin with this character. */
const GATEWAY_KEY = "\u0000gateway";
/** Servers list some tools only to whom they may ask; for a list that is read, anything may be asked, and is refused. */
const ASKABLE = '{"sampling":{},"elicitation":{"form":{},"url":{}},"roots":{}}';
/** Connections beyond the slots: for cancellations, answers to a server and the gateway's own reads. */
const SPARE_CONNECTIONS = 4;
/** The longest time that a timer can measure. */
const LISTEN_MS = 2_147_483_647;
const SWEEP_MS = 10_000;
const HEALTH_EVERY_MS = 10_000;
/** Whoever used an upstream so long ago uses it no more, as far as giving it up is concerned. */
const USED_WITHIN_MS = 600_000;

interface Place {
  readonly opening: Promise<UpstreamSession>;
  session: UpstreamSession | undefined;
  running: number;
  lastUsedMs: number;
  readonly openedMs: number;
  /** Whose call came to it last; undefined until one did. */
  lastAgent: string | undefined;
}

interface Entry {
  readonly key: string;
  readonly tenantId: string;
  readonly upstreamId: string;
  readonly transport: string;
  readonly slots: Slots;
  readonly pool: Pool | undefined;
  readonly connection: UpstreamConnection | undefined;
  /** Of streams that stay open: one for each session of an older server, apart from the calls'. */
  readonly streamPool: Pool | undefined;
  readonly streams: UpstreamConnection | undefined;
  /** Undefined where it has none. */
  readonly credentials: Credentials | undefined;
  /** Of an HTTP API; it has neither a pool nor sessions. */
  readonly api: ApiConnections | undefined;
  readonly url: URL | undefined;
  /** Why the connection tried last was refused for its address; undefined when it was not. */
  refusal: AddressRefused | undefined;
  readonly places: Map<string, Place>;
  /** Places whose session takes no further call, while calls still run on it: it ends with the last of them. */
  readonly leaving: Set<Place>;
  /** By tool, from the catalogue that was read last. */
  mirrored: ReadonlyMap<string, readonly MirroredArgument[]>;
  era: "stateless" | "session" | undefined;
  listening: number;
  readonly breaker: Breaker;
  /** Why a session could not be opened, or what a call ended with, the last time that it failed. */
  failure: Failure | undefined;
  /** What `onHealth` was told last, and when. */
  told: { readonly state: UpstreamHealth["state"]; readonly atMs: number };
  lastUsedMs: number;
  /** Who used it last, and when that was somebody else than before, on the monotonic clock. */
  lastAgent: string | undefined;
  changedAgentMs: number;
}

/** A sink that also says when the tools have changed, as servers of the stateless revision tell whoever listens. */
function heardBy(sink: AnswerSink, toolsChanged: () => void): AnswerSink {
  return {
    ...sink,
    notification(method, params) {
      if (method === TOOLS_CHANGED) toolsChanged();
      return sink.notification(method, params);
    },
  };
}

/** A sink that says when the answer begins. */
function withHead(sink: HttpSink, begun: () => void): HttpSink {
  return {
    head(status, headers) {
      begun();
      sink.head(status, headers);
    },
    data: (chunk) => sink.data(chunk),
  };
}

export function createUpstreams(options: UpstreamsOptions): Upstreams {
  const { clock, log } = options;
  const limits = options.limits ?? UPSTREAM_LIMITS;
  const client: Implementation = { name: "writ", version: options.version };
  const addressRules = makeAddressRules(options.allowedAddresses);
  const entries = new Map<string, Entry>();
  const ended = new AbortController();
  /** Sessions that are ending: awaited by `close`. */
  const farewells = new Set<Promise<void>>();
  const childrenOf = new Map<string, number>();
  let closing: Promise<void> | undefined;
  const sweeper = setInterval(sweep, Math.min(SWEEP_MS, limits.sessionIdleMs));
  sweeper.unref();

  let runnerCheck: Promise<void> | undefined;
  /** Once it has been found good it stays so; one that is not is tried again with the next child. */
  function runnerChecked(): Promise<void> {
    const { stdioRunner: runner, environmentFile, childEnvironment } = options;
    runnerCheck ??= checkRunner({ runner, environmentFile, path: childEnvironment.path }).catch((error: unknown) => {
      runnerCheck = undefined;
      throw error;
    });
    return runnerCheck;
  }

  function sweep(): void {
    const idleSince = clock.nowMs() - limits.sessionIdleMs;
    for (const entry of [...entries.values()]) {
      for (const [key, place] of [...entry.places]) {
        if (place.session !== undefined && place.running === 0 && place.lastUsedMs < idleSince) drop(entry, key, place);
      }
      if (entry.places.size === 0 && entry.slots.used() === 0 && entry.lastUsedMs < idleSince) forget(entry);
    }
  }

  function farewell(promise: Promise<void>): void {
    const settled = promise.catch((error: unknown) => {
      // Ending something that is broken may fail; nothing depends on it any more.
      log("upstream.end_failed", { detail: error instanceof Error ? error.name : "error" });
    });
    farewells.add(settled);
    void settled.then(() => farewells.delete(settled));
  }

  function drop(entry: Entry, key: string, place: Place): void {
    if (entry.places.get(key) === place) entry.places.delete(key);
    if (place.session !== undefined) farewell(place.session.close());
  }

  /** The session takes no further call. What runs on it goes on: one call's bad end is not that of the others. */
  function leave(entry: Entry, key: string, place: Place): void {
    if (place.running === 0) drop(entry, key, place);
    else if (entry.places.delete(key)) entry.leaving.add(place);
  }

  /** A call on this place has ended. */
  function giveBack(entry: Entry, place: Place): void {
    place.running -= 1;
    place.lastUsedMs = clock.nowMs();
    if (place.running === 0 && entry.leaving.delete(place) && place.session !== undefined) {
      farewell(place.session.close());
    }
  }

  function forget(entry: Entry): void {
    if (entries.get(entry.key) === entry) entries.delete(entry.key);
    for (const [key, place] of [...entry.places]) drop(entry, key, place);
    for (const place of entry.leaving) if (place.session !== undefined) farewell(place.session.close());
    for (const pool of [entry.pool, entry.streamPool]) {
      if (pool !== undefined) farewell(Promise.allSettled([...farewells]).then(() => pool.destroy()));
    }
    if (entry.api !== undefined) farewell(entry.api.close());
  }

  function entryFor(tenantId: string, upstreamId: string, upstream: Upstream): Entry {
    const key = `${tenantId.length}:${tenantId}${upstreamId}`;
    const transport = JSON.stringify([upstream.transport, upstream.concurrencyMax]);
    const present = entries.get(key);
    if (present?.transport === transport) {
      present.lastUsedMs = clock.nowMs();
      entries.delete(key);
      entries.set(key, present); // the order of the map is the order of last use
      return present;
    }
    // Another address or command: what runs on the old one ends by itself, idle sessions are swept.
    if (present !== undefined) retire(present);
    if (entries.size >= limits.upstreamsMax) {
      const idle = [...entries.values()].find((entry) => entry.slots.used() === 0);
      if (idle === undefined) throw new Failure("upstream_unavailable", "too many upstreams are in use");
      forget(idle);
    }
    const url = upstream.transport.type === "http" ? new URL(upstream.transport.url) : undefined;
    const { transport: to } = upstream;
    const bindings = to.type === "stdio" ? [] : (to.credentials ?? []);
    const credentials = createCredentials(bindings, options.credentialFiles);
    const connect = createGuardedConnector({
      rules: addressRules,
      resolve: options.resolve ?? resolveBySystem,
      timeoutMs: limits.openTimeoutMs,
      listedOnly: to.type !== "stdio" && new URL(to.url).protocol === "http:" && bindings.length > 0,
      onJudged(refusal) {
        entry.refusal = refusal;
      },
    });
    function onChange(state: "open" | "closed", failures: number): void {
      const nowMs = clock.monotonicMs();
      const health = state === "open" ? "unavailable" : "available";
      const detail = entry.failure?.message ?? "";
      log(`upstream.${health}`, { upstream: upstream.name, failures, detail });
      if (health === entry.told.state || (health === "unavailable" && nowMs - entry.told.atMs < HEALTH_EVERY_MS))
        return;
      entry.told = { state: health, atMs: nowMs };
      options.onHealth?.({ tenantId, upstream: upstream.name, state: health, failures, detail });
    }
    const pool =
      url === undefined
        ? undefined
        : new Pool(url.origin, {
            connections: upstream.concurrencyMax + SPARE_CONNECTIONS + limits.listenersPerUpstreamMax,
            pipelining: 1,
            connect,
            maxHeaderSize: 32 * 1024,
          });
    // Makes no connection before there is such a stream.
    const streamPool =
      url === undefined
        ? undefined
        : new Pool(url.origin, { connections: limits.sessionsPerUpstreamMax, pipelining: 1, connect });
    const entry: Entry = {
      key,
      tenantId,
      upstreamId,
      transport,
      slots: createSlots(upstream.concurrencyMax, limits.waitersMax),
      url,
      pool,
      streamPool,
      connection: pool === undefined ? undefined : credentials.over(pool),
      streams: streamPool === undefined ? undefined : credentials.over(streamPool),
      credentials: bindings.length === 0 ? undefined : credentials,
      api:
        upstream.transport.type === "http_api"
          ? createApiConnections({ url: new URL(upstream.transport.url), connect, idleMs: limits.connectionIdleMs })
          : undefined,
      refusal: undefined,
      places: new Map(),
      leaving: new Set(),
      mirrored: new Map(),
      era: undefined,
      listening: 0,
      breaker: createBreaker({ clock, random: options.random, limits, onChange }),
      failure: undefined,
      told: { state: "available", atMs: Number.NEGATIVE_INFINITY },
      lastUsedMs: clock.nowMs(),
      lastAgent: undefined,
      changedAgentMs: Number.NEGATIVE_INFINITY,
    };
    entries.set(key, entry);
    return entry;
  }

  /** Takes an entry out of use; it is closed when its last call has ended. */
  function retire(entry: Entry): void {
    if (entries.get(entry.key) === entry) entries.delete(entry.key);
    for (const [key, place] of [...entry.places]) if (place.running === 0) drop(entry, key, place);
    // Connections that are in use end when they are given back.
    if (entry.places.size + entry.leaving.size === 0) forget(entry);
  }

  /** Failure `upstream_unavailable`, or what the last failure was, while the upstream is given time. */
  function requireTriable(entry: Entry): void {
    const waitMs = entry.breaker.waitMs();
    if (waitMs === undefined) return;
    throw new Failure(
      entry.failure?.reason ?? "upstream_unavailable",
      `the upstream is given time after it failed: ${entry.failure?.message ?? "no detail"}`,
      { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) },
    );
  }

  function placeFor(entry: Entry, upstream: Upstream, key: string, clientCapabilities = "{}"): Place {
    requireTriable(entry);
    const isProbe = entry.breaker.begin() === "probe";
    try {
      const present = entry.places.get(key);
      const isUsable = present !== undefined && (present.session === undefined || present.session.alive());
      // A session that stands proves nothing: what failed may be all that it would be used for.
      if (isUsable && !isProbe) return present;
      if (present !== undefined) leave(entry, key, present);
      if (entry.places.size >= limits.sessionsPerUpstreamMax) makeRoom([entry]);
      if (upstream.transport.type === "stdio") makeRoomForChild(entry.tenantId);
    } catch (error) {
      // The failure to make room goes on to the caller; somebody else may try.
      if (isProbe) entry.breaker.withdraw();
      throw error;
    }
    const opening = open(entry, upstream, clientCapabilities, {
      lastAgent: () => place.lastAgent,
      // A server that says so whenever a session opens would be read again for each reading.
      toolsChanged: () => (key === GATEWAY_KEY ? undefined : toolsChanged(entry)),
    });
    const place: Place = {
      opening,
      session: undefined,
      running: 0,
      lastUsedMs: clock.nowMs(),
      openedMs: clock.nowMs(),
      lastAgent: undefined,
    };
    entry.places.set(key, place);
    opening.then(
      (session) => {
        place.session = session;
        place.lastUsedMs = clock.nowMs();
        entry.breaker.succeeded();
        entry.era = session.revision === STATELESS_REVISION ? "stateless" : "session";
        if (entry.places.get(key) !== place) farewell(session.close());
      },
      (error: unknown) => {
        // Told to everyone who waits for `opening`; here it only counts.
        if (entry.places.get(key) === place) entry.places.delete(key);
        entry.era = undefined;
        const failure = error instanceof Failure ? error : new Failure("upstream_unavailable", "it opened no session");
        fail(entry, failure, "upstream");
      },
    );
    return place;
  }

  /** Agents who can be asked for different things share no session: its server is told once what it may ask for. */
  function placeForCall(entry: Entry, { upstream, isolationKey, clientCapabilities }: HoldRequest): Place {
    if (clientCapabilities === undefined) return placeFor(entry, upstream, isolationKey);
    return placeFor(entry, upstream, `${isolationKey}\u0000${clientCapabilities}`, clientCapabilities);
  }

  function fail(entry: Entry, failure: Failure, of: FailureOf): void {
    if (ended.signal.aborted) return;
    entry.failure = failure;
    entry.breaker.failed(of);
  }

  function noteUse(entry: Entry, agentKey: string): void {
    if (entry.lastAgent === agentKey) return;
    if (entry.lastAgent !== undefined) entry.changedAgentMs = clock.monotonicMs();
    entry.lastAgent = agentKey;
  }

  /** A call, or the session that it was made on, came to a bad end. */
  function ofAgent(entry: Entry, agentKey: string): FailureOf {
    return { agentKey, isAlone: clock.monotonicMs() - entry.changedAgentMs > USED_WITHIN_MS };
  }

  /** What a call says of its upstream, where it says anything: a cut of ours does not, nor the end of a session that counted. */
  function learn(
    entry: Entry,
    session: UpstreamSession,
    outcome: SendOutcome,
    { agentKey, signal }: { readonly agentKey: string; readonly signal: AbortSignal },
  ): void {
    const isAnswer = outcome.kind === "completed" || (outcome.kind === "failed" && outcome.unavailable !== true);
    if (isAnswer) entry.breaker.succeeded();
    else if (!signal.aborted && session.alive())
      fail(entry, new Failure("upstream_unavailable", outcome.detail), ofAgent(entry, agentKey));
  }

  function childCount(): number {
    let count = 0;
    for (const own of childrenOf.values()) count += own;
    return count;
  }

  function countChild(tenantId: string, by: 1 | -1): void {
    const count = (childrenOf.get(tenantId) ?? 0) + by;
    if (count === 0) childrenOf.delete(tenantId);
    else childrenOf.set(tenantId, count);
  }

  /**
   * Whoever has its share already ends a child of its own before it comes into what is kept for others; whoever has not
   * ends one of a tenant that has more, if there is an idle one.
   */
  function makeRoomForChild(tenantId: string): void {
    const count = childCount();
    const hasShare = (of: string): boolean => (childrenOf.get(of) ?? 0) >= limits.childrenShare;
    const running = [...entries.values()].filter((entry) => entry.pool === undefined && entry.api === undefined);
    if (hasShare(tenantId)) {
      if (count < limits.childrenMax - limits.childrenReserved) return;
      makeRoom(running.filter((entry) => entry.tenantId === tenantId));
    } else if (count >= limits.childrenMax) {
      const isIdle = (entry: Entry): boolean => [...entry.places.values()].some(isIdlePlace);
      const above = running.filter((entry) => hasShare(entry.tenantId) && isIdle(entry));
      makeRoom(above.length > 0 ? above : running);
    }
  }

  function isIdlePlace(place: Place): boolean {
    return place.running === 0 && place.session !== undefined;
  }

  /** Ends the idle session that was used the longest ago. */
  function makeRoom(among: readonly Entry[]): void {
    let oldest: { entry: Entry; key: string; place: Place } | undefined;
    for (const entry of among) {
      for (const [key, place] of entry.places) {
        if (!isIdlePlace(place)) continue;
        if (oldest === undefined || place.lastUsedMs < oldest.place.lastUsedMs) oldest = { entry, key, place };
      }
    }
    if (oldest === undefined) throw new Failure("upstream_unavailable", "too many sessions are in use");
    drop(oldest.entry, oldest.key, oldest.place);
  }

  function toolsChanged({ tenantId, upstreamId }: Entry): void {
    options.onToolsChanged?.(tenantId, upstreamId);
  }

  async function open(
    entry: Entry,
    upstream: Upstream,
    clientCapabilities: string,
    { lastAgent, toolsChanged }: { readonly lastAgent: () => string | undefined; readonly toolsChanged: () => void },
  ): Promise<UpstreamSession> {
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(limits.openTimeoutMs)]);
    if (entry.credentials !== undefined) await entry.credentials.refresh();
    const alone = upstream.isolation === "session";
    const shared = { client, clientCapabilities, alone, toolsChanged, log, limits, era: entry.era, signal };
    const { transport } = upstream;
    if (transport.type === "http") {
      const { connection, streams, url } = entry;
      if (connection === undefined || streams === undefined || url === undefined)
        throw new TypeError("an HTTP upstream without a connection");
      try {
        return await openHttpSession({
          ...shared,
          connection,
          streams,
          url,
          mirrored: (tool) => entry.mirrored.get(tool) ?? [],
        });
      } catch (error) {
        // The failure to connect has a reason of its own where the address was the matter; it goes on as that.
        if (entry.refusal === undefined) throw error;
        throw new Failure("upstream_address_refused", entry.refusal.message, { cause: error });
      }
    }
    if (transport.type !== "stdio") throw new Failure("upstream_unavailable", "an HTTP API has no sessions");
    const [command = transport.command, ...args] = [...options.stdioRunner, transport.command, ...transport.args];
    if (options.stdioRunner.length === 0) {
      if (options.mode === "production") {
        throw new Failure("upstream_unavailable", "production starts stdio upstreams only through a runner");
      }
      log("upstream.child_unconfined", { upstream: upstream.name });
    } else if (options.mode === "production") await runnerChecked();
    const { path: PATH, home: HOME } = options.childEnvironment;
    const configured = options.openEnvironment(entry, transport.env);
    const env = { PATH, HOME, ...configured };
    let ready = false;
    countChild(entry.tenantId, 1);
    return openStdioSession({
      ...shared,
      // A line of a child says whose it is.
      log: (event, fields) => log(event, { upstream: upstream.name, ...fields }),
      command,
      args,
      env,
      mask: createMaskSecrets(secretsOf(configured)),
      cwd: transport.cwd ?? options.childDirectory,
      onEnd(detail, wanted) {
        countChild(entry.tenantId, -1);
        log("upstream.child_ended", { upstream: upstream.name, detail });
        // One that never was ready counts as a session that did not open.
        if (!ready || wanted) return;
        const agentKey = lastAgent();
        const of = agentKey === undefined ? "upstream" : ofAgent(entry, agentKey);
        fail(entry, new Failure("upstream_unavailable", detail), of);
      },
    }).then((session) => {
      ready = true;
      return session;
    });
  }

  /** The session, or undefined when `signal` came first; opening goes on for whoever comes next. */
  async function waitFor(place: Place, signal: AbortSignal): Promise<UpstreamSession | undefined> {
    if (place.session !== undefined) return place.session;
    if (signal.aborted) return undefined;
    return new Promise((resolve, reject) => {
      const giveUp = (): void => resolve(undefined);
      signal.addEventListener("abort", giveUp, { once: true });
      place.opening.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
    });
  }

  function waitUntil(place: Place, signal: AbortSignal, deadline: number): Promise<UpstreamSession | undefined> {
    const left = AbortSignal.timeout(Math.max(0, Math.ceil(deadline - clock.monotonicMs())));
    return waitFor(place, AbortSignal.any([signal, left]));
  }

  async function hold(request: HoldRequest): Promise<Slot> {
    if (closing !== undefined) throw new Failure("upstream_unavailable", "the gateway is stopping");
    const entry = entryFor(request.tenantId, request.upstreamId, request.upstream);
    requireTriable(entry);
    const deadline = clock.monotonicMs() + request.waitMs;
    const release =
      request.listens === true
        ? beginListening(entry)
        : await entry.slots.take(request.agentKey, request.waitMs, request.signal);
    if (release === undefined) throw new Failure("upstream_unavailable", "the upstream has no free slot");
    noteUse(entry, request.agentKey);
    let place: Place | undefined;
    try {
      if (entry.credentials !== undefined) await entry.credentials.refresh();
      if (entry.api !== undefined) return await holdConnection(entry, entry.api, request, deadline, release);
      place = placeForCall(entry, request);
      place.running += 1;
      place.lastAgent = request.agentKey;
      const session = place.session ?? (await waitUntil(place, request.signal, deadline));
      if (session === undefined) throw new Failure("upstream_unavailable", "no session was ready in time");
      return makeSlot(entry, place, session, request, release);
    } catch (error) {
      // The slot goes back; the failure goes on to the caller.
      if (place !== undefined) giveBack(entry, place);
      release();
      if (error instanceof Failure) throw error;
      throw new Failure("upstream_unavailable", "the upstream's session could not be opened", { cause: error });
    }
  }

  /**
   * A connection of an HTTP API. There is no session that could be opened to see whether it answers again: where its
   * breaker is half open, the call itself is the probe, until its answer begins.
   */
  async function holdConnection(
    entry: Entry,
    api: ApiConnections,
    { upstream, agentKey, signal }: HoldRequest,
    deadline: number,
    give: () => void,
  ): Promise<Slot> {
    // It may have waited for its slot.
    requireTriable(entry);
    let isProbe = entry.breaker.begin() === "probe";
    const settle = (outcome: "succeeded" | "withdraw" | FailureOf): void => {
      if (outcome === "succeeded") entry.breaker.succeeded();
      else if (outcome !== "withdraw") entry.breaker.failed(outcome);
      else if (isProbe) entry.breaker.withdraw();
      isProbe = false;
    };
    let connection: ApiConnection;
    try {
      const left = AbortSignal.timeout(Math.max(0, Math.ceil(deadline - clock.monotonicMs())));
      connection = await api.take(AbortSignal.any([signal, ended.signal, left]));
    } catch (error) {
      // The failure to connect becomes one of the port's own.
      const { refusal } = entry;
      const failure =
        refusal === undefined
          ? new Failure("upstream_unavailable", "no connection to the upstream could be opened", { cause: error })
          : new Failure("upstream_address_refused", refusal.message, { cause: error });
      entry.failure = failure;
      settle(signal.aborted || ended.signal.aborted ? "withdraw" : "upstream");
      throw failure;
    }
    if (!isProbe && entry.breaker.waitMs() !== undefined) {
      // It was given up while this connection opened.
      api.giveBack(connection);
      requireTriable(entry);
    }
    let state: "held" | "used" | "released" = "held";
    return {
      send: async () => ({ kind: "aborted", detail: "an HTTP API takes no messages of MCP" }),
      async sendHttp(call, sink, cut) {
        if (state !== "held") return { kind: "aborted", detail: "the slot was used already" };
        state = "used";
        const { credentials } = entry;
        const begun = withHead(sink, () => settle("succeeded"));
        const masked = credentials?.maskAnswer(begun);
        const outcome = await sendHttp(
          credentials === undefined ? connection : credentials.over(connection),
          call,
          masked ?? begun,
          {
            baseUrl: new URL(upstream.transport.type === "http_api" ? upstream.transport.url : ""),
            signals: [cut, ended.signal],
            deadlineMs: Math.min(upstream.timeoutMs, options.callDeadlineMs),
            bodyBytesMax: limits.httpBodyBytesMax,
            wholeOnly: credentials !== undefined,
          },
        );
        if (masked !== undefined && outcome.kind === "completed") await masked.end();
        if (outcome.kind === "unknown" && !cut.aborted && !ended.signal.aborted) {
          entry.failure = new Failure("upstream_unavailable", outcome.detail);
          settle(ofAgent(entry, agentKey));
        }
        return outcome;
      },
      release() {
        if (state === "released") return;
        state = "released";
        settle("withdraw");
        api.giveBack(connection);
        give();
        if (entries.get(entry.key) !== entry) retire(entry);
      },
    };
  }

  /** What lasts takes no slot away from calls: it is counted for itself. */
  function beginListening(entry: Entry): () => void {
    if (entry.listening >= limits.listenersPerUpstreamMax) {
      throw new Failure("upstream_unavailable", "too many agents listen to the upstream");
    }
    entry.listening += 1;
    return () => {
      entry.listening -= 1;
    };
  }

  function makeSlot(
    entry: Entry,
    place: Place,
    session: UpstreamSession,
    { upstream, agentKey }: HoldRequest,
    give: () => void,
  ): Slot {
    let used = false;
    let released = false;
    return {
      async send(message, sink, signal) {
        if (used || released) return { kind: "aborted", detail: "the slot was used already" };
        used = true;
        if (!session.alive()) return { kind: "aborted", detail: "the session ended before the call was sent" };
        const listens = message.method === LISTEN_METHOD;
        const outcome = await session.send(message, listens ? heardBy(sink, () => toolsChanged(entry)) : sink, {
          signal,
          deadlineMs: listens ? LISTEN_MS : Math.min(upstream.timeoutMs, options.callDeadlineMs),
        });
        learn(entry, session, outcome, { agentKey, signal });
        return outcome;
      },
      sendHttp: async () => ({ kind: "aborted", detail: "an MCP server takes no HTTP requests" }),
      release() {
        if (released) return;
        released = true;
        giveBack(entry, place);
        give();
        // Retired while it ran: nothing else would end it.
        if (entries.get(entry.key) !== entry) retire(entry);
      },
    };
  }

  /** Learns which arguments are mirrored; a tool that annotates them wrongly does not exist (MCP 2026-07-28, Tools). */
  function withMirrored(entry: Entry, upstream: string, catalogue: Catalogue): Catalogue {
    const mirrored = new Map<string, readonly MirroredArgument[]>();
    const tools = catalogue.tools.filter(({ name, definition }) => {
      const read = readMirroredArguments(definition);
      if (read.kind === "invalid") log("upstream.tool_refused", { upstream, tool: name, detail: read.detail });
      else if (read.mirrored.length > 0) mirrored.set(name, read.mirrored);
      return read.kind === "valid";
    });
    entry.mirrored = mirrored;
    return { ...catalogue, tools };
  }

  return {
    hold,
    async capabilities(request) {
      if (closing !== undefined) throw new Failure("upstream_unavailable", "the gateway is stopping");
      const entry = entryFor(request.tenantId, request.upstreamId, request.upstream);
      const place = placeForCall(entry, request);
      place.running += 1;
      try {
        const session = await waitUntil(place, request.signal, clock.monotonicMs() + request.waitMs);
        if (session === undefined) throw new Failure("upstream_unavailable", "no session was ready in time");
        return session.capabilities;
      } catch (error) {
        // Whatever kept the session from opening is said in the port's own words.
        if (error instanceof Failure) throw error;
        throw new Failure("upstream_unavailable", "the upstream's session could not be opened", { cause: error });
      } finally {
        giveBack(entry, place);
        if (entries.get(entry.key) !== entry) retire(entry);
      }
    },
    async readCatalogue(tenantId, upstreamId, upstream, signal) {
      if (closing !== undefined) throw new Failure("upstream_unavailable", "the gateway is stopping");
      const entry = entryFor(tenantId, upstreamId, upstream);
      if (entry.credentials !== undefined) await entry.credentials.refresh();
      const place = placeFor(entry, upstream, GATEWAY_KEY, ASKABLE);
      place.running += 1;
      try {
        const session = await waitFor(place, signal);
        if (session === undefined) throw new Failure("upstream_unavailable", "no session was ready in time");
        const catalogue = await readCatalogue(session, limits, { signal, deadlineMs: upstream.timeoutMs });
        return entry.pool !== undefined && session.revision === STATELESS_REVISION
          ? withMirrored(entry, upstream.name, catalogue)
          : catalogue;
      } finally {
        giveBack(entry, place);
        // Read once in a while, and each time over a session of its own: an upstream says its instructions when one opens.
        if (place.running === 0) drop(entry, GATEWAY_KEY, place);
        if (entries.get(entry.key) !== entry) retire(entry);
      }
    },
    givenTime: () =>
      [...entries.values()].flatMap(({ tenantId, upstreamId, breaker }) => {
        const notBeforeMs = breaker.notBeforeMs();
        return notBeforeMs === undefined ? [] : [{ tenantId, upstreamId, notBeforeMs }];
      }),
    close() {
      closing ??= (async () => {
        clearInterval(sweeper);
        ended.abort();
        const openings = [...entries.values()].flatMap((entry) =>
          [...entry.places.values()].map((place) => place.opening),
        );
        await Promise.allSettled(openings);
        for (const entry of [...entries.values()]) forget(entry);
        while (farewells.size > 0) await Promise.allSettled([...farewells]);
      })();
      return closing;
    },
    counts: () => ({
      upstreams: entries.size,
      sessions: [...entries.values()].reduce((sum, entry) => sum + entry.places.size, 0),
      children: childCount(),
    }),
  };
}
