import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readSchema, SchemaFault } from "../json-schema/schema.ts";
import { EndlessSchema, validateJson } from "../json-schema/validate.ts";
import type { Value } from "../value.ts";
import { valueOfQuery } from "./query.fixture.ts";

/** The violations of a document wrapped in `{"x": …}`, as `type error`. */
function violationsOf(schema: Value, document: Value): unknown {
  const input = { document: { x: document }, schema: { properties: { x: schema } } };
  const value = valueOfQuery("json.match_schema(input.document, input.schema)", { input });
  if (typeof value === "string") return value;
  const [isValid, violations] = value as [boolean, { type: string; error: string; field: string; desc: string }[]];
  expect(isValid).toBe(violations.length === 0);
  for (const { field, desc, error } of violations) expect(error).toBe(`${field}: ${desc}`);
  return violations.map(({ type, error }) => `${type} ${error}`);
}

describe("json.match_schema", () => {
  test.each<[schema: Value, good: Value, bad: Value, violations: readonly string[]]>([
    [{ type: "integer" }, 1, "1", ["invalid_type x: Invalid type. Expected: integer, given: string"]],
    [{ type: "integer" }, 1, 1.5, ["invalid_type x: Invalid type. Expected: integer, given: number"]],
    [{ type: ["string", "null"] }, null, [], ["invalid_type x: Invalid type. Expected: string,null, given: array"]],
    [{ type: "number" }, 3, true, ["invalid_type x: Invalid type. Expected: number, given: boolean"]],
    [true, 1, 1, []],
    [{ not: { minimum: 1 } }, 0, 1, ["number_not x: Must not validate the schema (not)"]],
    [{ required: ["a"] }, { a: 1 }, { b: 1 }, ["required x: a is required"]],
    [
      { properties: { a: { type: "null" } } },
      {},
      { a: 0 },
      ["invalid_type x.a: Invalid type. Expected: null, given: integer"],
    ],
    [
      { properties: { a: {} }, additionalProperties: false },
      { a: 1 },
      { b: 1 },
      ["additional_property_not_allowed x: Additional property b is not allowed"],
    ],
    [
      { additionalProperties: { type: "string" } },
      { a: "" },
      { a: 1 },
      ["invalid_type x.a: Invalid type. Expected: string, given: integer"],
    ],
    [
      { patternProperties: { "^n": { minimum: 1 } }, additionalProperties: false },
      { n1: 1 },
      { n1: 0 },
      ["number_gte x.n1: Must be greater than or equal to 1"],
    ],
    [
      { propertyNames: { maxLength: 2 } },
      { ab: 1 },
      { abc: 1 },
      [
        'invalid_property_name x: Property name of "abc" does not match',
        "string_lte x: String length must be less than or equal to 2",
      ],
    ],
    [{ minProperties: 1 }, { a: 1 }, {}, ["array_min_properties x: Must have at least 1 properties"]],
    [{ maxProperties: 1 }, { a: 1 }, { a: 1, b: 1 }, ["array_max_properties x: Must have at most 1 properties"]],
    [{ dependencies: { a: ["b"] } }, { b: 1 }, { a: 1 }, ["missing_dependency x: Has a dependency on b"]],
    [{ dependencies: { a: { required: ["b"] } } }, { a: 1, b: 1 }, { a: 1 }, ["required x: b is required"]],
    [
      { items: { type: "string" } },
      ["a"],
      ["a", 1],
      ["invalid_type x.1: Invalid type. Expected: string, given: integer"],
    ],
    [
      { items: [{}, { const: 2 }], additionalItems: false },
      [1, 2],
      [1, 2, 3],
      ["array_no_additional_items x: No additional items allowed on array"],
    ],
    [{ items: [{}], additionalItems: { const: 1 } }, [0, 1], [0, 2], ["const x.1: x.1 does not match: 1"]],
    [{ minItems: 1 }, [1], [], ["array_min_items x: Array must have at least 1 items"]],
    [{ maxItems: 1 }, [1], [1, 2], ["array_max_items x: Array must have at most 1 items"]],
    [
      { uniqueItems: true },
      [1, "1"],
      [{ a: 1, b: 2 }, 0, { b: 2, a: 1 }],
      ["unique x: array items[0,2] must be unique"],
    ],
    [{ contains: { const: 1 } }, [0, 1], [], ["contains x: At least one of the items must match"]],
    [{ multipleOf: 0.1 }, 0.3, 0.35, ["multiple_of x: Must be a multiple of 0.1"]],
    [{ minimum: 1, maximum: 2 }, 2, 3, ["number_lte x: Must be less than or equal to 2"]],
    [{ exclusiveMinimum: 1 }, 1.5, 1, ["number_gt x: Must be greater than 1"]],
    [{ maximum: 2, exclusiveMaximum: true }, 1, 2, ["number_lt x: Must be less than 2"]],
    [{ minLength: 2 }, "𝄞𝄞", "𝄞", ["string_gte x: String length must be greater than or equal to 2"]],
    [{ pattern: "^a+$" }, "aa", "ab", ["pattern x: Does not match pattern '^a+$'"]],
    [{ enum: [1, "a"] }, "a", "b", ['enum x: x must be one of the following: 1, "a"']],
    [{ const: { a: [1] } }, { a: [1] }, {}, ['const x: x does not match: {"a":[1]}']],
    [
      { anyOf: [{ type: "string" }, { minimum: 3 }] },
      3,
      2,
      [
        "number_any_of x: Must validate at least one schema (anyOf)",
        "number_gte x: Must be greater than or equal to 3",
      ],
    ],
    [
      { oneOf: [{ minimum: 1 }, { maximum: 3 }] },
      0,
      2,
      ["number_one_of x: Must validate one and only one schema (oneOf)"],
    ],
    [
      { allOf: [{ minimum: 1 }, { maximum: 3 }] },
      2,
      4,
      ["number_lte x: Must be less than or equal to 3", "number_all_of x: Must validate all the schemas (allOf)"],
    ],
    [
      JSON.parse('{"if": {"minimum": 10}, "then": {"multipleOf": 10}, "else": {"multipleOf": 1}}') as Value,
      20,
      11,
      ['condition_then x: Must validate "then" as "if" was valid', "multiple_of x: Must be a multiple of 10"],
    ],
    [
      { if: { minimum: 10 }, else: { multipleOf: 2 } },
      11,
      3,
      ['condition_else x: Must validate "else" as "if" was not valid', "multiple_of x: Must be a multiple of 2"],
    ],
  ])("%j allows %j but not %j", (schema, good, bad, violations) => {
    expect(violationsOf(schema, good)).toEqual([]);
    expect(violationsOf(schema, bad)).toEqual(violations);
  });

  test.each([
    ["date", "2024-02-29", "2023-02-29"],
    ["time", "10:00:00Z", "10:00"],
    ["date-time", "2024-02-29T10:00:00.5+01:00", "yesterday"],
    ["email", "me@example.com", "me"],
    ["hostname", "a.example.com", "-a.example.com"],
    ["ipv4", "127.0.0.1", "127.0.0.256"],
    ["ipv6", "fe80::1", "fe80:::1"],
    ["uri", "https://example.com/x?y#z", "/x"],
    ["uri-reference", "/x", "a b"],
    ["uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"],
    ["regex", "a+", "a("],
    ["json-pointer", "/a~1b", "a"],
  ])("the format %s allows %s but not %s", (format, good, bad) => {
    expect(violationsOf({ format }, good)).toEqual([]);
    expect(violationsOf({ format }, bad)).toEqual([`format x: Does not match format '${format}'`]);
    expect(violationsOf({ format }, 1)).toEqual([]);
  });

  test("references lead within the schema, to itself too", () => {
    const tree = { definitions: { tree: { items: { $ref: "#/definitions/tree" }, type: "array" } } };
    expect(violationsOf({}, [])).toEqual([]);
    const input = {
      document: { x: [[], [[1]]] },
      schema: { ...tree, properties: { x: { $ref: "#/definitions/tree" } } },
    };
    expect(valueOfQuery("json.match_schema(input.document, input.schema)", { input })).toEqual([
      false,
      [
        {
          type: "invalid_type",
          field: "x.1.0.0",
          desc: "Invalid type. Expected: array, given: integer",
          error: "x.1.0.0: Invalid type. Expected: array, given: integer",
        },
      ],
    ]);
  });

  test("references lead to schemas by their identifiers", () => {
    const schema = {
      $id: "https://example.com/root.json",
      definitions: { a: { $id: "#a", const: 1 }, b: { $id: "b.json", const: 2 }, "c/d": { const: 3 } },
      properties: { a: { $ref: "#a" }, b: { $ref: "b.json" }, c: { $ref: "root.json#/definitions/c~1d" } },
    };
    const valid = { document: { a: 1, b: 2, c: 3 }, schema };
    const invalid = { document: { a: 2, b: 3, c: 1 }, schema };
    const query = "count(json.match_schema(input.document, input.schema)[1])";
    expect(valueOfQuery(query, { input: valid })).toBe(0);
    expect(valueOfQuery(query, { input: invalid })).toBe(3);
  });

  test("a schema that leads to itself without an end is an error", () => {
    const input = {
      definitions: { a: { $ref: "#/definitions/b" }, b: { $ref: "#/definitions/a" } },
      $ref: "#/definitions/a",
    };
    expect(valueOfQuery("json.match_schema({}, input)", { input })).toMatch(/lead on deeper than/);
  });

  test.each([
    ['json.match_schema("{", {})', "error: json.match_schema: invalid JSON string"],
    ['json.match_schema({}, "{")', "error: json.match_schema: invalid JSON string"],
    ['json.match_schema("[1, 1]", {"uniqueItems": true})[1][0].field', "(root)"],
    ['json.match_schema({"a": {1}}, {"properties": {"a": {"type": "array"}}})', [true, []]],
    ['json.match_schema({}, "false")[1][0].desc', "False always fails validation"],
    ['json.match_schema("12345678901234567890", {"maximum": 12345678901234567889})[1][0].type', "number_lte"],
  ])("%s answers %j", (query, expected) => {
    expect(valueOfQuery(query)).toEqual(expected);
  });

  test("the work for a large document counts against the bound on steps", () => {
    const input = { document: Array.from({ length: 20_000 }, (_, index) => -index - 1) };
    const query = 'json.match_schema({"x": input.document}, {"properties": {"x": {"items": {"not": {"minimum": 0}}}}})';
    expect(valueOfQuery(query, { input, limits: { steps: 60_000 } })).toMatch(/^error: /);
  });
});

describe("json.verify_schema", () => {
  test.each<[schema: Value, message: string]>([
    [
      { type: "unknown" },
      "has a primitive type that is NOT VALID -- given: /unknown/ Expected valid values are:[array boolean integer number null object string]",
    ],
    [{ type: ["string", "string"] }, "string type is duplicated"],
    [{ type: 1 }, "Invalid type. Expected: type, given: string/Array Of Strings"],
    [{ properties: [] }, "Invalid type. Expected: valid schema, given: properties"],
    [{ additionalProperties: 1 }, "Invalid type. Expected: boolean/valid schema, given: additionalProperties"],
    [{ patternProperties: { "(": {} } }, "Invalid regex pattern '('"],
    [{ pattern: "(?=a)" }, "pattern must be a valid regex"],
    [{ required: "a" }, "required must be of an array"],
    [{ required: ["a", "a"] }, "required items must be unique"],
    [{ required: [1] }, "required items must be string"],
    [{ minLength: 1.5 }, "minLength must be of an integer"],
    [{ minItems: -1 }, "minItems must be greater than or equal to 0"],
    [{ minItems: 2, maxItems: 1 }, "minItems cannot be greater than maxItems"],
    [{ minimum: 2, maximum: 1 }, "minimum cannot be greater than maximum"],
    [{ multipleOf: 0 }, "multipleOf must be strictly greater than 0"],
    [{ exclusiveMinimum: true }, "exclusiveMinimum cannot be used without minimum"],
    [{ anyOf: {} }, "anyOf must be of an array"],
    [{ $ref: "#/definitions/none" }, "Object has no key 'definitions'"],
    [{ $ref: "https://example.com/x.json" }, 'remote reference loading disabled: "https://example.com/x.json"'],
  ])("refuses %j", (input, message) => {
    expect(valueOfQuery("json.verify_schema(input)", { input })).toEqual([false, `jsonschema: ${message}`]);
  });

  test.each<[Value | string]>([
    [{}],
    [{ $ref: "#" }],
    ['{"const": null}'],
    ["true"],
    [{ $defs: { a: false }, not: { $ref: "#/$defs/a" } }],
  ])("accepts %j", (input) => {
    expect(valueOfQuery("json.verify_schema(input)", { input })).toEqual([true, null]);
  });
});

test("any JSON as a schema is read or refused, and any document is validated by it", () => {
  const keyword = fc.constantFrom(
    "type",
    "properties",
    "items",
    "$ref",
    "not",
    "anyOf",
    "enum",
    "minLength",
    "pattern",
    "required",
    "$id",
    "if",
    "then",
    "const",
    "dependencies",
    "contains",
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<Value>("string", "#", "#/not", "object", 1, 0, true, false, null, "a", "["),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(keyword, tie("tree"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(tree, fc.jsonValue(), (schema, document) => {
      try {
        validateJson(
          readSchema(schema as Value, () => {}),
          document as Value,
          () => {},
        ); // both are plain JSON
      } catch (cause) {
        expect(cause instanceof SchemaFault || cause instanceof EndlessSchema).toBe(true);
      }
    }),
    { numRuns: 1_000 },
  );
});
