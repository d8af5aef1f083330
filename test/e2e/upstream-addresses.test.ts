/** A Writ that may not reach an upstream's address says so to whoever registers it, and to whoever calls it. */
import { createAdminClient } from "@writ/sdk/admin";
import { type McpUpstream, startMcpUpstream, startWrit, type WritProcess } from "@writ/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyRules, postMcp, RULES, statelessCall, TENANT } from "./rig.ts";

let upstream: McpUpstream;
let writ: WritProcess | undefined;
beforeAll(async () => {
  upstream = await startMcpUpstream({ era: "session" });
});
afterAll(async () => {
  await writ?.dispose();
  await upstream?.close();
});

test("R-RUN-5 trap-21 an upstream whose address is not listed is refused to its administrator and to agents, in as many words", async () => {
  writ = await startWrit({ command: "serve" });
  const first = createAdminClient({ url: writ.adminUrl, key: writ.adminKey });
  const params = { tenant: TENANT };
  const transport = { type: "http", url: upstream.url } as const;
  const { id } = await first.call("upstreams.create", { params, body: { name: "up", transport } });
  await first.call("upstreams.pin", { params: { tenant: TENANT, id } });
  await applyRules(first, TENANT, RULES);
  const { directory } = writ;
  await writ.stop();
  const before = upstream.calls.length + upstream.others.length;

  writ = await startWrit({ command: "serve", directory, env: { WRIT_UPSTREAMS_ALLOWED_ADDRESSES: "10.0.0.0/8" } });
  const { adminUrl, adminKey, gatewayUrl } = writ;
  const admin = createAdminClient({ url: adminUrl, key: adminKey });
  const moved = await admin.call("upstreams.create", { params, body: { name: "moved", transport } });
  await expect(admin.call("upstreams.pin", { params: { tenant: TENANT, id: moved.id } })).rejects.toThrow(
    /127\.0\.0\.1 has an address that is of the kind loopback.*upstreams\.allowedAddresses/,
  );

  const { token } = await admin.call("tokens.mint", { params, body: { agent: "assistant" } });
  const answer = await postMcp(`${gatewayUrl}/mcp/up`, token, statelessCall("echo", { message: "hi" }));
  expect(answer.status).toBe(502);
  expect(JSON.parse(answer.text).error.data.reason).toBe("upstream_address_refused");
  expect(upstream.calls.length + upstream.others.length).toBe(before);
});
