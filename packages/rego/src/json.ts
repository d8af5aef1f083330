/**
 * JSON text in and out. `JSON.parse` would round numbers that doubles cannot hold; `parseJson` keeps them. What has no
 * JSON shape is written as OPA does: a set as an array in order, a key that is no string as its own JSON text.
 */
import { burn } from "./fuel.ts";
import { Decimal, parseNumber, writeNumber } from "./number.ts";
import { isArray, type PlainObject, setMember, sortedEntries, type Value, ValueObject, ValueSet } from "./value.ts";

export type JsonRead =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "fault"; readonly message: string };

/** Deeper JSON is refused. */
const DEPTH_MAX = 1_000;

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

/** Reads one JSON text. Of members with the same name the last one counts, as in `JSON.parse`. */
export function parseJson(text: string): JsonRead {
  try {
    const reader = new JsonReader(text);
    const value = reader.value(0);
    reader.end();
    return { kind: "value", value };
  } catch (cause) {
    // A text that is no JSON is a fault, not a failure; everything else is thrown on.
    if (cause instanceof JsonFault) return { kind: "fault", message: cause.message };
    throw cause;
  }
}

class JsonFault extends Error {}

class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): Value {
    if (depth > DEPTH_MAX) throw new JsonFault(`JSON is deeper than ${DEPTH_MAX}`);
    this.#take(SPACE);
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string();
      default:
        return this.#scalar();
    }
  }

  end(): void {
    this.#take(SPACE);
    if (this.#at < this.#text.length) throw this.#unexpected();
  }

  #object(depth: number): PlainObject {
    const object: Record<string, Value> = {};
    this.#at += 1;
    if (this.#next("}")) return object;
    do {
      this.#take(SPACE);
      const name = this.#string();
      if (!this.#next(":")) throw this.#unexpected();
      setMember(object, name, this.value(depth + 1));
    } while (this.#next(","));
    if (!this.#next("}")) throw this.#unexpected();
    return object;
  }

  #array(depth: number): Value[] {
    const array: Value[] = [];
    this.#at += 1;
    if (this.#next("]")) return array;
    do array.push(this.value(depth + 1));
    while (this.#next(","));
    if (!this.#next("]")) throw this.#unexpected();
    return array;
  }

  #string(): string {
    const start = this.#at;
    if (this.#text[start] !== '"') throw this.#unexpected();
    let end = start + 1;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === "\\" ? 2 : 1;
    try {
      // A text in quotes is a string or no JSON. Half a pair of surrogates is no text, and stands for U+FFFD as in OPA.
      const text = (JSON.parse(this.#text.slice(start, end + 1)) as string).toWellFormed();
      this.#at = end + 1;
      return text;
    } catch {
      throw this.#unexpected(); // a wrong escape or a control character: a fault
    }
  }

  #scalar(): Value {
    const word = this.#take(WORD);
    if (word !== undefined) return word === "null" ? null : word === "true";
    const token = this.#take(NUMBER);
    const number = token === undefined ? undefined : parseNumber(token);
    if (number === undefined) throw this.#unexpected();
    return number;
  }

  #next(mark: string): boolean {
    this.#take(SPACE);
    if (this.#text[this.#at] !== mark) return false;
    this.#at += 1;
    return true;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match[0];
  }

  #unexpected(): JsonFault {
    const found = this.#at < this.#text.length ? JSON.stringify(this.#text[this.#at]) : "the end";
    return new JsonFault(`unexpected ${found} at offset ${this.#at}`);
  }
}

/** Writes a value as JSON without spaces, members in the order of their keys. */
export function writeJson(value: Value): string {
  if (value === null || typeof value !== "object") {
    return typeof value === "number" ? writeNumber(value) : JSON.stringify(value);
  }
  burn(1);
  if (value instanceof Decimal) return writeNumber(value);
  if (isArray(value)) return `[${value.map(writeJson).join(",")}]`;
  if (value instanceof ValueSet) return `[${value.sorted().map(writeJson).join(",")}]`;
  const members = sortedEntries(value).map(([key, member]) => `${JSON.stringify(nameOf(key))}:${writeJson(member)}`);
  return `{${members.join(",")}}`;
}

/**
 * A value as plain JSON data: sets as arrays, keys as texts, and numbers as the nearest double. A value that is plain
 * JSON already is returned as it is.
 */
export function plainJsonOf(value: Value): unknown {
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Decimal) return Number(writeNumber(value));
  if (isArray(value)) {
    const items = value.map(plainJsonOf);
    return items.every((item, index) => item === value[index]) ? value : items;
  }
  if (value instanceof ValueSet) return value.sorted().map(plainJsonOf);
  const entries = sortedEntries(value).map(([key, member]) => [nameOf(key), plainJsonOf(member)] as const);
  if (!(value instanceof ValueObject) && entries.every(([name, member]) => member === value[name])) return value;
  return Object.fromEntries(entries);
}

function nameOf(key: Value): string {
  return typeof key === "string" ? key : writeJson(key);
}
