/**
 * `node bench/rego.ts`: what a decision of the Rego engine costs, in one process and on one core: a gateway policy of ten
 * rules with a small and a large input, and documents of ten and of a thousand rules. Prints the best of many rounds,
 * because a busy machine makes single rounds longer and never shorter.
 */
import { compile, type Program, type Value } from "@writ/rego";

const POLICY = `package writ

default decision := {"kind": "deny", "reason": "policy_undefined", "obligations": [], "step_up": false}

decision := {"kind": "deny", "reason": "policy_denied", "obligations": [], "step_up": false} if count(deny) > 0

decision := {"kind": "step_up", "reason": "policy_step_up", "obligations": [], "step_up": true} if {
  count(deny) == 0
  allow
  needs_approval
}

decision := {"kind": "allow", "reason": "policy_allowed", "obligations": obligations, "step_up": false} if {
  count(deny) == 0
  allow
  not needs_approval
}

allow if {
  some role in input.subject.roles
  some grant in grants[role]
  grant == input.resource.tool
}

grants := {"reader": ["search", "read_file"], "writer": ["write_file", "read_file", "transfer"]}

deny contains "amount too high" if {
  input.resource.tool == "transfer"
  input.context.arguments.amount > 10000
}

deny contains "unknown country" if {
  input.resource.tool == "transfer"
  not input.context.arguments.country in {"DE", "FR", "NL", "AT"}
}

deny contains $"tag {tag}" if {
  some tag in input.resource.tags
  tag in {"secret", "pii"}
  not "cleared" in input.subject.roles
}

needs_approval if {
  input.resource.tool == "transfer"
  input.context.arguments.amount >= 1000
}

obligations contains {"type": "redact", "fields": ["iban"]} if input.resource.tool == "transfer"

obligations contains {"type": "log", "level": "full"} if is_sensitive(input.resource)

is_sensitive(resource) if resource.annotations.sensitive == true
`;

const ROUNDS = 100;
const RUNS = 3_000;

if (import.meta.main) main();

function main(): void {
  const policy = load(POLICY);
  const small = inputOf(0);
  const large = inputOf(60);
  measure(`ten rules, input of ${JSON.stringify(small).length} bytes`, policy, "data.writ.decision", small);
  measure(`ten rules, input of ${JSON.stringify(large).length} bytes`, policy, "data.writ.decision", large);
  for (const count of [10, 1_000]) {
    measure(`one document of ${count} rules`, load(manyRules(count)), "data.many.decision", small);
  }
}

function load(text: string): Program {
  const compiled = compile([{ file: "bench.rego", text }]);
  if (compiled.kind === "problems") throw new TypeError(compiled.problems[0]?.message);
  return compiled.program;
}

function inputOf(notes: number): Value {
  return {
    subject: { agent: { id: "a1", name: "bot" }, principal: { id: "p1", type: "person" }, roles: ["viewer", "writer"] },
    action: { name: "tool.call" },
    resource: { tool: "transfer", tags: ["money"], annotations: { destructive: false, sensitive: true } },
    context: {
      arguments: {
        amount: 500,
        country: "DE",
        iban: "DE89370400440532013000",
        recipients: ["a@example.org", "b@example.org"],
        notes: Array.from({ length: notes }, (_, id) => ({
          id,
          text: `a note with number ${id} and some words`,
          read: true,
        })),
      },
    },
  };
}

function manyRules(count: number): string {
  const rules = Array.from(
    { length: count },
    (_, index) =>
      `decision := ${index} if {\n  input.resource.tool == "${index === 7 ? "transfer" : `tool${index}`}"\n  "writer" in input.subject.roles\n}\n`,
  );
  return `package many\ndefault decision := -1\n${rules.join("")}`;
}

function measure(name: string, program: Program, query: string, input: Value): void {
  const answer = program.evaluate(query, { input });
  if (answer.kind !== "value") throw new TypeError(`${name}: ${answer.kind}`);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const begin = performance.now();
    for (let run = 0; run < RUNS; run += 1) program.evaluate(query, { input });
    best = Math.min(best, performance.now() - begin);
  }
  process.stdout.write(`${((best / RUNS) * 1_000).toFixed(2).padStart(8)} µs  ${name}\n`);
}
