import { writeJson } from "@writ/contract";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalDefinition, canonicalInstructions } from "./canonical-definition.ts";

type Plain = null | boolean | number | string | readonly Plain[] | { readonly [name: string]: Plain };

const name = fc
  .string({ minLength: 1, maxLength: 6 })
  .map((text) => `p${text.toLowerCase().replaceAll(/[^a-z]/g, "x")}`);
const leaf: fc.Arbitrary<Plain> = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null));

const plainKeywords = {
  type: fc.oneof(
    fc.constantFrom("object", "string", "number"),
    fc.uniqueArray(fc.constantFrom("string", "null", "number"), { minLength: 2 }),
  ),
  description: fc.string(),
  required: fc.uniqueArray(name, { maxLength: 4 }),
  enum: fc.uniqueArray(fc.oneof(fc.string(), fc.integer()), { minLength: 1, maxLength: 4 }),
  default: fc.array(leaf, { maxLength: 3 }),
  additionalProperties: fc.boolean(),
};
const anyOf = (keywords: Readonly<Record<string, fc.Arbitrary<Plain>>>): fc.Arbitrary<Plain> =>
  fc.record(keywords, { requiredKeys: [], noNullPrototype: true }) as fc.Arbitrary<Plain>;

/** JSON Schemas of the keywords that tools use. The first alternative is the one at the greatest depth. */
const { schema } = fc.letrec<{ schema: Plain }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3 },
    { weight: 1, arbitrary: anyOf(plainKeywords) },
    {
      weight: 3,
      arbitrary: anyOf({
        ...plainKeywords,
        properties: fc.dictionary(name, tie("schema"), { maxKeys: 3, noNullPrototype: true }),
        allOf: fc.array(tie("schema"), { minLength: 1, maxLength: 2 }),
      }),
    },
  ),
}));

const definition = fc.record(
  {
    name,
    title: fc.string(),
    description: fc.string(),
    inputSchema: schema,
    outputSchema: schema,
    annotations: fc.record({ readOnlyHint: fc.boolean() }),
    icons: fc.array(fc.record({ src: fc.string() }), { maxLength: 2 }),
    _meta: fc.dictionary(name, leaf, { maxKeys: 3, noNullPrototype: true }),
    "x-own": leaf,
  },
  { requiredKeys: ["name", "inputSchema"], noNullPrototype: true },
) as fc.Arbitrary<{ readonly [name: string]: Plain }>;

/** The same value written otherwise: members and sets in another order, escapes and white space. */
function respell(value: Plain, seed: number, place = "definition"): string {
  const space = [" ", "", "\n", "\t "][seed % 4] ?? "";
  if (typeof value === "string") {
    const escaped = [...value].map((unit) =>
      seed % 3 === 0 && unit.length === 1
        ? `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
        : JSON.stringify(unit).slice(1, -1),
    );
    return `"${escaped.join("")}"`;
  }
  if (Array.isArray(value)) {
    const isSet = place === "set";
    const elements = (value as readonly Plain[]).map((element) =>
      respell(element, seed + 1, place === "schemas" ? "schema" : "value"),
    );
    return `[${space}${(isSet ? rotate(elements, seed) : elements).join(`${space},`)}${space}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([member, content]) => {
    const within =
      place === "definition"
        ? member.endsWith("Schema")
          ? "schema"
          : "value"
        : place === "map"
          ? "schema"
          : place !== "schema"
            ? "value"
            : member === "properties"
              ? "map"
              : member === "allOf"
                ? "schemas"
                : ["required", "enum", "type"].includes(member)
                  ? "set"
                  : "value";
    return `${JSON.stringify(member)}${space}:${space}${respell(content, seed + member.length, within)}`;
  });
  return `{${space}${rotate(members, seed).join(`,${space}`)}}`;
}

function rotate<T>(list: readonly T[], by: number): readonly T[] {
  const at = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(at), ...list.slice(0, at)].reverse();
}

function textOf(text: string): string {
  const canonical = canonicalDefinition(text);
  if (canonical.kind === "unreadable") throw new TypeError(canonical.detail);
  return canonical.text;
}

describe("a definition's canonical form", () => {
  test("is the same for every spelling", () => {
    fc.assert(
      fc.property(definition, fc.nat(1_000), (value, seed) => {
        expect(textOf(respell(value, seed))).toBe(textOf(JSON.stringify(value)));
      }),
      { numRuns: 3_000 },
    );
  });

  test("is the same for every spelling of a schema far below others", () => {
    const nested = fc.tuple(definition, fc.integer({ min: 4, max: 24 })).map(([value, depth]) => {
      let inner: Plain = value["inputSchema"] ?? {};
      for (let level = 0; level < depth; level += 1) {
        inner =
          level % 3 === 0 ? { allOf: [inner], required: ["b", "a"] } : { properties: { a: inner }, type: "object" };
      }
      return { ...value, inputSchema: inner };
    });
    fc.assert(
      fc.property(nested, fc.nat(1_000), (value, seed) => {
        expect(textOf(respell(value, seed))).toBe(textOf(JSON.stringify(value)));
      }),
    );
  });

  test("is JSON that says the same again", () => {
    fc.assert(
      fc.property(definition, (value) => {
        const text = textOf(JSON.stringify(value));
        expect(textOf(text)).toBe(text);
      }),
    );
  });

  test("differs for any two values that are not the same but for the order of sets", () => {
    fc.assert(
      fc.property(definition, definition, (one, other) => {
        const isSame = sorted(one) === sorted(other);
        expect(textOf(JSON.stringify(one)) === textOf(JSON.stringify(other))).toBe(isSame);
      }),
      { numRuns: 3_000 },
    );
  });

  const base = {
    name: "pay",
    title: "Pay",
    description: "Pays.",
    inputSchema: {
      type: ["object", "null"],
      properties: { amount: { type: "number", maximum: 10, enum: [1, 2] }, required: { const: [1, 2] } },
      required: ["amount", "to"],
      oneOf: [{ required: ["amount"] }, { required: ["to"] }],
    },
    outputSchema: { type: "object" },
    annotations: { readOnlyHint: true },
    execution: { taskSupport: "optional" },
    icons: [{ src: "https://a.example/1.png" }, { src: "https://a.example/2.png" }],
    _meta: { ui: { resourceUri: "ui://pay" }, tags: ["a", "b"] },
  };
  const text = JSON.stringify(base);
  const changes: readonly (readonly [string, string, string])[] = [
    ["a letter of the description", "Pays.", "Pays!"],
    ["a hidden character", "Pays.", "Pays.\u200b"],
    ["a composed letter that looks the same", "Pays.", "Pays\u0301."],
    ["the name", '"pay"', '"pay2"'],
    ["the title", '"Pay"', '"PAY"'],
    ["a maximum", '"maximum":10', '"maximum":100'],
    ["how a number is spelled", '"maximum":10', '"maximum":10.0'],
    ["a value of an enum", "[1,2]", "[1,2,3]"],
    ["the order of a constant's elements", '"const":[1,2]', '"const":[2,1]'],
    ["a required member", '"amount","to"]', '"amount"]'],
    [
      "the order of alternatives",
      '[{"required":["amount"]},{"required":["to"]}]',
      '[{"required":["to"]},{"required":["amount"]}]',
    ],
    ["a type", '["object","null"]', '["object"]'],
    ["the output schema", '"outputSchema":{"type":"object"}', '"outputSchema":{}'],
    ["how it is executed", '"optional"', '"required"'],
    ["an icon", "1.png", "3.png"],
    ["the resource that its _meta has shown", '"ui://pay"', '"ui://pay-me"'],
    ["the order of a list in its _meta", '["a","b"]', '["b","a"]'],
    ["an annotation", '"readOnlyHint":true', '"readOnlyHint":false'],
    ["a member that no specification names", '"title"', '"x":1,"title"'],
    ["an empty description beside none", '"description":"Pays.",', ""],
  ];
  test.each(changes)("differs by %s", (_what, from, to) => {
    expect(text).toContain(from);
    expect(textOf(text.replace(from, to))).not.toBe(textOf(text));
  });

  test.each([
    "[]",
    "{}",
    '{"name":""}',
    '{"name":1}',
    '{"name":"a","name":"b"}',
    '{"name":"a"} x',
    `{"name":"${"a".repeat(257)}"}`,
  ])("does not exist for %s", (unreadable) => {
    expect(canonicalDefinition(unreadable).kind).toBe("unreadable");
  });

  test("of instructions is their text, and none are the empty text", () => {
    expect(canonicalInstructions('"\\u0041"')).toBe(canonicalInstructions('"A"'));
    expect(canonicalInstructions(undefined)).toBe(canonicalInstructions('""'));
    expect(canonicalInstructions('"a "')).not.toBe(canonicalInstructions('"a"'));
  });
});

/** An independent reading of "the same": everything sorted that is a set. */
function sorted(value: Plain, place = "definition"): string {
  if (Array.isArray(value)) {
    const all = (value as readonly Plain[]).map((element) => sorted(element, place === "schemas" ? "schema" : "value"));
    return `[${(place === "set" ? [...new Set(all)].sort() : all).join(",")}]`;
  }
  if (typeof value !== "object" || value === null) return writeJson(value as null | boolean | number | string);
  const members = Object.entries(value).map(([member, content]) => {
    const next: Record<string, string> = {
      properties: "map",
      allOf: "schemas",
      required: "set",
      enum: "set",
      type: "set",
    };
    const within =
      place === "definition"
        ? member.endsWith("Schema")
          ? "schema"
          : "value"
        : place === "map"
          ? "schema"
          : place === "schema"
            ? (next[member] ?? "value")
            : "value";
    return `${JSON.stringify(member)}:${sorted(content, within)}`;
  });
  return `{${members.sort().join(",")}}`;
}
