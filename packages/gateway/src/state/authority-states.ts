/**
 * The authority of tenants in this process's memory: loads a tenant in one snapshot, follows its changes (notified,
 * with a poll behind), and knows when contact to the database was last certain. Applying changes is synchronous, so
 * every decision sees one whole revision. Decides nothing.
 */
import { type AuthorityChange, INSTANCE_TENANT } from "@writ/contract";
import type { TenantState } from "@writ/core";
import type { ChangesRead } from "@writ/history";
import { type Clock, Failure, type StatePort } from "../ports.ts";
import type { AuthorityStore } from "./authority-store.ts";

export interface AuthorityStates extends StatePort {
  /** Applies changes that were read elsewhere (under the head's lock); false when the state must be loaded anew. */
  follow(tenantId: string, read: ChangesRead): boolean;
  /** The monotonic time at which the last answered poll was sent. */
  lastContactMonotonicMs(): number;
  readonly tenantIds: readonly string[];
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface AuthorityStatesOptions {
  readonly store: AuthorityStore;
  readonly clock: Clock;
  readonly log: { warn(fields: object, message: string): void };
  readonly pollMs: number;
  /** Called after a tenant's state changed in a way that can take something away from open calls. */
  readonly narrowed: (tenantId: string) => void;
  /** Called when a tenant is known to have moved and was not followed in time: what is open rests on what is old. */
  readonly unfollowed: (tenantId: string) => void;
  /** Called after any change or load. */
  readonly changed: (tenantId: string) => void;
}

/** Tenants held in memory at once; the one loaded first goes first. */
const TENANTS_MAX = 10_000;
/** Tenants loaded at the start, before anybody asks for them: their upstreams are looked at. */
const TENANTS_EAGER_MAX = 1_000;
/** Tenants followed in one statement. */
const FOLLOW_PAGE = 200;
/** Tenants followed or loaded by themselves at a time, where one statement for many does not do. */
const FOLLOW_AT_ONCE = 4;
/**
 * From the sending of the poll that saw a tenant move until it must have been followed. With a poll a second before and
 * after it this is within the 5 s that a stream may go on.
 */
const FOLLOW_WITHIN_MS = 2_500;

export function createAuthorityStates(options: AuthorityStatesOptions): AuthorityStates {
  const { store, clock, log } = options;
  const states = new Map<string, TenantState>();
  const loading = new Map<string, Promise<TenantState | undefined>>();
  const following = new Map<string, { running: Promise<void>; next: Promise<void> | undefined }>();
  /** Tenants that may have moved and whose turn comes. */
  const behind = new Set<string>();
  /** Tenants that a poll saw move, and when it was sent. */
  const moved = new Map<string, number>();
  let working: Promise<void> | undefined;
  let lastContactMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let listening: { close(): Promise<void> } | undefined;
  let polling = false;
  let closed = false;

  async function load(tenantId: string): Promise<TenantState | undefined> {
    const running = loading.get(tenantId);
    if (running !== undefined) return running;
    const started = (async () => {
      try {
        const state = await store.load(tenantId);
        if (state === undefined) return undefined;
        states.set(tenantId, state);
        evict();
        options.changed(tenantId);
        options.narrowed(tenantId);
        return state;
      } catch (error) {
        throw new Failure("state_unavailable", "the tenant's authority could not be loaded", { cause: error });
      } finally {
        loading.delete(tenantId);
      }
    })();
    loading.set(tenantId, started);
    return started;
  }

  function evict(): void {
    for (const tenantId of states.keys()) {
      if (states.size <= TENANTS_MAX) return;
      states.delete(tenantId);
      // Nothing follows the tenant from here on: what is open is judged on the state that there is then, or cut.
      options.narrowed(tenantId);
    }
  }

  /** Applies what was read; false when the state cannot be brought there change by change. */
  function apply(tenantId: string, read: ChangesRead): boolean {
    const state = states.get(tenantId);
    if (state === undefined || read.kind !== "changes" || read.epoch !== state.epoch) return false;
    const { revision, instanceRevision, changes, instanceChanges } = read;
    // A slower read must not undo a newer one; what is in between was applied by then.
    if (revision < state.revision || instanceRevision < state.instanceRevision) return false;
    if (revision === state.revision && instanceRevision === state.instanceRevision) return true;
    try {
      state.apply(changes, revision, instanceChanges, instanceRevision);
    } catch (error) {
      // What this version does not understand is not guessed at: the state is dropped, and without state nothing is allowed.
      log.warn({ error, tenantId }, "a change of authority could not be understood; the tenant is loaded anew");
      states.delete(tenantId);
      // Loading may fail as well, and a tenant without a state is not polled for: its open calls are judged or cut.
      options.narrowed(tenantId);
      return false;
    }
    options.changed(tenantId);
    if (instanceChanges.length > 0 || changes.some(takesAway)) options.narrowed(tenantId);
    return true;
  }

  async function reload(tenantId: string): Promise<void> {
    const fresh = await store.load(tenantId);
    const state = states.get(tenantId);
    if (fresh === undefined) {
      states.delete(tenantId);
      options.narrowed(tenantId);
      return;
    }
    // In one epoch revisions only grow: a database that is behind is not believed, and the commit refuses it.
    if (state !== undefined && fresh.epoch === state.epoch && fresh.revision < state.revision) return;
    states.set(tenantId, fresh);
    options.changed(tenantId);
    options.narrowed(tenantId);
  }

  async function followOnce(tenantId: string): Promise<void> {
    const before = states.get(tenantId);
    if (before === undefined) return;
    const { revision, instanceRevision } = before;
    const read = await store.changes({ tenantId, sinceRevision: revision, sinceInstanceRevision: instanceRevision });
    const now = states.get(tenantId);
    if (now === undefined) return;
    // A commit under the lock may have moved the state meanwhile: what was read belongs to the older one.
    if (now !== before || now.revision !== revision || now.instanceRevision !== instanceRevision)
      return followOnce(tenantId);
    if (!apply(tenantId, read)) await reload(tenantId);
  }

  /** Follows to a head read after this call began: a run that is already under way may have read too early. */
  function follow(tenantId: string): Promise<void> {
    const current = following.get(tenantId);
    if (current === undefined) {
      const entry: { running: Promise<void>; next: Promise<void> | undefined } = {
        running: Promise.resolve(),
        next: undefined,
      };
      entry.running = followOnce(tenantId).finally(() => {
        if (following.get(tenantId) === entry) following.delete(tenantId);
      });
      following.set(tenantId, entry);
      return entry.running;
    }
    current.next ??= current.running.then(
      () => follow(tenantId),
      () => follow(tenantId),
    );
    return current.next;
  }

  /** Follows these, each to a head that is read after this; many in one statement, and what comes meanwhile in the next. */
  function followSoon(tenants: Iterable<string>): void {
    for (const tenantId of tenants) behind.add(tenantId);
    working ??= work().finally(() => {
      working = undefined;
    });
  }

  async function work(): Promise<void> {
    while (behind.size > 0 && !closed) {
      const page = [...behind].slice(0, FOLLOW_PAGE);
      for (const tenantId of page) behind.delete(tenantId);
      const known = page.flatMap((tenantId) => states.get(tenantId) ?? []);
      const alone = await followPage(known);
      await Promise.all(Array.from({ length: FOLLOW_AT_ONCE }, () => followEach(alone)));
    }
  }

  /** Those that have to be followed by themselves. */
  async function followPage(page: readonly TenantState[]): Promise<string[]> {
    const before = page.map((state) => ({
      state,
      tenantId: state.tenantId,
      sinceRevision: state.revision,
      sinceInstanceRevision: state.instanceRevision,
    }));
    try {
      const reads = await store.changesOfMany(before);
      return before.flatMap(({ state, tenantId, sinceRevision, sinceInstanceRevision }) => {
        const read = reads.get(tenantId);
        const isAsRead =
          states.get(tenantId) === state &&
          state.revision === sinceRevision &&
          state.instanceRevision === sinceInstanceRevision;
        if (read === undefined || !isAsRead || !apply(tenantId, read)) return [tenantId];
        moved.delete(tenantId);
        return [];
      });
    } catch (error) {
      // What one of them has cannot be read, or the database does not answer: each is tried by itself.
      log.warn({ error }, "changes of authority could not be read together");
      return before.map(({ tenantId }) => tenantId);
    }
  }

  async function followEach(tenants: string[]): Promise<void> {
    for (let tenantId = tenants.pop(); tenantId !== undefined && !closed; tenantId = tenants.pop()) {
      try {
        await follow(tenantId);
        moved.delete(tenantId);
      } catch (error) {
        // A failure to read one tenant's authority must not keep the others from being followed.
        log.warn({ error, tenantId }, "a change of authority could not be read");
      }
    }
  }

  async function poll(): Promise<void> {
    if (polling || closed) return;
    polling = true;
    const sentMs = clock.monotonicMs();
    try {
      const heads = await store.heads([...states.keys()]);
      lastContactMs = Math.max(lastContactMs, sentMs);
      for (const state of states.values()) {
        const head = heads.get(state.tenantId);
        const isAtHead = head !== undefined && head.revision === state.revision && head.epoch === state.epoch;
        if (isAtHead) moved.delete(state.tenantId);
        else if (!moved.has(state.tenantId)) moved.set(state.tenantId, sentMs);
      }
      for (const [tenantId, sinceMs] of moved) {
        if (!states.has(tenantId)) moved.delete(tenantId);
        else if (sentMs - sinceMs > FOLLOW_WITHIN_MS) options.unfollowed(tenantId);
      }
      // Not waited for: however many have moved, whether the database answers is asked every time.
      followSoon(moved.keys());
    } catch (error) {
      // A failure of the database: nothing is changed here; loss of contact is acted on by whoever asks how long ago it was.
      log.warn({ error }, "the poll for authority went unanswered");
    } finally {
      polling = false;
    }
  }

  function notified(tenantId: string): void {
    if (tenantId === INSTANCE_TENANT) followSoon(states.keys());
    else if (states.has(tenantId) && following.size >= FOLLOW_AT_ONCE) followSoon([tenantId]);
    else {
      // A tenant that changes is loaded however many there are: somebody waits for its new upstream to be read.
      (states.has(tenantId) ? follow(tenantId) : load(tenantId)).catch((error: unknown) =>
        log.warn({ error, tenantId }, "a change of authority could not be read"),
      );
    }
  }

  return {
    current(tenantId) {
      return states.get(tenantId);
    },
    async load(tenantId) {
      return states.get(tenantId) ?? (await load(tenantId));
    },
    async catchUp(tenantId) {
      if (!states.has(tenantId)) return load(tenantId);
      try {
        await follow(tenantId);
      } catch (error) {
        throw new Failure("state_unavailable", "the changes of authority could not be read", { cause: error });
      }
      return states.get(tenantId);
    },
    follow: apply,
    lastContactMonotonicMs: () => lastContactMs,
    get tenantIds() {
      return [...states.keys()];
    },
    async start() {
      listening = await store.listen(notified, () => void poll());
      await poll();
      await working;
      for (const tenantId of await store.tenants(TENANTS_EAGER_MAX)) if (!states.has(tenantId)) await load(tenantId);
      timer = setInterval(() => void poll(), options.pollMs);
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await listening?.close();
      await working;
    },
  };
}

/** Additive changes take nothing away from calls that are open: a new root token, a recorded child. */
function takesAway(change: AuthorityChange): boolean {
  return change.type === "delete" || (change.object.kind !== "node" && change.object.kind !== "root_token");
}
