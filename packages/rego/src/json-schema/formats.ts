/** The formats of JSON Schema that are checked. A format that is not listed allows every string. */
import { readLayout, readMoment } from "../time/layout.ts";

/** What each format allows; the patterns take no longer than in proportion to the text. */
const FORMATS: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ["date", byLayouts("2006-01-02")],
  ["time", byLayouts("15:04:05", "15:04:05Z07:00", "15:04:05.999999999Z07:00")],
  [
    "date-time",
    byLayouts(
      "15:04:05",
      "15:04:05Z07:00",
      "2006-01-02",
      "2006-01-02T15:04:05Z07:00",
      "2006-01-02T15:04:05.999999999Z07:00",
    ),
  ],
  ["email", byPattern(/^[^\s@<>"(),:;[\]\\]+@[^\s@<>"(),:;\\]+$/)],
  ["idn-email", byPattern(/^[^\s@<>"(),:;[\]\\]+@[^\s@<>"(),:;\\]+$/)],
  ["hostname", (text) => text.length < 256 && text.split(".").every((label) => LABEL.test(label))],
  ["ipv4", isIpv4],
  ["ipv6", isIpv6],
  ["uri", (text) => isUri(text) && SCHEME.test(text)],
  ["iri", (text) => isUri(text) && SCHEME.test(text)],
  ["uri-reference", isUri],
  ["iri-reference", isUri],
  ["uri-template", (text) => isUri(text) && /^[^{}]*(?:\{[^{}]*\}[^{}]*)*$/.test(text)],
  ["uuid", byPattern(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i)],
  ["json-pointer", byPattern(/^(?:\/(?:[^~/]|~0|~1)*)*$/)],
  ["relative-json-pointer", byPattern(/^(?:0|[1-9][0-9]*)(?:#|(?:\/(?:[^~/]|~0|~1)*)*)$/)],
]);

const LABEL = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/;

export function isOfFormat(format: string, text: string): boolean {
  return FORMATS.get(format)?.(text) ?? true;
}

function byPattern(pattern: RegExp): (text: string) => boolean {
  return (text) => pattern.test(text);
}

function byLayouts(...texts: readonly string[]): (text: string) => boolean {
  const layouts = texts.map(readLayout);
  return (text) => layouts.some((layout) => readMoment(layout, text).kind === "moment");
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
}

function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2 || !text.includes(":")) return false;
  let groups = 0;
  for (const [index, half] of halves.entries()) {
    if (half === "") continue;
    const parts = half.split(":");
    const last = parts.at(-1) ?? "";
    if (last.includes(".") && index === halves.length - 1) {
      if (!isIpv4(last)) return false;
      groups += 2;
      parts.pop();
    }
    if (!parts.every((part) => /^[0-9a-f]{1,4}$/i.test(part))) return false;
    groups += parts.length;
  }
  return halves.length === 2 ? groups < 8 : groups === 8;
}

function isUri(text: string): boolean {
  if (/[\s\\<>]/.test(text) || /%(?![0-9a-fA-F]{2})/.test(text)) return false;
  // A colon before the first slash ends a scheme.
  const [start = ""] = text.split(/[/?#]/, 1);
  return !start.includes(":") || SCHEME.test(start);
}
