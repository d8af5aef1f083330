/** What a command may touch of the process: its streams, environment, directory and exit code. */

export interface CliContext {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where relative paths start. */
  readonly directory: string;
  readonly terminal: { readonly input: boolean; readonly output: boolean; readonly error: boolean };
  /** Writes to standard output; resolves when more may be written. */
  out(text: string | Uint8Array): Promise<void>;
  /** Writes to standard error: progress and remarks, so that standard output stays what was asked for. */
  note(text: string): void;
  /** All of standard input, bounded. */
  readInput(): Promise<string>;
  nowMs(): number;
  setExitCode(code: number): void;
}
