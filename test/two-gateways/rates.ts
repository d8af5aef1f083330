/**
 * A rate over both gateways: each knows that there are two, says so, and lets through half of the limit, so that together
 * they let through the limit and no more.
 */
import assert from "node:assert/strict";
import { type Fleet, UPSTREAM, until } from "./fleet.ts";

export interface RateReport {
  /** Let through by each gateway. */
  readonly admitted: readonly [number, number];
}

const LIMIT = 20;
const CALLS_PER_GATEWAY = 25;

export async function proveDividedRate(fleet: Fleet): Promise<RateReport> {
  const tenant = await fleet.makeTenant("rates");
  const params = { tenant: tenant.id };
  const { token } = await tenant.mint(await tenant.makeAgent("rated"));
  const probe = await tenant.makeAgent("probe");
  const { token: probing } = await tenant.mint(probe);
  const body = { scope: "agent", scopeId: probe, limit: 2_000, per: "second" } as const;
  await fleet.admin.call("rates.create", { params, body });
  for (const gatewayUrl of fleet.gatewayUrls) {
    // Its part is in the header.
    await until("a gateway shares the rate", async () =>
      (await policyOf(gatewayUrl, probing, probe)).includes(";q=1000;"),
    );
  }

  const { id, version } = await fleet.admin.call("rates.create", {
    params,
    body: { scope: "tenant", scopeId: "", limit: LIMIT, per: "hour" },
  });
  const messages: string[] = [];
  const admitted = await Promise.all(
    fleet.gatewayUrls.map(async (gatewayUrl, gateway) => {
      const calls = Array.from({ length: CALLS_PER_GATEWAY }, (_, call) => {
        const message = `rate ${gateway} ${call}`;
        messages.push(message);
        return fleet.client.call({ gatewayUrl, upstream: UPSTREAM, token, tool: "echo", arguments: { message } });
      });
      const answers = await Promise.all(calls);
      const refused = answers.filter(({ reason }) => reason === "rate_tenant");
      for (const { status, data } of refused) {
        assert.equal(status, 429);
        assert.ok(Number(data["retryAfterSeconds"]) >= 1);
      }
      return answers.length - refused.length;
    }),
  );
  const sent = messages.filter((message) => fleet.receivedAtMs(message) !== undefined).length;
  assert.ok(sent <= LIMIT, `${sent} calls reached the upstream`);
  await fleet.admin.call("rates.remove", { params: { ...params, id }, query: { version } });
  const [first = 0, second = 0] = admitted;
  return { admitted: [first, second] };
}

async function policyOf(gatewayUrl: string, token: string, agent: string): Promise<string> {
  const response = await fetch(`${gatewayUrl}/access/v1/evaluation`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({
      subject: { type: "agent", id: agent },
      action: { name: "mcp.session" },
      resource: { type: "session", id: UPSTREAM },
    }),
  });
  await response.body?.cancel();
  return response.headers.get("ratelimit-policy") ?? "";
}
