/**
 * JSON as Writ reads it: every document has one reading or none. Duplicate member names (also under case
 * folding), lone surrogates, trailing bytes, a byte order mark, invalid UTF-8 and excessive depth are faults.
 * Numbers are never rounded: one that JavaScript cannot hold exactly stays an `ExactNumber`.
 *
 * This file reads, compares and prints values. It deliberately knows no protocol and no schema.
 *
 * The reader is one pass over the UTF-16 code units of the text, because it is on the path of every call:
 *
 *   parseStrictJson(bytes) ── UTF-8, fatal ──▶ parseStrictJsonText(text)
 *                                                 └▶ readValue ─▶ readObject / readArray / readString / readNumber
 *
 * Every read function answers `undefined` for a fault and leaves its description in the reader; no exception is used.
 */
export type JsonValue = null | boolean | string | number | ExactNumber | readonly JsonValue[] | JsonObject;

/** Always a null-prototype object, so that no member name has a meaning of its own. */
export interface JsonObject {
  readonly [name: string]: JsonValue;
}

/** A number whose lexeme JavaScript would not print back (`9007199254740993`, `1.10`, `1e400`, `-0`). */
export class ExactNumber {
  readonly lexeme: string;
  constructor(lexeme: string) {
    this.lexeme = lexeme;
  }
}

/** Where a member's value stands in the text: half-open, in UTF-16 code units of `text`. */
export interface Span {
  readonly start: number;
  readonly end: number;
  /** Offset of the opening quote of the member's name. */
  readonly nameStart: number;
}

export interface StrictJsonOptions {
  /** Greatest number of objects and arrays inside each other; 32 unless given, at most `DEPTH_CEILING`. */
  readonly depthMax?: number;
  /** Greatest length, in bytes (or in code units when a text is given); 16 Mi unless given. */
  readonly lengthMax?: number;
  /**
   * Members whose spans are wanted, by path from the root: "id", "params.name". A member name that itself holds a
   * dot is never meant by a path. The array is remembered by identity: pass a constant, not one made for each call.
   */
  readonly spans?: readonly string[];
}

export type StrictJson =
  | {
      readonly kind: "value";
      readonly value: JsonValue;
      readonly text: string;
      /** Path → span, for those of the wanted members that exist. */
      readonly spans: ReadonlyMap<string, Span>;
    }
  /** `offset` is in code units of the text, 0 when the bytes have no text. `detail` quotes nothing of the input. */
  | { readonly kind: "fault"; readonly detail: string; readonly offset: number };

const DEPTH_DEFAULT = 32;
/** The reader recurses, so no caller may ask for more than the stack surely holds. */
const DEPTH_CEILING = 512;
const LENGTH_DEFAULT = 16 * 1024 * 1024;
/** A longer number is a fault: nothing needs one, and others (Python) refuse or slow down on them. */
const NUMBER_LENGTH_MAX = 1024;
/** No number that JavaScript prints is longer than this, so a longer lexeme is never printed back. */
const PRINTED_NUMBER_LENGTH_MAX = 25;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a document of UTF-8 bytes (RFC 8259), or says why it has no single reading. Never throws on input. */
export function parseStrictJson(bytes: Uint8Array, options: StrictJsonOptions = {}): StrictJson {
  const lengthMax = options.lengthMax ?? LENGTH_DEFAULT;
  if (bytes.length > lengthMax) return { kind: "fault", detail: `longer than ${lengthMax} bytes`, offset: 0 };
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    // The only way in which a fatal decoder reports input that is not UTF-8: a fault, not a failure.
    return { kind: "fault", detail: "not valid UTF-8", offset: 0 };
  }
  return read(text, options);
}

/** Reads a document that is already a string; the same rules as `parseStrictJson`. */
export function parseStrictJsonText(text: string, options: StrictJsonOptions = {}): StrictJson {
  const lengthMax = options.lengthMax ?? LENGTH_DEFAULT;
  if (text.length > lengthMax) return { kind: "fault", detail: `longer than ${lengthMax} code units`, offset: 0 };
  return read(text, options);
}

/**
 * The range to cut from `text` so that the member at `span` and exactly one comma beside it (if any) are gone.
 * The rest is still the same document without that member, byte for byte.
 */
export function memberCut(text: string, span: Span): { readonly start: number; readonly end: number } {
  let before = span.nameStart - 1;
  while (isSpace(text.charCodeAt(before))) before -= 1;
  if (text.charCodeAt(before) === COMMA) return { start: before, end: span.end };
  let after = span.end;
  while (isSpace(text.charCodeAt(after))) after += 1;
  return { start: span.nameStart, end: text.charCodeAt(after) === COMMA ? after + 1 : span.end };
}

// --- the reader -----------------------------------------------------------------------------------------------

interface Reader {
  readonly text: string;
  readonly depthMax: number;
  readonly found: Map<string, Span> | undefined;
  at: number;
  detail: string;
  faultAt: number;
  /** Set by readString: whether the string is its own folding (no upper-case ASCII, nothing beyond ASCII). */
  folded: boolean;
}

interface Wanted {
  path: string | undefined;
  readonly members: Map<string, Wanted>;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const NO_SPANS: ReadonlyMap<string, Span> = new Map();
const wantedByPaths = new WeakMap<readonly string[], Wanted>();

function read(text: string, options: StrictJsonOptions): StrictJson {
  const depthMax = options.depthMax ?? DEPTH_DEFAULT;
  if (!(depthMax >= 0 && depthMax <= DEPTH_CEILING)) throw new TypeError(`depthMax must be within 0…${DEPTH_CEILING}`);
  const wanted = options.spans === undefined ? undefined : compileWanted(options.spans);
  const found = wanted === undefined ? undefined : new Map<string, Span>();
  const reader: Reader = { text, depthMax, found, at: 0, detail: "", faultAt: 0, folded: true };
  skipSpace(reader);
  const value = readValue(reader, 0, wanted);
  if (value !== undefined) {
    skipSpace(reader);
    if (reader.at === text.length) return { kind: "value", value, text, spans: found ?? NO_SPANS };
    fault(reader, "something follows the document", reader.at);
  }
  return { kind: "fault", detail: reader.detail, offset: reader.faultAt };
}

function compileWanted(paths: readonly string[]): Wanted {
  const known = wantedByPaths.get(paths);
  if (known !== undefined) return known;
  const root: Wanted = { path: undefined, members: new Map() };
  for (const path of paths) {
    let place = root;
    for (const name of path.split(".")) {
      let next = place.members.get(name);
      if (next === undefined) {
        next = { path: undefined, members: new Map() };
        place.members.set(name, next);
      }
      place = next;
    }
    place.path = path;
  }
  wantedByPaths.set(paths, root);
  return root;
}

function fault(reader: Reader, detail: string, at: number): undefined {
  reader.detail = detail;
  reader.faultAt = at;
  return undefined;
}

/** RFC 8259 section 2: space, tab, line feed, carriage return, and nothing else. */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function skipSpace(reader: Reader): void {
  const { text } = reader;
  let at = reader.at;
  while (isSpace(text.charCodeAt(at))) at += 1;
  reader.at = at;
}

function readValue(reader: Reader, depth: number, wanted: Wanted | undefined): JsonValue | undefined {
  const code = reader.text.charCodeAt(reader.at);
  switch (code) {
    case QUOTE:
      return readString(reader);
    case 0x7b: // {
      return readObject(reader, depth + 1, wanted);
    case 0x5b: // [
      return readArray(reader, depth + 1);
    case 0x74: // t
      return readWord(reader, "true", true);
    case 0x66: // f
      return readWord(reader, "false", false);
    case 0x6e: // n
      return readWord(reader, "null", null);
    default:
      if (code === 0x2d || (code >= 0x30 && code <= 0x39)) return readNumber(reader);
      if (Number.isNaN(code)) return fault(reader, "the document ends too early", reader.at);
      if (code === 0xfeff) return fault(reader, "a byte order mark", reader.at);
      return fault(reader, "a value is expected here", reader.at);
  }
}

function readWord(reader: Reader, word: string, value: boolean | null): boolean | null | undefined {
  if (!reader.text.startsWith(word, reader.at)) return fault(reader, "a value is expected here", reader.at);
  reader.at += word.length;
  return value;
}

function readObject(reader: Reader, depth: number, wanted: Wanted | undefined): JsonObject | undefined {
  if (depth > reader.depthMax) return fault(reader, `deeper than ${reader.depthMax}`, reader.at);
  const { text } = reader;
  // Null-prototype, so that "__proto__" and "constructor" are ordinary names; filled here, read-only to others.
  const object = Object.create(null) as Record<string, JsonValue>;
  // Made when the first name appears that is not its own folding; until then the object itself finds duplicates.
  let foldings: Set<string> | undefined;
  reader.at += 1;
  skipSpace(reader);
  if (text.charCodeAt(reader.at) === 0x7d) {
    reader.at += 1;
    return object;
  }
  for (;;) {
    const nameStart = reader.at;
    if (text.charCodeAt(nameStart) !== QUOTE) return fault(reader, "a member name is expected here", nameStart);
    const name = readString(reader);
    if (name === undefined) return undefined;
    if (foldings === undefined && reader.folded) {
      if (object[name] !== undefined) return fault(reader, "a member name occurs twice", nameStart);
    } else {
      foldings ??= new Set(Object.keys(object));
      const folding = foldName(name);
      if (foldings.has(folding)) return fault(reader, "a member name occurs twice, but for case", nameStart);
      foldings.add(folding);
    }
    skipSpace(reader);
    if (text.charCodeAt(reader.at) !== COLON) return fault(reader, "a colon is expected here", reader.at);
    reader.at += 1;
    skipSpace(reader);
    const start = reader.at;
    const inner = wanted?.members.get(name);
    const value = readValue(reader, depth, inner);
    if (value === undefined) return undefined;
    object[name] = value;
    if (inner?.path !== undefined) reader.found?.set(inner.path, { start, end: reader.at, nameStart });
    skipSpace(reader);
    const code = text.charCodeAt(reader.at);
    if (code === 0x7d) {
      reader.at += 1;
      return object;
    }
    if (code !== COMMA) return fault(reader, "a comma or the end of the object is expected here", reader.at);
    reader.at += 1;
    skipSpace(reader);
  }
}

function readArray(reader: Reader, depth: number): readonly JsonValue[] | undefined {
  if (depth > reader.depthMax) return fault(reader, `deeper than ${reader.depthMax}`, reader.at);
  const { text } = reader;
  const array: JsonValue[] = [];
  reader.at += 1;
  skipSpace(reader);
  if (text.charCodeAt(reader.at) === 0x5d) {
    reader.at += 1;
    return array;
  }
  for (;;) {
    const value = readValue(reader, depth, undefined);
    if (value === undefined) return undefined;
    array.push(value);
    skipSpace(reader);
    const code = text.charCodeAt(reader.at);
    if (code === 0x5d) {
      reader.at += 1;
      return array;
    }
    if (code !== COMMA) return fault(reader, "a comma or the end of the array is expected here", reader.at);
    reader.at += 1;
    skipSpace(reader);
  }
}

function readString(reader: Reader): string | undefined {
  const { text } = reader;
  let at = reader.at + 1;
  let pieceStart = at;
  let pieces = "";
  let folded = true;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      reader.at = at + 1;
      reader.folded = folded;
      const last = text.slice(pieceStart, at);
      return pieces === "" ? last : pieces + last;
    }
    if (code === BACKSLASH) {
      pieces += text.slice(pieceStart, at);
      const escaped = readEscape(reader, at);
      if (escaped === undefined) return undefined;
      pieces += escaped;
      folded = false;
      at = reader.at;
      pieceStart = at;
    } else if (code >= 0x20 && code < 0x80) {
      if (code >= 0x41 && code <= 0x5a) folded = false;
      at += 1;
    } else if (code >= 0xd800 && code <= 0xdfff) {
      const next = text.charCodeAt(at + 1);
      if (code >= 0xdc00 || !(next >= 0xdc00 && next <= 0xdfff)) return fault(reader, "a lone surrogate", at);
      folded = false;
      at += 2;
    } else if (code >= 0x80) {
      folded = false;
      at += 1;
    } else if (Number.isNaN(code)) {
      return fault(reader, "a string does not end", at);
    } else {
      return fault(reader, "a control character in a string", at);
    }
  }
}

/** Reads the escape whose backslash stands at `at`, and leaves `reader.at` behind it. */
function readEscape(reader: Reader, at: number): string | undefined {
  const { text } = reader;
  reader.at = at + 2;
  switch (text.charCodeAt(at + 1)) {
    case QUOTE:
      return '"';
    case BACKSLASH:
      return "\\";
    case 0x2f:
      return "/";
    case 0x62:
      return "\b";
    case 0x66:
      return "\f";
    case 0x6e:
      return "\n";
    case 0x72:
      return "\r";
    case 0x74:
      return "\t";
    case 0x75: {
      const first = readHex4(text, at + 2);
      if (first < 0) return fault(reader, "an escape needs four hexadecimal digits", at);
      reader.at = at + 6;
      if (first < 0xd800 || first > 0xdfff) return String.fromCharCode(first);
      // A surrogate counts only as an escaped pair: half escaped, half written out is a lone one.
      const isPair = first < 0xdc00 && text.charCodeAt(at + 6) === BACKSLASH && text.charCodeAt(at + 7) === 0x75;
      const second = isPair ? readHex4(text, at + 8) : -1;
      if (second < 0xdc00 || second > 0xdfff) return fault(reader, "a lone surrogate", at);
      reader.at = at + 12;
      return String.fromCharCode(first, second);
    }
    default:
      return fault(reader, "there is no such escape", at);
  }
}

function readHex4(text: string, at: number): number {
  let value = 0;
  for (let index = at; index < at + 4; index += 1) {
    const code = text.charCodeAt(index);
    if (code >= 0x30 && code <= 0x39) value = value * 16 + code - 0x30;
    else if (code >= 0x41 && code <= 0x46) value = value * 16 + code - 0x37;
    else if (code >= 0x61 && code <= 0x66) value = value * 16 + code - 0x57;
    else return -1;
  }
  return value;
}

function readNumber(reader: Reader): number | ExactNumber | undefined {
  const { text } = reader;
  const start = reader.at;
  let at = start;
  const negative = text.charCodeAt(at) === 0x2d;
  if (negative) at += 1;
  const integerStart = at;
  let integer = 0;
  let code = text.charCodeAt(at);
  while (code >= 0x30 && code <= 0x39) {
    integer = integer * 10 + code - 0x30;
    at += 1;
    code = text.charCodeAt(at);
  }
  const digits = at - integerStart;
  if (digits === 0) return fault(reader, "a digit is expected here", at);
  if (digits > 1 && text.charCodeAt(integerStart) === 0x30) return fault(reader, "a leading zero", integerStart);
  let plain = true;
  if (code === 0x2e) {
    plain = false;
    const end = skipDigits(text, at + 1);
    if (end === at + 1) return fault(reader, "a digit is expected here", end);
    at = end;
    code = text.charCodeAt(at);
  }
  if (code === 0x65 || code === 0x45) {
    plain = false;
    const sign = text.charCodeAt(at + 1);
    const from = sign === 0x2b || sign === 0x2d ? at + 2 : at + 1;
    const end = skipDigits(text, from);
    if (end === from) return fault(reader, "a digit is expected here", end);
    at = end;
  }
  reader.at = at;
  // Fifteen digits fit a double exactly and are printed back as they stand.
  if (plain && digits <= 15 && !(negative && integer === 0)) return negative ? -integer : integer;
  if (at - start > NUMBER_LENGTH_MAX) {
    return fault(reader, `a number of more than ${NUMBER_LENGTH_MAX} characters`, start);
  }
  const lexeme = text.slice(start, at);
  if (lexeme.length > PRINTED_NUMBER_LENGTH_MAX) return new ExactNumber(lexeme);
  const value = Number(lexeme);
  return String(value) === lexeme ? value : new ExactNumber(lexeme);
}

function skipDigits(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (!(code >= 0x30 && code <= 0x39)) return at;
    at += 1;
  }
}

/**
 * The folding under which two member names count as one. It must be at least as coarse as what any reader behind us
 * does that matches names without regard to case: lower, upper, lower again joins everything that Unicode's simple
 * and full case folding join (K and the Kelvin sign, s and ſ, ß, ẞ and ss); the final sigma, which depends on its
 * neighbours, and the dotted and dotless i, which depend on the language, are each joined with their plain letters.
 */
export function foldName(name: string): string {
  if (isAscii(name)) return name.toLowerCase();
  return name.toLowerCase().toUpperCase().toLowerCase().replaceAll("ς", "σ").replaceAll("i\u0307", "i");
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

// --- numbers --------------------------------------------------------------------------------------------------

/** A number as sign, significant digits (none for zero) and the decimal exponent of the first digit. */
interface Decimal {
  readonly sign: -1 | 0 | 1;
  readonly digits: string;
  /** Value = 0.digits × 10^exponent. A bigint, because exponents have no bound and must cost no memory. */
  readonly exponent: bigint;
}

const LEXEME = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

function readDecimal(number: number | ExactNumber): Decimal {
  const lexeme = typeof number === "number" ? String(number) : number.lexeme;
  const match = LEXEME.exec(lexeme);
  if (match === null) throw new TypeError("not the lexeme of a JSON number");
  const integer = match[2] ?? "";
  const all = integer + (match[3] ?? "");
  const digits = all.replace(/^0+/, "").replace(/0+$/, "");
  if (digits === "") return { sign: 0, digits, exponent: 0n };
  const leading = all.length - all.replace(/^0+/, "").length;
  const exponent = BigInt((match[4] ?? "0").replace("+", "")) + BigInt(integer.length - leading);
  return { sign: match[1] === "-" ? -1 : 1, digits, exponent };
}

/** Compares two numbers as the decimals that their lexemes write, exactly. */
export function compareNumbers(a: number | ExactNumber, b: number | ExactNumber): -1 | 0 | 1 {
  if (typeof a === "number" && typeof b === "number" && Number.isFinite(a) && Number.isFinite(b)) {
    return a < b ? -1 : a > b ? 1 : 0;
  }
  const left = readDecimal(a);
  const right = readDecimal(b);
  if (left.sign !== right.sign) return left.sign < right.sign ? -1 : 1;
  if (left.sign === 0) return 0;
  const magnitude = compareMagnitudes(left, right);
  if (magnitude === 0) return 0;
  return magnitude > 0 === left.sign > 0 ? 1 : -1;
}

function compareMagnitudes(a: Decimal, b: Decimal): -1 | 0 | 1 {
  if (a.exponent !== b.exponent) return a.exponent < b.exponent ? -1 : 1;
  // Both are fractions 0.d₁d₂… without trailing zeros, so digits compare as text does.
  return a.digits < b.digits ? -1 : a.digits > b.digits ? 1 : 0;
}

// --- values ---------------------------------------------------------------------------------------------------

/** Whether two values are equal: numbers by value, arrays in order, objects without regard to order. */
export function equalJson(a: JsonValue, b: JsonValue): boolean {
  if (isJsonNumber(a)) return isJsonNumber(b) && compareNumbers(a, b) === 0;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object" || isJsonNumber(b)) return a === b;
  if (isJsonArray(a)) {
    if (!isJsonArray(b) || a.length !== b.length) return false;
    for (let index = 0; index < a.length; index += 1) {
      // Within bounds, and arrays from the reader have no holes.
      if (!equalJson(a[index] as JsonValue, b[index] as JsonValue)) return false;
    }
    return true;
  }
  if (isJsonArray(b)) return false;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  for (const name of names) {
    const left = a[name];
    const right = Object.hasOwn(b, name) ? b[name] : undefined;
    if (left === undefined || right === undefined || !equalJson(left, right)) return false;
  }
  return true;
}

/**
 * Prints a value as JSON without spaces. Numbers keep their lexemes and members their order, except that names
 * which are array indices come first, as in every JavaScript object: this is not a way to repeat received bytes.
 */
export function writeJson(value: JsonValue): string {
  if (value === null || typeof value === "boolean" || typeof value === "number") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof ExactNumber) return value.lexeme;
  if (isJsonArray(value)) return `[${value.map(writeJson).join(",")}]`;
  const members: string[] = [];
  for (const name of Object.keys(value)) {
    const member = value[name];
    if (member !== undefined) members.push(`${JSON.stringify(name)}:${writeJson(member)}`);
  }
  return `{${members.join(",")}}`;
}

export function isJsonNumber(value: JsonValue): value is number | ExactNumber {
  return typeof value === "number" || value instanceof ExactNumber;
}

/** `Array.isArray` does not narrow readonly arrays; this does. */
export function isJsonArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

export function isJsonObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}
