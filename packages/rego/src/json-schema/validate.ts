/**
 * Validates plain JSON against a schema that schema.ts has read. What is wrong is told as gojsonschema tells it: each with
 * a type, the field, and a description; in the order in which that looks.
 */
import { writeJson } from "../json.ts";
import { compareNumbers, isIntegerNumber, type RegoNumber, writeNumber } from "../number.ts";
import {
  equalValues,
  isArray,
  isNumber,
  isObject,
  type Key,
  keyOf,
  memberOf,
  type PlainObject,
  sortedEntries,
  type Value,
} from "../value.ts";
import { isOfFormat } from "./formats.ts";
import { readPattern, type Schema, type SchemaNode } from "./schema.ts";

export interface Violation {
  readonly type: string;
  readonly field: string;
  readonly description: string;
}

/** A schema that leads on without end. */
export class EndlessSchema extends Error {}

/** Schemas that are followed within one another, references included. */
const DEPTH_MAX = 500;

/** What is wrong with a document. `onStep` is told of the work, in units of about a hundred nanoseconds. */
export function validateJson(schema: Schema, document: Value, onStep: (steps: number) => void): readonly Violation[] {
  return new Validator(onStep).validate(schema, document, "(root)", 0).violations;
}

/** What one schema found. The score tells which of several alternatives came closest. */
class Findings {
  readonly violations: Violation[] = [];
  score = 0;

  add(type: string, context: string, description: string): void {
    this.violations.push({ type, field: context.replace(/^\(root\)\./, ""), description });
    this.score -= 2;
  }

  /** Adds what sums up the findings of others, which have counted already. */
  sumUp(type: string, context: string, description: string): void {
    this.add(type, context, description);
    this.score += 2;
  }

  merge(other: Findings): void {
    this.violations.push(...other.violations);
    this.score += other.score;
  }

  get isGood(): boolean {
    return this.violations.length === 0;
  }
}

class Validator {
  readonly #onStep: (steps: number) => void;

  constructor(onStep: (steps: number) => void) {
    this.#onStep = onStep;
  }

  validate(schema: Schema, value: Value, context: string, depth: number): Findings {
    this.#onStep(3);
    if (depth > DEPTH_MAX) throw new EndlessSchema(`schemas lead on deeper than ${DEPTH_MAX}`);
    const findings = new Findings();
    if (typeof schema === "boolean") {
      if (!schema) findings.add("false", context, "False always fails validation");
      return findings;
    }
    this.#onStep(sizeOf(schema) >> 2);
    if (schema.reference !== undefined) return this.validate(schema.reference, value, context, depth + 1);
    if (schema.types !== undefined && !isOfType(schema.types, value)) {
      const given = typeOf(value);
      const expected = schema.types.join(",");
      findings.add("invalid_type", context, `Invalid type. Expected: ${expected}, given: ${given}`);
      return findings;
    }
    this.#combinations(schema, value, context, depth, findings);
    if (isArray(value)) this.#array(schema, value, context, depth, findings);
    else if (isObject(value))
      this.#object(schema, value as PlainObject, context, depth, findings); // of JSON
    else if (isNumber(value)) validateNumber(schema, value, context, findings);
    validateCommon(schema, value, context, findings);
    if (typeof value === "string") this.#string(schema, value, context, findings);
    if (isObject(value)) {
      for (const [name, property] of schema.properties ?? []) {
        const member = memberOf(value, name);
        if (member !== undefined) findings.merge(this.validate(property, member, `${context}.${name}`, depth + 1));
      }
    }
    return findings;
  }

  #combinations(schema: SchemaNode, value: Value, context: string, depth: number, findings: Findings): void {
    const each = (inner: Schema) => this.validate(inner, value, context, depth + 1);
    if (schema.anyOf !== undefined && schema.anyOf.length > 0) {
      const best = closest(schema.anyOf, each);
      if (!best.isGood) {
        findings.sumUp("number_any_of", context, "Must validate at least one schema (anyOf)");
        findings.merge(best);
      }
    }
    if (schema.oneOf !== undefined && schema.oneOf.length > 0) {
      const all = schema.oneOf.map(each);
      const good = all.filter(({ isGood }) => isGood).length;
      if (good !== 1) {
        findings.sumUp("number_one_of", context, "Must validate one and only one schema (oneOf)");
        if (good === 0) findings.merge(all.reduce((best, other) => (other.score > best.score ? other : best)));
      }
    }
    if (schema.allOf !== undefined) {
      const all = schema.allOf.map(each);
      for (const one of all) findings.merge(one);
      if (!all.every(({ isGood }) => isGood)) {
        findings.sumUp("number_all_of", context, "Must validate all the schemas (allOf)");
      }
    }
    if (schema.not !== undefined && each(schema.not).isGood) {
      findings.sumUp("number_not", context, "Must not validate the schema (not)");
    }
    if (schema.dependencies !== undefined && isObject(value)) {
      for (const { name, needs } of schema.dependencies) {
        if (memberOf(value, name) === undefined) continue;
        if (isNameList(needs)) {
          for (const need of needs) {
            if (memberOf(value, need) !== undefined) continue;
            findings.sumUp("missing_dependency", context, `Has a dependency on ${need}`);
          }
        } else findings.merge(each(needs));
      }
    }
    const { condition } = schema;
    if (condition !== undefined) {
      const branch = each(condition.if).isGood ? "then" : "else";
      const inner = condition[branch];
      const found = inner === undefined ? undefined : each(inner);
      if (found !== undefined && !found.isGood) {
        const was = branch === "then" ? "was valid" : "was not valid";
        findings.sumUp(`condition_${branch}`, context, `Must validate "${branch}" as "if" ${was}`);
        findings.merge(found);
      }
    }
    findings.score += 1;
  }

  #array(schema: SchemaNode, items: readonly Value[], context: string, depth: number, findings: Findings): void {
    const at = (inner: Schema, item: Value, index: number) =>
      findings.merge(this.validate(inner, item, `${context}.${index}`, depth + 1));
    if (isSchemaList(schema.items)) {
      const positional = schema.items;
      for (const [index, item] of items.entries()) {
        const inner = positional[index] ?? schema.additionalItems ?? true;
        if (index < positional.length || inner !== false) at(inner, item, index);
        else {
          findings.sumUp("array_no_additional_items", context, "No additional items allowed on array");
          break;
        }
      }
    } else if (schema.items !== undefined) {
      for (const [index, item] of items.entries()) at(schema.items, item, index);
    }
    const { minItems, maxItems } = schema;
    if (minItems !== undefined && items.length < minItems) {
      findings.sumUp("array_min_items", context, `Array must have at least ${minItems} items`);
    }
    if (maxItems !== undefined && items.length > maxItems) {
      findings.sumUp("array_max_items", context, `Array must have at most ${maxItems} items`);
    }
    if (schema.uniqueItems === true) {
      const seen = new Map<Key, number>();
      for (const [index, item] of items.entries()) {
        const before = seen.get(keyOf(item));
        if (before !== undefined) {
          findings.sumUp("unique", context, `array items[${before},${index}] must be unique`);
        } else seen.set(keyOf(item), index);
      }
    }
    const { contains } = schema;
    if (contains !== undefined) {
      const all = items.map((item, index) => this.validate(contains, item, `${context}.${index}`, depth + 1));
      if (!all.some(({ isGood }) => isGood)) {
        findings.sumUp("contains", context, "At least one of the items must match");
        if (all.length > 0) findings.merge(all.reduce((best, other) => (other.score > best.score ? other : best)));
      }
    }
    findings.score += 1;
  }

  #object(schema: SchemaNode, object: PlainObject, context: string, depth: number, findings: Findings): void {
    const entries = sortedEntries(object) as readonly (readonly [string, Value])[]; // of JSON, all keys are strings
    const { minProperties, maxProperties } = schema;
    if (minProperties !== undefined && entries.length < minProperties) {
      findings.sumUp("array_min_properties", context, `Must have at least ${minProperties} properties`);
    }
    if (maxProperties !== undefined && entries.length > maxProperties) {
      findings.sumUp("array_max_properties", context, `Must have at most ${maxProperties} properties`);
    }
    for (const name of schema.required ?? []) {
      if (memberOf(object, name) === undefined) findings.sumUp("required", context, `${name} is required`);
      else findings.score += 1;
    }
    for (const [name, value] of entries) {
      let isDescribed = schema.properties?.has(name) === true;
      for (const { pattern, schema: inner } of schema.patternProperties ?? []) {
        this.#onStep(pattern.stepsFor(name));
        if (!pattern.isFoundIn(name)) continue;
        isDescribed = true;
        findings.merge(this.validate(inner, value, `${context}.${name}`, depth + 1));
      }
      const { additionalProperties, propertyNames } = schema;
      if (!isDescribed && additionalProperties === false) {
        findings.sumUp("additional_property_not_allowed", context, `Additional property ${name} is not allowed`);
      } else if (!isDescribed && additionalProperties !== undefined) {
        findings.merge(this.validate(additionalProperties, value, `${context}.${name}`, depth + 1));
      }
      if (propertyNames !== undefined) {
        const found = this.validate(propertyNames, name, context, depth + 1);
        if (!found.isGood) {
          findings.sumUp("invalid_property_name", context, `Property name of "${name}" does not match`);
          findings.merge(found);
        }
      }
    }
    findings.score += 1;
  }

  #string(schema: SchemaNode, text: string, context: string, findings: Findings): void {
    const { minLength, maxLength, pattern } = schema;
    if (minLength !== undefined || maxLength !== undefined) {
      let length = 0;
      for (const _ of text) length += 1;
      if (minLength !== undefined && length < minLength) {
        findings.sumUp("string_gte", context, `String length must be greater than or equal to ${minLength}`);
      }
      if (maxLength !== undefined && length > maxLength) {
        findings.sumUp("string_lte", context, `String length must be less than or equal to ${maxLength}`);
      }
    }
    if (pattern !== undefined) {
      this.#onStep(pattern.stepsFor(text));
      if (!pattern.isFoundIn(text)) {
        findings.sumUp("pattern", context, `Does not match pattern '${pattern.text}'`);
      }
    }
    findings.score += 1;
  }
}

/** What a value is held against one by one, however small it is. */
function sizeOf({ properties, required, enumeration, dependencies }: SchemaNode): number {
  return (properties?.size ?? 0) + (required?.length ?? 0) + (enumeration?.length ?? 0) + (dependencies?.length ?? 0);
}

/** The first that is good, or else the one that came closest. */
function closest(schemas: readonly Schema[], each: (schema: Schema) => Findings): Findings {
  let best: Findings | undefined;
  for (const schema of schemas) {
    const found = each(schema);
    if (found.isGood) return found;
    if (best === undefined || found.score > best.score) best = found;
  }
  return best ?? new Findings();
}

function isSchemaList(items: Schema | readonly Schema[] | undefined): items is readonly Schema[] {
  return Array.isArray(items);
}

function isNameList(needs: readonly string[] | Schema): needs is readonly string[] {
  return Array.isArray(needs);
}

function typeOf(value: Value): string {
  if (value === null) return "null";
  if (isArray(value)) return "array";
  if (isNumber(value)) return isIntegerNumber(value) ? "integer" : "number";
  return typeof value;
}

function isOfType(types: readonly string[], value: Value): boolean {
  const type = typeOf(value);
  return types.length === 0 || types.includes(type) || (type === "integer" && types.includes("number"));
}

function validateNumber(schema: SchemaNode, value: RegoNumber, context: string, findings: Findings): void {
  const { multipleOf, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  if (multipleOf !== undefined && !isMultiple(value, multipleOf)) {
    findings.sumUp("multiple_of", context, `Must be a multiple of ${writeNumber(multipleOf)}`);
  }
  if (maximum !== undefined && compareNumbers(value, maximum) > 0) {
    findings.sumUp("number_lte", context, `Must be less than or equal to ${writeNumber(maximum)}`);
  }
  if (exclusiveMaximum !== undefined && compareNumbers(value, exclusiveMaximum) >= 0) {
    findings.sumUp("number_lt", context, `Must be less than ${writeNumber(exclusiveMaximum)}`);
  }
  if (minimum !== undefined && compareNumbers(value, minimum) < 0) {
    findings.sumUp("number_gte", context, `Must be greater than or equal to ${writeNumber(minimum)}`);
  }
  if (exclusiveMinimum !== undefined && compareNumbers(value, exclusiveMinimum) <= 0) {
    findings.sumUp("number_gt", context, `Must be greater than ${writeNumber(exclusiveMinimum)}`);
  }
  findings.score += 1;
}

/** Whether a number is a whole multiple of another, in decimals and therefore exactly. */
function isMultiple(value: RegoNumber, of: RegoNumber): boolean {
  const [a, b] = [decimalParts(value), decimalParts(of)];
  const exponent = Math.min(a.exponent, b.exponent);
  const scale = ({ coefficient, exponent: own }: DecimalParts) => coefficient * 10n ** BigInt(own - exponent);
  return scale(a) % scale(b) === 0n;
}

interface DecimalParts {
  readonly coefficient: bigint;
  readonly exponent: number;
}

function decimalParts(value: RegoNumber): DecimalParts {
  const [digits = "0", exponent = "0"] = writeNumber(value).split("e");
  const [whole = "0", fraction = ""] = digits.split(".");
  return { coefficient: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length };
}

function validateCommon(schema: SchemaNode, value: Value, context: string, findings: Findings): void {
  const field = context.replace(/^\(root\)\./, "");
  if (schema.constant !== undefined && !equalValues(schema.constant.value, value)) {
    findings.sumUp("const", context, `${field} does not match: ${writeJson(schema.constant.value)}`);
  }
  if (schema.enumeration !== undefined && !schema.enumeration.some((allowed) => equalValues(allowed, value))) {
    const allowed = schema.enumeration.map(writeJson).join(", ");
    findings.sumUp("enum", context, `${field} must be one of the following: ${allowed}`);
  }
  const { format } = schema;
  if (format !== undefined && typeof value === "string") {
    const isGood = format === "regex" ? readPattern(value) !== undefined : isOfFormat(format, value);
    if (!isGood) findings.sumUp("format", context, `Does not match format '${format}'`);
  }
  findings.score += 1;
}
