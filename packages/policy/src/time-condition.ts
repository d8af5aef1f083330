/**
 * When a rule holds: days of the week and hours in a fixed offset from UTC, and absolute instants. Named zones are
 * deliberately not supported: their meaning changes with data that is not part of the policy document.
 */

export interface TimeWindow {
  /** 0 = Monday … 6 = Sunday; undefined for every day. */
  readonly days: ReadonlySet<number> | undefined;
  /** Minutes of the local day, start included and end excluded; undefined for the whole day. */
  readonly between: { readonly start: number; readonly end: number } | undefined;
  readonly offsetMinutes: number;
  /** Milliseconds since the epoch, included and excluded; undefined for no bound. */
  readonly fromMs: number | undefined;
  readonly untilMs: number | undefined;
}

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

/** Whether the window holds at `timeMs`, and the first later instant at which that may differ. */
export function evaluateTime(
  window: TimeWindow,
  timeMs: number,
): { readonly holds: boolean; readonly untilMs: number } {
  let holds = true;
  let untilMs = Number.MAX_SAFE_INTEGER;
  const boundary = (atMs: number): void => {
    if (atMs > timeMs && atMs < untilMs) untilMs = atMs;
  };
  if (window.fromMs !== undefined) {
    holds &&= timeMs >= window.fromMs;
    boundary(window.fromMs);
  }
  if (window.untilMs !== undefined) {
    holds &&= timeMs < window.untilMs;
    boundary(window.untilMs);
  }
  if (window.days !== undefined || window.between !== undefined) {
    const offsetMs = window.offsetMinutes * MINUTE_MS;
    const day = Math.floor((timeMs + offsetMs) / DAY_MS);
    const midnightMs = day * DAY_MS - offsetMs;
    boundary(midnightMs + DAY_MS);
    // 1970-01-01 was a Thursday, which is 3 when Monday is 0.
    if (window.days !== undefined) holds &&= window.days.has((((day + 3) % 7) + 7) % 7);
    if (window.between !== undefined) {
      const startMs = midnightMs + window.between.start * MINUTE_MS;
      const endMs = midnightMs + window.between.end * MINUTE_MS;
      holds &&= timeMs >= startMs && timeMs < endMs;
      boundary(startMs);
      boundary(endMs);
    }
  }
  return { holds, untilMs };
}

/** `mon`, `mon-fri` (also across Sunday: `sat-mon`); undefined when it is neither. */
export function parseDays(text: string): readonly number[] | undefined {
  const [first, last, ...rest] = text
    .toLowerCase()
    .split("-")
    .map((day) => (DAYS as readonly string[]).indexOf(day));
  if (first === undefined || first < 0 || rest.length > 0 || (last !== undefined && last < 0)) return undefined;
  const days: number[] = [first];
  for (let day = first; last !== undefined && day !== last; ) {
    day = (day + 1) % 7;
    days.push(day);
  }
  return days;
}

/** `08:00-18:00`, the end later than the start and at most 24:00; undefined otherwise. */
export function parseBetween(text: string): { readonly start: number; readonly end: number } | undefined {
  const match = /^([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])$/.exec(text);
  if (match === null) return undefined;
  const start = Number(match[1]) * 60 + Number(match[2]);
  const end = Number(match[3]) * 60 + Number(match[4]);
  return start < end && end <= 24 * 60 ? { start, end } : undefined;
}

/** Minutes east of UTC for `UTC`, `+02:00`, `-05:30`; undefined otherwise. */
export function parseOffset(text: string): number | undefined {
  if (text === "UTC") return 0;
  const match = /^([+-])(0[0-9]|1[0-4]):([0-5][0-9])$/.exec(text);
  if (match === null) return undefined;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  return match[1] === "-" ? -minutes : minutes;
}

/** An instant with seconds and `Z` or an offset (RFC 3339); undefined otherwise. */
export function parseInstant(text: string): number | undefined {
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$/.test(text)) return undefined;
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}
