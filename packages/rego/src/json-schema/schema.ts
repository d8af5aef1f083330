/**
 * Reads JSON Schema, drafts 4, 6 and 7 in one, into a graph of nodes that validate.ts follows. References are resolved
 * within the schema alone: nothing is fetched. Faults are in the words of gojsonschema, which OPA's users know.
 */
import { RE2JS } from "re2js";
import { compareNumbers, isIntegerNumber, type RegoNumber } from "../number.ts";
import { isArray, isNumber, isObject, keyOf, memberOf, type PlainObject, sortedEntries, type Value } from "../value.ts";

/** A schema that is none. */
export class SchemaFault extends Error {}

export type Schema = SchemaNode | boolean;

/** What a schema asks for. It is filled while it is read, since it may refer to itself, and not changed later. */
export interface SchemaNode {
  reference?: Schema;
  types?: readonly string[];
  properties?: ReadonlyMap<string, Schema>;
  patternProperties?: readonly { readonly pattern: Pattern; readonly schema: Schema }[];
  additionalProperties?: Schema;
  propertyNames?: Schema;
  required?: readonly string[];
  minProperties?: number;
  maxProperties?: number;
  dependencies?: readonly { readonly name: string; readonly needs: readonly string[] | Schema }[];
  /** One for all items, or one for each of the first. */
  items?: Schema | readonly Schema[];
  additionalItems?: Schema;
  contains?: Schema;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  multipleOf?: RegoNumber;
  minimum?: RegoNumber;
  maximum?: RegoNumber;
  exclusiveMinimum?: RegoNumber;
  exclusiveMaximum?: RegoNumber;
  minLength?: number;
  maxLength?: number;
  pattern?: Pattern;
  format?: string;
  constant?: { readonly value: Value };
  enumeration?: readonly Value[];
  allOf?: readonly Schema[];
  anyOf?: readonly Schema[];
  oneOf?: readonly Schema[];
  not?: Schema;
  condition?: { readonly if: Schema; readonly then: Schema | undefined; readonly else: Schema | undefined };
}

export interface Pattern {
  readonly text: string;
  isFoundIn(text: string): boolean;
  /** What looking for it in a text costs, in units of about a hundred nanoseconds. */
  stepsFor(text: string): number;
}

/** Schemas within one another; more are refused. */
const DEPTH_MAX = 200;

const TYPES = ["array", "boolean", "integer", "number", "null", "object", "string"];

/** Reads a schema, given as plain JSON; throws `SchemaFault`. `onStep` is told of each part of it. */
export function readSchema(document: Value, onStep: () => void): Schema {
  const reader = new SchemaReader(document, onStep);
  return reader.read(document, "", 0);
}

class SchemaReader {
  readonly #root: Value;
  readonly #onStep: () => void;
  readonly #read = new Map<Value, SchemaNode>();
  /** Parts of the document by their identifiers. */
  readonly #identified = new Map<string, Value>();

  constructor(root: Value, onStep: () => void) {
    this.#root = root;
    this.#onStep = onStep;
    this.#identify(root, "", 0);
  }

  #identify(value: Value, base: string, depth: number): void {
    this.#onStep();
    if (depth > DEPTH_MAX) throw new SchemaFault(`schema is nested deeper than ${DEPTH_MAX}`);
    if (isArray(value)) for (const item of value) this.#identify(item, base, depth + 1);
    if (!isObject(value)) return;
    const id = identifierOf(value);
    const inner = id === undefined ? base : resolve(base, id);
    if (id !== undefined) this.#identified.set(inner.replace(/#$/, ""), value);
    for (const [, member] of sortedEntries(value)) this.#identify(member, inner, depth + 1);
  }

  read(value: Value, base: string, depth: number): Schema {
    this.#onStep();
    if (typeof value === "boolean") return value;
    if (!isObject(value)) throw invalidType("valid schema", kindName(value));
    if (depth > DEPTH_MAX) throw new SchemaFault(`schema is nested deeper than ${DEPTH_MAX}`);
    const known = this.#read.get(value);
    if (known !== undefined) return known;
    const node: SchemaNode = {};
    this.#read.set(value, node);
    const id = identifierOf(value);
    this.#fill(node, value as PlainObject, id === undefined ? base : resolve(base, id), depth + 1); // of JSON
    return node;
  }

  #fill(node: SchemaNode, object: PlainObject, base: string, depth: number): void {
    const schema = (value: Value) => this.read(value, base, depth);
    const reference = memberOf(object, "$ref");
    if (reference !== undefined) {
      if (typeof reference !== "string") throw invalidType("string", "$ref");
      node.reference = this.#resolveReference(resolve(base, reference), reference, base, depth);
      return;
    }
    for (const name of ["definitions", "$defs"]) {
      const definitions = memberOf(object, name);
      if (definitions !== undefined) for (const [, definition] of entriesOf(definitions, name)) schema(definition);
    }
    for (const name of ["title", "description"]) {
      const text = memberOf(object, name);
      if (text !== undefined && typeof text !== "string") throw invalidType("string", name);
    }
    readTypes(node, object);
    this.#fillObject(node, object, schema);
    this.#fillArray(node, object, schema);
    readNumbers(node, object);
    readStrings(node, object);
    const constant = memberOf(object, "const");
    if (constant !== undefined) node.constant = { value: constant };
    const enumeration = memberOf(object, "enum");
    if (enumeration !== undefined) node.enumeration = uniqueList(enumeration, "enum");
    for (const name of ["allOf", "anyOf", "oneOf"] as const) {
      const list = memberOf(object, name);
      if (list === undefined) continue;
      if (!isArray(list)) throw new SchemaFault(`${name} must be of an array`);
      node[name] = list.map(schema);
    }
    const not = memberOf(object, "not");
    if (not !== undefined) node.not = schema(not);
    const condition = memberOf(object, "if");
    if (condition !== undefined) {
      const [then, otherwise] = [memberOf(object, "then"), memberOf(object, "else")];
      node.condition = {
        if: schema(condition),
        // biome-ignore lint/suspicious/noThenProperty: JSON Schema's name for it
        then: then === undefined ? undefined : schema(then),
        else: otherwise === undefined ? undefined : schema(otherwise),
      };
    }
  }

  #fillObject(node: SchemaNode, object: PlainObject, schema: (value: Value) => Schema): void {
    const properties = memberOf(object, "properties");
    if (properties !== undefined) {
      node.properties = new Map(entriesOf(properties, "properties").map(([name, value]) => [name, schema(value)]));
    }
    const patterns = memberOf(object, "patternProperties");
    if (patterns !== undefined) {
      node.patternProperties = entriesOf(patterns, "patternProperties").map(([text, value]) => {
        const pattern = readPattern(text);
        if (pattern === undefined) throw new SchemaFault(`Invalid regex pattern '${text}'`);
        return { pattern, schema: schema(value) };
      });
    }
    for (const name of ["additionalProperties", "propertyNames"] as const) {
      const value = memberOf(object, name);
      if (value === undefined) continue;
      if (typeof value !== "boolean" && !isObject(value)) throw invalidType("boolean/valid schema", name);
      node[name] = schema(value);
    }
    const required = memberOf(object, "required");
    if (required !== undefined) node.required = uniqueTexts(required, "required");
    readCounts(node, object, "minProperties", "maxProperties");
    const dependencies = memberOf(object, "dependencies");
    if (dependencies !== undefined) {
      node.dependencies = entriesOf(dependencies, "dependencies").map(([name, needs]) => ({
        name,
        needs: isArray(needs) ? uniqueTexts(needs, "dependencies") : schema(needs),
      }));
    }
  }

  #fillArray(node: SchemaNode, object: PlainObject, schema: (value: Value) => Schema): void {
    const items = memberOf(object, "items");
    if (items !== undefined) {
      if (!isArray(items) && !isObject(items) && typeof items !== "boolean") {
        throw invalidType("array/object/valid schema", "items");
      }
      node.items = isArray(items) ? items.map(schema) : schema(items);
    }
    const additional = memberOf(object, "additionalItems");
    if (additional !== undefined) {
      if (typeof additional !== "boolean" && !isObject(additional)) {
        throw invalidType("boolean/valid schema", "additionalItems");
      }
      node.additionalItems = schema(additional);
    }
    const contains = memberOf(object, "contains");
    if (contains !== undefined) node.contains = schema(contains);
    readCounts(node, object, "minItems", "maxItems");
    const unique = memberOf(object, "uniqueItems");
    if (unique !== undefined) {
      if (typeof unique !== "boolean") throw new SchemaFault("uniqueItems must be of a boolean");
      node.uniqueItems = unique;
    }
  }

  #resolveReference(target: string, written: string, base: string, depth: number): Schema {
    const byName = this.#identified.get(target.replace(/#$/, ""));
    if (byName !== undefined) return this.read(byName, base, depth);
    const [document = "", pointer = ""] = target.split("#");
    const root = document === "" ? this.#root : (this.#identified.get(document) ?? this.#rootNamed(document));
    if (root === undefined) {
      throw new SchemaFault(`remote reference loading disabled: ${JSON.stringify(written)}`);
    }
    let value = root;
    if (pointer !== "" && !pointer.startsWith("/")) throw new SchemaFault(`Reference ${written} must be canonical`);
    for (const token of pointer.split("/").slice(1)) {
      const name = decoded(token).replace(/~1/g, "/").replace(/~0/g, "~");
      const next = isArray(value)
        ? value[/^\d+$/.test(name) ? Number(name) : -1]
        : isObject(value)
          ? memberOf(value, name)
          : undefined;
      if (next === undefined) throw new SchemaFault(`Object has no key '${name}'`);
      value = next;
    }
    if (typeof value !== "boolean" && !isObject(value)) throw invalidType("valid schema", written);
    return this.read(value, document, depth);
  }

  #rootNamed(document: string): Value | undefined {
    return isObject(this.#root) && identifierOf(this.#root)?.replace(/#.*$/, "") === document ? this.#root : undefined;
  }
}

function identifierOf(object: Parameters<typeof memberOf>[0]): string | undefined {
  const id = memberOf(object, "$id") ?? memberOf(object, "id");
  return typeof id === "string" ? id : undefined;
}

/** A reference seen from a base, as far as schemas within one document need it. */
function resolve(base: string, reference: string): string {
  if (/^[A-Za-z][A-Za-z0-9+.-]*:/.test(reference)) return reference;
  const document = base.replace(/#.*$/, "");
  if (reference.startsWith("#") || reference === "") return document + reference;
  if (reference.startsWith("/")) return (/^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/]*/.exec(document)?.[0] ?? "") + reference;
  return document.slice(0, document.lastIndexOf("/") + 1) + reference;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a URIError for what is no percent-encoding: a fault
  }
}

function invalidType(expected: string, given: string): SchemaFault {
  return new SchemaFault(`Invalid type. Expected: ${expected}, given: ${given}`);
}

function kindName(value: Value): string {
  if (value === null) return "null";
  if (isArray(value)) return "array";
  return isNumber(value) ? (isIntegerNumber(value) ? "integer" : "number") : typeof value;
}

function entriesOf(value: Value, name: string): readonly (readonly [string, Value])[] {
  if (!isObject(value)) throw invalidType("valid schema", name);
  return sortedEntries(value) as readonly (readonly [string, Value])[]; // of JSON, all keys are strings
}

function readTypes(node: SchemaNode, object: PlainObject): void {
  const value = memberOf(object, "type");
  if (value === undefined) return;
  const list = typeof value === "string" ? [value] : value;
  if (!isArray(list)) throw invalidType("type", "string/Array Of Strings");
  const types: string[] = [];
  for (const type of list) {
    if (typeof type !== "string") throw invalidType("type", "string/Array Of Strings");
    if (!TYPES.includes(type)) {
      throw new SchemaFault(
        `has a primitive type that is NOT VALID -- given: /${type}/ Expected valid values are:[${TYPES.join(" ")}]`,
      );
    }
    if (types.includes(type)) throw new SchemaFault(`${type} type is duplicated`);
    types.push(type);
  }
  node.types = types;
}

function readCounts(
  node: SchemaNode,
  object: PlainObject,
  least: "minItems" | "minLength" | "minProperties",
  most: "maxItems" | "maxLength" | "maxProperties",
): void {
  for (const name of [least, most]) {
    const value = memberOf(object, name);
    if (value === undefined) continue;
    if (!isNumber(value) || !isIntegerNumber(value)) throw new SchemaFault(`${name} must be of an integer`);
    if (compareNumbers(value, 0) < 0) throw new SchemaFault(`${name} must be greater than or equal to 0`);
    node[name] = typeof value === "number" ? value : Number.MAX_SAFE_INTEGER;
  }
  const [from, to] = [node[least], node[most]];
  if (from !== undefined && to !== undefined && from > to)
    throw new SchemaFault(`${least} cannot be greater than ${most}`);
}

function readNumbers(node: SchemaNode, object: PlainObject): void {
  const multiple = memberOf(object, "multipleOf");
  if (multiple !== undefined) {
    if (!isNumber(multiple)) throw invalidType("number", "multipleOf");
    if (compareNumbers(multiple, 0) <= 0) throw new SchemaFault("multipleOf must be strictly greater than 0");
    node.multipleOf = multiple;
  }
  for (const [name, exclusive] of [
    ["minimum", "exclusiveMinimum"],
    ["maximum", "exclusiveMaximum"],
  ] as const) {
    const bound = memberOf(object, name);
    if (bound !== undefined) {
      if (!isNumber(bound)) throw new SchemaFault(`${name} must be of a number`);
      node[name] = bound;
    }
    const open = memberOf(object, exclusive);
    if (open === undefined) continue;
    if (isNumber(open)) node[exclusive] = open;
    else if (typeof open !== "boolean") throw invalidType("boolean/number", exclusive);
    else if (bound === undefined) throw new SchemaFault(`${exclusive} cannot be used without ${name}`);
    else if (open) {
      // Draft 4: the bound itself is not allowed.
      node[exclusive] = bound as RegoNumber; // checked to be one
      delete node[name];
    }
  }
  const { minimum, maximum } = node;
  if (minimum !== undefined && maximum !== undefined && compareNumbers(minimum, maximum) > 0) {
    throw new SchemaFault("minimum cannot be greater than maximum");
  }
}

function readStrings(node: SchemaNode, object: PlainObject): void {
  readCounts(node, object, "minLength", "maxLength");
  const text = memberOf(object, "pattern");
  if (text !== undefined) {
    const pattern = typeof text === "string" ? readPattern(text) : undefined;
    if (typeof text !== "string") throw new SchemaFault("pattern must be of a string");
    if (pattern === undefined) throw new SchemaFault("pattern must be a valid regex");
    node.pattern = pattern;
  }
  const format = memberOf(object, "format");
  if (format !== undefined) {
    if (typeof format !== "string") throw new SchemaFault("format must be of a string");
    node.format = format;
  }
}

/** Patterns are RE2's, as in OPA; undefined for one that is none. */
export function readPattern(text: string): Pattern | undefined {
  try {
    const compiled = RE2JS.compile(text);
    const size = compiled.programSize();
    return {
      text,
      isFoundIn: (subject) => compiled.matcher(subject).find(),
      stepsFor: (subject) => 5 + ((subject.length * size) >> 4),
    };
  } catch {
    return undefined; // a syntax error, which is all that compiling throws: a fault
  }
}

function uniqueList(value: Value, name: string): readonly Value[] {
  if (!isArray(value)) throw new SchemaFault(`${name} must be of an array`);
  if (new Set(value.map(keyOf)).size < value.length) throw new SchemaFault(`${name} items must be unique`);
  return value;
}

function uniqueTexts(value: Value, name: string): readonly string[] {
  const list = uniqueList(value, name);
  if (list.some((item) => typeof item !== "string")) throw new SchemaFault(`${name} items must be string`);
  return list as readonly string[]; // just checked
}
