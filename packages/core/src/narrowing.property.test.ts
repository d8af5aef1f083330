/**
 * I4 through the whole decision: whatever a holder appends to a real token, a denial never becomes an allow, and no
 * claim that bound before is gone or looser. Sizes: 100,000 chains, or WRIT_FUZZ_RUNS.
 */
import { hash } from "node:crypto";
import type { AuthorityObject, BudgetClaim, RateClaim } from "@writ/contract";
import { compileRules } from "@writ/policy";
import fc from "fast-check";
import { expect, it } from "vitest";
import { explain, judge, listTools } from "./judge.ts";
import type { Judgement } from "./judgement.ts";
import {
  AGENT,
  AUDIENCE,
  HELPER,
  jsonObject,
  makeTestWorld,
  NOW_MS,
  PRINCIPAL,
  RULES,
  type World,
} from "./make-test-world.ts";

const CHAINS = Number(process.env["WRIT_FUZZ_RUNS"] ?? 100_000);
/** Each state gets every chain of one to three of four random attenuations, each judged against the one it extends. */
const STEPS = 4;
const DEPTH = 3;
const CHAINS_PER_STATE = STEPS + STEPS ** 2 + STEPS ** DEPTH;
const RUNS = Math.ceil(CHAINS / CHAINS_PER_STATE);

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");

const compiled = compileRules(RULES, { digest: "policy-digest" });
const compilePolicy = (): typeof compiled => compiled;

const TOOLS = ["echo", "sum", "get-env", "wipe", "unmentioned", "ghost"];
const pattern = fc.constantFrom("*/*", "everything/*", "everything/echo", "everything/s*", "other/*");
const window = fc.constantFrom("minute", "hour", "day", "week", "month", "total");

const period = fc.constantFrom("second" as const, "minute" as const, "hour" as const);

/** Caveats as a holder may append them: narrow, wide, contradictory, unknown, malformed or new nodes. */
const caveat = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      budget: fc.record({ unit: fc.constant("calls"), window, limit: fc.integer({ min: 1, max: 20 }) }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ tools: fc.array(pattern, { minLength: 1, maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ not_tools: fc.array(pattern, { minLength: 1, maxLength: 2 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      actions: fc.array(fc.constantFrom("tool.call", "tool.list"), { minLength: 1, maxLength: 2 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      args: fc.record({ "everything/sum": fc.record({ "/a": fc.record({ max: fc.integer({ min: 0, max: 200 }) }) }) }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ exp: fc.integer({ min: -2, max: 200_000 }).map((s) => NOW_MS / 1000 + s) }) },
  { weight: 1, arbitrary: fc.record({ nbf: fc.integer({ min: -10, max: 1 }).map((s) => NOW_MS / 1000 + s) }) },
  { weight: 1, arbitrary: fc.record({ aud: fc.constantFrom(AUDIENCE, "elsewhere") }) },
  { weight: 1, arbitrary: fc.record({ depth: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ calls: fc.integer({ min: 1, max: 20 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      net: fc.uniqueArray(fc.constantFrom("10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "2001:db8::/32"), { maxLength: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ rate: fc.record({ limit: fc.integer({ min: 1, max: 20 }), per: period }) }),
  },
);

/** Where a presenter may be; undefined: nobody knows. */
const whence = fc.constantFrom("10.1.2.3", "10.1.2.3", "10.9.9.9", "::ffff:10.1.2.3", "2001:db8::1", undefined);

interface Step {
  readonly id: string;
  readonly caveats: readonly object[];
}

const step: fc.Arbitrary<Step> = fc.record({
  id: fc.constantFrom("a", "b", "victim"),
  caveats: fc.array(caveat, { maxLength: 2 }),
});

/** A recorded child, a revocation, a rule's budget or a kill: what a state may hold besides the base. */
const authority = fc.record({
  recorded: fc.option(
    fc.record({
      agentId: fc.constantFrom(AGENT, HELPER),
      carve: fc.option(fc.record({ window, amount: fc.integer({ min: 1, max: 9 }) })),
    }),
  ),
  revoked: fc.constantFrom("nothing", "nothing", "nothing", "the base", "another"),
  budget: fc.option(
    fc.record({
      scope: fc.constantFrom("agent", "principal", "tool", "tenant", "node"),
      window,
      limit: fc.integer({ min: 1, max: 20 }),
      mode: fc.constantFrom("hard", "soft", "shadow"),
    }),
  ),
  rate: fc.option(
    fc.record({
      scope: fc.constantFrom("agent" as const, "endpoint" as const, "tenant" as const),
      limit: fc.integer({ min: 1, max: 20 }),
      per: period,
    }),
  ),
  killed: fc.option(fc.constantFrom("tool:everything/echo", "agent:other", "tenant:")),
});

function makeWorld(
  first: Step,
  more: typeof authority extends fc.Arbitrary<infer T> ? T : never,
): { world: World; base: string } {
  const plain = makeTestWorld({ sha256, compilePolicy });
  const base = plain.child(
    plain.rootText,
    first.id,
    first.caveats.map((each) => JSON.stringify(each)),
  );
  const { path } = plain.verify(base);
  const node = path.at(-1) ?? "";
  const objects: AuthorityObject[] = [];
  if (more.recorded !== null) {
    const { agentId, carve } = more.recorded;
    objects.push({
      kind: "node",
      id: node,
      version: 1,
      value: {
        parent: plain.rootNode,
        root: plain.rootNode,
        agentId,
        caveats: [],
        carves: carve === null ? [] : [{ unit: "calls", window: carve.window as "day", amount: carve.amount }],
        recordedAtMs: NOW_MS - 90_000_000,
        expiresAtMs: NOW_MS + 1_000,
      },
    });
  }
  if (more.revoked !== "nothing") {
    objects.push({
      kind: "revocation",
      id: more.revoked === "the base" ? node : "00".repeat(16),
      version: 1,
      value: { reason: "", at: "control", revokedAtMs: 0 },
    });
  }
  if (more.budget !== null) {
    const { scope, window: of, limit, mode } = more.budget;
    const scopeId = { agent: AGENT, principal: PRINCIPAL, tool: "everything/echo", tenant: "", node }[scope] ?? "";
    objects.push({
      kind: "budget",
      id: "b",
      version: 1,
      // Each of the words above is one of contract's.
      value: { scope: scope as "node", scopeId, unit: "calls", window: of as "day", limit, mode: mode as "hard" },
    });
  }
  if (more.rate !== null) {
    const { scope, limit, per } = more.rate;
    const scopeId = { agent: AGENT, endpoint: "everything", tenant: "" }[scope];
    objects.push({ kind: "rate", id: "r", version: 1, value: { scope, scopeId, limit, per } });
  }
  if (more.killed !== null) {
    const [scope, ...rest] = more.killed.split(":");
    objects.push({
      kind: "kill",
      id: more.killed,
      version: 1,
      value: { scope: scope as "tool", scopeId: rest.join(":"), reason: "", engagedAtMs: 0 },
    });
  }
  return { world: makeTestWorld({ sha256, objects, compilePolicy }), base };
}

/** Every claim of `before` is in `after`, no looser. */
function loosened(before: readonly BudgetClaim[], after: readonly BudgetClaim[]): BudgetClaim | undefined {
  return before.find((claim) => {
    const now = after.find(({ counter }) => counter === claim.counter);
    const hardness = (mode: string): number => ["hard", "soft", "shadow"].indexOf(mode);
    if (now === undefined || now.amount < claim.amount) return true;
    if (hardness(now.mode) !== hardness(claim.mode)) return hardness(now.mode) > hardness(claim.mode);
    return now.limit > claim.limit;
  });
}

/** Every rate of `before` is in `after`, no higher. */
function raised(before: readonly RateClaim[], after: readonly RateClaim[]): RateClaim | undefined {
  return before.find(({ scope, scopeId, per, limit }) => {
    const now = after.find((claim) => claim.scope === scope && claim.scopeId === scopeId && claim.per === per);
    return now === undefined || now.limit > limit;
  });
}

function refuseWidening(before: Judgement, after: Judgement): void {
  if (after.decision.kind === "deny") return;
  if (before.decision.kind === "deny") {
    throw new Error(`a denial (${before.decision.reasons.join()}) became an allow`);
  }
  if (after.decision.validUntilMs > before.decision.validUntilMs) throw new Error("an allow lasts longer");
  const looser = loosened(before.claims, after.claims);
  if (looser !== undefined) throw new Error(`the claim on ${looser.scope} ${looser.window} is gone or looser`);
  const higher = raised(before.rates, after.rates);
  if (higher !== undefined) throw new Error(`the rate of ${higher.scope} per ${higher.per} is gone or higher`);
}

interface Tried {
  readonly tool: string;
  readonly a: number;
  readonly address: string | undefined;
}

function judgeTool(world: World, text: string, { tool, a, address }: Tried): Judgement {
  return judge(world.state, world.attempt(text, { tool, address, arguments: jsonObject({ a }) }));
}

it(`R-NARROW-1 appending never turns a denial into an allow and never loosens a claim (${CHAINS} chains)`, {
  timeout: 900_000,
}, () => {
  let chains = 0;
  let allowed = 0;
  fc.assert(
    fc.property(
      step,
      authority,
      fc.array(step, { minLength: STEPS, maxLength: STEPS }),
      fc.record({ tool: fc.constantFrom(...TOOLS), a: fc.integer({ min: 0, max: 200 }), address: whence }),
      (first, more, steps, tried) => {
        const { world, base } = makeWorld(first, more);
        const extend = (text: string, before: Judgement, depth: number): void => {
          for (const { id, caveats } of steps) {
            const child = world.child(
              text,
              id,
              caveats.map((each) => JSON.stringify(each)),
            );
            const after = judgeTool(world, child, tried);
            chains += 1;
            if (after.decision.kind === "allow") allowed += 1;
            refuseWidening(before, after);
            if (depth < DEPTH) extend(child, after, depth + 1);
          }
        };
        extend(base, judgeTool(world, base, tried), 1);
      },
    ),
    { numRuns: RUNS },
  );
  expect(chains).toBeGreaterThanOrEqual(CHAINS);
  // A property about allows that never sees one would hold for nothing.
  expect(allowed).toBeGreaterThan(chains / 100);
});

it("an explanation agrees with the decision, and a list with both, on any state and token", () => {
  fc.assert(
    fc.property(
      step,
      authority,
      fc.constantFrom(...TOOLS),
      fc.integer({ min: 0, max: 200 }),
      (first, more, tool, a) => {
        const { world, base } = makeWorld(first, more);
        const attempt = world.attempt(base, { tool, arguments: jsonObject({ a }) });
        const judgement = judge(world.state, attempt);
        const { judgement: explained, stages } = explain(world.state, attempt);
        expect(explained).toEqual(judgement);
        expect(stages.filter(({ outcome }) => outcome === "denied").map(({ check }) => check)).toEqual(
          judgement.decision.kind === "deny" ? [judgement.check] : [],
        );
        const listed = listTools(world.state, world.attempt(base, { action: "tool.list", tool: "" })).tools.some(
          ({ name }) => name === tool,
        );
        if (judgement.decision.kind === "allow") expect(listed).toBe(true);
        if (judgement.hidden) expect(listed).toBe(false);
        // What may not be known of answers as what does not exist; only a lock may be explained of what is not listed.
        const ghost = judge(
          world.state,
          world.attempt(base, { tool: "no-such-tool", arguments: attempt.request.context.arguments }),
        );
        if (judgement.hidden) expect(ghost.hidden).toBe(true);
        else if (!listed && !judgement.decision.reasons.includes("kill_engaged")) {
          expect(ghost.decision.reasons).toEqual(judgement.decision.reasons);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

it("R-DENY-2 trap-01 an appended caveat of an unknown kind denies", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 20 }), fc.jsonValue(), (kind, value) => {
      const world = makeTestWorld({ sha256 });
      const token = world.verify(world.rootText);
      // Attenuation refuses what no gateway enforces, so the segment is given the caveat as another library would.
      const segments = [
        ...token.segments,
        {
          node: "11".repeat(16),
          caveats: [{ text: JSON.stringify({ [kind]: value }), meaning: { kind: "unknown" } as const }],
        },
      ];
      const attempt = world.attempt(world.rootText);
      const forged = { ...attempt, token: { ...token, segments, path: [...token.path, "11".repeat(16)] } };
      expect(judge(world.state, forged).decision).toMatchObject({ kind: "deny", reasons: ["caveat_unknown"] });
    }),
    { numRuns: 200 },
  );
});

it("R-DENY-2 no policy that throws, lies about kinds or answers nonsense ever allows", () => {
  const nonsense = fc.oneof(
    fc.constant(undefined),
    fc.jsonValue(),
    fc.record({
      kind: fc.constantFrom("deny", "step_up", "error", "permit", "ALLOW"),
      reason: fc.constant("policy_denied"),
      ruleId: fc.string(),
      obligations: fc.jsonValue(),
      validUntilMs: fc.jsonValue(),
    }),
  );
  fc.assert(
    fc.property(nonsense, nonsense, fc.boolean(), (decided, listable, throws) => {
      const world = makeTestWorld({
        sha256,
        compilePolicy: () => ({
          kind: "compiled",
          policy: {
            digest: "x",
            decide: () => {
              if (throws) throw new Error("broken");
              return decided as never; // nonsense on purpose
            },
            listable: () => listable as never, // nonsense on purpose
          },
        }),
      });
      expect(judge(world.state, world.attempt(world.rootText)).decision.kind).toBe("deny");
    }),
    { numRuns: 500 },
  );
});
