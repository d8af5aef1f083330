/** An upstream that fails is given up for a while: agents are told when to come again, and the log says so. */

import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCommand } from "./command.ts";
import { applyRules, eventually, freePort, type Rig, RULES, startRig, statelessCall, TENANT } from "./rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(async () => {
  await rig?.close();
});

test("calls to an upstream that is gone are denied with advice, and the log says that it was given up", async () => {
  const token = await rig.mint();
  const { body, headers } = statelessCall("echo", { message: "hi" });
  expect((await rig.post("up", token, body, headers)).status).toBe(200);
  await rig.upstream.close();

  const denied = await eventually("a call is denied because the upstream is given time", async () => {
    const answer = await rig.post("up", token, body, headers);
    return answer.status === 503 ? answer : undefined;
  });

  expect(Number(denied.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(JSON.parse(denied.text).error.data).toMatchObject({
    reason: "upstream_unavailable",
    retryAfterSeconds: expect.any(Number),
  });
  const event = await eventually("the log says so", async () =>
    (await rig.events()).find(({ name }) => name === "upstream.unavailable"),
  );
  expect(event.fields).toMatchObject({ upstream: "up", status: expect.stringContaining("ECONNREFUSED") });
});

test("administrators see which upstreams are given time, MCP servers and HTTP APIs, and by how many gateways", async () => {
  const params = { tenant: TENANT };
  const breakerOf = async (name: string) => {
    for await (const each of rig.admin.pages("upstreams.list", { params, query: {} })) {
      if (each.name === name) return each.breaker;
    }
    throw new Error(`there is no upstream ${name}`);
  };
  const port = await freePort();
  const routes = [{ match: "* /**", kind: "capability" }] as const;
  const transport = { type: "http_api", url: `http://127.0.0.1:${port}`, routes } as const;
  const api = await rig.admin.call("upstreams.create", { params, body: { name: "shop", transport } });
  expect(api.breaker).toEqual({ state: "closed", gateways: 1, liveGateways: 1 });
  const rule = "  - id: shop\n    effect: allow\n    match: { action: http.request, upstream: shop }\n";
  await applyRules(rig.admin, TENANT, RULES + rule);
  const authorization = `Bearer ${await rig.mint([{ http: { shop: ["GET /**"] } }])}`;
  const ask = () => fetch(`${rig.writ.gatewayUrl}/http/shop/items`, { headers: { authorization } });

  // Each gateway says it within some seconds; by then it may be tried again.
  const open = await eventually("the list shows that the API is given time", async () => {
    expect((await ask()).ok).toBe(false);
    const breaker = await breakerOf("shop");
    return breaker.state === "open" ? breaker : undefined;
  });
  expect(open).toEqual({ state: "open", gateways: 1, liveGateways: 1, untilMs: expect.any(Number) });
  expect(await breakerOf("everything")).toEqual({ state: "closed", gateways: 1, liveGateways: 1 });
  // Nobody has called the MCP server of the other test again: its time is over, and nothing is known of it yet.
  const halfOpen = await eventually("the list shows that the MCP server may be tried", async () => {
    const breaker = await breakerOf("up");
    return breaker.state === "half_open" ? breaker : undefined;
  });
  expect(halfOpen).toEqual({ state: "half_open", gateways: 1, liveGateways: 1 });
  const directory = await mkdtemp(join(tmpdir(), "writ-health-"));
  const listed = await runCommand(rig.writ, ["upstream", "list"], { directory });
  expect(listed.out).toMatch(/^NAME +STATUS +BREAKER +TRANSPORT/);
  expect(listed.out).toMatch(/^up +active +half-open /m);
  expect(listed.out).toMatch(/^shop +active +(half-open|open until \d{4}-\d\d-\d\dT[\d:]+Z) /m);

  const again = createServer((request, response) => {
    request.resume();
    response.end("{}");
  });
  await new Promise<void>((resolve) => again.listen(port, "127.0.0.1", resolve));
  try {
    const closed = await eventually("the list shows that it is tried again", async () => {
      await ask();
      const breaker = await breakerOf("shop");
      return breaker.state === "closed" ? breaker : undefined;
    });
    expect(closed).toEqual({ state: "closed", gateways: 1, liveGateways: 1 });
  } finally {
    again.closeAllConnections();
    await new Promise((resolve) => again.close(resolve));
  }
});
