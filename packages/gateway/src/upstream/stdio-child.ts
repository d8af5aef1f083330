/**
 * A child process that speaks one JSON text per line. It is started with an environment of its own, in a process
 * group of its own, and ended with everything in that group. Should this process be killed outright, the child's
 * stdin closes, which is how MCP tells a stdio server to exit; a child that ignores that is beyond our reach then.
 * Lines wait here and not in the stream: one that the child has no room for can so be taken back.
 * Knows lines and bytes, not messages.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { UpstreamLimits } from "./limits.ts";
import type { MaskSecrets } from "./mask-secrets.ts";
import type { UpstreamLog } from "./session.ts";

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly limits: UpstreamLimits;
  readonly log: UpstreamLog;
  /** Of each line and of what it writes to stderr, before anybody reads it. */
  readonly mask: MaskSecrets;
  readonly onLine: (line: string) => void;
  /** Once, when it can be spoken to no longer. `detail` is safe to record; `wanted` when `end` was called before. */
  readonly onEnd: (detail: string, wanted: boolean) => void;
}

/** `queued`: surely not sent. `leaving`: a part of it may be in the pipe already. `left`: all of it is. */
export type LinePlace = "queued" | "leaving" | "left";

export interface Line {
  /** Stays `queued` for good where the line was taken back, came too late or outlived its child. */
  place(): LinePlace;
  /** A line that is queued is never sent after this. One that is leaving is stopped by `kill` alone. */
  takeBack(): void;
}

export interface Child {
  /** 0 where it could not be started. */
  readonly pid: number;
  /** What it exited with by itself; undefined while it runs, and when a signal ended it. */
  exitCode(): number | undefined;
  /** Bytes that the pipe has not taken yet. */
  heldBytes(): number;
  /**
   * Sends the line after all that was written before, as soon as the pipe has room; with `withinMs` it does not start
   * to leave later than that. Undefined when the line surely did not reach the child.
   */
  write(line: string, withinMs?: number): Line | undefined;
  /** stdin closed, then SIGTERM, then SIGKILL to the whole group. Idempotent. */
  end(): Promise<void>;
  /** SIGKILL to the whole group at once. */
  kill(detail: string): void;
}

const NEWLINE = 0x0a;

interface QueuedLine {
  readonly bytes: Buffer;
  readonly untilMs: number;
  place: LinePlace;
}

export function startChild(options: ChildOptions): Child {
  const { limits, log } = options;
  let over = false;
  let wanted = false;
  let ending: Promise<void> | undefined;
  const child: ChildProcess = spawn(options.command, [...options.args], {
    env: { ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    windowsHide: true,
  });
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) throw new TypeError("a child without pipes");
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });

  function signalGroup(signal: NodeJS.Signals): void {
    if (child.pid === undefined) return;
    try {
      // biome-ignore lint/style/noRestrictedGlobals: a process group can be signalled by no other means.
      process.kill(-child.pid, signal);
    } catch (error) {
      // The group is gone already, which is what was wanted; or it is another user's, and has only its stdin to end by.
      const isForeign = error instanceof Error && "code" in error && error.code === "EPERM";
      if (isForeign) log("upstream.child_not_signalled", { pid: child.pid, signal });
    }
  }

  const queue: QueuedLine[] = [];
  let queuedBytes = 0;

  /** Hands on line by line, each when the pipe has taken the one before, so that at most one is leaving. */
  function pump(): void {
    while (!over && ending === undefined && stdin?.writable === true && stdin.writableLength === 0) {
      const next = queue.shift();
      if (next === undefined) return;
      queuedBytes -= next.bytes.length;
      if (performance.now() > next.untilMs) continue;
      next.place = "leaving";
      stdin.write(next.bytes, (error) => {
        if (error) return;
        next.place = "left";
        pump();
      });
      // The callback comes later even where the pipe took all of it at once.
      if (stdin.writableLength === 0) next.place = "left";
    }
  }

  function finish(detail: string): void {
    if (over) return;
    over = true;
    // What the stream still holds must reach nobody, even where the child outlives its signals.
    stdin?.destroy();
    queue.length = 0;
    queuedBytes = 0;
    options.onEnd(wanted ? "ended by the gateway" : detail, wanted);
  }

  function kill(detail: string): void {
    // Before its stdin closes: what has arrived of a line must not be taken for a whole one.
    signalGroup("SIGKILL");
    finish(detail);
  }

  child.once("error", (error) => {
    const code: unknown = "code" in error ? error.code : undefined;
    finish(`the child could not be started (${typeof code === "string" ? code : "error"})`);
  });
  child.once("exit", (code, signal) => {
    log("upstream.child_exited", { pid: child.pid ?? 0, code: code ?? -1, signal: signal ?? "" });
    finish(signal === null ? `the child exited with code ${code}` : `the child was ended by ${signal}`);
    // Whatever it started stays in its group and must not outlive it.
    signalGroup("SIGKILL");
  });
  stdin.on("error", () => kill("the child closed its stdin"));
  stdout.on("error", () => kill("the child's stdout cannot be read"));
  stdout.once("end", () => kill("the child closed its stdout"));

  let parts: Buffer[] = [];
  let held = 0;
  stdout.on("data", (chunk: Buffer) => {
    let from = 0;
    while (!over) {
      const at = chunk.indexOf(NEWLINE, from);
      const piece = chunk.subarray(from, at < 0 ? chunk.length : at);
      held += piece.length;
      if (held > limits.messageBytesMax)
        return kill(`the child sent a line of more than ${limits.messageBytesMax} bytes`);
      if (at < 0) {
        if (piece.length > 0) parts.push(piece);
        return;
      }
      const line = (parts.length === 0 ? piece : Buffer.concat([...parts, piece])).toString("utf8").trim();
      parts = [];
      held = 0;
      from = at + 1;
      if (line !== "") options.onLine(options.mask(line));
    }
  });

  let windowStart = 0;
  let logged = 0;
  let dropped = 0;
  stderr.on("error", () => undefined);
  stderr.on("data", (chunk: Buffer) => {
    const now = performance.now();
    if (now - windowStart > 1000) {
      if (dropped > 0) log("upstream.stderr_dropped", { pid: child.pid ?? 0, bytes: dropped });
      windowStart = now;
      logged = 0;
      dropped = 0;
    }
    const room = Math.max(0, limits.stderrBytesPerSecond - logged);
    const text = options.mask(chunk.subarray(0, room).toString("utf8"));
    logged += Math.min(room, chunk.length);
    dropped += Math.max(0, chunk.length - room);
    if (text !== "") log("upstream.stderr", { pid: child.pid ?? 0, text });
  });

  return {
    pid: child.pid ?? 0,
    exitCode: () => (child.pid === undefined ? undefined : (child.exitCode ?? undefined)),
    heldBytes: () => stdin.writableLength + queuedBytes,
    write(line, withinMs = Number.POSITIVE_INFINITY) {
      if (over || ending !== undefined || !stdin.writable) return undefined;
      const queued: QueuedLine = {
        bytes: Buffer.from(`${line}\n`),
        untilMs: performance.now() + withinMs,
        place: "queued",
      };
      queue.push(queued);
      queuedBytes += queued.bytes.length;
      pump();
      return {
        place: () => queued.place,
        takeBack() {
          const at = queue.indexOf(queued);
          if (at < 0) return;
          queue.splice(at, 1);
          queuedBytes -= queued.bytes.length;
        },
      };
    },
    kill,
    end() {
      wanted = true;
      ending ??= (async () => {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return finish("ended");
        stdin.end();
        if (!(await within(exited, limits.endGraceMs))) {
          signalGroup("SIGTERM");
          if (!(await within(exited, limits.endGraceMs))) signalGroup("SIGKILL");
          await within(exited, limits.endGraceMs);
        }
        finish("ended by the gateway");
      })();
      return ending;
    },
  };
}

/** Whether `event` came within the time. */
function within(event: Promise<void>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    void event.then(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
