/**
 * Child tokens across two gateways: made on one and used on the other, at once; budgets carved exactly; what is left of
 * a carve comes back on revocation; and what bounds the making of children.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { attenuateToken, makeTokenHash } from "@writ/token";
import { type Fleet, UPSTREAM, until } from "./fleet.ts";
import type { Answer } from "./mcp-client.ts";

const tokenHash = makeTokenHash((data) => createHash("sha256").update(data).digest());

interface ChildRequest {
  readonly caveats?: readonly Readonly<Record<string, unknown>>[];
  readonly carve?: readonly { readonly unit: "calls"; readonly window: string; readonly amount: number }[];
  readonly agent?: string;
}

function recordChild(fleet: Fleet, gateway: 0 | 1, token: string, request: ChildRequest): Promise<Answer> {
  return fleet.client.post(`${fleet.gatewayUrls[gateway]}/v1/tokens/attenuate`, token, { caveats: [], ...request });
}

/** Calls over both gateways at once; the number that was allowed. */
async function callMany(fleet: Fleet, token: string, label: string, count: number): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: count }, (_value, index) =>
      fleet.client.call({
        gatewayUrl: fleet.gatewayUrls[index % 2] as string, // there are two
        upstream: UPSTREAM,
        token,
        tool: "echo",
        arguments: { message: `${label} ${index}` },
      }),
    ),
  );
  for (const answer of answers) {
    assert.ok(["", "budget_exhausted", "rate_denials"].includes(answer.reason), answer.body);
  }
  return answers.filter((answer) => answer.reason === "").length;
}

export async function proveCarves(fleet: Fleet, window: "total" | "day"): Promise<void> {
  const tenant = await fleet.makeTenant(`carves-${window}`);
  const agent = await tenant.makeAgent("parent");
  const root = await tenant.mint(agent, [{ budget: { unit: "calls", window, limit: 100 } }]);
  const carve = (amount: number) => ({ carve: [{ unit: "calls", window, amount } as const] });

  const made = await recordChild(fleet, 0, root.token, carve(40));
  assert.equal(made.status, 201, made.body);
  const child = String(made.data["token"]);
  const node = String(made.data["node"]);
  const refused = await recordChild(fleet, 1, root.token, carve(61));
  assert.equal(refused.data["reason"], "budget_carve", refused.body);
  assert.equal(refused.data["remaining"], 60, refused.body);
  const unread = await recordChild(fleet, 1, root.token, { caveats: [{ colour: "red" }] });
  assert.equal(unread.data["reason"], "caveat_unknown", unread.body);
  const denials = (await tenant.events(0)).filter(({ fields }) => fields["decision"] === "deny");
  assert.deepEqual(
    denials.map(({ fields }) => [fields["callId"], fields["action"], fields["reasons"], fields["check"]]),
    [
      [refused.data["callId"], "token.attenuate", ["budget_carve"], "budget"],
      [unread.data["callId"], "token.attenuate", ["caveat_unknown"], "clear"],
    ],
  );
  for (const { fields } of denials) assert.equal(typeof fields["input"], "string", "as of every other denial");

  // The child's own child draws on its carve; made offline it has no counter of its own.
  const below = attenuateToken(tokenHash, child, { id: "offline", caveats: [] });
  assert.ok(below.kind === "attenuated");
  assert.equal(await callMany(fleet, below.token, `below ${window}`, 10), 10);
  const nested = await recordChild(fleet, 1, child, carve(5));
  assert.equal(nested.status, 201, nested.body);
  assert.equal(await callMany(fleet, String(nested.data["token"]), `nested ${window}`, 12), 5);
  // 40 set aside, 10 used below, 5 set aside again: 25 are left to the child and 60 to the root.
  assert.equal(await callMany(fleet, root.token, `root ${window}`, 30), 30);
  assert.equal(await callMany(fleet, child, `child ${window}`, 20), 20);

  await fleet.admin.call("nodes.revoke", { params: { tenant: tenant.id, node }, body: { reason: "test" } });
  await until("both carves are refunded", async () => {
    const events = await tenant.events(0);
    return events.filter(({ event }) => event === "budget.refunded").length === 2;
  });
  const refunds = (await tenant.events(0)).filter(({ event }) => event === "budget.refunded");
  assert.deepEqual(refunds.map(({ fields }) => [fields["amount"], fields["cause"]]).sort(), [
    [0, "revoked"],
    [5, "revoked"],
  ]);
  // 100 less 30 of the root's own and 35 of the child's and its children's.
  assert.equal(await callMany(fleet, root.token, `rest ${window}`, 60), 35);
}

/** Each root has a rate of recordings, counted by each gateway. */
export async function proveAttenuationRate(fleet: Fleet): Promise<void> {
  const tenant = await fleet.makeTenant("attenuation-rate");
  const root = await tenant.mint(await tenant.makeAgent("parent"));
  const other = await tenant.mint("parent");
  const answers = await Promise.all(Array.from({ length: 130 }, () => recordChild(fleet, 0, root.token, {})));
  const limited = answers.filter((answer) => answer.reason === "rate_attenuations");
  assert.ok(limited.length > 0, "no limit was met");
  for (const answer of limited) {
    assert.equal(answer.status, 429);
    assert.ok(Number(answer.data["retryAfterSeconds"]) >= 1, answer.body);
  }
  for (const answer of answers) assert.ok(answer.status === 201 || limited.includes(answer), answer.body);
  assert.equal((await recordChild(fleet, 0, other.token, {})).status, 201, "another root has a rate of its own");
}

/** Nodes that holders make cannot fill the database with counters (trap 63). */
export async function proveCounterBound(fleet: Fleet): Promise<void> {
  const tenant = await fleet.makeTenant("counter-bound");
  const { version } = await fleet.admin.call("tenants.get", { params: { tenant: tenant.id } });
  await fleet.admin.call("tenants.update", { params: { tenant: tenant.id }, body: { version, budgetNodesMax: 20 } });
  const root = await tenant.mint(await tenant.makeAgent("parent"));
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_value, index) => {
      const child = attenuateToken(tokenHash, root.token, { id: `c${index}`, caveats: ['{"calls":5}'] });
      assert.ok(child.kind === "attenuated");
      return fleet.client.call({
        gatewayUrl: fleet.gatewayUrls[index % 2] as string, // there are two
        upstream: UPSTREAM,
        token: child.token,
        tool: "echo",
        arguments: { message: `counter ${index}` },
      });
    }),
  );
  const allowed = answers.filter((answer) => answer.reason === "").length;
  assert.equal(allowed, 20);
  for (const { reason, body } of answers) assert.ok(["", "budget_nodes", "rate_denials"].includes(reason), body);
  const rows = await fleet.database.query<{ count: number }>(
    "SELECT count(*)::int4 AS count FROM budget_counter WHERE tenant_id = $1",
    [tenant.id],
  );
  assert.equal(rows[0]?.count, 20);
}

/** `depth` bounds recorded delegation (trap 51). */
export async function proveDepth(fleet: Fleet): Promise<void> {
  const tenant = await fleet.makeTenant("depth");
  const root = await tenant.mint(await tenant.makeAgent("parent"), [{ depth: 2 }]);
  let { token } = root;
  for (const gateway of [0, 1] as const) {
    const made = await recordChild(fleet, gateway, token, {});
    assert.equal(made.status, 201, made.body);
    token = String(made.data["token"]);
    assert.equal(await callMany(fleet, token, `depth ${gateway}`, 4), 4);
  }
  for (const gateway of [0, 1] as const) {
    const refused = await recordChild(fleet, gateway, token, {});
    assert.equal(refused.data["reason"], "caveat_depth", refused.body);
  }
}

/** What was minted, rotated or retired a moment ago binds both gateways at once. */
export async function proveFreshTokens(fleet: Fleet, rounds: number): Promise<void> {
  const tenant = await fleet.makeTenant("fresh-tokens");
  const params = { tenant: tenant.id };
  const agent = await tenant.makeAgent("fresh");
  for (let round = 0; round < rounds; round += 1) {
    const { token } = await tenant.mint(agent);
    // More callers at once than denials of one token and minute are recorded.
    assert.equal(await callMany(fleet, token, `fresh ${round}`, 60), 60);
    const { key, previous } = await fleet.admin.call("root-keys.rotate", { params });
    const next = await tenant.mint(agent);
    assert.equal(await callMany(fleet, next.token, `rotated ${round}`, 4), 4);
    await fleet.admin.call("root-keys.rotate", { params });
    assert.equal(await callMany(fleet, next.token, `verifying ${round}`, 4), 4);
    await fleet.admin.call("root-keys.retire", { params: { ...params, id: key.id } });
    const answers = await Promise.all(
      fleet.gatewayUrls.map((gatewayUrl) =>
        fleet.client.call({
          gatewayUrl,
          upstream: UPSTREAM,
          token: next.token,
          tool: "echo",
          arguments: { message: `retired ${round}` },
        }),
      ),
    );
    for (const answer of answers) assert.equal(answer.status, 401, answer.body);
    assert.equal(await callMany(fleet, token, `older ${round}`, 4), 4);
    // A tenant holds a limited number of keys.
    await fleet.admin.call("root-keys.retire", { params: { ...params, id: previous } });
  }
}

/** A revoked node ends everything below it, on record or not. */
export async function proveDescendants(fleet: Fleet, sizes: { recorded: number; unrecorded: number }): Promise<void> {
  const tenant = await fleet.makeTenant("descendants");
  const agent = await tenant.makeAgent("parent");
  const root = await tenant.mint(agent);
  const beside = await tenant.mint(agent);
  const middle = await recordChild(fleet, 0, root.token, {});
  assert.equal(middle.status, 201, middle.body);
  const tokens: string[] = [];
  let from = String(middle.data["token"]);
  for (let index = 0; index < sizes.recorded; index += 1) {
    // Every tenth one is a level deeper.
    const made = await recordChild(fleet, index % 2 === 0 ? 0 : 1, from, {});
    assert.equal(made.status, 201, made.body);
    tokens.push(String(made.data["token"]));
    if (index % 10 === 9) from = String(made.data["token"]);
  }
  for (let index = 0; index < sizes.unrecorded; index += 1) {
    const parent = tokens[index % Math.max(1, Math.min(sizes.recorded, 10))] ?? root.token;
    const child = attenuateToken(tokenHash, parent, { id: `d${index}`, caveats: [] });
    assert.ok(child.kind === "attenuated");
    tokens.push(child.token);
  }
  const call = (token: string, index: number, message: string) =>
    fleet.client.call({
      gatewayUrl: fleet.gatewayUrls[index % 2] as string, // there are two
      upstream: UPSTREAM,
      token,
      tool: "echo",
      arguments: { message },
    });
  for (const [index, token] of [tokens[0], tokens.at(-1)].entries()) {
    const answer = await call(token ?? "", index, `before ${index}`);
    assert.equal(answer.text, `before ${index}`, answer.body);
  }
  await fleet.admin.call("nodes.revoke", {
    params: { tenant: tenant.id, node: String(middle.data["node"]) },
    body: { reason: "test" },
  });
  const lanes = 16;
  await Promise.all(
    Array.from({ length: lanes }, async (_value, lane) => {
      for (let index = lane; index < tokens.length; index += lanes) {
        const answer = await call(tokens[index] ?? "", index, `after ${index}`);
        assert.ok(answer.status === 401 || answer.reason === "rate_denials", answer.body);
        assert.equal(fleet.receivedAtMs(`after ${index}`), undefined);
      }
    }),
  );
  for (const [index, { token }] of [root, beside].entries()) {
    assert.equal((await call(token, index, `beside ${index}`)).text, `beside ${index}`, "what lies beside goes on");
  }
}

/** The instance's kill switch binds every tenant on both gateways, and each comes back when it is released. */
export async function proveInstanceKill(fleet: Fleet, tenants: number): Promise<void> {
  const tokens: string[] = [];
  for (let index = 0; index < tenants; index += 1) {
    const tenant = await fleet.makeTenant(`killed-${index}`);
    tokens.push((await tenant.mint(await tenant.makeAgent("agent"))).token);
  }
  const callAll = async (label: string): Promise<readonly Answer[]> =>
    Promise.all(
      tokens.flatMap((token, index) =>
        fleet.gatewayUrls.map((gatewayUrl, gateway) =>
          fleet.client.call({
            gatewayUrl,
            upstream: UPSTREAM,
            token,
            tool: "echo",
            arguments: { message: `${label} ${index} ${gateway}` },
          }),
        ),
      ),
    );
  for (const answer of await callAll("before the kill")) assert.equal(answer.reason, "", answer.body);
  await fleet.admin.call("instance.kill.engage", { body: { reason: "test" } });
  try {
    for (const answer of await callAll("killed")) assert.equal(answer.data["reason"], "kill_engaged", answer.body);
    for (let index = 0; index < tenants; index += 1) {
      for (const gateway of [0, 1]) assert.equal(fleet.receivedAtMs(`killed ${index} ${gateway}`), undefined);
    }
  } finally {
    await fleet.admin.call("instance.kill.release");
  }
  for (const answer of await callAll("after the kill")) assert.equal(answer.reason, "", answer.body);
}
