/** ajv is the outside judge of what a schema rejects. */
import { createHash } from "node:crypto";
import {
  type AuthorityObject,
  compileArgumentCondition,
  type JsonObject,
  type JsonValue,
  parseStrictJsonText,
} from "@writ/contract";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { judge, listDefinitions } from "./judge.ts";
import { AUDIENCE, makeTestWorld, NOW_MS } from "./make-test-world.ts";
import { narrowDefinition, type SchemaAssertions } from "./narrow-schema.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();
const ajv = new Ajv2020({ strict: false, validateFormats: false });

function compile(schemaText: string): (args: unknown) => boolean {
  // A schema that this test or the code under test wrote.
  const validate = ajv.compile(JSON.parse(schemaText) as object);
  ajv.removeSchema();
  return (args) => validate(args) as boolean;
}

function accepts(schemaText: string, args: unknown): boolean {
  return compile(schemaText)(args);
}

function json(text: string): JsonValue {
  const read = parseStrictJsonText(text);
  if (read.kind === "fault") throw new TypeError(read.detail);
  return read.value;
}

// --- inputs -----------------------------------------------------------------------------------------------------

/** Schemas of a tool, with the places where constraints are hard to write. */
const SCHEMAS: readonly string[] = [
  '{"type":"object"}',
  "{}",
  '{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"string"},"o":{"type":"object","properties":{"x":{"type":"integer","minimum":2},"y":{}}}}}',
  '{"type":"object","properties":{"a":{"type":"number","minimum":1,"maximum":50},"b":{"type":"string","maxLength":5,"pattern":"^a"}},"required":["a"],"additionalProperties":false}',
  '{"type":"object","properties":{"a":{"enum":[1,2,"x",null]},"b":{"const":"ab"},"o":{"type":["object","null"],"properties":{"x":true,"y":false}}}}',
  '{"type":"object","properties":{"a":{"$ref":"#/$defs/n"},"o":{"$ref":"#/$defs/o"}},"$defs":{"n":{"type":["number","string"]},"o":{"type":"object","properties":{"x":{"$ref":"#/$defs/n"}}}}}',
  '{"type":"object","properties":{"a":{},"o":{"$ref":"#"}}}',
  '{"type":"object","anyOf":[{"properties":{"a":{"type":"number"}},"required":["a"]},{"properties":{"b":{"type":"string"}},"required":["b"]}]}',
  '{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{"type":"number"}],"not":{"const":7}}},"allOf":[{"properties":{"b":{"maxLength":4}}}]}',
  '{"type":"object","properties":{"a":{"type":"number"}},"unevaluatedProperties":false}',
  '{"type":"object","properties":{"o":{"type":"object","properties":{"x":{"type":"number"}},"unevaluatedProperties":false}}}',
  '{"type":"object","properties":{"l":{"type":"array","items":{"type":"number"}},"__proto__":{"type":"string"}}}',
  '{"type":"object","properties":{"l":{"type":"array","prefixItems":[{"type":"string"}]}},"if":{"required":["a"]},"then":{"required":["b"]}}',
  '{"type":"object","properties":{"0":{"type":"number"},"l":{"type":"object","properties":{"0":{"type":"string"}}}}}',
];

const texts = fc.constantFrom("", "a", "ab", "abc", "b", "a.b", "a+", "x", "secret", "€", "😀", "a\n");
const numbers = fc.constantFrom("0", "1", "2", "2.50", "7", "10", "50", "100", "-3", "1e2", "1.0");
const scalars = fc.oneof(
  texts.map((text) => JSON.stringify(text)),
  numbers,
  fc.constantFrom("null", "true", "false"),
);
const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    scalars,
    fc.array(tie("value"), { maxLength: 3 }).map((list) => `[${list.join(",")}]`),
    fc.dictionary(fc.constantFrom("x", "y", "0", "a", "b"), tie("value"), { maxKeys: 3 }).map(
      (members) =>
        `{${Object.entries(members)
          .map(([name, text]) => `"${name}":${text}`)
          .join(",")}}`,
    ),
  ),
}));
const argumentsText = fc
  .dictionary(fc.constantFrom("a", "b", "o", "l", "0", "A"), value, { maxKeys: 4 })
  .filter((members) => !("a" in members && "A" in members))
  .map(
    (members) =>
      `{${Object.entries(members)
        .map(([name, text]) => `"${name}":${text}`)
        .join(",")}}`,
  );

const operator = fc.oneof(
  fc.tuple(fc.constant("eq"), value),
  fc.tuple(
    fc.constant("in"),
    fc.array(value, { minLength: 1, maxLength: 3 }).map((list) => `[${list.join(",")}]`),
  ),
  fc.tuple(fc.constantFrom("min", "max"), numbers),
  fc.tuple(
    fc.constantFrom("prefix", "suffix"),
    texts.map((text) => JSON.stringify(text)),
  ),
  fc.tuple(fc.constant("max_length"), fc.constantFrom("0", "1", "2", "4")),
  fc.constant(["host", '"*.example.com"'] as [string, string]),
  fc.constant(["absent", "true"] as [string, string]),
);
const operators = fc
  .uniqueArray(operator, { minLength: 1, maxLength: 3, selector: ([name]) => name })
  .map((list) => `{${list.map(([name, operand]) => `"${name}":${operand}`).join(",")}}`);
const pointers = fc.constantFrom(
  "/a",
  "/b",
  "/o",
  "/o/x",
  "/o/y",
  "/o/x/y",
  "/l",
  "/l/0",
  "/l/1",
  "/0",
  "/none",
  "/__proto__",
  "",
);
const conditions = fc
  .uniqueArray(fc.tuple(pointers, operators), { minLength: 1, maxLength: 3, selector: ([pointer]) => pointer })
  .map((list) => `{${list.map(([pointer, text]) => `${JSON.stringify(pointer)}:${text}`).join(",")}}`);
const caveats = fc.array(
  fc
    .tuple(fc.constantFrom("everything/echo", "*/*", "everything/sum"), conditions)
    .map(([tool, text]) => `{"args":{"${tool}":${text}}}`),
  { maxLength: 2 },
);
const ruleArguments = fc
  .uniqueArray(fc.tuple(pointers, operators, fc.boolean()), {
    minLength: 0,
    maxLength: 2,
    selector: ([pointer]) => pointer,
  })
  .map((list) =>
    list.length === 0
      ? ""
      : `, when: { args: { ${list
          .map(([pointer, text, negated]) => `${JSON.stringify(pointer)}: ${negated ? `{ not: ${text} }` : text}`)
          .join(", ")} } }`,
  );
const rules = fc
  .array(fc.tuple(fc.constantFrom("allow", "allow", "deny", "step_up"), ruleArguments), { minLength: 1, maxLength: 4 })
  .map((list) =>
    [
      "version: 1",
      "rules:",
      "  - { id: connect, effect: allow, match: { action: [mcp.session, tool.list] } }",
      ...list.map(
        ([effect, args], at) => `  - { id: r${at}, effect: ${effect}, match: { tool: everything/echo }${args} }`,
      ),
    ].join("\n"),
  );

const ASSERTED = fc.record({
  schema: fc.constantFrom(...SCHEMAS),
  caveats,
  rules,
  args: fc.array(argumentsText, { minLength: 1, maxLength: 4 }),
});

function makeTool(definition: string): AuthorityObject {
  const value_ = { upstream: "everything", name: "echo", definition, digest: "digest-echo", status: "active" } as const;
  return { kind: "tool", id: "everything/echo", version: 1, value: value_ };
}

// --- properties -------------------------------------------------------------------------------------------------

describe("a narrowed schema", () => {
  test("rejects only what the pinned one rejects or the decision denies, and is never wider", () => {
    let narrower = 0;
    let allowed = 0;
    let denied = 0;
    fc.assert(
      fc.property(ASSERTED, ({ schema, caveats: own, rules: source, args }) => {
        const definition = `{"name":"echo","inputSchema":${schema}}`;
        const base = [JSON.stringify({ exp: NOW_MS / 1000 + 86_400 }), JSON.stringify({ aud: AUDIENCE })];
        const world = makeTestWorld({
          sha256,
          rules: source,
          objects: [makeTool(definition)],
          caveats: [...base, ...own.slice(0, 1)],
        });
        if (world.state.policy.kind !== "active") return;
        const token = own.length > 1 ? world.child(world.rootText, "c1", own.slice(1)) : world.rootText;
        const { definitions } = listDefinitions(world.state, world.attempt(token, { action: "tool.list", tool: "" }));
        const shown = definitions
          .map((text) => JSON.parse(text) as { name: string; inputSchema: object })
          .find(({ name }) => name === "echo");
        if (shown === undefined) return;
        const narrowed = JSON.stringify(shown.inputSchema);
        if (narrowed !== JSON.stringify(JSON.parse(schema))) narrower += 1;
        for (const text of args) {
          const plain: unknown = JSON.parse(text);
          const byPinned = accepts(schema, plain);
          const byNarrowed = accepts(narrowed, plain);
          const call = { tool: "echo", arguments: json(text) as JsonObject };
          const { decision } = judge(world.state, world.attempt(token, call));
          if (byNarrowed) expect(byPinned, `wider: ${narrowed} for ${text}`).toBe(true);
          if (decision.kind === "allow") {
            allowed += 1;
            if (byPinned) expect(byNarrowed, `hides what is allowed: ${narrowed} for ${text}`).toBe(true);
          } else if (byPinned && !byNarrowed) denied += 1;
        }
      }),
      { numRuns: 500 },
    );
    // The property says nothing of schemas that narrow nothing.
    expect(narrower).toBeGreaterThan(30);
    expect(allowed).toBeGreaterThan(30);
    expect(denied).toBeGreaterThan(30);
  });
});

/** A condition, and arguments that come near it: what it compares with, at its place, among others. */
const near = fc
  .tuple(pointers, operators, fc.boolean(), argumentsText, fc.nat(3))
  .map(([pointer, text, negated, base, pick]) => {
    const compiled = compileArgumentCondition(pointer, json(text));
    if (compiled.kind === "malformed") return undefined;
    const { condition } = compiled;
    const operands = Object.values(JSON.parse(text) as Record<string, unknown>).flatMap((operand) =>
      Array.isArray(operand) ? [operand, ...(operand as unknown[])] : [operand],
    );
    const args = JSON.parse(base) as Record<string, unknown>;
    return { condition, negated, args: setAt(args, condition.steps, operands[pick % operands.length]), text };
  });

/** The value with another one at a place of it, objects made where there are none. */
function setAt(target: unknown, steps: readonly string[], content: unknown): unknown {
  const [step, ...rest] = steps;
  if (step === undefined) return content;
  if (Array.isArray(target) && /^[0-9]$/.test(step)) {
    return target.map((element: unknown, at) => (at === Number(step) ? setAt(element, rest, content) : element));
  }
  const members = typeof target === "object" && target !== null && !Array.isArray(target) ? Object.entries(target) : [];
  const own = members.find(([name]) => name === step)?.[1] as unknown;
  // Entries, so that a member called __proto__ is one.
  return Object.fromEntries([...members.filter(([name]) => name !== step), [step, setAt(own, rest, content)]]);
}

describe("a schema narrowed by assertions", () => {
  test("accepts whatever meets them and the pinned schema accepts, and nothing that this one rejects", () => {
    const met = { all: 0, rejected: 0 };
    fc.assert(
      fc.property(
        fc.constantFrom(...SCHEMAS),
        fc.array(near, { minLength: 1, maxLength: 2 }),
        fc.boolean(),
        fc.array(argumentsText, { maxLength: 2 }),
        (schema, list, asAlternatives, more) => {
          const assertions = list.filter((assertion) => assertion !== undefined);
          const nested = assertions.map(({ args }) => ({ ...(args as object), o: args }));
          const tried = [
            ...assertions.map(({ args }) => args),
            ...nested,
            ...more.map((text) => JSON.parse(text) as unknown),
          ];
          const given: SchemaAssertions = asAlternatives
            ? { all: [], any: [assertions.map((assertion) => [assertion])] }
            : { all: assertions, any: [] };
          const definition = narrowDefinition(`{"name":"t","inputSchema":${schema}}`, given);
          const narrowed = JSON.stringify((JSON.parse(definition) as { inputSchema: unknown }).inputSchema);
          const pinnedJudge = compile(schema);
          const narrowedJudge = compile(narrowed);
          for (const args of tried) {
            if (typeof args !== "object" || args === null || Array.isArray(args)) continue;
            // Two names that differ in case only have no single reading.
            if (parseStrictJsonText(JSON.stringify(args)).kind === "fault") continue;
            const read = json(JSON.stringify(args)) as JsonObject;
            const isMet = ({ condition, negated }: (typeof assertions)[number]): boolean =>
              condition.evaluate(read).kind === (negated ? "fails" : "holds");
            const isMetWhole = asAlternatives ? assertions.some(isMet) : assertions.every(isMet);
            const [byPinned, byNarrowed] = [pinnedJudge(args), narrowedJudge(args)];
            const what = `${narrowed} for ${JSON.stringify(args)} with ${assertions.map(({ text }) => text).join()}`;
            if (byNarrowed) expect(byPinned, `wider: ${what}`).toBe(true);
            if (byPinned && isMetWhole && assertions.length > 0) {
              met.all += 1;
              expect(byNarrowed, `rejects what is met: ${what}`).toBe(true);
            } else if (byPinned && !byNarrowed) met.rejected += 1;
          }
        },
      ),
      { numRuns: 3_000 },
    );
    expect(met.all).toBeGreaterThan(200);
    expect(met.rejected).toBeGreaterThan(100);
  });
});

describe("a narrowed definition", () => {
  const narrow = (schema: string, conditions_: Readonly<Record<string, object>>, negated = false): unknown => {
    const all = Object.entries(conditions_).map(([pointer, operators_]) => {
      const compiled = compileArgumentCondition(pointer, json(JSON.stringify(operators_)));
      if (compiled.kind === "malformed") throw new TypeError(compiled.detail);
      return { condition: compiled.condition, negated };
    });
    const assertions: SchemaAssertions = { all, any: [] };
    const text = narrowDefinition(`{"name":"t","inputSchema":${schema}}`, assertions);
    return (JSON.parse(text) as { inputSchema: unknown }).inputSchema;
  };
  const object = (properties: string): string => `{"type":"object","properties":${properties}}`;

  test.each([
    ["eq", { eq: "x" }, { const: "x" }],
    ["in", { in: ["x", "y"] }, { enum: ["x", "y"] }],
    ["min", { min: 1 }, { type: "number", minimum: 1 }],
    ["max", { max: 9 }, { type: "number", maximum: 9 }],
    ["max_length", { max_length: 3 }, { type: "string", maxLength: 3 }],
    ["prefix", { prefix: "/a.b" }, { type: "string", pattern: "^\\/a\\.b" }],
    ["suffix", { suffix: ".md" }, { type: "string", pattern: "\\.md$" }],
    ["host", { host: "example.com" }, { type: "string" }],
  ])("says %s where the argument is described, and requires it", (_name, condition, keywords) => {
    expect(narrow(object('{"a":{"description":"A."}}'), { "/a": condition })).toEqual({
      type: "object",
      properties: { a: { description: "A.", ...keywords } },
      required: ["a"],
    });
  });

  test("leaves what may be absent optional, and forbids what must be", () => {
    expect(narrow(object('{"a":{"type":"number"}}'), { "/a": { absent: true, max: 5 } })).toEqual({
      type: "object",
      properties: { a: { type: "number", maximum: 5 } },
    });
    expect(narrow(object('{"a":{"type":"number"}}'), { "/a": { absent: true } })).toEqual({
      type: "object",
      properties: { a: { type: "number", not: {} } },
    });
  });

  test("keeps the narrower of two bounds, and says more of what a keyword says already beside it", () => {
    expect(
      narrow(object('{"a":{"type":"integer","minimum":3,"maximum":10,"enum":[3,4,5]}}'), {
        "/a": { min: 1, max: 9, in: [4, 5, 6] },
      }),
    ).toEqual({
      type: "object",
      properties: { a: { type: "integer", minimum: 3, maximum: 9, enum: [4, 5] } },
      required: ["a"],
    });
    expect(narrow(object('{"a":{"type":"string","pattern":"^a"}}'), { "/a": { prefix: "ab" } })).toEqual({
      type: "object",
      properties: { a: { type: "string", pattern: "^a", allOf: [{ pattern: "^ab" }] } },
      required: ["a"],
    });
  });

  test("reaches nested arguments, and uses allOf for what the schema does not describe or describes elsewhere", () => {
    expect(narrow(object('{"o":{"type":"object","properties":{"x":{}}}}'), { "/o/x": { max: 1 } })).toEqual({
      type: "object",
      properties: { o: { type: "object", properties: { x: { type: "number", maximum: 1 } }, required: ["x"] } },
      required: ["o"],
    });
    expect(
      narrow('{"type":"object","properties":{"o":{"$ref":"#/$defs/o"}},"$defs":{"o":{"type":"object"}}}', {
        "/o": { eq: 1 },
      }),
    ).toEqual({
      type: "object",
      properties: { o: { $ref: "#/$defs/o" } },
      $defs: { o: { type: "object" } },
      allOf: [{ type: "object", properties: { o: { const: 1 } }, required: ["o"] }],
    });
  });

  test.each([
    ['{"type":"object","properties":{"a":{},"child":{"$ref":"#"}}}', "refers to itself"],
    [
      '{"type":"object","properties":{"a":{},"b":{"$ref":"#/properties/a"}}}',
      "refers to a part that an argument is described by",
    ],
    ['{"type":"object","properties":{"a":{},"b":{"$dynamicRef":"#node"}}}', "refers to what only a validator finds"],
    ['{"type":"object","unevaluatedProperties":false}', "forbids what is not described"],
  ])("is the pinned one where it %s", (schema) => {
    expect(narrow(schema, { "/a": { eq: 1 } })).toEqual(JSON.parse(schema));
  });

  test("keeps the spelling of numbers, and is byte for byte the pinned one when nothing is said", () => {
    const definition = '{"name":"t", "inputSchema":{"type":"object","properties":{"a":{"default":1.10}}}}';
    expect(narrowDefinition(definition, { all: [], any: [] })).toBe(definition);
    const compiled = compileArgumentCondition("/a", json('{"max":9007199254740993.50}'));
    if (compiled.kind === "malformed") throw new TypeError(compiled.detail);
    const text = narrowDefinition(definition, { all: [{ condition: compiled.condition, negated: false }], any: [] });
    expect(text).toContain('"default":1.10');
    expect(text).toContain('"maximum":9007199254740993.50');
  });
});
