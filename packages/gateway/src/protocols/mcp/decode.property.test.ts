import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeHeaderValue, decodeMessage, keyOf } from "./decode.ts";
import { type MethodReading, readMethod } from "./read-method.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("the decoder of MCP messages", () => {
  test("answers any bytes with a message or a fault, and never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
        expect(["request", "notification", "fault"]).toContain(decodeMessage(input).kind);
      }),
    );
  });

  test("answers any JSON with a message or a fault, and never throws", () => {
    const part = fc.option(fc.jsonValue(), { nil: undefined });
    const method = fc.oneof(
      part,
      fc.constantFrom("tools/call", "resources/read", "resources/list", "prompts/get", "completion/complete"),
    );
    const message = fc.record({ jsonrpc: fc.constantFrom("2.0", "1.0"), id: part, method, params: part });
    fc.assert(
      fc.property(message, (value) => {
        const decoded = decodeMessage(bytes(JSON.stringify(value)));
        if (decoded.kind === "request") {
          expect(keyOf(value.id as never)).toBe(decoded.idKey);
          readMethod(decoded);
        }
      }),
    );
  });

  test("refuses a call whose members a reader that ignores case would take for its arguments", () => {
    // `{"name":"pay","Arguments":{"amount":1000000}}` was judged as a call without arguments and sent as it was; a
    // server that reads names without regard to case takes `Arguments` for the arguments.
    const call = (params: object): MethodReading => {
      const decoded = decodeMessage(bytes(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params })));
      return decoded.kind === "request" ? readMethod(decoded) : { kind: "unknown" };
    };
    expect(call({ name: "pay", arguments: { amount: 1 }, _meta: { progressToken: 1 } })).toMatchObject({ tool: "pay" });
    for (const member of ["Arguments", "ARGUMENTS", "argument\u017f", "_META"]) {
      expect(call({ name: "pay", [member]: { amount: 1_000_000 } }), member).toEqual({ kind: "fault" });
    }
  });

  test("cuts out the progress token and nothing else", () => {
    const token = fc.oneof(fc.string(), fc.maxSafeInteger());
    const others = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.jsonValue(), { maxKeys: 4 });
    fc.assert(
      fc.property(
        token,
        others,
        others,
        fc.constantFrom(0, 2),
        fc.boolean(),
        (progressToken, meta, params, space, first) => {
          const lone = /[\ud800-\udfff]/;
          fc.pre(!lone.test(JSON.stringify([progressToken, meta, params])));
          const _meta = first ? { progressToken, ...meta } : { ...meta, progressToken };
          const text = JSON.stringify(
            { jsonrpc: "2.0", id: 1, method: "tools/call", params: { ...params, _meta } },
            null,
            space,
          );
          const decoded = decodeMessage(bytes(text));
          if (decoded.kind === "fault") return;
          if (decoded.kind !== "request") throw new TypeError("not a request");
          expect(JSON.parse(decoded.paramsText)).toEqual(JSON.parse(JSON.stringify({ ...params, _meta: meta })));
          expect(JSON.parse(decoded.progressToken ?? "")).toBe(progressToken);
        },
      ),
    );
  });

  test("reads every header value that can be written, and no other spelling of it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (name) => {
        fc.pre(name.isWellFormed());
        expect(decodeHeaderValue(`=?base64?${Buffer.from(name, "utf8").toString("base64")}?=`)).toBe(name);
      }),
    );
    for (const spelling of ["=?base64?ZQ?=", "=?base64?Z Q==?=", "=?base64?_w==?=", "=?base64?/w==?="]) {
      expect(decodeHeaderValue(spelling)).toBeUndefined();
    }
  });
});
