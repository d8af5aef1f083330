/**
 * Logs for operators: JSON lines by pino, written synchronously so that the last line before a crash is there.
 * Whatever looks like one of our credentials is masked in the finished line, wherever it came from.
 */
import { type Logger, pino } from "pino";

export type { Logger };

/** Agents' tokens, sub-tokens, admin keys, enforcement points' keys, and bearer headers of any kind. */
const CREDENTIAL = /\b(writ|wadm|st|wpep)_[A-Za-z0-9_-]{12,}|\b([Bb]earer) +[A-Za-z0-9._~+/=-]{8,}/g;

/** The text with everything that looks like a credential masked. */
export function maskCredentials(text: string): string {
  return text.replaceAll(CREDENTIAL, (_match, prefix: string | undefined, scheme: string | undefined) =>
    prefix === undefined ? `${scheme ?? "Bearer"} ***` : `${prefix}_***`,
  );
}

export interface LoggerOptions {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "silent";
  /** Takes one finished line; standard error when left out. */
  readonly write?: (line: string) => void;
}

export function createLogger(options: LoggerOptions): Logger {
  const settings = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: ["authorization", "headers.authorization", "req.headers.authorization", "*.authorization"],
      censor: "***",
    },
    hooks: { streamWrite: maskCredentials },
  };
  const write = options.write;
  return write === undefined
    ? pino(settings, pino.destination({ dest: 2, sync: true }))
    : pino(settings, { write: (line: string) => write(line) });
}
