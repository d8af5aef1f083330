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
export { openPglite, type PgliteHandle, type PgliteOptions, type PgliteQueue } from "./pglite.ts";
export { openPostgres, type PostgresOptions } from "./postgres.ts";
