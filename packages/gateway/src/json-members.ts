/**
 * Where the parts of a JSON text lie, so that they can be cut out and put in byte for byte. It reads text that a JSON
 * parser has accepted already: it finds spans, it does not judge. Strictness is the business of `parseStrictJson`.
 */

/** One member of an object: the decoded name and the spans of name and value in the text. */
export interface JsonMember {
  readonly name: string;
  /** Offset of the name's opening quote. */
  readonly start: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

export interface JsonSpan {
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function skipSpace(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) at += 1;
    else return at;
  }
}

function skipString(text: string, from: number): number {
  let at = from + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) throw new TypeError("not JSON: a string does not end");
    let slashes = 0;
    while (text.charCodeAt(quote - 1 - slashes) === BACKSLASH) slashes += 1;
    at = quote + 1;
    if (slashes % 2 === 0) return at;
  }
}

/** The offset just after the value that starts at `from`; iterative, so that depth costs no stack. */
function skipValue(text: string, from: number): number {
  const first = text.charCodeAt(from);
  if (first === QUOTE) return skipString(text, from);
  let at = from;
  if (first !== 0x7b && first !== 0x5b) {
    for (; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === 0x2c || code === 0x7d || code === 0x5d || code <= 0x20) break;
    }
    return at;
  }
  let depth = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = skipString(text, at);
      continue;
    }
    at += 1;
    if (code === 0x7b || code === 0x5b) depth += 1;
    else if (code === 0x7d || code === 0x5d) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  throw new TypeError("not JSON: a value does not end");
}

/** The members of the object that is the whole of `text` (or lies at `from`), in order, repeated names included. */
export function membersOf(text: string, from = 0): readonly JsonMember[] {
  const members: JsonMember[] = [];
  let at = skipSpace(text, from);
  if (text.charCodeAt(at) !== 0x7b) throw new TypeError("not a JSON object");
  at = skipSpace(text, at + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const start = at;
    at = skipString(text, at);
    const spelt = text.slice(start + 1, at - 1);
    // Without an escape a name is what stands there; a JSON string literal decodes to a string and to nothing else.
    const name = spelt.includes("\\") ? (JSON.parse(`"${spelt}"`) as string) : spelt;
    at = skipSpace(text, skipSpace(text, at) + 1);
    const valueEnd = skipValue(text, at);
    members.push({ name, start, valueStart: at, valueEnd });
    at = skipSpace(text, valueEnd);
    if (text.charCodeAt(at) !== 0x2c) break;
    at = skipSpace(text, at + 1);
  }
  return members;
}

/** The elements of the array that lies at `from`. */
export function elementsOf(text: string, from = 0): readonly JsonSpan[] {
  const elements: JsonSpan[] = [];
  let at = skipSpace(text, from);
  if (text.charCodeAt(at) !== 0x5b) throw new TypeError("not a JSON array");
  at = skipSpace(text, at + 1);
  while (at < text.length && text.charCodeAt(at) !== 0x5d) {
    const end = skipValue(text, at);
    elements.push({ start: at, end });
    at = skipSpace(text, end);
    if (text.charCodeAt(at) !== 0x2c) break;
    at = skipSpace(text, at + 1);
  }
  return elements;
}

/** The last member of that name, as JSON parsers that take the last one read it; undefined when there is none. */
export function findMember(members: readonly JsonMember[], name: string): JsonMember | undefined {
  return members.findLast((member) => member.name === name);
}

/** The text of a member's value. */
export function valueText(text: string, member: JsonMember): string {
  return text.slice(member.valueStart, member.valueEnd);
}

/**
 * `text`, an object, without its members called `name` and with everything else byte for byte, but for the comma
 * that goes with each.
 */
export function withoutMember(text: string, name: string): string {
  const members = membersOf(text);
  if (!members.some((member) => member.name === name)) return text;
  const kept = members.filter((member) => member.name !== name);
  return `{${kept.map((member) => text.slice(member.start, member.valueEnd)).join(",")}}`;
}

/** `text`, an object, with `name` set to the JSON text `value`: replaced in place, or put in front. */
export function withMember(text: string, name: string, value: string): string {
  const members = membersOf(text);
  const present = findMember(members, name);
  if (present !== undefined) return text.slice(0, present.valueStart) + value + text.slice(present.valueEnd);
  const open = text.indexOf("{") + 1;
  const comma = members.length > 0 ? "," : "";
  return `${text.slice(0, open)}${JSON.stringify(name)}:${value}${comma}${text.slice(open)}`;
}
