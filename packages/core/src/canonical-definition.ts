/**
 * What of a tool's definition is pinned: one text for all spellings that mean the same. Two definitions are the same
 * exactly when their canonical texts are equal; the digest of a tool is the SHA-256 of that text.
 *
 * Nothing is told apart by white space, by how a string is escaped, by the order of members, or by the order of what
 * JSON Schema reads as a set (`required`, `enum`, a list of types, `dependentRequired`). All else counts: `_meta`, which
 * says what a client shows beside the tool, `icons`, members that no specification names, and the spelling of a number.
 * What is not known to be harmless is a change.
 */
import {
  isJsonArray,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseStrictJsonText,
  writeJson,
} from "@writ/contract";

export type CanonicalDefinition =
  | { readonly kind: "canonical"; readonly name: string; readonly text: string; readonly value: JsonObject }
  /** It has no single reading, or no name. `detail` quotes nothing of it. */
  | { readonly kind: "unreadable"; readonly detail: string };

const DEPTH_MAX = 64;
const NAME_LENGTH_MAX = 256;

/** The canonical form of one member of `tools`, and the value that it was made from (as it was given). */
export function canonicalDefinition(definition: string): CanonicalDefinition {
  const read = parseStrictJsonText(definition, { depthMax: DEPTH_MAX });
  if (read.kind === "fault") return { kind: "unreadable", detail: read.detail };
  const { value } = read;
  if (!isJsonObject(value)) return { kind: "unreadable", detail: "it is no object" };
  const name = value["name"];
  if (typeof name !== "string" || name === "") return { kind: "unreadable", detail: "it has no name" };
  if (name.length > NAME_LENGTH_MAX) return { kind: "unreadable", detail: "its name is too long" };
  const pinned = mapMembers(value, (member, memberName) =>
    memberName === "inputSchema" || memberName === "outputSchema" ? sortSchema(member) : sortValue(member),
  );
  return { kind: "canonical", name, text: writeJson(pinned), value };
}

/**
 * The canonical form of an upstream's instructions, given as the JSON text of its answer's member: the string that it
 * stands for, as JSON. Missing ones are the empty text.
 */
export function canonicalInstructions(instructions: string | undefined): string {
  if (instructions === undefined) return '""';
  const read = parseStrictJsonText(instructions);
  // What is no text by the specification is pinned as it came.
  return read.kind === "value" ? writeJson(sortValue(read.value)) : JSON.stringify(instructions);
}

/** Members with one schema each, by names that are free. */
const SCHEMA_MAPS = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/** What holds a schema, or a list of schemas whose order counts. */
const SCHEMAS = [
  "additionalItems",
  "additionalProperties",
  "allOf",
  "anyOf",
  "contains",
  "contentSchema",
  "else",
  "if",
  "items",
  "not",
  "oneOf",
  "prefixItems",
  "propertyNames",
  "then",
  "unevaluatedItems",
  "unevaluatedProperties",
];
/** Lists that JSON Schema reads as sets. */
const SETS = ["required", "enum", "type"];

function sortSchema(schema: JsonValue): JsonValue {
  if (isJsonArray(schema)) return schema.map(sortSchema);
  if (!isJsonObject(schema)) return schema;
  return mapMembers(schema, (member, name) => {
    if (SCHEMA_MAPS.includes(name)) return isJsonObject(member) ? mapMembers(member, sortSchema) : sortValue(member);
    if (name === "dependentRequired") return isJsonObject(member) ? mapMembers(member, sortSet) : sortValue(member);
    if (SCHEMAS.includes(name)) return sortSchema(member);
    return SETS.includes(name) ? sortSet(member) : sortValue(member);
  });
}

/** A list in the order of its elements' texts, each once; anything else as a value. */
function sortSet(value: JsonValue): JsonValue {
  if (!isJsonArray(value)) return sortValue(value);
  const byText = new Map(value.map((element) => [writeJson(sortValue(element)), sortValue(element)]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, element]) => element);
}

function sortValue(value: JsonValue): JsonValue {
  if (isJsonArray(value)) return value.map(sortValue);
  return isJsonObject(value) ? mapMembers(value, sortValue) : value;
}

/** A copy with its members in the order of their names' code units. */
function mapMembers(object: JsonObject, map: (member: JsonValue, name: string) => JsonValue): JsonObject {
  const copy: Record<string, JsonValue> = Object.create(null) as Record<string, JsonValue>; // no prototype, no members yet
  for (const name of Object.keys(object).sort()) {
    const member = object[name];
    if (member !== undefined) copy[name] = map(member, name);
  }
  return copy;
}
