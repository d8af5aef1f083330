import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compileHttpPath } from "./http-pattern.ts";
import { readHttpTarget } from "./http-target.ts";

const { pieces } = JSON.parse(readFileSync(new URL("../../../cases/http/pieces.json", import.meta.url), "utf8")) as {
  readonly pieces: readonly string[]; // its shape is written in its note
};
const target = fc
  .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 2 })), { maxLength: 12 })
  .map((parts) => `/${parts.join("")}`);

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
