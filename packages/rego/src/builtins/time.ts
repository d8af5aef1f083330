/**
 * Built-ins on time. A time is a number of nanoseconds since 1970 that fits into 64 bits; layouts and their leniencies
 * are those of Go. The zone `Local` is UTC: a policy must not depend on where it runs.
 */
import { bigintOfNumber, numberOfBigint } from "../number.ts";
import { type Civil, civilOfSeconds, daysInMonth, secondsOfCivil, weekdayOfSeconds } from "../time/civil.ts";
import {
  type Layout,
  type Moment,
  NAMED_LAYOUTS,
  readLayout,
  readMoment,
  WEEKDAYS,
  writeMoment,
} from "../time/layout.ts";
import { makeZone, UTC, type Zone } from "../time/zone.ts";
import { NUMBER, STRING, tupleOf, unionOf } from "../types.ts";
import { isArray, isNumber, kindOf, type Value } from "../value.ts";
import {
  type Builtin,
  type BuiltinEnvironment,
  BuiltinError,
  builtin,
  builtinError,
  integerOperand,
  numberOperand,
  stringOperand,
} from "./builtin.ts";

const TIME = unionOf(NUMBER, tupleOf([NUMBER, STRING]));
const FORMATTED = unionOf(NUMBER, tupleOf([NUMBER, STRING]), tupleOf([NUMBER, STRING, STRING]));

const NANOS = 1_000_000_000n;
const NS_MIN = -(2n ** 63n);
const NS_MAX = 2n ** 63n - 1n;

export const TIME_BUILTINS: readonly Builtin[] = [
  builtin("time.now_ns", [], NUMBER, (environment) => numberOfBigint(environment.timeNs()), { nondeterministic: true }),
  builtin("time.parse_ns", [STRING, STRING], NUMBER, (environment, layout, text) => {
    const pattern = stringOperand(layout, 1);
    const read = stringOperand(text, 2);
    return parseNs(environment, NAMED_LAYOUTS.get(pattern) ?? pattern, read);
  }),
  builtin("time.parse_rfc3339_ns", [STRING], NUMBER, (environment, text) =>
    parseNs(environment, NAMED_LAYOUTS.get("RFC3339") ?? "", stringOperand(text, 1)),
  ),
  builtin("time.parse_duration_ns", [STRING], NUMBER, (_, text) =>
    numberOfBigint(nanosOfDuration(stringOperand(text, 1))),
  ),
  builtin("time.date", [TIME], tupleOf([NUMBER, NUMBER, NUMBER]), (environment, time) => {
    const { civil } = zonedOperand(environment, time, 1);
    return [civil.year, civil.month, civil.day];
  }),
  builtin("time.clock", [TIME], tupleOf([NUMBER, NUMBER, NUMBER]), (environment, time) => {
    const { civil } = zonedOperand(environment, time, 1);
    return [civil.hour, civil.minute, civil.second];
  }),
  builtin("time.weekday", [TIME], STRING, (environment, time) => {
    const { moment, zone } = zonedOperand(environment, time, 1);
    return WEEKDAYS[weekdayOfSeconds(moment.seconds + zone.offsetAt(moment.seconds))];
  }),
  builtin("time.add_date", [NUMBER, NUMBER, NUMBER, NUMBER], NUMBER, (environment, time, years, months, days) => {
    const { moment, civil, zone } = zonedOperand(environment, time as Value, 1); // all four are there
    const seconds = secondsOfCivil({
      ...civil,
      year: civil.year + integerOperand(years as Value, 2),
      month: civil.month + integerOperand(months as Value, 3),
      day: civil.day + integerOperand(days as Value, 4),
    });
    return safeNs({ seconds: seconds - zone.offsetAt(moment.seconds), nanos: moment.nanos });
  }),
  builtin("time.diff", [TIME, TIME], tupleOf([NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER]), (environment, a, b) => {
    const first = zonedOperand(environment, a, 1);
    const second = zonedOperand(environment, b, 2);
    // Both are seen in the zone of the first.
    const other: Zoned = { ...second, zone: first.zone, civil: civilIn(second.moment, first.zone) };
    return isAfter(first.moment, other.moment)
      ? difference(other.civil, first.civil)
      : difference(first.civil, other.civil);
  }),
  builtin("time.format", [FORMATTED], STRING, (environment, time) => {
    const { moment, zone, civil } = zonedOperand(environment, time, 1);
    const named = isArray(time) && time.length > 2 ? stringOperand(time[2] as Value, 1) : "RFC3339Nano"; // it is there
    const layout = NAMED_LAYOUTS.get(named) ?? (named === "" ? (NAMED_LAYOUTS.get("RFC3339Nano") ?? "") : named);
    return writeMoment(layoutOf(environment, layout), moment, civil, zone);
  }),
];

/** What it costs to make a zone, or to find that there is none of a name, in steps of about a hundred nanoseconds. */
const ZONE_STEPS = 1_000;

function layoutOf(environment: BuiltinEnvironment, text: string): Layout {
  return environment.prepared.get("layout", text, readLayout);
}

function zoneOf(environment: BuiltinEnvironment, name: string): Zone {
  if (name === "" || name === "UTC" || name === "Local") return UTC;
  return environment.prepared.get("zone", name, (text) => {
    environment.spend(ZONE_STEPS);
    const zone = makeZone(text);
    if (zone === undefined) throw builtinError(`unknown time zone ${text}`);
    return zone;
  });
}

interface Zoned {
  readonly moment: Moment;
  readonly zone: Zone;
  /** The moment as the zone's clocks show it. */
  readonly civil: Civil;
}

/** A number of nanoseconds, or an array of it and a zone's name. */
function zonedOperand(environment: BuiltinEnvironment, value: Value, position: number): Zoned {
  let time = value;
  let zone = UTC;
  if (isArray(value)) {
    if (value.length === 0) throw timeOperandError(value, position);
    time = value[0] as Value; // there is one
    if (value.length > 1) zone = zoneOf(environment, stringOperand(value[1] as Value, position)); // there are two
  } else if (!isNumber(value)) throw timeOperandError(value, position);
  const nanos = bigintOfNumber(numberOperand(time, position));
  if (nanos === undefined || nanos < NS_MIN || nanos > NS_MAX) throw builtinError("timestamp too big");
  const moment = momentOf(nanos);
  return { moment, zone, civil: civilIn(moment, zone) };
}

function timeOperandError(value: Value, position: number): BuiltinError {
  const message = `operand ${position} must be either number (ns) or [number (ns), string (tz)] but got ${kindOf(value)}`;
  return new BuiltinError("eval_type_error", message);
}

function momentOf(nanos: bigint): Moment {
  let seconds = nanos / NANOS;
  let rest = nanos % NANOS;
  if (rest < 0n) {
    rest += NANOS;
    seconds -= 1n;
  }
  return { seconds: Number(seconds), nanos: Number(rest) };
}

function civilIn(moment: Moment, zone: Zone): Civil {
  return civilOfSeconds(moment.seconds + zone.offsetAt(moment.seconds));
}

function isAfter(a: Moment, b: Moment): boolean {
  return a.seconds > b.seconds || (a.seconds === b.seconds && a.nanos > b.nanos);
}

function safeNs({ seconds, nanos }: Moment): Value {
  const ns = Number.isSafeInteger(seconds) ? BigInt(seconds) * NANOS + BigInt(nanos) : NS_MAX + 1n;
  if (ns < NS_MIN || ns > NS_MAX) throw builtinError("time outside of valid range");
  return numberOfBigint(ns);
}

function parseNs(environment: BuiltinEnvironment, layout: string, text: string): Value {
  const read = readMoment(layoutOf(environment, layout), text);
  if (read.kind === "fault") throw builtinError(read.message);
  return safeNs(read.moment);
}

/** Years, months, days, hours, minutes and seconds from one time to a later one. */
function difference(from: Civil, to: Civil): Value {
  let years = to.year - from.year;
  let months = to.month - from.month;
  let days = to.day - from.day;
  let hours = to.hour - from.hour;
  let minutes = to.minute - from.minute;
  let seconds = to.second - from.second;
  if (seconds < 0) {
    seconds += 60;
    minutes -= 1;
  }
  if (minutes < 0) {
    minutes += 60;
    hours -= 1;
  }
  if (hours < 0) {
    hours += 24;
    days -= 1;
  }
  if (days < 0) {
    days += daysInMonth(from.year, from.month);
    months -= 1;
  }
  if (months < 0) {
    months += 12;
    years -= 1;
  }
  return [years, months, days, hours, minutes, seconds];
}

const UNITS: ReadonlyMap<string, bigint> = new Map([
  ["ns", 1n],
  ["us", 1_000n],
  ["µs", 1_000n], // the micro sign
  ["μs", 1_000n], // the Greek letter
  ["ms", 1_000_000n],
  ["s", NANOS],
  ["m", 60n * NANOS],
  ["h", 3600n * NANOS],
  ["d", 24n * 3600n * NANOS],
  ["w", 7n * 24n * 3600n * NANOS],
  ["y", 365n * 24n * 3600n * NANOS],
]);

/** Digits of one number in a duration; more are refused. */
const DURATION_DIGITS_MAX = 100;

const DURATION_PART = /(\d*)(\.(\d*))?([^\d.]*)/y;

/** A duration as Go writes it, and in days, weeks and years of 365 days: `1h15m30.918s`, `-1.5h`, `2w`, `0`. */
function nanosOfDuration(text: string): bigint {
  const invalid = () => builtinError(`time: invalid duration ${JSON.stringify(text)}`);
  const negative = text.startsWith("-");
  const body = /^[+-]/.test(text) ? text.slice(1) : text;
  if (body === "0") return 0n;
  if (body === "") throw invalid();
  let total = 0n;
  DURATION_PART.lastIndex = 0;
  for (let at = 0; at < body.length; at = DURATION_PART.lastIndex) {
    DURATION_PART.lastIndex = at;
    const [, whole = "", , fraction = "", unit = ""] = DURATION_PART.exec(body) ?? [];
    if (whole === "" && fraction === "") throw invalid();
    if (whole.length + fraction.length > DURATION_DIGITS_MAX) throw invalid();
    if (unit === "") throw builtinError(`time: missing unit in duration ${JSON.stringify(text)}`);
    const scale = UNITS.get(unit);
    if (scale === undefined) {
      throw builtinError(`time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`);
    }
    total += BigInt(whole || "0") * scale + (BigInt(fraction || "0") * scale) / 10n ** BigInt(fraction.length);
    if (total > NS_MAX + 1n) throw invalid();
  }
  if (!negative && total > NS_MAX) throw invalid();
  return negative ? -total : total;
}
