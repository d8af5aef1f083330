/**
 * Beats for answers that take long, on one timer for all of them: most answers are over before theirs is due, and a
 * timer of their own would cost each call more than the rest of its waiting.
 */
import type { Clock } from "../../ports.ts";

export interface KeepAlive {
  /** Calls `beat` every `intervalMs`, until it is removed. */
  add(beat: () => void): void;
  /** Idempotent. */
  remove(beat: () => void): void;
}

export function createKeepAlive(clock: Clock, intervalMs: number): KeepAlive {
  /** When each is due; in the order of that, because all wait equally long. */
  const due = new Map<() => void, number>();
  let timer: NodeJS.Timeout | undefined;

  function arm(afterMs: number): void {
    timer = setTimeout(ring, Math.max(1, afterMs));
    timer.unref();
  }

  function ring(): void {
    timer = undefined;
    const nowMs = clock.monotonicMs();
    for (const [beat, dueMs] of due) {
      if (dueMs > nowMs) break;
      due.delete(beat);
      due.set(beat, nowMs + intervalMs);
      beat();
    }
    const [first] = due.values();
    if (first !== undefined) arm(first - nowMs);
  }

  return {
    add(beat) {
      due.set(beat, clock.monotonicMs() + intervalMs);
      if (timer === undefined) arm(intervalMs);
    },
    remove(beat) {
      due.delete(beat);
    },
  };
}
