/**
 * `openPglite`: the embedded database, one Postgres session in a worker thread, shared by any number of `Database`s.
 * Whoever runs a statement or a transaction holds the session until it ends; the journal's queue goes before all
 * else. The role is switched when its user changes, in the same exchange as the first statement. Guards against
 * bugs, not against compromise: roles in one session are a convention of this file.
 *
 *   acquire(queue) ── BEGIN+first statement ── statements ── COMMIT ── release
 *                     one exchange each, one message to the thread and one back
 */
import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { Worker } from "node:worker_threads";
import {
  type Database,
  DatabaseError,
  type DatabaseRole,
  type Queryable,
  type Row,
  type SqlValue,
  type TransactionOptions,
} from "./database.ts";
import { type DirectoryLock, lockDirectory } from "./directory-lock.ts";
import {
  decodeAnswer,
  type ExchangeAnswer,
  type ExchangeStatement,
  encodeExchange,
  encodeScript,
  type PreparedStatement,
} from "./pglite-wire.ts";
import type { WorkerAnswer, WorkerRequest } from "./pglite-worker.ts";
import { CONNECTION_WAIT_MS, CONNECTION_WAITERS_MAX, roleNames, STATEMENT_TIMEOUT_MS } from "./settings.ts";
import { encodeTenants, encodeValues } from "./values.ts";

export interface PgliteOptions {
  /** Where the database lives; made when it does not exist. Beside it stands the lock, `<dataDir>.lock`. */
  readonly dataDir: string;
  /** Told once when the thread ends by itself; every statement fails from then on. */
  readonly lost?: (error: DatabaseError) => void;
}

/** Who waits in which queue: the journal is always served first. */
export type PgliteQueue = "journal" | "other";

export interface PgliteHandle {
  /** A `Database` of that role. Closing it closes nothing else. */
  as(role: DatabaseRole, options?: { readonly queue?: PgliteQueue }): Database;
  /** Waits for what is running, closes the database and gives the lock back. */
  close(): Promise<void>;
}

/** Statements that the session keeps prepared; beyond that all are forgotten and prepared anew. */
const PREPARED_MAX = 1_000;
/** How often the removal of a directory is tried again, each time after 100 ms more. */
const REMOVE_RETRIES_MAX = 5;
/** Pause between looks at what maintenance is due: the embedded server does none by itself. */
const MAINTENANCE_PAUSE_MS = 5_000;
/** Log that a restart may have to replay. */
const CHECKPOINT_LOG_BYTES = 32 * 1024 * 1024;
/** Changed rows that make a table worth a vacuum. */
const VACUUM_CHANGES = 2_000;
/** Larger tables are left alone, because a vacuum holds the session and others must not wait for long. */
const VACUUM_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Opens the database in `dataDir`, creating it first when there is none. Throws `DirectoryInUseError` when another
 * process has it open. Survives the death of the process at any moment, not the loss of power: it never calls fsync.
 */
export async function openPglite(options: PgliteOptions): Promise<PgliteHandle> {
  const { opened } = await beginPglite(options);
  return opened;
}

/**
 * `openPglite` in two steps. The first ends when what takes long runs elsewhere, in a thread or a child: whoever has
 * work of its own that holds this thread does it then, and not before, since that would keep the other from starting.
 */
export async function beginPglite(options: PgliteOptions): Promise<{ readonly opened: Promise<PgliteHandle> }> {
  const { lost = () => undefined } = options;
  const dataDir = path.resolve(options.dataDir);
  await makeParent(path.dirname(dataDir));
  const lock = await lockDirectory(`${dataDir}.lock`);
  const orRelease = async (error: unknown): Promise<never> => {
    await lock.release();
    throw error;
  };
  await removeLeftovers(dataDir).catch(orRelease);
  const starting = existsSync(dataDir)
    ? PgliteSession.start(dataDir, lost)
    : createDirectory(dataDir).then(() => PgliteSession.start(dataDir, lost));
  return { opened: starting.then((session) => new Handle(session, lock), orRelease) };
}

/** Only the one above the data directory: where that is to be is for the caller to say, and to make. */
async function makeParent(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    // That it is there is what was wanted; fs rejects with an ErrnoException.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/**
 * Removes directories that an interrupted creation left behind; only for who holds the lock. Whoever made one has ended
 * or is about to, and may write into it until then: the removal is tried again.
 */
async function removeLeftovers(dataDir: string): Promise<void> {
  const prefix = `${path.basename(dataDir)}.new-`;
  for (const name of await readdir(path.dirname(dataDir))) {
    if (!name.startsWith(prefix)) continue;
    await rm(path.join(path.dirname(dataDir), name), { recursive: true, force: true, maxRetries: REMOVE_RETRIES_MAX });
  }
}

/** Creates the data directory in a child process; it appears under its name whole or not at all. */
async function createDirectory(dataDir: string): Promise<void> {
  const child = fork(new URL("./pglite-initdb.ts", import.meta.url), [dataDir], {
    execArgv: [],
    env: {},
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    errors = (errors + chunk).slice(-4_000);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("exit", resolve);
    child.once("error", reject);
  });
  if (code === 0 && existsSync(dataDir)) return;
  await removeLeftovers(dataDir);
  throw new DatabaseError("58030", `the data directory could not be created (${code ?? "interrupted"}) ${errors}`);
}

class Handle implements PgliteHandle {
  readonly #session: PgliteSession;
  readonly #lock: DirectoryLock;

  constructor(session: PgliteSession, lock: DirectoryLock) {
    this.#session = session;
    this.#lock = lock;
  }

  as(role: DatabaseRole, options: { readonly queue?: PgliteQueue } = {}): Database {
    return new PgliteDatabase(this.#session, role, options.queue ?? "other");
  }

  async close(): Promise<void> {
    await this.#session.close();
    await this.#lock.release();
  }
}

class PgliteDatabase implements Database {
  readonly engine = "pglite";
  readonly #session: PgliteSession;
  readonly #role: DatabaseRole;
  readonly #queue: PgliteQueue;
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(session: PgliteSession, role: DatabaseRole, queue: PgliteQueue) {
    this.#session = session;
    this.#role = role;
    this.#queue = queue;
  }

  query<R extends Row = Row>(text: string, values?: readonly SqlValue[]): Promise<readonly R[]> {
    return this.#holding(async () => {
      const answer = await this.#session.statement(this.#role, [], text, values, true);
      // The caller names the row type that its statement returns.
      return answer.rows as readonly R[];
    });
  }

  script(text: string): Promise<void> {
    return this.#holding(async () => {
      await this.#session.script(this.#role, text, true);
    });
  }

  async transaction<T>(options: TransactionOptions, work: (transaction: Queryable) => Promise<T>): Promise<T> {
    const tenants = encodeTenants(options.tenants);
    return this.#holding(async () => {
      const transaction = new PgliteTransaction(this.#session, this.#role, options, tenants);
      try {
        // An expired transaction has lost the session: it ends at once, whatever its work still waits for.
        const value = await Promise.race([work(transaction), transaction.expired]);
        await transaction.commit();
        return value;
      } catch (error) {
        await transaction.rollback();
        throw error;
      }
    });
  }

  async listen(
    channel: string,
    notify: (payload: string) => void,
    _reconnected: () => void,
  ): Promise<{ close(): Promise<void> }> {
    // The one session is never lost while the process lives, so nothing is ever missed.
    const quoted = `"${channel.replaceAll('"', '""')}"`;
    this.#session.addListener(channel, notify);
    await this.script(`LISTEN ${quoted}`);
    return {
      close: async () => {
        if (this.#session.removeListener(channel, notify) && !this.#closed) await this.script(`UNLISTEN ${quoted}`);
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
  }

  async #holding<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new DatabaseError("08003", "the database is closed");
    const running = this.#hold(work);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async #hold<T>(work: () => Promise<T>): Promise<T> {
    await this.#session.acquire(this.#queue);
    try {
      return await work();
    } finally {
      await this.#session.settle();
      this.#session.release();
    }
  }
}

/** One transaction. Nothing is sent before its first statement, which BEGIN travels with. */
class PgliteTransaction implements Queryable {
  readonly #session: PgliteSession;
  readonly #role: DatabaseRole;
  readonly #prelude: readonly (readonly [text: string, values: readonly SqlValue[]])[];
  readonly #idleTimer: NodeJS.Timeout | undefined;
  #fail: (error: DatabaseError) => void = () => undefined;
  /** Rejects when the transaction idles for too long. */
  readonly expired: Promise<never>;
  #tail: Promise<unknown> = Promise.resolve();
  #state: "new" | "open" | "ended" | "expired" = "new";
  #running = 0;

  constructor(session: PgliteSession, role: DatabaseRole, options: TransactionOptions, tenants: string) {
    this.#session = session;
    this.#role = role;
    const isolation = options.isolation === "repeatable read" ? "REPEATABLE READ" : "READ COMMITTED";
    const access = options.readOnly === true ? "READ ONLY" : "READ WRITE";
    this.#prelude = [
      [`BEGIN ISOLATION LEVEL ${isolation} ${access}`, []],
      ["SELECT set_config('writ.tenants', $1, true)", [tenants]],
    ];
    this.expired = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.expired.catch(() => undefined);
    // Migrations may take their time between statements, like on a server.
    if (role !== "migrate") this.#idleTimer = setTimeout(() => this.#expire(), STATEMENT_TIMEOUT_MS);
  }

  async query<R extends Row = Row>(text: string, values?: readonly SqlValue[]): Promise<readonly R[]> {
    const answer = await this.#inOrder(() =>
      this.#session.statement(this.#role, this.#takePrelude(), text, values, false),
    );
    // The caller names the row type that its statement returns.
    return answer.rows as readonly R[];
  }

  async script(text: string): Promise<void> {
    await this.#inOrder(async () => {
      const [begin, tenants] = this.#takePrelude();
      if (begin !== undefined && tenants !== undefined) {
        await this.#session.statement(this.#role, [begin], tenants[0], tenants[1], false);
      }
      return this.#session.script(this.#role, text, false);
    });
  }

  async commit(): Promise<void> {
    await this.#tail;
    if (this.#state === "expired") throw expiredError();
    const open = this.#state === "open";
    this.#end();
    if (!open) return;
    const answer = await this.#session.commit();
    // Postgres answers COMMIT with ROLLBACK when a statement had failed and its error was swallowed.
    if (answer.tag !== "COMMIT") throw new DatabaseError("25P02", "the transaction had failed and was rolled back");
  }

  /** Ends a transaction that has not committed. Never throws. */
  async rollback(): Promise<void> {
    await this.#tail;
    const open = this.#state === "open" || this.#state === "expired";
    this.#end();
    // A failure turned into nothing: only a thread that has ended cannot roll back, and its log does.
    if (open) await this.#session.rollback().catch(() => undefined);
  }

  #takePrelude(): readonly (readonly [string, readonly SqlValue[]])[] {
    if (this.#state !== "new") return [];
    this.#state = "open";
    return this.#prelude;
  }

  #inOrder(send: () => Promise<ExchangeAnswer>): Promise<ExchangeAnswer> {
    this.#running++;
    const step = this.#tail.then(async () => {
      try {
        if (this.#state === "expired") throw expiredError();
        if (this.#state === "ended") throw new DatabaseError("25P01", "the transaction has ended");
        return await send();
      } finally {
        this.#running--;
        if (this.#state === "open") this.#idleTimer?.refresh();
      }
    });
    this.#tail = step.catch(() => undefined);
    return step;
  }

  #expire(): void {
    if (this.#state === "ended" || this.#running > 0) return;
    this.#state = "expired";
    this.#fail(expiredError());
  }

  #end(): void {
    this.#state = "ended";
    clearTimeout(this.#idleTimer);
  }
}

function expiredError(): DatabaseError {
  return new DatabaseError("25P03", "the transaction was idle for too long and was rolled back");
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: DatabaseError) => void;
  readonly timer: NodeJS.Timeout;
}

interface InFlight {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: DatabaseError) => void;
}

/** The one session: who holds it, which role it has, what it has prepared, who listens. */
class PgliteSession {
  readonly #worker: Worker;
  readonly #onLost: (error: DatabaseError) => void;
  readonly #waiters: Readonly<Record<PgliteQueue, Waiter[]>> = { journal: [], other: [] };
  readonly #listeners = new Map<string, Set<(payload: string) => void>>();
  #prepared = new Map<string, PreparedStatement>();
  #preparedCount = 0;
  #forgetPrepared = false;
  /** The role that the session surely has; undefined when an error may have undone the last switch. */
  #role: DatabaseRole | undefined;
  /** Of the last answer: `I` when no transaction is open. */
  #status = "I";
  #held = false;
  #inFlight: InFlight | undefined;
  #lost: DatabaseError | undefined;
  #closing: Promise<void> | undefined;
  #closedAnswer: (() => void) | undefined;
  readonly #maintenanceTimer: NodeJS.Timeout;
  #checkpointAt: string | undefined;

  private constructor(worker: Worker, lost: (error: DatabaseError) => void) {
    this.#worker = worker;
    this.#onLost = lost;
    worker.on("message", (answer: WorkerAnswer) => {
      if (answer === "closed") this.#closedAnswer?.();
      else if (typeof answer !== "string") this.#answered(answer);
    });
    worker.on("error", (error) => this.#lose("the embedded database has crashed", error));
    worker.on("exit", () => this.#lose("the embedded database has ended", undefined));
    this.#maintenanceTimer = setTimeout(() => void this.#maintain(), MAINTENANCE_PAUSE_MS);
    this.#maintenanceTimer.unref();
  }

  static async start(dataDir: string, lost: (error: DatabaseError) => void): Promise<PgliteSession> {
    const worker = new Worker(new URL("./pglite-worker.ts", import.meta.url), {
      workerData: { dataDir },
      execArgv: [],
      env: {},
    });
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: unknown): void => {
        reject(new DatabaseError("08001", `the embedded database did not start: ${String(cause)}`, { cause }));
      };
      worker.once("message", () => {
        worker.off("error", fail);
        worker.off("exit", fail);
        resolve();
      });
      worker.once("error", fail);
      worker.once("exit", fail);
    });
    return new PgliteSession(worker, lost);
  }

  /** Waits for the session, at most `CONNECTION_WAIT_MS`. */
  acquire(queue: PgliteQueue): Promise<void> {
    const refusal = this.#lost ?? (this.#closing === undefined ? undefined : closedError());
    if (refusal !== undefined) return Promise.reject(refusal);
    if (!this.#held) {
      this.#held = true;
      return Promise.resolve();
    }
    const waiters = this.#waiters[queue];
    if (waiters.length >= CONNECTION_WAITERS_MAX) {
      return Promise.reject(new DatabaseError("08001", "too many statements wait for the embedded database"));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiters.splice(waiters.indexOf(waiter), 1);
        reject(new DatabaseError("08001", `the embedded database was busy for ${CONNECTION_WAIT_MS} ms`));
      }, CONNECTION_WAIT_MS);
      const waiter: Waiter = { resolve, reject, timer };
      waiters.push(waiter);
    });
  }

  release(): void {
    const waiter = this.#waiters.journal.shift() ?? this.#waiters.other.shift();
    if (waiter === undefined) {
      this.#held = false;
      return;
    }
    clearTimeout(waiter.timer);
    waiter.resolve();
  }

  /** Runs `text` after `prelude`, in one exchange. Only for who holds the session. */
  async statement(
    role: DatabaseRole | undefined,
    prelude: readonly (readonly [text: string, values: readonly SqlValue[]])[],
    text: string,
    values: readonly SqlValue[] | undefined,
    canCommit: boolean,
  ): Promise<ExchangeAnswer> {
    const encoded = encodeValues(values);
    const statements: ExchangeStatement[] = [];
    if (this.#forgetPrepared || this.#prepared.size >= PREPARED_MAX) {
      this.#prepared = new Map();
      this.#forgetPrepared = false;
      statements.push({ statement: this.#prepare(role, "DEALLOCATE ALL"), values: [] });
      // It deallocates itself, too.
      this.#prepared = new Map();
    }
    if (role !== undefined && role !== this.#role) statements.push({ statement: this.#switch(role), values: [] });
    for (const [before, parameters] of prelude) {
      statements.push({ statement: this.#prepare(role, before), values: encodeValues(parameters) });
    }
    const statement = this.#prepare(role, text);
    statements.push({ statement, values: encoded });
    const answer = await this.#exchange(encodeExchange(statements), statements, canCommit);
    if (answer.error === undefined) {
      if (role !== undefined) this.#role = role;
      if (/^(?:CREATE|ALTER|DROP)/.test(answer.tag)) this.#forgetPrepared = true;
      return answer;
    }
    this.#role = undefined;
    // Whatever was to be prepared may not have been, and what was may no longer fit its tables.
    if (statement.columns === undefined) this.#prepared.delete(preparedKey(role, text));
    if (answer.error.sqlState === "0A000" || answer.error.sqlState === "26000") this.#forgetPrepared = true;
    throw answer.error;
  }

  async script(role: DatabaseRole, text: string, canCommit: boolean): Promise<ExchangeAnswer> {
    if (this.#role !== role) await this.statement(role, [], "SELECT 1", [], false);
    this.#forgetPrepared = true;
    const answer = await this.#exchange(encodeScript(text), [], canCommit);
    // A script may have changed the role for itself.
    this.#role = undefined;
    if (answer.error !== undefined) {
      throw answer.error;
    }
    return answer;
  }

  /** Sent as it is, without anything before it: in a failed transaction Postgres would refuse that. */
  async commit(): Promise<ExchangeAnswer> {
    const answer = await this.#exchange(encodeScript("COMMIT"), [], true);
    if (answer.tag !== "COMMIT") this.#role = undefined;
    if (answer.error !== undefined) throw answer.error;
    return answer;
  }

  /** Like `commit`. The role may be switched back by it. */
  async rollback(): Promise<void> {
    this.#role = undefined;
    const answer = await this.#exchange(encodeScript("ROLLBACK"), [], false);
    if (answer.error !== undefined) throw answer.error;
  }

  /** Makes sure that who holds the session next finds no transaction open. Never throws. */
  async settle(): Promise<void> {
    if (this.#status === "I" || this.#lost !== undefined) return;
    try {
      await this.rollback();
    } catch (error) {
      // A session that cannot roll back is of no use to anybody; the log undoes what it had begun.
      this.#lose("the embedded database could not roll back", error);
      await this.#worker.terminate();
    }
  }

  addListener(channel: string, notify: (payload: string) => void): void {
    const listeners = this.#listeners.get(channel) ?? new Set();
    listeners.add(notify);
    this.#listeners.set(channel, listeners);
  }

  /** True when nobody listens to the channel any more. */
  removeListener(channel: string, notify: (payload: string) => void): boolean {
    const listeners = this.#listeners.get(channel);
    listeners?.delete(notify);
    if (listeners === undefined || listeners.size > 0) return false;
    this.#listeners.delete(channel);
    return true;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#maintenanceTimer);
    this.#refuseWaiters(closedError());
    if (this.#lost === undefined) {
      if (this.#held) {
        // Whoever holds the session ends before us; nobody else can come.
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, CONNECTION_WAIT_MS);
          this.#waiters.journal.push({ resolve, reject: () => resolve(), timer });
        });
      }
      await new Promise<void>((resolve) => {
        this.#closedAnswer = resolve;
        this.#worker.postMessage("close" satisfies WorkerRequest);
      });
    }
    await this.#worker.terminate();
  }

  #lose(message: string, cause: unknown): void {
    if (this.#lost !== undefined) return;
    this.#lost = new DatabaseError("57P02", message, { cause });
    this.#inFlight?.reject(new DatabaseError("57P02", message, { cause, commitUnknown: true }));
    this.#inFlight = undefined;
    this.#refuseWaiters(this.#lost);
    clearTimeout(this.#maintenanceTimer);
    this.#closedAnswer?.();
    if (this.#closing === undefined) this.#onLost(this.#lost);
  }

  #refuseWaiters(error: DatabaseError): void {
    for (const waiters of [this.#waiters.journal, this.#waiters.other]) {
      for (const waiter of waiters.splice(0)) {
        clearTimeout(waiter.timer);
        waiter.reject(error);
      }
    }
  }

  #prepare(role: DatabaseRole | undefined, text: string): PreparedStatement {
    // Kept per role: Postgres plans a statement anew when the role that row-level security looks at has changed.
    const key = preparedKey(role, text);
    let statement = this.#prepared.get(key);
    if (statement === undefined) {
      statement = { name: `s${this.#preparedCount++}`, text, columns: undefined };
      this.#prepared.set(key, statement);
    }
    return statement;
  }

  #switch(role: DatabaseRole): PreparedStatement {
    const name = roleNames[role];
    return this.#prepare(undefined, name === undefined ? "RESET ROLE" : `SET ROLE ${name}`);
  }

  async #exchange(
    request: Uint8Array,
    statements: readonly ExchangeStatement[],
    canCommit: boolean,
  ): Promise<ExchangeAnswer> {
    if (this.#lost !== undefined) throw this.#lost;
    const bytes = await new Promise<Uint8Array>((resolve, reject) => {
      this.#inFlight = {
        resolve,
        reject: (error) =>
          reject(canCommit ? error : new DatabaseError(error.sqlState, error.message, { cause: error.cause })),
      };
      // The buffer is the request's own, so it can move instead of being copied.
      this.#worker.postMessage(request satisfies WorkerRequest, [request.buffer as ArrayBuffer]);
    });
    const answer = decodeAnswer(bytes, statements);
    this.#status = answer.status;
    for (const { channel, payload } of answer.notifications) {
      for (const notify of this.#listeners.get(channel) ?? []) queueMicrotask(() => notify(payload));
    }
    return answer;
  }

  #answered(bytes: Uint8Array): void {
    const inFlight = this.#inFlight;
    this.#inFlight = undefined;
    inFlight?.resolve(bytes);
  }

  /**
   * What a server's background processes would do, one piece at a time: a checkpoint when enough log has been written,
   * so that a restart is quick and old log is dropped; else the vacuum of the table that needs it most.
   */
  async #maintain(): Promise<void> {
    try {
      const chore = await this.#holding(() => this.#findChore());
      if (chore !== undefined) await this.#holding(() => this.statement("migrate", [], chore, [], false));
    } catch {
      // A chore that fails is tried again; a database that has ended says so to its users.
    }
    if (this.#closing === undefined && this.#lost === undefined) this.#maintenanceTimer.refresh();
  }

  async #findChore(): Promise<string | undefined> {
    const logText = "SELECT pg_current_wal_lsn()::text AS at, (pg_current_wal_lsn() - $1::pg_lsn)::int8 AS written";
    const [log] = (await this.statement("migrate", [], logText, [this.#checkpointAt ?? "0/0"], false)).rows;
    const due = this.#checkpointAt !== undefined && Number(log?.["written"]) > CHECKPOINT_LOG_BYTES;
    if (due || this.#checkpointAt === undefined) this.#checkpointAt = String(log?.["at"]);
    if (due) return "CHECKPOINT";
    await this.statement("migrate", [], "SELECT pg_stat_force_next_flush()", [], false);
    const tableText = `
      SELECT format('%I.%I', schemaname, relname) AS name FROM pg_stat_user_tables
      WHERE n_dead_tup + n_mod_since_analyze > $1::int8 AND pg_relation_size(relid) < $2::int8
      ORDER BY n_dead_tup + n_mod_since_analyze DESC LIMIT 1`;
    const [table] = (await this.statement("migrate", [], tableText, [VACUUM_CHANGES, VACUUM_BYTES_MAX], false)).rows;
    return table === undefined ? undefined : `VACUUM (ANALYZE) ${String(table["name"])}`;
  }

  async #holding<T>(work: () => Promise<T>): Promise<T> {
    await this.acquire("other");
    try {
      return await work();
    } finally {
      this.release();
    }
  }
}

function preparedKey(role: DatabaseRole | undefined, text: string): string {
  return `${role ?? ""}\n${text}`;
}

function closedError(): DatabaseError {
  return new DatabaseError("08003", "the database is closed");
}
