/**
 * Runs one program to its end, with no input and a time limit, and returns what it printed. It judges nothing: what an
 * exit code means is for the check that asked.
 */
import { spawn } from "node:child_process";

export interface ProgramRun {
  readonly exitCode: number;
  /** Standard output alone, for programs that print JSON. */
  readonly stdout: string;
  /** Standard output and standard error in the order of their arrival, for people. */
  readonly output: string;
}

export interface ProgramOptions {
  readonly cwd: string;
  readonly timeoutMs: number;
  /** Also show the output while it comes. */
  readonly echo?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Exit code of a program that ran into its time limit, as coreutils' `timeout` has it. */
const EXIT_TIMEOUT = 124;

/**
 * Runs `program` in a process group of its own and resolves when it has ended; at `timeoutMs` the whole group is
 * killed, so that a hanging test cannot outlive its run.
 */
export function runProgram(program: string, args: readonly string[], options: ProgramOptions): Promise<ProgramRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, FORCE_COLOR: "0", NO_COLOR: "1", ...options.environment },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const out: Buffer[] = [];
    const both: Buffer[] = [];
    let timedOut = false;
    const killGroup = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // The group has ended by itself: nothing is left to kill.
      }
    };
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup();
    }, options.timeoutMs);
    // Ctrl-C reaches only our own group; pass it on.
    const onSignal = (): void => {
      killGroup();
      process.exit(130);
    };
    process.once("SIGINT", onSignal);
    process.once("SIGTERM", onSignal);
    child.stdout.on("data", (chunk: Buffer) => {
      out.push(chunk);
      both.push(chunk);
      if (options.echo === true) process.stdout.write(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      both.push(chunk);
      if (options.echo === true) process.stderr.write(chunk);
    });
    const finish = (): void => {
      clearTimeout(timer);
      process.removeListener("SIGINT", onSignal);
      process.removeListener("SIGTERM", onSignal);
    };
    child.once("error", (cause) => {
      finish();
      reject(new Error(`${program} could not be started`, { cause }));
    });
    // What the program left behind would keep the pipes open, and `close` from coming: end it with its group.
    child.once("exit", killGroup);
    child.once("close", (code) => {
      finish();
      const note = timedOut ? `\n${program} was stopped after ${options.timeoutMs} ms\n` : "";
      resolve({
        exitCode: timedOut ? EXIT_TIMEOUT : (code ?? 1),
        stdout: Buffer.concat(out).toString("utf8"),
        output: Buffer.concat(both).toString("utf8") + note,
      });
    });
  });
}
