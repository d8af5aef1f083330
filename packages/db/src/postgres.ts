/**
 * `openPostgres`: the `Database` over a bounded pool of connections to a Postgres server. Connections take their role
 * and settings as startup parameters, so that no statement can be run without them. Not here: one connection's life
 * (`postgres-link.ts`), migrations, the roles themselves.
 */
import { userInfo } from "node:os";
import type { ConnectionOptions } from "node:tls";
import {
  type Database,
  DatabaseError,
  type DatabaseRole,
  type Queryable,
  type Row,
  type SqlValue,
  type TransactionOptions,
} from "./database.ts";
import { PostgresLink, type PostgresTarget } from "./postgres-link.ts";
import {
  beginText,
  CONNECTION_WAIT_MS,
  CONNECTION_WAITERS_MAX,
  roleNames,
  STATEMENT_TIMEOUT_MS,
  sessionSettings,
} from "./settings.ts";

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with `sslmode` disable, require or verify-full. */
  readonly url: string;
  readonly role: DatabaseRole;
  /** Connections at most; `listen` takes one more. */
  readonly poolMax: number;
  readonly applicationName: string;
  /** TLS options in place of what `sslmode` says; false for a plain connection. */
  readonly tls?: ConnectionOptions | false;
  /** For role `migrate` only: bound of one statement and one lock wait, in ms; 0, the default, for none. */
  readonly statementTimeoutMs?: number;
}

/** How much longer than the server's own timeout a statement may take before its connection is given up. */
const ANSWER_GRACE_MS = 3_000;
/** How often the listening connection is asked whether it is alive. */
const LISTEN_HEARTBEAT_MS = 2_000;
/** Pause between attempts to open the listening connection again. */
const LISTEN_RETRY_MS = 250;
/** A BEGIN longer than this is sent and awaited alone. */
const PIPELINED_BEGIN_BYTES_MAX = 1_000;

/** Opens a pool. No connection is made yet: the first statement makes it, or fails with 08001. */
export function openPostgres(options: PostgresOptions): Database {
  return new PostgresDatabase(options);
}

class PostgresDatabase implements Database {
  readonly engine = "postgres";
  readonly #target: PostgresTarget;
  readonly #pool: Pool;
  readonly #deadlineMs: number | undefined;
  readonly #listeners = new Set<Listener>();

  constructor(options: PostgresOptions) {
    const timeoutMs = options.role === "migrate" ? (options.statementTimeoutMs ?? 0) : STATEMENT_TIMEOUT_MS;
    this.#target = readTarget(options, timeoutMs);
    this.#deadlineMs = timeoutMs === 0 ? undefined : timeoutMs + ANSWER_GRACE_MS;
    this.#pool = new Pool(this.#target, options.poolMax);
  }

  async query<R extends Row = Row>(text: string, values?: readonly SqlValue[]): Promise<readonly R[]> {
    const link = await this.#pool.acquire();
    try {
      const result = await link.run(text, values, this.#deadlineMs);
      // The caller names the row type that its statement returns.
      return result.rows as readonly R[];
    } finally {
      this.#pool.release(link);
    }
  }

  async script(text: string): Promise<void> {
    const link = await this.#pool.acquire();
    try {
      await link.runScript(text, this.#deadlineMs);
    } finally {
      this.#pool.release(link);
    }
  }

  async transaction<T>(options: TransactionOptions, work: (transaction: Queryable) => Promise<T>): Promise<T> {
    const begin = beginText(options);
    const link = await this.#pool.acquire();
    const transaction = new PostgresTransaction(link, begin, this.#deadlineMs);
    try {
      // A lost connection ends the transaction at once, whatever its work still waits for.
      const value = await Promise.race([work(transaction), transaction.lost]);
      await transaction.commit();
      return value;
    } catch (error) {
      await transaction.rollback();
      throw error;
    } finally {
      link.whenLost(undefined);
      this.#pool.release(link);
    }
  }

  async listen(
    channel: string,
    notify: (payload: string) => void,
    reconnected: () => void,
  ): Promise<{ close(): Promise<void> }> {
    const listener = new Listener(this.#target, channel, notify, reconnected);
    await listener.start();
    this.#listeners.add(listener);
    return {
      close: async () => {
        this.#listeners.delete(listener);
        await listener.close();
      },
    };
  }

  async close(): Promise<void> {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    await Promise.all(listeners.map((listener) => listener.close()));
    await this.#pool.close();
  }
}

/** One transaction on one connection. Statements run in the order in which they were asked for. */
class PostgresTransaction implements Queryable {
  readonly #link: PostgresLink;
  readonly #deadlineMs: number | undefined;
  /** Rejects when the connection is lost. */
  readonly lost: Promise<never>;
  #begun: Promise<unknown> | undefined;
  #tail: Promise<unknown>;
  #ended = false;
  #running = 0;
  #idleSinceMs = performance.now();

  constructor(link: PostgresLink, begin: string, deadlineMs: number | undefined) {
    this.#link = link;
    this.#deadlineMs = deadlineMs;
    this.lost = new Promise((_, reject) => {
      link.whenLost((error) => reject(this.#judge(error, false)));
    });
    this.lost.catch(() => undefined);
    this.#begun = link.runScript(begin, deadlineMs);
    // Its failure is reported by the first statement; here it only must not count as unhandled.
    this.#tail = this.#begun.catch(() => undefined);
    // The first statement travels with a BEGIN that fits one write; otherwise it waits for BEGIN's answer.
    if (begin.length <= PIPELINED_BEGIN_BYTES_MAX) this.#tail = Promise.resolve();
  }

  async query<R extends Row = Row>(text: string, values?: readonly SqlValue[]): Promise<readonly R[]> {
    const result = await this.#inOrder(() => this.#link.run(text, values, this.#deadlineMs));
    // The caller names the row type that its statement returns.
    return result.rows as readonly R[];
  }

  async script(text: string): Promise<void> {
    await this.#inOrder(() => this.#link.runScript(text, this.#deadlineMs));
  }

  async commit(): Promise<void> {
    const result = await this.#step(() => this.#link.runScript("COMMIT", this.#deadlineMs), true);
    this.#ended = true;
    // Postgres answers COMMIT with ROLLBACK when a statement had failed and its error was swallowed.
    if (result.command !== "COMMIT") throw new DatabaseError("25P02", "the transaction had failed and was rolled back");
  }

  /** Ends a transaction that has not committed. Never throws: a connection that cannot roll back is cut. */
  async rollback(): Promise<void> {
    if (this.#ended) return;
    await this.#tail.catch(() => undefined);
    this.#ended = true;
    if (this.#link.isLost) return;
    // A failure turned into nothing: the cut connection rolls back by itself.
    await this.#link.runScript("ROLLBACK", this.#deadlineMs).catch(() => this.#link.destroy());
  }

  #inOrder<T>(send: () => Promise<T>): Promise<T> {
    if (this.#ended) return Promise.reject(new DatabaseError("25P01", "the transaction has ended"));
    return this.#step(send, false);
  }

  #step<T>(send: () => Promise<T>, committing: boolean): Promise<T> {
    const step = this.#tail.then(async () => {
      const begun = this.#begun;
      this.#begun = undefined;
      if (!this.#link.isLost) this.#running++;
      try {
        if (begun === undefined) return await send();
        // BEGIN and the first statement are on their way together; BEGIN's failure is the one that tells.
        const sent = send();
        sent.catch(() => undefined);
        await begun.catch((error: unknown) => this.#refuseBegin(error));
        return await sent;
      } catch (error) {
        throw this.#judge(error, committing);
      } finally {
        if (!this.#link.isLost) {
          this.#running--;
          this.#idleSinceMs = performance.now();
        }
      }
    });
    this.#tail = step.catch(() => undefined);
    return step;
  }

  /** When BEGIN was refused (cancelled, say), the statement behind it ran alone and may have committed. */
  #refuseBegin(error: unknown): never {
    if (this.#link.isLost || !(error instanceof DatabaseError)) throw error;
    this.#link.destroy();
    throw new DatabaseError(error.sqlState, error.message, { cause: error, commitUnknown: true });
  }

  /** Only a lost COMMIT is unknown; a transaction that lost its connection earlier was surely rolled back. */
  #judge(error: unknown, committing: boolean): unknown {
    if (!(error instanceof DatabaseError) || !error.sqlState.startsWith("08")) return error;
    if (committing && error.commitUnknown) return error;
    const idle = this.#running === 0 && performance.now() - this.#idleSinceMs >= STATEMENT_TIMEOUT_MS;
    return idle
      ? new DatabaseError("25P03", "the transaction was idle for too long and was rolled back", { cause: error })
      : new DatabaseError(error.sqlState, error.message, { cause: error.cause });
  }
}

interface Waiter {
  readonly resolve: (link: PostgresLink) => void;
  readonly reject: (error: DatabaseError) => void;
  readonly timer: NodeJS.Timeout;
}

/** Hands out connections, first come first served, each to one user at a time. */
class Pool {
  readonly #target: PostgresTarget;
  readonly #max: number;
  readonly #idle: PostgresLink[] = [];
  readonly #all = new Set<PostgresLink>();
  readonly #waiters: Waiter[] = [];
  #opening = 0;
  #busy = 0;
  #closed: (() => void) | undefined;

  constructor(target: PostgresTarget, max: number) {
    if (!Number.isInteger(max) || max < 1) throw new TypeError("poolMax must be a positive integer");
    this.#target = target;
    this.#max = max;
  }

  acquire(): Promise<PostgresLink> {
    if (this.#closed !== undefined) return Promise.reject(new DatabaseError("08003", "the database is closed"));
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      this.#busy++;
      return Promise.resolve(idle);
    }
    if (this.#waiters.length >= CONNECTION_WAITERS_MAX) {
      return Promise.reject(new DatabaseError("08001", "too many statements wait for a connection"));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        this.#endWhenQuiet();
        reject(new DatabaseError("08001", `no connection became free within ${CONNECTION_WAIT_MS} ms`));
      }, CONNECTION_WAIT_MS);
      const waiter: Waiter = { resolve, reject, timer };
      this.#waiters.push(waiter);
      this.#pump();
    });
  }

  release(link: PostgresLink): void {
    this.#busy--;
    this.#offer(link);
    this.#endWhenQuiet();
  }

  /** Refuses what comes, waits for what runs or waits already, closes every connection. */
  async close(): Promise<void> {
    if (this.#closed !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#closed = resolve;
      this.#endWhenQuiet();
    });
    await Promise.all([...this.#all].map((link) => link.close()));
  }

  #endWhenQuiet(): void {
    if (this.#busy === 0 && this.#waiters.length === 0) this.#closed?.();
  }

  #offer(link: PostgresLink): void {
    if (link.isLost) {
      this.#pump();
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      this.#idle.push(link);
      return;
    }
    clearTimeout(waiter.timer);
    this.#busy++;
    waiter.resolve(link);
  }

  /** Opens as many connections as waiters need and the bound allows. */
  #pump(): void {
    while (this.#waiters.length > this.#opening && this.#all.size + this.#opening < this.#max) {
      this.#opening++;
      void this.#open();
    }
  }

  /** Never rejects: a failure goes to the waiter that has waited longest. */
  async #open(): Promise<void> {
    let opened: PostgresLink | undefined;
    const lost = (): void => {
      if (opened === undefined) return;
      this.#all.delete(opened);
      const position = this.#idle.indexOf(opened);
      if (position >= 0) this.#idle.splice(position, 1);
      this.#pump();
    };
    try {
      opened = await PostgresLink.open(this.#target, { lost });
    } catch (error) {
      const waiter = this.#waiters.shift();
      if (waiter !== undefined) {
        clearTimeout(waiter.timer);
        waiter.reject(error instanceof DatabaseError ? error : new DatabaseError("08001", String(error)));
      }
    }
    this.#opening--;
    if (opened === undefined) {
      this.#pump();
      this.#endWhenQuiet();
    } else if (this.#closed !== undefined && this.#waiters.length === 0) {
      opened.destroy();
    } else {
      if (!opened.isLost) this.#all.add(opened);
      this.#offer(opened);
    }
  }
}

/** A connection of its own that listens to one channel and comes back when it is lost. */
class Listener {
  readonly #target: PostgresTarget;
  readonly #channel: string;
  readonly #notify: (payload: string) => void;
  readonly #reconnected: () => void;
  #link: PostgresLink | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(target: PostgresTarget, channel: string, notify: (payload: string) => void, reconnected: () => void) {
    this.#target = target;
    this.#channel = channel;
    this.#notify = notify;
    this.#reconnected = reconnected;
  }

  /** Connects and listens. Throws `DatabaseError`. */
  async start(): Promise<void> {
    let opened: PostgresLink | undefined;
    const link = await PostgresLink.open(this.#target, {
      lost: () => {
        if (opened !== undefined && this.#link === opened) this.#restart();
      },
      notification: (channel, payload) => {
        if (channel === this.#channel && !this.#closed) this.#notify(payload);
      },
    });
    opened = link;
    try {
      await link.runScript(`LISTEN "${this.#channel.replaceAll('"', '""')}"`, CONNECTION_WAIT_MS);
    } catch (error) {
      link.destroy();
      throw error;
    }
    if (this.#closed) return link.destroy();
    this.#link = link;
    if (link.isLost) this.#restart();
    else this.#beat(link);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const link = this.#link;
    this.#link = undefined;
    await link?.close();
  }

  /** A dead peer sends nothing, so silence proves nothing: the connection is asked. */
  #beat(link: PostgresLink): void {
    this.#timer = setTimeout(() => {
      link.runScript("SELECT 1", LISTEN_HEARTBEAT_MS).then(
        () => {
          if (this.#link === link) this.#beat(link);
        },
        // A heartbeat that fails has cut the connection; `lost` starts again.
        () => link.destroy(),
      );
    }, LISTEN_HEARTBEAT_MS);
    this.#timer.unref();
  }

  #restart(): void {
    this.#link = undefined;
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.start().then(
        () => {
          if (!this.#closed) this.#reconnected();
        },
        // A failure turned into another attempt.
        () => this.#restart(),
      );
    }, LISTEN_RETRY_MS);
  }
}

function readTarget(options: PostgresOptions, timeoutMs: number): PostgresTarget {
  const url = parseUrl(options.url);
  const timeout = String(timeoutMs);
  const role = roleNames[options.role];
  return {
    host: url.searchParams.get("host") ?? (decodeURIComponent(url.hostname).replace(/^\[|\]$/g, "") || "127.0.0.1"),
    port: url.port === "" ? 5432 : Number(url.port),
    user: decodeURIComponent(url.username) || userInfo().username,
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || "postgres",
    tls: options.tls === false ? undefined : (options.tls ?? tlsOf(url)),
    parameters: {
      application_name: options.applicationName,
      ...sessionSettings,
      lock_timeout: timeout,
      statement_timeout: timeout,
      idle_in_transaction_session_timeout: timeout,
      ...(role === undefined ? {} : { role }),
    },
  };
}

/** Parses the URL; its text may hold a password, so no error repeats it. */
function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "postgres:" && url.protocol !== "postgresql:")) {
    throw new TypeError("the database URL must begin with postgres:// or postgresql://");
  }
  return url;
}

function tlsOf(url: URL): ConnectionOptions | undefined {
  const mode = url.searchParams.get("sslmode") ?? "disable";
  switch (mode) {
    case "disable":
      return undefined;
    case "require":
      return { rejectUnauthorized: false };
    case "verify-full":
      return { rejectUnauthorized: true };
    default:
      throw new TypeError(`sslmode must be disable, require or verify-full, not ${mode}`);
  }
}
