/**
 * A child process that speaks one JSON text per line. It is started with an environment of its own, in a process
 * group of its own, and ended with everything in that group. Should this process be killed outright, the child's
 * stdin closes, which is how MCP tells a stdio server to exit; a child that ignores that is beyond our reach then.
 * Knows lines and bytes, not messages.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { UpstreamLimits } from "./limits.ts";
import type { UpstreamLog } from "./session.ts";

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly limits: UpstreamLimits;
  readonly log: UpstreamLog;
  readonly onLine: (line: string) => void;
  /** Once, when it can be spoken to no longer. `detail` is safe to record; `wanted` when `end` was called before. */
  readonly onEnd: (detail: string, wanted: boolean) => void;
}

export interface Child {
  /** Bytes that the child has not read yet. */
  heldBytes(): number;
  /** False when the line surely did not reach the child. */
  write(line: string): boolean;
  /** stdin closed, then SIGTERM, then SIGKILL to the whole group. Idempotent. */
  end(): Promise<void>;
  /** SIGKILL to the whole group at once. */
  kill(detail: string): void;
}

const NEWLINE = 0x0a;

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
    } catch {
      // The group is gone already: that is what was wanted.
    }
  }

  function finish(detail: string): void {
    if (over) return;
    over = true;
    options.onEnd(wanted ? "ended by the gateway" : detail, wanted);
  }

  function kill(detail: string): void {
    finish(detail);
    signalGroup("SIGKILL");
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
      if (line !== "") options.onLine(line);
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
    const text = chunk.subarray(0, room).toString("utf8");
    logged += Math.min(room, chunk.length);
    dropped += Math.max(0, chunk.length - room);
    if (text !== "") log("upstream.stderr", { pid: child.pid ?? 0, text });
  });

  return {
    heldBytes: () => stdin.writableLength,
    write(line) {
      if (over || ending !== undefined || !stdin.writable) return false;
      stdin.write(`${line}\n`);
      return true;
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
