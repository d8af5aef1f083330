import { hash } from "node:crypto";
import type { AuthorityObject, HttpResource } from "@writ/contract";
import { describe, expect, test } from "vitest";
import { judge } from "./judge.ts";
import { makeTestWorld } from "./make-test-world.ts";

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
