import { hash } from "node:crypto";
import { AUTHORITY_KINDS, type AuthorityChange, type AuthorityObject, type AuthoritySnapshot } from "@writ/contract";
import fc from "fast-check";
import { expect, it } from "vitest";
import { judge, listTools } from "./judge.ts";
import { AGENT, makeTestWorld, NOW_MS, PRINCIPAL, type World } from "./make-test-world.ts";
import { buildState, type TenantState } from "./tenant-state.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");

const status = fc.constantFrom("active" as const, "suspended" as const);
const name = fc.constantFrom("everything", "other", "third");
const toolName = fc.constantFrom("echo", "sum", "new");
const id = fc.constantFrom("1", "2", "3");
const node = fc.constantFrom("a", "b", "c", "d");

/** Objects that collide with each other and with the base on purpose. */
const object: fc.Arbitrary<AuthorityObject> = fc.oneof(
  fc.record({ name, status, id }).map(
    (o): AuthorityObject => ({
      kind: "upstream",
      id: o.id,
      version: 1,
      value: {
        name: o.name,
        transport: { type: "http", url: "http://127.0.0.1:1/" },
        isolation: "shared",
        status: o.status,
        timeoutMs: 1,
        concurrencyMax: 1,
      },
    }),
  ),
  fc.record({ upstream: name, tool: toolName, digest: id }).map(
    (o): AuthorityObject => ({
      kind: "tool",
      id: `${o.upstream}/${o.tool}`,
      version: 1,
      value: { upstream: o.upstream, name: o.tool, definition: "{}", digest: o.digest, status: "active" },
    }),
  ),
  fc.record({ status }).map(
    (o): AuthorityObject => ({
      kind: "agent",
      id: AGENT,
      version: 1,
      value: { name: "assistant", principalId: PRINCIPAL, status: o.status, labels: {} },
    }),
  ),
  fc
    .record({
      id,
      scope: fc.constantFrom("agent" as const, "tool" as const, "tenant" as const),
      scopeId: fc.constantFrom("", AGENT, "everything/echo"),
    })
    .map(
      (o): AuthorityObject => ({
        kind: "kill",
        id: o.id,
        version: 1,
        value: { scope: o.scope, scopeId: o.scopeId, reason: "", engagedAtMs: 0 },
      }),
    ),
  fc
    .record({
      id,
      scope: fc.constantFrom("agent" as const, "node" as const),
      scopeId: fc.constantFrom(AGENT, "a"),
      limit: fc.nat(9),
    })
    .map(
      (o): AuthorityObject => ({
        kind: "budget",
        id: o.id,
        version: 1,
        value: { scope: o.scope, scopeId: o.scopeId, unit: "calls", window: "day", limit: o.limit, mode: "hard" },
      }),
    ),
  fc
    .record({
      id,
      scope: fc.constantFrom("agent" as const, "endpoint" as const, "tenant" as const),
      scopeId: fc.constantFrom("", AGENT, "everything"),
      limit: fc.integer({ min: 1, max: 9 }),
    })
    .map(
      ({ id: of, ...value }): AuthorityObject => ({
        kind: "rate",
        id: of,
        version: 1,
        value: { ...value, per: "minute" },
      }),
    ),
  fc.record({ id: node, parent: node, root: fc.constantFrom("r", "q"), carve: fc.boolean(), amount: fc.nat(9) }).map(
    (o): AuthorityObject => ({
      kind: "node",
      id: o.id,
      version: 1,
      value: {
        parent: o.parent,
        root: o.root,
        agentId: AGENT,
        caveats: [],
        carves: o.carve ? [{ unit: "calls", window: "day", amount: o.amount }] : [],
        recordedAtMs: 1,
        expiresAtMs: NOW_MS * 2,
      },
    }),
  ),
  node.map(
    (of): AuthorityObject => ({
      kind: "revocation",
      id: of,
      version: 1,
      value: { reason: "", at: "control", revokedAtMs: 5 },
    }),
  ),
  fc
    .record({
      id: fc.constantFrom("active"),
      source: fc.constantFrom(
        "version: 1\nrules: []\n",
        "nonsense",
        "version: 1\nrules:\n  - { id: x, effect: allow, match: { tool: '*/*' } }\n",
      ),
    })
    .map(
      (o): AuthorityObject => ({
        kind: "policy",
        id: o.id,
        version: 1,
        value: { versionId: "v", language: "rules", source: o.source, digest: o.source },
      }),
    ),
);

const change: fc.Arbitrary<AuthorityChange> = fc.oneof(
  { weight: 3, arbitrary: object.map((put): AuthorityChange => ({ type: "put", object: put })) },
  { weight: 1, arbitrary: object.map(({ kind, id: of }): AuthorityChange => ({ type: "delete", kind, id: of })) },
);

/** Everything that a decision can see of a state. */
function observe(state: TenantState, world: World): unknown {
  const attempt = world.attempt(world.rootText);
  const tools = ["everything", "other", "third"].map((upstream) => state.toolsOf(upstream));
  const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);
  return {
    tools,
    objects: AUTHORITY_KINDS.map((kind) => [...state.list(kind)].sort(byId)),
    upstreams: ["everything", "other", "third"].map((of) => state.upstreamByName(of)),
    killed: ["", AGENT, "everything/echo"].map((of) => [
      state.killed("agent", of),
      state.killed("tool", of),
      state.killed("tenant", of),
    ]),
    rules: [state.budgetRules("agent", AGENT), state.budgetRules("node", "a")].map((rules) =>
      [...rules].sort((a, b) => a.limit - b.limit),
    ),
    rates: [
      state.hasRateRules(),
      state.rateRules("agent", AGENT),
      state.rateRules("endpoint", "everything"),
      state.rateRules("tenant", ""),
    ],
    policy: state.policy.kind === "active" ? "active" : state.policy,
    judgement: judge(state, attempt),
    listed: listTools(state, { ...attempt, request: { ...attempt.request, action: "tool.list" } }),
  };
}

/** Names of upstreams are unique in a tenant; authority never holds two of one name. */
function hasUniqueNames(objects: Iterable<AuthorityObject>): boolean {
  const names = [...objects].flatMap((each) => (each.kind === "upstream" ? [each.value.name] : []));
  return new Set(names).size === names.length;
}

it("a state that followed changes equals one that was built from the snapshot after them", () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 25 }),
      fc.array(change, { maxLength: 6 }),
      fc.nat(25),
      (changes, instance, cut) => {
        const world = makeTestWorld({ sha256 });
        const objects = new Map(world.snapshot.objects.map((each) => [`${each.kind} ${each.id}`, each]));
        const applied: AuthorityChange[] = [];
        for (const each of changes) {
          const next = new Map(objects);
          if (each.type === "put") next.set(`${each.object.kind} ${each.object.id}`, each.object);
          else next.delete(`${each.kind} ${each.id}`);
          if (!hasUniqueNames(next.values())) continue;
          if (each.type === "put") objects.set(`${each.object.kind} ${each.object.id}`, each.object);
          else objects.delete(`${each.kind} ${each.id}`);
          applied.push(each);
        }
        const instanceObjects = new Map<string, AuthorityObject>();
        for (const each of instance) {
          if (each.type === "put") instanceObjects.set(`${each.object.kind} ${each.object.id}`, each.object);
          else instanceObjects.delete(`${each.kind} ${each.id}`);
        }
        world.state.apply(applied.slice(0, cut), 6, [], 2);
        // Looked at in between, so that what is derived from an older revision would be seen.
        observe(world.state, world);
        world.state.apply(applied.slice(cut), 7, instance, 3);
        const after: AuthoritySnapshot = {
          ...world.snapshot,
          revision: 7,
          instanceRevision: 3,
          objects: [...objects.values()],
          instanceObjects: [...instanceObjects.values()],
        };
        const built = buildState(after, world.options);
        expect(observe(world.state, world)).toEqual(observe(built, world));
        expect([world.state.revision, world.state.instanceRevision]).toEqual([7, 3]);
      },
    ),
    { numRuns: 500 },
  );
});

it("a change that cannot be understood moves nothing", () => {
  const world = makeTestWorld({ sha256 });
  const before = observe(world.state, world);
  const kill: AuthorityObject = {
    kind: "kill",
    id: "k",
    version: 1,
    value: { scope: "tenant", scopeId: "", reason: "", engagedAtMs: 0 },
  };
  // A later version of Writ may know kinds that this one does not.
  const unknown = {
    type: "put",
    object: { kind: "moon", id: "1", version: 1, value: {} },
  } as unknown as AuthorityChange;
  expect(() => world.state.apply([{ type: "put", object: kill }, unknown], 9, [], 2)).toThrow(TypeError);
  expect(() => world.state.apply([], 4, [], 2)).toThrow(TypeError);
  expect(observe(world.state, world)).toEqual(before);
  expect(world.state.revision).toBe(5);
});
