/** What a command may reach of its process, and how it ends without an answer. */

export interface CommandContext {
  readonly directory: string;
  out(text: string): void;
  note(text: string): void;
  /** All of standard input. */
  readInput(): Promise<string>;
  /** Nanoseconds since the epoch. */
  nowNs(): bigint;
  /** Milliseconds of a clock that only goes forward. */
  nowMs(): number;
}

/** Ends a command. The message says what is wrong and what to do. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.name = "CommandError";
    this.exitCode = exitCode;
  }
}

/** The value of an option that has to be one of a few. */
export function oneOf<T extends string>(option: string, value: string, allowed: readonly T[], exitCode: number): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) {
    throw new CommandError(exitCode, `--${option} is ${allowed.join(", ")}; not ${JSON.stringify(value)}.`);
  }
  return found;
}
