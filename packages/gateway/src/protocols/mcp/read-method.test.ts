/** What the parameters of a request may hold beside what is judged, and what is read from them. */
import fc from "fast-check";
import { expect, it, test } from "vitest";
import { decodeMessage } from "./decode.ts";
import { type MethodReading, readMethod } from "./read-method.ts";

const encoder = new TextEncoder();

function read(method: string, params: object): MethodReading {
  const message = decodeMessage(encoder.encode(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })));
  if (message.kind !== "request") throw new TypeError("the message is a request");
  return readMethod(message);
}

it("a call with a name and arguments is read, and members without a meaning of their own pass", () => {
  expect(read("tools/call", { name: "echo", arguments: { a: 1 }, x: 1 })).toMatchObject({ tool: "echo" });
});

it.each(["task", "Task", "inputResponses", "requestState"])(
  "a call with %s is refused: it would change what the call does, and nothing judges it",
  (member) => {
    expect(read("tools/call", { name: "echo", arguments: {}, [member]: {} })).toEqual({ kind: "fault" });
  },
);

test.each([
  ["resources/read", { uri: "demo://x/1" }, "resource.read", { kind: "resource", name: "demo://x/1" }],
  ["resources/list", { cursor: "2" }, "resource.list", undefined],
  ["resources/templates/list", {}, "resource.list", undefined],
  ["prompts/list", {}, "prompt.list", undefined],
  ["prompts/get", { name: "p", arguments: { a: "1" } }, "prompt.get", { kind: "prompt", name: "p" }],
  [
    "completion/complete",
    { ref: { type: "ref/prompt", name: "p" }, argument: { name: "a", value: "b" } },
    "completion",
    { kind: "prompt", name: "p" },
  ],
  [
    "completion/complete",
    { ref: { type: "ref/resource", uri: "demo://{x}" }, argument: { name: "x", value: "b" } },
    "completion",
    { kind: "resource", name: "demo://{x}" },
  ],
])("%s of %j is the action %s", (method, params, action, named) => {
  expect(read(method, params)).toMatchObject({ kind: "call", action, tool: "" });
  expect(read(method, params)).toHaveProperty("named", named);
});

test.each([
  ["a resource without a URI", "resources/read", {}],
  ["a member in another spelling", "resources/read", { uri: "demo://a", _META: {} }],
  [
    "a reference that names a prompt and a resource",
    "completion/complete",
    {
      ref: { type: "ref/prompt", name: "p", uri: "demo://a" },
      argument: { name: "a", value: "b" },
    },
  ],
  ["a completion without an argument", "completion/complete", { ref: { type: "ref/prompt", name: "p" } }],
  ["a cursor that is no text", "resources/list", { cursor: 1 }],
])("%s is refused", (_, method, params) => {
  expect(read(method, params)).toEqual({ kind: "fault" });
});

test("a URI with dot segments, however spelt, is refused: a pattern may cover it that does not cover what it leads to", () => {
  const dots = fc.constantFrom("..", ".", "%2e%2e", ".%2E", "%2E.", "%2e");
  const slash = fc.constantFrom("/", "%2f", "%2F", "\\", "%5c");
  const end = fc.constantFrom("", "/x", "?q", "#f", "\\x", "%2Fx");
  fc.assert(
    fc.property(dots, slash, end, (segment, before, after) => {
      expect(read("resources/read", { uri: `file:///data${before}${segment}${after}` })).toEqual({ kind: "fault" });
    }),
  );
});

test("a URI in whose segments dots are only a part is read", () => {
  const part = fc.stringMatching(/^[a-z]{1,4}\.{0,3}[a-z]{0,4}$/);
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      expect(read("resources/read", { uri: `file:///${parts.join("/")}` })).toMatchObject({ kind: "call" });
    }),
  );
});
