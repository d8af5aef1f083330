/**
 * Time zones of the IANA database, as `Intl.DateTimeFormat` knows them. A zone is made once and kept by the caller: making
 * its formatter costs much more than asking it.
 */
import { type Civil, secondsOfCivil } from "./civil.ts";

export interface Zone {
  readonly name: string;
  /** Seconds east of Greenwich at a moment, given in seconds since 1970. */
  offsetAt(seconds: number): number;
  /** Its abbreviation at a moment, or the offset in its place (`+0545`) where the zone has none. */
  abbreviationAt(seconds: number): string;
}

export const UTC: Zone = { name: "UTC", offsetAt: () => 0, abbreviationAt: () => "UTC" };

/** A zone of one offset, as a text that was read may name it. */
export function fixedZone(name: string, offset: number): Zone {
  return { name, offsetAt: () => offset, abbreviationAt: () => name };
}

/** Transitions happen at multiples of this many seconds; offsets are remembered for so long. */
const SPAN_SECONDS = 900;

/** Names of `Intl`'s for which IANA's database has an abbreviation that `Intl` does not tell. */
const ABBREVIATIONS: ReadonlyMap<string, string> = new Map([
  ["Australian Central Daylight Time", "ACDT"],
  ["Australian Central Standard Time", "ACST"],
  ["Australian Eastern Daylight Time", "AEDT"],
  ["Australian Eastern Standard Time", "AEST"],
  ["Australian Western Standard Time", "AWST"],
  ["British Summer Time", "BST"],
  ["Central Africa Time", "CAT"],
  ["Central European Standard Time", "CET"],
  ["Central European Summer Time", "CEST"],
  ["Central Indonesia Time", "WITA"],
  ["China Standard Time", "CST"],
  ["Cuba Daylight Time", "CDT"],
  ["Cuba Standard Time", "CST"],
  ["East Africa Time", "EAT"],
  ["Eastern European Standard Time", "EET"],
  ["Eastern European Summer Time", "EEST"],
  ["Eastern Indonesia Time", "WIT"],
  ["Greenwich Mean Time", "GMT"],
  ["Hong Kong Standard Time", "HKT"],
  ["India Standard Time", "IST"],
  ["Irish Standard Time", "IST"],
  ["Israel Daylight Time", "IDT"],
  ["Israel Standard Time", "IST"],
  ["Japan Standard Time", "JST"],
  ["Korean Standard Time", "KST"],
  ["Moscow Standard Time", "MSK"],
  ["New Zealand Daylight Time", "NZDT"],
  ["New Zealand Standard Time", "NZST"],
  ["Pakistan Standard Time", "PKT"],
  ["Philippine Standard Time", "PST"],
  ["Samoa Standard Time", "SST"],
  ["South Africa Standard Time", "SAST"],
  ["West Africa Standard Time", "WAT"],
  ["Western European Standard Time", "WET"],
  ["Western European Summer Time", "WEST"],
  ["Western Indonesia Time", "WIB"],
]);

/** The zone of an IANA name; undefined when there is none. */
export function makeZone(name: string): Zone | undefined {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return undefined; // `Intl` takes offsets for zones too
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      hourCycle: "h23",
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch {
    return undefined; // a RangeError: the one thing that is thrown for a name that is none
  }
  // Names count by their letters' case, which `Intl` overlooks.
  const resolved = format.resolvedOptions().timeZone;
  if (resolved !== name && resolved.toLowerCase() === name.toLowerCase()) return undefined;
  let span = Number.NaN;
  let spanOffset = 0;
  const offsetAt = (seconds: number): number => {
    const at = Math.floor(seconds / SPAN_SECONDS);
    if (at === span) return spanOffset;
    const offset = secondsOfCivil(civilIn(format, seconds)) - seconds;
    const start = at * SPAN_SECONDS;
    if (secondsOfCivil(civilIn(format, start)) - start === offset) {
      // Old transitions may lie inside of a span; then only the moments after it agree with its start.
      const end = start + SPAN_SECONDS - 1;
      if (secondsOfCivil(civilIn(format, end)) - end === offset) {
        span = at;
        spanOffset = offset;
      }
    }
    return offset;
  };
  let names: ((style: "short" | "long", seconds: number) => string) | undefined;
  return {
    name,
    offsetAt,
    abbreviationAt: (seconds) => {
      names ??= makeNames(name);
      const short = names("short", seconds);
      if (/^[A-Z]+$/.test(short)) return short;
      return ABBREVIATIONS.get(names("long", seconds)) ?? writeHours(offsetAt(seconds));
    },
  };
}

/** What `Intl` calls a zone at a moment. */
function makeNames(zone: string): (style: "short" | "long", seconds: number) => string {
  const formats = {
    short: new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "short" }),
    long: new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "long" }),
  };
  return (style, seconds) =>
    formats[style].formatToParts(seconds * 1000).find(({ type }) => type === "timeZoneName")?.value ?? "";
}

function writeHours(offset: number): string {
  const minutes = Math.trunc(Math.abs(offset) / 60);
  const rest = minutes % 60 === 0 ? "" : String(minutes % 60).padStart(2, "0");
  return `${offset < 0 ? "-" : "+"}${String(Math.floor(minutes / 60)).padStart(2, "0")}${rest}`;
}

function civilIn(format: Intl.DateTimeFormat, seconds: number): Civil {
  const parts = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 };
  let isBeforeChrist = false;
  for (const { type, value } of format.formatToParts(seconds * 1000)) {
    if (type === "era") isBeforeChrist = value.startsWith("B");
    else if (type in parts) parts[type as keyof typeof parts] = Number(value); // just seen to be one
  }
  return isBeforeChrist ? { ...parts, year: 1 - parts.year } : parts;
}
