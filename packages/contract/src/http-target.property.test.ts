import fc from "fast-check";
import { expect, test } from "vitest";
import { compileHttpPath } from "./http-pattern.ts";
import { readHttpTarget } from "./http-target.ts";

/** Pieces of which attacks on paths are made, beside ordinary ones. */
const PIECES = [
  "/",
  "//",
  ".",
  "..",
  ";",
  "%2e",
  "%2E",
  "%2f",
  "%5C",
  "\\",
  "%25",
  "%252e",
  "%c0%ae",
  "%00",
  "%61",
  "a",
  "b",
  "%7e",
  "~",
  "+",
  "%2b",
  "%20",
  "é",
  "%C3%A9",
  "@",
  ":",
  "%3A",
  "?",
  "&",
  "=",
  "'",
  "#",
  "[",
  "*",
];
const target = fc
  .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 2 })), { maxLength: 12 })
  .map((pieces) => `/${pieces.join("")}`);

test("a target that has a spelling is read as itself, and as Node's URL parser reads it", () => {
  fc.assert(
    fc.property(target, (text) => {
      const read = readHttpTarget(text);
      if (read.kind === "fault") return;
      const { path, query } = read.target;
      const sent = query === "" ? path : `${path}?${query}`;
      expect(readHttpTarget(sent)).toEqual(read);
      const url = new URL(sent, "http://upstream.example");
      expect(url.host).toBe("upstream.example");
      expect(url.pathname + url.search).toBe(sent);
    }),
    { numRuns: 3000 },
  );
});

test("a path of a request is matched by itself as a pattern, whichever way it was written", () => {
  fc.assert(
    fc.property(target, (text) => {
      const read = readHttpTarget(text);
      if (read.kind === "fault" || read.target.path.includes("*")) return;
      expect(compileHttpPath(read.target.path)?.matches(read.target.path)).toBe(true);
      expect(compileHttpPath("/**")?.matches(read.target.path)).toBe(true);
    }),
  );
});
