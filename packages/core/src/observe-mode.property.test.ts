/**
 * Observe mode over all stages: whatever the state, the token and the policy's answer, observation changes a completed
 * no of the policy and nothing else, and what it lets through is still narrowed by whatever a holder appends (I4).
 */
import { hash } from "node:crypto";
import { ACTIONS, type AuthorityObject, isCharged, isReason } from "@writ/contract";
import type { PolicyPort, PolicyResult } from "@writ/policy";
import fc from "fast-check";
import { expect, it } from "vitest";
import { judge, listTools } from "./judge.ts";
import type { Judgement } from "./judgement.ts";
import { AGENT, HELPER, jsonObject, makeTestWorld, NOW_MS, PRINCIPAL, type World } from "./make-test-world.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");
const UPSTREAM = "01970000-0000-7000-8000-00000000000d";
const RUNS = Number(process.env["WRIT_FUZZ_RUNS"] ?? 5_000);

const answer = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("allow", "deny", "deny", "step_up"),
      reason: fc.constantFrom("policy_allow", "policy_denied", "policy_default_deny"),
      ruleId: fc.constantFrom("", "a-rule"),
      obligations: fc.constantFrom([], [], [], [{ kind: "redact" }]),
      validUntilMs: fc.constantFrom(Number.MAX_SAFE_INTEGER, NOW_MS + 5, NOW_MS - 5),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "error", detail: "x" }) },
  { weight: 1, arbitrary: fc.constant("throws" as const) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<unknown>(
      undefined,
      null,
      "deny",
      {},
      { kind: "permit", reason: "policy_allow", ruleId: "", obligations: [], validUntilMs: NOW_MS + 5 },
      { kind: "deny", reason: "no_such_reason", ruleId: "", obligations: [], validUntilMs: NOW_MS + 5 },
      { kind: "deny", reason: "policy_denied", ruleId: 7, obligations: [], validUntilMs: NOW_MS + 5 },
      { kind: "step_up", reason: "policy_denied", ruleId: "", obligations: "none", validUntilMs: NOW_MS + 5 },
    ),
  },
);

const listable = fc.constantFrom<unknown>(
  { kind: "yes", validUntilMs: NOW_MS + 9 },
  { kind: "no", validUntilMs: NOW_MS + 9 },
  { kind: "perhaps", validUntilMs: NOW_MS + 9 },
  { kind: "maybe", validUntilMs: NOW_MS + 9 },
  "throws",
);

const setting = fc.record({
  assistant: answer,
  helper: answer,
  listable,
  untilMs: fc.constantFrom(NOW_MS - 1, NOW_MS, NOW_MS + 1, NOW_MS + 60_000, Number.NaN),
  startedAtMs: fc.constantFrom(NOW_MS - 1_000, NOW_MS - 15 * 86_400_000),
  delegated: fc.boolean(),
  action: fc.constantFrom(...ACTIONS),
  tool: fc.constantFrom("echo", "wipe", "ghost"),
  caveat: fc.constantFrom<object>(
    {},
    { exp: NOW_MS / 1000 - 1 },
    { tools: ["everything/echo"] },
    { not_tools: ["everything/*"] },
    { actions: ["tool.call"] },
    { args: { "everything/echo": { "/a": { max: 5 } } } },
    { aud: "elsewhere" },
    { budget: { unit: "calls", window: "day", limit: 3 } },
  ),
  standing: fc.constantFrom(
    "stands",
    "stands",
    "stands",
    "killed tool",
    "killed upstream",
    "killed agent",
    "revoked",
    "suspended agent",
    "suspended upstream",
    "quarantined tool",
    "quarantined upstream",
    "no policy",
  ),
});
type Setting = typeof setting extends fc.Arbitrary<infer T> ? T : never;

function makePolicy({ assistant, helper, listable: said }: Setting): PolicyPort {
  return {
    digest: "x",
    decide({ subject }) {
      const result = subject.agent.id === AGENT ? assistant : helper;
      if (result === "throws") throw new Error("broken");
      return result as PolicyResult; // nonsense on purpose
    },
    listable() {
      if (said === "throws") throw new Error("broken");
      return said as never; // nonsense on purpose
    },
  };
}

const kill = (scope: "tool" | "upstream" | "agent", scopeId: string): AuthorityObject => ({
  kind: "kill",
  id: `${scope}:${scopeId}`,
  version: 1,
  value: { scope, scopeId, reason: "", engagedAtMs: 0 },
});

function changes(world: World, { standing, tool }: Setting, node: string): readonly AuthorityObject[] {
  const upstream = world.state.upstreamByName("everything")?.value;
  const pinned = world.state.get("tool", `everything/${tool}`);
  if (upstream === undefined) throw new TypeError("the world has an upstream");
  switch (standing) {
    case "killed tool":
      return [kill("tool", `everything/${tool}`)];
    case "killed upstream":
      return [kill("upstream", "everything")];
    case "killed agent":
      return [kill("agent", AGENT)];
    case "revoked":
      return [{ kind: "revocation", id: node, version: 1, value: { reason: "", at: "control", revokedAtMs: 0 } }];
    case "suspended agent":
      return [
        {
          kind: "agent",
          id: AGENT,
          version: 2,
          value: { name: "assistant", principalId: PRINCIPAL, status: "suspended", labels: {} },
        },
      ];
    case "suspended upstream":
      return [{ kind: "upstream", id: UPSTREAM, version: 2, value: { ...upstream, status: "suspended" } }];
    case "quarantined tool":
      return pinned === undefined
        ? []
        : [{ kind: "tool", id: `everything/${tool}`, version: 2, value: { ...pinned, status: "quarantined" } }];
    case "quarantined upstream":
      return [
        {
          kind: "upstream",
          id: UPSTREAM,
          version: 2,
          value: { ...upstream, lock: { instructions: '""', digest: "d", status: "quarantined" } },
        },
      ];
    default:
      return [];
  }
}

interface Pair {
  readonly plain: World;
  readonly observing: World;
  readonly text: string;
}

/** The same state twice, but for the observation. */
function makePair(given: Setting): Pair {
  const port = makePolicy(given);
  const make = (objects: readonly AuthorityObject[]): World =>
    makeTestWorld({ sha256, objects, compilePolicy: () => ({ kind: "compiled", policy: port }) });
  const first = make([]);
  const text = first.child(
    first.rootText,
    "a",
    Object.keys(given.caveat).length === 0 ? [] : [JSON.stringify(given.caveat)],
  );
  const node = first.verify(text).path.at(-1) ?? "";
  const objects = [...changes(first, given, node)];
  if (given.delegated) {
    objects.push({
      kind: "node",
      id: node,
      version: 1,
      value: {
        parent: first.rootNode,
        root: first.rootNode,
        agentId: HELPER,
        caveats: [],
        carves: [],
        recordedAtMs: NOW_MS - 1_000,
        expiresAtMs: NOW_MS + 90_000,
      },
    });
  }
  const { untilMs, startedAtMs } = given;
  const mode: AuthorityObject = {
    kind: "observe_mode",
    id: UPSTREAM,
    version: 1,
    value: { upstream: "everything", startedAtMs, startedBy: "x", untilMs },
  };
  const plain = make(objects);
  const observing = make([...objects, mode]);
  if (given.standing === "no policy") {
    for (const { state } of [plain, observing])
      state.apply([{ type: "delete", kind: "policy", id: "active" }], 6, [], 2);
  }
  return { plain, observing, text };
}

function run(world: World, text: string, { action, tool }: Setting): Judgement {
  const named = {
    "resource.read": "resource",
    "resource.subscribe": "resource",
    "prompt.get": "prompt",
    completion: "prompt",
  } as const;
  const kind = Object.hasOwn(named, action) ? named[action as keyof typeof named] : undefined;
  return judge(
    world.state,
    world.attempt(text, {
      action,
      tool: action === "tool.call" ? tool : "",
      upstream: action === "token.attenuate" ? "" : "everything",
      ...(kind === undefined ? {} : { named: { kind, name: "x" } }),
      arguments: jsonObject({ a: 9 }),
    }),
  );
}

const HARD = new Set<string>([
  "client.sample",
  "client.elicit",
  "client.roots",
  "token.attenuate",
  "model.generate",
  "model.list",
]);
const LOCKS = new Set<string>(["kill_engaged", "tool_quarantined", "upstream_quarantined"]);
/** What may still deny an attempt whose policy's no was observed. */
const BEHIND = new Set<string>(["policy_error", "obligation_unknown", "decision_expired", ...LOCKS]);

/** Of a no that a policy did not put as it should, the reason that it is denied for under observation, too. */
function reasonOfNonsense(said: unknown): readonly string[] {
  if (typeof said !== "object" || said === null) return [];
  const { kind, reason, ruleId, obligations } = said as Readonly<Record<string, unknown>>; // looked at below
  const isWhole = isReason(String(reason)) && typeof ruleId === "string" && Array.isArray(obligations);
  if (isWhole || (kind !== "deny" && kind !== "step_up")) return [];
  return [kind === "step_up" ? "step_up_unavailable" : String(reason)];
}

it("R-OBSERVE-1 observation changes a completed no of the policy and nothing else, whatever else there is", () => {
  let softened = 0;
  fc.assert(
    fc.property(setting, (given) => {
      const { plain, observing, text } = makePair(given);
      const before = run(plain, text, given);
      const after = run(observing, text, given);
      const isOn = given.untilMs > NOW_MS && given.startedAtMs === NOW_MS - 1_000;
      const saidNo = before.decision.kind === "deny" && before.check === "policy";
      const isPolicys =
        saidNo &&
        ["policy_allow", "policy_denied", "policy_default_deny", "step_up_unavailable"].includes(
          before.decision.reasons[0] ?? "",
        );
      if (!isOn || HARD.has(given.action) || !isPolicys) {
        // Only how a hard no is explained may differ: what is observed is not hidden, and so neither is a lock on it.
        if (isOn && before.decision.kind === "deny" && LOCKS.has(after.decision.reasons[0] ?? "")) return;
        expect({ ...after, hidden: false, decision: { ...after.decision, hidden: false } }).toEqual({
          ...before,
          hidden: false,
          decision: { ...before.decision, hidden: false },
        });
        return;
      }
      if (after.decision.kind === "deny") {
        const others = given.delegated ? [given.assistant, given.helper].flatMap(reasonOfNonsense) : [];
        expect([...BEHIND, before.decision.reasons[0], ...others]).toContain(after.decision.reasons[0]);
        return;
      }
      softened += 1;
      expect(after.decision.reasons).toEqual(["policy_observed"]);
      expect(after.decision.wouldDeny).toEqual({ reason: before.decision.reasons[0], ruleId: before.ruleId });
      expect(after.decision.validUntilMs).toBeLessThanOrEqual(given.untilMs);
      expect(after.claims.length > 0).toBe(JSON.stringify(given.caveat).includes("budget") && isCharged(given.action));
      // What is allowed is listed.
      if (
        given.action === "tool.call" &&
        given.listable !== "throws" &&
        JSON.stringify(given.listable).includes("no")
      ) {
        const listed = listTools(observing.state, observing.attempt(text, { action: "tool.list", tool: "" }));
        expect(listed.tools.map(({ name }) => name)).toContain(given.tool);
      }
    }),
    { numRuns: RUNS },
  );
  // A property about what is let through that never sees any would hold for nothing.
  expect(softened).toBeGreaterThan(RUNS / 1_000);
});

it("R-OBSERVE-2 under observation, too, appending never turns a denial into an allow and never draws one out", () => {
  let allowed = 0;
  fc.assert(
    fc.property(setting, setting, (given, more) => {
      const { observing, text } = makePair(given);
      const before = run(observing, text, given);
      const child = observing.child(
        text,
        "b",
        Object.keys(more.caveat).length === 0 ? [] : [JSON.stringify(more.caveat)],
      );
      const after = run(observing, child, given);
      if (after.decision.kind === "deny") return;
      allowed += 1;
      if (before.decision.kind === "deny") throw new Error(`${before.decision.reasons.join()} became an allow`);
      expect(after.decision.validUntilMs).toBeLessThanOrEqual(before.decision.validUntilMs);
      for (const { counter } of before.claims) expect(after.claims.map((claim) => claim.counter)).toContain(counter);
    }),
    { numRuns: RUNS },
  );
  expect(allowed).toBeGreaterThan(RUNS / 1_000);
});
