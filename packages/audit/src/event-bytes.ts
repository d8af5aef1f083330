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
  const text = writerOf(event.event)(event);
  if (text.length > EVENT_CHARACTERS_MAX) throw new TypeError(`${event.event}: longer than ${EVENT_CHARACTERS_MAX}`);
  return text;
}

/** The leaf of an event's text: SHA-256(0x00 ‖ UTF-8 of the text), as RFC 9162 section 2.1.1 says. */
export function leafOfText(text: string): Uint8Array {
  return hash("sha256", `\0${text}`, "buffer");
}

type TextWriter = (event: AuditEvent) => string;

/** One writer per event name, compiled at its first use; the catalogue is closed, so the map is bounded by it. */
const writers = new Map<string, TextWriter>();

function writerOf(name: EventName): TextWriter {
  return writers.get(name) ?? compileWriter(name);
}

/**
 * Compiles the writer of one event: each field is checked by name, then one JSON.stringify prints a literal whose
 * members stand in the order of the catalogue (it skips what is undefined). Straight code with constant names takes
 * a third of the time of a loop over the catalogue. The source is made of the catalogue's names alone, which are held
 * to be identifiers; nothing of an event ever gets into it.
 */
function compileWriter(name: EventName): TextWriter {
  if (!Object.hasOwn(EVENTS, name)) throw new TypeError(`the catalogue has no event ${JSON.stringify(name)}`);
  const entry: EventEntry = EVENTS[name];
  const fields = Object.entries(entry.fields);
  for (const [field] of fields) {
    if (!IDENTIFIER.test(field) || ENVELOPE.has(field)) throw new TypeError(`${name}: ${field} cannot name a field`);
  }
  const checks = fields.map(([field, type]) => {
    const absent = entry.optional?.includes(field)
      ? ""
      : `else refuse(${JSON.stringify(`the field ${field} is missing`)});`;
    const wrong = `refuse(${JSON.stringify(`the field ${field} is not what the catalogue calls ${type}`)})`;
    return `value = fields.${field}; if (value !== undefined) { present += 1; if (${REFUSED[type]}) ${wrong}; } ${absent}`;
  });
  const member = ([field]: readonly [string, FieldType]): string => `${field}: fields.${field}`;
  const print = compilePrint(
    fields,
    member,
    `v: ${entry.version}, event: ${JSON.stringify(name)}, id: event.id, time: event.timeMs,
      tenant: event.tenantId`,
  );
  const source = `return function writeEvent(event) {
    const fields = event.fields;
    if (!isUuid(event.id)) refuse("id is no lower-case UUID");
    if (!isUuid(event.tenantId)) refuse("tenantId is no lower-case UUID");
    if (!Number.isSafeInteger(event.timeMs) || event.timeMs < 0) refuse("timeMs is no safe integer from 0");
    let value; let present = 0;
    ${checks.join("\n    ")}
    for (const field in fields) if (fields[field] !== undefined) present -= 1;
    if (present !== 0) refuse("it has a field that the catalogue lacks: " + Object.keys(fields).join(", "));
    ${print}
  };`;
  const refuse = (what: string): never => {
    throw new TypeError(`${name}: ${what}`);
  };
  const compile = new Function("isUuid", "isStrings", "isObject", "isObjects", "objectsText", "refuse", source);
  // The cast names the type of the function that the source above spells.
  const writer = compile(isUuid, isStrings, isObject, isObjects, objectsText, refuse) as TextWriter;
  writers.set(name, writer);
  return writer;
}

/**
 * The statements that print an event. What stands before and behind its list of objects, if it has one, is printed
 * apart from it, because such a list may be at hand as text.
 */
function compilePrint(
  fields: readonly (readonly [string, FieldType])[],
  member: (field: readonly [string, FieldType]) => string,
  envelope: string,
): string {
  const whole = `return JSON.stringify({ ${[envelope, ...fields.map(member)].join(", ")} });`;
  const at = fields.findIndex(([, type]) => type === "objects");
  const list = fields[at];
  if (list === undefined || fields.filter(([, type]) => type === "objects").length > 1) return whole;
  const before = [envelope, ...fields.slice(0, at).map(member)].join(", ");
  const behind = fields
    .slice(at + 1)
    .map(member)
    .join(", ");
  return `if (fields.${list[0]} === undefined) ${whole}
    const behind = JSON.stringify({ ${behind} });
    return JSON.stringify({ ${before} }).slice(0, -1) + ${JSON.stringify(`,"${list[0]}":`)} + objectsText(fields.${list[0]})
      + (behind === "{}" ? "}" : "," + behind.slice(1));`;
}

/**
 * Texts of frozen lists of objects, by identity: the budget claims of one token on one tool are in the event of each of
 * its calls. Only lists of frozen objects without objects in them are kept: they never change.
 */
const frozenLists = new WeakMap<object, string>();

/** The text of a list that `isObjects` has found good. */
function objectsText(list: readonly unknown[]): string {
  const known = frozenLists.get(list);
  if (known !== undefined) return known;
  const text = JSON.stringify(list);
  if (Object.isFrozen(list) && list.every(isFlatAndFrozen)) frozenLists.set(list, text);
  return text;
}

/** What holds objects could change inside. */
function isFlatAndFrozen(item: unknown): boolean {
  if (typeof item !== "object" || item === null || !Object.isFrozen(item)) return false;
  for (const value of Object.values(item)) if (typeof value === "object" && value !== null) return false;
  return true;
}

const IDENTIFIER = /^[a-z][A-Za-z0-9]*$/;
const ENVELOPE: ReadonlySet<string> = new Set(["v", "event", "id", "time", "tenant"]);

/** For each type of the catalogue: the expression that is true of a `value` that is not of it. */
const REFUSED: Readonly<Record<FieldType, string>> = {
  string: "typeof value !== 'string' || !value.isWellFormed()",
  integer: "!Number.isSafeInteger(value)",
  boolean: "typeof value !== 'boolean'",
  strings: "!isStrings(value)",
  object: "!isObject(value, 1)",
  objects: "!isObjects(value)",
};

function isString(value: unknown): value is string {
  return typeof value === "string" && value.isWellFormed();
}

function isStrings(value: unknown): boolean {
  if (!isPlainArray(value)) return false;
  for (const item of value) if (!isString(item)) return false;
  return true;
}

function isObjects(value: unknown): boolean {
  if (typeof value === "object" && value !== null && frozenLists.has(value)) return true;
  if (!isPlainArray(value)) return false;
  for (const item of value) if (!isObject(item, 2)) return false;
  return true;
}

/** A plain object that JSON.stringify prints in one way: no `toJSON` speaks for it. */
function isObject(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null || depth > EVENT_DEPTH_MAX) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  // The cast says only that members may be read by name.
  const members = value as Readonly<Record<string, unknown>>;
  for (const name in members) {
    if (!name.isWellFormed() || !isValue(members[name], depth)) return false;
  }
  return true;
}

/** Inside objects: strings, safe integers, booleans, null, arrays and plain objects. Nothing else has one spelling. */
function isValue(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
      return value.isWellFormed();
    case "number":
      return Number.isSafeInteger(value);
    case "boolean":
      return true;
    default: {
      if (value === null) return true;
      if (!isPlainArray(value)) return isObject(value, depth + 1);
      if (depth >= EVENT_DEPTH_MAX) return false;
      for (const item of value) if (!isValue(item, depth + 1)) return false;
      return true;
    }
  }
}

function isPlainArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && Object.getPrototypeOf(value) === Array.prototype && !("toJSON" in value);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function isUuid(value: unknown): value is string {
  return typeof value === "string" && UUID.test(value);
}
