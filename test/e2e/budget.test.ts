/** What an agent can learn of its own budgets, over both doors that tell it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Rig, startRig, statelessCall, TENANT } from "./rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(async () => {
  await rig.close();
});

interface Told {
  readonly status: number;
  readonly budgets: readonly Readonly<Record<string, unknown>>[];
  readonly text: string;
}

async function ask(token: string | undefined): Promise<Told> {
  const response = await fetch(`${rig.writ.gatewayUrl}/v1/budget`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  const text = await response.text();
  return { status: response.status, budgets: (JSON.parse(text) as Partial<Told>).budgets ?? [], text };
}

const meta = statelessCall("echo", {}).body;

test("a holder is told what is left of its token's budgets, by endpoint and over MCP", async () => {
  const token = await rig.mint([{ calls: 5 }, { budget: { unit: "credits", window: "day", limit: 9 } }]);
  const rest = { limit: 5, mode: "hard", scope: "node", unit: "calls", window: "total" };
  const before = await ask(token);
  expect(before.status).toBe(200);
  expect(before.budgets).toEqual([
    { ...rest, remaining: 5 },
    {
      limit: 9,
      mode: "hard",
      remaining: 9,
      resetsAt: expect.stringMatching(/T00:00:00\.000Z$/),
      scope: "node",
      unit: "credits",
      window: "day",
    },
  ]);

  const { body, headers } = statelessCall("echo", { message: "hello" });
  expect((await rig.post("up", token, body, headers)).status).toBe(200);
  // Told at most a second late.
  await expect.poll(async () => (await ask(token)).budgets[0], { timeout: 20_000 }).toEqual({ ...rest, remaining: 4 });
  const method = { ...headers, "mcp-method": "writ/budget", "mcp-name": "" };
  const { params } = JSON.parse(meta) as { readonly params: { readonly _meta: unknown } };
  const question = { jsonrpc: "2.0", id: 7, method: "writ/budget", params: { _meta: params._meta } };
  const answer = await rig.post("up", token, JSON.stringify(question), method);
  expect(JSON.parse(answer.text)).toMatchObject({ id: 7, result: { budgets: [{ remaining: 4 }, { remaining: 8 }] } });
});

test("nobody is told of budgets without a token that stands", async () => {
  expect((await ask(undefined)).status).toBe(401);
  const token = await rig.mint([{ calls: 5 }]);
  expect((await ask(token)).status).toBe(200);
  const agents = await rig.admin.call("agents.list", { params: { tenant: TENANT }, query: {} });
  const agent = agents.items[0];
  if (agent === undefined) throw new TypeError("the starter has an agent");
  const params = { tenant: TENANT, id: agent.id };
  const set = (version: number, status: "active" | "suspended") =>
    rig.admin.call("agents.update", { params, body: { version, status } });
  const suspended = await set(agent.version, "suspended");
  try {
    await expect.poll(async () => (await ask(token)).status, { timeout: 20_000 }).toBe(403);
    expect((await ask(token)).budgets).toEqual([]);
  } finally {
    await set(suspended.version, "active");
  }
});
