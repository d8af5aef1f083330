/** Public routes: what anybody may ask for is decided, charged and put on record all the same, and nothing else is there. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyRules, eventually, type Rig, RULES, startRig, TENANT } from "./rig.ts";

const PUBLIC_RULES = `${RULES}
  - id: agents
    effect: allow
    match: { action: http.request, upstream: [news, shop] }
  - id: visitors
    effect: allow
    match: { agent: anonymous, upstream: news, method: [GET, POST], path: "/open/**" }
`;

let rig: Rig;
let tenantId = "";
const seen: { readonly line: string; readonly headers: string; readonly body: string }[] = [];

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { method = "", url = "", rawHeaders } = request;
  const headers = JSON.stringify(rawHeaders);
  seen.push({ line: `${method} ${url}`, headers, body: Buffer.concat(chunks).toString("utf8") });
  if (url.endsWith("/moved")) response.writeHead(302, { location: "/open/here" }).end();
  else response.writeHead(200, { "content-type": "text/plain" }).end("open to all");
});

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // a TCP listener's address is this
  rig = await startRig();
  const params = { tenant: TENANT };
  tenantId = (await rig.admin.call("tenants.get", { params })).id;
  for (const [name, routes] of [
    [
      "news",
      [
        { match: "* /open/closed", kind: "deny" },
        { match: "GET,POST /open/**", kind: "public" },
        { match: "* /**", kind: "capability" },
      ],
    ],
    ["shop", [{ match: "* /**", kind: "capability" }]],
  ] as const) {
    await rig.admin.call("upstreams.create", { params, body: { name, transport: { type: "http_api", url, routes } } });
  }
  await applyRules(rig.admin, TENANT, PUBLIC_RULES);
});
afterAll(async () => {
  await rig?.close();
  server.closeAllConnections();
  server.close();
});

interface Told {
  readonly status: number;
  readonly reason: string;
  readonly callId: string;
  readonly text: string;
  /** Everything but what differs from answer to answer. */
  readonly whole: string;
}

async function ask(path: string, init: RequestInit = {}, tenant = tenantId): Promise<Told> {
  const response = await fetch(`${rig.writ.gatewayUrl}/public/${tenant}${path}`, { redirect: "manual", ...init });
  const text = await response.text();
  const headers = [...response.headers].filter(([name]) => name !== "date");
  return {
    status: response.status,
    reason: response.status < 400 ? "" : String(JSON.parse(text).reason),
    callId: response.headers.get("writ-call-id") ?? "",
    text,
    whole: JSON.stringify([response.status, headers, text]),
  };
}

test("R-EVIDENCE-1 a public call is the subject anonymous, on record with its outcome, and carries nobody's credential", async () => {
  const { status, callId, text } = await ask("/news/open/./a?b=1", { headers: { cookie: "s=1", "x-kept": "yes" } });
  expect([status, text]).toEqual([200, "open to all"]);
  expect(seen.at(-1)?.line).toBe("GET /open/a?b=1");
  expect(seen.at(-1)?.headers).not.toMatch(/authorization|cookie|s=1/i);
  expect(seen.at(-1)?.headers).toContain("x-kept");
  const events = await eventually("its outcome is on record", async () => {
    const own = (await rig.events()).filter(({ fields }) => fields["callId"] === callId);
    return own.length === 2 ? own : undefined;
  });
  expect(events[0]).toMatchObject({
    name: "call.decided",
    fields: {
      decision: "allow",
      agentId: "anonymous",
      principalId: "anonymous",
      protocol: "http",
      upstream: "news",
      route: "GET,POST /open/**",
      ruleId: "visitors",
    },
  });
  expect(events[0]?.fields).not.toHaveProperty("node");
  expect(events[1]).toMatchObject({ name: "call.completed", fields: { status: "ok" } });
  const posted = await ask("/news/open/b", {
    method: "POST",
    body: '{"a":1}',
    headers: { "content-type": "application/json" },
  });
  expect([posted.status, seen.at(-1)?.body]).toEqual([200, '{"a":1}']);
});

test("a redirect stays at the public address", async () => {
  const response = await fetch(`${rig.writ.gatewayUrl}/public/${tenantId}/news/open/moved`, { redirect: "manual" });
  expect([response.status, response.headers.get("location")]).toEqual([302, `/public/${tenantId}/news/open/here`]);
});

test("R-PUBLIC-1 R-TENANT-1 trap-33 whatever is not public is answered like what does not exist, to the byte", async () => {
  const before = seen.length;
  const nothing = await ask("/none/open/a", {}, "01970000-0000-7000-8000-0000000000ff");
  expect([nothing.status, nothing.reason, nothing.callId]).toEqual([404, "upstream_unknown", ""]);
  for (const [path, init] of [
    ["/none/open/a", {}],
    ["/up/open/a", {}],
    ["/everything/open/a", {}],
    ["/shop/open/a", {}],
    ["/news/items", {}],
    ["/news/open/closed", {}],
    ["/news/open/a", { method: "DELETE" }],
    ["/news", {}],
  ] as const) {
    expect([path, (await ask(path, init)).whole]).toEqual([path, nothing.whole]);
  }
  expect((await ask("/news/open/a", {}, "default")).whole).toBe(nothing.whole);
  expect(seen.length).toBe(before);
});

test("trap-37 a credential, invented or real, is no way to be nobody", async () => {
  const before = seen.length;
  const token = await rig.mint();
  for (const authorization of [`Bearer ${token}`, "Bearer writ_invented", "Basic YTpi", "x"]) {
    const { status, reason } = await ask("/news/open/a", { headers: { authorization } });
    expect([status, reason]).toEqual([400, "fault_header"]);
  }
  // A key would be one for all visitors, and whoever used it first would have the call.
  expect(await ask("/news/open/a", { headers: { "idempotency-key": "k1" } })).toMatchObject({ reason: "fault_header" });
  // And the other way about: nobody is nobody where agents are asked for.
  const response = await fetch(`${rig.writ.gatewayUrl}/http/news/open/a`);
  expect(response.status).toBe(401);
  expect(seen.length).toBe(before);
  const own = await fetch(`${rig.writ.gatewayUrl}/http/news/open/a`, { headers: { authorization: `Bearer ${token}` } });
  expect(own.status).toBe(200);
});

test("a rule, a budget and a kill switch close a public route as they close any other", async () => {
  const params = { tenant: TENANT };
  const before = seen.length;
  await applyRules(rig.admin, TENANT, `${PUBLIC_RULES}  - { id: shut, effect: deny, match: { path: /open/shut } }\n`);
  expect(await ask("/news/open/shut")).toMatchObject({ status: 403, reason: "policy_denied" });
  await applyRules(rig.admin, TENANT, PUBLIC_RULES.replace("agent: anonymous, ", 'agent: "*", '));
  const told = await ask("/news/open/a");
  expect(told).toMatchObject({ status: 403, reason: "policy_default_deny" });
  const decided = (await rig.events()).find(({ fields }) => fields["callId"] === told.callId);
  expect(decided?.fields).toMatchObject({ decision: "deny", agentId: "anonymous" });
  await applyRules(rig.admin, TENANT, PUBLIC_RULES);
  expect(seen.length).toBe(before);

  const budget = await rig.admin.call("budgets.create", {
    params,
    body: { scope: "upstream", scopeId: "news", unit: "calls", window: "total", limit: 1, mode: "hard" },
  });
  expect((await ask("/news/open/a")).status).toBe(200);
  expect(await ask("/news/open/a")).toMatchObject({ status: 402, reason: "budget_exhausted" });
  await rig.admin.call("budgets.remove", { params: { ...params, id: budget.id }, query: { version: budget.version } });

  const kill = { ...params, scope: "upstream", scopeId: "news" } as const;
  await rig.admin.call("kill.engage", { params: kill, body: { reason: "drill" } });
  const response = await fetch(`${rig.writ.gatewayUrl}/public/${tenantId}/news/open/a`);
  expect([response.status, response.headers.get("www-authenticate")]).toEqual([403, null]);
  expect(seen.length).toBe(before + 1);
});
