import { describe, expect, it } from "vitest";
import { compileArgumentCondition } from "./argument-condition.ts";
import { type JsonObject, type JsonValue, parseStrictJsonText } from "./strict-json.ts";

function json(text: string): JsonObject {
  const read = parseStrictJsonText(text);
  if (read.kind !== "value") throw new Error(text);
  return read.value as JsonObject; // the tests write objects only
}

/** `written` has one member: the pointer and its operators. */
function outcome(written: string, args: string): string {
  const [[pointer, operators] = ["", null]] = Object.entries<JsonValue>(json(written));
  const compiled = compileArgumentCondition(pointer, operators);
  if (compiled.kind !== "compiled") return `malformed: ${compiled.detail}`;
  return compiled.condition.evaluate(json(args)).kind;
}

describe("a condition on an argument", () => {
  it.each([
    // eq and in
    ['{"/a":{"eq":1}}', '{"a":1.0}', "holds"],
    ['{"/a":{"eq":9007199254740993}}', '{"a":9007199254740992}', "fails"],
    ['{"/a":{"eq":5}}', '{"a":"5"}', "unknown"],
    ['{"/a":{"eq":{"x":1}}}', '{"a":{"x":1}}', "holds"],
    ['{"/a":{"eq":1}}', "{}", "unknown"],
    ['{"/a":{"in":["x","y"]}}', '{"a":"y"}', "holds"],
    ['{"/a":{"in":["x","y"]}}', '{"a":"z"}', "fails"],
    ['{"/a":{"in":["x",1]}}', '{"a":"z"}', "unknown"],
    // amounts
    ['{"/a":{"min":1,"max":2.50}}', '{"a":2.5}', "holds"],
    ['{"/a":{"max":100}}', '{"a":100.00000000000000000001}', "fails"],
    ['{"/a":{"max":100}}', '{"a":1e400}', "fails"],
    ['{"/a":{"max":100}}', '{"a":"99"}', "unknown"],
    // text
    ['{"/a":{"prefix":"ab"}}', '{"a":"abc"}', "holds"],
    ['{"/a":{"suffix":"bc"}}', '{"a":"abd"}', "fails"],
    ['{"/a":{"prefix":"ab"}}', '{"a":["ab"]}', "unknown"],
    ['{"/a":{"prefix":""}}', '{"a":"x"}', "holds"],
    ['{"/a":{"prefix":""}}', '{"a":5}', "unknown"],
    ['{"/a":{"max_length":4}}', '{"a":"😀😀"}', "holds"],
    ['{"/a":{"max_length":3}}', '{"a":"😀😀"}', "fails"],
    ['{"/a":{"max_length":2}}', '{"a":"abc"}', "fails"],
    ['{"/a":{"max_length":1}}', '{"a":[1,2]}', "unknown"],
    // hosts
    ['{"/u":{"host":"example.com"}}', '{"u":"https://EXAMPLE.com:8443/x?y#z"}', "holds"],
    ['{"/u":{"host":"*.example.com"}}', '{"u":"https://a.b.example.com"}', "holds"],
    ['{"/u":{"host":"*.example.com"}}', '{"u":"https://example.com"}', "fails"],
    ['{"/u":{"host":"*.example.com"}}', '{"u":"https://evilexample.com"}', "fails"],
    ['{"/u":{"host":"example.com"}}', '{"u":"https://example.com@evil.org/"}', "unknown"],
    ['{"/u":{"host":"example.com"}}', '{"u":"https://evil.org\\\\@example.com/"}', "unknown"],
    ['{"/u":{"host":"example.com"}}', '{"u":"https://example.com?@evil.org/"}', "unknown"],
    ['{"/u":{"host":"example.com"}}', '{"u":"https://example.com:65536/"}', "unknown"],
    ['{"/u":{"host":"example.com"}}', '{"u":"example.com"}', "unknown"],
    ['{"/u":{"host":"example.com"}}', '{"u":"javascript:example.com"}', "unknown"],
    // addresses
    ['{"/i":{"cidr":"10.0.0.0/8"}}', '{"i":"10.1.2.3"}', "holds"],
    ['{"/i":{"cidr":"10.0.0.0/8"}}', '{"i":"::ffff:10.1.2.3"}', "unknown"],
    ['{"/i":{"cidr":"::/0"}}', '{"i":"::ffff:10.1.2.3"}', "unknown"],
    ['{"/i":{"cidr":"10.0.0.0/8"}}', '{"i":"11.0.0.1"}', "fails"],
    ['{"/i":{"cidr":"10.0.0.0/8"}}', '{"i":"010.0.0.1"}', "unknown"],
    ['{"/i":{"cidr":["fd00::/8","10.0.0.0/8"]}}', '{"i":"fd12::1"}', "holds"],
    // presence, paths
    ['{"/a":{"absent":true}}', "{}", "holds"],
    ['{"/a":{"absent":true}}', '{"a":null}', "fails"],
    ['{"/a":{"absent":true,"max":3}}', "{}", "holds"],
    ['{"/a":{"absent":true,"max":3}}', '{"a":4}', "fails"],
    ['{"/a":{"absent":true}}', '{"A":4}', "unknown"],
    ['{"/a":{"eq":4}}', '{"A":4}', "unknown"],
    ['{"/a~1b/1/c~0":{"eq":"x"}}', '{"a/b":[0,{"c~":"x"}]}', "holds"],
    ['{"/toString":{"absent":true}}', "{}", "holds"],
    ['{"":{"eq":{"a":1}}}', '{"a":1}', "holds"],
    // several operators
    ['{"/a":{"prefix":"x","max":1}}', '{"a":2}', "fails"],
    ['{"/a":{"prefix":"x","max":1}}', '{"a":1}', "unknown"],
  ])("%s on %s %s", (conditions, args, expected) => {
    expect(outcome(conditions, args)).toBe(expected);
  });

  it.each([
    ['{"a":{"eq":1}}', "not a JSON Pointer"],
    ['{"/a~2":{"eq":1}}', "not a JSON Pointer"],
    ['{"/a":{}}', "there is no operator"],
    ['{"/a":{"matches":"x"}}', "unknown operator"],
    ['{"/a":{"toString":"x"}}', "unknown operator"],
    ['{"/a":{"max":"10"}}', "not a number"],
    ['{"/a":{"in":[]}}', "not a list"],
    ['{"/a":{"in":"x"}}', "not a list"],
    ['{"/a":{"prefix":1}}', "not a text"],
    ['{"/a":{"host":"Example.com"}}', "not a host name"],
    ['{"/a":{"host":["example.com","a-.org"]}}', "not a host name"],
    ['{"/a":{"host":[]}}', "not a host name"],
    ['{"/a":{"cidr":"10.0.0.1/8"}}', "not an address range"],
    ['{"/a":{"absent":"yes"}}', "not true"],
    ['{"/a":{"absent":false}}', "not true"],
  ])("%s is refused", (conditions, detail) => {
    expect(outcome(conditions, "{}")).toContain(detail);
  });
});
