/**
 * Layouts of Go's package time: a pattern that shows how the moment Mon Jan 2 15:04:05 MST 2006 would be written. A layout
 * is taken apart once; then moments are written by it, and texts are read. Elements and their leniencies are Go's.
 */
import { type Civil, dayOfYear, daysInMonth, secondsOfCivil, weekdayOfSeconds } from "./civil.ts";
import { fixedZone, UTC, type Zone } from "./zone.ts";

type ZoneStyle = "-07" | "-0700" | "-07:00" | "-070000" | "-07:00:00";

type Element =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "fraction"; readonly text: string; readonly digits: number; readonly trims: boolean }
  | { readonly kind: "offset"; readonly text: string; readonly style: ZoneStyle; readonly zulu: boolean }
  | { readonly kind: "field"; readonly text: Field };

type Field = (typeof FIELDS)[number];

export interface Layout {
  readonly text: string;
  readonly elements: readonly Element[];
}

/** A moment in a zone, in whole seconds since 1970 and nanoseconds from there. */
export interface Moment {
  readonly seconds: number;
  readonly nanos: number;
}

export type MomentRead =
  | { readonly kind: "moment"; readonly moment: Moment; readonly zone: Zone }
  | { readonly kind: "fault"; readonly message: string };

/** Layouts that are written by name. */
export const NAMED_LAYOUTS: ReadonlyMap<string, string> = new Map([
  ["ANSIC", "Mon Jan _2 15:04:05 2006"],
  ["UnixDate", "Mon Jan _2 15:04:05 MST 2006"],
  ["RubyDate", "Mon Jan 02 15:04:05 -0700 2006"],
  ["RFC822", "02 Jan 06 15:04 MST"],
  ["RFC822Z", "02 Jan 06 15:04 -0700"],
  ["RFC850", "Monday, 02-Jan-06 15:04:05 MST"],
  ["RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"],
  ["RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"],
  ["RFC3339", "2006-01-02T15:04:05Z07:00"],
  ["RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00"],
]);

export const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"] as const;

const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
] as const;

/** In the order in which they are tried at a place of the layout. */
const FIELDS = [
  "January",
  "Jan",
  "Monday",
  "Mon",
  "MST",
  "002",
  "01",
  "02",
  "03",
  "04",
  "05",
  "06",
  "15",
  "1",
  "2006",
  "2",
  "__2",
  "_2",
  "3",
  "4",
  "5",
  "PM",
  "pm",
] as const;

const OFFSETS: readonly ZoneStyle[] = ["-070000", "-07:00:00", "-0700", "-07:00", "-07"];

export function readLayout(text: string): Layout {
  const elements: Element[] = [];
  let literal = "";
  for (let at = 0; at < text.length; ) {
    const element = elementAt(text, at);
    if (element === undefined) {
      literal += text[at];
      at += 1;
      continue;
    }
    if (literal !== "") elements.push({ kind: "text", text: literal });
    literal = "";
    elements.push(element);
    at += element.text.length;
  }
  if (literal !== "") elements.push({ kind: "text", text: literal });
  return { text, elements };
}

function elementAt(text: string, at: number): Element | undefined {
  const first = text[at];
  if (first === "." || first === ",") return fractionAt(text, at);
  if (first === "-" || first === "Z") {
    for (const style of OFFSETS) {
      const wanted = first === "Z" ? `Z${style.slice(1)}` : style;
      if (text.startsWith(wanted, at)) return { kind: "offset", text: wanted, style, zulu: first === "Z" };
    }
    return undefined;
  }
  if (first === "_" && text.startsWith("_2006", at)) return undefined; // an underscore, then the year
  for (const field of FIELDS) {
    if (!text.startsWith(field, at)) continue;
    // "Jan" and "Mon" are no elements at the start of other words.
    if ((field === "Jan" || field === "Mon") && /[a-z]/.test(text[at + 3] ?? "")) return undefined;
    return { kind: "field", text: field };
  }
  return undefined;
}

/** A separator and a run of nines or zeros, which no other digit follows. */
function fractionAt(text: string, at: number): Element | undefined {
  const digit = text[at + 1];
  if (digit !== "0" && digit !== "9") return undefined;
  let end = at + 1;
  while (text[end] === digit) end += 1;
  if (isDigit(text, end)) return undefined;
  return { kind: "fraction", text: text.slice(at, end), digits: end - at - 1, trims: digit === "9" };
}

function isDigit(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 48 && unit <= 57;
}

/** Writes a moment by a layout; `civil` is the moment in the zone whose offset and abbreviation are given. */
export function writeMoment(layout: Layout, moment: Moment, civil: Civil, zone: Zone): string {
  let text = "";
  for (const element of layout.elements) {
    switch (element.kind) {
      case "text":
        text += element.text;
        break;
      case "fraction":
        text += writeFraction(element.text, element.digits, element.trims, moment.nanos);
        break;
      case "offset":
        text += writeOffset(element.style, element.zulu, zone.offsetAt(moment.seconds));
        break;
      case "field":
        text += writeField(element.text, civil, () => zone.abbreviationAt(moment.seconds));
        break;
    }
  }
  return text;
}

function writeFraction(text: string, digits: number, trims: boolean, nanos: number): string {
  let written = String(nanos).padStart(9, "0").slice(0, Math.min(digits, 9));
  if (digits > 9) written = written.padEnd(digits, "0");
  if (trims) {
    written = written.replace(/0+$/, "");
    if (written === "") return "";
  }
  return `${text[0]}${written}`;
}

function writeOffset(style: ZoneStyle, zulu: boolean, offset: number): string {
  if (zulu && offset === 0) return "Z";
  const minutes = Math.trunc(offset / 60);
  const hour = two(Math.floor(Math.abs(minutes) / 60));
  const minute = two(Math.abs(minutes) % 60);
  const second = two(Math.abs(offset) % 60);
  const sign = minutes < 0 ? "-" : "+";
  switch (style) {
    case "-07":
      return `${sign}${hour}`;
    case "-0700":
      return `${sign}${hour}${minute}`;
    case "-07:00":
      return `${sign}${hour}:${minute}`;
    case "-070000":
      return `${sign}${hour}${minute}${second}`;
    case "-07:00:00":
      return `${sign}${hour}:${minute}:${second}`;
  }
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

function writeField(field: Field, civil: Civil, abbreviation: () => string): string {
  switch (field) {
    case "2006": {
      const year = String(Math.abs(civil.year)).padStart(4, "0");
      return civil.year < 0 ? `-${year}` : year;
    }
    case "06":
      return two(Math.abs(civil.year) % 100);
    case "January":
      return MONTHS[civil.month - 1] ?? "";
    case "Jan":
      return (MONTHS[civil.month - 1] ?? "").slice(0, 3);
    case "1":
      return String(civil.month);
    case "01":
      return two(civil.month);
    case "Monday":
      return WEEKDAYS[weekdayOfSeconds(secondsOfCivil(civil))] ?? "";
    case "Mon":
      return (WEEKDAYS[weekdayOfSeconds(secondsOfCivil(civil))] ?? "").slice(0, 3);
    case "2":
      return String(civil.day);
    case "_2":
      return String(civil.day).padStart(2, " ");
    case "02":
      return two(civil.day);
    case "__2":
      return String(dayOfYear(civil)).padStart(3, " ");
    case "002":
      return String(dayOfYear(civil)).padStart(3, "0");
    case "15":
      return two(civil.hour);
    case "3":
      return String(civil.hour % 12 === 0 ? 12 : civil.hour % 12);
    case "03":
      return two(civil.hour % 12 === 0 ? 12 : civil.hour % 12);
    case "4":
      return String(civil.minute);
    case "04":
      return two(civil.minute);
    case "5":
      return String(civil.second);
    case "05":
      return two(civil.second);
    case "PM":
      return civil.hour >= 12 ? "PM" : "AM";
    case "pm":
      return civil.hour >= 12 ? "pm" : "am";
    case "MST":
      return abbreviation();
  }
}

/** Reads a text by a layout. Where the text names no zone, it is in UTC. */
export function readMoment(layout: Layout, text: string): MomentRead {
  try {
    return new MomentReader(layout, text).read();
  } catch (cause) {
    // A text that does not follow the layout is a fault; everything else is thrown on.
    if (cause instanceof LayoutFault) return { kind: "fault", message: cause.message };
    throw cause;
  }
}

class LayoutFault extends Error {}

class MomentReader {
  readonly #layout: Layout;
  readonly #text: string;
  #rest: string;
  #year = 0;
  #month = -1;
  #day = -1;
  #dayOfYear = -1;
  #hour = 0;
  #minute = 0;
  #second = 0;
  #nanos = 0;
  #half: "am" | "pm" | undefined;
  #zone: Zone = UTC;

  constructor(layout: Layout, text: string) {
    this.#layout = layout;
    this.#text = text;
    this.#rest = text;
  }

  read(): MomentRead {
    const { elements } = this.#layout;
    for (const [index, element] of elements.entries()) {
      switch (element.kind) {
        case "text":
          this.#literal(element.text);
          break;
        case "fraction":
          this.#fraction(element.text, element.digits, element.trims);
          break;
        case "offset":
          this.#offset(element.text, element.style, element.zulu);
          break;
        case "field":
          this.#field(element.text, elements[index + 1]);
          break;
      }
    }
    if (this.#rest !== "") throw new LayoutFault(`${this.#prefix()}: extra text: ${JSON.stringify(this.#rest)}`);
    if (this.#half === "pm" && this.#hour < 12) this.#hour += 12;
    else if (this.#half === "am" && this.#hour === 12) this.#hour = 0;
    this.#settleDay();
    const seconds = secondsOfCivil({
      year: this.#year,
      month: this.#month,
      day: this.#day,
      hour: this.#hour,
      minute: this.#minute,
      second: this.#second,
    });
    return {
      kind: "moment",
      moment: { seconds: seconds - this.#zone.offsetAt(0), nanos: this.#nanos },
      zone: this.#zone,
    };
  }

  #settleDay(): void {
    if (this.#dayOfYear >= 0) {
      const isLeap = daysInMonth(this.#year, 2) === 29;
      if (this.#dayOfYear < 1 || this.#dayOfYear > (isLeap ? 366 : 365)) throw this.#outOfRange("day-of-year");
      let month = 1;
      let day = this.#dayOfYear;
      while (day > daysInMonth(this.#year, month)) {
        day -= daysInMonth(this.#year, month);
        month += 1;
      }
      if (this.#month >= 0 && this.#month !== month) {
        throw new LayoutFault(`${this.#prefix()}: day-of-year does not match month`);
      }
      if (this.#day >= 0 && this.#day !== day) {
        throw new LayoutFault(`${this.#prefix()}: day-of-year does not match day`);
      }
      this.#month = month;
      this.#day = day;
      return;
    }
    if (this.#month < 0) this.#month = 1;
    if (this.#day < 0) this.#day = 1;
    if (this.#day < 1 || this.#day > daysInMonth(this.#year, this.#month)) throw this.#outOfRange("day");
  }

  /** A space in the layout stands for any number of them, none included at the text's end. */
  #literal(literal: string): void {
    for (let at = 0; at < literal.length; ) {
      if (literal[at] === " ") {
        if (this.#rest !== "" && this.#rest[0] !== " ") throw this.#mismatch(literal);
        while (literal[at] === " ") at += 1;
        this.#rest = this.#rest.replace(/^ +/, "");
        continue;
      }
      if (this.#rest === "" || this.#rest[0] !== literal[at]) throw this.#mismatch(literal);
      this.#rest = this.#rest.slice(1);
      at += 1;
    }
  }

  #field(field: Field, next: Element | undefined): void {
    switch (field) {
      case "2006":
        if (!/^\d{4}/.test(this.#rest)) throw this.#mismatch(field);
        this.#year = this.#digits(4);
        break;
      case "06": {
        if (!/^\d{2}/.test(this.#rest)) throw this.#mismatch(field);
        const year = this.#digits(2);
        this.#year = year >= 69 ? year + 1900 : year + 2000;
        break;
      }
      case "January":
      case "Jan":
        this.#month = this.#name(field, MONTHS, field === "Jan") + 1;
        break;
      case "1":
      case "01":
        this.#month = this.#number(field, field === "01");
        if (this.#month < 1 || this.#month > 12) throw this.#outOfRange("month");
        break;
      case "Monday":
      case "Mon":
        this.#name(field, WEEKDAYS, field === "Mon");
        break;
      case "2":
      case "_2":
      case "02":
        if (field === "_2" && this.#rest[0] === " ") this.#rest = this.#rest.slice(1);
        this.#day = this.#number(field, field === "02");
        break;
      case "__2":
      case "002":
        this.#dayOfYear = this.#yearDay(field);
        break;
      case "15":
        this.#hour = this.#number(field, false);
        if (this.#hour > 23) throw this.#outOfRange("hour");
        break;
      case "3":
      case "03":
        this.#hour = this.#number(field, field === "03");
        if (this.#hour > 12) throw this.#outOfRange("hour");
        break;
      case "4":
      case "04":
        this.#minute = this.#number(field, field === "04");
        if (this.#minute > 59) throw this.#outOfRange("minute");
        break;
      case "5":
      case "05":
        this.#second = this.#number(field, field === "05");
        if (this.#second > 59) throw this.#outOfRange("second");
        // A fraction may follow seconds whatever the layout says.
        if (next?.kind !== "fraction" && /^[.,]\d/.test(this.#rest)) this.#nanos = this.#takeFraction();
        break;
      case "PM":
      case "pm": {
        const half = this.#rest.slice(0, 2);
        if (half !== field && half !== (field === "PM" ? "AM" : "am")) throw this.#mismatch(field);
        this.#half = half === "PM" || half === "pm" ? "pm" : "am";
        this.#rest = this.#rest.slice(2);
        break;
      }
      case "MST":
        this.#abbreviation();
        break;
    }
  }

  #digits(count: number): number {
    const value = Number(this.#rest.slice(0, count));
    this.#rest = this.#rest.slice(count);
    return value;
  }

  /** One or two digits; two where the layout has two. */
  #number(field: Field, isFixed: boolean): number {
    if (!isDigit(this.#rest, 0)) throw this.#mismatch(field);
    if (isDigit(this.#rest, 1)) return this.#digits(2);
    if (isFixed) throw this.#mismatch(field);
    return this.#digits(1);
  }

  #yearDay(field: "__2" | "002"): number {
    if (field === "__2") this.#rest = this.#rest.replace(/^ {1,2}/, "");
    const length = /^\d{1,3}/.exec(this.#rest)?.[0].length ?? 0;
    if (length === 0 || (field === "002" && length !== 3)) throw this.#mismatch(field);
    return this.#digits(length);
  }

  /** A name of the list, whatever its case. */
  #name(field: Field, names: readonly string[], isShort: boolean): number {
    for (const [index, name] of names.entries()) {
      const wanted = isShort ? name.slice(0, 3) : name;
      if (this.#rest.slice(0, wanted.length).toLowerCase() !== wanted.toLowerCase()) continue;
      this.#rest = this.#rest.slice(wanted.length);
      return index;
    }
    throw this.#mismatch(field);
  }

  #fraction(text: string, digits: number, trims: boolean): void {
    if (trims) {
      // A fraction whose zeros would be left out may be left out altogether.
      if (/^[.,]\d/.test(this.#rest)) this.#nanos = this.#takeFraction();
      return;
    }
    if (this.#rest.length < digits + 1 || !/^[.,]\d+$/.test(this.#rest.slice(0, digits + 1)))
      throw this.#mismatch(text);
    this.#nanos = nanosOf(this.#rest.slice(1, digits + 1));
    this.#rest = this.#rest.slice(digits + 1);
  }

  #takeFraction(): number {
    let end = 1;
    while (isDigit(this.#rest, end)) end += 1;
    const nanos = nanosOf(this.#rest.slice(1, end));
    this.#rest = this.#rest.slice(end);
    return nanos;
  }

  #offset(element: string, style: ZoneStyle, zulu: boolean): void {
    if (zulu && this.#rest[0] === "Z") {
      this.#rest = this.#rest.slice(1);
      this.#zone = UTC;
      return;
    }
    const pattern = OFFSET_PATTERNS[style];
    const match = pattern.exec(this.#rest);
    if (match === null) throw this.#mismatch(element);
    const [whole, sign, hour = "0", minute = "0", second = "0"] = match;
    if (Number(hour) > 24) throw this.#outOfRange("time zone offset hour");
    if (Number(minute) > 60) throw this.#outOfRange("time zone offset minute");
    if (Number(second) > 60) throw this.#outOfRange("time zone offset second");
    const offset = Number(hour) * 3600 + Number(minute) * 60 + Number(second);
    this.#zone = fixedZone("", sign === "-" ? -offset : offset);
    this.#rest = this.#rest.slice(whole.length);
  }

  /** An abbreviation says nothing about the offset, but for those that begin with GMT. */
  #abbreviation(): void {
    if (this.#rest.startsWith("UTC")) {
      this.#zone = UTC;
      this.#rest = this.#rest.slice(3);
      return;
    }
    const name = abbreviationIn(this.#rest);
    if (name === undefined) throw this.#mismatch("MST");
    const hours = name.startsWith("GMT") && name.length > 3 ? Number(name.slice(3)) : 0;
    this.#zone = fixedZone(name, hours * 3600);
    this.#rest = this.#rest.slice(name.length);
  }

  #prefix(): string {
    return `parsing time ${JSON.stringify(this.#text)}`;
  }

  #mismatch(element: string): LayoutFault {
    const layout = JSON.stringify(this.#layout.text);
    const rest = JSON.stringify(this.#rest);
    return new LayoutFault(`${this.#prefix()} as ${layout}: cannot parse ${rest} as ${JSON.stringify(element)}`);
  }

  #outOfRange(what: string): LayoutFault {
    return new LayoutFault(`${this.#prefix()}: ${what} out of range`);
  }
}

const OFFSET_PATTERNS: Readonly<Record<ZoneStyle, RegExp>> = {
  "-07": /^([+-])(\d{2})/,
  "-0700": /^([+-])(\d{2})(\d{2})/,
  "-07:00": /^([+-])(\d{2}):(\d{2})/,
  "-070000": /^([+-])(\d{2})(\d{2})(\d{2})/,
  "-07:00:00": /^([+-])(\d{2}):(\d{2}):(\d{2})/,
};

function nanosOf(digits: string): number {
  return Number(digits.slice(0, 9).padEnd(9, "0"));
}

/** The zone's abbreviation at the start of a text: three to five capitals, or an offset in hours with or without GMT. */
function abbreviationIn(text: string): string | undefined {
  if (text.startsWith("ChST") || text.startsWith("MeST")) return text.slice(0, 4);
  const offset = /^(GMT)?([+-]\d{1,2})/.exec(text);
  if (offset !== null) {
    if (Math.abs(Number(offset[2])) < 24) return offset[0];
    return offset[1];
  }
  const capitals = /^[A-Z]{0,6}/.exec(text)?.[0] ?? "";
  switch (capitals.length) {
    case 3:
      return capitals;
    case 4:
      return capitals.endsWith("T") || capitals === "WITA" ? capitals : undefined;
    case 5:
      return capitals.endsWith("T") ? capitals : undefined;
    default:
      return undefined;
  }
}
