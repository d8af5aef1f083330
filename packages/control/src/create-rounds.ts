/**
 * Work of the control plane that comes again at intervals. Rounds never overlap: whoever asks during one gets that one.
 * What a round does, and what its failure means, is its owner's.
 */
export interface Rounds {
  /** A round now, or the one that runs. */
  next(): Promise<number>;
  /** Begins to make rounds by itself. */
  start(): void;
  /** Begins no more, and waits for the one that runs. */
  stop(): Promise<void>;
}

export function createRounds(options: {
  readonly everyMs: number;
  /** Resolves to how much it has done. */
  readonly round: () => Promise<number>;
  /** Told of a round that failed and that nobody asked for; the next one tries again. */
  readonly failed: (error: unknown) => void;
}): Rounds {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<number> | undefined;

  function next(): Promise<number> {
    running ??= options.round().finally(() => {
      running = undefined;
    });
    return running;
  }

  return {
    next,
    start() {
      timer ??= setInterval(() => {
        next().catch(options.failed);
      }, options.everyMs);
      timer.unref();
    },
    async stop() {
      clearInterval(timer);
      await running?.catch(() => undefined); // said by whoever began the round
    },
  };
}
