/** Counts messages that belong to no call: a few come late, and an upstream that sends more than that is broken. */
export interface StrayMessages {
  /** Counts one; false when it is one too many. */
  add(): boolean;
}

export function countStrayMessages(perSecondMax: number): StrayMessages {
  let count = 0;
  let fromMs = 0;
  return {
    add() {
      const nowMs = performance.now();
      if (nowMs - fromMs > 1000) {
        fromMs = nowMs;
        count = 0;
      }
      count += 1;
      return count <= perSecondMax;
    },
  };
}
