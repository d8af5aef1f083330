import { describe, expect, test } from "vitest";
import { valueText } from "./expression.fixture.ts";

describe("templates", () => {
  const values = { a: "x", n: 3, list: [1, "b", { c: true }], map: { z: 1, y: [2] }, none: null, empty: "", f: 1.5 };

  test.each([
    ["no action", "no action"],
    ["{{.a}}-{{.n}}-{{.f}}", "x-3-1.5"],
    ["{{.missing}} {{.none}}", "<undefined> <undefined>"],
    ["{{.map.y}} {{.map}} {{.list}}", "[2] map[y:[2] z:1] [1 b map[c:true]]"],
    ["{{if .a}}yes{{else}}no{{end}} {{if .empty}}yes{{else}}no{{end}}", "yes no"],
    ["{{if .missing}}1{{else if eq .n 3}}2{{else}}3{{end}}", "2"],
    ["{{range .list}}<{{.}}>{{end}}", "<1><b><map[c:true]>"],
    ["{{range $i, $e := .list}}{{if $i}}, {{end}}{{$i}}={{$e}}{{end}}", "0=1, 1=b, 2=map[c:true]"],
    ["{{range $k, $v := .map}}{{$k}}{{end}}", "yz"],
    ["{{range .missing}}x{{else}}none{{end}}", "none"],
    ["{{range .list}}{{if eq . 1}}{{continue}}{{end}}{{.}}{{break}}{{end}}", "b"],
    ["{{with .map}}{{.z}}{{$.a}}{{end}}", "1x"],
    ["{{with $x := .n}}{{$x}}{{end}}", "3"],
    ["{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"],
    ["a {{- .a -}} b", "axb"],
    ["a{{/* a comment */}}b {{- /* another */ -}} c", "abc"],
    ['{{printf "%s-%05d" .a .n}}', "x-00003"],
    ['{{.a | printf "%q"}}', '"x"'],
    ['{{len .list}}{{index .list 1}}{{index .map "z"}}{{index .list 2 "c"}}', "3b1true"],
    ["{{and .a .n}} {{or .empty .a}} {{not .a}}", "3 x false"],
    ['{{lt 1 2}}{{ge .n 4}}{{ne .a "x"}}{{eq .a "y" "x"}}', "truefalsefalsetrue"],
    ['{{html "<a&\'>"}} {{urlquery "a b&c"}} {{js "it\'s"}}', "&lt;a&amp;&#39;&gt; a+b%26c it\\'s"],
    ['{{print 1 2 "a" 3}}', "1 2a3"],
    ["{{(index .list 2).c}}", "true"],
    ["{{slice .a 0 1}}{{'a'}}{{`raw`}}{{\"\\n\"}}", "x97raw\n"],
  ])("%j makes %j", (template, wanted) => {
    expect(valueText("strings.render_template(input.template, input.values)", { template, values })).toBe(
      JSON.stringify(wanted),
    );
  });

  test.each([
    "{{",
    "{{.a",
    "{{end}}",
    "{{if .a}}",
    "{{if}}x{{end}}",
    "{{.a.b}}",
    "{{missing .a}}",
    "{{$x}}",
    '{{template "x"}}',
    "{{break}}",
    "{{index .list 9}}",
    "{{lt .a 1}}",
    "{{/* no end",
    "{{`no end}}",
    "{{if .a}}{{else}}{{else}}{{end}}",
    "{{if .a}}".repeat(200),
    `{{${"(".repeat(200)}1${")".repeat(200)}}}`,
  ])("%j is an error", (template) => {
    expect(valueText("strings.render_template(input.template, input.values)", { template, values })).toMatch(
      /^error: strings\.render_template: /,
    );
  });
});
