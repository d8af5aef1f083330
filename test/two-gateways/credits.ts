/**
 * Credits across two gateways: calls of a tool and of a route, which cost differently, draw on one budget at once, and a
 * child on what was set aside for it. The price list is the tenant's; what was charged is what was answered, to the
 * credit.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { type Fleet, settled, type Tenant, UPSTREAM, until } from "./fleet.ts";

export interface CreditsSize {
  readonly clients: number;
  /** Of each client; every third is of the route, the others of the tool. */
  readonly callsPerClient: number;
  readonly limit: number;
}

export interface CreditsReport {
  readonly tools: number;
  readonly routes: number;
  readonly credits: number;
}

/** `up/echo` has an entry of its own, the route is found by a pattern, and nothing costs the default. */
const PRICES = [
  { pattern: `${UPSTREAM}/echo`, credits: 3 },
  { pattern: `${UPSTREAM}/*`, credits: 50 },
  { pattern: "shop/POST *", credits: 7 },
  { pattern: "*/*", credits: 90 },
];
const TOOL = 3;
const ROUTE = 7;
const RULES = `version: 1
rules:
  - id: all
    effect: allow
    match: { action: [tool.call, http.request, token.attenuate] }
`;
/** Calls of one client that are under way at once. */
const LANES = 4;

type Kind = "tool" | "route";

/** Throws when a credit is charged that nothing was answered for, or the other way round. */
export async function proveCredits(fleet: Fleet, size: CreditsSize): Promise<CreditsReport> {
  const reached = { orders: 0 };
  const server = http.createServer((request, response) => {
    request.resume().once("end", () => {
      reached.orders += 1;
      response.writeHead(200, { "content-type": "application/json" }).end('{"ordered":true}');
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { port } = server.address() as AddressInfo; // a TCP listener's address is this
    const tenant = await fleet.makeTenant(`credits-${size.limit}`);
    await prepare(fleet, tenant, `http://127.0.0.1:${port}`);
    const spent = await spend(fleet, tenant, size);
    await carve(fleet, tenant);
    assert.equal(reached.orders, spent.routes, "an order that was not charged, or a charge without an order");
    return spent;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function prepare(fleet: Fleet, tenant: Tenant, url: string): Promise<void> {
  const params = { tenant: tenant.id };
  const { admin } = fleet;
  const routes = [{ match: "POST /orders/*", kind: "capability" as const }];
  const transport = { type: "http_api" as const, url, routes };
  await admin.call("upstreams.create", { params, body: { name: "shop", transport, concurrencyMax: 500 } });
  for (const body of PRICES) await admin.call("prices.create", { params, body });
  const { id } = await admin.call("policy.versions.create", { params, body: { source: RULES, skipTests: true } });
  await admin.call("policy.versions.activate", {
    params: { ...params, id },
    body: { expectedActive: tenant.policies.open },
  });
}

/** One call; true when it was answered, false when the budget did not hold it. */
async function call(fleet: Fleet, token: string, kind: Kind, label: string, gateway: number): Promise<boolean> {
  const gatewayUrl = fleet.gatewayUrls[gateway % 2] as string; // there are two
  const ask = () =>
    kind === "tool"
      ? fleet.client.call({ gatewayUrl, upstream: UPSTREAM, token, tool: "echo", arguments: { message: label } })
      : fleet.client.post(`${gatewayUrl}/http/shop/orders/${encodeURIComponent(label)}`, token, { label });
  let answer = await ask();
  // Given up between commit and send on a machine that stood still: surely not sent, and not charged.
  for (let attempt = 1; attempt < 20 && answer.reason === "gateway_overloaded"; attempt += 1) answer = await ask();
  if (answer.status === 200 && answer.reason === "") return true;
  assert.ok(["budget_exhausted", "rate_denials"].includes(answer.reason), answer.body);
  return false;
}

/** Clients of agents of their own spend the tenant's budget, until nothing that is called fits into it. */
async function spend(
  fleet: Fleet,
  tenant: Tenant,
  { clients, callsPerClient, limit }: CreditsSize,
): Promise<CreditsReport> {
  await fleet.admin.call("budgets.create", {
    params: { tenant: tenant.id },
    body: { scope: "tenant", scopeId: "", unit: "credits", window: "total", limit, mode: "hard" },
  });
  const answered = { tool: 0, route: 0 };
  const tokens: string[] = [];
  for (let client = 0; client < clients; client += 1) {
    tokens.push((await tenant.mint(await tenant.makeAgent(`spender-${client}`))).token);
  }
  await Promise.all(
    tokens.map(async (token, client) => {
      let next = 0;
      const lane = async (): Promise<void> => {
        while (next < callsPerClient) {
          next += 1;
          const kind = next % 3 === 0 ? "route" : "tool";
          if (await call(fleet, token, kind, `credits ${client} ${next}`, next)) answered[kind] += 1;
        }
      };
      await Promise.all(Array.from({ length: LANES }, lane));
    }),
  );
  const [token = ""] = tokens;
  const left = (): number => limit - answered.tool * TOOL - answered.route * ROUTE;
  assert.ok(left() >= 0, `${-left()} credits too many were spent`);
  // What is left when all is settled fits nothing any more, and until then everything that fits is admitted.
  await settled(tenant);
  for (let index = 0; left() >= TOOL; index += 1) {
    assert.ok(await call(fleet, token, "tool", `rest ${index}`, index), `refused with ${left()} credits left`);
    answered.tool += 1;
  }
  assert.equal(await call(fleet, token, "tool", "one too many", 0), false);
  await settled(tenant);
  const counters = await fleet.database.query<{ used: number; reserved: number; unknown: number }>(
    "SELECT used, reserved, unknown FROM budget_counter WHERE tenant_id = $1",
    [tenant.id],
  );
  assert.deepEqual([...counters], [{ used: limit - left(), reserved: 0, unknown: 0 }]);
  return { tools: answered.tool, routes: answered.route, credits: limit - left() };
}

/** A child gets credits of its own, to the credit, and what it leaves returns when it is revoked. */
async function carve(fleet: Fleet, tenant: Tenant): Promise<void> {
  const params = { tenant: tenant.id };
  const budgets = await fleet.admin.call("budgets.list", { params, query: {} });
  for (const { id, version } of budgets.items)
    await fleet.admin.call("budgets.remove", { params: { ...params, id }, query: { version } });
  const caveats = [{ budget: { unit: "credits", window: "total", limit: 100 } }];
  const root = await tenant.mint(await tenant.makeAgent("carver"), caveats);
  const made = await fleet.client.post(`${fleet.gatewayUrls[0]}/v1/tokens/attenuate`, root.token, {
    caveats: [],
    carve: [{ unit: "credits", window: "total", amount: 40 }],
  });
  assert.equal(made.status, 201, made.body);
  const callMany = async (token: string, label: string): Promise<number> => {
    const calls = Array.from({ length: 40 }, (_value, index) => call(fleet, token, "tool", `${label} ${index}`, index));
    return (await Promise.all(calls)).filter((allowed) => allowed).length;
  };
  assert.equal(await callMany(String(made.data["token"]), "child"), Math.floor(40 / TOOL));
  assert.equal(await callMany(root.token, "root"), Math.floor(60 / TOOL));
  await settled(tenant);
  const node = String(made.data["node"]);
  await fleet.admin.call("nodes.revoke", { params: { ...params, node }, body: { reason: "test" } });
  await refunded(tenant);
}

/** One credit of the carve was left: 13 calls of 3 out of 40. */
async function refunded(tenant: Tenant): Promise<void> {
  await until("the carve is refunded", async () =>
    (await tenant.events(0)).some(({ event }) => event === "budget.refunded"),
  );
  const refunds = (await tenant.events(0)).filter(({ event }) => event === "budget.refunded");
  assert.deepEqual(
    refunds.map(({ fields }) => fields["amount"]),
    [40 % TOOL],
  );
}
