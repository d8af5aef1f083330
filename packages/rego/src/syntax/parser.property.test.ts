/** Any bytes whatsoever are a module or problems. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseModule, parseQuery } from "./parser.ts";

const words = fc.constantFrom(
  ...[
    "package a\n",
    "import ",
    "data.b",
    " p",
    "[x]",
    " contains ",
    ":=",
    " if ",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "|",
    "\n",
  ],
  ...[
    "some ",
    " in ",
    "every ",
    "not ",
    " with ",
    " as ",
    "else ",
    "default ",
    '$"',
    '"',
    "`",
    "# METADATA\n",
    "# a:\n",
    "#",
  ],
  ...[
    ",",
    ":",
    ";",
    ".",
    "-",
    "1",
    "1.5e3",
    "null",
    "true",
    "_",
    "f(x)",
    "== ",
    "\\u00",
    "\\{",
    "😀",
    "\u0000",
    "\r\n",
  ],
);

test("arbitrary bytes give a module or problems, never a throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = new TextDecoder().decode(bytes);
      expect(["module", "problems"]).toContain(parseModule("a", text).kind);
      expect(["query", "problems"]).toContain(parseQuery(text).kind);
    }),
    { numRuns: 500 },
  );
});

test("arbitrary words of Rego give a module or problems with a place in the text", () => {
  fc.assert(
    fc.property(fc.array(words, { maxLength: 40 }), (parts) => {
      const text = parts.join("");
      for (const read of [parseModule("a", text), parseModule("a", `package a\np if {${text}}\n`), parseQuery(text)]) {
        if (read.kind !== "problems") continue;
        expect(read.problems.length).toBeGreaterThan(0);
        for (const problem of read.problems) {
          expect(problem.line).toBeGreaterThan(0);
          expect(problem.column).toBeGreaterThan(0);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});
