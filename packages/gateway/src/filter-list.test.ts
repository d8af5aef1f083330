import fc from "fast-check";
import { expect, test } from "vitest";
import { filterList } from "./filter-list.ts";

test("a list keeps the bytes of what may be known, and of everything beside it", () => {
  const json = '{ "x" : 1.10, "resources":[ {"uri":"a", "big":9007199254740993} , {"uri":"b"}],"nextCursor":"c" }';
  expect(filterList(json, (_, names) => names.map((name) => (name === "a" ? "listed" : "hidden")))).toBe(
    '{"x" : 1.10,"resources":[{"uri":"a", "big":9007199254740993}],"nextCursor":"c"}',
  );
});

test("an element without a name, with two or with one that is no text is not listed", () => {
  const json = '{"prompts":[{"title":"t"},{"name":"a","name":"b"},{"name":1},"x",{"name":"c"}]}';
  expect(filterList(json, (_, names) => names.map(() => "listed"))).toBe('{"prompts":[{"name":"c"}]}');
});

test("of any list exactly the elements stay that are said to be listed", () => {
  const names = fc.uniqueArray(fc.string({ unit: "grapheme" }), { maxLength: 8 });
  fc.assert(
    fc.property(names, fc.func(fc.boolean()), (all, isListed) => {
      const json = JSON.stringify({ resourceTemplates: all.map((name) => ({ name: "n", uriTemplate: name })) });
      const kept = filterList(json, (kind, asked) => {
        expect(kind).toBe("resource");
        return asked.map((name) => (isListed(name) ? "listed" : "hidden"));
      });
      const read = JSON.parse(kept) as { resourceTemplates: { uriTemplate: string }[] }; // written above
      expect(read.resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual(
        all.filter((name) => isListed(name)),
      );
    }),
  );
});
