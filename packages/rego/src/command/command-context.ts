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

/** Ends a command that is given one of OPA's options which it does not have. */
export function refuseOptions(
  argv: readonly string[],
  refused: Readonly<Record<string, string>>,
  exitCode: number,
): void {
  for (const arg of argv) {
    if (arg === "--") return;
    const [name = ""] = arg.split("=");
    const why = Object.hasOwn(refused, name) ? refused[name] : undefined;
    if (why !== undefined) throw new CommandError(exitCode, `${name} is not offered: ${why}.`);
  }
}

/** Options of several of OPA's commands. */
export const REFUSED_EVERYWHERE: Readonly<Record<string, string>> = {
  "-b": "give the folder without it; data.json and other files are put below the names of their folders",
  "--bundle": "give the folder without it; data.json and other files are put below the names of their folders",
  "--capabilities": "the built-ins are those of the README",
  "--ignore": "name the files and folders one by one",
  "-m": "all problems of a stage are shown",
  "--max-errors": "all problems of a stage are shown",
  "-s": "schemas are not taken into account",
  "--schema": "schemas are not taken into account",
  "-S": "there are no checks beyond those that are always made",
  "--strict": "there are no checks beyond those that are always made",
  "-t": "modules are compiled to closures; there is nothing else to choose",
  "--target": "modules are compiled to closures; there is nothing else to choose",
  "--v0-compatible": "modules are Rego v1",
};

/** The value of an option that has to be one of a few. */
export function oneOf<T extends string>(option: string, value: string, allowed: readonly T[], exitCode: number): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) {
    throw new CommandError(exitCode, `--${option} is ${allowed.join(", ")}; not ${JSON.stringify(value)}.`);
  }
  return found;
}

/** Milliseconds of a duration: `500ms`, `3s`, `1m`. */
export function readTimeout(text: string | undefined, exitCode: number): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)$/.exec(text);
  const scale = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match?.[2] as "ms"]; // one of these, by the pattern
  if (match === null || scale === undefined) {
    throw new CommandError(exitCode, `--timeout is a duration as 500ms or 3s; not ${JSON.stringify(text)}.`);
  }
  return Number(match[1]) * scale;
}
