/**
 * Takes secrets out of what an upstream sends back. Found are the value as it is, its base64 and base64url inside any
 * longer text (that of its form in a URL, too), wrapped into lines of any width or not, and each of these escaped for JSON
 * (also several times over) or for URLs, character by character or not at all. Other encodings are not found; docs/operations.md
 * says so. What comes in pieces is mask-stream.ts's.
 */

export type MaskSecrets = (text: string) => string;

const MASK = "***";
/** What may be the beginning of an escape, at the end of a text; more backslashes may stand before it. */
const ESCAPE_BEGUN = /(?:\\(?:u[0-9a-fA-F]{0,3})?|%[0-9a-fA-F]?)$/;
const ESCAPE_LENGTH_MAX = 5;
/** JSON in JSON in JSON. */
const JSON_DEPTH_MAX = 3;
/** One line break within base64 that is wrapped, the indentation of the next line included. */
const WRAP = /\r?\n[ \t]{0,16}(?=[A-Za-z0-9+/_-]|$)/y;
const BASE64 = /[A-Za-z0-9+/_-]/;
const CONTROLS: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };

/** What is shorter could not be masked without masking what is no secret. */
export const SECRET_LENGTH_MIN = 8;

/** White space around a secret is none of it, as whoever uses it may leave it out. */
export function createMaskSecrets(secrets: readonly string[]): MaskSecrets {
  const needles = secretForms(secrets);
  if (needles.length === 0) return (text) => text;
  return (text) => {
    let masked = text;
    for (const needle of needles) if (masked.includes(needle)) masked = maskPlain(masked, needle);
    return maskViews(masked, needles);
  };
}

/** What is looked for, before escapes: each secret, and the base64 of it and of its forms in URLs. */
export function secretForms(secrets: readonly string[]): readonly string[] {
  const needles = new Set(secrets.flatMap((secret) => formsOf(secret.trim())));
  return [...needles].filter((needle) => needle.length >= SECRET_LENGTH_MIN);
}

function formsOf(secret: string): readonly string[] {
  // Of a secret that itself holds what looks like an escape: also as it is left where escapes are taken away, and from
  // what it is in JSON; and read byte by byte, as URLs spell what is not ASCII.
  const read = [secret, secret.replaceAll(" ", "+")]
    .flatMap((form) => [...jsonForms(form), Buffer.from(form, "utf8").toString("latin1")])
    .flatMap((form) => [form, removeEscapes(form).text]);
  // A backslash at its beginning or end is escaped together with what stands beside it.
  return [...read.map(trimBackslashes), ...[secret, ...urlForms(secret)].flatMap(base64Forms)];
}

/**
 * As it is, and in JSON. Of what holds backslashes, which are gone where escapes are taken away, so little may be left then
 * that it would be no secret: so also as it is in JSON in JSON, as deep as that may be.
 */
function jsonForms(form: string): readonly string[] {
  const forms = [form];
  const depth = form.includes("\\") ? JSON_DEPTH_MAX : 1;
  for (let level = 0; level < depth; level += 1) forms.push(JSON.stringify(forms.at(-1)).slice(1, -1));
  return forms;
}

function trimBackslashes(text: string): string {
  return text.replace(/^\\+|\\+$/g, "");
}

/**
 * With whatever of an escape stands before it, of which its first character may be the last one (`\u0034`), or which may
 * stand for it in JSON in JSON: half an escape is no JSON.
 */
function maskPlain(text: string, needle: string): string {
  let out = "";
  let from = 0;
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, from)) {
    let begin = at - (ESCAPE_BEGUN.exec(text.slice(Math.max(from, at - ESCAPE_LENGTH_MAX), at))?.[0].length ?? 0);
    while (begin > from && text[begin - 1] === "\\") begin -= 1;
    out += text.slice(from, begin) + MASK;
    from = at + needle.length;
  }
  return out + text.slice(from);
}

/** As the secret stands in a URL, which an upstream may encode whole. */
function urlForms(secret: string): readonly string[] {
  return [encodeURIComponent(secret), new URLSearchParams({ s: secret }).toString().slice(2)];
}

/** The characters that are the same whatever stands before and after the secret, for each of three places to start. */
function base64Forms(secret: string): readonly string[] {
  const bytes = Buffer.from(secret, "utf8");
  return [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    const form = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return [form, form.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

export interface Unescaped {
  readonly text: string;
  /** Of each escape: its place here, and its beginning and end in what it was made of. */
  readonly escapes: readonly (readonly [at: number, from: number, to: number])[];
  /** Where in the source an escape begins that its end cuts; the source's length when there is none. */
  readonly cutFrom: number;
}

const HEX = /^[0-9a-fA-F]*$/;

/**
 * Undoes backslashes as JSON puts them, however often it was escaped, and percent signs as URLs have them. One pass,
 * whatever the source is made of. More than `backslashesMax` in a row are no escape.
 */
export function removeEscapes(source: string, backslashesMax = Number.POSITIVE_INFINITY): Unescaped {
  const escapes: [number, number, number][] = [];
  let text = "";
  let from = 0;
  let cutFrom = source.length;
  const take = (start: number, end: number, character: string): void => {
    text += source.slice(from, start);
    escapes.push([text.length, start, end]);
    text += character;
    from = end;
  };
  for (let at = nextEscape(source, 0); at < source.length; ) {
    let letter = at;
    if (source[at] === "%") {
      const hex = source.slice(at + 1, at + 3);
      if (hex.length === 2 && HEX.test(hex)) take(at, at + 3, String.fromCharCode(Number.parseInt(hex, 16)));
      else if (hex.length < 2 && HEX.test(hex)) cutFrom = at;
      at = nextEscape(source, Math.max(from, at + 1));
      continue;
    }
    while (source[letter] === "\\") letter += 1;
    if (letter - at > backslashesMax) {
      at = nextEscape(source, letter);
      continue;
    }
    const character = source[letter];
    if (character === undefined) {
      cutFrom = at;
      break;
    }
    const hex = character === "u" ? source.slice(letter + 1, letter + 5) : "";
    const isHex = HEX.test(hex);
    if (character === "u" && hex.length < 4 && isHex && letter + 1 + hex.length === source.length) cutFrom = at;
    if (hex.length === 4 && isHex) take(at, letter + 5, String.fromCharCode(Number.parseInt(hex, 16)));
    else take(at, letter + 1, CONTROLS[character] ?? character);
    at = nextEscape(source, from);
  }
  return { text: text + source.slice(from), escapes, cutFrom };
}

function nextEscape(source: string, from: number): number {
  for (let at = from; at < source.length; at += 1) {
    const code = source.charCodeAt(at);
    if (code === 0x5c || code === 0x25) return at;
  }
  return source.length;
}

/**
 * A text without the line breaks that wrap base64, in terms of `removeEscapes`: behind each, the next character has its
 * place in the source. What may be one at the end counts as one, half of it as well. Undefined when there is none.
 */
function removeWraps(source: string): Pick<Unescaped, "text" | "escapes"> | undefined {
  const escapes: [number, number, number][] = [];
  let text = "";
  let from = 0;
  for (let feed = source.indexOf("\n"); feed >= 0; feed = source.indexOf("\n", feed + 1)) {
    const at = source[feed - 1] === "\r" ? feed - 1 : feed;
    WRAP.lastIndex = at;
    if (!BASE64.test(source[at - 1] ?? "") || !WRAP.test(source)) continue;
    text += source.slice(from, at);
    from = WRAP.lastIndex;
    escapes.push([text.length, from, from + 1]);
  }
  const isHalf = source.endsWith("\r") && BASE64.test(source.at(-2) ?? "");
  if (escapes.length === 0 && !isHalf) return undefined;
  return { text: text + source.slice(from, isHalf ? -1 : undefined), escapes };
}

/** A text as it reads without something that stands between or for its characters. */
export interface View {
  readonly text: string;
  /** Where in the source the character at `at` begins and ends. */
  readonly beginOf: (at: number) => number;
  readonly endOf: (at: number) => number;
}

/** What a text reads as, beside itself: without escapes, without the line breaks that wrap base64, and without both. */
export function viewsOf(source: string, unescaped: Unescaped | undefined): readonly View[] {
  const escaped = unescaped === undefined ? undefined : viewOf(unescaped);
  const views = escaped === undefined ? [] : [escaped];
  for (const under of escaped === undefined ? [undefined] : [undefined, escaped]) {
    const unwrapped = removeWraps(under?.text ?? source);
    if (unwrapped !== undefined) views.push(viewOf(unwrapped, under));
  }
  return views;
}

function viewOf({ text, escapes }: Pick<Unescaped, "text" | "escapes">, under?: View): View {
  const begin = (at: number): number => sourceOf(escapes, at)[0];
  const end = (at: number): number => sourceOf(escapes, at)[1];
  if (under === undefined) return { text, beginOf: begin, endOf: end };
  return { text, beginOf: (at) => under.beginOf(begin(at)), endOf: (at) => under.endOf(end(at) - 1) };
}

function maskViews(source: string, needles: readonly string[]): string {
  const hasEscapes = source.includes("\\") || source.includes("%");
  const ranges: [number, number][] = [];
  for (const { text, beginOf, endOf } of viewsOf(source, hasEscapes ? removeEscapes(source) : undefined)) {
    for (const needle of needles) {
      for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + needle.length)) {
        ranges.push([beginOf(at), endOf(at + needle.length - 1)]);
      }
    }
  }
  ranges.sort(([a], [b]) => a - b);
  let out = "";
  let from = 0;
  for (const [start, end] of ranges) {
    if (start >= from) out += source.slice(from, start) + MASK;
    from = Math.max(from, end);
  }
  return out + source.slice(from);
}

/** Where in the source the character at `at` begins and ends. */
function sourceOf(escapes: Unescaped["escapes"], at: number): readonly [number, number] {
  let low = 0;
  let high = escapes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((escapes[middle]?.[0] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  const last = escapes[low - 1];
  if (last === undefined) return [at, at + 1];
  const [place, from, to] = last;
  return place === at ? [from, to] : [to + at - place - 1, to + at - place];
}
