import { describe, expect, test } from "vitest";
import { mirrorArguments, readMirroredArguments } from "./mirrored-arguments.ts";

const definition = (properties: object): string =>
  JSON.stringify({ name: "t", inputSchema: { type: "object", properties } });

describe("mirrored arguments", () => {
  test("are found under chains of properties only", () => {
    const mirrored = readMirroredArguments(
      definition({
        region: { type: "string", "x-mcp-header": "Region" },
        deep: { type: "object", properties: { flag: { type: "boolean", "x-mcp-header": "Flag" } } },
        list: { type: "array", items: { type: "string", "x-mcp-header": "Item" } },
        bad: { type: "string", "x-mcp-header": "a b" },
      }),
    );
    expect(mirrored).toEqual([
      { header: "mcp-param-region", path: ["region"] },
      { header: "mcp-param-flag", path: ["deep", "flag"] },
    ]);
  });

  test("are not mirrored at all when two ask for one header", () => {
    const twice = { a: { "x-mcp-header": "X" }, b: { "x-mcp-header": "x" } };
    expect(readMirroredArguments(definition(twice))).toEqual([]);
  });

  test("become headers that cannot break out of their line", () => {
    const mirrored = ["a", "b", "c", "d", "e", "f"].map((name) => ({ header: `mcp-param-${name}`, path: [name] }));
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
    expect(mirrorArguments([{ header: "mcp-param-a", path: ["constructor", "name"] }], '{"arguments":{}}')).toEqual({});
  });
});
