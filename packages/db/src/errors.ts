/**
 * Names for the SQLSTATEs that code acts on. Each function answers whether an unknown error is a `DatabaseError` of
 * that kind; codes are those of Postgres's appendix A. What to do about an error is the caller's business.
 */
import { DatabaseError } from "./database.ts";

function hasState(error: unknown, ...states: readonly string[]): error is DatabaseError {
  return error instanceof DatabaseError && states.includes(error.sqlState);
}

/** A row with that key exists already. */
export function isUniqueViolation(error: unknown): error is DatabaseError {
  return hasState(error, "23505");
}

export function isForeignKeyViolation(error: unknown): error is DatabaseError {
  return hasState(error, "23503");
}

export function isCheckViolation(error: unknown): error is DatabaseError {
  return hasState(error, "23514");
}

/** The role may not do that, or row-level security refused the row. */
export function isPermissionDenied(error: unknown): error is DatabaseError {
  return hasState(error, "42501");
}

/** A lock was not granted within `lock_timeout`, or at once where that was asked for. */
export function isLockTimeout(error: unknown): error is DatabaseError {
  return hasState(error, "55P03");
}

/** A statement was cancelled: `statement_timeout`, or somebody's request. */
export function isStatementTimeout(error: unknown): error is DatabaseError {
  return hasState(error, "57014");
}

/** A transaction idled for too long and was rolled back. */
export function isIdleTransactionTimeout(error: unknown): error is DatabaseError {
  return hasState(error, "25P03");
}

/** The transaction lost against another; run again from its beginning, it may succeed. */
export function isSerializationFailure(error: unknown): error is DatabaseError {
  return hasState(error, "40001", "40P01");
}

export function isUndefinedTable(error: unknown): error is DatabaseError {
  return hasState(error, "42P01");
}

/** An object of that name exists already. */
export function isDuplicateObject(error: unknown): error is DatabaseError {
  return hasState(error, "42710", "42P04", "42P06", "42P07");
}

/**
 * The database could not be reached, was lost, or is going down or coming up. Whether what was under way has
 * committed is `commitUnknown`'s to say.
 */
export function isConnectionLost(error: unknown): error is DatabaseError {
  return (
    error instanceof DatabaseError &&
    (error.sqlState.startsWith("08") || hasState(error, "57P01", "57P02", "57P03", "57P05", "53300"))
  );
}
