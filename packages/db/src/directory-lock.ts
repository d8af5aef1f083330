/**
 * A lock file that names the process which uses a data directory: process id and start time, so that a later process
 * with the same id is not taken for it. The lock of a process that is gone is taken over. Works between the processes
 * of one machine; says nothing about other machines that see the same directory.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { link, open, readFile, rename, rm, stat } from "node:fs/promises";
import { kill, pid } from "node:process";

export interface DirectoryLock {
  /** Gives the lock back. Idempotent. */
  release(): Promise<void>;
}

/** The directory is in use by another process, which the message names. */
export class DirectoryInUseError extends Error {
  readonly processId: number;
  constructor(file: string, holder: LockHolder) {
    super(
      `the data directory is in use by process ${holder.pid}; stop that process first, or choose another directory ` +
        `(its lock is ${file})`,
    );
    this.name = "DirectoryInUseError";
    this.processId = holder.pid;
  }
}

interface LockHolder {
  readonly pid: number;
  /** What the system says about the start of that process; "" where it says nothing. */
  readonly start: string;
  /** Tells two locks of one process apart. */
  readonly nonce: string;
}

const ATTEMPTS_MAX = 20;
/** A take-over that has not ended by then was killed. */
const TAKE_OVER_MS_MAX = 5_000;

/** Takes the lock at once or throws `DirectoryInUseError`; never waits for its holder. */
export async function lockDirectory(file: string): Promise<DirectoryLock> {
  const holder: LockHolder = { pid, start: startOf(pid), nonce: randomBytes(8).toString("hex") };
  const mine = `${file}.${pid}.${holder.nonce}`;
  const handle = await open(mine, "wx", 0o600);
  try {
    await handle.writeFile(JSON.stringify(holder));
  } finally {
    await handle.close();
  }
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      // A link appears whole or not at all, and fails when the name is taken.
      if (await succeeds(link(mine, file), "EEXIST")) return { release: () => releaseLock(file, holder) };
      const other = await readHolder(file);
      if (other === undefined) continue;
      if (isAlive(other)) throw new DirectoryInUseError(file, other);
      await takeOver(file, mine, other);
    }
  } finally {
    await rm(mine, { force: true });
  }
  throw new Error(`the lock ${file} could not be taken; remove it when no process uses the directory`);
}

/** Removes a dead process's lock. One at a time: whoever comes second would remove the lock of the first. */
async function takeOver(file: string, mine: string, dead: LockHolder): Promise<void> {
  const guard = `${file}.takeover`;
  if (!(await succeeds(link(mine, guard), "EEXIST"))) {
    // Both times are the file system's; the guard may be gone by now, which is as good.
    const made = await stat(guard).then(
      (found) => found.mtimeMs,
      () => undefined,
    );
    const nowMs = (await stat(mine)).mtimeMs;
    if (made !== undefined && nowMs - made > TAKE_OVER_MS_MAX) await rm(guard, { force: true });
    await new Promise((resolve) => setTimeout(resolve, 20));
    return;
  }
  try {
    const holder = await readHolder(file);
    if (holder?.pid === dead.pid && holder.nonce === dead.nonce) await rename(file, `${mine}.dead`);
  } finally {
    await rm(`${mine}.dead`, { force: true });
    await rm(guard, { force: true });
  }
}

async function releaseLock(file: string, holder: LockHolder): Promise<void> {
  const found = await readHolder(file);
  if (found?.pid === holder.pid && found.nonce === holder.nonce) await rm(file, { force: true });
}

async function readHolder(file: string): Promise<LockHolder | undefined> {
  try {
    // Written by us, whole; a file that does not read as such counts as a lock of nobody.
    const holder = JSON.parse(await readFile(file, "utf8")) as Partial<LockHolder>;
    return { pid: Number(holder.pid), start: String(holder.start), nonce: String(holder.nonce) };
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    if (error instanceof SyntaxError) return { pid: 0, start: "", nonce: "" };
    throw error;
  }
}

function isAlive(holder: LockHolder): boolean {
  if (!Number.isInteger(holder.pid) || holder.pid <= 0) return false;
  try {
    kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it exists and belongs to somebody else.
    if (!hasCode(error, "EPERM")) return false;
  }
  const start = startOf(holder.pid);
  if (start === ENDED) return false;
  return start === "" || holder.start === "" || start === holder.start;
}

/** A process that has ended and waits for its parent to notice holds nothing. */
const ENDED = "ended";

/** The boot and the clock tick at which a process started, where the system has /proc; else "". */
function startOf(processId: number): string {
  try {
    const stat = readFileSync(`/proc/${processId}/stat`, "utf8");
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    // The second field is the name in parentheses and may hold spaces; the start time is the 20th after it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return ENDED;
    return `${boot}:${fields[19]}`;
  } catch {
    // No /proc, or the process has just ended: the id alone has to do.
    return "";
  }
}

async function succeeds(attempt: Promise<void>, code: string): Promise<boolean> {
  try {
    await attempt;
    return true;
  } catch (error) {
    if (hasCode(error, code)) return false;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
