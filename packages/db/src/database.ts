/**
 * One way to speak to a database, for Postgres (postgres.js) and the embedded one (PGlite in a worker thread) alike.
 * SQL is plain text with `$1…`; nothing here knows a table. Values: text, numbers, booleans, null, bigint (sent as
 * decimal text), Uint8Array (bytea) and arrays of text, numbers or bigint. Rows come back with the same types on
 * both: int2, int4, int8 → number when it is a safe integer, else a thrown error; numeric → string; bytea → Uint8Array;
 * json/jsonb → text, unparsed; timestamptz → string; arrays of these → arrays.
 */
export type SqlValue = null | string | number | boolean | bigint | Uint8Array | readonly (string | number | bigint)[];

export type Row = Readonly<Record<string, unknown>>;

/** Database roles. `migrate` is the owner; the others cannot bypass row-level security. */
export type DatabaseRole = "migrate" | "gateway" | "control";

export interface Queryable {
  /** Runs one statement. Throws `DatabaseError`. */
  query<R extends Row = Row>(text: string, values?: readonly SqlValue[]): Promise<readonly R[]>;
  /**
   * Runs a text of any number of statements, without parameters and without results: migrations. Outside a
   * transaction the whole text is one. Throws `DatabaseError`.
   */
  script(text: string): Promise<void>;
}

export interface TransactionOptions {
  /**
   * Tenants whose rows the transaction may see and write. They stand, joined by commas, in the setting
   * `writ.tenants` for its length; outside transactions the setting is empty.
   */
  readonly tenants: readonly string[];
  readonly isolation?: "read committed" | "repeatable read";
  readonly readOnly?: boolean;
}

export interface Database extends Queryable {
  readonly engine: "postgres" | "pglite";
  /**
   * Runs `work` in one transaction: COMMIT when it resolves, ROLLBACK when it throws. A connection lost at COMMIT
   * throws a `DatabaseError` with `commitUnknown: true`.
   */
  transaction<T>(options: TransactionOptions, work: (transaction: Queryable) => Promise<T>): Promise<T>;
  /** Calls `notify` for each NOTIFY on `channel`, and `reconnected` after notifications may have been missed. */
  listen(
    channel: string,
    notify: (payload: string) => void,
    reconnected: () => void,
  ): Promise<{ close(): Promise<void> }>;
  /** Waits for running statements, then closes. */
  close(): Promise<void>;
}

/** Any failure of the database, by SQLSTATE where there is one (`08006` and the like for lost connections). */
export class DatabaseError extends Error {
  readonly sqlState: string;
  /** True when a COMMIT (or an autocommitted statement) was sent and its answer never came. */
  readonly commitUnknown: boolean;
  constructor(sqlState: string, message: string, options: { cause?: unknown; commitUnknown?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.name = "DatabaseError";
    this.sqlState = sqlState;
    this.commitUnknown = options.commitUnknown ?? false;
  }
}
