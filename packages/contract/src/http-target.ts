/**
 * The one spelling of an HTTP request's method and target: what is judged is byte for byte what is sent. A target that
 * two readers could understand differently has no such spelling and is refused; nothing is guessed. Pure.
 *
 * A path is decoded once and encoded once: escapes of characters that a segment may hold as they are become those
 * characters, every other escape gets capitals, a plus is escaped (some readers take it for a space), dot segments are
 * resolved (RFC 3986 section 5.2.4), repeated slashes are one. A query keeps its order and its empty parts.
 */

export interface HttpTarget {
  /** Begins with a slash; holds no dot segment and no empty segment but a last one. */
  readonly path: string;
  /** Without the question mark; "" when there is none. */
  readonly query: string;
}

export type HttpTargetReading =
  | { readonly kind: "target"; readonly target: HttpTarget }
  | { readonly kind: "fault"; readonly detail: string };

export type HttpMethodReading =
  | { readonly kind: "method"; readonly method: string }
  | { readonly kind: "fault"; readonly detail: string };

/** Characters of path and query together, before and after. */
export const HTTP_TARGET_LENGTH_MAX = 8192;
const METHOD = /^[A-Z][A-Z-]{0,31}$/;
/** They make a tunnel, or send back what a gateway has added. */
const METHODS_REFUSED: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK", "PRI"]);

/** RFC 3986 section 2.3. */
const UNRESERVED = /[A-Za-z0-9._~-]/;
/** RFC 3986 section 3.3, without the semicolon (some readers cut a segment there) and the plus. */
const KEPT_IN_SEGMENT = /[A-Za-z0-9._~!$&'()*,=:@-]/;
const KEPT_IN_QUERY = /[A-Za-z0-9._~!$&()*,=:@/?+;[\]-]/;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const UTF8_BYTES = new TextEncoder();

/** A method is case-sensitive (RFC 9110 section 9.1): one in small letters is another one, and no upstream's. */
export function readHttpMethod(text: string): HttpMethodReading {
  if (!METHOD.test(text)) return { kind: "fault", detail: "the method is not written in capitals" };
  if (METHODS_REFUSED.has(text)) return { kind: "fault", detail: `the method ${text} is not passed on` };
  return { kind: "method", method: text };
}

/** Reads a target in origin form (RFC 9112 section 3.2.1): a path, and a query where there is one. */
export function readHttpTarget(text: string): HttpTargetReading {
  if (text.length > HTTP_TARGET_LENGTH_MAX) return fault(`the target is longer than ${HTTP_TARGET_LENGTH_MAX}`);
  if (!text.startsWith("/")) return fault("the target is not a path");
  const mark = text.indexOf("?");
  const path = readPath(mark < 0 ? text : text.slice(0, mark));
  if (typeof path !== "string") return path;
  const query = readQuery(mark < 0 ? "" : text.slice(mark + 1));
  if (typeof query !== "string") return query;
  if (path.length + query.length >= HTTP_TARGET_LENGTH_MAX) {
    return fault(`the target is longer than ${HTTP_TARGET_LENGTH_MAX}`);
  }
  return { kind: "target", target: { path, query } };
}

/** The spelling of one segment of a path; a fault for one that has none, or that is a dot segment. */
export function readHttpSegment(text: string): string | { readonly kind: "fault"; readonly detail: string } {
  const segment = readSegment(text);
  return segment === "." || segment === ".." ? fault("a dot segment is none of a pattern") : segment;
}

interface Fault {
  readonly kind: "fault";
  readonly detail: string;
}

function fault(detail: string): Fault {
  return { kind: "fault", detail };
}

function readPath(text: string): string | Fault {
  const read: string[] = [];
  let hasDots = false;
  let hasEmpty = false;
  const parts = text.slice(1).split("/");
  for (const [index, part] of parts.entries()) {
    const segment = readSegment(part);
    if (typeof segment !== "string") return segment;
    const isLast = index === parts.length - 1;
    if (segment === "" && !isLast) {
      hasEmpty = true;
      continue;
    }
    if (segment !== "." && segment !== "..") {
      read.push(segment);
      continue;
    }
    hasDots = true;
    if (segment === ".." && read.pop() === undefined) return fault("the path climbs above its root");
    // "/a/." and "/a/b/.." name the directory (RFC 3986 section 5.2.4).
    if (isLast) read.push("");
  }
  // Some readers make one slash of several before they look at the dots, and some behind it.
  if (hasDots && hasEmpty) return fault("the path has dot segments beside repeated slashes");
  return `/${read.join("/")}`;
}

function readSegment(text: string): string | Fault {
  const decoded = decode(text, KEPT_IN_SEGMENT, "+");
  if (typeof decoded !== "string") return decoded;
  for (const character of decoded) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return fault("the path holds a control character");
    if (character === "/" || character === "\\") return fault("the path holds an escaped slash or a backslash");
    if (character === ";") return fault("the path holds a semicolon, behind which some readers see nothing");
  }
  if (/%[0-9A-Fa-f]{2}/.test(decoded)) return fault("the path is escaped twice");
  // Some file systems take names that end so for the same names without it.
  if (decoded !== "." && decoded !== ".." && /[. ]$/.test(decoded))
    return fault("a segment ends with a dot or a space");
  return encode(decoded, KEPT_IN_SEGMENT);
}

function readQuery(text: string): string | Fault {
  let query = "";
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === "%") {
      const byte = readEscape(text, at);
      if (byte === undefined) return fault("the query holds a percent sign that begins no escape");
      if (byte === 0) return fault("the query holds a NUL");
      const plain = String.fromCharCode(byte);
      query += byte < 0x80 && UNRESERVED.test(plain) ? plain : escapeOf(byte);
      at += 2;
    } else if (KEPT_IN_QUERY.test(character)) query += character;
    // URL parsers of browsers and of Node escape it (WHATWG URL, special-query percent-encode set).
    else if (character === "'") query += "%27";
    else return fault("the query holds a character that has to be escaped");
  }
  return query;
}

/** The characters of a text with escapes. Those that are neither `kept` nor `also` must be escaped. */
function decode(text: string, kept: RegExp, also: string): string | Fault {
  if (!text.includes("%")) return mustEscape(text, kept, also) ?? text;
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === "%") {
      const byte = readEscape(text, at);
      if (byte === undefined) return fault("the path holds a percent sign that begins no escape");
      bytes.push(byte);
      at += 2;
    } else {
      const wrong = mustEscape(character, kept, also);
      if (wrong !== undefined) return wrong;
      bytes.push(character.charCodeAt(0));
    }
  }
  try {
    return UTF8.decode(Uint8Array.from(bytes));
  } catch {
    // A fault of the sender: overlong forms and stray bytes are read differently by everybody.
    return fault("the path's escapes are not UTF-8");
  }
}

function mustEscape(text: string, kept: RegExp, also: string): Fault | undefined {
  for (const character of text) {
    if (!kept.test(character) && !also.includes(character)) {
      return fault("the path holds a character that has to be escaped, or must not be there");
    }
  }
  return undefined;
}

function encode(text: string, kept: RegExp): string {
  let encoded = "";
  for (const character of text) {
    if (kept.test(character)) encoded += character;
    else for (const byte of UTF8_BYTES.encode(character)) encoded += escapeOf(byte);
  }
  return encoded;
}

function readEscape(text: string, at: number): number | undefined {
  const digits = text.slice(at + 1, at + 3);
  return /^[0-9A-Fa-f]{2}$/.test(digits) ? Number.parseInt(digits, 16) : undefined;
}

function escapeOf(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}
