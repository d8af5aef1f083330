/**
 * The life of a server process: runs what `start` gives until SIGINT or SIGTERM, drains it, closes it, exits. A second
 * signal closes at once. Ctrl-C while starting cuts the start short after the step under way, so that nothing is left half-made.
 */
export interface Running {
  /** Takes nothing new and lets what runs end; bounded by the implementation. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** A terminal's Ctrl-C reaches this process directly and, through npm or a shell, once more: that is one wish. */
const REPEAT_MS = 1_000;

export async function runUntilSignal(start: (signal: AbortSignal) => Promise<Running>): Promise<void> {
  const stopping = new AbortController();
  let second: () => void = () => {};
  const impatient = new Promise<void>((resolve) => {
    second = resolve;
  });
  let firstMs = 0;
  const onSignal = (): void => {
    if (!stopping.signal.aborted) {
      firstMs = performance.now();
      stopping.abort();
    } else if (performance.now() - firstMs > REPEAT_MS) second();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const stopped = new Promise<void>((resolve) =>
    stopping.signal.addEventListener("abort", () => resolve(), { once: true }),
  );
  try {
    const running = await start(stopping.signal);
    await stopped;
    await Promise.race([running.drain(), impatient]);
    await running.close();
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
