/**
 * Whether the runner of stdio upstreams does what it is for: a child that it starts must not be able to read this
 * process's environment, which on Linux any process of the same user can (`/proc`). Tried for real, with a child whose
 * only work is to try. Starts no upstream.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { Failure } from "../ports.ts";

export interface RunnerToCheck {
  /** The command and its arguments; what it starts is appended. */
  readonly runner: readonly string[];
  /** `/proc/<pid>/environ` of this process. */
  readonly environmentFile: string;
  readonly path: string;
}

const PROBE_MS = 10_000;
const ENVIRONMENT_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Failure `upstream_unavailable` when a child could read the environment, or did not end. A machine without `/proc` has
 * nothing to be read; a runner that does not start this probe (it may permit named commands alone) is not refused.
 */
export async function checkRunner({ runner, environmentFile, path }: RunnerToCheck): Promise<void> {
  const [command, ...args] = runner;
  if (command === undefined) throw new TypeError("no runner");
  const own = await readFile(environmentFile).catch(() => undefined); // no such file: nothing to be read
  if (own === undefined) return;
  const read = await new Promise<Buffer | undefined>((resolve, reject) => {
    const options = {
      env: { PATH: path },
      timeout: PROBE_MS,
      killSignal: "SIGKILL",
      maxBuffer: ENVIRONMENT_BYTES_MAX,
      encoding: "buffer",
    } as const;
    execFile(command, [...args, "cat", environmentFile], options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else if (error.killed === true)
        reject(new Failure("upstream_unavailable", "the stdio runner did not end in time"));
      else resolve(undefined);
    });
  });
  // A runner may print something of its own beside it.
  if (own.length > 0 && read?.includes(own) === true) {
    throw new Failure(
      "upstream_unavailable",
      "what upstreams.stdioRunner starts can read this gateway's environment: have it start children as another user, or in a container of their own",
    );
  }
}
