import { hash } from "node:crypto";
import { type AuthorityObject, OBSERVE_MS_MAX, type ObserveMode } from "@writ/contract";
import { expect, it, describe as suite } from "vitest";
import { explain, judge, listDefinitions, listNamed, listTools } from "./judge.ts";
import type { Judgement } from "./judgement.ts";
import { jsonObject, makeTestWorld, NOW_MS, type World, type WorldOptions } from "./make-test-world.ts";
import { observedUpstreams } from "./observe-mode.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");
const UPSTREAM = "01970000-0000-7000-8000-00000000000d";
const UNTIL_MS = NOW_MS + 3_600_000;

function observed(value: Partial<ObserveMode> = {}, id = UPSTREAM): AuthorityObject {
  const mode = { upstream: "everything", startedAtMs: NOW_MS - 1_000, startedBy: "admin:x", untilMs: UNTIL_MS };
  return { kind: "observe_mode", id, version: 1, value: { ...mode, ...value } };
}

function makeWorld(objects: readonly AuthorityObject[], options: Partial<WorldOptions> = {}): World {
  return makeTestWorld({ sha256, objects, ...options });
}

function call(world: World, tool: string, args: Record<string, number> = {}, more: object = {}): Judgement {
  return judge(world.state, world.attempt(world.rootText, { tool, arguments: jsonObject(args), ...more }));
}

function outcome({ decision }: Judgement): string {
  return `${decision.kind} ${decision.reasons.join()}`;
}

suite("an upstream under observation", () => {
  it.each([
    ["get-env", {}, { reason: "policy_denied", ruleId: "no-env" }],
    ["unmentioned", {}, { reason: "policy_default_deny", ruleId: "" }],
    ["sum", { a: 101 }, { reason: "policy_default_deny", ruleId: "" }],
    ["wipe", {}, { reason: "step_up_unavailable", ruleId: "ask" }],
  ])("allows %s with %o and says what would have been denied", (tool, args, wouldDeny) => {
    const judgement = call(makeWorld([observed()]), tool, args as Record<string, number>);
    expect(judgement.decision).toMatchObject({
      kind: "allow",
      reasons: ["policy_observed"],
      validUntilMs: UNTIL_MS,
      wouldDeny,
    });
    expect(judgement.ruleId).toBe(wouldDeny.ruleId);
  });

  it("says nothing of what the policy allows, and shortens nothing of it", () => {
    const { decision } = call(makeWorld([observed()]), "echo");
    expect(decision).toEqual(call(makeWorld([]), "echo").decision);
  });

  it.each<[string, AuthorityObject]>([
    ["is over", observed({ untilMs: NOW_MS })],
    ["would be longer than 14 days", observed({ startedAtMs: UNTIL_MS - OBSERVE_MS_MAX - 1 })],
    ["has an end that is no number", observed({ untilMs: Number.NaN })],
    ["is that of another upstream of the same name", observed({}, "01970000-0000-7000-8000-0000000000aa")],
  ])("denies again when its observation %s", (_case, mode) => {
    expect(outcome(call(makeWorld([mode]), "get-env"))).toBe("deny policy_denied");
  });

  it("is explained at the stage of the policy, and goes on to the stages behind it", () => {
    const world = makeWorld([observed()]);
    const { judgement, stages } = explain(world.state, world.attempt(world.rootText, { tool: "get-env" }));
    expect(judgement.decision.kind).toBe("allow");
    expect(stages.find(({ check }) => check === "policy")).toEqual({
      check: "policy",
      outcome: "passed",
      detail: "under observation: policy_denied by no-env is only recorded",
    });
  });

  it("lists the tools that only the policy hides, with schemas that only the token narrows", () => {
    const definition = JSON.stringify({
      name: "sum",
      inputSchema: { type: "object", properties: { a: { type: "number" } } },
    });
    const value = { upstream: "everything", name: "sum", definition, digest: "d", status: "active" } as const;
    const sum: AuthorityObject = { kind: "tool", id: "everything/sum", version: 1, value };
    const names = (world: World): readonly string[] =>
      listTools(world.state, world.attempt(world.rootText, { action: "tool.list", tool: "" })).tools.map(
        ({ name }) => name,
      );
    expect(names(makeWorld([sum]))).toEqual(["echo", "sum", "wipe"]);
    const world = makeWorld([sum, observed()]);
    expect(names(world)).toEqual(["echo", "get-env", "sum", "unmentioned", "wipe"]);
    const attempt = world.attempt(world.rootText, { action: "tool.list", tool: "" });
    const { definitions, validUntilMs } = listDefinitions(world.state, attempt);
    expect(definitions).toContain(definition);
    expect(validUntilMs).toBe(UNTIL_MS);
    const narrowed = makeWorld([sum]);
    expect(
      listDefinitions(narrowed.state, narrowed.attempt(narrowed.rootText, { action: "tool.list", tool: "" }))
        .definitions,
    ).not.toContain(definition);
  });

  it("lists resources that no rule allows, and does not list what the token hides", () => {
    const world = makeWorld([observed()]);
    const list = (text: string) =>
      listNamed(world.state, world.attempt(text, { action: "resource.list", tool: "" }), {
        kind: "resource",
        names: ["file:///a"],
      });
    expect(list(world.rootText)).toEqual(["listed"]);
    expect(list(world.child(world.rootText, "a", [JSON.stringify({ actions: ["tool.call"] })]))).toEqual(["hidden"]);
    const weak = world.child(world.rootText, "b", [JSON.stringify({ not_tools: ["everything/get-env"] })]);
    expect(judge(world.state, world.attempt(weak, { tool: "get-env" })).decision).toMatchObject({
      kind: "deny",
      reasons: ["caveat_tool_excluded"],
      hidden: true,
    });
  });

  it.each(["client.sample", "client.elicit", "client.roots"] as const)("still denies %s", (action) => {
    const world = makeWorld([observed()]);
    expect(judge(world.state, world.attempt(world.rootText, { action, tool: "" })).decision.kind).toBe("deny");
  });

  it("still denies a delegation that the policy denies", () => {
    const rules = "version: 1\nrules:\n  - { id: echo, effect: allow, match: { tool: everything/echo } }\n";
    const world = makeWorld([observed()], { rules });
    const attempt = world.attempt(world.rootText, { action: "token.attenuate", upstream: "", tool: "" });
    expect(outcome(judge(world.state, attempt))).toBe("deny policy_default_deny");
  });

  it("still denies when a policy asks for what nobody can carry out", () => {
    const decided = { kind: "deny", reason: "policy_denied", ruleId: "r", validUntilMs: 0 } as const;
    const world = makeWorld([observed()], {
      compilePolicy: () => ({
        kind: "compiled",
        policy: {
          digest: "x",
          decide: () => ({ ...decided, obligations: [{ kind: "redact" }] }),
          listable: () => ({ kind: "no", validUntilMs: 0 }),
        },
      }),
    });
    expect(outcome(call(world, "echo"))).toBe("deny obligation_unknown");
  });

  it("still denies without a policy, and with one that does not compile", () => {
    const world = makeWorld([observed()]);
    world.state.apply([{ type: "delete", kind: "policy", id: "active" }], 6, [], 2);
    expect(outcome(call(world, "echo"))).toBe("deny policy_missing");
    expect(outcome(call(makeWorld([observed()], { rules: "version: 2" }), "echo"))).toBe("deny policy_error");
  });

  it("is named as long as its observation lasts", () => {
    const { state } = makeWorld([observed(), observed({ upstream: "gone" }, "01970000-0000-7000-8000-0000000000aa")]);
    expect(observedUpstreams(state, NOW_MS)).toEqual([{ upstream: "everything", untilMs: UNTIL_MS }]);
    expect(observedUpstreams(state, UNTIL_MS)).toEqual([]);
  });
});
