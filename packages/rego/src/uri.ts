/**
 * Reads a URI as Go's `net/url` does, which is what policies see of one: by RFC 3986, but for databases' lists of hosts
 * and for percent escapes, which a host may hold for bytes beyond ASCII only. Nothing is made canonical.
 */
import { parseAddress } from "./builtins/ip.ts";
import { textOfUtf8, utf8BytesOf } from "./bytes.ts";
import { quoteText } from "./quote.ts";

export interface Uri {
  readonly kind: "uri";
  /** In lower case; "" where there is none, as in every part. */
  readonly scheme: string;
  /** What stands behind a scheme without a slash, as in `mailto:me@example.com`; then there is neither host nor path. */
  readonly opaque: string;
  readonly hasUser: boolean;
  /** With its port, and an IPv6 address in its brackets. */
  readonly host: string;
  /** Without percent escapes. */
  readonly path: string;
  /** As it was written, where that is not how its plain form would be written; else "". */
  readonly rawPath: string;
  /** As it was written. */
  readonly rawQuery: string;
  /** Whether the query is empty, and its question mark there. */
  readonly forceQuery: boolean;
  /** Whether a scheme is followed by a path alone, as in `file:/etc`. */
  readonly omitHost: boolean;
  readonly fragment: string;
}

export interface UriFault {
  readonly kind: "fault";
  readonly detail: string;
}

/** Which part of a URI a text is: each has characters of its own. */
type Part = "path" | "fragment" | "user" | "host" | "zone";

class Fault extends Error {}

export function parseUri(text: string): Uri | UriFault {
  try {
    return readUri(text);
  } catch (error) {
    if (error instanceof Fault) return { kind: "fault", detail: error.message };
    throw error;
  }
}

/** The host without its port and brackets, and the port; "" where there is none. */
export function splitHost(host: string): { readonly hostname: string; readonly port: string } {
  const [, name = host, port = ""] = /^(.*):(\d*)$/s.exec(host) ?? [];
  const hostname = name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1) : name;
  return { hostname, port };
}

function readUri(text: string): Uri {
  const [before, fragment] = cut(text, "#");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\0-\x1f\x7f]/.test(before)) throw new Fault("net/url: invalid control character in URL");
  const uri = before === "*" ? { ...EMPTY, path: "*" } : readReference(before);
  return { ...uri, fragment: unescapePart(fragment, "fragment") };
}

const EMPTY: Uri = {
  kind: "uri",
  scheme: "",
  opaque: "",
  hasUser: false,
  host: "",
  path: "",
  rawPath: "",
  rawQuery: "",
  forceQuery: false,
  omitHost: false,
  fragment: "",
};

function readReference(text: string): Uri {
  const [scheme, rest] = cutScheme(text);
  const [beforeQuery, rawQuery] = cut(rest, "?");
  const forceQuery = rawQuery === "" && rest.endsWith("?");
  const start = { ...EMPTY, scheme, rawQuery, forceQuery };
  if (!beforeQuery.startsWith("/")) {
    if (scheme !== "") return { ...start, opaque: beforeQuery };
    if (cut(beforeQuery, "/")[0].includes(":")) throw new Fault("first path segment in URL cannot contain colon");
  }
  const hasAuthority = beforeQuery.startsWith("//") && (scheme !== "" || !beforeQuery.startsWith("///"));
  if (!hasAuthority) {
    return { ...start, omitHost: scheme !== "" && beforeQuery.startsWith("/"), ...readPath(beforeQuery) };
  }
  const slash = beforeQuery.indexOf("/", 2);
  const authority = slash < 0 ? beforeQuery.slice(2) : beforeQuery.slice(2, slash);
  const path = slash < 0 ? "" : beforeQuery.slice(slash);
  return { ...start, ...readAuthority(scheme, authority), ...readPath(path) };
}

function cutScheme(text: string): readonly [scheme: string, rest: string] {
  if (text.startsWith(":")) throw new Fault("missing protocol scheme");
  const [start, scheme] = /^([a-z][a-z0-9+.-]*):/i.exec(text) ?? [""];
  return scheme === undefined ? ["", text] : [scheme.toLowerCase(), text.slice(start.length)];
}

function readAuthority(scheme: string, authority: string): Pick<Uri, "host" | "hasUser"> {
  const at = authority.lastIndexOf("@");
  const host = readHost(scheme, authority.slice(at + 1));
  if (at < 0) return { host, hasUser: false };
  const user = authority.slice(0, at);
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user)) throw new Fault("net/url: invalid userinfo");
  for (const part of cut(user, ":")) unescapePart(part, "user");
  return { host, hasUser: true };
}

function readHost(scheme: string, host: string): string {
  const bracket = host.lastIndexOf("[");
  if (bracket > 0) throw new Fault("invalid IP-literal");
  if (bracket === 0) return readLiteral(host);
  // Databases take several hosts, each with a port; for the web a host has one colon at most.
  const colon = scheme === "http" || scheme === "https" ? host.indexOf(":") : host.lastIndexOf(":");
  if (colon >= 0) checkPort(host.slice(colon));
  return unescapePart(host, "host");
}

/** An IPv6 address in brackets, with a zone behind `%25`. */
function readLiteral(host: string): string {
  const end = host.lastIndexOf("]");
  if (end < 0) throw new Fault("missing ']' in host");
  const port = host.slice(end + 1);
  checkPort(port);
  const name = host.slice(1, end);
  const zone = name.indexOf("%25");
  const plain =
    zone < 0
      ? unescapePart(name, "host")
      : unescapePart(name.slice(0, zone), "host") + unescapePart(name.slice(zone), "zone");
  const [address, named] = cut(plain, "%");
  const isAddress = address.includes(":") && parseAddress(address) !== undefined;
  if (!isAddress || (plain.includes("%") && named === "")) throw new Fault("invalid host");
  return `[${plain}]${port}`;
}

function checkPort(text: string): void {
  if (!/^(?::[0-9]*)?$/.test(text)) throw new Fault(`invalid port ${quoteText(text)} after host`);
}

function readPath(text: string): Pick<Uri, "path" | "rawPath"> {
  const path = unescapePart(text, "path");
  return { path, rawPath: escapePath(path) === text ? "" : text };
}

function escapePath(path: string): string {
  const isPlain = /[A-Za-z0-9\-_.~$&+,/:;=@]/;
  let escaped = "";
  for (const byte of utf8BytesOf(path)) {
    const character = String.fromCharCode(byte);
    escaped += isPlain.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}

const HOST_CHARACTER = /[A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"]/;

function unescapePart(text: string, part: Part): string {
  const ofHost = part === "host" || part === "zone";
  if (!ofHost && !text.includes("%")) return text;
  const source = utf8BytesOf(text);
  const bytes: number[] = [];
  for (let index = 0; index < source.length; index += 1) {
    const byte = source[index] ?? 0;
    const character = String.fromCharCode(byte);
    if (character !== "%") {
      if (ofHost && byte < 0x80 && !HOST_CHARACTER.test(character)) {
        throw new Fault(`invalid character ${quoteText(character)} in host name`);
      }
      bytes.push(byte);
      continue;
    }
    const code = textOfUtf8(source.subarray(index, index + 3));
    const value = /^%[0-9a-f]{2}$/i.test(code) ? Number.parseInt(code.slice(1), 16) : undefined;
    if (value === undefined || !mayEscape(value, part)) throw new Fault(`invalid URL escape ${quoteText(code)}`);
    bytes.push(value);
    index += 2;
  }
  return textOfUtf8(Uint8Array.from(bytes));
}

function mayEscape(value: number, part: Part): boolean {
  const character = String.fromCharCode(value);
  if (part === "host") return value >= 0x80 || character === "%";
  if (part === "zone") return character === "%" || character === " " || HOST_CHARACTER.test(character);
  return true;
}

/** What stands before the first separator, and behind it; "" where there is none. */
function cut(text: string, separator: string): readonly [before: string, after: string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}
