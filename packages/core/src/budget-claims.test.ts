import { hash } from "node:crypto";
import type { AuthorityObject } from "@writ/contract";
import type { VerifiedToken } from "@writ/token";
import { expect, test } from "vitest";
import { judge } from "./judge.ts";
import { AGENT, makeTestWorld, NOW_MS, type World } from "./make-test-world.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");
const HOUR_MS = 3_600_000;

const budget = (id: string, scope: "agent" | "tool", scopeId: string, window: "hour" | "day"): AuthorityObject => ({
  kind: "budget",
  id,
  version: 1,
  value: { scope, scopeId, unit: "calls", window, limit: 5, mode: "hard" },
});

const OBJECTS = [
  budget("1", "agent", AGENT, "hour"),
  budget("2", "agent", AGENT, "day"),
  budget("3", "tool", "everything/echo", "day"),
];

const RULES = "version: 1\nrules:\n  - { id: all, effect: allow, match: { tool: 'everything/*' } }\n";
const makeWorld = (): World => makeTestWorld({ sha256, rules: RULES, objects: OBJECTS });

test("a token that calls again is charged as it would be if it had never called before", () => {
  const used = makeWorld();
  const token = used.verify(used.rootText);
  const claimsOf = (world: World, nowMs: number, tool: string) =>
    judge(world.state, { ...world.attempt(world.rootText, { nowMs, tool }), token, nowMs }).claims;
  // Forwards into other windows and back, since the clocks of gateways and of the database differ.
  for (const hours of [0, 0, 1, 5, 11.9999, 12, 13, 12, 0]) {
    for (const tool of ["echo", "sum", "echo"]) {
      const nowMs = NOW_MS + hours * HOUR_MS;
      const claims = claimsOf(used, nowMs, tool);
      expect(claims).toEqual(claimsOf(makeWorld(), nowMs, tool));
      expect(claims).toHaveLength(tool === "echo" ? 3 : 2);
      for (const claim of claims) {
        expect(claim.windowStartMs).toBeLessThanOrEqual(nowMs);
        expect(claim.windowEndMs).toBeGreaterThan(nowMs);
      }
    }
  }
});

test("claims are remembered for a bounded number of tokens and tools, however many tokens a holder makes", () => {
  const world = makeWorld();
  const first = world.verify(world.rootText);
  const claimsOf = (token: VerifiedToken, tool: string) =>
    judge(world.state, { ...world.attempt(world.rootText, { tool }), token, nowMs: NOW_MS }).claims;
  const claims = claimsOf(first, "echo");
  expect(claimsOf(first, "echo")).toBe(claims);
  // Kept here, as the gateway keeps what it has verified: none of them goes because nobody has it any more.
  const kept: VerifiedToken[] = [];
  for (let made = 0; made < 5_000; made += 1) {
    const token: VerifiedToken = { ...first };
    kept.push(token);
    for (const tool of ["echo", "sum"]) claimsOf(token, tool);
  }
  const anew = claimsOf(first, "echo");
  expect(anew).toEqual(claims);
  expect(anew).not.toBe(claims);
  expect(claimsOf(first, "echo")).toBe(anew);
  expect(kept).toHaveLength(5_000);
});

test("a budget in credits is charged what the price list says, and nothing for what is free", () => {
  const rule: AuthorityObject = {
    kind: "budget",
    id: "credits",
    version: 1,
    value: { scope: "agent", scopeId: AGENT, unit: "credits", window: "total", limit: 100, mode: "hard" },
  };
  const price = (id: string, pattern: string, credits: number): AuthorityObject => ({
    kind: "price",
    id,
    version: 1,
    value: { pattern, credits },
  });
  const world = makeTestWorld({ sha256, rules: RULES, objects: [rule, price("a", "everything/echo", 7)] });
  const charged = (tool: string): readonly number[] =>
    judge(world.state, world.attempt(world.rootText, { tool })).claims.map(({ amount }) => amount);
  expect([charged("echo"), charged("sum")]).toEqual([[7], [1]]);
  world.state.apply([{ type: "put", object: price("b", "*/sum", 0) }], world.state.revision + 1, [], 2);
  expect([charged("echo"), charged("sum")]).toEqual([[7], []]);
  const broken = price("c", "no pattern", 1);
  expect(() => world.state.apply([{ type: "put", object: broken }], world.state.revision + 1, [], 2)).toThrow("price");
  expect(charged("echo")).toEqual([7]);
});

test("a request is charged for its method and path, not for the route that lets it through", () => {
  const object = (kind: "budget" | "price" | "upstream", id: string, value: object): AuthorityObject =>
    // One of the three, by what it is given here.
    ({ kind, id, version: 1, value }) as AuthorityObject;
  const routes = [{ match: "* /**", kind: "capability" }];
  const world = makeTestWorld({
    sha256,
    rules: "version: 1\nrules:\n  - { id: all, effect: allow, match: { upstream: api, path: '/**' } }\n",
    objects: [
      object("budget", "c", {
        scope: "upstream",
        scopeId: "api",
        unit: "credits",
        window: "total",
        limit: 9,
        mode: "hard",
      }),
      object("price", "a", { pattern: "api/POST /pay", credits: 7 }),
      object("price", "b", { pattern: "api/GET /free/*", credits: 0 }),
      object("price", "d", { pattern: "api/* /**", credits: 2 }),
      object("upstream", "01970000-0000-7000-8000-0000000000aa", {
        name: "api",
        transport: { type: "http_api", url: "https://api.example", routes },
        isolation: "shared",
        status: "active",
        timeoutMs: 60_000,
        concurrencyMax: 4,
      }),
    ],
  });
  const token = world.verify(world.rootText);
  const charged = (method: string, path: string): readonly number[] => {
    const http = { method, path, query: "" };
    const call = { action: "http.request", upstream: "api", tool: "", protocol: "http", http } as const;
    return judge(world.state, { ...world.attempt(world.rootText, call), token }).claims.map(({ amount }) => amount);
  };
  expect(charged("GET", "/pay")).toEqual([2]);
  expect(charged("POST", "/pay")).toEqual([7]);
  expect(charged("POST", "/pay/")).toEqual([7]);
  expect(charged("GET", "/free/1")).toEqual([]);
  expect(charged("GET", "/pay")).toEqual([2]);
  // One path is like another as long as they cost the same: a holder's paths crowd nothing out.
  const http = { action: "http.request", upstream: "api", tool: "", protocol: "http" } as const;
  const claims = (path: string) =>
    judge(world.state, {
      ...world.attempt(world.rootText, { ...http, http: { method: "GET", path, query: "" } }),
      token,
    }).claims;
  expect(claims("/a")).toBe(claims("/b"));
});
