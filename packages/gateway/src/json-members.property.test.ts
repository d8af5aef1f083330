import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { elementsOf, findMember, membersOf, valueText, withMember, withoutMember } from "./json-members.ts";

const object = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 6 });
const spacing = fc.constantFrom(0, 1, 2, "\t");

describe("json-members", () => {
  test("every member's span holds exactly its value", () => {
    fc.assert(
      fc.property(object, spacing, (value, space) => {
        const text = JSON.stringify(value, null, space);
        const read = membersOf(text).map((member) => [member.name, JSON.parse(valueText(text, member))]);
        expect(read).toEqual(Object.entries(JSON.parse(text)));
      }),
    );
  });

  test("every element's span holds exactly its value", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), spacing, (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(elementsOf(text).map((span) => JSON.parse(text.slice(span.start, span.end)))).toEqual(JSON.parse(text));
      }),
    );
  });

  test("a member that is set and removed leaves the others as they were", () => {
    fc.assert(
      fc.property(object, spacing, fc.string(), fc.jsonValue(), (value, space, name, inserted) => {
        const text = JSON.stringify(value, null, space);
        const set = withMember(text, name, JSON.stringify(inserted));
        expect(JSON.parse(set)[name]).toEqual(JSON.parse(JSON.stringify(inserted)));
        const others = Object.entries(JSON.parse(text)).filter(([key]) => key !== name);
        expect(Object.entries(JSON.parse(withoutMember(set, name)))).toEqual(others);
      }),
    );
  });

  test("trap-55 a number keeps its lexeme when its neighbours are spliced", () => {
    const text = '{"a":9007199254740993,"b":1.10,"c":[1e400]}';
    expect(withoutMember(text, "b")).toBe('{"a":9007199254740993,"c":[1e400]}');
    expect(withMember(text, "b", "2")).toBe('{"a":9007199254740993,"b":2,"c":[1e400]}');
    const members = membersOf(text);
    const member = findMember(members, "a");
    expect(member && valueText(text, member)).toBe("9007199254740993");
  });
});
