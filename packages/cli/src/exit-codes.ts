/** What the exit code of `writ` says, and the error that carries one with a sentence for the person who typed. */

export const EXIT = {
  /** Done, or the answer is yes. */
  ok: 0,
  /** The answer is no: a denied call, a damaged log, failed policy tests, a key without the permission. */
  no: 1,
  /** The command line or an input was refused; nothing was changed. */
  refused: 2,
  /** Something did not answer or broke. */
  failure: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command. The message says what is wrong and what to do; it never holds a secret or a stack trace. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  /** For programs: snake_case. */
  readonly code: string;

  constructor(exitCode: ExitCode, code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "CliError";
    this.exitCode = exitCode;
    this.code = code;
  }
}

export function refused(message: string, code = "input_refused"): CliError {
  return new CliError(EXIT.refused, code, message);
}
