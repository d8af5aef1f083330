/** Limits that both listeners share, and the way to a free port. A plane's own limits are its own. */
import { ConfigError, type ConfigProblem } from "./config/config.ts";

export const LISTENER_LIMITS = {
  /** All headers of a request together. */
  headerBytesMax: 16_384,
  headersMax: 100,
  headersTimeoutMs: 10_000,
  keepAliveTimeoutMs: 65_000,
  requestsPerConnectionMax: 0,
  urlBytesMax: 8_192,
} as const;

/** The control plane's limits: requests are small and rare. */
export const CONTROL_LIMITS = {
  bodyBytesMax: 1_048_576,
  requestTimeoutMs: 30_000,
  connectionsMax: 256,
} as const;

/** How many ports after a taken one are tried. */
const PORTS_TRIED_MAX = 20;

export interface ListenNearOptions {
  readonly plane: "gateway" | "control";
  readonly mode: "development" | "production";
  readonly port: number;
  /** Listens on exactly this port; rejects with code EADDRINUSE when it is taken. Resolves to the port (for 0: the one given). */
  readonly listen: (port: number) => Promise<number>;
}

/**
 * Listens on the wanted port, or in development on the next free one. Production throws `ConfigError` instead: a
 * listener that is not where it is expected is worse than none.
 */
export async function listenNear(
  options: ListenNearOptions,
): Promise<{ readonly port: number; readonly wanted: number }> {
  for (let offset = 0; ; offset += 1) {
    try {
      return { port: await options.listen(options.port + offset), wanted: options.port };
    } catch (error) {
      // Only a taken port leads on; every other failure is the caller's.
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error; // net rejects with an ErrnoException
      const problem: ConfigProblem = { place: `${options.plane}.port`, message: `port ${options.port} is taken` };
      if (options.mode === "production" || offset >= PORTS_TRIED_MAX || options.port + offset >= 65_535) {
        throw new ConfigError([problem]);
      }
    }
  }
}
