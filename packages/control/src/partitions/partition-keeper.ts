/**
 * Makes the coming monthly partitions of the log, so that a control plane that runs for months never lets new events
 * fall into the default partition. Moves and drops nothing.
 */
import type { Database } from "@writ/db";

export interface PartitionKeeper {
  start(): void;
  stop(): void;
  /** Makes what is missing now. Throws `DatabaseError`. */
  keep(): Promise<void>;
}

/** How many months ahead there are partitions. */
const MONTHS_AHEAD = 3;
const EVERY_MS = 12 * 60 * 60_000;

export function createPartitionKeeper(options: {
  readonly db: Database;
  readonly log: { warn(fields: object, message: string): void };
}): PartitionKeeper {
  const { db, log } = options;
  let timer: NodeJS.Timeout | undefined;
  const keep = async (): Promise<void> => {
    await db.query("SELECT writ_make_partitions($1::int4)", [MONTHS_AHEAD]);
  };
  const keepQuietly = (): void => {
    // A failure of the database: events go to the default partition until the next try, where they are as good.
    keep().catch((error: unknown) => log.warn({ error }, "the coming partitions of the log could not be made"));
  };
  return {
    keep,
    start() {
      keepQuietly();
      timer = setInterval(keepQuietly, EVERY_MS);
      timer.unref();
    },
    stop() {
      clearInterval(timer);
    },
  };
}
