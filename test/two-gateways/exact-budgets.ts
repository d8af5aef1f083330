/**
 * Clients call over both gateways against one budget, more often than it admits: exactly as many calls as it holds are
 * allowed, forwarded and answered, and every other one is told what remains. Soft and shadow budgets admit everything
 * and count it.
 */
import assert from "node:assert/strict";
import { type BudgetMode, type BudgetScope, type Window, windowAt } from "@writ/contract";
import { type Fleet, settled, type Tenant, UPSTREAM } from "./fleet.ts";

export interface BudgetCase {
  readonly scope: BudgetScope;
  readonly window: Window;
  readonly mode: BudgetMode;
}

export interface BudgetSize {
  readonly clients: number;
  readonly callsPerClient: number;
  readonly limit: number;
}

export interface BudgetReport {
  readonly calls: number;
  readonly admitted: number;
  readonly callsPerSecond: number;
}

/** Calls of one client that are under way at once. */
const LANES = 4;
/** A call that was not made, because a machine stood still between commit and send, is made again, not for ever. */
const ATTEMPTS_MAX = 20;

export async function proveExactBudget(fleet: Fleet, budget: BudgetCase, size: BudgetSize): Promise<BudgetReport> {
  const name = `${budget.scope}-${budget.window}-${budget.mode}`;
  const tenant = await fleet.makeTenant(name);
  const tokens = await prepare(fleet, tenant, budget, size);
  const total = size.clients * size.callsPerClient;
  const startedAtMs = Date.now();
  const from = performance.now();
  let answered = 0;
  let explained = 0;
  let postponed = 0;
  const run = async (client: number): Promise<void> => {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < size.callsPerClient) {
        next += 1;
        const message = `${name} ${client} ${next}`;
        // Each client's calls go to both gateways in turn.
        const gatewayUrl = fleet.gatewayUrls[next % 2] as string; // there are two
        const request = { gatewayUrl, upstream: UPSTREAM, token: tokens[client] as string, tool: "echo" }; // one each
        const call = () => fleet.client.call({ ...request, arguments: { message } });
        let answer = await call();
        for (let attempt = 1; attempt < ATTEMPTS_MAX && answer.reason === "gateway_overloaded"; attempt += 1) {
          assert.equal(fleet.receivedAtMs(message), undefined, "a call that was not made was forwarded");
          postponed += 1;
          answer = await call();
        }
        if (answer.status === 200 && answer.reason === "") {
          assert.equal(answer.text, message);
          answered += 1;
          continue;
        }
        assert.equal(fleet.receivedAtMs(message), undefined, "a denied call was forwarded");
        assert.equal(budget.mode, "hard", `${budget.mode} budgets refuse nothing: ${answer.body}`);
        if (answer.reason === "rate_denials") continue;
        assert.equal(answer.reason, "budget_exhausted", answer.body);
        assert.equal(answer.data["remaining"], 0);
        if (budget.window !== "total") {
          const resetsAt = Date.parse(String(answer.data["resetsAt"]));
          assert.equal(resetsAt, windowAt(budget.window, resetsAt - 1).endMs);
          assert.ok(resetsAt > startedAtMs);
        }
        explained += 1;
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  };
  await Promise.all(tokens.map((_token, client) => run(client)));
  const elapsedMs = performance.now() - from;

  const expected = budget.mode === "hard" ? Math.min(size.limit, total) : total;
  const windows = windowsBetween(budget.window, startedAtMs, Date.now());
  // A run that crosses the end of a window has the budget of both; then only the bound is certain.
  if (windows === 1) assert.equal(answered, expected);
  else assert.ok(answered <= expected * windows && answered >= expected);
  if (budget.mode === "hard" && total > size.limit) assert.ok(explained > 0, "no denial was explained");
  await settled(tenant);
  const events = await tenant.events(0);
  const allows = events.filter(
    ({ event, fields }) =>
      event === "call.decided" && fields["decision"] === "allow" && fields["action"] === "tool.call",
  );
  const ended = (kind: string): number => events.filter(({ event }) => event === kind).length;
  assert.equal(ended("call.completed"), answered);
  assert.ok(ended("call.aborted") <= postponed, "a call was aborted, and its client was told something else");
  assert.equal(allows.length, answered + ended("call.aborted"), "an allow without an answer, or an answer without one");
  const counters = await fleet.database.query<{ used: number; reserved: number; unknown: number }>(
    "SELECT used, reserved, unknown FROM budget_counter WHERE tenant_id = $1",
    [tenant.id],
  );
  assert.equal(counters.length, 1);
  if (windows === 1) assert.deepEqual(counters[0], { used: expected, reserved: 0, unknown: 0 });
  return { calls: total, admitted: answered, callsPerSecond: Math.round((total / elapsedMs) * 1000) };
}

/** Makes the budget, and a token for each client; all draw on the same counter. */
async function prepare(fleet: Fleet, tenant: Tenant, budget: BudgetCase, size: BudgetSize): Promise<readonly string[]> {
  const { scope, window, mode } = budget;
  const agent = await tenant.makeAgent("worker");
  if (scope === "node") {
    const { token } = await tenant.mint(agent, [
      window === "total" ? { calls: size.limit } : { budget: { unit: "calls", window, limit: size.limit } },
    ]);
    return Array.from({ length: size.clients }, () => token);
  }
  const scopeIds: Readonly<Record<Exclude<BudgetScope, "node">, string>> = {
    agent,
    principal: tenant.principalId,
    tool: `${UPSTREAM}/echo`,
    upstream: UPSTREAM,
    tenant: "",
  };
  await fleet.admin.call("budgets.create", {
    params: { tenant: tenant.id },
    body: { scope, scopeId: scopeIds[scope], unit: "calls", window, limit: size.limit, mode },
  });
  return Promise.all(
    Array.from({ length: size.clients }, async (_value, client) => {
      // Agents of their own, where the counter is not the agent's.
      const own = scope === "agent" ? agent : await tenant.makeAgent(`worker-${client}`);
      return (await tenant.mint(own)).token;
    }),
  );
}

function windowsBetween(window: Window, fromMs: number, toMs: number): number {
  return windowAt(window, fromMs).startMs === windowAt(window, toMs).startMs ? 1 : 2;
}
