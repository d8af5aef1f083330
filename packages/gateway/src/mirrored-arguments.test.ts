import { parseStrictJsonText } from "@writ/contract";
import { describe, expect, test } from "vitest";
import {
  findDisagreement,
  type MirroredArgument,
  mirrorArguments,
  readMirroredArguments,
} from "./mirrored-arguments.ts";
import type { MirroredHeader } from "./ports.ts";

const definition = (properties: object, more: object = {}): string =>
  JSON.stringify({ name: "t", inputSchema: { type: "object", properties, ...more } });

const annotated = (name: unknown, type = "string") => ({ type, "x-mcp-header": name });

describe("mirrored arguments", () => {
  test("are found under chains of properties", () => {
    const mirrored = readMirroredArguments(
      definition({
        region: annotated("Region"),
        properties: { type: "object", properties: { flag: annotated("Flag", "boolean") } },
        plain: { type: "array", default: [{ "x-mcp-header": "data" }] },
      }),
    );
    expect(mirrored).toEqual({
      kind: "valid",
      mirrored: [
        { header: "mcp-param-region", path: ["region"], type: "string" },
        { header: "mcp-param-flag", path: ["properties", "flag"], type: "boolean" },
      ],
    });
  });

  test.each([
    ["under items", definition({ list: { type: "array", items: annotated("Item") } })],
    ["in a branch", definition({}, { anyOf: [{ properties: { a: annotated("A") } }] })],
    ["in a definition that is referred to", definition({}, { $defs: { a: annotated("A") } })],
    ["on the schema itself", definition({}, { "x-mcp-header": "A" })],
    ["without a name", definition({ a: annotated("") })],
    ["with a name that is no text", definition({ a: annotated(7) })],
    ["with a name that no header has", definition({ a: annotated("a b") })],
    ["on a number", definition({ a: annotated("A", "number") })],
    ["on an object", definition({ a: annotated("A", "object") })],
    ["twice for one header", definition({ a: annotated("X"), b: annotated("x") })],
    ["spelt with escapes", definition({ a: annotated("a b") }).replace("x-mcp-header", "\\u0078-mcp-header")],
  ])("make a tool unusable where an annotation stands %s", (_where, text) => {
    expect(readMirroredArguments(text).kind).toBe("invalid");
  });

  test("become headers that cannot break out of their line", () => {
    const mirrored = ["a", "b", "c", "d", "e", "f"].map(mirrors);
    const params =
      '{"name":"t","arguments":{"a":"x\\r\\ny: z","b":42,"c":true,"d":null,"e":9007199254740993,"f":" padded "}}';
    expect(mirrorArguments(mirrored, params)).toEqual({
      "mcp-param-a": `=?base64?${btoa("x\r\ny: z")}?=`,
      "mcp-param-b": "42",
      "mcp-param-c": "true",
      "mcp-param-f": "=?base64?IHBhZGRlZCA=?=",
    });
  });

  test("never come from what an object inherits", () => {
    const inherited = { ...mirrors("a"), path: ["constructor", "name"] };
    expect(mirrorArguments([inherited], '{"arguments":{}}')).toEqual({});
  });

  test.each([
    ["the same text", "string", '{"a":"eu"}', "eu", true],
    ["another text", "string", '{"a":"eu"}', "us", false],
    ["no text", "string", '{"a":"eu"}', undefined, false],
    ["a text for no argument", "string", "{}", "eu", false],
    ["a text for null", "string", '{"a":null}', "eu", false],
    ["a text for an object", "string", '{"a":{}}', "eu", false],
    ["nothing for no argument", "string", "{}", undefined, true],
    ["nothing for null", "string", '{"a":null}', undefined, true],
    ["the same number", "integer", '{"a":42}', "42", true],
    ["the same number in another spelling", "integer", '{"a":42.0}', "42.00", true],
    ["a number in a spelling of its own", "integer", '{"a":42}', "0x2a", false],
    ["another number", "integer", '{"a":42}', "43", false],
    ["a number that a header cannot say", "integer", '{"a":9007199254740993}', "9007199254740993", false],
    ["the same truth", "boolean", '{"a":true}', "true", true],
    ["another truth", "boolean", '{"a":true}', "false", false],
  ])("are compared with the headers of an agent: %s", (_what, type, args, said, agrees) => {
    const read = parseStrictJsonText(args);
    if (read.kind === "fault") throw new Error("the arguments cannot be read");
    const header: MirroredHeader = said === undefined ? { kind: "absent" } : { kind: "text", text: said };
    const found = findDisagreement([{ ...mirrors("a"), type }], read.value, () => header);
    expect(found).toBe(agrees ? undefined : "mcp-param-a");
  });

  test("disagree with a header that cannot be read, even where nothing is to be said", () => {
    expect(findDisagreement([mirrors("a")], {}, () => ({ kind: "unreadable" }))).toBe("mcp-param-a");
  });
});

function mirrors(name: string): MirroredArgument {
  return { header: `mcp-param-${name}`, path: [name], type: "string" };
}
