import { randomBytes } from "node:crypto";
import { parseStrictJsonText } from "@writ/contract";
import { openKeyring } from "@writ/runtime";
import { expect, test } from "vitest";
import { readInputRequests } from "./input-requests.ts";
import { type Asked, createInputStates, type InputStates } from "./input-state.ts";
import type { AgentCall } from "./ports.ts";

const masterKey = randomBytes(32);
const ELICIT = '{"method":"elicitation/create","params":{"message":"Sure?"}}';

/** A gateway's; several of one master key know nothing of each other. */
function makeStates(nowMs = 1_000, key: Uint8Array = masterKey): InputStates {
  const keyring = openKeyring(key);
  return createInputStates({ clock: { nowMs: () => nowMs, monotonicMs: () => 0 }, keyOf: keyring.inputStateKey });
}

function makeAsked(params: object, changes: Partial<AgentCall> = {}, who: Partial<Asked> = {}): Asked {
  const { inputResponses, requestState } = params as { inputResponses?: object; requestState?: string }; // as given below
  const args = parseStrictJsonText('{"price":1.10}');
  if (args.kind === "fault") throw new TypeError("the arguments are JSON");
  return {
    tenantId: "t",
    agentId: "a",
    ...who,
    call: {
      protocol: "mcp",
      action: "tool.call",
      upstream: "up",
      tool: "pay",
      arguments: args.value as AgentCall["arguments"], // an object
      argumentsText: "",
      message: { method: "tools/call", params: JSON.stringify(params), progress: false, name: "pay" },
      child: undefined,
      mcpSession: undefined,
      resumes: { kind: "claimed", answers: Object.keys(inputResponses ?? {}), state: requestState },
      ...changes,
    },
  };
}

function seal(states: InputStates, result: string, asked: Asked = makeAsked({})): string {
  const sealed = states.seal(asked, readInputRequests(result) ?? [], result);
  return (JSON.parse(sealed ?? "{}") as { requestState: string }).requestState;
}

const own = `{"resultType":"input_required","inputRequests":{"ok":${ELICIT}},"requestState":"the \\u0075pstream's"}`;
const none = `{"resultType":"input_required","inputRequests":{"ok":${ELICIT}}}`;

test("an answer that was asked for goes on with the upstream's own state, on any gateway", () => {
  const requestState = seal(makeStates(), own);
  const params = { name: "pay", inputResponses: { ok: { action: "accept" } }, requestState };
  const { resumes, message, argumentsText } = makeStates().open(makeAsked(params));
  expect(resumes).toMatchObject({ kind: "asked", questions: [{ method: "elicitation/create" }] });
  expect(JSON.parse(message?.params ?? "")).toEqual({ ...params, requestState: "the upstream's" });
  expect(argumentsText).toBe(message?.params);
});

test("an upstream that gave no state gets none, and answers that nobody asked for are not sent", () => {
  const requestState = seal(makeStates(), none);
  const params = { name: "pay", inputResponses: { ok: { action: "accept" }, more: {}, "m\n": 1 }, requestState };
  const { resumes, message } = makeStates().open(makeAsked(params));
  expect(resumes).toMatchObject({ kind: "asked", questions: [{ key: "ok" }] });
  expect(JSON.parse(message?.params ?? "")).toEqual({ name: "pay", inputResponses: { ok: { action: "accept" } } });
});

const inputResponses = { ok: { action: "accept" } };

test.each<[string, (requestState: string) => AgentCall]>([
  ["without a state", () => makeStates().open(makeAsked({ inputResponses }))],
  ["with one of the upstream's", () => makeStates().open(makeAsked({ inputResponses, requestState: "round-1" }))],
  ["with one that was changed", (state) => makeStates().open(makeAsked({ inputResponses, requestState: `${state} ` }))],
  [
    "with one of which the questions were changed",
    (state) => makeStates().open(makeAsked({ inputResponses, requestState: state.replace("Sure?", "Fine?") })),
  ],
  [
    "of another agent",
    (requestState) => makeStates().open(makeAsked({ inputResponses, requestState }, {}, { agentId: "b" })),
  ],
  [
    "of another tenant",
    (requestState) => makeStates().open(makeAsked({ inputResponses, requestState }, {}, { tenantId: "u" })),
  ],
  [
    "to another upstream",
    (requestState) => makeStates().open(makeAsked({ inputResponses, requestState }, { upstream: "down" })),
  ],
  [
    "to another tool",
    (requestState) => makeStates().open(makeAsked({ inputResponses, requestState }, { tool: "buy" })),
  ],
  [
    "with other arguments",
    (requestState) => makeStates().open(makeAsked({ inputResponses, requestState }, { arguments: { price: 2 } })),
  ],
  ["a day later", (requestState) => makeStates(86_401_000).open(makeAsked({ inputResponses, requestState }))],
  [
    "under another master key",
    (requestState) => makeStates(1_000, randomBytes(32)).open(makeAsked({ inputResponses, requestState })),
  ],
])("an answer %s was not asked for", (_name, open) => {
  const requestState = seal(makeStates(), own);
  expect(makeStates().open(makeAsked({ inputResponses, requestState })).resumes).toMatchObject({ kind: "asked" });
  expect(open(requestState).resumes).toEqual({ kind: "unasked" });
});

test("a question that would not fit into a state is not passed on", () => {
  const question = JSON.stringify({ method: "sampling/createMessage", params: { text: "x".repeat(300_000) } });
  const result = `{"resultType":"input_required","inputRequests":{"ok":${question}}}`;
  expect(makeStates().seal(makeAsked({}), readInputRequests(result) ?? [], result)).toBeUndefined();
});

test.each([
  `{"resultType":"input_required","inputRequests":{"ok":${ELICIT},"ok":${ELICIT}}}`,
  '{"resultType":"input_required","requestState":"a","requestState":"b"}',
  '{"resultType":"input_required","requestState":1}',
])("what two readers would read otherwise is not asked: %s", (result) => {
  expect(readInputRequests(result)).toEqual([{ key: "", method: "", params: "{}" }]);
});
