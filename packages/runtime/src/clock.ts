/** The time of this machine, for those that are given a clock. */
export const systemClock = {
  nowMs: (): number => Date.now(),
  /** Milliseconds from an arbitrary start, never going back. */
  monotonicMs: (): number => performance.now(),
};
