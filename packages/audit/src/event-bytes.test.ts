import { EVENTS, type EventName } from "@writ/contract";
import { describe, expect, it } from "vitest";
import { EVENT_CHARACTERS_MAX, EVENT_DEPTH_MAX, encodeEvent } from "./event-bytes.ts";
import { TENANT, uuid } from "./testing/make-log.ts";

// biome-ignore lint/suspicious/noExplicitAny: these tests hand in what the types forbid.
const aborted = (over: Record<string, unknown> = {}, fields: Record<string, unknown> = {}): any => ({
  event: "call.aborted",
  id: uuid(1),
  timeMs: 1,
  tenantId: TENANT,
  fields: { callId: uuid(2), status: "drain", ...fields },
  ...over,
});
// biome-ignore lint/suspicious/noExplicitAny: as above.
const attenuated = (carves: unknown): any => ({
  ...aborted({ event: "token.attenuated" }),
  fields: { callId: "c", node: "n", parent: "p", root: "r", agentId: "a", caveats: [], carves, expiresAt: 1 },
});

describe("encodeEvent", () => {
  it("writes the envelope first and the fields in the order of the catalogue", () => {
    const { text } = encodeEvent(aborted({}, { callId: uuid(2) }));
    expect(text).toBe(
      `{"v":1,"event":"call.aborted","id":"${uuid(1)}","time":1,"tenant":"${TENANT}","callId":"${uuid(2)}","status":"drain"}`,
    );
    const swapped = aborted();
    swapped.fields = { status: "drain", callId: uuid(2) };
    expect(encodeEvent(swapped).text).toBe(text);
  });

  it("keeps a newline in a value out of the line", () => {
    expect(encodeEvent(aborted({}, { status: "a\nb\r\u2028" })).text).not.toMatch(/[\n\r]/);
  });

  it("leaves out an optional field that is undefined", () => {
    const event = {
      ...aborted({ event: "call.completed" }),
      fields: { callId: "c", status: "s", responseBytes: 1, durationMs: 2, digest: undefined },
    };
    expect(encodeEvent(event).text).toMatch(/"responseBytes":1,"durationMs":2}$/);
  });

  it("writes a frozen list of objects, printed once and remembered, as it writes any other", () => {
    const claims = [{ counter: "c", amount: 1 }, { counter: 'd"\\' }];
    const frozen = Object.freeze(claims.map((claim) => Object.freeze({ ...claim })));
    const decided = (list: unknown, more: Record<string, unknown>) => ({
      ...aborted({ event: "call.decided" }),
      fields: {
        ...{ callId: "c", decision: "allow", reasons: ["policy_allow"], agentId: "a", principalId: "p", node: "n" },
        ...{ root: "r", action: "tool.call", protocol: "mcp", revision: 1, gateway: "g", claims: list, ...more },
      },
    });
    for (const more of [{}, { ruleId: "x" }, { arguments: "y" }]) {
      const plain = encodeEvent(decided(claims, more));
      expect(JSON.parse(plain.text).claims).toEqual(claims);
      expect(encodeEvent(decided(frozen, more))).toEqual(plain);
      expect(encodeEvent(decided(frozen, more))).toEqual(plain);
    }
  });

  it("prints a list anew that is not frozen whole, and refuses it when it has become unwritable", () => {
    for (const freeze of [(inner: object) => inner, (inner: object) => Object.freeze({ inner })]) {
      const item: { a: unknown } = { a: 1 };
      const list = Object.freeze([freeze(item)]);
      expect(encodeEvent(attenuated(list)).text).toContain('{"a":1}');
      item.a = 2;
      expect(encodeEvent(attenuated(list)).text).toContain('{"a":2}');
      item.a = 0.5;
      expect(() => encodeEvent(attenuated(list))).toThrow(TypeError);
    }
  });

  it("can write every event of the catalogue", () => {
    const sample = {
      string: "s",
      integer: 1,
      boolean: true,
      strings: ["s"],
      object: { a: 1 },
      objects: [{ a: [null] }],
    };
    for (const name of Object.keys(EVENTS) as EventName[]) {
      const fields = Object.fromEntries(
        Object.entries(EVENTS[name].fields).map(([field, type]) => [field, sample[type]]),
      );
      const parsed = JSON.parse(encodeEvent(aborted({ event: name, fields })).text);
      expect(parsed).toEqual({ v: EVENTS[name].version, event: name, id: uuid(1), time: 1, tenant: TENANT, ...fields });
    }
  });

  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = cyclic;
  const refused: readonly [string, unknown][] = [
    ["an event that the catalogue lacks", aborted({ event: "call.forgotten" })],
    ["an event named like a property of objects", aborted({ event: "constructor" })],
    ["a field that the catalogue lacks", aborted({}, { mood: "good" })],
    ["a missing field", aborted({ fields: { callId: "c" } })],
    ["a field that is undefined and not optional", aborted({}, { status: undefined })],
    ["a number for a string", aborted({}, { status: 1 })],
    ["null for a string", aborted({}, { status: null })],
    ["a lone surrogate", aborted({}, { status: "\ud800" })],
    ["an unsafe integer", aborted({ event: "log.opened", fields: { epoch: 2 ** 53 } })],
    ["a fraction", aborted({ event: "log.opened", fields: { epoch: 1.5 } })],
    ["a numeric string for an integer", aborted({ event: "log.opened", fields: { epoch: "1" } })],
    ["an id in capitals", aborted({ id: uuid(1).toUpperCase() })],
    ["a tenant that is no UUID", aborted({ tenantId: "acme" })],
    ["a negative time", aborted({ timeMs: -1 })],
    ["strings that are no array", attenuated("x")],
    ["an object among objects that is an array", attenuated([[]])],
    ["a fraction inside an object", attenuated([{ amount: 0.5 }])],
    ["a lone surrogate in a member's name", attenuated([{ "\udc00": 1 }])],
    ["undefined inside an object", attenuated([{ amount: undefined }])],
    ["a date inside an object", attenuated([{ at: new Date(0) }])],
    ["an object with toJSON", attenuated([{ toJSON: () => ({}) }])],
    ["a bigint inside an object", attenuated([{ amount: 1n }])],
    ["an object that holds itself", attenuated([cyclic])],
    ["a text beyond the limit", aborted({}, { status: "x".repeat(EVENT_CHARACTERS_MAX) })],
  ];
  it.each(refused)("refuses %s", (_, event) => {
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    expect(() => encodeEvent(event as any)).toThrow(TypeError);
  });

  it("refuses objects nested beyond the limit and takes those within it", () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
    expect(() => encodeEvent(attenuated([nested(EVENT_DEPTH_MAX - 1)]))).not.toThrow();
    expect(() => encodeEvent(attenuated([nested(EVENT_DEPTH_MAX)]))).toThrow(TypeError);
  });
});
