/**
 * Dates and times of day of the proleptic Gregorian calendar, and how they lie on the line of seconds since 1970. It knows
 * no zones and reads no clock; an offset is added before or taken off after.
 */

export interface Civil {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  /** 1 to 31. */
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

const SECONDS_PER_DAY = 86_400;

/** Days since 1970-01-01. Month and day may lie outside their ranges, and then count on from the year's first day. */
function daysOfDate(year: number, month: number, day: number): number {
  const months = month - 1;
  const wholeYear = year + Math.floor(months / 12);
  const monthOfYear = ((months % 12) + 12) % 12; // 0 to 11
  // Years that begin in March, so that the leap day is the last; eras of 400 years, all of one length.
  const shifted = monthOfYear < 2 ? wholeYear - 1 : wholeYear;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * ((monthOfYear + 10) % 12) + 2) / 5);
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468 + (day - 1);
}

export function secondsOfCivil(civil: Civil): number {
  const days = daysOfDate(civil.year, civil.month, civil.day);
  return days * SECONDS_PER_DAY + civil.hour * 3600 + civil.minute * 60 + civil.second;
}

export function civilOfSeconds(seconds: number): Civil {
  const days = Math.floor(seconds / SECONDS_PER_DAY);
  const rest = seconds - days * SECONDS_PER_DAY;
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
    hour: Math.floor(rest / 3600),
    minute: Math.floor((rest % 3600) / 60),
    second: rest % 60,
  };
}

/** 0 for Sunday to 6 for Saturday. */
export function weekdayOfSeconds(seconds: number): number {
  return (((Math.floor(seconds / SECONDS_PER_DAY) + 4) % 7) + 7) % 7;
}

/** The day of the year, from 1. */
export function dayOfYear(civil: Civil): number {
  return daysOfDate(civil.year, civil.month, civil.day) - daysOfDate(civil.year, 1, 1) + 1;
}

export function daysInMonth(year: number, month: number): number {
  return daysOfDate(year, month + 1, 1) - daysOfDate(year, month, 1);
}
