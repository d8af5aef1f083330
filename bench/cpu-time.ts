/**
 * Processor time of processes, as Linux accounts it; 0 elsewhere. It depends on what else the machine does far less
 * than a rate does, so that two runs can be compared.
 */
import { readdirSync, readFileSync } from "node:fs";

/** Linux reports processor time in hundredths of a second to every program (`USER_HZ`). */
const TICK_US = 10_000;

/** User and system time of these processes since they began, in microseconds; those that are gone count nothing. */
export function cpuTimeUs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readStat(pid);
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks * TICK_US;
}

/** The processes of a Postgres server that this process started, as they are now. */
export function postgresPids(): readonly number[] {
  const children = new Map<number, number[]>();
  for (const pid of allPids()) {
    const parent = Number(readStat(pid)[1] ?? 0);
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [pid]);
    else siblings.push(pid);
  }
  const found: number[] = [];
  const visit = (parent: number): void => {
    for (const pid of children.get(parent) ?? []) {
      if (readText(`/proc/${pid}/comm`).startsWith("postgres")) found.push(pid);
      visit(pid);
    }
  };
  visit(process.pid);
  return found;
}

function allPids(): readonly number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^[0-9]+$/.test(name))
      .map(Number);
  } catch {
    // Not Linux: there is nothing to read.
    return [];
  }
}

/** The fields of `/proc/PID/stat` behind the name, which may hold anything; the parent's id is the second. */
function readStat(pid: number): readonly string[] {
  const text = readText(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Empty for a process that has ended meanwhile. */
function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
