/**
 * The life of a server process: runs what `start` gives until SIGINT or SIGTERM, drains it, closes it, exits. A second
 * signal closes at once. Ctrl-C while starting waits for the step under way, so that nothing is left half-made.
 */
export interface Running {
  /** Takes nothing new and lets what runs end; bounded by the implementation. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

export async function runUntilSignal(start: (signal: AbortSignal) => Promise<Running>): Promise<void> {
  const stopping = new AbortController();
  let second: () => void = () => {};
  const impatient = new Promise<void>((resolve) => {
    second = resolve;
  });
  const onSignal = (): void => {
    if (stopping.signal.aborted) second();
    else stopping.abort();
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
