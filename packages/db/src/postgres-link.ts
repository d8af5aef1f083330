/**
 * One physical connection to Postgres, over postgres.js. It never reconnects: once lost it stays lost, so that no
 * statement of a transaction can ever run on another connection. Knows whether a statement may have reached the
 * server. Does not know pools or transactions.
 */
import net from "node:net";
import type { ConnectionOptions } from "node:tls";
import postgres from "postgres";
import { DatabaseError, type Row, type SqlValue } from "./database.ts";
import { CONNECTION_WAIT_MS } from "./settings.ts";
import { encodeValues, textParsers } from "./values.ts";

export interface PostgresTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** TLS options, or undefined for a plain connection. */
  readonly tls: ConnectionOptions | undefined;
  /** Startup parameters: role, settings, application name. */
  readonly parameters: Readonly<Record<string, string>>;
}

export interface PostgresLinkEvents {
  readonly lost: () => void;
  readonly notification?: (channel: string, payload: string) => void;
}

/** One statement's rows and its command tag. */
export interface StatementResult {
  readonly rows: readonly Row[];
  readonly command: string;
}

export class PostgresLink {
  readonly #sql: postgres.Sql;
  readonly #socket: net.Socket;
  readonly #events: PostgresLinkEvents;
  readonly #inFlight = new Set<(error: DatabaseError) => void>();
  #lost: DatabaseError | undefined;
  #whenLost: ((error: DatabaseError) => void) | undefined;

  private constructor(sql: postgres.Sql, socket: net.Socket, events: PostgresLinkEvents) {
    this.#sql = sql;
    this.#socket = socket;
    this.#events = events;
    socket.once("close", () => this.#lose("08006", "the connection to the database was lost"));
  }

  /** Connects and signs in within `CONNECTION_WAIT_MS`. Throws `DatabaseError`: 08001, or what the server said. */
  static async open(target: PostgresTarget, events: PostgresLinkEvents): Promise<PostgresLink> {
    const socket = await connectSocket(target);
    let handedOut = false;
    const sql = postgres({
      host: target.host,
      port: target.port,
      user: target.user,
      pass: target.password,
      database: target.database,
      max: 1,
      idle_timeout: 0,
      max_lifetime: 0,
      connect_timeout: CONNECTION_WAIT_MS / 1000,
      keep_alive: 5,
      prepare: true,
      fetch_types: false,
      target_session_attrs: null,
      ssl: target.tls ?? false,
      sslnegotiation: null,
      connection: target.parameters,
      types: postgresTypes(),
      onnotice: () => undefined,
      onnotify: events.notification,
      // The one socket: a second request is an attempt to reconnect, which is refused.
      socket: () => {
        if (handedOut) throw new DatabaseError("08003", "the connection to the database was lost");
        handedOut = true;
        return socket;
      },
      // The published types lack several documented options, and exact optional properties do not fit them.
    } as unknown as postgres.Options<Record<string, postgres.PostgresType>>);
    const link = new PostgresLink(sql as unknown as postgres.Sql, socket, events);
    try {
      await link.#send("SELECT 1", [], true, CONNECTION_WAIT_MS);
      return link;
    } catch (error) {
      socket.destroy();
      const cause = error instanceof DatabaseError ? error : undefined;
      // A refusal by the server (wrong password, no such database) keeps its SQLSTATE; all else is "could not connect".
      const sqlState = cause === undefined || cause.sqlState.startsWith("08") ? "08001" : cause.sqlState;
      throw new DatabaseError(sqlState, `no connection to the database: ${cause?.message ?? String(error)}`, {
        cause: error,
      });
    }
  }

  /** Has `listener` called when the connection is lost, in place of an earlier one; for who uses it at the time. */
  whenLost(listener: ((error: DatabaseError) => void) | undefined): void {
    this.#whenLost = listener;
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /**
   * Runs one prepared statement. When the connection is lost before the answer, the error has `commitUnknown` true:
   * the caller, who knows whether the statement could commit anything, lowers it.
   */
  run(text: string, values: readonly SqlValue[] | undefined, deadlineMs: number | undefined): Promise<StatementResult> {
    return this.#send(text, encodeValues(values), false, deadlineMs);
  }

  /** Runs a text of several statements without parameters. */
  runScript(text: string, deadlineMs: number | undefined): Promise<StatementResult> {
    return this.#send(text, [], true, deadlineMs);
  }

  /** Cuts the connection at once; what is in flight fails. */
  destroy(): void {
    this.#socket.destroy();
    this.#lose("08006", "the connection to the database was cut");
  }

  /** Says goodbye to the server and closes. */
  async close(): Promise<void> {
    if (this.#lost === undefined) await this.#sql.end({ timeout: 1 });
    this.destroy();
  }

  #send(
    text: string,
    values: (string | null)[],
    simple: boolean,
    deadlineMs: number | undefined,
  ): Promise<StatementResult> {
    const lost = this.#lost;
    if (lost !== undefined) return Promise.reject(new DatabaseError(lost.sqlState, lost.message));
    return new Promise((resolve, reject) => {
      const timer = deadlineMs === undefined ? undefined : setTimeout(() => this.#socket.destroy(), deadlineMs);
      const finish = (): void => {
        clearTimeout(timer);
        this.#inFlight.delete(fail);
      };
      const fail = (error: DatabaseError): void => {
        finish();
        reject(error);
      };
      this.#inFlight.add(fail);
      // `simple` is an option of postgres.js that its types leave out.
      const options = { prepare: !simple, simple } as postgres.UnsafeQueryOptions;
      this.#sql.unsafe(text, values, options).then(
        (rows) => {
          finish();
          resolve({ rows, command: rows.command ?? "" });
        },
        (error: unknown) => fail(asDatabaseError(error)),
      );
    });
  }

  #lose(sqlState: string, message: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = new DatabaseError(sqlState, message, { commitUnknown: true });
    // postgres.js forgets statements that it had queued behind others: every one in flight is answered here.
    for (const fail of [...this.#inFlight]) fail(this.#lost);
    this.#whenLost?.(this.#lost);
    this.#events.lost();
  }
}

/** Opens the TCP connection; 08001 when that fails or takes too long. */
function connectSocket(target: PostgresTarget): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = target.host.startsWith("/")
      ? net.connect({ path: `${target.host}/.s.PGSQL.${target.port}` })
      : net.connect({ host: target.host, port: target.port, noDelay: true });
    const fail = (cause: Error): void => {
      socket.destroy();
      reject(new DatabaseError("08001", `no connection to the database: ${cause.message}`, { cause }));
    };
    const timer = setTimeout(() => fail(new Error("timed out")), CONNECTION_WAIT_MS);
    socket.once("error", fail);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", fail);
      // Later errors are followed by "close", which is what is acted on.
      socket.on("error", () => undefined);
      resolve(socket);
    });
    socket.once("close", () => clearTimeout(timer));
  });
}

/** Our parsers, and serializers that leave the text of `encodeValue` as it is. */
function postgresTypes(): Record<string, unknown> {
  const types: Record<string, unknown> = {};
  const asIs = (value: unknown): unknown => value;
  for (const [oid, parse] of textParsers) types[`oid${oid}`] = { to: oid, from: [oid], parse, serialize: asIs };
  return types;
}

/** Turns whatever postgres.js throws into our failure. */
function asDatabaseError(error: unknown): DatabaseError {
  if (error instanceof DatabaseError) return error;
  if (error instanceof postgres.PostgresError) return new DatabaseError(error.code, error.message, { cause: error });
  if (error instanceof RangeError) return new DatabaseError("22003", error.message, { cause: error });
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = "code" in cause ? String(cause.code) : "";
  if (code === "MAX_PARAMETERS_EXCEEDED") return new DatabaseError("54000", cause.message, { cause });
  // Everything else is the socket's: CONNECTION_CLOSED, ECONNRESET, EPIPE, CONNECT_TIMEOUT and the like.
  return new DatabaseError("08006", `the connection to the database was lost (${code})`, {
    cause,
    commitUnknown: true,
  });
}
