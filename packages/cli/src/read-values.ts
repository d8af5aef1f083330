/** Reads what is typed behind options: whole numbers, durations, JSON, lists, labels. Refuses with a sentence. */
import { OBSERVE_DAYS_MAX } from "@writ/contract";
import { InvalidArgumentError } from "commander";

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

export function readCount(minimum: number, maximum = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= minimum && value <= maximum) return value;
    const most = maximum === Number.MAX_SAFE_INTEGER ? "or more" : `to ${maximum}`;
    throw new InvalidArgumentError(`A whole number of ${minimum} ${most} is expected.`);
  };
}

/** Seconds: `90d`, `24h`, `15m`, `30s`. */
export function readDuration(text: string): number {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  const seconds = Number(match?.[1] ?? 0) * (SECONDS[match?.[2] ?? ""] ?? 0);
  if (seconds > 0) return seconds;
  throw new InvalidArgumentError("A number with s, m, h or d is expected, such as 15m or 90d.");
}

export const OBSERVE_SECONDS_MAX = OBSERVE_DAYS_MAX * 86_400;

/** Seconds for which an upstream may be under observation. */
export function readObserveDuration(text: string): number {
  const seconds = readDuration(text);
  if (seconds >= 60 && seconds <= OBSERVE_SECONDS_MAX) return seconds;
  throw new InvalidArgumentError(`60s is the least, and ${OBSERVE_DAYS_MAX}d is the most.`);
}

export function readChoice<const T extends readonly string[]>(choices: T): (text: string) => T[number] {
  return (text) => {
    const found = choices.find((choice) => choice === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`One of ${choices.join(", ")} is expected.`);
  };
}

/** For an option that may be repeated. */
export function readMany(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** `name=value` texts, as a record. */
export function readPairs(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("name=value is expected.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** `calls:day:10`. */
export function readCarve(
  text: string,
  before: readonly { readonly unit: string; readonly window: string; readonly amount: number }[] = [],
): readonly { readonly unit: string; readonly window: string; readonly amount: number }[] {
  const [unit, window, amount, ...rest] = text.split(":");
  if (unit === undefined || window === undefined || amount === undefined || rest.length > 0) {
    throw new InvalidArgumentError("unit:window:amount is expected, such as calls:day:10.");
  }
  return [...before, { unit, window, amount: readCount(1)(amount) }];
}

/** A JSON object's text, unchanged. */
export function readJsonObject(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // A fault of what was typed; said below.
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return text;
  throw new InvalidArgumentError(`A JSON object is expected, such as '{"message":"hello"}'.`);
}
