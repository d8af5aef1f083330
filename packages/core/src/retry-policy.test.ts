import { hash } from "node:crypto";
import type { AuthorityObject } from "@writ/contract";
import { compileRules, type PolicyPort } from "@writ/policy";
import { expect, it, describe as suite } from "vitest";
import { AGENT, HELPER, makeTestWorld, NOW_MS, PRINCIPAL, RULES, type World } from "./make-test-world.ts";
import { createRetrial, type RecordedCall } from "./retry-policy.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");

function compile(source: string): PolicyPort {
  const compiled = compileRules(source, { digest: "proposed" });
  if (compiled.kind === "problems") throw new TypeError(compiled.problems[0]?.message);
  return compiled.policy;
}

function makeCall(world: World, call: Partial<RecordedCall> = {}): RecordedCall {
  return {
    agentId: AGENT,
    principalId: PRINCIPAL,
    node: world.rootNode,
    root: world.rootNode,
    action: "tool.call",
    upstream: "everything",
    tool: "echo",
    definitionDigest: "d",
    protocol: "mcp",
    timeMs: NOW_MS,
    hadArguments: true,
    hadOwnName: false,
    ...call,
  };
}

function recorded(world: World, node: string, agentId: string): AuthorityObject {
  const value = { parent: world.rootNode, root: world.rootNode, agentId, caveats: [], carves: [] };
  return { kind: "node", id: node, version: 1, value: { ...value, recordedAtMs: NOW_MS, expiresAtMs: NOW_MS + 9 } };
}

suite("a recorded call, tried with other rules", () => {
  const world = makeTestWorld({ sha256 });

  it.each<[string, Partial<RecordedCall>, object]>([
    ["is allowed whatever its arguments were", { tool: "echo" }, { kind: "allow", ruleId: "echo" }],
    ["is denied by a rule", { tool: "get-env" }, { kind: "deny", reason: "policy_denied", ruleId: "no-env" }],
    ["is denied by no rule", { tool: "unmentioned" }, { kind: "deny", reason: "policy_default_deny", ruleId: "" }],
    ["needs more than rules", { tool: "wipe" }, { kind: "deny", reason: "step_up_unavailable", ruleId: "ask" }],
    ["depends on its arguments", { tool: "sum" }, { kind: "arguments", ruleId: "sum" }],
    ["had none", { tool: "sum", hadArguments: false }, { kind: "deny", reason: "policy_default_deny", ruleId: "" }],
    ["is on what the log does not name", { hadOwnName: true }, { kind: "unknown", why: "name" }],
    ["was made by whom nobody knows now", { agentId: "gone" }, { kind: "unknown", why: "gone" }],
    ["was made with a token of long ago", { root: "00", node: "00" }, { kind: "unknown", why: "gone" }],
  ])("that %s", (_case, call, retrial) => {
    expect(createRetrial(world.state, compile(RULES))(makeCall(world, call))).toEqual(retrial);
  });

  it("is asked about at its own time", () => {
    const rules = `version: 1
rules:
  - { id: night, effect: allow, match: { tool: everything/echo }, when: { time: { until: "2026-01-06T00:00:00Z" } } }
`;
    const retry = createRetrial(world.state, compile(rules));
    expect(retry(makeCall(world))).toMatchObject({ kind: "allow" });
    expect(retry(makeCall(world, { timeMs: NOW_MS + 86_400_000 }))).toMatchObject({ kind: "deny" });
  });

  it("is asked about for every recorded agent of its chain", () => {
    const rules = `version: 1
rules:
  - { id: assistant, effect: allow, match: { agent: assistant, tool: everything/echo } }
`;
    const node = "11".repeat(16);
    const with2 = makeTestWorld({ sha256, objects: [recorded(world, node, HELPER)] });
    const retry = createRetrial(with2.state, compile(rules));
    expect(retry(makeCall(world))).toEqual({ kind: "allow", ruleId: "assistant" });
    expect(retry(makeCall(world, { node }))).toMatchObject({ kind: "deny", reason: "policy_default_deny" });
    // Below which recorded node this one is, the log does not say.
    expect(retry(makeCall(world, { node: "22".repeat(16) }))).toEqual({ kind: "unknown", why: "gone" });
    expect(createRetrial(world.state, compile(rules))(makeCall(world, { node: "22".repeat(16) }))).toMatchObject({
      kind: "allow",
    });
  });

  it("cannot be recomputed by a policy that fails", () => {
    const fail = (): never => {
      throw new Error("broken");
    };
    const retry = createRetrial(world.state, { digest: "x", decide: fail, listable: fail, bounds: fail });
    expect(retry(makeCall(world))).toEqual({ kind: "unknown", why: "policy" });
    expect(retry(makeCall(world, { hadArguments: false }))).toEqual({ kind: "unknown", why: "policy" });
  });
});
