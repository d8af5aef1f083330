/**
 * What the benchmark sets up in a running Writ through its admin API: an upstream with pinned tools, a policy of ten
 * rules, budgets, an agent, and a token with caveats. The same for every engine.
 */
import { createAdminClient } from "@writ/sdk/admin";

export interface Scenario {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export const CALL_BODY =
  '{"jsonrpc":"2.0","id":{{n}},"method":"tools/call","params":{"name":"transfer","arguments":{"account":"DE02120300000000202051","amount":25,"memo":"invoice 4711"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}';

export const CALL_HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  "mcp-protocol-version": "2026-07-28",
  "mcp-method": "tools/call",
  "mcp-name": "transfer",
} as const;

/** Ten rules, of which the last one decides: every call looks at all of them. */
const RULES = `version: 1
rules:
  - id: no-night-transfers-for-trainees
    effect: deny
    match: { labels: { role: trainee }, tool: bench/transfer }
  - id: no-large-transfers
    effect: deny
    match: { tool: bench/transfer }
    when: { args: { /amount: { min: 10000 } } }
  - id: no-transfers-to-blocked-accounts
    effect: deny
    match: { tool: bench/transfer }
    when: { args: { /account: { in: [DE00000000000000000000, DE11111111111111111111] } } }
  - id: no-secret-memos
    effect: deny
    match: { tool: bench/transfer }
    when: { args: { /memo: { prefix: "secret" } } }
  - id: tool-1-for-nobody
    effect: deny
    match: { tool: bench/tool-1 }
  - id: tool-2-for-auditors
    effect: allow
    match: { labels: { role: auditor }, tool: bench/tool-2 }
  - id: tool-3
    effect: allow
    match: { tool: bench/tool-3 }
  - id: tool-4
    effect: allow
    match: { tool: bench/tool-4 }
  - id: lists
    effect: allow
    match: { action: [tool.list, mcp.session] }
  - id: small-transfers
    effect: allow
    match: { tool: bench/transfer }
    when: { args: { /amount: { max: 500 }, /memo: { max_length: 200 } } }
`;

export async function setUpScenario(target: {
  readonly adminUrl: string;
  readonly adminKey: string;
  readonly upstreamPort: number;
  readonly tenant: string;
}): Promise<Scenario> {
  const admin = createAdminClient({ url: target.adminUrl, key: target.adminKey, timeoutMs: 30_000 });
  const params = { tenant: target.tenant };
  const upstream = await admin.call("upstreams.create", {
    params,
    body: {
      name: "bench",
      transport: { type: "http", url: `http://127.0.0.1:${target.upstreamPort}/mcp` },
      isolation: "shared",
      concurrencyMax: 256,
      timeoutMs: 30_000,
    },
  });
  await admin.call("upstreams.pin", { params: { ...params, id: upstream.id } });
  const principal = await admin.call("principals.create", { params, body: { name: "bench-team", type: "team" } });
  const agent = await admin.call("agents.create", {
    params,
    body: { name: "bench-agent", principal: principal.id, labels: { role: "clerk" } },
  });
  const active = await admin.call("policy.get", { params }).catch(() => undefined);
  const version = await admin.call("policy.versions.create", { params, body: { source: RULES } });
  await admin.call("policy.versions.activate", {
    params: { ...params, id: version.id },
    body: { expectedActive: active?.versionId ?? null },
  });
  for (const budget of [
    { scope: "agent", scopeId: agent.id, window: "hour" },
    { scope: "tenant", scopeId: "", window: "day" },
  ] as const) {
    await admin.call("budgets.create", {
      params,
      body: { ...budget, unit: "calls", limit: 1_000_000_000, mode: "hard" },
    });
  }
  const minted = await admin.call("tokens.mint", {
    params,
    body: {
      agent: agent.id,
      label: "bench",
      caveats: [
        { actions: ["tool.call", "tool.list", "mcp.session"] },
        { tools: ["bench/*"] },
        { args: { "bench/transfer": { "/amount": { max: 1000 } } } },
        { calls: { limit: 1_000_000_000, window: "day" } },
      ],
    },
  });
  return {
    path: "/mcp/bench",
    headers: { ...CALL_HEADERS, authorization: `Bearer ${minted.token}` },
    body: CALL_BODY,
  };
}
