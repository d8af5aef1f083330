/**
 * How the embedded database is started: small memory, and the same session settings as on a server. Shared by the
 * process that creates the data directory and the thread that serves it.
 */
import { PGlite } from "@electric-sql/pglite";
import { sessionSettings } from "./settings.ts";

/** Parameters of the embedded server. */
export function startParameters(): string[] {
  const settings = {
    ...sessionSettings,
    shared_buffers: "16MB",
    wal_buffers: "1MB",
    work_mem: "4MB",
    maintenance_work_mem: "16MB",
    max_connections: "8",
    max_wal_senders: "0",
    max_prepared_transactions: "0",
    wal_level: "minimal",
    min_wal_size: "32MB",
    max_wal_size: "64MB",
    // Postgres would compile hot statements to machine code, which WebAssembly cannot.
    jit: "off",
  };
  return [
    ...PGlite.defaultStartParams,
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ];
}
