/**
 * A child process that creates the data directory of the embedded database and ends, so that the memory which that
 * takes (some 800 MB) goes back to the system. Works in a sibling directory that is named for it and renames that when
 * it is whole. Takes the directory's final name as its argument.
 *
 * It ends when its parent is gone, at any moment: the work is done by the thread that also serves the database, because
 * Postgres keeps its thread busy for seconds, and a process that is busy hears of nothing.
 */
import { rename, rm } from "node:fs/promises";
import process from "node:process";
import { Worker } from "node:worker_threads";
import type { WorkerAnswer, WorkerRequest } from "./pglite-worker.ts";

const [final] = process.argv.slice(2);
if (final === undefined) throw new TypeError("a directory is expected");
// The hardest end: an ordinary one would wait for the thread.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));

const temporary = `${final}.new-${process.pid}`;
if (process.connected) {
  await create(temporary);
  // PGlite leaves a postmaster.pid that means nothing to the next process.
  await rm(`${temporary}/postmaster.pid`, { force: true });
  if (process.connected) await rename(temporary, final);
  process.exit(0);
}

/** Has the thread start a database where there is none, and close it again. */
async function create(dataDir: string): Promise<void> {
  const worker = new Worker(new URL("./pglite-worker.ts", import.meta.url), { workerData: { dataDir } });
  await new Promise<void>((resolve, reject) => {
    worker.on("message", (answer: WorkerAnswer) => {
      if (answer === "ready") worker.postMessage("close" satisfies WorkerRequest);
      else resolve();
    });
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the thread has ended early")));
  });
}
