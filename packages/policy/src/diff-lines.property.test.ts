import fc from "fast-check";
import { expect, test } from "vitest";
import { diffLines } from "./diff-lines.ts";

const text = fc
  .array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 30 })
  .map((lines) => lines.map((line) => `${line}\n`).join(""));

test("a difference without what was added is the first text, without what was removed the second", () => {
  fc.assert(
    fc.property(text, text, (before, after) => {
      const lines = diffLines(before, after);
      const without = (kind: string): string =>
        lines
          .filter((line) => line.kind !== kind)
          .map((line) => `${line.text}\n`)
          .join("");
      expect(without("added")).toBe(before);
      expect(without("removed")).toBe(after);
    }),
  );
});

test("equal texts have no difference, and one changed line is one removed and one added", () => {
  const kinds = (before: string, after: string): readonly string[] => diffLines(before, after).map(({ kind }) => kind);

  expect(kinds("a\nb\n", "a\nb\n")).toEqual(["same", "same"]);
  expect(kinds("a\nb\nc\n", "a\nx\nc\n")).toEqual(["same", "removed", "added", "same"]);
});

test("texts that would take too long to compare are shown as replaced, between their equal ends", () => {
  const lines = (word: string): string => `first\n${`${word}\nboth\n`.repeat(1_500)}last\n`;

  const kinds = diffLines(lines("old"), lines("new")).map(({ kind }) => kind);

  expect(kinds.filter((kind) => kind === "same").length).toBe(3); // the last "both" belongs to the equal end
});
