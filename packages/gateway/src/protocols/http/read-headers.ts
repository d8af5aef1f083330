/**
 * Which headers of a request go on to an HTTP API. What is about a connection, carries a credential or a session, or
 * says who asked, stays here; what could make an upstream see another method or path than was judged is refused. Pure.
 */
import { findOverride, HEADER_FAMILIES, headersThat, plainName } from "../../server/header-families.ts";

export type HeadersReading =
  | { readonly kind: "headers"; readonly headers: readonly string[] }
  | { readonly kind: "fault"; readonly detail: string };

/** Connection options that take no header away which somebody may have relied on. */
const OPTIONS_KNOWN: ReadonlySet<string> = new Set(["close", "keep-alive", "te"]);

const STAYS = headersThat("stays");
const PREFIXES_STAY = new RegExp(`^(?:${HEADER_FAMILIES.flatMap(({ prefixes }) => prefixes).join("|")})`);

/** `rawHeaders` are names and values in turn, as they came. */
export function readHeaders(rawHeaders: readonly string[]): HeadersReading {
  const override = findOverride(rawHeaders);
  if (override !== undefined) return { kind: "fault", detail: `the header ${override} is not passed on` };
  const headers: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    const value = rawHeaders[at + 1] ?? "";
    const plain = plainName(name);
    if (plain === "connection") {
      const options = value.toLowerCase().split(",");
      if (options.some((option) => !OPTIONS_KNOWN.has(option.trim()))) {
        return { kind: "fault", detail: "the Connection header names a header that would be lost" };
      }
    }
    if (STAYS.has(plain) || PREFIXES_STAY.test(plain)) continue;
    // What is only nearly a length or a type is nobody's.
    if (plain !== name.toLowerCase() && (plain.startsWith("content-") || plain === "upgrade")) continue;
    headers.push(name.toLowerCase(), value);
  }
  headers.push("accept-encoding", "identity");
  return { kind: "headers", headers };
}
