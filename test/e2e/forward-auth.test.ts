/**
 * Proxies that ask before they pass a request on: what nginx and Envoy send, replayed from `cases/decision` over real
 * sockets. A recorded corpus, because the proxies themselves are not there where tests run.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyRules, REPOSITORY, type Rig, startRig, TENANT } from "./rig.ts";

const RULES = `version: 1
rules:
  - id: read
    effect: allow
    match: { action: http.request, method: [GET], path: "/v1/items/**" }
  - id: write
    effect: allow
    match: { action: http.request, method: [POST], path: "/v1/items" }
  - id: no-secrets
    effect: deny
    match: { action: http.request, method: [POST], path: "/v1/items" }
    when: { args: { /name: { prefix: secret } } }
`;

const ALLOWS_ALL = `version: 1
rules:
  - id: all
    effect: allow
    match: { action: http.request, path: "/**" }
`;

interface Case {
  readonly name: string;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers: readonly string[];
    readonly body?: string;
  };
  readonly expected: { readonly status: number; readonly reason?: string; readonly target?: string };
}

async function readCases(file: string): Promise<readonly Case[]> {
  const text = await readFile(`${REPOSITORY}cases/decision/${file}`, "utf8");
  return (JSON.parse(text) as { cases: readonly Case[] }).cases; // our own file, in this shape
}

const { groups } = JSON.parse(await readFile(`${REPOSITORY}cases/http/headers.json`, "utf8")) as {
  readonly groups: readonly { readonly fate: string; readonly headers: readonly string[] }[]; // our own file
};
/** What makes somebody see another method or URL than the request's. */
const OVERRIDES = groups.filter(({ fate }) => fate === "refused").flatMap(({ headers }) => headers);

const CASES = [
  ...(await readCases("nginx.json")).map((each) => ({ ...each, proxy: "nginx" })),
  ...(await readCases("envoy.json")).map((each) => ({ ...each, proxy: "envoy" })),
];

let rig: Rig;
let secrets: Readonly<Record<string, string>>;
const api = createServer((_request, response) => response.end("ok"));

beforeAll(async () => {
  await once(api.listen(0, "127.0.0.1"), "listening");
  rig = await startRig();
  const params = { tenant: TENANT };
  const routes = [
    { match: "* /v1/admin/**", kind: "deny" },
    { match: "* /v1/**", kind: "capability" },
  ] as const;
  const { port } = api.address() as AddressInfo; // a TCP listener's address is this
  const transport = { type: "http_api", url: `http://127.0.0.1:${port}`, routes } as const;
  await rig.admin.call("upstreams.create", { params, body: { name: "items", transport } });
  await applyRules(rig.admin, TENANT, RULES);
  const body = { name: "proxy", agents: ["assistant"], actions: ["http.request"], upstreams: ["items"] } as const;
  const { key } = await rig.admin.call("enforcement-points.create", { params, body });
  const { id } = await rig.admin.call("agents.get", { params: { tenant: TENANT, id: "assistant" } });
  secrets = { point: key, token: await rig.mint(), agent: id };
});
afterAll(async () => {
  await rig?.close();
  api.close();
});

function fill(text: string): string {
  return text.replaceAll(/\{(point|token|agent)\}/g, (_, name: string) => secrets[name] ?? "");
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

function send(asked: Case["request"]): Promise<Answer> {
  const headers: Record<string, string> = {};
  for (let at = 0; at < asked.headers.length; at += 2) {
    headers[asked.headers[at] ?? ""] = fill(asked.headers[at + 1] ?? "");
  }
  if (asked.body) headers["content-length"] = String(Buffer.byteLength(asked.body));
  return new Promise((resolve, reject) => {
    const url = new URL(rig.writ.gatewayUrl);
    const path = fill(asked.path); // as it is: a URL would resolve its dots
    const sent = request({ host: url.hostname, port: url.port, method: asked.method, path, headers }, (response) => {
      response.resume();
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers }));
    });
    sent.on("error", reject);
    sent.end(asked.body ?? "");
  });
}

test.each(CASES)("$proxy is answered as it must be about $name", async ({ request: asked, expected }) => {
  const { status, headers } = await send(asked);
  expect([status, headers["writ-reason"], headers["writ-target"]]).toEqual([
    expected.status,
    expected.reason,
    expected.target,
  ]);
  if (status !== 401) return;
  const challenge = String(headers["www-authenticate"]);
  expect(challenge).toMatch(/^Bearer /);
  const metadata = await fetch(/resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? "");
  expect(metadata.status).toBe(200);
});

/** What each proxy asks where nothing is wrong with it. */
const ASKED = {
  nginx: {
    method: "GET",
    path: "/auth-request/token/items",
    headers: ["X-Original-Method", "GET", "X-Original-URI", "/v1/items/7"],
  },
  envoy: { method: "GET", path: "/ext-authz/token/items/v1/items/7", headers: [] },
} as const;
const CREDENTIALS = ["Writ-Enforcement-Point", "{point}", "Authorization", "Bearer {token}"];

describe.each(["nginx", "envoy"] as const)("a request that %s got", (proxy) => {
  const { method, path, headers } = ASKED[proxy];
  const ask = (...more: readonly string[]): Promise<Answer> =>
    send({ method, path, headers: [...CREDENTIALS, ...headers, ...more] });

  test.each([
    ["a page elsewhere", ["Origin", "https://elsewhere.example"]],
    ["a page without an origin", ["Origin", "null"]],
    ["somebody who has compressed its body", ["Content-Encoding", "gzip"]],
  ])("may be that of %s", async (_, more) => {
    const { status, headers: told } = await ask(...more);
    expect([status, told["writ-reason"]]).toEqual([200, undefined]);
  });

  const wrongs: readonly (readonly [string, Partial<Case["request"]>, number, string])[] = [
    [
      "names a host that is not served",
      { headers: [...CREDENTIALS, ...headers, "Host", "other.example"] },
      403,
      "fault_origin",
    ],
    ["is too long", { path: `${path}?x=${"y".repeat(9000)}` }, 414, "fault_too_large"],
    [
      "has too many headers",
      { headers: Array.from({ length: 240 }, (_, at) => `X-${at - (at % 2)}`) },
      431,
      "fault_too_large",
    ],
    ["has a header as large as a whole head", { headers: ["X-Large", "y".repeat(20_000)] }, 431, "fault_too_large"],
    ["has a credential in its address", { path: `${path}?key=1` }, 400, "fault_request"],
    [
      "expects what nobody can do",
      { headers: [...CREDENTIALS, ...headers, "Expect", "a miracle"] },
      417,
      "fault_header",
    ],
    ["is at an address that is none", { path: `/${path.split("/")[1]}/other` }, 404, "fault_request"],
  ];
  test.each(wrongs)("is refused with its reason where it %s", async (_, wrong, status, reason) => {
    const told = await send({ method, path, headers: [...CREDENTIALS, ...headers], ...wrong });
    // Before a request is read nobody knows whose question it is.
    const isRead = status !== 431;
    expect([told.status, told.headers["writ-reason"]]).toEqual([proxy === "nginx" && isRead ? 403 : status, reason]);
  });

  test("is told what the policy would have denied while it only observes, as at the HTTP door", async () => {
    const params = { tenant: TENANT, id: "items" };
    const other = headers.map((text) => text.replace("/v1/items/7", "/v1/others"));
    const denied = { method, path: path.replace("/v1/items/7", "/v1/others"), headers: [...CREDENTIALS, ...other] };
    expect((await send(denied)).headers["writ-reason"]).toBe("policy_default_deny");
    await rig.admin.call("observe.start", { params, body: { seconds: 60 } });
    try {
      const observed = await send(denied);
      expect([observed.status, observed.headers["writ-would-deny"]]).toEqual([200, "policy_default_deny"]);
      expect((await ask()).headers["writ-would-deny"]).toBeUndefined();
    } finally {
      await rig.admin.call("observe.stop", { params });
    }
  });
});

test("what the proxy did not send whole and plain is a body that nobody has seen", async () => {
  const body = '{"name":"a"}';
  const asked = {
    method: "POST",
    path: "/ext-authz/token/items/v1/items",
    headers: [...CREDENTIALS, "X-Envoy-Auth-Partial-Body", "false", "Content-Type", "application/json"],
    body,
  };
  expect((await send(asked)).status).toBe(200);
  const coded = await send({ ...asked, headers: [...asked.headers, "Content-Encoding", "gzip"] });
  expect([coded.status, coded.headers["writ-reason"]]).toEqual([403, "policy_denied"]);
});

test.each(["nginx", "envoy"] as const)(
  "a header that names another method or URL is refused to %s, which would pass it on",
  async (proxy) => {
    const asked = ASKED[proxy];
    // nginx says by these which request it means.
    const own = proxy === "nginx" ? ["x-original-method", "x-original-uri"] : [];
    const names = OVERRIDES.filter((name) => !own.includes(name.toLowerCase()));
    expect(names.length).toBeGreaterThan(10);
    for (const name of [...names, "x_http_method_override", "X_Original_URI"]) {
      const { status, headers } = await send({ ...asked, headers: [...CREDENTIALS, ...asked.headers, name, "DELETE"] });
      expect([name, status, headers["writ-reason"]]).toEqual([name, proxy === "nginx" ? 403 : 400, "fault_header"]);
    }
    expect((await send({ ...asked, headers: [...CREDENTIALS, ...asked.headers] })).status).toBe(200);
  },
);

test("a body that nobody has seen is decided about alike at both doors, under observation as well", async () => {
  const params = { tenant: TENANT, id: "items" };
  const asked = {
    method: "GET",
    path: "/auth-request/token/items",
    headers: [...CREDENTIALS, "X-Original-Method", "POST", "X-Original-URI", "/v1/items"],
  };
  const sent = {
    method: "POST",
    path: "/http/items/v1/items",
    headers: ["Authorization", "Bearer {token}", "Content-Type", "text/plain"],
    body: "name",
  };
  const before = [await send(asked), await send(sent)];
  expect(before.map(({ status }) => status)).toEqual([403, 403]);
  await rig.admin.call("observe.start", { params, body: { seconds: 60 } });
  try {
    const under = [await send(asked), await send(sent)];
    expect(under.map(({ status, headers }) => [status, headers["writ-would-deny"]])).toEqual([
      [200, "policy_denied"],
      [200, "policy_denied"],
    ]);
  } finally {
    await rig.admin.call("observe.stop", { params });
  }
});

test("what a proxy was told is on record, with the call that its answer names", async () => {
  const first = CASES.find(({ proxy, expected }) => proxy === "nginx" && expected.status === 200);
  if (first === undefined) throw new TypeError("there is no such case");
  const { headers } = await send(first.request);
  const found = (await rig.events()).filter(({ fields }) => fields["callId"] === headers["writ-call-id"]);
  expect(found.map(({ name }) => name)).toEqual(["decision.given"]);
  expect(found[0]?.fields).toMatchObject({ action: "http.request", protocol: "decision", upstream: "items" });
});

test("a token of another tenant is not taken, whatever that tenant's rules allow under the same name", async () => {
  const { id: tenant } = await rig.admin.call("tenants.create", { body: { name: "other" } });
  const params = { tenant };
  const transport = {
    type: "http_api",
    url: "http://127.0.0.1:1",
    routes: [{ match: "* /**", kind: "capability" }],
  } as const;
  await rig.admin.call("upstreams.create", { params, body: { name: "items", transport } });
  await applyRules(rig.admin, tenant, ALLOWS_ALL);
  const principal = await rig.admin.call("principals.create", { params, body: { name: "team", type: "team" } });
  const agent = await rig.admin.call("agents.create", { params, body: { name: "assistant", principal: principal.id } });
  const minted = await rig.admin.call("tokens.mint", { params, body: { agent: agent.id, caveats: [] } });
  const body = { name: "proxy", agents: [agent.id], actions: ["http.request"], upstreams: ["items"] } as const;
  const { key } = await rig.admin.call("enforcement-points.create", { params, body });
  const bearer = ["Authorization", `Bearer ${minted.token}`];
  for (const [point, ...expected] of [
    [key, 200, undefined],
    [secrets["point"] ?? "", 401, "token_unknown"],
  ] as const) {
    for (const [path, asked] of [
      ["/auth-request/token/items", ["X-Original-Method", "GET", "X-Original-URI", "/v1/admin/keys"]],
      ["/ext-authz/token/items/v1/admin/keys", []],
    ] as const) {
      const headers = [...bearer, ...asked, "Writ-Enforcement-Point", point];
      const { status, headers: told } = await send({ method: "GET", path, headers });
      expect([status, told["writ-reason"]]).toEqual(expected);
    }
  }
});

test("what a proxy may ask about binds it for tokens that it passes on as well, and is on record", async () => {
  const params = { tenant: TENANT };
  for (const [name, actions, upstreams] of [
    ["no-requests", ["tool.call"], ["items"]],
    ["elsewhere", ["http.request"], ["everything"]],
  ] as const) {
    const body = { name, agents: ["assistant"], actions, upstreams };
    const { view, key } = await rig.admin.call("enforcement-points.create", { params, body });
    const credentials = ["Authorization", "Bearer {token}", "Writ-Enforcement-Point", key];
    for (const { method, path, headers: asked } of [ASKED.nginx, ASKED.envoy]) {
      const { status, headers: told } = await send({ method, path, headers: [...credentials, ...asked] });
      expect([status, told["writ-reason"]]).toEqual([403, "point_question"]);
      const denied = (await rig.events()).filter(({ fields }) => fields["callId"] === told["writ-call-id"]);
      expect(denied.map(({ fields }) => fields["reasons"])).toEqual([["point_question"]]);
    }
    await rig.admin.call("enforcement-points.revoke", { params: { ...params, id: view.id } });
    const { headers: told } = await send({ ...ASKED.nginx, headers: [...credentials, ...ASKED.nginx.headers] });
    expect(told["writ-reason"]).toBe("point_key_invalid");
  }
});

test("a flood of refusals is answered 429 to Envoy, and 403 to nginx, which knows no other", async () => {
  const asked = CASES.find(({ proxy, expected }) => proxy === "envoy" && expected.reason === "route_denied");
  const subrequest = CASES.find(({ proxy, expected }) => proxy === "nginx" && expected.status === 200);
  if (asked === undefined || subrequest === undefined) throw new TypeError("there are no such cases");
  for (let count = 0; count < 25; count += 1) await send(asked.request);
  const refused = await send(asked.request);
  expect([refused.status, refused.headers["writ-reason"]]).toEqual([429, "rate_denials"]);
  expect(refused.headers["retry-after"]).toMatch(/^[1-9]/);
  const headers = subrequest.request.headers.map((value) => (value.startsWith("/v1/") ? "/v1/admin/keys" : value));
  const nginx = await send({ ...subrequest.request, headers });
  expect([nginx.status, nginx.headers["writ-reason"]]).toEqual([403, "rate_denials"]);
});
