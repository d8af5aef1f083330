import { hash } from "node:crypto";
import type { AuthorityObject, KillScope } from "@writ/contract";
import type { PolicyInput } from "@writ/policy";
import { expect, it, describe as suite } from "vitest";
import { explain, judge, listTools } from "./judge.ts";
import type { Attempt, Judgement } from "./judgement.ts";
import {
  AGENT,
  AUDIENCE,
  HELPER,
  jsonObject,
  makeTestWorld,
  NOW_MS,
  PRINCIPAL,
  TENANT,
  type World,
  type WorldOptions,
} from "./make-test-world.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");

function makeWorld(options: Partial<WorldOptions> = {}): World {
  return makeTestWorld({ sha256, ...options });
}

/** Of a token that outlives every test. */
const LASTING = [JSON.stringify({ exp: NOW_MS / 1000 + 86_400 }), JSON.stringify({ aud: AUDIENCE })];

function outcome({ decision }: Judgement): string {
  return `${decision.kind} ${decision.reasons.join()}${decision.kind === "deny" && decision.hidden ? " hidden" : ""}`;
}

function judged(world: World, attempt: Attempt): string {
  return outcome(judge(world.state, attempt));
}

function call(world: World, tool = "echo", args: Record<string, string | number> = {}): string {
  return judged(world, world.attempt(world.rootText, { tool, arguments: jsonObject(args) }));
}

function kill(scope: KillScope, scopeId: string): AuthorityObject {
  return {
    kind: "kill",
    id: `${scope}:${scopeId}`,
    version: 1,
    value: { scope, scopeId, reason: "test", engagedAtMs: NOW_MS },
  };
}

function revocation(id: string): AuthorityObject {
  return { kind: "revocation", id, version: 1, value: { reason: "test", at: "control", revokedAtMs: NOW_MS } };
}

function put(world: World, ...objects: AuthorityObject[]): void {
  world.state.apply(
    objects.map((object) => ({ type: "put", object })),
    world.state.revision + 1,
    [],
    world.state.instanceRevision,
  );
}

function recordedNode(world: World, text: string, value: Partial<Extract<AuthorityObject, { kind: "node" }>["value"]>) {
  const { path } = world.verify(text);
  return {
    kind: "node",
    id: path.at(-1) ?? "",
    version: 1,
    value: {
      parent: path.at(-2) ?? "",
      root: path[0] ?? "",
      agentId: AGENT,
      caveats: [],
      carves: [],
      recordedAtMs: NOW_MS - 1_000,
      expiresAtMs: NOW_MS + 86_400_000,
      ...value,
    },
  } as const satisfies AuthorityObject;
}

suite("the decision", () => {
  it("allows what token, rules and standing permit, and says until when", () => {
    const world = makeWorld();
    const judgement = judge(world.state, world.attempt(world.rootText));
    expect(judgement.decision).toEqual({
      kind: "allow",
      reasons: ["policy_allow"],
      obligations: [],
      revision: 5,
      policyDigest: "policy-digest",
      validUntilMs: NOW_MS + 86_400_000,
    });
    expect(judgement).toMatchObject({ ruleId: "echo", check: "combine", recordedNode: world.rootNode, claims: [] });
  });

  it.each([
    ["echo", {}, "allow policy_allow"],
    ["sum", { a: 1 }, "allow policy_allow"],
    ["sum", { a: 101 }, "deny policy_default_deny"],
    ["sum", {}, "deny policy_default_deny"],
    ["get-env", {}, "deny policy_denied hidden"],
    ["unmentioned", {}, "deny policy_default_deny hidden"],
    ["no-such-tool", {}, "deny tool_unknown hidden"],
    ["wipe", {}, "deny step_up_unavailable"],
  ])("on %s with %o answers %s", (tool, args, expected) => {
    expect(call(makeWorld(), tool, args as Record<string, number>)).toBe(expected);
  });

  it("says nothing of a killed upstream to who may not see its tools", () => {
    const world = makeWorld();
    const before = call(world, "get-env");
    world.state.apply(
      [{ type: "put", object: kill("upstream", "everything") }],
      world.state.revision + 1,
      [],
      world.state.instanceRevision,
    );
    expect(call(world, "echo")).toBe("deny kill_engaged");
    expect(call(world, "get-env")).toBe(before);
  });

  it("R-DENY-5 trap-24 denies by default without a policy, with a broken one and with no rules", () => {
    const world = makeWorld();
    world.state.apply([{ type: "delete", kind: "policy", id: "active" }], 6, [], 2);
    expect(call(world)).toBe("deny policy_missing");
    expect(call(world, "no-such-tool")).toBe("deny policy_missing");
    expect(call(makeWorld({ rules: "version: 2" }))).toBe("deny policy_error");
    expect(call(makeWorld({ rules: "version: 1\nrules: []\n" }))).toBe("deny policy_default_deny hidden");
  });

  it("trap-24 denies a rule's call when a fact that the rule asks for is unset", () => {
    const rules = `version: 1
rules:
  - { id: prod-only, effect: allow, match: { labels: { tier: prod }, tool: everything/echo } }
`;
    expect(call(makeWorld({ rules }))).toBe("deny policy_default_deny hidden");
  });

  it.each<[string, AuthorityObject, string]>([
    ["instance kill", kill("instance", ""), "deny kill_engaged"],
    ["tenant kill", kill("tenant", ""), "deny kill_engaged"],
    ["agent kill", kill("agent", AGENT), "deny kill_engaged"],
    ["principal kill", kill("principal", PRINCIPAL), "deny kill_engaged"],
    ["upstream kill", kill("upstream", "everything"), "deny kill_engaged"],
    ["tool kill", kill("tool", "everything/echo"), "deny kill_engaged"],
    ["another tool's kill", kill("tool", "everything/sum"), "allow policy_allow"],
    ["another agent's kill", kill("agent", HELPER), "allow policy_allow"],
  ])("with an engaged %s answers %s", (_name, object, expected) => {
    const world = makeWorld();
    put(world, object);
    expect(call(world)).toBe(expected);
    world.state.apply([{ type: "delete", kind: "kill", id: object.id }], 7, [], 2);
    expect(call(world)).toBe("allow policy_allow");
  });

  it("obeys the instance's kill switch", () => {
    const world = makeWorld();
    world.state.apply([], 6, [{ type: "put", object: kill("instance", "") }], 3);
    expect(call(world)).toBe("deny kill_engaged");
    world.state.apply([], 7, [{ type: "delete", kind: "kill", id: "instance:" }], 4);
    expect(call(world)).toBe("allow policy_allow");
  });

  it("R-BUDGET-1 ends every token of a recorded node with the record, also one that its maker lets live longer", () => {
    // What was carved for a node returns when its record ends; another token of that node spent it once more.
    const world = makeWorld({ caveats: [...LASTING, JSON.stringify({ calls: { limit: 10, window: "total" } })] });
    const endMs = NOW_MS + 60_000;
    const brief = world.child(world.rootText, "0a", [JSON.stringify({ exp: endMs / 1000 })]);
    const twin = world.child(world.rootText, "0a", []);
    const below = world.child(twin, "0b", []);
    put(
      world,
      recordedNode(world, brief, { expiresAtMs: endMs, carves: [{ unit: "calls", window: "total", amount: 5 }] }),
    );
    for (const text of [twin, below]) {
      const before = judge(world.state, world.attempt(text, { nowMs: endMs - 1 }));
      expect(before.decision).toMatchObject({ kind: "allow", validUntilMs: endMs });
      expect(judged(world, world.attempt(text, { nowMs: endMs }))).toBe("deny token_expired");
    }
    expect(judged(world, world.attempt(world.rootText, { nowMs: endMs }))).toBe("allow policy_allow");
  });

  it("denies when an agent, the principal, the tenant, the key or the root does not stand", () => {
    const change = (edit: (object: AuthorityObject) => AuthorityObject | undefined): string => {
      const base = makeWorld();
      const objects = base.snapshot.objects.map((object) => edit(object) ?? object);
      return call(makeWorld({ objects }));
    };
    const suspended = (kind: string) => (object: AuthorityObject) =>
      object.kind === kind
        ? // The kinds passed below all have this status.
          ({ ...object, value: { ...object.value, status: "suspended" } } as AuthorityObject)
        : undefined;
    expect(change(suspended("agent"))).toBe("deny agent_inactive");
    expect(change(suspended("principal"))).toBe("deny principal_inactive");
    expect(change(suspended("tenant"))).toBe("deny tenant_inactive");
    expect(change(suspended("upstream"))).toBe("deny tool_unknown hidden");
    expect(
      change((object) =>
        object.kind === "root_key" ? { ...object, value: { ...object.value, status: "retired" } } : undefined,
      ),
    ).toBe("deny token_key_unknown");
    expect(
      change((object) =>
        object.kind === "agent" ? { ...object, value: { ...object.value, principalId: TENANT } } : undefined,
      ),
    ).toBe("deny agent_inactive");
    for (const wrong of [{ agentId: HELPER }, { principalId: TENANT }, { keyId: "k2" }]) {
      expect(
        change((object) =>
          object.kind === "root_token" ? { ...object, value: { ...object.value, ...wrong } } : undefined,
        ),
      ).toBe("deny token_unknown");
    }
    const forgotten = makeWorld();
    forgotten.state.apply([{ type: "delete", kind: "root_token", id: forgotten.rootNode }], 6, [], 2);
    expect(call(forgotten)).toBe("deny token_unknown");
  });

  it("explains a quarantine and a tool's kill only to those who may see the tool", () => {
    const world = makeWorld();
    const lock = (name: string): AuthorityObject => {
      const tool = world.state.get("tool", `everything/${name}`);
      if (tool === undefined) throw new TypeError(name);
      return { kind: "tool", id: `everything/${name}`, version: 2, value: { ...tool, status: "quarantined" } };
    };
    put(world, lock("echo"), lock("get-env"), kill("tool", "everything/unmentioned"), kill("tool", "everything/ghost"));
    expect(call(world)).toBe("deny tool_quarantined");
    expect(call(world, "get-env")).toBe("deny policy_denied hidden");
    expect(call(world, "unmentioned")).toBe("deny policy_default_deny hidden");
    expect(call(world, "ghost")).toBe("deny tool_unknown hidden");
  });

  it("denies every tool of an upstream whose instructions are quarantined, and lists none", () => {
    const world = makeWorld();
    const upstream = world.state.upstreamByName("everything");
    if (upstream === undefined) throw new TypeError("the world has no upstream");
    const withLock = (status: "active" | "quarantined"): AuthorityObject => {
      const lock = { instructions: '""', digest: "", status };
      return { kind: "upstream", id: upstream.id, version: 2, value: { ...upstream.value, lock } };
    };
    put(world, withLock("active"));
    expect(call(world)).toBe("allow policy_allow");
    put(world, withLock("quarantined"));
    expect(call(world)).toBe("deny tool_quarantined");
    expect(call(world, "get-env")).toBe("deny policy_denied hidden");
    const listing = world.attempt(world.rootText, { action: "tool.list", tool: "" });
    expect(listTools(world.state, listing).tools).toEqual([]);
  });

  it.each([
    ["resource.list", "upstream_quarantined"],
    ["prompt.list", "upstream_quarantined"],
    ["client.sample", "upstream_quarantined"],
    ["client.elicit", "upstream_quarantined"],
    ["client.roots", "upstream_quarantined"],
    // Nothing that the upstream says comes of these.
    ["mcp.session", undefined],
    ["tool.list", undefined],
  ] as const)("lets nothing through that an upstream says whose instructions are quarantined: %s", (action, reason) => {
    const world = makeWorld({ rules: 'version: 1\nrules: [{ id: all, effect: allow, match: { action: ["*"] } }]\n' });
    const upstream = world.state.upstreamByName("everything");
    if (upstream === undefined) throw new TypeError("the world has no upstream");
    const attempt = world.attempt(world.rootText, { action, tool: "" });
    expect(judged(world, attempt)).toBe("allow policy_allow");
    const lock = { instructions: '""', digest: "", status: "quarantined" } as const;
    put(world, { kind: "upstream", id: upstream.id, version: 2, value: { ...upstream.value, lock } });
    expect(judged(world, attempt)).toBe(reason === undefined ? "allow policy_allow" : `deny ${reason}`);
  });

  it("denies a call that was described on an older definition of its tool", () => {
    const world = makeWorld();
    const attempt = world.attempt(world.rootText);
    const tool = world.state.get("tool", "everything/echo");
    if (tool === undefined) throw new TypeError("echo");
    put(world, { kind: "tool", id: "everything/echo", version: 2, value: { ...tool, digest: "other" } });
    expect(judged(world, attempt)).toBe("deny state_stale");
  });

  it.each<[string, Partial<Attempt["request"]>]>([
    ["a chain of its own making", { subject: { agentId: AGENT, principalId: PRINCIPAL, actorChain: [HELPER, AGENT] } }],
    [
      "another kind of resource",
      { resource: { upstream: "everything", kind: "catalogue", name: "echo", definitionDigest: "" } },
    ],
    ["no tool", { resource: { upstream: "everything", kind: "tool", name: "", definitionDigest: "" } }],
  ])("denies an access request with %s as incomplete", (_name, request) => {
    const world = makeWorld();
    expect(judged(world, world.attempt(world.rootText, {}, request))).toBe("deny access_incomplete");
  });

  it("denies an access request whose subject is not the presenter", () => {
    const world = makeWorld();
    const subject = { agentId: HELPER, principalId: PRINCIPAL, actorChain: [HELPER] };
    expect(judged(world, world.attempt(world.rootText, {}, { subject }))).toBe("deny access_subject");
  });
});

suite("caveats in the decision", () => {
  const narrow = (caveat: object, tool = "echo"): string => {
    const world = makeWorld();
    return judged(world, world.attempt(world.child(world.rootText, "c", [JSON.stringify(caveat)]), { tool }));
  };

  it("hides tools that tools and not_tools exclude, and explains the rest", () => {
    expect(narrow({ tools: ["everything/sum"] })).toBe("deny caveat_tool_not_listed hidden");
    expect(narrow({ not_tools: ["everything/echo"] })).toBe("deny caveat_tool_excluded hidden");
    expect(narrow({ actions: ["tool.list"] })).toBe("deny caveat_action");
    expect(narrow({ actions: ["tool.list"] }, "no-such-tool")).toBe("deny caveat_action");
    expect(narrow({ args: { "everything/echo": { "/message": { eq: "ho" } } } })).toBe("deny caveat_args");
    expect(narrow({ exp: NOW_MS / 1000 })).toBe("deny token_expired");
    expect(narrow({ aud: "elsewhere" })).toBe("deny token_audience");
  });

  it("trap-02 a caveat appended to a revoked token leaves it denied", () => {
    const world = makeWorld();
    put(world, revocation(world.rootNode));
    expect(call(world)).toBe("deny token_revoked");
    expect(judged(world, world.attempt(world.child(world.rootText, "x", [])))).toBe("deny token_revoked");
  });

  it("trap-03 a wider caveat after a narrow one widens nothing", () => {
    const world = makeWorld();
    const narrowed = world.child(world.rootText, "a", [
      '{"tools":["everything/sum"]}',
      '{"budget":{"unit":"calls","window":"day","limit":3}}',
    ]);
    const widened = world.child(narrowed, "b", [
      '{"tools":["*/*"]}',
      '{"budget":{"unit":"calls","window":"day","limit":900}}',
    ]);
    expect(judged(world, world.attempt(widened))).toBe("deny caveat_tool_not_listed hidden");
    const { claims } = judge(world.state, world.attempt(widened, { tool: "sum", arguments: jsonObject({ a: 1 }) }));
    expect(claims.map(({ limit }) => limit).sort()).toEqual([3, 900]);
  });

  it("R-NARROW-3 trap-04 revoking a child ends the child and all below it, and the parent continues", () => {
    const world = makeWorld();
    const child = world.child(world.rootText, "child", []);
    const grandchild = world.child(child, "grandchild", []);
    const sibling = world.child(world.rootText, "sibling", []);
    put(world, revocation(world.verify(child).path.at(-1) ?? ""));
    expect([world.rootText, child, grandchild, sibling].map((text) => judged(world, world.attempt(text)))).toEqual([
      "allow policy_allow",
      "deny token_revoked",
      "deny token_revoked",
      "allow policy_allow",
    ]);
  });

  it("R-NARROW-3 trap-36 trap-51 a holder cannot reach another's node by choosing its ids", () => {
    const world = makeWorld();
    const victim = world.child(world.rootText, "victim", []);
    const impostor = world.child(world.child(world.rootText, "mine", []), "victim", ['{"calls":5}']);
    put(world, revocation(world.verify(impostor).path.at(-1) ?? ""));
    expect(judged(world, world.attempt(victim))).toBe("allow policy_allow");
    expect(judged(world, world.attempt(impostor))).toBe("deny token_revoked");
  });

  it("trap-52 the policy sees the minted segment and nothing that a holder appended", () => {
    const inputs: PolicyInput[] = [];
    const world = makeWorld({
      compilePolicy: () => ({
        kind: "compiled",
        policy: {
          digest: "spy",
          decide(input) {
            inputs.push(input);
            return { kind: "allow", reason: "policy_allow", ruleId: "", obligations: [], validUntilMs: NOW_MS + 1 };
          },
          listable: () => ({ kind: "yes", validUntilMs: NOW_MS + 1 }),
        },
      }),
    });
    const appended = world.child(world.rootText, "secret-marker", [
      '{"budget":{"unit":"calls","window":"day","limit":7}}',
      '{"depth":3}',
    ]);
    judge(world.state, world.attempt(world.rootText));
    judge(world.state, world.attempt(appended));
    expect(inputs[1]).toEqual(inputs[0]);
    expect(inputs[0]?.context.mintedCaveats).toEqual(world.state.get("root_token", world.rootNode)?.caveats);
    expect(JSON.stringify(inputs[1])).not.toContain("secret-marker");
  });

  it("trap-61 deciding again looks at revocation again", () => {
    const world = makeWorld();
    const attempt = world.attempt(world.rootText);
    expect(judged(world, attempt)).toBe("allow policy_allow");
    put(world, revocation(world.rootNode));
    expect(judged(world, attempt)).toBe("deny token_revoked");
  });
});

suite("delegation in the decision", () => {
  it("R-DENY-5 asks the policy for every recorded agent, and one denial denies", () => {
    const rules = `version: 1
rules:
  - { id: all, effect: allow, match: { tool: everything/* } }
  - { id: not-the-helper, effect: deny, match: { agent: helper, tool: everything/sum } }
`;
    const world = makeWorld({ rules });
    const child = world.child(world.rootText, "child", []);
    put(world, recordedNode(world, child, { agentId: HELPER }));
    const attempt = world.attempt(child, { tool: "sum" });
    expect(attempt.request.subject).toEqual({ agentId: HELPER, principalId: PRINCIPAL, actorChain: [AGENT, HELPER] });
    expect(judged(world, attempt)).toBe("deny policy_denied hidden");
    expect(judged(world, world.attempt(child))).toBe("allow policy_allow");
    put(world, kill("agent", AGENT));
    expect(judged(world, world.attempt(child))).toBe("deny kill_engaged");
  });
});

suite("budgets in the decision", () => {
  const day = (limit: number): string => `{"budget":{"unit":"calls","window":"day","limit":${limit}}}`;
  const claims = (world: World, text: string, nowMs = NOW_MS): [string, number][] =>
    judge(world.state, world.attempt(text, { nowMs })).claims.map(({ scopeId, limit }) => [scopeId, limit]);

  it("claims every limited node of the path and every rule that covers the call, least hard limit first, and softer ones behind", () => {
    const world = makeWorld();
    const child = world.child(world.rootText, "c", [day(10), day(4), '{"calls":50}']);
    const [root, own] = world.verify(child).path;
    const rule = (
      id: string,
      scope: "tenant" | "tool" | "node",
      scopeId: string,
      limit: number,
      mode: "hard" | "soft",
    ): AuthorityObject => ({
      kind: "budget",
      id,
      version: 1,
      value: { scope, scopeId, unit: "calls", window: "day", limit, mode },
    });
    put(
      world,
      rule("1", "tenant", "", 1000, "soft"),
      rule("2", "tool", "everything/echo", 20, "hard"),
      rule("3", "tool", "everything/echo", 10, "soft"),
      rule("4", "tool", "everything/sum", 1, "hard"),
      rule("5", "node", root ?? "", 30, "hard"),
      rule("6", "node", root ?? "", 30, "soft"),
      rule("7", "tool", "everything/echo", 12, "soft"),
    );
    const { claims: made, decision } = judge(world.state, world.attempt(child));
    expect(made.map(({ scope, scopeId, window, limit, mode }) => [scope, scopeId, window, limit, mode])).toEqual([
      ["node", own, "day", 4, "hard"],
      ["node", own, "total", 50, "hard"],
      ["node", root, "day", 30, "hard"],
      ["tool", "everything/echo", "day", 20, "hard"],
      ["tenant", TENANT, "day", 1000, "soft"],
      ["tool", "everything/echo", "day", 10, "soft"],
    ]);
    expect(decision).toMatchObject({ validUntilMs: Date.UTC(2026, 0, 6) });
    expect(new Set(made.map(({ counter }) => counter)).size).toBe(5);
    expect(made.every(({ counter, amount }) => /^[0-9a-f]{32}$/.test(counter) && amount === 1)).toBe(true);
  });

  it("charges nothing for actions that use up nothing", () => {
    const world = makeWorld();
    const child = world.child(world.rootText, "c", [day(4)]);
    expect(judge(world.state, world.attempt(child, { action: "tool.list", tool: "" })).claims).toEqual([]);
  });

  it("charges a carved node instead of what lies above it, for that unit and window only", () => {
    const world = makeWorld();
    const parent = world.child(world.rootText, "p", [day(100), '{"calls":500}']);
    const child = world.child(parent, "c", []);
    const leaf = world.child(child, "l", []);
    const [, p, c] = world.verify(child).path;
    expect(claims(world, leaf)).toEqual([
      [p, 100],
      [p, 500],
    ]);
    put(
      world,
      recordedNode(world, parent, {}),
      recordedNode(world, child, { carves: [{ unit: "calls", window: "day", amount: 10 }] }),
    );
    expect(claims(world, leaf)).toEqual([
      [c, 10],
      [p, 500],
    ]);
    // What is set aside stands in the parent's counter, in this window and in later ones: the limit stays as it is.
    expect(claims(world, parent)).toEqual([
      [p, 100],
      [p, 500],
    ]);
    const tomorrow = NOW_MS + 13 * 3_600_000;
    expect(claims(world, parent, tomorrow)).toEqual([
      [p, 100],
      [p, 500],
    ]);
  });
});

suite("failures in the decision", () => {
  it.each(["decide", "listable", "both"])(
    "a policy that throws in %s never allows what it hides and never throws",
    (where) => {
      const fail = (): never => {
        throw new Error("secret");
      };
      const world = makeWorld({
        compilePolicy: () => ({
          kind: "compiled",
          policy: {
            digest: "bad",
            decide:
              where === "listable"
                ? () => ({ kind: "deny", reason: "policy_denied", ruleId: "", obligations: [], validUntilMs: 0 })
                : fail,
            listable: where === "decide" ? () => ({ kind: "yes", validUntilMs: 0 }) : fail,
          },
        }),
      });
      expect(call(world)).toMatch(/^deny policy_/);
      expect(
        listTools(world.state, world.attempt(world.rootText, { action: "tool.list", tool: "" })).tools,
      ).toHaveLength(where === "decide" ? 5 : 0);
    },
  );

  it("R-DENY-2 denies results and obligations of a kind that nobody knows", () => {
    const world = (result: object): World =>
      makeWorld({
        compilePolicy: () => ({
          kind: "compiled",
          // A later engine may answer anything.
          policy: { digest: "x", decide: () => result as never, listable: () => ({ kind: "yes", validUntilMs: 0 }) },
        }),
      });
    const allow = { kind: "allow", reason: "policy_allow", ruleId: "", validUntilMs: NOW_MS + 1, obligations: [] };
    expect(call(world(allow))).toBe("allow policy_allow");
    expect(call(world({ ...allow, kind: "permit" }))).toBe("deny policy_error");
    expect(call(world({ kind: "error", detail: "x" }))).toBe("deny policy_error");
    expect(call(world({ ...allow, obligations: [{ kind: "redact" }] }))).toBe("deny obligation_unknown");
    expect(call(world({ ...allow, obligations: undefined }))).toBe("deny policy_error");
    expect(call(world({ ...allow, validUntilMs: Number.NaN }))).toBe("deny decision_expired");
    expect(call(world({ ...allow, validUntilMs: NOW_MS }))).toBe("deny decision_expired");
  });
});

suite("lists", () => {
  const names = (world: World, text: string): string[] =>
    listTools(world.state, world.attempt(text, { action: "tool.list", tool: "" })).tools.map(({ name }) => name);

  it("R-HIDDEN-1 trap-18 lists exactly what may be called, and what it leaves out looks like no tool", () => {
    const world = makeWorld();
    expect(names(world, world.rootText)).toEqual(["echo", "sum", "wipe"]);
    for (const name of ["echo", "sum", "wipe", "get-env", "unmentioned", "ghost"]) {
      const isListed = names(world, world.rootText).includes(name);
      expect([name, call(world, name).endsWith("hidden")]).toEqual([name, !isListed]);
    }
    const narrowed = world.child(world.rootText, "c", ['{"not_tools":["everything/s*"]}']);
    expect(names(world, narrowed)).toEqual(["echo", "wipe"]);
    expect(names(world, world.rootText)).toEqual(["echo", "sum", "wipe"]);
    put(world, kill("tool", "everything/echo"));
    expect(names(world, world.rootText)).toEqual(["sum", "wipe"]);
    put(world, revocation(world.rootNode));
    expect(names(world, world.rootText)).toEqual([]);
  });
});

suite("explanations", () => {
  it("show every stage and agree with the decision", () => {
    const world = makeWorld();
    const { judgement, stages } = explain(world.state, world.attempt(world.rootText, { tool: "get-env" }));
    expect(judgement).toEqual(judge(world.state, world.attempt(world.rootText, { tool: "get-env" })));
    expect(stages.map(({ check, outcome: found }) => `${check} ${found}`)).toEqual([
      "standing passed",
      "describe passed",
      "clear passed",
      "resource passed",
      "policy denied",
      "obligations not_reached",
      "budgets not_reached",
      "rates not_reached",
      "combine not_reached",
    ]);
    expect(stages[4]?.detail).toBe("policy_denied");
  });
});
