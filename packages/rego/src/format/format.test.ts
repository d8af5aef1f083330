import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OPA_CASES, runConformance, runsOpaCases } from "../conformance.fixture.ts";
import { writeProblem } from "../problem.ts";
import type { Module } from "../syntax/ast.ts";
import { parseModule } from "../syntax/parser.ts";
import { format } from "./format.ts";

function formatted(text: string): string {
  const result = format("a.rego", text);
  if (result.kind === "problems") throw new TypeError(result.problems.map(writeProblem).join("\n"));
  return result.text;
}

function parsed(text: string): Module {
  const read = parseModule("a.rego", text);
  if (read.kind === "problems") throw new TypeError(`${read.problems.map(writeProblem).join("\n")} in\n${text}`);
  return read.module;
}

/** What a module means: its tree without places, and without what formatting may change. */
function meaning(module: Module): string {
  const left = new Set(["at", "end", "braced", "operator", "source", "comments", "annotations", "target", "dotted"]);
  const imports = module.imports.map((node) => [node.path.join("."), node.alias]).sort();
  const write = (value: unknown) =>
    JSON.stringify(value, (key, member) => {
      if (typeof member === "bigint") return String(member);
      return left.has(key) ? undefined : member;
    });
  return `${write(module.package.path)} ${write(imports)} ${write(module.rules.map(withoutTrueBody))}`;
}

/** A rule whose body is only `true` is what its head says. */
function withoutTrueBody(rule: Module["rules"][number]): unknown {
  const [literal, ...others] = rule.body?.literals ?? [];
  const { body: _, ...head } = rule;
  const isTrue = literal?.expression.kind === "term" && literal.expression.term.kind === "scalar";
  if (!isTrue || others.length > 0 || rule.otherwise.length > 0) return rule;
  if (literal.expression.term.value !== true || literal.negated || literal.with.length > 0) return rule;
  return rule.member === undefined && rule.value === undefined ? { ...head, value: literal.expression.term } : head;
}

/** Expects the text to be formatted to the same module with the same comments, and once for all. */
function expectSame(text: string): void {
  const before = parsed(text);
  const result = formatted(text);
  const after = parsed(result);
  expect(meaning(after), text).toBe(meaning(before));
  const comments = (module: Module) => module.comments.map((comment) => comment.text).sort();
  expect(comments(after), text).toEqual(comments(before));
  const fields = (module: Module) => module.annotations.map((annotation) => annotation.fields);
  expect(fields(after), text).toEqual(fields(before));
  expect(formatted(result), text).toBe(result);
}

describe("a formatted module", () => {
  test.each<[string, string]>([
    ["has tabs and single spaces", "package   a\np  if {\n  x:=1\n      x>0\n}\n"],
    [
      "has a blank line between what is longer than a line",
      "package a\np := 1\nq := 2\n\n\n\nr if {\n\tq\n\tp\n}\ns := 1\n",
    ],
    [
      "has its imports in order, group by group",
      "package a\nimport data.z # last\nimport data.b as c\n\nimport input.x\np := z\n",
    ],
    ["has one body without braces where it stood in one line", "package a\np if { x }\nq if { x; y }\nr if\n  x\n"],
    [
      "has else where the author put it",
      "package a\np := 1 if {\n x\n y } else := 2 if { z }\n\nq := 1 if x\nelse = 2\n",
    ],
    ["has the breaks of lists that were broken", 'package a\np := [1,2,\n3]\nq := {1,2,}\nr := f({\n"a":1})\n'],
    ["has := after heads", "package a\np = 1 if { x = 1 }\n"],
    [
      "has comments where they stood",
      "# one\npackage a # two\n# three\n\n# four\np if { # five\n\n x # six\n # seven\n}\n# eight\n",
    ],
    ["has comments in lists", "package a\np := [ # one\n 1 # two\n , 2, # three\n # four\n]\n"],
    [
      "has parentheses around operations in others alone",
      "package a\np := 1 + 2 * 3 - (4)\nq if (x + 1) == 2\nr if { x == (y == z); not (a in b) }\ns := [(a == b) | true]\n",
    ],
    ["has a mark before a minus", "package a\np if { x; -1 }\nq := [x | y; -1]\n"],
    [
      "has short bodies within others in their line",
      "package a\np if { x; every y in z { y > 0 } }\nq if { every y in z { y > 0; y < 9 } }\n",
    ],
    [
      "has no body that is only true",
      "package a\np if true\nq := 1 if { true }\nr contains 2 if true\ns if false else := 1 if true\n",
    ],
    ["has names behind points", 'package a\np["b"] := x["c"]["d"]["e f"]["if"]\nq.r["s"] := [1]["t"]\n'],
    ["has a rule for each body", "package a\np := 1 if { x } { y } # one\n# two\n{ z }\n"],
    ["keeps braces that are no body", "package a\np if { {x | y} }\nq := [a | b,]\n"],
    ["keeps template strings and raw strings as they are", 'package a\np := $"a  {x  + 1}"\nq := `b\n  c`\n'],
    [
      "has comprehensions in one line or in many",
      "package a\np := [x|some x in y;x>1]\nq := {x:y|some x,y in z\n y}\n",
    ],
  ])("%s", (name, text) => {
    expectSame(text);
    expect(formatted(text)).toBe(
      readFileSync(join(import.meta.dirname, "fixtures", `${name.replaceAll(" ", "-")}.txt`), "utf8"),
    );
  });

  test("is refused where the module is", () => {
    expect(format("a.rego", "package a\np := )")).toMatchObject({
      kind: "problems",
      problems: [{ line: 2, column: 6 }],
    });
  });

  test("is the same module whatever stands between its tokens", () => {
    const tokens =
      'package a~import data.b~p(x,~ [y]~) ~:= ~{"a":~ -1,~ "b"~: [~x, (1 + ~2) ~*~ y]} if ~{~x ~== 1~;~not ~y ~with input ~as 2~} ~else := 3 if {~every z ~in [1, ~{2}] {~z > 0~}~}~q contains {r ~| ~some r in [1];~ r~} if ~{~x~}~default s := set()~r if {~{x | ~y~}~}~t[~"a"] = [~a | b,~] if ~f(~)~';
    const parts = tokens.split("~");
    const spaces = fc.array(
      fc.constantFrom("", "", "\n", "\n\n\n", "\n# note\n", "\n  # METADATA of nothing\n\n", "\n\t"),
      {
        minLength: parts.length,
        maxLength: parts.length,
      },
    );
    fc.assert(
      fc.property(spaces, (between) => {
        // Statements end at the end of a line whatever is drawn.
        const text = parts.map(
          (part, index) =>
            part + between[index] + (/^(?:import|p\(|q|default|r if|t)/.test(parts[index + 1] ?? "") ? "\n" : ""),
        );
        expectSame(text.join(""));
      }),
      { numRuns: 300 },
    );
  });
});

describe.skipIf(!runsOpaCases())("over the modules of OPA's cases", () => {
  test("formatting changes nothing but spaces, keeps all comments, and is done once", () => {
    let seen = 0;
    for (const file of readdirSync(OPA_CASES).filter((name) => name.endsWith(".json"))) {
      // The format of the cases; the file of capabilities has none.
      const { cases = [] } = JSON.parse(readFileSync(join(OPA_CASES, file), "utf8")) as {
        cases?: { modules?: string[] }[];
      };
      for (const module of cases.flatMap((each) => each.modules ?? [])) {
        if (parseModule("a", module).kind === "problems") continue;
        expectSame(module);
        seen += 1;
      }
    }
    expect(seen).toBeGreaterThan(1_000);
  });

  test("formatted modules pass and fail the same cases", async () => {
    const rewrite = (text: string) => {
      const result = format("a", text);
      return result.kind === "text" ? result.text : text;
    };
    const plain = await runConformance(OPA_CASES);
    const rewritten = await runConformance(OPA_CASES, rewrite);
    expect(rewritten.failed.map(({ name }) => name)).toEqual(plain.failed.map(({ name }) => name));
  });
});
