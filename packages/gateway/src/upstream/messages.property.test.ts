import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { headerValue, isComplete, readNotification, readServerMessage, requestText } from "./messages.ts";

const client = { name: "writ", version: "1" };

describe("messages from an upstream", () => {
  test("are taken apart or called unreadable, whatever they are", () => {
    const part = fc.option(fc.jsonValue(), { nil: undefined });
    const message = fc.record({
      jsonrpc: fc.constant("2.0"),
      id: part,
      method: part,
      params: part,
      result: part,
      error: part,
    });
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      message.map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(text, (input) => {
        const read = readServerMessage(input);
        if (read.kind === "response") isComplete(read.json);
        if (read.kind === "notification") readNotification(read);
        expect(["response", "notification", "request", "unreadable"]).toContain(read.kind);
      }),
    );
  });

  test("nested without end cost neither the stack nor the process", () => {
    const deep = `{"jsonrpc":"2.0","id":1,"result":{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}}`;
    expect(["response", "unreadable"]).toContain(readServerMessage(deep).kind);
  });

  test.each([
    ['{"jsonrpc":"2.0","id":1,"result":{},"id":2}', "twice"],
    ['{"jsonrpc":"2.0","id":1,"result":{},"result":{}}', "twice"],
    ['{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', "both"],
    ['{"jsonrpc":"2.0","id":1}', "neither"],
    ['{"jsonrpc":"2.0","id":1,"result":[]}', "not an object"],
    ['[{"jsonrpc":"2.0","id":1,"result":{}}]', "not an object"],
  ])("that could be read in two ways are not read: %s", (text, detail) => {
    expect(readServerMessage(text)).toMatchObject({ kind: "unreadable", detail: expect.stringContaining(detail) });
  });

  test.each(['"1"', "1.0", "01", "1e0", "-1", "null"])("answer nobody when their id is spelled %s", (id) => {
    const read = readServerMessage(`{"jsonrpc":"2.0","id":${id},"result":{}}`);
    expect(read.kind === "response" ? read.id : 0).toBe(0);
  });
});

describe("messages to an upstream", () => {
  test("hold the judged params, and beside them only what the protocol demands", () => {
    const params = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 4 });
    const meta = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 });
    fc.assert(
      fc.property(params, meta, fc.boolean(), fc.boolean(), (given, _meta, progress, stateless) => {
        const judged = JSON.stringify({ ...given, _meta });
        const message = { method: "tools/call", params: judged, progress, name: "t" };
        const sent = JSON.parse(requestText(7, message, { stateless, client }));
        const kept = JSON.parse(judged);
        expect({ ...sent.params, _meta: undefined }).toEqual({ ...kept, _meta: undefined });
        expect(sent.params._meta).toMatchObject(kept._meta);
        const added = Object.keys(sent.params._meta).length - Object.keys(kept._meta).length;
        expect(added).toBe((progress ? 1 : 0) + (stateless ? 3 : 0));
        if (progress) expect(sent.params._meta.progressToken).toBe(7);
      }),
    );
  });

  test("mirror any name in a header value that HTTP can carry", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (name) => {
        const value = headerValue(name);
        expect(value).toMatch(/^[\x20-\x7e]+$/);
        expect(value.trim()).toBe(value);
      }),
    );
  });
});
