import { parseStrictJsonText } from "@writ/contract";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileRules, traceRules } from "./compile-rules.ts";
import type { PolicyInput } from "./policy-port.ts";
import { RULES_SOURCE_LENGTH_MAX, readRules } from "./rules-document.ts";
import { runRuleTests } from "./run-rule-tests.ts";

function problems(source: string): string[] {
  const read = readRules(source);
  return read.kind === "read"
    ? []
    : read.problems.map(
        ({ message, line, column, hint }) => `${line}:${column} ${message}${hint === "" ? "" : ` (${hint})`}`,
      );
}

function rule(text: string): string {
  return `version: 1\nrules:\n  - ${text}\n`;
}

function makeInput(tool: string, args: string): PolicyInput {
  const read = parseStrictJsonText(args);
  const agent = { id: "a", name: "assistant", labels: {} };
  return {
    version: 1,
    subject: { agent, principal: { id: "p", name: "alice", type: "person" }, actorChain: [agent] },
    action: "tool.call",
    resource: { upstream: "up", kind: "tool", name: tool, definitionDigest: "" },
    // The tests pass objects only.
    context: {
      protocol: "mcp",
      timeMs: 0,
      mintedCaveats: [],
      arguments: (read.kind === "value" ? read.value : {}) as PolicyInput["context"]["arguments"],
    },
  };
}

describe("a rules file is refused, with the place and a hint, for", () => {
  it.each([
    [
      "an unknown version",
      "version: 2\nrules: []\n",
      '1:10 the file has no version that is known here (begin with "version: 1")',
    ],
    ["no version", "rules: []\n", '1:1 the file has no version that is known here (begin with "version: 1")'],
    ["no rules", "version: 1\n", '1:1 the file has no rules (write "rules: []" to allow nothing)'],
    [
      "an unknown key of the file",
      "version: 1\nrule: []\nrules: []\n",
      '2:1 unknown key "rule" in the file (did you mean "rules"?)',
    ],
    [
      "an unknown key of a rule",
      rule("{ id: a, effect: deny, macth: {}, match: {} }"),
      '3:28 unknown key "macth" in a rule (did you mean "match"?)',
    ],
    [
      "an unknown key of match",
      rule("{ id: a, effect: deny, match: { agents: x } }"),
      '3:37 unknown key "agents" in match (did you mean "agent"?)',
    ],
    [
      "an unknown effect",
      rule("{ id: a, effect: alow, match: { tool: a/b } }"),
      '3:22 unknown effect "alow" (did you mean "allow"?)',
    ],
    [
      "an unknown action",
      rule("{ id: a, effect: allow, match: { action: tool.cal } }"),
      '3:46 unknown action "tool.cal" (did you mean "tool.call"?)',
    ],
    [
      "a tool without upstream",
      rule("{ id: a, effect: allow, match: { tool: echo } }"),
      '3:44 "echo" names no tool (write upstream/tool, * stands for any run)',
    ],
    [
      "an unknown operator",
      rule("{ id: a, effect: allow, match: { tool: a/b }, when: { args: { /x: { maximum: 1 } } } }"),
      "3:71 maximum: unknown operator (known are eq, in, min, max, prefix, suffix, max_length, host, cidr, absent, not)",
    ],
    [
      "a number that JSON lacks",
      rule("{ id: a, effect: allow, match: { tool: a/b }, when: { args: { /x: { max: 0x10 } } } }"),
      "3:78 a number is not written as in JSON (write digits with a point, such as 12.50)",
    ],
    [
      "a named zone",
      rule("{ id: a, effect: allow, match: { tool: a/b }, when: { time: { days: [mon], zone: Europe/Berlin } } }"),
      "3:86 zone cannot be read (write UTC or an offset such as +01:00; named zones are not supported)",
    ],
    [
      "hours without a zone",
      rule('{ id: a, effect: allow, match: { tool: a/b }, when: { time: { between: "08:00-09:00" } } }'),
      "3:65 between has no zone (add zone: UTC or an offset such as +01:00)",
    ],
    [
      "hours across midnight",
      rule('{ id: a, effect: allow, match: { tool: a/b }, when: { time: { between: "22:00-06:00", zone: UTC } } }'),
      '3:76 between cannot be read (write "08:00-18:00"; for a night write two rules)',
    ],
    [
      "an allow that names neither action nor tool",
      rule("{ id: a, effect: allow, match: { agent: x } }"),
      "3:36 the rule names neither an action nor a tool, so it would reach actions that are yet to come (add action: tool.call, or a list, or tool: upstream/tool)",
    ],
    [
      "an id used twice",
      `${rule("{ id: a, effect: deny, match: {} }")}  - { id: a, effect: deny, match: {} }\n`,
      '4:5 the id "a" is used twice',
    ],
    [
      "an empty list",
      rule("{ id: a, effect: deny, match: { tool: [] } }"),
      "3:43 tool is an empty list, so the rule would match nothing",
    ],
    ["an empty condition", rule("{ id: a, effect: deny, match: {}, when: {} }"), "3:45 when names no condition"],
  ])("%s", (_name, source, expected) => {
    expect(problems(source)).toContain(expected);
  });

  it("repeated keys, aliases, anchors and tags", () => {
    expect(problems(rule("{ id: a, id: b, effect: deny, match: {} }")).join()).toContain("unique");
    expect(problems("version: 1\nrules: &x []\ntests: *x\n").join()).toContain("aliases are not supported");
    expect(problems("version: 1\nrules: !!set {}\n").join()).toContain("tags are not supported");
    expect(problems("version: 1\nrules: []\n---\nversion: 1\n").length).toBeGreaterThan(0);
  });

  it("size, depth and bombs, quickly", () => {
    expect(problems(" ".repeat(RULES_SOURCE_LENGTH_MAX + 1)).length).toBe(1);
    expect(problems(`version: 1\nrules: ${"[".repeat(50_000)}`).length).toBeGreaterThan(0);
    const bomb = [
      "a: &a [x, x, x, x, x, x, x, x, x]",
      ..."bcdefgh".split("").map((n, i) => `${n}: &${n} [${Array(9).fill(`*${"abcdefg"[i]}`).join(", ")}]`),
    ];
    expect(problems(bomb.join("\n")).length).toBeGreaterThan(0);
  });
});

describe("rules", () => {
  it("never throw on any text, and either compile or name a problem", () => {
    const word = fc.constantFrom(
      "version: 1\n",
      "rules:\n",
      "  - ",
      "id: a",
      "effect: allow",
      "match: ",
      "{",
      "}",
      "[",
      "]",
      ", ",
      "tool: a/b",
      "when:",
      "args:",
      "/x: ",
      "max: 1",
      "\n",
      "*a",
      "&a ",
      "? ",
      "!!map",
      "tests:",
      "'",
      '"',
      "|",
      "<<: ",
      "expect: allow",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word, { maxLength: 30 }).map((words) => words.join("")),
        ),
        (source) => {
          const compiled = compileRules(source, { digest: "x" });
          if (compiled.kind === "problems") expect(compiled.problems.length).toBeGreaterThan(0);
          else runRuleTests(compiled);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it("answer with an error, which denies, when a condition fails to run", () => {
    const compiled = compileRules(
      rule("{ id: a, effect: allow, match: { tool: up/* }, when: { args: { /x: { max: 1 } } } }"),
      { digest: "x" },
    );
    if (compiled.kind !== "compiled") throw new TypeError("does not compile");
    const input = makeInput("t", '{"x":1}');
    expect(compiled.policy.decide(input)).toMatchObject({ kind: "allow" });
    const broken = new Proxy(
      {},
      {
        getOwnPropertyDescriptor: () => {
          throw new Error("broken");
        },
      },
    );
    expect(compiled.policy.decide({ ...input, context: { ...input.context, arguments: broken } })).toEqual({
      kind: "error",
      detail: "broken",
    });
  });

  it("say for each rule why it decided or did not", () => {
    const compiled = compileRules(
      `version: 1
rules:
  - { id: other, effect: allow, match: { tool: up/other } }
  - { id: late, effect: allow, match: { tool: up/t }, when: { time: { until: "1969-01-01T00:00:00Z" } } }
  - { id: small, effect: allow, match: { tool: up/t }, when: { args: { /x: { max: 0 } } } }
  - { id: typed, effect: allow, match: { tool: up/t }, when: { args: { /y: { max: 0 } } } }
  - { id: yes, effect: allow, match: { tool: up/t } }
`,
      { digest: "x" },
    );
    if (compiled.kind !== "compiled") throw new TypeError("does not compile");
    expect(
      traceRules(compiled.rules, makeInput("t", '{"x":1}')).map(({ ruleId, outcome }) => `${ruleId} ${outcome}`),
    ).toEqual([
      "other does_not_match",
      "late outside_time",
      "small arguments_outside",
      "typed arguments_unknown",
      "yes matches",
    ]);
  });

  it("an index answers as a look at every rule does", () => {
    const match = fc.record(
      {
        agent: fc.constantFrom("assistant", "other", "a*"),
        principal: fc.constantFrom("alice", "bob"),
        tool: fc.constantFrom("up/t", "up/u", "up/*", "*/t", "no/t"),
        upstream: fc.constantFrom("up", "u*", "no"),
      },
      { requiredKeys: ["tool"] },
    );
    const effect = fc.constantFrom("allow", "deny", "step_up");
    fc.assert(
      fc.property(
        fc.array(fc.record({ effect, match }), { maxLength: 12 }),
        fc.constantFrom("t", "u", "v"),
        (rules, tool) => {
          const document = { version: 1, rules: rules.map((each, at) => ({ id: `r${at}`, ...each })) };
          const compiled = compileRules(JSON.stringify(document), { digest: "x" });
          if (compiled.kind !== "compiled") throw new TypeError(JSON.stringify(compiled.problems));
          const input = makeInput(tool, "{}");
          const matching = traceRules(compiled.rules, input).filter(({ outcome }) => outcome === "matches");
          const first = ["deny", "step_up", "allow"]
            .map((of) => matching.find((each) => each.effect === of))
            .find((each) => each !== undefined);
          expect(compiled.policy.decide(input)).toMatchObject({
            kind: first?.effect ?? "deny",
            ruleId: first?.ruleId ?? "",
          });
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("tests beside the rules say what was decided instead", () => {
    const compiled = compileRules(
      `version: 1
rules:
  - { id: a, effect: allow, match: { tool: up/t } }
tests:
  - { name: right, call: { agent: x, tool: up/t }, expect: { allow: policy_allow, rule: a, listed: "yes" } }
  - { name: wrong, call: { agent: x, tool: up/u }, expect: allow }
  - { name: listed, call: { agent: x, tool: up/t }, expect: { allow: policy_allow, listed: "no" } }
`,
      { digest: "x" },
    );
    if (compiled.kind !== "compiled") throw new TypeError("does not compile");
    expect(runRuleTests(compiled)).toEqual([
      { name: "right", line: 5, kind: "passed", detail: "" },
      { name: "wrong", line: 6, kind: "failed", detail: "deny (policy_default_deny) by no rule" },
      { name: "listed", line: 7, kind: "failed", detail: "listed is yes instead of no" },
    ]);
  });
});

it("tests beside rules speak of HTTP requests as agents send them", () => {
  const rules = compileRules(
    `version: 1
rules:
  - { id: read, effect: allow, match: { upstream: shop, method: GET, path: "/v1/items/*" } }
tests:
  - { name: one may be read, call: { agent: a, upstream: shop, method: GET, path: "/v1/./items/%37?full=1" }, expect: { allow: policy_allow, rule: read } }
  - { name: none may be written, call: { agent: a, upstream: shop, method: PUT, path: /v1/items/7 }, expect: deny }
`,
    { digest: "d" },
  );
  if (rules.kind === "problems") throw new TypeError(JSON.stringify(rules.problems));
  expect(runRuleTests(rules).map(({ kind, detail }) => `${kind} ${detail}`)).toEqual(["passed ", "passed "]);
});

it.each([
  ["without a path", "upstream: shop, method: GET", "the call's path"],
  ["with a path that has no spelling", "upstream: shop, method: GET, path: /a%2fb", "the call's path"],
  ["with a tool beside its path", "tool: a/b, method: GET, path: /a", "an http.request, and nothing else"],
])("a test of an HTTP request %s is a problem", (_name, call, message) => {
  const read = readRules(`version: 1
rules: []
tests:
  - { name: n, call: { agent: a, ${call} }, expect: deny }
`);
  expect(read.kind === "problems" ? read.problems.map((problem) => problem.message).join() : "").toContain(message);
});
