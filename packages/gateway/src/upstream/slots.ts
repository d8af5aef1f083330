/**
 * A bounded number of places, and a bounded queue for them. Who waits has a key, and places go round the keys: whoever
 * comes with many waits behind its own and not before others. Knows nothing of what places or keys are for.
 */

export interface Slots {
  /** A function that gives the place back, once; undefined when none can be had within `waitMs` or before `signal`. */
  take(key: string, waitMs: number, signal: AbortSignal): Promise<(() => void) | undefined>;
  used(): number;
}

type Waiter = (release: (() => void) | undefined) => void;

export function createSlots(placesMax: number, waitersMax: number): Slots {
  let used = 0;
  let waiting = 0;
  /** In the order in which the keys' turns come; those of one key in the order of arrival. None is empty. */
  const queues = new Map<string, Set<Waiter>>();

  function add(key: string, waiter: Waiter): void {
    const queue = queues.get(key);
    if (queue === undefined) queues.set(key, new Set([waiter]));
    else queue.add(waiter);
    waiting += 1;
  }

  function remove(key: string, waiter: Waiter): void {
    const queue = queues.get(key);
    if (queue?.delete(waiter) !== true) return;
    waiting -= 1;
    if (queue.size === 0) queues.delete(key);
  }

  /** Takes out whoever's turn it is; its key comes behind the others. */
  function next(): Waiter | undefined {
    for (const [key, queue] of queues) {
      for (const waiter of queue) {
        remove(key, waiter);
        if (queues.delete(key)) queues.set(key, queue);
        return waiter;
      }
    }
    return undefined;
  }

  /** In a full queue whoever waits least often goes before the last of whoever waits most often. */
  function makeRoom(key: string): boolean {
    let longest: string | undefined;
    for (const [name, { size }] of queues) if (size > sizeOf(longest)) longest = name;
    if (longest === undefined || sizeOf(longest) <= sizeOf(key) + 1) return false;
    const last = [...(queues.get(longest) ?? [])].at(-1);
    if (last === undefined) return false;
    remove(longest, last);
    last(undefined);
    return true;
  }

  function sizeOf(key: string | undefined): number {
    return key === undefined ? 0 : (queues.get(key)?.size ?? 0);
  }

  function makeRelease(): () => void {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const waiter = next();
      if (waiter === undefined) used -= 1;
      else waiter(makeRelease());
    };
  }

  return {
    used: () => used,
    take(key, waitMs, signal) {
      if (signal.aborted) return Promise.resolve(undefined);
      if (used < placesMax) {
        used += 1;
        return Promise.resolve(makeRelease());
      }
      if (waitMs <= 0 || (waiting >= waitersMax && !makeRoom(key))) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        const answer: Waiter = (release) => {
          clearTimeout(timer);
          signal.removeEventListener("abort", giveUp);
          resolve(release);
        };
        const giveUp = (): void => {
          remove(key, answer);
          answer(undefined);
        };
        const timer = setTimeout(giveUp, waitMs);
        signal.addEventListener("abort", giveUp, { once: true });
        add(key, answer);
      });
    },
  };
}
