export { type Config, loadConfig, makeDirectory } from "@writ/runtime";
export { doctor, type Finding } from "./doctor.ts";
export { migrateDatabase } from "./migrate.ts";
export { openDatabases } from "./open-databases.ts";
export { type PlanesOptions, startPlanes } from "./planes.ts";
export { type Running, runUntilSignal } from "./process-life.ts";
export { formatReport, type ReadyReport } from "./ready-report.ts";
export { DurabilityError } from "./require-durable.ts";
export { VERSION } from "./version.ts";
