import { describe, expect, test } from "vitest";
import { testExpressions, valueText } from "./expression.fixture.ts";

describe("YAML", () => {
  testExpressions([
    ['yaml.unmarshal("a: 1\\nb: [x, 1.5, true, ~]")', '{"a": 1, "b": ["x", 1.5, true, null]}'],
    ['yaml.unmarshal("[yes, No, on, OFF, y, \\"yes\\", \'on\']")', '["yes", "No", "on", "OFF", "y", "yes", "on"]'],
    ['yaml.unmarshal("[0x1f, 0b11, 017, 0o17, -5, +5, 1_000, 1e3, .5]")', "[31, 3, 15, 15, -5, 5, 1000, 1000, 0.5]"],
    ['yaml.unmarshal("[2001-12-14, 12:30:45, 1.2.3, 0x, 08]")', '["2001-12-14", "12:30:45", "1.2.3", "0x", 8]'],
    ['yaml.unmarshal("")', "null"],
    [
      'yaml.unmarshal("a: &x {b: 1}\\nc: *x\\nd:\\n  <<: *x\\n  e: 2")',
      '{"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}',
    ],
    ['yaml.unmarshal("1: a\\ntrue: b")', '{"1": "a", "true": "b"}'],
    ['yaml.unmarshal("a: |\\n  x\\n  y\\nb: >\\n  x\\n  y\\n")', '{"a": "x\\ny\\n", "b": "x y\\n"}'],
    ['yaml.unmarshal("a: 1\\n---\\nb: 2")', '{"a": 1}'],
    ['yaml.unmarshal("a: 9007199254740993")', '{"a": 9007199254740993}'],
    ['yaml.unmarshal("{a: 1")', "error: yaml.unmarshal: yaml: line 1: did not find expected ',' or '}'"],
    ['yaml.unmarshal("a: &x [*x]")', "error: yaml.unmarshal: yaml: "],
    [
      'count(yaml.unmarshal(concat("\\n", array.concat(["a0: &a0 [x]"], [l | some i in numbers.range(1, 60); l := sprintf("a%d: &a%d [*a%d, *a%d]", [i, i, i - 1, i - 1])]))))',
      "61",
    ],
    ['yaml.unmarshal("a: *y")', "error: yaml.unmarshal: yaml: "],
    ['yaml.is_valid("a: b: c")', "false"],
    ['yaml.marshal({"b": [1, {"c": "d", "e": []}], "a": {}})', '"a: {}\\nb:\\n  - 1\\n  - c: d\\n    e: []\\n"'],
    ['yaml.marshal(["a,b", "12:30", "\\u0007", "no"])', '"- a,b\\n- \\"12:30\\"\\n- \\"\\\\u0007\\"\\n- \\"no\\"\\n"'],
    ['yaml.unmarshal("!!int \\"3\\"")', "3"],
    ['yaml.unmarshal("!!bool yes")', "error: yaml.unmarshal: yaml: cannot decode !!str `yes` as a !!bool"],
    ['yaml.unmarshal("[1]: x")', "error: yaml.unmarshal: yaml: invalid map key"],
    ['yaml.unmarshal("1e400")', '"1e400"'],
    [
      'yaml.marshal([["a", "b"], "yes", "1", "a: b", "# x", " x", ""])',
      '"- - a\\n  - b\\n- \\"yes\\"\\n- \\"1\\"\\n- \'a: b\'\\n- \'# x\'\\n- \' x\'\\n- \\"\\"\\n"',
    ],
    ['yaml.marshal({"a": "x\\ny\\n", "b": "x\\n\\ny"})', '"a: |\\n  x\\n  y\\nb: |-\\n  x\\n\\n  y\\n"'],
  ]);

  test.each([
    "plain",
    "with: colon",
    "trailing ",
    "\n",
    "a\nb",
    "a\nb\n\n",
    " a\nb",
    "a \nb",
    "a\tb",
    "-",
    "- a",
    "?",
    "null",
    "~",
    "1e3",
    "0x1",
    ".inf",
    "<<",
    "'quoted'",
    '"quoted"',
    "back\\slash",
    "\u0000\u0007",
    "\u{1f600}",
    "%a",
    "@a",
    "`a",
    "a #b",
    "a,b",
    "[a",
    "{}",
    "*a",
    "&a",
    "!a",
    "|",
    ">",
    "---",
    "...",
    "=",
    "2001-01-01",
    "y",
    ":a",
    "a:",
  ])("%j is read back as it was written", (text) => {
    for (const value of [text, [text], [[text]], { [text]: text }, { a: [text, { b: text }] }]) {
      expect(valueText("yaml.unmarshal(yaml.marshal(input)) == input", value), JSON.stringify(value)).toBe("true");
    }
  });
});
