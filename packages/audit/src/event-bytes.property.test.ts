import { createHash } from "node:crypto";
import { type AuditEvent, EVENTS, type EventEntry, type EventName, type FieldType } from "@writ/contract";
import fc from "fast-check";
import { expect, it } from "vitest";
import { encodeEvent } from "./event-bytes.ts";
import { TENANT, uuid } from "./testing/make-log.ts";

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const { value: plain } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    tie("array"),
    tie("object"),
  ),
  array: fc.array(tie("value"), { maxLength: 3 }),
  object: fc.dictionary(text, tie("value"), { maxKeys: 3 }),
}));
const object = fc.dictionary(text, plain, { maxKeys: 4 });
const arbitraries: Record<FieldType, fc.Arbitrary<unknown>> = {
  string: text,
  integer: fc.maxSafeInteger(),
  boolean: fc.boolean(),
  strings: fc.array(text, { maxLength: 4 }),
  object,
  objects: fc.array(object, { maxLength: 3 }),
};

const anyEvent = fc.constantFrom(...(Object.keys(EVENTS) as EventName[])).chain((name) => {
  const entry: EventEntry = EVENTS[name];
  const shape = Object.fromEntries(Object.entries(entry.fields).map(([field, type]) => [field, arbitraries[type]]));
  const requiredKeys = Object.keys(shape).filter((field) => !entry.optional?.includes(field));
  const fields = fc.record(shape, { requiredKeys });
  return fc
    .record({ id: fc.nat().map(uuid), timeMs: fc.maxSafeNat(), fields, order: fc.infiniteStream(fc.nat()) })
    .map(({ id, timeMs, fields: made, order }) => {
      const shuffled = Object.entries(made).sort(() => (order.next().value % 3) - 1);
      // Made after the catalogue entry of that name, which is what the type says.
      return {
        event: name,
        id,
        timeMs,
        tenantId: TENANT,
        fields: Object.fromEntries(shuffled),
      } as unknown as AuditEvent;
    });
});

/** Slow and plain: one JSON.stringify per part, in the order that the format says. */
function reference(event: AuditEvent): string {
  const entry: EventEntry = EVENTS[event.event];
  const parts: [string, unknown][] = [
    ["v", entry.version],
    ["event", event.event],
    ["id", event.id],
    ["time", event.timeMs],
    ["tenant", event.tenantId],
  ];
  const given = new Map(Object.entries(event.fields));
  for (const field of Object.keys(entry.fields)) if (given.has(field)) parts.push([field, given.get(field)]);
  return `{${parts.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`;
}

function sorted(fields: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(fields).sort();
  return JSON.stringify(names.map((name) => [name, fields[name]]));
}

it("the compiled writers agree with a plain reference, with JSON.parse and with another way to hash", () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      const { text: line, leaf } = encodeEvent(event);
      expect(line).toBe(reference(event));
      const { v, event: name, id, time, tenant, ...fields } = JSON.parse(line);
      expect({ v, name, id, time, tenant }).toEqual({
        v: EVENTS[event.event].version,
        name: event.event,
        id: event.id,
        time: event.timeMs,
        tenant: TENANT,
      });
      expect(sorted(fields)).toBe(sorted(event.fields));
      expect(line).not.toContain("\n");
      const expected = createHash("sha256").update(Buffer.of(0)).update(Buffer.from(line, "utf8")).digest();
      expect(Buffer.compare(leaf, expected)).toBe(0);
    }),
    { numRuns: 500 },
  );
});
