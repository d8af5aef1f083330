/**
 * What a delegation (`token.attenuate`) has beside what every call has: a rate for each root, turns within a tenant,
 * the child's token, and a commit that puts the child on record in the transaction of its decision. Decides nothing:
 * `handleCall` judges a delegation as every call, and records its denials as those of every call.
 */
import type { TokenHash, VerifiedToken } from "@writ/token";
import type { Authenticated } from "./gate.ts";
import { createExcessEvents } from "./journal/excess-events.ts";
import type { JudgedChild } from "./judge-call.ts";
import { type Child, makeChild } from "./make-child.ts";
import type { AgentCall, Clock, Committed, DecisionEntry, JournalPort, Random, StatePort } from "./ports.ts";
import type { ChildStore } from "./store/child-store.ts";

export interface Delegations {
  /** Counts a delegation of the presenter's root and makes its child, unless the root had too many this minute. */
  begin(authenticated: Authenticated, call: AgentCall): Begun;
  /** Does `work` when those of the tenant that came before are done; undefined when too many wait already. */
  inTurn<T>(tenantId: string, work: () => Promise<T>): Promise<T | undefined>;
  /**
   * Puts an allow on durable record together with its child. Resolves once this process's authority has the child, or
   * whatever moved authority instead: then nothing was recorded. Failure `journal_unavailable` or `state_unavailable`
   * when the child may be on record; its token was then never handed out.
   */
  commit(entry: DecisionEntry, child: JudgedChild): Promise<Committed>;
}

export type Begun =
  | { readonly kind: "begun"; readonly child: Child }
  | { readonly kind: "limited"; readonly retryAfterSeconds: number };

export interface DelegationsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly state: StatePort;
  readonly hash: TokenHash;
  readonly children: ChildStore;
  /** Puts an event on record that is bound to no decision. */
  readonly record: JournalPort["record"];
  readonly tokenOf: (authenticated: Authenticated) => VerifiedToken;
}

/** Children recorded per root and minute: recording is cheap for the holder and costs every gateway memory. */
const DELEGATIONS_PER_MINUTE = 60;
const ROOTS_COUNTED_MAX = 10_000;
/** How many of one tenant wait for their turn. */
const WAITING_MAX = 256;
/** How long a recorded child may take to reach this process's own state. */
const CATCH_UP_MS = 5_000;

export function createDelegations(options: DelegationsOptions): Delegations {
  const { clock, state, children } = options;
  const rate = createRate();
  const excesses = createExcessEvents(options);

  return {
    begin(authenticated, call) {
      if (call.child === undefined) throw new TypeError("a delegation names no child");
      const token = options.tokenOf(authenticated);
      const retryAfterSeconds = rate(`${token.tenantId}/${token.rootNode}`, clock.nowMs());
      if (retryAfterSeconds > 0) return { kind: "limited", retryAfterSeconds };
      return { kind: "begun", child: makeChild(options, token, call.child) };
    },
    inTurn: createTurns(),
    async commit(entry, { event, ...child }) {
      const { tenantId, callId, salt, revision, outcome } = entry;
      // The allow is over with its commit, as every answer that Writ gives itself.
      const events = outcome === undefined ? [entry.event, event] : [entry.event, event, outcome];
      const result = await children.record({ tenantId, callId, salt, revision, ...child, events });
      switch (result.kind) {
        case "recorded":
          for (const excess of result.exceeded) {
            const made = excesses.make({ tenantId, callId }, excess);
            if (made.kind === "event") options.record(made.event);
          }
          await state.catchUp(tenantId, AbortSignal.timeout(CATCH_UP_MS));
          return { entry, result: { kind: "recorded" } };
        case "stale":
          await state.catchUp(tenantId, AbortSignal.timeout(CATCH_UP_MS));
          return { entry, result: { kind: "withdrawn" } };
        case "refused":
          return { entry, result: { kind: "refused_carve", remaining: result.remaining } };
        case "refused_nodes":
          return { entry, result: { kind: "refused_nodes" } };
      }
    },
  };
}

/**
 * One recording of a tenant at a time: each moves the revision that the others were decided on, so that side by side
 * all but one would start over.
 */
function createTurns(): Delegations["inTurn"] {
  const tenants = new Map<string, { last: Promise<unknown>; count: number }>();
  return async (tenantId, work) => {
    const turns = tenants.get(tenantId) ?? { last: Promise.resolve(), count: 0 };
    if (turns.count >= WAITING_MAX) return undefined;
    tenants.set(tenantId, turns);
    turns.count += 1;
    const done = turns.last.then(work);
    // Whoever comes next waits for the end, whatever it is; the failure is its caller's.
    turns.last = done.catch(() => undefined);
    try {
      return await done;
    } finally {
      turns.count -= 1;
      if (turns.count === 0) tenants.delete(tenantId);
    }
  };
}

/** Counts delegations per root in fixed minutes; 0, or the seconds to wait. Bounded. */
function createRate(): (key: string, nowMs: number) => number {
  let minute = 0;
  let counts = new Map<string, number>();
  return (key, nowMs) => {
    const current = Math.floor(nowMs / 60_000);
    if (current !== minute) {
      minute = current;
      counts = new Map();
    }
    const count = (counts.get(key) ?? 0) + 1;
    if (count > DELEGATIONS_PER_MINUTE || (count === 1 && counts.size >= ROOTS_COUNTED_MAX)) {
      return Math.max(1, Math.ceil(((current + 1) * 60_000 - nowMs) / 1000));
    }
    counts.set(key, count);
    return 0;
  };
}
