import { hash } from "node:crypto";
import type { AuthorityObject, HttpResource } from "@writ/contract";
import { describe, expect, test } from "vitest";
import { describe as describeCall } from "./describe.ts";
import { judge } from "./judge.ts";
import type { AssertedSubject, Presenter } from "./judgement.ts";
import { AUDIENCE, jsonObject, makeTestWorld, NOW_MS, TENANT } from "./make-test-world.ts";
import { makeAnonymous } from "./presenter.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");

describe("http.request", () => {
  const rules = `version: 1
rules:
  - { id: api, effect: allow, match: { action: http.request, upstream: shop } }
`;
  const shop: AuthorityObject = {
    kind: "upstream",
    id: "01970000-0000-7000-8000-0000000000aa",
    version: 1,
    value: {
      name: "shop",
      transport: {
        type: "http_api",
        url: "https://shop.example/api",
        routes: [
          { match: "* /v1/admin/**", kind: "deny" },
          { match: "GET,POST /v1/**", kind: "capability" },
        ],
      },
      isolation: "shared",
      status: "active",
      timeoutMs: 60_000,
      concurrencyMax: 4,
    },
  };
  const api = makeTestWorld({ sha256, rules, objects: [shop] });
  const request = (http: HttpResource, upstream = "shop") =>
    judge(api.state, api.attempt(api.rootText, { action: "http.request", upstream, tool: "", protocol: "http", http }))
      .decision;

  test("is judged by its route, and then by the policy", () => {
    expect(request({ method: "GET", path: "/v1/items", query: "a=1" }).kind).toBe("allow");
    expect(request({ method: "GET", path: "/v1/admin/users", query: "" }).reasons).toEqual(["route_denied"]);
    expect(request({ method: "DELETE", path: "/v1/items", query: "" }).reasons).toEqual(["route_unknown"]);
    expect(request({ method: "GET", path: "/v2", query: "" }).reasons).toEqual(["route_unknown"]);
  });

  test("is incomplete in any other spelling than the one that is sent", () => {
    for (const path of ["/v1/../v1/items", "/v1//items", "/v1/%69tems", "/v1/a%2fb", "v1", ""]) {
      expect(request({ method: "GET", path, query: "" }).reasons).toEqual(["access_incomplete"]);
    }
    expect(request({ method: "get", path: "/v1/items", query: "" }).reasons).toEqual(["access_incomplete"]);
    expect(request({ method: "GET", path: "/v1/items?a=1", query: "" }).reasons).toEqual(["access_incomplete"]);
    expect(request({ method: "GET", path: "/v1/items", query: "a'b" }).reasons).toEqual(["access_incomplete"]);
  });

  test("does not reach an MCP server, nor a tool call an HTTP API", () => {
    expect(request({ method: "GET", path: "/v1/items", query: "" }, "everything")).toMatchObject({
      reasons: ["upstream_unknown"],
      hidden: true,
    });
    const session = api.attempt(api.rootText, { action: "mcp.session", upstream: "shop", tool: "" });
    expect(judge(api.state, session).decision.reasons).toEqual(["upstream_unknown"]);
  });
});

describe("an upstream that gets its credential as a parameter", () => {
  const keyed: AuthorityObject = {
    kind: "upstream",
    id: "01970000-0000-7000-8000-0000000000aa",
    version: 1,
    value: {
      name: "shop",
      transport: {
        type: "http_api",
        url: "https://shop.example",
        routes: [{ match: "* /**", kind: "capability" }],
        credentials: [
          { in: "query", name: "api_key", file: "shop" },
          { in: "header", name: "token", file: "shop" },
        ],
      },
      isolation: "shared",
      status: "active",
      timeoutMs: 60_000,
      concurrencyMax: 4,
    },
  };
  const rules = "version: 1\nrules:\n  - { id: api, effect: allow, match: { action: http.request, upstream: shop } }\n";
  const api = makeTestWorld({ sha256, rules, objects: [keyed] });
  const reason = (query: string): string => {
    const http = { method: "GET", path: "/a", query };
    const call = { action: "http.request", upstream: "shop", tool: "", protocol: "http", http } as const;
    return judge(api.state, api.attempt(api.rootText, call)).decision.reasons.join();
  };

  test.each([
    "api_key=x",
    "a=1&API_KEY=x",
    "a;api_key",
    "api%20key=x",
    "api.key=x",
    "api+key=x",
    "api_key[]=x",
    "api_key%5B0%5D=x",
  ])("takes no request that sets it, such as %s", (query) => expect(reason(query)).toBe("route_parameter"));

  test.each(["", "a=api_key", "my_api_key=x", "token=x", "api_key2=x"])("takes every other, such as %j", (query) => {
    expect(reason(query)).toBe("policy_allow");
  });
});

describe("whoever presents no credential", () => {
  const RULES = `version: 1
rules:
  - { id: everybody, effect: allow, match: { action: http.request, upstream: shop } }
  - { id: stars, effect: allow, match: { action: http.request, agent: "*", upstream: shop } }
  - { id: visitors, effect: allow, match: { agent: [anonymous], upstream: shop, path: "/news/**" } }
  - { id: not-this-one, effect: deny, match: { path: /news/internal } }
`;
  const upstream = (name: string, more: object = {}): AuthorityObject => ({
    kind: "upstream",
    id: `01970000-0000-7000-8000-0000000000${name === "shop" ? "aa" : "ab"}`,
    version: 1,
    value: {
      name,
      transport: {
        type: "http_api",
        url: "https://shop.example",
        routes: [
          { match: "* /news/closed", kind: "deny" },
          { match: "GET /news/**", kind: "public" },
          { match: "GET /terms", kind: "public" },
          { match: "* /**", kind: "capability" },
        ],
      },
      isolation: "shared",
      status: "active",
      timeoutMs: 60_000,
      concurrencyMax: 4,
      ...more,
    },
  });
  const world = (...objects: AuthorityObject[]) =>
    makeTestWorld({ sha256, rules: RULES, objects: [upstream("shop"), ...objects] });
  const { state } = world();
  const nobody = makeAnonymous(TENANT);

  interface Asked {
    readonly path?: string;
    readonly method?: string;
    readonly protocol?: "http" | "decision" | "mcp";
    readonly token?: Presenter;
    readonly of?: typeof state;
  }
  function ask({ path = "/news/1", method = "GET", protocol = "http", token = nobody, of = state }: Asked) {
    const request = describeCall(of, {
      token,
      action: "http.request",
      upstream: "shop",
      tool: "",
      http: { method, path, query: "" },
      arguments: jsonObject({}),
      callId: "01970000-0000-7000-8000-0000000000ff",
      protocol,
      nowMs: NOW_MS,
    });
    return judge(of, { token, request, audience: AUDIENCE, nowMs: NOW_MS });
  }
  const reason = (asked: Asked): string => ask(asked).decision.reasons.join();

  test("is the subject anonymous, and allowed only by a rule that writes that name out", () => {
    expect(ask({})).toMatchObject({ decision: { kind: "allow" }, ruleId: "visitors", recordedNode: "anonymous" });
    expect(reason({ path: "/terms" })).toBe("policy_default_deny");
    expect(reason({ path: "/news/internal" })).toBe("policy_denied");
  });

  test("is refused by a policy that only observes, too, as nothing else is between it and the route", () => {
    const { id } = upstream("shop");
    const mode = { upstream: "shop", startedAtMs: NOW_MS - 1_000, startedBy: "admin:x", untilMs: NOW_MS + 3_600_000 };
    const observed = world({ kind: "observe_mode", id, version: 1, value: mode });
    const agent = observed.verify(observed.rootText);
    expect(reason({ of: observed.state, path: "/terms" })).toBe("policy_default_deny");
    expect(reason({ of: observed.state, path: "/terms", token: agent })).toBe("policy_allow");
    expect(reason({ of: observed.state, path: "/news/internal", token: agent })).toBe("policy_observed");
  });

  test("R-PUBLIC-1 reaches public routes and nothing else, and learns of nothing else", () => {
    for (const asked of [
      { path: "/items" },
      { path: "/news/closed" },
      { path: "/news/1", method: "POST" },
      { protocol: "decision" },
      { protocol: "mcp" },
    ] as const) {
      expect(ask(asked).decision).toMatchObject({ kind: "deny", reasons: ["route_not_public"], hidden: true });
    }
  });

  test("stops with the tenant, the upstream and the kill switches that cover them", () => {
    const kill = (scope: "tenant" | "upstream", scopeId: string): AuthorityObject => ({
      kind: "kill",
      id: `${scope}:${scopeId}`,
      version: 1,
      value: { scope, scopeId, reason: "", engagedAtMs: 0 },
    });
    expect(reason({ of: world(kill("tenant", "")).state })).toBe("kill_engaged");
    expect(reason({ of: world(kill("upstream", "shop")).state })).toBe("kill_engaged");
    expect(reason({ token: makeAnonymous("01970000-0000-7000-8000-000000000002") })).toBe("token_unknown");
    const suspended = makeTestWorld({ sha256, rules: RULES, objects: [upstream("shop", { status: "suspended" })] });
    expect(reason({ of: suspended.state })).toBe("upstream_unknown");
  });

  test("is nobody whom an enforcement point could name", () => {
    const asserted: AssertedSubject = { ...nobody, enforcementPointId: "p" };
    expect(reason({ token: asserted })).toBe("point_key_invalid");
    const point: AuthorityObject = {
      kind: "enforcement_point",
      id: "p",
      version: 1,
      value: {
        name: "p",
        digest: "",
        agents: ["anonymous"],
        principals: ["anonymous"],
        actions: ["http.request"],
        upstreams: ["*"],
        createdAtMs: 0,
        createdBy: "",
      },
    };
    expect(reason({ token: asserted, of: world(point).state })).toBe("agent_inactive");
  });

  test("leaves agents with a token what they have on a public route: their rules and no others", () => {
    const api = world();
    const { token } = api.attempt(api.rootText);
    expect(ask({ token, of: api.state, path: "/terms" })).toMatchObject({
      decision: { kind: "allow" },
      ruleId: "everybody",
    });
    const strict = makeTestWorld({
      sha256,
      rules: RULES.replace(/.*everybody.*\n.*stars.*\n/, ""),
      objects: [upstream("shop")],
    });
    expect(reason({ token: strict.attempt(strict.rootText).token, of: strict.state })).toBe("policy_default_deny");
  });
});
