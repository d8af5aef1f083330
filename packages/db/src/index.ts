export {
  type Database,
  DatabaseError,
  type DatabaseRole,
  type Queryable,
  type Row,
  type SqlValue,
  type TransactionOptions,
} from "./database.ts";
export { openPostgres, type PostgresOptions } from "./postgres.ts";
