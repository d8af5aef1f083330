import { describe, expect, test } from "vitest";
import { valueOfQuery } from "./query.fixture.ts";

// 2018-02-05T12:00:00Z, a Monday
const MONDAY = "1517832000000000000";
// 2022-12-02T18:40:53.141828752Z
const PRECISE = "1670006453141828752";

const CASES: readonly (readonly [query: string, expected: unknown])[] = [
  ["time.now_ns() == 1709208000000000000", true],
  [`time.date(${MONDAY})`, [2018, 2, 5]],
  [`time.date([${MONDAY}, "UTC"])`, [2018, 2, 5]],
  [`time.date([${MONDAY}, "Pacific/Auckland"])`, [2018, 2, 6]],
  ["time.date(-1)", [1969, 12, 31]],
  ["time.date(-9223372036854775808)", [1677, 9, 21]],
  ["time.date(9223372036854775807)", [2262, 4, 11]],
  ["time.date(9223372036854775808)", "error: time.date: timestamp too big"],
  ["time.date(0.5)", "error: time.date: timestamp too big"],
  [`time.date([${MONDAY}, "Mars/Olympus"])`, "error: time.date: unknown time zone Mars/Olympus"],
  [`time.date([${MONDAY}, "+05:30"])`, "error: time.date: unknown time zone +05:30"],
  [`time.date([${MONDAY}, "america/new_york"])`, "error: time.date: unknown time zone america/new_york"],
  ["time.clock(-1)", [23, 59, 59]],
  [`time.clock([${MONDAY}, "Asia/Kathmandu"])`, [17, 45, 0]],
  // Clocks go forward in New York on 2024-03-10 at 07:00Z.
  ['time.clock([1710053999000000000, "America/New_York"])', [1, 59, 59]],
  ['time.clock([1710054000000000000, "America/New_York"])', [3, 0, 0]],
  ['time.weekday([1710050399000000000, "Asia/Tokyo"])', "Sunday"],
  ["time.weekday(0)", "Thursday"],
  ["time.weekday(-86400000000000)", "Wednesday"],
  ["time.add_date(1709208000000000000, 1, 0, 0)", 1740830400000000000],
  ["time.add_date(1706702400000000000, 0, 1, 0)", 1709380800000000000],
  ["time.add_date(0, 0, -1, 0)", -2678400000000000],
  [
    "time.add_date(0, 0.5, 0, 0)",
    "error: time.add_date: operand 2 must be integer number but got floating-point number",
  ],
  ["time.add_date(0, 0, 0, 9007199254740991)", "error: time.add_date: time outside of valid range"],
  [`time.diff(${MONDAY}, ${MONDAY})`, [0, 0, 0, 0, 0, 0]],
  // 2020-01-31 to 2020-03-01, either way round
  ["time.diff(1580428800000000000, 1583020800000000000)", [0, 1, 1, 0, 0, 0]],
  ["time.diff(1583020800000000000, 1580428800000000000)", [0, 1, 1, 0, 0, 0]],
  ["time.diff(0, 94694399000000000)", [2, 11, 30, 23, 59, 59]],
  // The first zone is that of both.
  ['time.diff([0, "America/New_York"], [86400000000000, "UTC"])', [0, 0, 1, 0, 0, 0]],
  ["time.diff(1709208000000000000, 1705315319000000001)", [0, 1, 14, 1, 18, 1]],
  [`time.format(${PRECISE})`, "2022-12-02T18:40:53.141828752Z"],
  ["time.format(0)", "1970-01-01T00:00:00Z"],
  [`time.format([${PRECISE}, "America/New_York", "RFC850"])`, "Friday, 02-Dec-22 13:40:53 EST"],
  [`time.format([${PRECISE}, "", "RFC3339"])`, "2022-12-02T18:40:53Z"],
  [`time.format([${PRECISE}, "", "ANSIC"])`, "Fri Dec  2 18:40:53 2022"],
  [`time.format([${PRECISE}, "", "UnixDate"])`, "Fri Dec  2 18:40:53 UTC 2022"],
  [`time.format([${PRECISE}, "Europe/Berlin", "UnixDate"])`, "Fri Dec  2 19:40:53 CET 2022"],
  ['time.format([1720000000000000000, "Europe/London", "15:04 MST"])', "10:46 BST"],
  [`time.format([${PRECISE}, "Asia/Kolkata", "RFC822"])`, "03 Dec 22 00:10 IST"],
  [`time.format([${PRECISE}, "Asia/Kathmandu", "MST"])`, "+0545"],
  [`time.format([${PRECISE}, "America/Sao_Paulo", "MST"])`, "-03"],
  [
    `time.format([${PRECISE}, "Asia/Kathmandu", "Z0700 Z07:00 -07 -0700 -07:00:00"])`,
    "+0545 +05:45 +05 +0545 +05:45:00",
  ],
  [`time.format([${PRECISE}, "UTC", "Z0700 -07:00 Z07"])`, "Z +00:00 Z"],
  [`time.format([${PRECISE}, "", "3:04:05PM 03pm 15"])`, "6:40:53PM 06pm 18"],
  [
    `time.format([${PRECISE}, "", "2006 06 January Jan 1 01 Monday Mon 2 _2 02 002 __2"])`,
    "2022 22 December Dec 12 12 Friday Fri 2  2 02 336 336",
  ],
  ['time.format([0, "", "002|__2|_2"])', "001|  1| 1"],
  [`time.format([${PRECISE}, "", "05.000 05.999999 05,0 05.00"])`, "53.141 53.141828 53,1 53.14"],
  ['time.format([0, "", "05.000 05.999 x"])', "00.000 00 x"],
  [`time.format([${PRECISE}, "", "Month Janet Mond .0001 _2006"])`, "Month Janet Mond .0012 _2022"],
  ['time.format([-62135596800000000, "", "2006-01-02"])', "1968-01-12"],
  ['time.format([1, "UTC", "unknown words"])', "unknown words"],
  ['time.parse_rfc3339_ns("2022-12-02T18:40:53.141828752Z") == 1670006453141828752', true],
  ['time.parse_rfc3339_ns("1970-01-01T01:00:00+01:00")', 0],
  ['time.parse_rfc3339_ns("1970-01-01T00:00:00,5Z")', 500000000],
  [
    'time.parse_rfc3339_ns("2023-02-29T00:00:00Z")',
    'error: time.parse_rfc3339_ns: parsing time "2023-02-29T00:00:00Z": day out of range',
  ],
  [
    'time.parse_rfc3339_ns("2023-13-01T00:00:00Z")',
    'error: time.parse_rfc3339_ns: parsing time "2023-13-01T00:00:00Z": month out of range',
  ],
  [
    'time.parse_rfc3339_ns("2023-01-01T24:00:00Z")',
    'error: time.parse_rfc3339_ns: parsing time "2023-01-01T24:00:00Z": hour out of range',
  ],
  [
    'time.parse_rfc3339_ns("2023-01-01 00:00:00Z")',
    'error: time.parse_rfc3339_ns: parsing time "2023-01-01 00:00:00Z" as "2006-01-02T15:04:05Z07:00": cannot parse " 00:00:00Z" as "T"',
  ],
  [
    'time.parse_rfc3339_ns("1970-01-01T00:00:00Zx")',
    'error: time.parse_rfc3339_ns: parsing time "1970-01-01T00:00:00Zx": extra text: "x"',
  ],
  [
    'time.parse_rfc3339_ns("")',
    'error: time.parse_rfc3339_ns: parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006"',
  ],
  ['time.parse_ns("RFC1123Z", "Sat, 03 Dec 2022 00:10:53 +0530")', 1670006453000000000],
  ['time.parse_ns("ANSIC", "Fri Dec  2 18:40:53 2022")', 1670006453000000000],
  ['time.parse_ns("UnixDate", "Fri Dec  2 18:40:53 GMT+2 2022")', 1669999253000000000],
  ['time.parse_ns("RFC850", "Friday, 02-Dec-22 13:40:53 EST")', 1669988453000000000],
  ['time.parse_ns("02 Jan 06", "01 jan 69")', -31536000000000000],
  ['time.parse_ns("3:04PM 2006", "12:30AM 1970")', 1800000000000],
  ['time.parse_ns("3:04PM 2006", "12:30PM 1970")', 45000000000000],
  ['time.parse_ns("2006 002", "1972 366")', 94608000000000000],
  ['time.parse_ns("2006 002", "1971 366")', 'error: time.parse_ns: parsing time "1971 366": day-of-year out of range'],
  ['time.parse_ns("2006-01-02 15:04:05.000", "1970-01-01 00:00:00.123")', 123000000],
  [
    'time.parse_ns("2006-01-02 15:04:05.000", "1970-01-01 00:00:00.12")',
    'error: time.parse_ns: parsing time "1970-01-01 00:00:00.12" as "2006-01-02 15:04:05.000": cannot parse ".12" as ".000"',
  ],
  ['time.parse_ns("2006-01-02 15:04:05.999", "1970-01-01 00:00:00")', 0],
  ['time.parse_ns("15:04", "10:00")', "error: time.parse_ns: time outside of valid range"],
  ['time.parse_duration_ns("1h15m30.918273645s")', 4530918273645],
  ['time.parse_duration_ns("-1.5h")', -5400000000000],
  ['time.parse_duration_ns("+5us") + time.parse_duration_ns("5µs") + time.parse_duration_ns(".5ms")', 510000],
  ['time.parse_duration_ns("0")', 0],
  ['time.parse_duration_ns("")', 'error: time.parse_duration_ns: time: invalid duration ""'],
  ['time.parse_duration_ns("3")', 'error: time.parse_duration_ns: time: missing unit in duration "3"'],
  ['time.parse_duration_ns("3d")', 259200000000000],
  ['time.parse_duration_ns("1w1.5d") + time.parse_duration_ns("-1y")', -30801600000000000],
  ['time.parse_duration_ns("3x")', 'error: time.parse_duration_ns: time: unknown unit "x" in duration "3x"'],
  ['time.parse_duration_ns(".s")', 'error: time.parse_duration_ns: time: invalid duration ".s"'],
  ['time.parse_duration_ns("9223372036854775807ns") == 9223372036854775807', true],
  ['time.parse_duration_ns("-9223372036854775808ns") == -9223372036854775808', true],
  [
    'time.parse_duration_ns("9223372036854775808ns")',
    'error: time.parse_duration_ns: time: invalid duration "9223372036854775808ns"',
  ],
];

describe("built-ins on time", () => {
  test.each(CASES)("%s answers as in Go", (query, expected) => {
    expect(valueOfQuery(query)).toEqual(expected);
  });

  test("a time is an error where there is no clock", () => {
    expect(valueOfQuery("time.now_ns()", { timeNs: undefined as never })).toMatch(/there is no clock/);
  });
});
