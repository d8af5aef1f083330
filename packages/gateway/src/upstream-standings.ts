/**
 * Tells the database which upstreams this gateway gives time, for administrators to see: soon after that has changed, and
 * again once in a while. No call waits for it or depends on it.
 */
import type { Clock } from "./ports.ts";
import type { UpstreamGivenTime } from "./upstream/upstreams.ts";

export interface StandingStore {
  /** All of them; what was told before is forgotten. `waitMs` is what is left. */
  tell(
    waits: readonly { readonly tenantId: string; readonly upstreamId: string; readonly waitMs: number }[],
  ): Promise<void>;
}

export interface UpstreamStandings {
  /** Does nothing when there is nothing new to tell. Never throws. */
  tell(): Promise<void>;
}

/** Whoever lost its lease for a while has been forgotten meanwhile. */
const TELL_AGAIN_MS = 15_000;

export function createUpstreamStandings(options: {
  readonly store: StandingStore;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly upstreams: { givenTime(): readonly UpstreamGivenTime[] };
  readonly log: { warn(fields: object, message: string): void };
}): UpstreamStandings {
  const { store, clock, upstreams, log } = options;
  /** Nothing is on record of a process that has just begun. */
  let told = JSON.stringify([]);
  let toldAtMs = Number.NEGATIVE_INFINITY;
  return {
    async tell() {
      const given = upstreams.givenTime();
      const nowMs = clock.monotonicMs();
      const telling = JSON.stringify(given);
      if (telling === told && (given.length === 0 || nowMs - toldAtMs < TELL_AGAIN_MS)) return;
      const waits = given.map(({ notBeforeMs, ...upstream }) => ({ ...upstream, waitMs: notBeforeMs - nowMs }));
      try {
        await store.tell(waits);
        [told, toldAtMs] = [telling, nowMs];
      } catch (error) {
        // A failure of the database: it is told the next time.
        log.warn({ error }, "which upstreams are given time could not be told");
      }
    },
  };
}
