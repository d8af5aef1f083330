/** What a policy says of unknown arguments holds for all arguments, whatever the rules are. */
import { type JsonObject, parseStrictJsonText } from "@writ/contract";
import fc from "fast-check";
import { expect, it } from "vitest";
import { compileRules } from "./compile-rules.ts";
import type { PolicyInput } from "./policy-port.ts";

const condition = fc.oneof(
  fc.record({ max: fc.integer({ min: 0, max: 5 }) }),
  fc.record({ eq: fc.integer({ min: 0, max: 5 }) }),
  fc.constant({ absent: true }),
);
const rule = fc.record(
  {
    effect: fc.constantFrom("allow", "deny", "step_up"),
    match: fc.constantFrom(
      { tool: "up/a" },
      { tool: "up/*" },
      { upstream: "up", action: "tool.call" },
      { agent: "other", action: "tool.call" },
    ),
    when: fc.record({ args: fc.dictionary(fc.constantFrom("/a", "/b"), condition, { minKeys: 1, maxKeys: 2 }) }),
  },
  { requiredKeys: ["effect", "match"] },
);
const args = fc.dictionary(fc.constantFrom("a", "b"), fc.oneof(fc.integer({ min: 0, max: 6 }), fc.constant("text")));

it("the most permits whatever some arguments are permitted, the least only what all are", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 5 }), fc.array(args, { minLength: 1, maxLength: 8 }), (rules, tried) => {
      const source = JSON.stringify({ version: 1, rules: rules.map((each, index) => ({ id: `r${index}`, ...each })) });
      const compiled = compileRules(source, { digest: "x" });
      if (compiled.kind === "problems") throw new Error(compiled.problems[0]?.message);
      const agent = { id: "a", name: "assistant", labels: {} };
      const input = (text: string): PolicyInput => {
        const read = parseStrictJsonText(text);
        if (read.kind === "fault") throw new Error(read.detail);
        return {
          version: 1,
          subject: { agent, principal: { id: "p", name: "p", type: "person" }, actorChain: [agent] },
          action: "tool.call",
          resource: { upstream: "up", kind: "tool", name: "a", definitionDigest: "" },
          context: { protocol: "mcp", timeMs: 0, mintedCaveats: [], arguments: read.value as JsonObject }, // an object's text
        };
      };
      const bounds = compiled.policy.bounds?.(input("{}"));
      seen.add(`${bounds?.least.kind} ${bounds?.most.kind}`);
      for (const each of tried) {
        const { kind } = compiled.policy.decide(input(JSON.stringify(each)));
        if (kind === "allow") expect(bounds?.most.kind).toBe("allow");
        else expect(bounds?.least.kind).not.toBe("allow");
      }
    }),
    { numRuns: 2_000 },
  );
  // All that a report tells apart has been there.
  expect([...seen]).toEqual(expect.arrayContaining(["allow allow", "deny allow", "deny deny", "step_up step_up"]));
});
