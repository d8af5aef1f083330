/**
 * The session settings that every connection of either engine has, and the names of the database roles. Not the
 * creation of the roles (`roles.ts`).
 */
import type { DatabaseRole, TransactionOptions } from "./database.ts";
import { encodeTenants } from "./values.ts";

/** Bound of one statement, of one wait for a lock and of idling inside a transaction, for gateway and control. */
export const STATEMENT_TIMEOUT_MS = 2_000;
/** Bound of the wait for a connection. */
export const CONNECTION_WAIT_MS = 5_000;
/** Statements and transactions that may wait for a connection at once; the next is refused. */
export const CONNECTION_WAITERS_MAX = 10_000;

/** The schema that all tables are in. */
export const SCHEMA = "public";

/** The Postgres role of each database role; undefined keeps the role that logged in. */
export const roleNames: Readonly<Record<DatabaseRole, string | undefined>> = {
  migrate: undefined,
  gateway: "writ_gateway",
  control: "writ_control",
};

/** Settings that make results and name resolution the same everywhere. */
export const sessionSettings: Readonly<Record<string, string>> = {
  TimeZone: "UTC",
  DateStyle: "ISO, YMD",
  IntervalStyle: "postgres",
  bytea_output: "hex",
  extra_float_digits: "1",
  standard_conforming_strings: "on",
  // pg_temp last, so that a temporary table can never stand before one of ours.
  search_path: `${SCHEMA}, pg_temp`,
};

/** The statements that open a transaction. */
export function beginText(options: TransactionOptions): string {
  const isolation = options.isolation === "repeatable read" ? "REPEATABLE READ" : "READ COMMITTED";
  const access = options.readOnly === true ? "READ ONLY" : "READ WRITE";
  // encodeTenants admits no quote, so the literal needs no escaping.
  const tenants = encodeTenants(options.tenants);
  return `BEGIN ISOLATION LEVEL ${isolation} ${access}; SELECT set_config('writ.tenants', '${tenants}', true)`;
}
