/** Pruning through the plane that does it: what every token is told, and what every budget shows, stays the same. */
import { createLogger } from "@writ/runtime";
import { attenuateToken } from "@writ/token";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tokenHash } from "../commands/mint-token.ts";
import { createHistoryStore } from "../store/history-store.ts";
import { startTestPlane, type TestPlane } from "../test-plane.fixture.ts";
import { createPruner, type Pruner } from "./pruner.ts";

const T = "/v1/tenants/default";
const DAY_MS = 86_400_000;

let plane: TestPlane;
let pruner: Pruner;
beforeAll(async () => {
  plane = await startTestPlane();
  const random = { bytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) };
  const store = createHistoryStore({ db: plane.db, clock: plane.clock, random });
  pruner = createPruner({ store, log: createLogger({ level: "silent", write: () => undefined }) });
});
afterAll(async () => {
  await pruner.stop();
  await plane.stop();
});

/** A token that was minted so many days ago and lives for so many. */
async function mint(daysAgo: number, days: number): Promise<{ readonly token: string; readonly node: string }> {
  plane.clock.advance(-daysAgo * DAY_MS);
  const body = { agent: "assistant", expiresInSeconds: days * 86_400, caveats: [{ calls: 5 }] };
  const { json, status } = await plane.send("POST", `${T}/tokens`, { body });
  plane.clock.advance(daysAgo * DAY_MS);
  expect(status).toBe(201);
  return json;
}

function child(token: string, id: string): string {
  const made = attenuateToken(tokenHash, token, { id, caveats: [] });
  if (made.kind !== "attenuated") throw new TypeError(made.detail);
  return made.token;
}

test("leaves every token the answer that it had, and keeps state and database from growing", async () => {
  const tenant = (await plane.send("GET", T)).json;
  const lasting = { version: tenant.version, tokenLifetimeMaxSeconds: 90 * 86_400 };
  expect((await plane.send("PATCH", T, { body: lasting })).status).toBe(200);
  const roots = [await mint(60, 1), await mint(60, 50), await mint(60, 59), await mint(60, 80), await mint(0, 1)];
  const tokens = roots.flatMap(({ token }, index) => [token, child(token, `a${index}`), child(token, `b${index}`)]);
  const explain = async (token: string): Promise<unknown> => {
    const body = { token, upstream: "everything", action: "mcp.session" };
    const { decision, reasons, stages } = (await plane.send("POST", `${T}/explain`, { body })).json;
    return { decision, reasons, stages };
  };
  const nodes = roots.map(({ node }) => node);
  // Two are revoked: a whole tree that is over, and one that lives.
  for (const node of [nodes[0], nodes[3]]) {
    const { status } = await plane.send("POST", `${T}/nodes/${node}/revoke`, { body: { reason: "a test" } });
    expect(status).toBe(200);
  }
  const before = await Promise.all(tokens.map(explain));
  const objects = async (): Promise<readonly string[]> => {
    const state = await plane.owner.transaction({ tenants: [plane.tenantId] }, (q) =>
      q.query<{ name: string }>(
        `SELECT kind || ' ' || id AS name FROM authority WHERE tenant_id = $1::uuid AND deactivated_ms IS NULL
          AND kind IN ('root_token', 'revocation')`,
        [plane.tenantId],
      ),
    );
    return state.map(({ name }) => name);
  };
  expect(await objects()).toEqual(expect.arrayContaining(nodes.map((node) => `root_token ${node}`)));

  expect(await pruner.pruneDue()).toBeGreaterThan(0);

  expect(await Promise.all(tokens.map(explain))).toEqual(before);
  const left = await objects();
  for (const [index, node] of nodes.entries()) {
    expect(left.includes(`root_token ${node}`), `root ${index}`).toBe(index > 1);
  }
  expect(left.filter((name) => name.startsWith("revocation"))).toEqual([`revocation ${nodes[3]}`]);
  const events = (await plane.send("GET", `${T}/audit/events?event=token.pruned`)).json.items;
  expect(events).toHaveLength(1);
  expect(events[0].event).toMatchObject({ by: "system:pruning", rootTokens: 2, nodes: 0, revocations: 1 });
  expect((await plane.send("GET", `${T}/audit/verify?full=true`)).json.status).toBe("intact");
  expect(await pruner.pruneDue()).toBe(0);
});
