/** What an agent can learn of its own budgets, over both doors that tell it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Rig, startRig, statelessCall, TENANT } from "./rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ env: { WRIT_GATEWAY_BUDGET_HEADER: "on" } });
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
    { ...rest, remaining: 5, exhausted: false },
    {
      exhausted: false,
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
  await expect.poll(async () => (await ask(token)).budgets[0], { timeout: 20_000 }).toMatchObject({ remaining: 4 });
  const method = { ...headers, "mcp-method": "writ/budget", "mcp-name": "" };
  const { params } = JSON.parse(meta) as { readonly params: { readonly _meta: unknown } };
  const question = { jsonrpc: "2.0", id: 7, method: "writ/budget", params: { _meta: params._meta } };
  const answer = await rig.post("up", token, JSON.stringify(question), method);
  expect(JSON.parse(answer.text)).toMatchObject({ id: 7, result: { budgets: [{ remaining: 4 }, { remaining: 8 }] } });
});

test("what others' calls move is told as a limit, and whether it is reached", async () => {
  const params = { tenant: TENANT };
  const rules = await Promise.all(
    (["tenant", "agent"] as const).map((scope) =>
      rig.admin.call("budgets.create", {
        params,
        body: {
          scope,
          scopeId: scope === "tenant" ? "" : "assistant",
          unit: "calls",
          window: "month",
          limit: scope === "tenant" ? 1 : 1_000,
          mode: scope === "tenant" ? "soft" : "hard",
        },
      }),
    ),
  );
  try {
    const token = await rig.mint();
    const of = async (scope: string) => (await ask(token)).budgets.find((budget) => budget["scope"] === scope);
    await expect.poll(() => of("tenant"), { timeout: 20_000 }).toBeDefined();
    const resetsAt = expect.stringMatching(/-01T00:00:00\.000Z$/);
    const tenant = { scope: "tenant", unit: "calls", window: "month", mode: "soft", limit: 1, resetsAt };
    expect(await of("tenant")).toEqual({ ...tenant, exhausted: false });
    expect(await of("agent")).toMatchObject({ limit: 1_000, remaining: 1_000, exhausted: false });
    const { body, headers } = statelessCall("echo", { message: "hello" });
    expect((await rig.post("up", token, body, headers)).status).toBe(200);
    await expect.poll(() => of("tenant"), { timeout: 20_000 }).toEqual({ ...tenant, exhausted: true });
    expect(await of("agent")).toMatchObject({ remaining: 999 });
  } finally {
    for (const { id, version } of rules) {
      await rig.admin.call("budgets.remove", { params: { tenant: TENANT, id }, query: { version } });
    }
  }
});

test("an answer says what its call left of the token's own budgets, where that is configured", async () => {
  const token = await rig.mint([{ calls: 5 }, { budget: { unit: "credits", window: "day", limit: 9 } }]);
  const { body, headers } = statelessCall("echo", { message: "hello" });
  const told: (string | null)[] = [];
  for (let made = 0; made < 2; made += 1) {
    told.push((await rig.post("up", token, body, headers)).headers.get("writ-budget"));
  }
  const item = (left: number): unknown =>
    expect.stringMatching(
      new RegExp(
        `^node;unit=calls;window=total;limit=5;remaining=${left}, node;unit=credits;window=day;limit=9;remaining=${left + 4};resets=\\d{10}$`,
      ),
    );
  expect(told).toEqual([item(4), item(3)]);
  // What is charged to nobody, and what is refused, has nothing to tell.
  const list = body.replace("tools/call", "tools/list");
  const listed = await rig.post("up", token, list, { ...headers, "mcp-method": "tools/list" });
  expect([listed.status, listed.headers.get("writ-budget")]).toEqual([200, null]);
  const free = await rig.mint();
  expect((await rig.post("up", free, body, headers)).headers.get("writ-budget")).toBe(null);
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
