/** Runs the shared cases of cases/policy; they are data, so that every engine and the CLI can run the same ones. */
import { readdirSync, readFileSync } from "node:fs";
import { type JsonObject, parseStrictJsonText } from "@writ/contract";
import { describe, expect, it } from "vitest";
import { compileRules } from "./compile-rules.ts";
import type { PolicyInput, PolicyProblem } from "./policy-port.ts";

interface PolicyCase {
  readonly name: string;
  readonly input: {
    readonly agent?: string;
    readonly principal?: string;
    readonly labels?: Record<string, string>;
    readonly action?: PolicyInput["action"];
    readonly upstream?: string;
    readonly tool?: string;
    readonly resource?: string;
    readonly prompt?: string;
    readonly method?: string;
    readonly path?: string;
    readonly argumentsUnseen?: true;
    readonly arguments?: string;
    readonly time?: string;
  };
  readonly expect: {
    readonly kind: string;
    readonly reason: string;
    readonly rule: string;
    readonly listable: string;
    readonly validUntil?: string;
  };
}

interface PolicyCases {
  readonly description: string;
  readonly rules: readonly string[];
  readonly problems?: readonly PolicyProblem[];
  readonly cases: readonly PolicyCase[];
}

const folder = new URL("../../../cases/policy/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".json") && name !== "schema.json");

function inputOf({ input }: PolicyCase): PolicyInput {
  const read = parseStrictJsonText(input.arguments ?? "{}");
  if (read.kind === "fault") throw new TypeError(read.detail);
  const name = input.agent ?? "assistant";
  const agent = { id: name, name, labels: input.labels ?? {} };
  const principal = input.principal ?? "alice";
  const kinds = ["tool", "resource", "prompt"] as const;
  const { method, path } = input;
  const http = method === undefined || path === undefined ? undefined : { method, path, query: "" };
  const kind = kinds.find((named) => input[named] !== undefined);
  return {
    version: 1,
    subject: { agent, principal: { id: principal, name: principal, type: "person" }, actorChain: [agent] },
    action: input.action ?? "tool.call",
    resource: {
      upstream: input.upstream ?? "everything",
      kind: http === undefined ? (kind ?? "catalogue") : "http",
      name: (kind && input[kind]) ?? "",
      definitionDigest: "",
      ...(http === undefined ? {} : { http }),
    },
    context: {
      protocol: "mcp",
      timeMs: Date.parse(input.time ?? "2026-01-05T12:00:00Z"),
      mintedCaveats: [],
      arguments: read.value as JsonObject, // every case writes an object
      ...(input.argumentsUnseen === undefined ? {} : { argumentsUnseen: input.argumentsUnseen }),
    },
  };
}

it("there are cases", () => {
  expect(files.length).toBeGreaterThan(3);
});

describe.each(files)("%s", (file) => {
  const document = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as PolicyCases; // see schema.json
  const compiled = compileRules(document.rules.join("\n"), { digest: "case" });

  it("compiles, or has exactly the problems that it names", () => {
    expect(compiled.kind === "problems" ? compiled.problems : []).toEqual(document.problems ?? []);
  });

  for (const each of document.cases) {
    it(each.name, () => {
      if (compiled.kind !== "compiled") throw new TypeError("the rules do not compile");
      const input = inputOf(each);
      const { expect: expected } = each;
      expect(compiled.policy.decide(input)).toEqual({
        kind: expected.kind,
        reason: expected.reason,
        ruleId: expected.rule,
        obligations: [],
        validUntilMs: expected.validUntil === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(expected.validUntil),
      });
      expect(compiled.policy.listable(input).kind).toBe(expected.listable);
    });
  }
});
