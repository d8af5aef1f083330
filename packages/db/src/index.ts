export {
  type Database,
  DatabaseError,
  type DatabaseRole,
  type Queryable,
  type Row,
  type SqlValue,
  type TransactionOptions,
} from "./database.ts";
export { DirectoryInUseError } from "./directory-lock.ts";
export { checkDurability, type DurabilityFinding, type DurabilityFindingName } from "./durability.ts";
export {
  isCheckViolation,
  isConnectionLost,
  isDuplicateObject,
  isForeignKeyViolation,
  isIdleTransactionTimeout,
  isLockTimeout,
  isPermissionDenied,
  isSerializationFailure,
  isStatementTimeout,
  isUndefinedTable,
  isUniqueViolation,
} from "./errors.ts";
export {
  type Migration,
  MigrationError,
  type MigrationErrorKind,
  type MigrationStatus,
  migrate,
  migrationStatus,
  requireMigrated,
} from "./migrate.ts";
export { beginPglite, openPglite, type PgliteHandle, type PgliteOptions, type PgliteQueue } from "./pglite.ts";
export { openPostgres, type PostgresOptions } from "./postgres.ts";
export { ensureRoles } from "./roles.ts";
