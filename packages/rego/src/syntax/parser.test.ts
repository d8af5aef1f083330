import { describe, expect, test } from "vitest";
import { writeProblem } from "../problem.ts";
import type { Module } from "./ast.ts";
import { parseModule, parseQuery } from "./parser.ts";

function parsed(text: string): Module {
  const read = parseModule("a.rego", text);
  if (read.kind === "problems") throw new TypeError(read.problems.map(writeProblem).join("\n"));
  return read.module;
}

function problems(text: string): string[] {
  const read = parseModule("a.rego", text);
  return read.kind === "problems" ? read.problems.map(writeProblem) : [];
}

describe("a module", () => {
  test("is read with its package, imports and rules, each in its place", () => {
    const module = parsed(`package writ.gateway # the gateway

import rego.v1
import data.writ.roles as known

default allow := false

allow if {
  some role in known[input.subject]
  role.name == "admin"
}
`);
    expect(module.package.path).toEqual(["writ", "gateway"]);
    expect(module.imports.map(({ path, alias }) => [path.join("."), alias])).toEqual([
      ["rego.v1", undefined],
      ["data.writ.roles", "known"],
    ]);
    expect(module.rules.map((rule) => [rule.isDefault, rule.body?.literals.length])).toEqual([
      [true, undefined],
      [false, 2],
    ]);
    expect(module.comments.map((comment) => comment.text)).toEqual([" the gateway"]);
    const { at, end } = module.rules[0] ?? { at: 0, end: 0 };
    expect(module.source.text.slice(at, end)).toBe("default allow := false");
  });

  test("keeps the comments of a place that was read twice only once", () => {
    const module = parsed("package a\n\np := {1 | # one\n  2}\n");
    expect(module.comments.map((comment) => comment.text)).toEqual([" one"]);
  });

  test("has the METADATA that stands before its package and its rules", () => {
    const module = parsed(`# METADATA
# title: A policy
# authors:
#  - Ada Lovelace <ada@example.org>
#  - name: Grace
# related_resources: [https://example.org]
# custom:
#   level: 3
#   text: |
#     two
#       lines
# scope: subpackages
package a

# METADATA
# entrypoint: true
# description: >
#   folded
#   text
p := 1
`);
    expect(module.annotations.map(({ scope, fields }) => [scope, fields])).toEqual([
      [
        "subpackages",
        {
          title: "A policy",
          authors: [{ name: "Ada Lovelace", email: "ada@example.org" }, { name: "Grace" }],
          related_resources: [{ ref: "https://example.org" }],
          custom: { level: 3, text: "two\n  lines\n" },
          scope: "subpackages",
        },
      ],
      ["document", { entrypoint: true, description: "folded text\n", scope: "document" }],
    ]);
  });
});

describe("what is wrong", () => {
  test.each([
    [
      "",
      "a.rego:1:1: rego_parse_error: unexpected eof token: package expected (hint: a module begins with `package name`)",
    ],
    ["package", "a.rego:1:8: rego_parse_error: unexpected eof token: expected the name of a package"],
    ["package a\n\np := ", "a.rego:3:6: rego_parse_error: unexpected eof token"],
    ["package a\np := [1, 2", 'a.rego:2:11: rego_parse_error: unexpected eof token: expected "," or "]" after an item'],
    ['package a\np := "é\n', "a.rego:2:6: rego_parse_error: non-terminated string"],
    ['package a\np := ["\u{1f600}", $]', 'a.rego:2:12: rego_parse_error: illegal token "$"'],
    ["package a\np := 01", "a.rego:2:6: rego_parse_error: expected number without a leading zero"],
    [
      "package a\nallow { input.x }",
      "a.rego:2:7: rego_parse_error: unexpected { token: `if` keyword is required before rule body (hint: Rego v0: write `if` before the brace)",
    ],
    [
      "package a\ndeny[msg] { msg := 1 }",
      "a.rego:2:11: rego_parse_error: unexpected { token: `if` keyword is required before rule body (hint: Rego v0: write `if` before the brace)",
    ],
    [
      "package a\np[1]",
      "a.rego:2:1: rego_parse_error: `contains` keyword is required for partial set rules (hint: Rego v0: write `name contains member` instead of `name[member]`)",
    ],
    [
      "package a\nimport foo.bar",
      "a.rego:2:8: rego_parse_error: unexpected import path, must begin with one of: {data, future, input, rego}, got: foo (hint: write import data.foo.bar)",
    ],
    [
      "package a\np if false else if { }",
      "a.rego:2:22: rego_parse_error: unexpected } token: found empty body (hint: a body has at least one expression)",
    ],
    [
      "package a\np if { x := 1 y := 2 }",
      "a.rego:2:15: rego_parse_error: unexpected identifier token y (hint: begin a new line, or put ; between)",
    ],
    ["package a\np := [x | x := ]", "a.rego:2:16: rego_parse_error: unexpected ] token"],
    [
      "package a\nif := 1",
      "a.rego:2:1: rego_parse_error: unexpected if keyword (hint: a rule cannot be named like a keyword)",
    ],
    ["package a\np if not x := 1", "a.rego:2:10: rego_parse_error: cannot assign vars inside negated expression"],
    ['package a\np := $"{x"', "a.rego:2:10: rego_parse_error: non-terminated string"],
    [
      "package a\n# METADATA\n# title: 1\np := 1",
      'a.rego:2:1: rego_parse_error: annotation field "title" has the wrong type',
    ],
  ])("in %j is told with its place", (text, message) => expect(problems(text)).toEqual([message]));

  test("is told for each rule, and the lines between are still read", () => {
    expect(problems("package a\np := )\nq := 1\nr { 1 }\ns := ]\n")).toHaveLength(3);
  });
});

describe("terms", () => {
  function query(text: string): unknown {
    const read = parseQuery(text);
    if (read.kind === "problems") throw new TypeError(read.problems.map(writeProblem).join("\n"));
    return JSON.parse(
      JSON.stringify(read.body.literals[0], (key, value) => (key === "at" || key === "end" ? undefined : value)),
    );
  }

  test("bind as tightly as their operators say", () => {
    expect(query("1 + 2 * 3 == 7 | x & y")).toEqual(query("(1 + (2 * 3)) == (7 | (x & y))"));
    expect(query("1 - 2 - 3")).toEqual(query("(1 - 2) - 3"));
    expect(query("a == b in c")).toEqual(query("(a == b) in c"));
  });

  test("belong together only without a space between", () => {
    expect(() => query("f (x)")).toThrow(/new line/);
    expect(query("[a, b, c in d]")).toEqual(query("[a, b, (c in d)]"));
  });

  test("in braces are a comprehension when they can be, and else a set of unions", () => {
    expect(query("{x | y}")).toMatchObject({ expression: { term: { kind: "comprehension" } } });
    expect(query("{x | y, z}")).toMatchObject({ expression: { term: { kind: "set" } } });
    expect(query("{x: y | z}")).toMatchObject({ expression: { term: { kind: "comprehension", of: "object" } } });
  });

  test.each([
    ["[".repeat(50_000), /deeper/],
    [`${"{a|".repeat(5_000)}`, /deeper/],
    [`x := ${"1+".repeat(50_000)}1`, /too many operators/],
    [`x${".a".repeat(500)}${"(1)".repeat(500)}`, /too many parts/],
    [`x := $"${'{$"'.repeat(3_000)}`, /deeper/],
  ])("that are too deep are refused: %#", (text, message) => expect(() => query(text)).toThrow(message));

  test("that open many comprehensions which are none are read in little time", () => {
    expect(query(`${"[".repeat(100)}1${" | 2, 3]".repeat(100)}`)).toMatchObject({ negated: false });
  });
});
