/**
 * The data plane without its listener: journal, state, upstreams and the gate, built from plain parameters, and their
 * common life. Knows no protocol.
 */
import { makeSeal } from "@writ/audit";
import { ANONYMOUS, type AuditEvent, INSTANCE_TENANT, makeUuidv7, type Reason } from "@writ/contract";
import type { Database } from "@writ/db";
import type { Keyring, Logger } from "@writ/runtime";
import { makeTokenHash } from "@writ/token";
import { createPublicDoor } from "./admit-public.ts";
import { createAuthenticator } from "./authenticate.ts";
import { createPointAuthenticator } from "./authenticate-point.ts";
import { createCatalogueWatch } from "./catalogue-watch.ts";
import { createStateOptions } from "./compile-policy.ts";
import { createCounterReadings } from "./counter-readings.ts";
import { createDelegations } from "./delegations.ts";
import { createDenialLimit, type DenialSummary } from "./denial-limit.ts";
import type { Gate } from "./gate.ts";
import { handleCall } from "./handle-call.ts";
import { createInputStates } from "./input-state.ts";
import type { Head } from "./journal/batch-store.ts";
import { createJournal } from "./journal/journal.ts";
import { createJudge } from "./judge-call.ts";
import { createLeases } from "./leases.ts";
import { type ObservedOfTenant, observedOfTenant } from "./observed-upstreams.ts";
import { createOpenCalls } from "./open-calls.ts";
import type { Clock, Random } from "./ports.ts";
import { previewCall } from "./preview-call.ts";
import { type AddressAdmission, createAddressRate } from "./rates/address-rate.ts";
import { createCallRates, type SharedRates } from "./rates/call-rates.ts";
import { createRejections } from "./rejections.ts";
import { createRemainingBudgets } from "./remaining-budgets.ts";
import { sha256 } from "./sha256.ts";
import { type AuthorityStates, createAuthorityStates } from "./state/authority-states.ts";
import { createAuthorityStore } from "./state/authority-store.ts";
import { createHistoryStores } from "./store/history-store.ts";
import { createObservationStore } from "./store/observation-store.ts";
import { createCredentialFiles } from "./upstream/credential-files.ts";
import { createOpenEnvironment } from "./upstream/open-environment.ts";
import { createUpstreams, type UpstreamHealth } from "./upstream/upstreams.ts";
import { createUpstreamStandings } from "./upstream-standings.ts";

export interface GatewayOptions {
  /** Connections of the role `gateway`; the journal has its own, so that nothing stands before a commit. */
  readonly db: Database;
  readonly journalDb: Database;
  readonly keyring: Keyring;
  readonly audience: string;
  readonly version: string;
  /** Dangerous options in force, said in the event of each start. */
  readonly dangerous: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly callDeadlineMs: number;
  /** Whether answers to charged calls have a header with what is left of their agent's own budgets. */
  readonly tellsBudgets: boolean;
  /** How many requests all gateways together answer one address in a minute; undefined: any number. */
  readonly addressRequestsPerMinute: number | undefined;
  /** How long after an upstream's catalogue was read it is read again. */
  readonly catalogueIntervalMs: number;
  readonly stdioRunner: readonly string[];
  /** `/proc/<pid>/environ` of this process. */
  readonly environmentFile: string;
  readonly allowedAddresses: readonly string[];
  /** Where the values of upstreams' credentials are; undefined where no upstream can have any. */
  readonly credentialsDir: string | undefined;
  /** All that stdio upstreams inherit. */
  readonly childEnvironment: { readonly path: string; readonly home: string };
  readonly mode: "development" | "production";
}

/** A gateway without its listener: what a protocol adapter is given, and its life. */
export interface GatewayCore {
  readonly gatewayId: string;
  readonly gate: Gate;
  /** Counts a request of an address, before anything of it is read; absent where addresses have no rate. */
  readonly admitAddress: ((remoteAddress: string) => AddressAdmission) | undefined;
  /** Why no calls are taken now; undefined when they are. */
  readonly notReady: () => Reason | undefined;
  /** The upstreams under observation, of the tenants in memory. */
  observed(): readonly ObservedOfTenant[];
  /** Whether there are any, as of the last second: whoever asks need not be known. */
  isObserving(): boolean;
  start(): Promise<void>;
  /** Stops taking calls, lets running ones end, puts everything on record; bounded. */
  drain(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

/** How long a look at the head may take. */
const CATCH_UP_MS = 5_000;
/** Authority is asked for at least this often. */
const POLL_MS = 1_000;
/** Without an answered poll sent within this time, everything open is cut and nothing new is taken. */
const CONTACT_LOST_MS = 4_000;
/** How often open calls are looked at for validity and contact. */
const WATCH_MS = 250;
/** How often readings of a catalogue that the control plane asked for are looked for. */
const SERVE_MS = 1_000;
/** How often counted rejections and summaries become events. */
const SUMMARISE_MS = 10_000;
/** Open calls of a tenant are judged again at most this often; the bound of 5 s for streams leaves room. */
const REVIEW_MS = 100;

/** How long it is remembered whether any upstream is under observation: to find out, every tenant is looked at. */
const OBSERVING_KEPT_MS = 1_000;
/** Upstreams under observation that a start names one by one in its log. */
const OBSERVED_SAID_MAX = 100;

export function createGatewayCore(options: GatewayOptions): GatewayCore {
  const { clock, random, keyring, log } = options;
  const gatewayId = makeUuidv7(clock.nowMs(), random.bytes(10));
  const openCalls = createOpenCalls();
  const denials = createDenialLimit();
  const previews = createDenialLimit();
  const rejections = createRejections({ clock, random, gatewayId });
  const stateOptions = createStateOptions();
  const reviews = new Map<string, NodeJS.Timeout>();
  let draining = false;
  let started = false;

  const notReady = (): Reason | undefined => {
    if (draining) return "gateway_draining";
    if (!started || clock.monotonicMs() - states.lastContactMonotonicMs() > CONTACT_LOST_MS) return "state_unavailable";
    return undefined;
  };

  const states: AuthorityStates = createAuthorityStates({
    store: createAuthorityStore(options.db, stateOptions),
    clock,
    log,
    pollMs: POLL_MS,
    narrowed(tenantId) {
      if (openCalls.size === 0 || reviews.has(tenantId)) return;
      reviews.set(
        tenantId,
        setTimeout(() => {
          reviews.delete(tenantId);
          openCalls.review(tenantId);
        }, REVIEW_MS),
      );
    },
    unfollowed: (tenantId) => openCalls.cutTenant(tenantId, "state_unavailable"),
    changed(tenantId) {
      const state = states.current(tenantId);
      if (state !== undefined) catalogue.review(state);
    },
  });

  const history = createHistoryStores({ db: options.journalDb, gatewayId, clock, random, states, log });
  const journal = createJournal({
    store: history.batches,
    clock,
    random,
    log,
    revisionOf: (tenantId) => states.current(tenantId)?.revision,
    catchUp: (tenantId) => states.catchUp(tenantId, AbortSignal.timeout(CATCH_UP_MS)),
    seal: (tenantId, head) => sealEvent({ clock, random, keyring, tenantId, head }),
  });
  const upstreams = createUpstreams({
    clock,
    random,
    mode: options.mode,
    stdioRunner: options.stdioRunner,
    environmentFile: options.environmentFile,
    allowedAddresses: options.allowedAddresses,
    credentialFiles: createCredentialFiles({ directory: options.credentialsDir, clock }),
    childEnvironment: options.childEnvironment,
    openEnvironment: createOpenEnvironment(keyring),
    callDeadlineMs: options.callDeadlineMs,
    log: (event, fields) => log.info(fields, event),
    version: options.version,
    onToolsChanged: (tenantId, upstreamId) => catalogue.heard(tenantId, upstreamId),
    onHealth: (health) => journal.record(healthEvent({ clock, random, gatewayId, health })),
  });
  const catalogue = createCatalogueWatch({
    reader: upstreams,
    store: createObservationStore(options.db),
    states,
    clock,
    random,
    gatewayId,
    intervalMs: options.catalogueIntervalMs,
    record: journal.record,
    log,
  });
  const standings = createUpstreamStandings({ store: history.standings, clock, upstreams, log });
  const leases = createLeases({ store: history.leases, gatewayId, log });
  const tokenHash = makeTokenHash(sha256);
  const authenticator = createAuthenticator({
    clock,
    state: states,
    hash: tokenHash,
    unwrapRootKey: createUnwrap(keyring, log),
    rejected: rejections.count,
  });
  const { tokenOf } = authenticator;
  const points = createPointAuthenticator({ clock, state: states, rejected: rejections.count });
  const publicDoor = createPublicDoor({ clock, state: states, rejected: rejections.count });
  const judge = createJudge({
    state: states,
    clock,
    random,
    audience: options.audience,
    gatewayId,
    tellsBudgets: options.tellsBudgets,
    presenterOf: (authenticated) =>
      authenticated.tokenDigest === ANONYMOUS
        ? publicDoor.subjectOf(authenticated)
        : (points.subjectOf(authenticated) ?? tokenOf(authenticated)),
  });
  const { liveGateways } = leases;
  const rates = createCallRates({ liveGateways });
  const addressRate =
    options.addressRequestsPerMinute === undefined
      ? undefined
      : createAddressRate({ requestsPerMinute: options.addressRequestsPerMinute, liveGateways });
  const { children } = history;
  const counters = createCounterReadings({ clock, store: history.counters });
  const delegations = createDelegations({
    clock,
    random,
    state: states,
    hash: tokenHash,
    children,
    record: journal.record,
    tokenOf,
  });
  const deps = {
    clock,
    random,
    state: states,
    journal,
    upstreams,
    judge,
    openCalls,
    denials,
    rates,
    delegations,
    inputStates: createInputStates({ clock, keyOf: keyring.inputStateKey }),
    gatewayId,
    log,
    closedReason: notReady,
  };

  let watcher: NodeJS.Timeout | undefined;
  let summariser: NodeJS.Timeout | undefined;
  let server: NodeJS.Timeout | undefined;
  let serving: Promise<void> | undefined;

  function watch(): void {
    openCalls.expire(clock.nowMs());
    if (clock.monotonicMs() - states.lastContactMonotonicMs() > CONTACT_LOST_MS) openCalls.cutAll("state_unavailable");
  }

  function serve(): void {
    serving ??= Promise.all([catalogue.serve(), standings.tell()]).then(() => {
      serving = undefined;
    });
  }

  function summarise(all: boolean): void {
    // Nobody was denied anything by them.
    previews.take(clock.nowMs(), all);
    for (const event of rejections.take()) journal.record(event);
    const monotonicMs = clock.monotonicMs();
    for (const shared of [...rates.take(monotonicMs), ...(addressRate?.take(monotonicMs) ?? [])]) tellShared(shared);
    for (const summary of denials.take(clock.nowMs(), all))
      journal.record(summaryEvent({ clock, random, gatewayId, summary }));
    for (const tenantId of states.tenantIds) {
      const state = states.current(tenantId);
      if (state !== undefined) catalogue.review(state);
    }
  }

  function tellShared({ table, count }: SharedRates): void {
    log.warn({ table, count }, "too many to be told apart: the others share one rate");
    journal.record(instanceEvent("rate.shared", { gateway: gatewayId, table, count }));
  }

  const instanceEvent = (event: AuditEvent["event"], fields: object): AuditEvent => {
    const timeMs = clock.nowMs();
    // Name and fields are given together by its callers, in the catalogue's shapes.
    return { event, id: makeUuidv7(timeMs, random.bytes(10)), timeMs, tenantId: INSTANCE_TENANT, fields } as AuditEvent;
  };

  const observed = (): readonly ObservedOfTenant[] => {
    const nowMs = clock.nowMs();
    return states.tenantIds.flatMap((tenantId) => {
      const state = states.current(tenantId);
      return state === undefined ? [] : observedOfTenant(state, nowMs);
    });
  };

  let observing = { is: false, untilMs: 0 };

  return {
    gatewayId,
    observed,
    isObserving() {
      const nowMs = clock.monotonicMs();
      if (nowMs >= observing.untilMs) observing = { is: observed().length > 0, untilMs: nowMs + OBSERVING_KEPT_MS };
      return observing.is;
    },
    gate: {
      authenticate: authenticator.authenticate,
      async reachable(authenticated) {
        try {
          await states.catchUp(authenticated.tenantId, AbortSignal.timeout(CATCH_UP_MS));
        } catch (error) {
          // A failure of the database: the attempts that follow are denied for it, with their reason.
          log.warn({ error }, "the upstreams that an agent may reach were told from an older state");
        }
        return judge.reachable(authenticated);
      },
      remainingBudgets: createRemainingBudgets({
        clock,
        state: states,
        counters,
        tokenOf,
        rejected: rejections.count,
      }),
      authenticatePoint: points.authenticate,
      admitPublic: publicDoor.admit,
      assertSubject: points.assertSubject,
      preview: (authenticated, call) => previewCall({ ...deps, counters, denials: previews }, authenticated, call),
      handleCall: (authenticated, call, sink, cut) => handleCall(deps, authenticated, call, sink, cut),
    },
    admitAddress:
      addressRate === undefined
        ? undefined
        : (remoteAddress) => {
            const admission = addressRate.admit(remoteAddress, clock.monotonicMs());
            if (admission.kind === "refused") rejections.count("rate_address");
            return admission;
          },
    notReady,
    async start() {
      await leases.start();
      await states.start();
      journal.start();
      watcher = setInterval(watch, WATCH_MS);
      summariser = setInterval(() => summarise(false), SUMMARISE_MS);
      server = setInterval(serve, SERVE_MS);
      started = true;
      const { version } = options;
      const under = observed();
      for (const each of under.slice(0, OBSERVED_SAID_MAX)) {
        log.warn({ ...each }, "an upstream is under observation: what its policy would deny is allowed");
      }
      const dangerous = [...options.dangerous, ...(under.length === 0 ? [] : ["observe_mode"])];
      journal.record(instanceEvent("gateway.started", { gateway: gatewayId, version, dangerous }));
    },
    async drain(timeoutMs) {
      draining = true;
      const deadlineMs = clock.monotonicMs() + timeoutMs;
      openCalls.cutLasting("gateway_draining");
      while (openCalls.size > 0 && clock.monotonicMs() < deadlineMs) await pause(20);
      openCalls.cutAll("gateway_draining");
      while (openCalls.size > 0 && clock.monotonicMs() < deadlineMs + 1_000) await pause(20);
      summarise(true);
      journal.record(instanceEvent("gateway.stopped", { gateway: gatewayId }));
      await journal.drain(Math.max(2_000, deadlineMs - clock.monotonicMs()));
    },
    async close() {
      draining = true;
      clearInterval(watcher);
      clearInterval(summariser);
      clearInterval(server);
      for (const timer of reviews.values()) clearTimeout(timer);
      openCalls.cutAll("gateway_draining");
      await serving;
      await catalogue.close();
      await upstreams.close();
      journal.close();
      await states.close();
      await leases.close();
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function sealEvent(parts: {
  clock: Clock;
  random: Random;
  keyring: Keyring;
  tenantId: string;
  head: Head;
}): AuditEvent {
  const { clock, random, keyring, tenantId, head } = parts;
  const { keyId, key } = keyring.chainKey(tenantId);
  const { epoch, sequence, hash: headHash } = head;
  const seal = makeSeal(key, { tenantId, epoch, sequence, hash: headHash });
  const timeMs = clock.nowMs();
  return {
    event: "log.sealed",
    id: makeUuidv7(timeMs, random.bytes(10)),
    timeMs,
    tenantId,
    fields: {
      epoch,
      sequence,
      hash: Buffer.from(headHash).toString("hex"),
      keyId,
      seal,
    },
  };
}

function healthEvent(parts: { clock: Clock; random: Random; gatewayId: string; health: UpstreamHealth }): AuditEvent {
  const { clock, random, gatewayId: gateway, health } = parts;
  const { tenantId, upstream, failures, detail: status } = health;
  const timeMs = clock.nowMs();
  const base = { id: makeUuidv7(timeMs, random.bytes(10)), timeMs, tenantId };
  return health.state === "available"
    ? { event: "upstream.available", ...base, fields: { upstream, gateway } }
    : { event: "upstream.unavailable", ...base, fields: { upstream, failures, status, gateway } };
}

function summaryEvent(parts: { clock: Clock; random: Random; gatewayId: string; summary: DenialSummary }): AuditEvent {
  const { clock, random, gatewayId, summary } = parts;
  const timeMs = clock.nowMs();
  const { tenantId, node, reason, count, fromTimeMs, toTimeMs } = summary;
  return {
    event: "call.denied_summary",
    id: makeUuidv7(timeMs, random.bytes(10)),
    timeMs,
    tenantId,
    fields: { node, reason, count, fromTime: fromTimeMs, toTime: toTimeMs, gateway: gatewayId },
  };
}

/** Root keys in the clear, remembered by their wrapped form: opening one costs microseconds, and only once. */
function createUnwrap(
  keyring: Keyring,
  log: Logger,
): (tenantId: string, keyId: string, wrapped: string) => Uint8Array | undefined {
  const UNWRAPPED_MAX = 10_000;
  const unwrapped = new Map<string, Uint8Array>();
  return (tenantId, keyId, wrapped) => {
    const name = `${tenantId}/${keyId}/${wrapped}`;
    const known = unwrapped.get(name);
    if (known !== undefined) return known;
    try {
      const key = keyring.unwrap({ tenantId, kind: "root_key", id: keyId }, wrapped);
      if (unwrapped.size >= UNWRAPPED_MAX) unwrapped.clear();
      unwrapped.set(name, key);
      return key;
    } catch (error) {
      // A failure of the keyring (another master key) becomes "no such key": its tokens are refused.
      log.error({ error, tenantId, keyId }, "a root key does not open with this master key");
      return undefined;
    }
  };
}
