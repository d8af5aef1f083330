import { hash } from "node:crypto";
import type { AuthorityObject, Carve, JsonObject } from "@writ/contract";
import { describe, expect, it } from "vitest";
import { judge } from "./judge.ts";
import { judgeAttenuation } from "./judge-attenuation.ts";
import type { AttenuationJudgement } from "./judgement.ts";
import { AGENT, HELPER, jsonObject, makeTestWorld, NOW_MS, type World } from "./make-test-world.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");
const DAY = '{"budget":{"unit":"calls","window":"day","limit":100}}';

interface Child {
  readonly id?: string;
  readonly caveats?: readonly string[];
  readonly carves?: readonly Carve[];
  readonly agentId?: string;
  readonly expiresAtMs?: number;
  readonly arguments?: JsonObject;
  readonly path?: readonly string[];
}

function makeWorld(...more: string[]): World {
  return makeTestWorld({
    sha256,
    caveats: [`{"exp":${NOW_MS / 1000 + 86_400}}`, '{"aud":"http://127.0.0.1:7400"}', ...more],
  });
}

function judged(world: World, text: string, child: Child = {}): AttenuationJudgement {
  const id = child.id ?? "child";
  const caveats = child.caveats ?? [];
  const attempt = world.attempt(text, {
    action: "token.attenuate",
    upstream: "",
    tool: "",
    protocol: "api",
    arguments: child.arguments ?? jsonObject({}),
  });
  return judgeAttenuation(world.state, {
    ...attempt,
    child: {
      path: child.path ?? world.verify(world.child(text, id, [])).path,
      caveats: [JSON.stringify({ id }), ...caveats],
      carves: child.carves ?? [],
      expiresAtMs: child.expiresAtMs ?? NOW_MS + 1_000,
      ...(child.agentId === undefined ? {} : { agentId: child.agentId }),
    },
  });
}

function outcome({ decision, record }: AttenuationJudgement): string {
  expect(record === undefined).toBe(decision.kind !== "allow");
  return `${decision.kind} ${decision.reasons.join()}`;
}

function record(world: World, { record: made }: AttenuationJudgement): void {
  if (made === undefined) throw new TypeError("nothing to record");
  const object: AuthorityObject = { kind: "node", version: 1, ...made };
  world.state.apply([{ type: "put", object }], world.state.revision + 1, [], world.state.instanceRevision);
}

const day = (amount: number): Carve => ({ unit: "calls", window: "day", amount });

describe("the recording of a child", () => {
  it("is allowed one step below the presenter, and says what to record", () => {
    const world = makeWorld();
    const judgement = judged(world, world.rootText, { caveats: ['{"calls":5}'] });
    expect(outcome(judgement)).toBe("allow policy_allow,attenuation_recorded");
    expect(judgement.record?.value).toEqual({
      parent: world.rootNode,
      root: world.rootNode,
      agentId: AGENT,
      caveats: ['{"id":"child"}', '{"calls":5}'],
      carves: [],
      recordedAtMs: NOW_MS,
      expiresAtMs: NOW_MS + 1_000,
    });
  });

  it("takes a carve from the parent's counters, and the child is then charged to its own", () => {
    const world = makeWorld(DAY);
    const judgement = judged(world, world.rootText, { carves: [day(30)] });
    expect(judgement.claims.map(({ scopeId, amount, limit }) => [scopeId, amount, limit])).toEqual([
      [world.rootNode, 30, 100],
    ]);
    record(world, judgement);
    const child = world.child(world.rootText, "child", []);
    const { claims } = judge(world.state, world.attempt(child));
    expect(claims.map(({ scopeId, amount, limit }) => [scopeId, amount, limit])).toEqual([
      [judgement.record?.id, 1, 30],
    ]);
    // A grandchild's carve comes out of the child's, and not out of the root's.
    const below = judged(world, child, { id: "grandchild", carves: [day(5)] });
    expect(below.claims.map(({ scopeId, amount, limit }) => [scopeId, amount, limit])).toEqual([
      [judgement.record?.id, 5, 30],
    ]);
  });

  it("refuses carves that come from nowhere, and amounts that are none", () => {
    const world = makeWorld(DAY);
    const refused: readonly (readonly Carve[])[] = [
      [{ unit: "calls", window: "hour", amount: 1 }],
      [day(0)],
      [day(-1)],
      [day(1.5)],
      [day(Number.NaN)],
      [day(1), day(1)],
      [{ unit: "calls", window: "aeon" as "day", amount: 1 }],
    ];
    for (const carves of refused) expect(outcome(judged(world, world.rootText, { carves }))).toBe("deny budget_carve");
    const unrecorded = world.child(world.rootText, "offline", []);
    const { decision } = judged(world, unrecorded, { carves: [day(1)] });
    const detail = expect.stringContaining("ask with the recorded token above it");
    expect(decision).toMatchObject({ kind: "deny", reasons: ["budget_carve"], detail });
    expect(outcome(judged(world, unrecorded))).toBe("allow policy_allow,attenuation_recorded");
  });

  it("records a delegate only when the arguments named it, so that policy has seen it", () => {
    const world = makeWorld();
    const named = jsonObject({ agent: "helper" });
    expect(outcome(judged(world, world.rootText, { agentId: HELPER }))).toBe("deny access_incomplete");
    expect(outcome(judged(world, world.rootText, { agentId: AGENT, arguments: named }))).toBe("deny access_incomplete");
    expect(outcome(judged(world, world.rootText, { agentId: "nobody", arguments: named }))).toBe("deny agent_inactive");
    const judgement = judged(world, world.rootText, { agentId: HELPER, arguments: named });
    expect(judgement.record?.value.agentId).toBe(HELPER);
    record(world, judgement);
    const child = world.child(world.rootText, "child", []);
    expect(world.attempt(child).request.subject.actorChain).toEqual([AGENT, HELPER]);
  });

  it("refuses a delegate of another principal, whose budgets would pay for calls that it never made", () => {
    const world = makeWorld();
    const named = jsonObject({ agent: "helper" });
    const stranger = "01970000-0000-7000-8000-0000000000ff";
    const principal = { name: "stranger", type: "team", status: "active" } as const;
    const helper = { name: "helper", principalId: stranger, status: "active", labels: {} } as const;
    world.state.apply(
      [
        { type: "put", object: { kind: "principal", id: stranger, version: 1, value: principal } },
        { type: "put", object: { kind: "agent", id: HELPER, version: 2, value: helper } },
      ],
      world.state.revision + 1,
      [],
      world.state.instanceRevision,
    );
    expect(outcome(judged(world, world.rootText, { agentId: HELPER, arguments: named }))).toBe(
      "deny access_incomplete",
    );
  });

  it("is refused beyond the depth that a caveat permits", () => {
    const world = makeWorld('{"depth":1}');
    expect(outcome(judged(world, world.rootText))).toBe("allow policy_allow,attenuation_recorded");
    expect(outcome(judged(world, world.child(world.rootText, "child", []), { id: "x" }))).toBe("deny caveat_depth");
  });

  it("is refused for what is unreadable, not below, expired, known or revoked", () => {
    const world = makeWorld();
    const refused = (child: Child): string => outcome(judged(world, world.rootText, child));
    expect(refused({ caveats: ['{"moon":1}'] })).toBe("deny caveat_unknown");
    expect(refused({ caveats: ["{"] })).toBe("deny caveat_malformed");
    expect(refused({ caveats: ['{"id":"second"}'] })).toBe("deny caveat_malformed");
    expect(refused({ path: [world.rootNode] })).toBe("deny access_incomplete");
    expect(refused({ path: ["11".repeat(16), "22".repeat(16)] })).toBe("deny access_incomplete");
    expect(refused({ expiresAtMs: NOW_MS })).toBe("deny token_expired");
    record(world, judged(world, world.rootText));
    expect(refused({})).toBe("deny access_incomplete");
    const node = world.verify(world.child(world.rootText, "gone", [])).path.at(-1) ?? "";
    const object: AuthorityObject = {
      kind: "revocation",
      id: node,
      version: 1,
      value: { reason: "", at: "control", revokedAtMs: 0 },
    };
    world.state.apply([{ type: "put", object }], 9, [], 2);
    expect(refused({ id: "gone" })).toBe("deny token_revoked");
  });

  it("names the soft limits of the counters that a carve is taken from, and only of those", () => {
    const world = makeWorld(DAY);
    const rule = (id: string, window: "day" | "total", limit: number): AuthorityObject => ({
      kind: "budget",
      id,
      version: 1,
      value: { scope: "node", scopeId: world.rootNode, unit: "calls", window, limit, mode: "soft" },
    });
    const rules = [rule("a", "day", 7), rule("b", "day", 5), rule("c", "total", 1)];
    world.state.apply(
      rules.map((object) => ({ type: "put", object })),
      world.state.revision + 1,
      [],
      world.state.instanceRevision,
    );
    const carves = [{ unit: "calls", window: "day", amount: 6 }] as const;
    const { claims, softClaims } = judged(world, world.rootText, { carves });
    expect(claims).toMatchObject([{ mode: "hard", limit: 100, amount: 6 }]);
    expect(softClaims).toMatchObject([{ mode: "soft", limit: 5, counter: claims[0]?.counter }]);
    expect(judged(world, world.rootText).softClaims).toEqual([]);
  });
});
