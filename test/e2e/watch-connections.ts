/**
 * Loaded into a process before all else (`NODE_OPTIONS=--import`): writes down whatever the process opens towards the
 * outside, a line of JSON each, into the file that WATCH_CONNECTIONS_FILE names. It listens to Node's own handles
 * (async_hooks), below every library that could open one, and follows worker threads and whatever runs on Node. It
 * hinders nothing. Of another program it is written down that it was started.
 */
import { createHook } from "node:async_hooks";
import { ChildProcess } from "node:child_process";
import { appendFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import threads from "node:worker_threads";

/** What was opened, and towards where. `watch`: a thread that is being watched. */
export interface Opened {
  readonly kind: "watch" | "tcp" | "pipe" | "udp" | "lookup" | "process";
  readonly target: string;
}

/** Node's names of the handles and requests that lead outside. A socket for datagrams counts when it is made. */
const KINDS: Readonly<Record<string, Opened["kind"]>> = {
  TCPCONNECTWRAP: "tcp",
  PIPECONNECTWRAP: "pipe",
  UDPWRAP: "udp",
  GETADDRINFOREQWRAP: "lookup",
  GETNAMEINFOREQWRAP: "lookup",
  QUERYWRAP: "lookup",
};

interface Handle {
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
}

const FILE = "WATCH_CONNECTIONS_FILE";
const file = process.env[FILE] ?? "";
const pending: (() => Opened)[] = [];

function flush(): void {
  for (const describe of pending.splice(0)) appendFileSync(file, `${JSON.stringify(describe())}\n`);
}

/** A handle learns where it leads after it was made, in the same turn of the loop. */
function note(describe: () => Opened): void {
  pending.push(describe);
  queueMicrotask(flush);
}

createHook({
  init(_id, type, _trigger, resource: Handle) {
    const kind = KINDS[type];
    if (kind === undefined) return;
    note(() => {
      const host = resource.address ?? resource.hostname ?? "";
      return { kind, target: resource.port === undefined ? host : `${host}:${resource.port}` };
    });
  },
}).enable();
process.on("exit", flush);

// Workers and children are started with an environment and options of their own, and so would go unseen.
const { Worker } = threads;
threads.Worker = class extends Worker {
  constructor(script: string | URL, options: threads.WorkerOptions = {}) {
    const env = { ...(options.env === threads.SHARE_ENV ? process.env : options.env), [FILE]: file };
    super(script, { ...options, env, execArgv: [...(options.execArgv ?? []), "--import", import.meta.url] });
  }
};
syncBuiltinESMExports();
interface Started {
  readonly args: readonly string[];
  readonly envPairs: readonly string[];
}
// What spawn, fork and exec come to; it is in no type.
const starter = ChildProcess.prototype as unknown as { spawn(started: Started): unknown };
const { spawn } = starter;
starter.spawn = function (started) {
  note(() => ({ kind: "process", target: started.args.join(" ") }));
  const own = [`${FILE}=${file}`, `NODE_OPTIONS=--import ${import.meta.url}`];
  return spawn.call(this, { ...started, envPairs: [...started.envPairs, ...own] });
};

note(() => ({ kind: "watch", target: threads.isMainThread ? "main" : "worker" }));
