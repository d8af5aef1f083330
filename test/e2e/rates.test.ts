/**
 * Rates over real doors: of an agent, an endpoint, the tenant, a token's caveat and an address. What is over a rate is
 * answered 429 with how long to wait, is on record like every denial, reaches nobody and is charged nothing. Also where a
 * token may be presented from.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import http, { type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { startWrit } from "@writ/testkit";
import { attenuateToken, makeTokenHash } from "@writ/token";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyRules, type Rig, RULES, startRig, statelessCall, TENANT } from "./rig.ts";
import { connectV2 } from "./sdk-clients.ts";

const PARAMS = { tenant: TENANT };
const tokenHash = makeTokenHash((data) => createHash("sha256").update(data).digest());
const HTTP_RULES = `${RULES}
  - id: shop
    effect: allow
    match: { upstream: shop, method: GET, path: "/**" }
`;

let rig: Rig;
let principal: string;
const api = http.createServer((_request, response) => {
  response.writeHead(200, { "content-type": "application/json", ratelimit: '"shop";r=1;t=1' }).end("{}");
});

beforeAll(async () => {
  api.listen(0, "127.0.0.1");
  await once(api, "listening");
  rig = await startRig();
  principal = (await rig.admin.call("agents.get", { params: { ...PARAMS, id: "assistant" } })).principalId;
  const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`; // a TCP listener's address is this
  await rig.admin.call("upstreams.create", {
    params: PARAMS,
    body: { name: "shop", transport: { type: "http_api", url, routes: [{ match: "* /**", kind: "capability" }] } },
  });
  await applyRules(rig.admin, TENANT, HTTP_RULES);
});
afterAll(async () => {
  await rig?.close();
  api.closeAllConnections();
  api.close();
});

/** A rate that is gone after the test. */
async function withRate(
  rate: { readonly scope: "agent" | "endpoint" | "tenant"; readonly scopeId: string; readonly limit: number },
  run: () => Promise<void>,
): Promise<void> {
  const { id, version } = await rig.admin.call("rates.create", { params: PARAMS, body: { ...rate, per: "hour" } });
  try {
    await run();
  } finally {
    await rig.admin.call("rates.remove", { params: { ...PARAMS, id }, query: { version } });
  }
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape and compare them
  readonly json: any;
}

/** One request from an address of this machine's own. */
async function ask(
  path: string,
  options: {
    readonly token?: string;
    readonly from?: string;
    readonly body?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly gatewayUrl?: string;
  },
): Promise<Answer> {
  const { token, from, body, headers, gatewayUrl = rig.writ.gatewayUrl } = options;
  const request = http.request(`${gatewayUrl}${path}`, {
    method: body === undefined ? "GET" : "POST",
    agent: false,
    ...(from === undefined ? {} : { localAddress: from }),
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json", accept: "application/json" }),
      ...headers,
    },
  });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += part;
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    json: text === "" ? undefined : JSON.parse(text),
  };
}

function echo(token: string, from?: string): Promise<Answer> {
  const { body, headers } = statelessCall("echo", { message: "hi" });
  return ask("/mcp/up", { token, body, headers, ...(from === undefined ? {} : { from }) });
}

const shop = (token: string): Promise<Answer> => ask("/http/shop/items", { token });

async function makeAgent(name: string): Promise<string> {
  return (await rig.admin.call("agents.create", { params: PARAMS, body: { name, principal } })).id;
}

test("an answer says nothing of rates where there are none", async () => {
  const token = await rig.mint();
  for (const answer of [await echo(token), await ask("/readyz", {})]) {
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.headers).filter((name) => /rate|retry/.test(name))).toEqual([]);
  }
  // What an upstream says of its own is passed on.
  expect((await shop(token)).headers["ratelimit"]).toBe('"shop";r=1;t=1');
});

test("an agent's rate holds over all doors, is told in headers, and what is over it is on record and charged nothing", async () => {
  const agent = await makeAgent("rated");
  const token = await rig.mint([{ calls: 100 }], "rated");
  const other = await rig.mint();
  await withRate({ scope: "agent", scopeId: "rated", limit: 3 }, async () => {
    const first = await echo(token);
    expect(first.status).toBe(200);
    expect(first.headers).toMatchObject({
      "ratelimit-policy": '"agent-hour";q=3;w=3600',
      ratelimit: '"agent-hour";r=2;t=3600',
      "x-ratelimit-limit": "3",
      "x-ratelimit-remaining": "2",
      "x-ratelimit-reset": "3600",
    });
    const second = await shop(token);
    expect(second.status).toBe(200);
    expect(second.headers["ratelimit"]).toMatch(/^"agent-hour";r=1;t=\d+$/);
    const question = {
      subject: { type: "agent", id: agent },
      action: { name: "tool.call" },
      resource: { type: "tool", id: "up/echo" },
      context: { arguments: { message: "hi" } },
    };
    const evaluation = { token, body: JSON.stringify(question) };
    const third = await ask("/access/v1/evaluation", evaluation);
    expect([third.json.decision, third.headers["x-ratelimit-remaining"]]).toEqual([true, "0"]);

    const before = rig.upstream.calls.length;
    const mcp = await echo(token);
    expect(mcp.status).toBe(429);
    expect(mcp.json.error).toMatchObject({ code: -32017, data: { reason: "rate_agent", check: "rates" } });
    const { retryAfterSeconds } = mcp.json.error.data;
    expect(retryAfterSeconds).toBeGreaterThan(3_000);
    expect(mcp.headers).toMatchObject({ "retry-after": `${retryAfterSeconds}`, "x-ratelimit-remaining": "0" });
    const overHttp = await shop(token);
    expect([overHttp.status, overHttp.json.reason]).toEqual([429, "rate_agent"]);
    expect(Number(overHttp.headers["retry-after"])).toBeGreaterThan(3_000);
    const asked = await ask("/access/v1/evaluation", evaluation);
    expect([asked.status, asked.json.reason]).toEqual([429, "rate_agent"]);
    const child = await ask("/v1/tokens/attenuate", { token, body: '{"caveats":[]}' });
    expect([child.status, child.json.reason]).toEqual([429, "rate_agent"]);
    expect(rig.upstream.calls.length).toBe(before);
    // Nobody else stands in line for it.
    expect((await echo(other)).status).toBe(200);

    const decided = (await rig.events()).find(({ fields }) => fields["callId"] === mcp.headers["writ-call-id"]);
    expect(decided).toMatchObject({
      name: "call.decided",
      fields: { decision: "deny", reasons: ["rate_agent"], check: "rates", agentId: agent },
    });
    expect(decided?.fields).not.toHaveProperty("claims");
    const left = async () => (await ask("/v1/budget", { token })).json.budgets[0].remaining;
    await expect.poll(left, { timeout: 20_000 }).toBe(97);
  });
  await expect.poll(async () => (await echo(token)).status).toBe(200);
});

test("what policy or a caveat denies uses up nothing of a rate", async () => {
  await makeAgent("denied");
  const token = await rig.mint([], "denied");
  await withRate({ scope: "agent", scopeId: "denied", limit: 1 }, async () => {
    const { body, headers } = statelessCall("echo", { message: "secret" });
    for (let count = 0; count < 3; count += 1) {
      const answer = await ask("/mcp/up", { token, body, headers });
      expect(answer.json.error.data.reason).toBe("policy_denied");
      expect(answer.headers["ratelimit"]).toBeUndefined();
    }
    expect((await echo(token)).status).toBe(200);
    expect((await echo(token)).status).toBe(429);
  });
});

test("an endpoint's rate is one upstream's, for all who use it", async () => {
  await makeAgent("second");
  const tokens = [await rig.mint(), await rig.mint([], "second")] as const;
  await withRate({ scope: "endpoint", scopeId: "shop", limit: 2 }, async () => {
    expect((await shop(tokens[0])).status).toBe(200);
    const last = await shop(tokens[1]);
    // The gateway's own word, not the upstream's.
    expect(last.headers).toMatchObject({ ratelimit: expect.stringMatching(/^"endpoint-hour";r=0;t=\d+$/) });
    for (const token of tokens) {
      const { status, json } = await shop(token);
      expect([status, json.reason]).toEqual([429, "rate_endpoint"]);
    }
    expect((await echo(tokens[0])).status).toBe(200);
  });
});

test("the tenant's rate is all agents', also where a proxy asks for one", async () => {
  await makeAgent("third");
  const point = await rig.admin.call("enforcement-points.create", {
    params: PARAMS,
    body: { name: "edge", agents: ["third"], actions: ["http.request"], upstreams: ["*"] },
  });
  const proxied = () =>
    ask(`/ext-authz/agent/${point.view.agents[0]}/shop/items`, { headers: { "writ-enforcement-point": point.key } });
  const token = await rig.mint();
  await withRate({ scope: "tenant", scopeId: "", limit: 2 }, async () => {
    expect((await proxied()).headers).toMatchObject({ "x-ratelimit-remaining": "1" });
    expect((await echo(token)).status).toBe(200);
    const refused = await proxied();
    expect([refused.status, refused.headers["writ-reason"]]).toEqual([429, "rate_tenant"]);
    expect(refused.headers["retry-after"]).toMatch(/^\d+$/);
    expect((await echo(token)).json.error.data.reason).toBe("rate_tenant");
  });
});

test("a token's rate counts its children, recorded or not, whatever rate they give themselves", async () => {
  const token = await rig.mint([{ rate: { limit: 3, per: "hour" } }]);
  const offline = attenuateToken(tokenHash, token, { id: "c", caveats: ['{"rate":{"limit":1000,"per":"hour"}}'] });
  if (offline.kind !== "attenuated") throw new TypeError(offline.detail);
  // Two of the three: the recording, and the call.
  const recorded = await ask("/v1/tokens/attenuate", {
    token,
    body: '{"caveats":[{"rate":{"limit":2,"per":"hour"}}]}',
  });
  expect([recorded.status, recorded.headers["x-ratelimit-remaining"]]).toEqual([201, "2"]);
  expect((await echo(offline.token)).headers["ratelimit"]).toMatch(/^"token-hour";r=1;t=\d+$/);
  expect((await echo(recorded.json.token)).status).toBe(200);
  for (const each of [token, offline.token, recorded.json.token]) {
    const { status, json } = await echo(each);
    expect([status, json.error.data.reason]).toEqual([429, "rate_token"]);
  }
  const another = attenuateToken(tokenHash, offline.token, { id: "d", caveats: [] });
  if (another.kind !== "attenuated") throw new TypeError(another.detail);
  expect((await echo(another.token)).status).toBe(429);
});

test("trap-38 more nodes than can be told apart share one rate below their root, which operators are told", async () => {
  const token = await rig.mint();
  const child = (id: string): string => {
    const made = attenuateToken(tokenHash, token, { id, caveats: ['{"rate":{"limit":2,"per":"hour"}}'] });
    if (made.kind !== "attenuated") throw new TypeError(made.detail);
    return made.token;
  };
  for (let count = 0; count < 100; count += 1) expect((await shop(child(`own ${count}`))).status).toBe(200);
  const statuses: number[] = [];
  for (let count = 0; count < 5; count += 1) statuses.push((await shop(child(`shared ${count}`))).status);
  expect(statuses).toEqual([200, 200, 429, 429, 429]);
  // Whoever has a window of its own keeps it, and so does another root.
  expect((await shop(child("own 0"))).status).toBe(200);
  expect((await shop(await rig.mint([{ rate: { limit: 1, per: "hour" } }]))).status).toBe(200);
  await expect.poll(() => rig.writ.stderr(), { timeout: 30_000, interval: 500 }).toMatch(/"table":"tokens","count":\d/);
});

test("a stream begins with where the token's rates stand", async () => {
  const token = await rig.mint([{ rate: { limit: 5, per: "hour" } }]);
  const { body, headers } = statelessCall("echo", { message: "hi" });
  const answer = await rig.post("up", token, body, { ...headers, accept: "text/event-stream" });
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  expect(answer.headers.get("ratelimit")).toMatch(/^"token-hour";r=4;t=\d+$/);
});

test("the official SDK's client is told to wait, and goes on when there is room", async () => {
  const token = await rig.mint([{ rate: { limit: 20, per: "second" } }]);
  const client = await connectV2(rig.url("up"), token, "auto");
  try {
    let refusals = 0;
    for (let count = 0; count < 60 || refusals === 0; count += 1) {
      const call = client.callTool({ name: "echo", arguments: { message: "hi" } });
      await call.catch((error: unknown) => {
        expect(String(error)).toMatch(/429|rate/i);
        refusals += 1;
      });
    }
    await expect
      .poll(async () => client.callTool({ name: "echo", arguments: { message: "hi" } }).then(() => "answered"), {
        timeout: 20_000,
      })
      .toBe("answered");
  } finally {
    await client.close();
  }
});

test("a token that is bound to networks is good there alone, at every door, and nowhere where that is not known", async () => {
  const token = await rig.mint([{ net: ["127.0.0.7/32", "10.0.0.0/8"] }]);
  expect((await echo(token, "127.0.0.7")).status).toBe(200);
  expect((await ask("/http/shop/items", { token, from: "127.0.0.7" })).status).toBe(200);
  const elsewhere = await echo(token, "127.0.0.8");
  expect(elsewhere.json.error).toMatchObject({ code: -32010, data: { reason: "caveat_net", check: "clear" } });
  const refused = await ask("/http/shop/items", { token, from: "127.0.0.8" });
  expect([refused.status, refused.json.reason]).toEqual([403, "caveat_net"]);
  const wider = attenuateToken(tokenHash, token, { id: "w", caveats: ['{"net":["0.0.0.0/0","::/0"]}'] });
  if (wider.kind !== "attenuated") throw new TypeError(wider.detail);
  expect((await echo(wider.token, "127.0.0.8")).json.error.data.reason).toBe("caveat_net");
  expect((await echo(wider.token, "127.0.0.7")).status).toBe(200);
  // A proxy's address is not that of whoever's token it passes on.
  const point = await rig.admin.call("enforcement-points.create", {
    params: PARAMS,
    body: { name: "inside", agents: ["assistant"], actions: ["http.request"], upstreams: ["*"] },
  });
  const headers = { "writ-enforcement-point": point.key };
  const relayed = await ask("/ext-authz/token/shop/items", { token, from: "127.0.0.7", headers });
  expect([relayed.status, relayed.headers["writ-reason"]]).toEqual([403, "caveat_net_unknown"]);
});

test("an address has a rate before anything is read, by its network, and others have theirs", async () => {
  const env = { WRIT_GATEWAY_ADDRESS_REQUESTS_PER_MINUTE: "5" };
  const writ = await startWrit({ command: "serve", env });
  try {
    const { gatewayUrl } = writ;
    for (let left = 4; left >= 0; left -= 1) {
      const answer = await ask("/mcp/everything", { body: "{}", from: "127.0.0.9", gatewayUrl });
      expect([answer.status, answer.headers["x-ratelimit-remaining"]]).toEqual([401, `${left}`]);
      expect(answer.headers["ratelimit-policy"]).toBe('"address-minute";q=5;w=60');
    }
    for (const path of ["/mcp/everything", "/http/x/y", "/access/v1/evaluation", "/v1/budget", "/nothing"]) {
      const answer = await ask(path, { body: "{}", from: "127.0.0.9", token: writ.token, gatewayUrl });
      expect([answer.status, answer.json.reason]).toEqual([429, "rate_address"]);
      expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    }
    expect((await ask("/mcp/everything", { body: "{}", from: "127.0.0.10", gatewayUrl })).status).toBe(401);
    expect((await ask("/healthz", { from: "127.0.0.9", gatewayUrl })).status).toBe(200);
  } finally {
    await writ.dispose();
  }
});
