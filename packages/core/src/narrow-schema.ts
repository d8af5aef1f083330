/**
 * Narrows a tool's input schema by conditions on its arguments, so that a model sees its limits before it calls. What
 * the narrowed schema rejects and the pinned one accepts is surely denied; it may accept what is denied, since not every
 * condition can be said in JSON Schema. It only ever adds to the pinned schema, so it is never wider.
 *
 * A constraint is written where the pinned schema describes the argument, when nothing there could change its meaning;
 * else it goes into an `allOf` above. Where even that could change what the pinned schema means (it refers to its own
 * parts, or to what no other keyword has looked at) it is left out. The decision itself rests on none of this.
 */
import {
  type ArgumentCondition,
  compareNumbers,
  ExactNumber,
  equalJson,
  isJsonArray,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseStrictJsonText,
  writeJson,
} from "@writ/contract";

/** Must hold; with `negated`, must surely fail. */
export interface SchemaAssertion {
  readonly condition: ArgumentCondition;
  readonly negated: boolean;
}

export interface SchemaAssertions {
  /** Each must be met. */
  readonly all: readonly SchemaAssertion[];
  /** Of each list, one alternative must be met whole. */
  readonly any: readonly (readonly (readonly SchemaAssertion[])[])[];
}

/** Assertions written into one schema; the rest is left out. */
const ASSERTIONS_MAX = 256;
const ALTERNATIVES_MAX = 8;
/** Elements of a list that a pointer may step over to the one it names. */
const INDEX_MAX = 16;
const DEPTH_MAX = 64;

/** The definition with its `inputSchema` narrowed; the same text when nothing can be said. Never throws. */
export function narrowDefinition(definition: string, assertions: SchemaAssertions): string {
  if (assertions.all.length === 0 && assertions.any.length === 0) return definition;
  const read = parseStrictJsonText(definition, { depthMax: DEPTH_MAX });
  if (read.kind === "fault" || !isJsonObject(read.value)) return definition;
  const schema = read.value["inputSchema"];
  if (schema === undefined || !isJsonObject(schema)) return definition;
  const narrowed = narrowSchema(schema, assertions);
  return narrowed === schema ? definition : writeJson(withMembers(read.value, { inputSchema: narrowed }));
}

/** All that a definition is narrowed by, as a text: the same text narrows the same definition alike. */
export function writeAssertions({ all, any }: SchemaAssertions): string {
  return `[${writeList(all)},[${any.map((alternatives) => `[${alternatives.map(writeList).join(",")}]`).join(",")}]]`;
}

function writeList(assertions: readonly SchemaAssertion[]): string {
  const texts = assertions.map(({ condition, negated }) => {
    return `[${negated},${JSON.stringify(condition.pointer)},${writeJson(condition.operators)}]`;
  });
  return `[${texts.join(",")}]`;
}

/** The schema itself when nothing can be said. */
function narrowSchema(schema: JsonObject, assertions: SchemaAssertions): JsonObject {
  const nature = natureOf(schema);
  if (nature === "recursive") return schema;
  const mayConjoin = nature === "plain";
  let narrowed = schema;
  for (const assertion of assertions.all.slice(0, ASSERTIONS_MAX)) {
    narrowed = narrowAt(narrowed, assertion.condition.steps, leafOf(assertion), mayConjoin) ?? narrowed;
  }
  if (!mayConjoin) return narrowed;
  for (const alternatives of assertions.any) {
    if (alternatives.length > ALTERNATIVES_MAX) continue;
    const schemas = alternatives.map(conjoin);
    // An alternative that says nothing is met by anything.
    if (schemas.every((alternative) => alternative !== undefined))
      narrowed = addAllOf(narrowed, makeObject({ anyOf: schemas }));
  }
  return narrowed;
}

// --- what a schema is made of -----------------------------------------------------------------------------------

/**
 * recursive: it refers to parts of itself that are described where an argument is, so that narrowing one would narrow
 * others. unevaluated: what an added part describes would count as described.
 */
function natureOf(schema: JsonValue): "plain" | "unevaluated" | "recursive" {
  let nature: "plain" | "unevaluated" = "plain";
  const rest: JsonValue[] = [schema];
  for (let value = rest.pop(); value !== undefined; value = rest.pop()) {
    if (isJsonArray(value)) rest.push(...value);
    if (!isJsonObject(value)) continue;
    for (const [name, member] of Object.entries(value)) {
      if (name === "$dynamicRef" || name === "$recursiveRef") return "recursive";
      // A property may have these names too; that only leaves more out.
      if (name === "$ref" && !(typeof member === "string" && /^#\/(?:\$defs|definitions)\//.test(member)))
        return "recursive";
      if (name === "unevaluatedProperties" || name === "unevaluatedItems") nature = "unevaluated";
      rest.push(member);
    }
  }
  return nature;
}

interface Leaf {
  readonly keywords: JsonObject;
  /** Whether the argument must be there. */
  readonly required: boolean;
}

const NOTHING = makeObject({ not: makeObject({}) });

/** What every value that meets the assertion surely is. */
function leafOf({ condition, negated }: SchemaAssertion): Leaf {
  const { absent, ...operators } = condition.operators;
  const names = Object.keys(operators);
  const mayBeAbsent = absent === true;
  if (names.length === 0) {
    return negated ? { keywords: makeObject({}), required: true } : { keywords: NOTHING, required: false };
  }
  // Negated, some operator fails, which takes a value; which one fails is known where there is one.
  if (negated) {
    const [only] = names;
    const isOne = names.length === 1 && only !== undefined;
    return { keywords: isOne ? failing(only, operators[only]) : makeObject({}), required: true };
  }
  let keywords = makeObject({});
  for (const name of names) keywords = mergeInto(keywords, holding(name, operators[name]));
  return { keywords, required: !mayBeAbsent };
}

function holding(operator: string, operand: JsonValue | undefined): JsonObject {
  switch (operator) {
    case "eq":
      return operand === undefined ? makeObject({}) : makeObject({ const: operand });
    case "in":
      return isList(operand) ? makeObject({ enum: distinct(operand) }) : makeObject({});
    case "min":
      return isNumber(operand) ? makeObject({ type: "number", minimum: operand }) : makeObject({});
    case "max":
      return isNumber(operand) ? makeObject({ type: "number", maximum: operand }) : makeObject({});
    case "prefix":
      return typeof operand === "string"
        ? makeObject({ type: "string", pattern: `^${escapePattern(operand)}` })
        : makeObject({});
    case "suffix":
      return typeof operand === "string"
        ? makeObject({ type: "string", pattern: `${escapePattern(operand)}$` })
        : makeObject({});
    case "max_length":
      // We count UTF-16 code units, JSON Schema characters, of which there are never more.
      return typeof operand === "number" ? makeObject({ type: "string", maxLength: operand }) : makeObject({});
    case "host":
    case "cidr":
      return makeObject({ type: "string" });
    default:
      return makeObject({});
  }
}

/** Where the operator surely fails: the value is comparable and outside. */
function failing(operator: string, operand: JsonValue | undefined): JsonObject {
  switch (operator) {
    case "eq":
      return operand === undefined ? makeObject({}) : makeObject({ not: makeObject({ const: operand }) });
    case "in":
      return isList(operand) ? makeObject({ not: makeObject({ enum: distinct(operand) }) }) : makeObject({});
    case "min":
      return isNumber(operand) ? makeObject({ type: "number", exclusiveMaximum: operand }) : makeObject({});
    case "max":
      return isNumber(operand) ? makeObject({ type: "number", exclusiveMinimum: operand }) : makeObject({});
    case "prefix":
      return typeof operand === "string"
        ? makeObject({ type: "string", not: makeObject({ pattern: `^${escapePattern(operand)}` }) })
        : makeObject({});
    case "suffix":
    case "max_length":
    case "host":
    case "cidr":
      return makeObject({ type: "string" });
    default:
      return makeObject({});
  }
}

/** A text as a regular expression that is read alike with and without the flag `u`. */
function escapePattern(text: string): string {
  return text.replaceAll(/[\^$\\.*+?()[\]{}|/]/g, "\\$&");
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return value !== undefined && isJsonArray(value);
}

function distinct(list: readonly JsonValue[]): readonly JsonValue[] {
  return list.filter((element, at) => list.findIndex((other) => equalJson(element, other)) === at);
}

function isNumber(value: JsonValue | undefined): value is number | ExactNumber {
  return typeof value === "number" || value instanceof ExactNumber;
}

// --- writing it in ----------------------------------------------------------------------------------------------

/** The schema with the constraint on what is at `steps`; undefined when it cannot be said. */
function narrowAt(
  schema: JsonObject,
  steps: readonly string[],
  leaf: Leaf,
  mayConjoin: boolean,
): JsonObject | undefined {
  const [step, ...rest] = steps;
  if (step === undefined) return mergeInto(schema, leaf.keywords);
  // Beside a reference nothing counts in older dialects, so it is not a place to write to.
  const child = "$ref" in schema ? undefined : propertyOf(schema, step);
  const inPlace = child === undefined ? undefined : narrowAt(child, rest, leaf, mayConjoin);
  if (inPlace !== undefined) {
    const properties = schema["properties"];
    const own = properties !== undefined && isJsonObject(properties) ? properties : makeObject({});
    const narrowed = withMembers(schema, { properties: withMembers(own, { [step]: inPlace }) });
    return leaf.required ? requireMember(narrowed, step) : narrowed;
  }
  if (!mayConjoin) return undefined;
  const path = pathSchema(steps, leaf);
  return path === undefined ? schema : addAllOf(schema, path);
}

/** The schema of a property that is described by an object of its own. A name of digits may be a place in a list. */
function propertyOf(schema: JsonObject, name: string): JsonObject | undefined {
  const properties = schema["properties"];
  if (properties === undefined || !isJsonObject(properties) || isIndex(name)) return undefined;
  const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
  return property !== undefined && isJsonObject(property) && !("$ref" in property) ? property : undefined;
}

function requireMember(schema: JsonObject, name: string): JsonObject {
  const { type = "object", required = [] } = schema;
  if (!isJsonArray(required)) return addAllOf(schema, makeObject({ type: "object", required: [name] }));
  return withMembers(schema, { type, ...(required.includes(name) ? {} : { required: [...required, name] }) });
}

/** The constraint as a schema of its own, from above `steps`; undefined when it says nothing. */
function pathSchema(steps: readonly string[], leaf: Leaf): JsonObject | undefined {
  const [step, ...rest] = steps;
  if (step === undefined) return Object.keys(leaf.keywords).length === 0 && !leaf.required ? undefined : leaf.keywords;
  const inner = pathSchema(rest, leaf);
  if (inner === undefined) return undefined;
  const properties = makeObject({ [step]: inner });
  if (!isIndex(step)) {
    return makeObject(leaf.required ? { type: "object", properties, required: [step] } : { properties });
  }
  // A list's element, or a member with a number for a name.
  const at = Number(step);
  const items = at > INDEX_MAX ? {} : { prefixItems: [...Array.from({ length: at }, () => makeObject({})), inner] };
  return makeObject(
    leaf.required
      ? { type: ["object", "array"], properties, required: [step], minItems: at + 1, ...items }
      : { properties, ...items },
  );
}

/** As the pointers of conditions read it. */
function isIndex(step: string): boolean {
  return /^(?:0|[1-9][0-9]{0,8})$/.test(step);
}

/** All assertions in one schema; undefined when they say nothing. */
function conjoin(assertions: readonly SchemaAssertion[]): JsonObject | undefined {
  const parts: JsonObject[] = [];
  for (const assertion of assertions) {
    const part = pathSchema(assertion.condition.steps, leafOf(assertion));
    if (part !== undefined) parts.push(part);
  }
  if (parts.length === 0) return undefined;
  return parts.length === 1 ? parts[0] : makeObject({ allOf: parts });
}

function addAllOf(schema: JsonObject, part: JsonObject): JsonObject {
  const before = schema["allOf"];
  return withMembers(schema, { allOf: [...(isList(before) ? before : []), part] });
}

/** Both at once; what cannot stand beside what is there goes into `allOf`. */
function mergeInto(schema: JsonObject, keywords: JsonObject): JsonObject {
  const added: Record<string, JsonValue> = {};
  const beside: Record<string, JsonValue> = {};
  for (const [name, value] of Object.entries(keywords)) {
    const before = schema[name];
    const merged = before === undefined ? value : mergeKeyword(schema, name, before, value);
    if (merged !== undefined) added[name] = merged;
    else beside[name] = value;
  }
  const merged = Object.keys(added).length === 0 ? schema : withMembers(schema, added);
  // None of these keywords describes a property, so that it is safe beside `unevaluatedProperties` too.
  return Object.keys(beside).length === 0 ? merged : addAllOf(merged, makeObject(beside));
}

/** The keyword with both meanings; undefined when one keyword cannot have both. */
function mergeKeyword(schema: JsonObject, name: string, before: JsonValue, value: JsonValue): JsonValue | undefined {
  switch (name) {
    case "type": {
      // `integer` is the narrower number. A type that excludes the wanted one rejects everything already.
      const types = isJsonArray(before) ? before : [before];
      const kept = types.filter((type) => type === value || (value === "number" && type === "integer"));
      return kept.length === types.length || kept.length === 0 ? before : kept.length === 1 ? kept[0] : kept;
    }
    case "minimum":
    case "maximum": {
      // In draft 4 the exclusive form is a boolean that speaks of this keyword.
      const exclusive = schema[name === "minimum" ? "exclusiveMinimum" : "exclusiveMaximum"];
      if (typeof exclusive === "boolean" || !isNumber(before) || !isNumber(value)) return undefined;
      const order = compareNumbers(before, value);
      return (name === "minimum" ? order >= 0 : order <= 0) ? before : value;
    }
    case "enum": {
      if (!isList(before) || !isList(value)) return undefined;
      const kept = before.filter((element) => value.some((other) => equalJson(element, other)));
      // An empty `enum` is no schema in older dialects.
      return kept.length === 0 ? undefined : kept;
    }
    case "maxLength":
      return typeof before === "number" && typeof value === "number" ? Math.min(before, value) : undefined;
    default:
      return writeJson(before) === writeJson(value) ? before : undefined;
  }
}

function withMembers(object: JsonObject, members: Readonly<Record<string, JsonValue>>): JsonObject {
  return makeObject({ ...object, ...members });
}

function makeObject(members: Readonly<Record<string, JsonValue>>): JsonObject {
  // Null-prototype, as every JsonObject is: names are the upstream's.
  return Object.assign(Object.create(null), members) as JsonObject;
}
