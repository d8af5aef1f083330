/**
 * The bytes of an audit event: one line of JSON, exactly as it is hashed, stored and exported.
 * Members stand in the order v, event, id, time, tenant, then the fields in the order of the catalogue; what is
 * optional and absent is left out. This file knows nothing of sequences, previous hashes or commit times: those are
 * the link's (`chain.ts`). docs/log-format.md is the same in words.
 */
import { hash } from "node:crypto";
import { type AuditEvent, EVENTS, type EventEntry, type EventName, type FieldType } from "@writ/contract";

/** The longest event, in UTF-16 code units of its text. */
export const EVENT_CHARACTERS_MAX = 262_144;
/** How deep objects and arrays may nest inside a field of type `object` or `objects`. */
export const EVENT_DEPTH_MAX = 16;

/** An event as it is kept: its text (the exact bytes are the text's UTF-8) and its leaf in the tree, 32 bytes. */
export interface EncodedEvent {
  readonly text: string;
  readonly leaf: Uint8Array;
}

/**
 * Writes an event as the bytes that are hashed, stored and exported, and computes its leaf.
 * Throws a TypeError for what the catalogue does not allow: an unknown event or field, a missing field, a wrong type,
 * an unsafe integer, a lone surrogate, an identifier that is no lower-case UUID, too long a text. Such an event is a
 * mistake of the program, so nothing is repaired. `undefined` counts as absent.
 */
export function encodeEvent(event: AuditEvent): EncodedEvent {
  const text = encodeEventText(event);
  return { text, leaf: leafOfText(text) };
}

/** The text of `encodeEvent` alone, for those that hash elsewhere. */
export function encodeEventText(event: AuditEvent): string {
  const writer = writerOf(event.event);
  const { id, timeMs, tenantId } = event;
  if (!isUuid(id)) throw new TypeError(`${event.event}: id is no lower-case UUID`);
  if (!isUuid(tenantId)) throw new TypeError(`${event.event}: tenantId is no lower-case UUID`);
  if (!Number.isSafeInteger(timeMs) || timeMs < 0) throw new TypeError(`${event.event}: timeMs is no safe integer`);
  const text = `${writer.head}"id":"${id}","time":${timeMs},"tenant":"${tenantId}"${writeFields(writer, event.fields)}}`;
  if (text.length > EVENT_CHARACTERS_MAX) throw new TypeError(`${event.event}: longer than ${EVENT_CHARACTERS_MAX}`);
  return text;
}

/** The leaf of an event's text: SHA-256(0x00 ‖ UTF-8 of the text), as RFC 9162 section 2.1.1 says. */
export function leafOfText(text: string): Uint8Array {
  return hash("sha256", `\0${text}`, "buffer");
}

interface FieldWriter {
  readonly name: string;
  /** `,"name":` */
  readonly prefix: string;
  readonly type: FieldType;
  readonly optional: boolean;
}

interface EventWriter {
  readonly event: EventName;
  /** `{"v":1,"event":"call.decided",` */
  readonly head: string;
  readonly fields: readonly FieldWriter[];
}

/** One writer per event name, made at its first use; the catalogue is closed, so the map is bounded by it. */
const writers = new Map<string, EventWriter>();

function writerOf(name: EventName): EventWriter {
  return writers.get(name) ?? makeWriter(name);
}

function makeWriter(name: EventName): EventWriter {
  if (!Object.hasOwn(EVENTS, name)) throw new TypeError(`the catalogue has no event ${JSON.stringify(name)}`);
  const entry: EventEntry = EVENTS[name];
  const writer: EventWriter = {
    event: name,
    head: `{"v":${entry.version},"event":${JSON.stringify(name)},`,
    fields: Object.entries(entry.fields).map(([field, type]) => ({
      name: field,
      prefix: `,${JSON.stringify(field)}:`,
      type,
      optional: entry.optional?.includes(field) ?? false,
    })),
  };
  writers.set(name, writer);
  return writer;
}

function writeFields(writer: EventWriter, fields: Readonly<Record<string, unknown>>): string {
  let text = "";
  let present = 0;
  for (const field of writer.fields) {
    const value = fields[field.name];
    if (value === undefined) {
      if (!field.optional) throw new TypeError(`${writer.event}: the field ${field.name} is missing`);
      continue;
    }
    present += 1;
    text += field.prefix + writeField(writer, field, value);
  }
  let given = 0;
  for (const name in fields) if (fields[name] !== undefined) given += 1;
  if (given !== present) throw new TypeError(`${writer.event}: not in the catalogue: ${unknownFields(writer, fields)}`);
  return text;
}

function unknownFields(writer: EventWriter, fields: Readonly<Record<string, unknown>>): string {
  const known = new Set(writer.fields.map((field) => field.name));
  return Object.keys(fields)
    .filter((name) => !known.has(name))
    .join(", ");
}

function writeField(writer: EventWriter, field: FieldWriter, value: unknown): string {
  switch (field.type) {
    case "string":
      if (typeof value === "string") return quote(value);
      break;
    case "integer":
      if (Number.isSafeInteger(value)) return `${value}`;
      break;
    case "boolean":
      if (typeof value === "boolean") return value ? "true" : "false";
      break;
    case "strings":
      if (Array.isArray(value)) return writeArray(value, writeString);
      break;
    case "object":
      if (isPlainObject(value)) return writeObject(value, 1);
      break;
    case "objects":
      if (Array.isArray(value)) return writeArray(value, writeMember);
      break;
  }
  throw new TypeError(`${writer.event}: the field ${field.name} is no ${field.type}`);
}

function writeArray(items: readonly unknown[], write: (item: unknown) => string): string {
  if (items.length === 0) return "[]";
  let text = `[${write(items[0])}`;
  for (let index = 1; index < items.length; index += 1) text += `,${write(items[index])}`;
  return `${text}]`;
}

function writeString(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("an item of a field of type strings is no string");
  return quote(value);
}

function writeMember(value: unknown): string {
  if (!isPlainObject(value)) throw new TypeError("an item of a field of type objects is no object");
  return writeObject(value, 2);
}

function writeObject(value: Readonly<Record<string, unknown>>, depth: number): string {
  if (depth > EVENT_DEPTH_MAX) throw new TypeError(`an event nests deeper than ${EVENT_DEPTH_MAX}`);
  let text = "";
  for (const name of Object.keys(value)) text += `${text === "" ? "" : ","}${quote(name)}:${writeValue(value[name], depth)}`;
  return `{${text}}`;
}

/** Inside objects: strings, safe integers, booleans, null, arrays and plain objects. Nothing else has one spelling. */
function writeValue(value: unknown, depth: number): string {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "number":
      if (!Number.isSafeInteger(value)) throw new TypeError("a number in an event is no safe integer");
      return `${value}`;
    case "boolean":
      return value ? "true" : "false";
    default:
      if (value === null) return "null";
      if (Array.isArray(value)) {
        if (depth >= EVENT_DEPTH_MAX) throw new TypeError(`an event nests deeper than ${EVENT_DEPTH_MAX}`);
        return writeArray(value, (item) => writeValue(item, depth + 1));
      }
      if (isPlainObject(value)) return writeObject(value, depth + 1);
      throw new TypeError(`an event cannot hold a ${typeof value}`);
  }
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Whatever is not printable ASCII without quote and backslash takes the slow path. */
const NOT_PLAIN = /[^ !#-[\]-~]/;

/** A JSON string in the one spelling of JSON.stringify, which for well-formed text escapes only what it must. */
function quote(value: string): string {
  if (!NOT_PLAIN.test(value)) return `"${value}"`;
  if (!value.isWellFormed()) throw new TypeError("a string in an event holds a lone surrogate");
  return JSON.stringify(value);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function isUuid(value: unknown): value is string {
  return typeof value === "string" && UUID.test(value);
}
