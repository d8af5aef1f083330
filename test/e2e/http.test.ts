/** An HTTP API behind Writ: decided, charged, put on record and cut as tools are. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyRules, eventually, type Rig, RULES, startRig, TENANT } from "./rig.ts";

const HTTP_RULES = `${RULES}
  - id: shop-read
    effect: allow
    match: { upstream: shop, method: [GET, HEAD], path: "/v1/**" }
  - id: shop-order
    effect: allow
    match: { upstream: shop, method: POST, path: /v1/orders }
    when: { args: { /amount: { max: 100 } } }
  - id: shop-upload
    effect: allow
    match: { upstream: shop, method: PUT, path: "/v1/files/*" }
  - id: brief
    effect: allow
    match: { upstream: [fin, timeout, reset], method: GET, path: "/**" }
  - id: shop-secrets
    effect: deny
    match: { path: "/v1/*/secrets" }
`;

let rig: Rig;
let apiUrl = "";
const seen: { readonly method: string; readonly url: string; readonly body: string; readonly headers: string }[] = [];
const streams: ServerResponse[] = [];

const server = createServer(async (request: IncomingMessage, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString("utf8");
  const { method = "", url = "" } = request;
  seen.push({ method, url, body, headers: JSON.stringify(request.rawHeaders) });
  if (url.endsWith("/stream")) {
    streams.push(response.writeHead(200, { "content-type": "text/plain" }));
    response.write("first;");
  } else response.writeHead(200, { "content-type": "application/json" }).end('{"ok":true}');
});

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`; // a TCP listener's address is this
  rig = await startRig();
  await rig.admin.call("upstreams.create", {
    params: { tenant: TENANT },
    body: {
      name: "shop",
      transport: {
        type: "http_api",
        url: apiUrl,
        routes: [
          { match: "* /v1/admin/**", kind: "deny" },
          { match: "* /v1/**", kind: "capability" },
        ],
      },
    },
  });
  await applyRules(rig.admin, TENANT, HTTP_RULES);
});
const closers: (() => void)[] = [];
afterAll(async () => {
  await rig?.close();
  for (const close of closers) close();
  server.closeAllConnections();
  server.close();
});

async function ask(
  token: string | undefined,
  method: string,
  path: string,
  body?: string | Uint8Array<ArrayBuffer>,
  type = "application/json",
  upstream = "shop",
): Promise<{ readonly status: number; readonly reason: string; readonly callId: string; readonly text: string }> {
  const response = await fetch(`${rig.writ.gatewayUrl}/http/${upstream}${path}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": type }),
    },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  const reason: unknown = response.status < 400 ? "" : JSON.parse(text).reason;
  return { status: response.status, reason: String(reason), callId: response.headers.get("writ-call-id") ?? "", text };
}

test("a request is allowed by rules on method and path, sent as it was judged, and on record with its outcome", async () => {
  const token = await rig.mint();
  const { status, callId, text } = await ask(token, "GET", "/v1/./items/%37?full=1");
  expect([status, text]).toEqual([200, '{"ok":true}']);
  expect(seen.at(-1)).toMatchObject({ method: "GET", url: "/api/v1/items/7?full=1" });
  expect(seen.at(-1)?.headers).not.toContain("writ_");
  const events = await eventually("its outcome is on record", async () => {
    const own = (await rig.events()).filter(({ fields }) => fields["callId"] === callId);
    return own.length === 2 ? own : undefined;
  });
  expect(events[0]).toMatchObject({
    name: "call.decided",
    fields: {
      decision: "allow",
      action: "http.request",
      protocol: "http",
      upstream: "shop",
      method: "GET",
      route: "* /v1/**",
      resource: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      ruleId: "shop-read",
    },
  });
  expect(events[0]?.line).not.toContain("items");
  expect(events[1]).toMatchObject({
    name: "call.completed",
    fields: { status: "ok", responseBytes: 11, digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
  });
});

test("what routes, rules or the token refuse is answered with its status, and nothing is sent", async () => {
  const token = await rig.mint();
  const narrow = await rig.mint([{ http: { shop: ["GET /v1/items/*"] } }, { calls: 1 }]);
  const before = seen.length;
  const refused = async (...parts: Parameters<typeof ask>): Promise<string> => {
    const { status, reason } = await ask(...parts);
    return `${status} ${reason}`;
  };
  expect(await refused(undefined, "GET", "/v1/items")).toBe("401 token_missing");
  expect(await refused(token, "GET", "/v1/admin/users")).toBe("403 route_denied");
  expect(await refused(token, "GET", "/v2/items")).toBe("404 route_unknown");
  expect(await refused(token, "DELETE", "/v1/items/7")).toBe("403 policy_default_deny");
  expect(await refused(token, "GET", "/v1/7/secrets")).toBe("403 policy_denied");
  expect(await refused(token, "GET", "/v1/7/%73ecrets/")).toBe("403 policy_denied");
  expect(await refused(token, "POST", "/v1/orders", '{"amount":100.01}')).toBe("403 policy_default_deny");
  expect(await refused(token, "POST", "/v1/orders", '{"amount":1}', "text/plain")).toBe("403 policy_default_deny");
  expect(await refused(token, "POST", "/v1/orders", '{"amount":1,"Amount":2}')).toBe("400 fault_json");
  expect(await refused(narrow, "GET", "/v1/orders")).toBe("403 caveat_http");
  expect(seen.length).toBe(before);
  expect((await ask(narrow, "GET", "/v1/items/7")).status).toBe(200);
  expect(await refused(narrow, "GET", "/v1/items/7")).toBe("402 budget_exhausted");
  expect(seen.length).toBe(before + 1);
});

test("a JSON body is sent byte for byte, and another one as a stream", async () => {
  const token = await rig.mint();
  const body = '{ "amount" : 99.90 }';
  expect((await ask(token, "POST", "/v1/orders", body)).status).toBe(200);
  expect(seen.at(-1)).toMatchObject({ method: "POST", body });
  const large = new Uint8Array(6 * 1024 * 1024).fill(0x61);
  const { status, callId } = await ask(token, "PUT", "/v1/files/a", large, "application/octet-stream");
  expect([status, seen.at(-1)?.body.length]).toEqual([200, large.length]);
  const completed = await eventually("its outcome is on record", async () =>
    (await rig.events()).find(({ name, fields }) => name === "call.completed" && fields["callId"] === callId),
  );
  expect(completed.fields).toMatchObject({
    requestBytes: large.length,
    requestDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
});

test("trap-07 a request under an idempotency key is made once, and the API is told a key of that agent alone", async () => {
  const [token, other] = [await rig.mint([{ calls: 2 }]), await rig.mint()];
  const order = async (bearer: string, key: string): Promise<Response> =>
    fetch(`${rig.writ.gatewayUrl}/http/shop/v1/orders`, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json", "idempotency-key": key },
      body: '{"amount":7}',
    });
  const keyTold = (): unknown => {
    const headers: readonly string[] = JSON.parse(seen.at(-1)?.headers ?? "[]");
    return headers[headers.findIndex((name) => name.toLowerCase() === "idempotency-key") + 1];
  };
  const first = await order(token, '"order-7"');
  expect(first.status).toBe(200);
  expect(first.headers.get("writ-budget")).toBe(null);
  const told = keyTold();
  expect(told).toMatch(/^"[A-Za-z0-9_-]{43}"$/);
  const before = seen.length;
  const again = await order(token, "order-7");
  expect(again.status).toBe(409);
  expect(again.headers.get("content-type")).toBe("application/problem+json");
  expect(await again.json()).toMatchObject({
    reason: "duplicate_key",
    firstCallId: first.headers.get("writ-call-id"),
  });
  expect((await order(token, '"one", "two"')).status).toBe(400);
  expect(seen.length).toBe(before);
  expect((await order(other, "order-7")).status).toBe(200);
  expect(keyTold()).toMatch(/^"[A-Za-z0-9_-]{43}"$/);
  expect(keyTold()).not.toBe(told);
  expect((await order(token, "order-8")).status).toBe(200);
  expect((await order(token, "order-9")).status).toBe(402);
});

test("a request is charged the price of its method and path, by every door, whichever route it takes", async () => {
  const params = { tenant: TENANT };
  const [agent] = (await rig.admin.call("agents.list", { params, query: {} })).items;
  const { id, version } = await rig.admin.call("prices.create", {
    params,
    body: { pattern: "shop/POST /v1/orders", credits: 7 },
  });
  try {
    const token = await rig.mint([{ budget: { unit: "credits", window: "total", limit: 9 } }]);
    const order = (): ReturnType<typeof ask> => ask(token, "POST", "/v1/orders", '{"amount":7}');
    const question = async (path: string, method: string, target: string): Promise<unknown> => {
      const response = await fetch(`${rig.writ.gatewayUrl}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify({
          subject: { type: "agent", id: agent?.id },
          action: { name: "http.request" },
          resource: { type: "http", id: "shop", properties: { method, target } },
          context: { arguments: { amount: 7 } },
        }),
      });
      return response.json();
    };
    const refused = { decision: false, context: { id: "budget_exhausted", remaining: 2 } };
    expect((await order()).status).toBe(200);
    expect(await question("/v1/preview", "POST", "/v1/orders")).toMatchObject(refused);
    expect(await question("/access/v1/evaluation", "POST", "/v1/%6frders/?dry=1")).toMatchObject(refused);
    expect((await order()).reason).toBe("budget_exhausted");
    expect((await ask(token, "GET", "/v1/orders")).status).toBe(200);
    expect(await question("/access/v1/evaluation", "GET", "/v1/orders")).toMatchObject({ decision: true });
    expect((await ask(token, "GET", "/v1/orders")).reason).toBe("budget_exhausted");
  } finally {
    await rig.admin.call("prices.remove", { params: { ...params, id }, query: { version } });
  }
});

test("a stream that is open carries no byte after its token was revoked", async () => {
  const token = await rig.mint();
  const response = await fetch(`${rig.writ.gatewayUrl}/http/shop/v1/stream`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const callId = response.headers.get("writ-call-id");
  const reader = response.body?.getReader();
  const first = await reader?.read();
  expect(new TextDecoder().decode(first?.value)).toBe("first;");
  const decided = (await rig.events()).find(
    ({ name, fields }) => name === "call.decided" && fields["callId"] === callId,
  );
  const node = String(decided?.fields["root"]);
  await rig.admin.call("nodes.revoke", { params: { tenant: TENANT, node }, body: { reason: "lost" } });
  await expect(reader?.read()).rejects.toThrow();
  const failed = await eventually("it is on record as failed", async () =>
    (await rig.events()).find(({ name, fields }) => name === "call.failed" && fields["callId"] === callId),
  );
  expect(failed.fields).toMatchObject({ status: "token_revoked", responseBytes: 6 });
  for (const stream of streams) stream.end();
});

test.each([
  [
    "fin",
    (socket: Socket) => {
      socket.end();
      return once(socket, "finish");
    },
  ],
  [
    "timeout",
    (socket: Socket) => {
      socket.end("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n");
      return once(socket, "finish");
    },
  ],
  [
    "reset",
    (socket: Socket) => {
      socket.resetAndDestroy();
      return once(socket, "close");
    },
  ],
])("calls that the commit denied leave no dead connections to the next one (%s)", async (name, endIdle) => {
  const idle = new Set<Socket>();
  const briefServer = createTcpServer((socket) => {
    idle.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", () => {
      idle.delete(socket);
      socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
    });
  }).listen(0, "127.0.0.1");
  closers.push(() => briefServer.close());
  await once(briefServer, "listening");
  const { port } = briefServer.address() as AddressInfo; // a TCP listener's address is this
  await rig.admin.call("upstreams.create", {
    params: { tenant: TENANT },
    body: {
      name,
      transport: {
        type: "http_api",
        url: `http://127.0.0.1:${port}`,
        routes: [{ match: "* /**", kind: "capability" }],
      },
    },
  });
  const [token, spent] = [await rig.mint(), await rig.mint([{ calls: 1 }])];
  const get = async (bearer: string): Promise<string> => {
    const { status, reason } = await ask(bearer, "GET", "/items", undefined, undefined, name);
    return `${status} ${reason}`.trim();
  };
  expect(await get(spent)).toBe("200");
  const denied = await Promise.all(Array.from({ length: 8 }, () => get(spent)));
  expect(denied).toEqual(denied.map(() => "402 budget_exhausted"));
  await eventually("a connection waits unused", async () => (idle.size > 0 ? true : undefined));
  await Promise.all([...idle].map(endIdle));
  for (let count = 0; count < 8; count += 1) expect(await get(token)).toBe("200");
});
