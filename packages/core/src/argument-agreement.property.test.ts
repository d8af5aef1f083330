/** Tokens and rules write conditions on arguments in the same words; this shows that they mean the same by them. */
import { hash } from "node:crypto";
import { compileArgumentConditions, type JsonObject, parseStrictJsonText } from "@writ/contract";
import { clearCaveats } from "@writ/token";
import fc from "fast-check";
import { expect, it } from "vitest";
import { makeTestWorld } from "./make-test-world.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");

const text = fc.constantFrom(
  "a",
  "ab",
  "😀",
  "10.0.0.1",
  "::ffff:10.0.0.1",
  "fd00::1",
  "010.0.0.1",
  "https://example.com/x",
  "https://a.example.com:80?q",
  "https://example.com@evil.org/",
  "https://EXAMPLE.com",
  "example.com",
  "ftp://example.com/",
);
const number = fc.constantFrom("1", "1.0", "1.10", "1.1", "9007199254740993", "9007199254740992", "-0", "1e400", "5");
const value = fc.oneof(
  text.map((each) => JSON.stringify(each)),
  number,
  fc.constantFrom("null", "true", "[]", '["a"]', '{"x":1}'),
);
const member = <T>(name: string, operand: fc.Arbitrary<T>): fc.Arbitrary<string> =>
  operand.map((each) => `"${name}":${String(each)}`);
const quoted = (...words: string[]): fc.Arbitrary<string> =>
  fc.constantFrom(...words.map((each) => JSON.stringify(each)));
const operator = fc.oneof(
  member("eq", value),
  member(
    "in",
    fc.array(value, { minLength: 1, maxLength: 3 }).map((each) => `[${each.join()}]`),
  ),
  member("min", number),
  member("max", number),
  member("prefix", quoted("a", "https://")),
  member("suffix", quoted("b", ".1")),
  member("max_length", fc.constantFrom("0", "1", "2")),
  member("host", quoted("example.com", "*.example.com")),
  member("cidr", quoted("10.0.0.0/8", "fd00::/8", "0.0.0.0/0", "::/0")),
  member("absent", fc.constant("true")),
);
const operators = fc.uniqueArray(operator, { minLength: 1, maxLength: 2, selector: (each) => each.split(":")[0] });
const args = fc.oneof(
  value.map((each) => `{"a":${each}}`),
  fc.constantFrom("{}", '{"A":"a"}', '{"a":{"b":"a"}}', '{"a":["a","b"]}', '{"b":1}'),
);

it("a caveat clears exactly where the same conditions of a rule hold", () => {
  const world = makeTestWorld({ sha256 });
  let held = 0;
  fc.assert(
    fc.property(operators, fc.constantFrom("/a", "/a/b", "/a/0"), args, (names, pointer, argumentsText) => {
      const conditions = `{${JSON.stringify(pointer)}:{${names.join()}}}`;
      const child = world.child(world.rootText, "c", [`{"args":{"everything/echo":${conditions}}}`]);
      const read = parseStrictJsonText(argumentsText);
      const source = parseStrictJsonText(conditions);
      if (read.kind !== "value" || source.kind !== "value") throw new TypeError("unreadable");
      const attempt = world.attempt(child, { arguments: read.value as JsonObject }); // every text above is an object
      const compiled = compileArgumentConditions(source.value);
      if (compiled.kind !== "compiled") throw new TypeError(`${conditions}: ${compiled.detail}`);
      const holds = compiled.conditions.evaluate(attempt.request.context.arguments).kind === "holds";
      if (holds) held += 1;
      expect(clearCaveats(attempt.token, attempt).kind).toBe(holds ? "cleared" : "prohibited");
    }),
    {
      numRuns: 5_000,
      // An IPv4-mapped address has two readings, so it is within no prefix of either kind.
      examples: [[['"cidr":"::/0"'], "/a", '{"a":"::ffff:10.0.0.1"}']],
    },
  );
  expect(held).toBeGreaterThan(100);
});
