/** Turns whatever ended a command into a code, a sentence that says what to do, and an exit code. Prints nothing. */
import { ProblemError } from "@writ/sdk/admin";
import { InvalidArgumentError } from "commander";
import { CliError, EXIT, type ExitCode } from "./exit-codes.ts";

export interface ExplainedError {
  readonly code: string;
  readonly message: string;
  readonly exitCode: ExitCode;
}

/** What to do about the problems of the admin API that a person meets. */
const ADVICE: Readonly<Record<string, string>> = {
  admin_key_missing: "Set WRIT_ADMIN_KEY or name a file with --key-file.",
  admin_key_invalid: "Set WRIT_ADMIN_KEY or name a file with --key-file; a first start writes it to .writ/admin-key.",
  permission_missing: "Use a key that has it; `writ admin-key create` makes one.",
  version_conflict: "Somebody changed it at the same time: look again and repeat the command.",
  catalogue_unseen: "Check that a gateway runs and that the upstream answers it, then repeat the command.",
  lifetime_exceeded:
    "Ask for less with --expires-in, or raise the tenant's tokenLifetimeMaxSeconds with a key of the instance.",
  expiry_past: "Name a later time in exp, or a life with --expires-in.",
  log_damaged: "Run `writ audit verify --full` to see what is damaged.",
  database_unavailable: "Look at the log of the control plane; `writ doctor` checks its database.",
};

export function explainError(error: unknown): ExplainedError {
  if (error instanceof CliError) return { code: error.code, message: error.message, exitCode: error.exitCode };
  if (error instanceof ProblemError) return explainProblem(error);
  if (!(error instanceof Error)) return { code: "failure", message: String(error), exitCode: EXIT.failure };
  // A value that a command itself read; what commander reads it reports itself.
  if (error instanceof InvalidArgumentError) {
    return { code: "input_refused", message: error.message, exitCode: EXIT.refused };
  }
  switch (error.name) {
    case "ConfigError":
      return {
        code: "config_invalid",
        message: `The configuration cannot be used:\n${error.message}`,
        exitCode: EXIT.refused,
      };
    case "DirectoryError":
      return { code: "directory_refused", message: error.message, exitCode: EXIT.refused };
    case "SecretError":
    case "DurabilityError":
      return { code: "start_refused", message: error.message, exitCode: EXIT.refused };
    case "DirectoryInUseError":
      return {
        code: "directory_in_use",
        message: `${error.message} Stop the other process, or set WRIT_DATA_DIR to another directory.`,
        exitCode: EXIT.failure,
      };
    case "TimeoutError":
      return { code: "timeout", message: "There was no answer in time. Repeat the command.", exitCode: EXIT.failure };
    default:
      return { code: "failure", message: withCause(error), exitCode: EXIT.failure };
  }
}

function explainProblem(error: ProblemError): ExplainedError {
  const { code, status, problem } = error;
  const lines = [error.detail];
  for (const { line, column, message } of problem.problems ?? []) lines.push(`  ${line}:${column}: ${message}`);
  for (const { name, passed, message } of problem.tests ?? []) if (!passed) lines.push(`  failed: ${name}: ${message}`);
  const advice = ADVICE[code];
  if (advice !== undefined) lines.push(advice);
  return { code, message: lines.join("\n"), exitCode: exitCodeOf(status, code) };
}

function exitCodeOf(status: number, code: string): ExitCode {
  if (status === 401 || status === 403 || code === "policy_tests_failed" || code === "log_damaged") return EXIT.no;
  return status >= 500 ? EXIT.failure : EXIT.refused;
}

/** Whether fetch failed because nothing answers there. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof TypeError && error.message === "fetch failed";
}

/** One line: the message and what caused it. */
export function withCause(error: Error): string {
  const { cause } = error;
  return cause instanceof Error && cause.message !== "" ? `${error.message}: ${cause.message}` : error.message;
}
