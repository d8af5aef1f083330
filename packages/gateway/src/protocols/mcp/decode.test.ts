/** What a `tools/call` may hold beside what is judged. */
import { expect, it } from "vitest";
import { decodeMessage, readToolCall } from "./decode.ts";

const encoder = new TextEncoder();

function read(params: object): ReturnType<typeof readToolCall> {
  const message = decodeMessage(
    encoder.encode(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params })),
  );
  if (message.kind !== "request") throw new TypeError("the message is a request");
  return readToolCall(message);
}

it("a call with a name and arguments is read, and members without a meaning of their own pass", () => {
  expect(read({ name: "echo", arguments: { a: 1 }, x: 1 })).toMatchObject({ tool: "echo" });
});

it.each(["task", "Task", "inputResponses", "requestState"])(
  "a call with %s is refused: it would change what the call does, and nothing judges it",
  (member) => {
    expect(read({ name: "echo", arguments: {}, [member]: {} })).toBeUndefined();
  },
);
