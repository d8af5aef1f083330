/** A bounded number of places, and a bounded queue for them in order of arrival. Knows nothing of what they are for. */

export interface Slots {
  /** A function that gives the place back, once; undefined when none can be had within `waitMs` or before `signal`. */
  take(waitMs: number, signal: AbortSignal): Promise<(() => void) | undefined>;
  used(): number;
}

export function createSlots(placesMax: number, waitersMax: number): Slots {
  let used = 0;
  const waiters = new Set<(release: (() => void) | undefined) => void>();

  function makeRelease(): () => void {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const [next] = waiters;
      if (next === undefined) {
        used -= 1;
        return;
      }
      waiters.delete(next);
      next(makeRelease());
    };
  }

  return {
    used: () => used,
    take(waitMs, signal) {
      if (signal.aborted) return Promise.resolve(undefined);
      if (used < placesMax) {
        used += 1;
        return Promise.resolve(makeRelease());
      }
      if (waiters.size >= waitersMax || waitMs <= 0) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        const answer = (release: (() => void) | undefined): void => {
          clearTimeout(timer);
          signal.removeEventListener("abort", giveUp);
          resolve(release);
        };
        const giveUp = (): void => {
          waiters.delete(answer);
          answer(undefined);
        };
        const timer = setTimeout(giveUp, waitMs);
        signal.addEventListener("abort", giveUp, { once: true });
        waiters.add(answer);
      });
    },
  };
}
