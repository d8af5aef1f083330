import { randomBytes, randomUUID } from "node:crypto";
import { verifyExport } from "@writ/audit/verify";
import { INSTANCE_TENANT } from "@writ/contract";
import { ADMIN_ROUTES, type AdminOperation, type AdminRoute } from "@writ/contract/admin";
import { openEnvironmentValue } from "@writ/runtime";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestPlane, type TestPlane } from "./test-plane.fixture.ts";

let plane: TestPlane;
const T = "/v1/tenants/default";

beforeAll(async () => {
  plane = await startTestPlane();
});
afterAll(async () => {
  await plane.stop();
});

const operations = Object.entries(ADMIN_ROUTES) as [AdminOperation, AdminRoute][];

function pathOf(route: AdminRoute, tenant = "default"): string {
  return route.path
    .replace("{tenant}", tenant)
    .replace("{scope}", "agent")
    .replace("{node}", "00".repeat(16))
    .replaceAll(/\{\w+\}/g, "00000000-0000-7000-8000-00000000ffff");
}

async function events(tenantId = plane.tenantId): Promise<Record<string, unknown>[]> {
  const rows = await plane.db.transaction({ tenants: [tenantId], readOnly: true }, (transaction) =>
    transaction.query<{ event: string }>("SELECT event FROM audit_event WHERE tenant_id = $1 ORDER BY sequence", [
      tenantId,
    ]),
  );
  return rows.map((row) => JSON.parse(row.event) as Record<string, unknown>);
}

describe("the listener", () => {
  test("answers its probes without a key", async () => {
    expect((await plane.send("GET", "/healthz", { key: undefined })).status).toBe(200);
    expect((await plane.send("GET", "/readyz", { key: undefined })).status).toBe(200);
  });

  test("describes exactly the routes of the contract", async () => {
    const { json, status } = await plane.send("GET", "/openapi.json");
    expect(status).toBe(200);
    expect(json.openapi).toBe("3.1.0");
    const described: string[] = [];
    for (const [path, item] of Object.entries(json.paths as Record<string, Record<string, { operationId: string }>>)) {
      for (const [method, { operationId }] of Object.entries(item)) described.push(`${operationId} ${method} ${path}`);
    }
    const wanted = operations.map(([operation, { method, path }]) => `${operation} ${method.toLowerCase()} ${path}`);
    expect(described.sort()).toEqual(wanted.sort());
  });

  test("an unknown route is answered by a problem document, and only to a key", async () => {
    const known = await plane.send("GET", "/v1/nothing");
    expect([known.status, known.json.code]).toEqual([404, "route_unknown"]);
    expect((await plane.send("GET", "/v1/nothing", { key: undefined })).status).toBe(401);
  });

  test("a Host that is not served is refused", async () => {
    const { request } = await import("node:http");
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { host: "evil.test", authorization: `Bearer ${plane.adminKey}` };
      const call = request(`${plane.url}/v1/tenants`, { headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      call.on("error", reject);
      call.end();
    });
    expect(status).toBe(400);
  });
});

describe("admin keys", () => {
  test.each(operations)("R-DENY-1 trap-35 %s denies without a key", async (_operation, route) => {
    const { status, json } = await plane.send(route.method, pathOf(route), { key: undefined });
    expect([status, json.code]).toEqual([401, "admin_key_missing"]);
  });

  test("R-PLANE-1 an agent's token is no admin key (I12)", async () => {
    expect(plane.token.startsWith("writ_")).toBe(true);
    for (const [, route] of operations) {
      expect((await plane.send(route.method, pathOf(route), { key: plane.token })).status).toBe(401);
    }
  });

  test("another tenant behaves like one that does not exist (trap-33, I11)", async () => {
    const other = await plane.send("POST", "/v1/tenants", { body: { name: "other" } });
    expect(other.status).toBe(201);
    const made = await plane.send("POST", `/v1/tenants/other/admin-keys`, { body: { name: "k", permissions: ["*"] } });
    expect(made.status).toBe(201);
    const key = made.json.key as string;
    expect((await plane.send("GET", "/v1/tenants/other", { key })).status).toBe(200);
    for (const [operation, route] of operations) {
      if (!route.path.includes("{tenant}")) {
        expect((await plane.send(route.method, pathOf(route), { key })).status, operation).toBe(403);
        continue;
      }
      const answers = [];
      for (const tenant of [
        "default",
        plane.tenantId,
        "nobody",
        "019a0000-0000-7000-8000-000000000000",
        INSTANCE_TENANT,
      ]) {
        const answer = await plane.send(route.method, pathOf(route, tenant), { key });
        const { requestId, ...rest } = answer.json;
        expect(requestId).toBeTypeOf("string");
        answers.push({ status: answer.status, ...rest });
      }
      for (const answer of answers) expect(answer, operation).toEqual(answers[2]);
      expect(answers[0]?.status, operation).toBe(404);
    }
  });

  test("a key without the permission is refused, whatever the body is", async () => {
    const made = await plane.send("POST", `${T}/admin-keys`, {
      body: { name: "reader", permissions: ["agents:read"] },
    });
    const key = made.json.key as string;
    expect((await plane.send("GET", `${T}/agents`, { key })).status).toBe(200);
    const { status, json } = await plane.send("POST", `${T}/agents`, { key, body: { nonsense: 1 } });
    expect([status, json.code]).toEqual([403, "permission_missing"]);
  });

  test("nobody hands out a permission that they lack", async () => {
    const made = await plane.send("POST", `${T}/admin-keys`, {
      body: { name: "limited", permissions: ["admin_keys:write", "agents:read"] },
    });
    const key = made.json.key as string;
    for (const permissions of [["*"], ["tokens:mint"]]) {
      expect((await plane.send("POST", `${T}/admin-keys`, { key, body: { name: "x", permissions } })).status).toBe(403);
    }
    const body = { name: "x", permissions: ["agents:read"] };
    expect((await plane.send("POST", `${T}/admin-keys`, { key, body })).status).toBe(201);
  });

  test("no key outlives the one that made it, in a tenant or in the instance", async () => {
    for (const at of [`${T}/admin-keys`, "/v1/admin-keys"]) {
      const make = async (key: string, expiresInSeconds?: number) => {
        const body = { name: "k", permissions: ["admin_keys:write"], ...(expiresInSeconds && { expiresInSeconds }) };
        const { status, json } = await plane.send("POST", at, { key, body });
        expect(status).toBe(201);
        return json as { key: string; view: { createdAtMs: number; expiresAtMs?: number } };
      };
      const maker = await make(plane.adminKey, 600);
      const end = maker.view.expiresAtMs;
      expect(end).toBe(maker.view.createdAtMs + 600_000);
      expect((await make(plane.adminKey)).view.expiresAtMs).toBeUndefined();

      const unlimited = await make(maker.key);
      expect(unlimited.view.expiresAtMs).toBe(end);
      expect((await make(maker.key, 86_400)).view.expiresAtMs).toBe(end);
      expect((await make(unlimited.key, 86_400)).view.expiresAtMs).toBe(end);
      const shorter = await make(maker.key, 60);
      expect(shorter.view.expiresAtMs).toBe(shorter.view.createdAtMs + 60_000);

      plane.clock.advance(601_000);
      const body = { name: "late", permissions: ["admin_keys:write"] };
      expect((await plane.send("POST", at, { key: unlimited.key, body })).json.code).toBe("admin_key_invalid");
    }
  });

  test("a revoked and an expired key are refused like an unknown one", async () => {
    const made = await plane.send("POST", `${T}/admin-keys`, {
      body: { name: "short", permissions: ["agents:read"], expiresInSeconds: 60 },
    });
    const key = made.json.key as string;
    const altered = `${key.slice(0, -2)}${key.endsWith("AA") ? "BA" : "AA"}`;
    expect((await plane.send("GET", `${T}/agents`, { key: altered })).status).toBe(401);
    expect((await plane.send("GET", `${T}/agents`, { key })).status).toBe(200);
    plane.clock.advance(61_000);
    expect((await plane.send("GET", `${T}/agents`, { key })).json.code).toBe("admin_key_invalid");
    expect((await plane.send("DELETE", `${T}/admin-keys/${made.json.view.id}`)).status).toBe(204);
    expect((await plane.send("DELETE", `${T}/admin-keys/${made.json.view.id}`)).status).toBe(404);
    expect((await plane.send("GET", `${T}/agents`, { key })).json.code).toBe("admin_key_invalid");
  });
});

describe("commands", () => {
  test("R-PLANE-2 trap-34 each leaves exactly one event, by the authenticated key and not by the body", async () => {
    const made = await plane.send("POST", `${T}/admin-keys`, { body: { name: "author", permissions: ["*"] } });
    const key = made.json.key as string;
    const by = `admin_key:${made.json.view.id}`;
    const run = async (event: string, method: string, path: string, body?: unknown) => {
      const before = (await events()).length;
      const answer = await plane.send(method, path, { key, ...(body === undefined ? {} : { body }) });
      expect(answer.status, `${method} ${path} ${answer.text}`).toBeLessThan(300);
      const added = (await events()).slice(before);
      expect(added.map((one) => one["event"])).toEqual([event]);
      expect(JSON.stringify(added[0])).toContain(`"by":"${by}"`);
      return answer.json;
    };
    const forged = await plane.send("POST", `${T}/principals`, { key, body: { name: "f", type: "team", by: "root" } });
    expect(forged.status).toBe(400);

    const principal = await run("principal.created", "POST", `${T}/principals`, { name: "team", type: "team" });
    await run("principal.updated", "PATCH", `${T}/principals/${principal.id}`, { version: 1, status: "suspended" });
    await run("principal.updated", "PATCH", `${T}/principals/team`, { version: 2, status: "active" });
    const agent = await run("agent.created", "POST", `${T}/agents`, { name: "a1", principal: "team" });
    await run("agent.updated", "PATCH", `${T}/agents/a1`, { version: 1, labels: { env: "dev" } });
    const minted = await run("token.minted", "POST", `${T}/tokens`, { agent: "a1", caveats: [{ tools: ["x/*"] }] });
    await run("token.revoked", "POST", `${T}/nodes/${minted.node}/revoke`, { reason: "lost" });
    await run("root_key.rotated", "POST", `${T}/root-keys/rotate`);
    const keys = (await plane.send("GET", `${T}/root-keys`)).json.items as { id: string; status: string }[];
    const old = keys.find((one) => one.status === "verifying");
    await run("root_key.retired", "POST", `${T}/root-keys/${old?.id}/retire`);
    const upstream = await run("upstream.created", "POST", `${T}/upstreams`, {
      name: "files",
      transport: { type: "http", url: "https://files.test/mcp" },
    });
    await run("upstream.updated", "PATCH", `${T}/upstreams/files`, { version: 1, timeoutMs: 1_000 });
    await run("upstream.removed", "DELETE", `${T}/upstreams/${upstream.id}?version=2`);
    const budget = await run("budget.created", "POST", `${T}/budgets`, {
      scope: "agent",
      scopeId: "a1",
      unit: "calls",
      window: "day",
      limit: 10,
      mode: "hard",
    });
    expect(budget.scopeId).toBe(agent.id);
    await run("budget.updated", "PATCH", `${T}/budgets/${budget.id}`, { version: 1, limit: 20 });
    await run("budget.removed", "DELETE", `${T}/budgets/${budget.id}?version=2`);
    const rated = { scope: "agent", scopeId: "a1", limit: 60, per: "minute" };
    const rate = await run("rate.created", "POST", `${T}/rates`, rated);
    expect(rate).toMatchObject({ ...rated, scopeId: agent.id });
    await run("rate.updated", "PATCH", `${T}/rates/${rate.id}`, { version: 1, limit: 90 });
    expect((await plane.send("GET", `${T}/rates/${rate.id}`)).json).toMatchObject({ limit: 90, version: 2 });
    await run("rate.removed", "DELETE", `${T}/rates/${rate.id}?version=2`);
    const price = await run("price.created", "POST", `${T}/prices`, { pattern: "everything/*", credits: 3 });
    await run("price.updated", "PATCH", `${T}/prices/${price.id}`, { version: 1, credits: 4 });
    expect((await plane.send("GET", `${T}/prices/${price.id}`)).json).toMatchObject({ credits: 4, version: 2 });
    await run("price.removed", "DELETE", `${T}/prices/${price.id}?version=2`);
    await run("kill.engaged", "PUT", `${T}/kill/tool/everything%2Fecho`, { reason: "drill" });
    await run("kill.released", "DELETE", `${T}/kill/tool/everything%2Fecho`);
    await run("kill.engaged", "PUT", `${T}/kill/tenant`, { reason: "drill" });
    await run("kill.released", "DELETE", `${T}/kill/tenant`);
    const active = (await plane.send("GET", `${T}/policy`)).json;
    const source = active.source.replace("prefix: secret", "prefix: sec");
    const version = await run("policy.proposed", "POST", `${T}/policy/versions`, { source });
    await run("policy.activated", "POST", `${T}/policy/versions/${version.id}/activate`, {
      expectedActive: active.versionId,
    });
    const diff = (await plane.send("GET", `${T}/policy/diff?from=${active.versionId}&to=active`)).json;
    expect(diff.lines.filter((line: { kind: string }) => line.kind !== "same").length).toBe(2);
    await run("tenant.updated", "PATCH", T, { version: 1, budgetNodesMax: 5 });
    const other = await run("admin_key.created", "POST", `${T}/admin-keys`, { name: "o", permissions: ["kill:read"] });
    await run("admin_key.revoked", "DELETE", `${T}/admin-keys/${other.view.id}`);
  });

  test("a stale version is answered 409 with both versions, and nothing happens", async () => {
    await plane.send("POST", `${T}/principals`, { body: { name: "stale", type: "team" } });
    await plane.send("PATCH", `${T}/principals/stale`, { body: { version: 1, status: "suspended" } });
    const before = (await events()).length;
    const { status, json } = await plane.send("PATCH", `${T}/principals/stale`, {
      body: { version: 1, status: "active" },
    });
    expect([status, json.code, json.expectedVersion, json.actualVersion]).toEqual([409, "version_conflict", 1, 2]);
    expect((await events()).length).toBe(before);
  });

  test("a name is taken once, and free again after its object was removed", async () => {
    const body = { name: "twice", transport: { type: "http", url: "https://a.test/" } };
    expect((await plane.send("POST", `${T}/upstreams`, { body })).status).toBe(201);
    expect((await plane.send("POST", `${T}/upstreams`, { body })).json.code).toBe("name_taken");
    expect((await plane.send("DELETE", `${T}/upstreams/twice?version=1`)).status).toBe(204);
    expect((await plane.send("GET", `${T}/upstreams/twice`)).status).toBe(404);
    expect((await plane.send("POST", `${T}/upstreams`, { body })).status).toBe(201);
  });

  test.each([
    [{ caveats: [{ bind: { jkt: "x" } }] }, "caveat_unenforceable"],
    [{ caveats: [{ rate: 5 }] }, "caveat_unenforceable"],
    [{ caveats: [{ net: "10.0.0.0/8" }] }, "caveat_unenforceable"],
    [{ caveats: [{ task: "x" }] }, "caveat_unenforceable"],
    [{ caveats: [{ unheard_of: 1 }] }, "caveat_unenforceable"],
    [{ caveats: [{ id: "x" }] }, "caveat_unenforceable"],
    [{ caveats: ['{"tools":["a/*"],"exp":1}'] }, "caveat_unenforceable"],
    [{ caveats: ["not json"] }, "caveat_unenforceable"],
    [{ caveats: [{ exp: "tomorrow" }] }, "caveat_unenforceable"],
    [{ caveats: [{ exp: 1 }] }, "expiry_past"],
    [{ caveats: [{ exp: 99_999_999_999 }, '{"exp":1000000000}'] }, "expiry_past"],
    [{ caveats: [{ exp: 3_600 }], expiresInSeconds: 3_600 }, "expiry_past"],
    [{ expiresInSeconds: 365 * 86_400 }, "lifetime_exceeded"],
    [{ caveats: [{ exp: 99_999_999_999 }] }, "lifetime_exceeded"],
    [{ agent: "nobody" }, "reference_unknown"],
  ])("trap-26 minting refuses %j", async (input, code) => {
    const before = (await events()).length;
    const { status, json } = await plane.send("POST", `${T}/tokens`, { body: { agent: "assistant", ...input } });
    expect([status, json.code]).toEqual([422, code]);
    expect((await events()).length).toBe(before);
  });

  test("a minted token is nowhere but in its answer (trap-29)", async () => {
    const { json } = await plane.send("POST", `${T}/tokens`, { body: { agent: "assistant", label: "one" } });
    const secret = (json.token as string).slice(-40);
    const list = await plane.send("GET", `${T}/tokens`);
    expect(list.text).toContain(json.node);
    expect(list.text).not.toContain(secret);
    expect(JSON.stringify(await events())).not.toContain(secret);
    expect(plane.lines.join("")).not.toContain(secret);
    expect((await plane.send("GET", `${T}/nodes/${json.node}`)).json.kind).toBe("root");
  });

  test("a rules file that does not compile or whose tests fail is not stored", async () => {
    const broken = await plane.send("POST", `${T}/policy/versions`, { body: { source: "version: 1\nruls: []\n" } });
    expect([broken.status, broken.json.code]).toEqual([422, "policy_invalid"]);
    expect(broken.json.problems[0].line).toBe(2);
    const { source } = (await plane.send("GET", `${T}/policy`)).json;
    const failing = source.replace("arguments: { message: hello }", "arguments: { message: secret }");
    const refused = await plane.send("POST", `${T}/policy/versions`, { body: { source: failing } });
    expect([refused.status, refused.json.code]).toEqual([422, "policy_tests_failed"]);
    const forced = await plane.send("POST", `${T}/policy/versions`, { body: { source: failing, skipTests: true } });
    expect(forced.status).toBe(201);
    const stale = await plane.send("POST", `${T}/policy/versions/${forced.json.id}/activate`, {
      body: { expectedActive: null },
    });
    expect([stale.status, stale.json.code]).toEqual([409, "version_conflict"]);
  });

  test("an explanation knows where a token would be presented from only where it is told", async () => {
    const minted = await plane.send("POST", `${T}/tokens`, {
      body: { agent: "assistant", caveats: [{ net: ["10.0.0.0/8"] }, { rate: { limit: 5, per: "second" } }] },
    });
    const explain = async (address?: string) => {
      const body = { token: minted.json.token, upstream: "everything", tool: "echo", ...(address && { address }) };
      return (await plane.send("POST", `${T}/explain`, { body: { ...body, argumentsText: '{"message":"hi"}' } })).json;
    };
    expect((await explain()).reasons).toEqual(["caveat_net_unknown"]);
    expect((await explain("192.0.2.1")).reasons).toEqual(["caveat_net"]);
    const { stages } = await explain("::ffff:10.0.0.1");
    expect(stages.find((one: { stage: string }) => one.stage === "clear").status).toBe("passed");
  });

  test("there is one rate a scope and period, and none that is no rate", async () => {
    const body = { scope: "endpoint", scopeId: "everything", limit: 5, per: "second" };
    expect((await plane.send("POST", `${T}/rates`, { body })).status).toBe(201);
    expect((await plane.send("POST", `${T}/rates`, { body: { ...body, limit: 9 } })).json.code).toBe("name_taken");
    expect((await plane.send("POST", `${T}/rates`, { body: { ...body, per: "hour" } })).status).toBe(201);
    for (const change of [
      { limit: 0 },
      { limit: 1.5 },
      { limit: 1_000_001 },
      { per: "day" },
      { scope: "node" },
      { scopeId: "Everything" },
      { scope: "tenant" },
    ]) {
      const { status, json } = await plane.send("POST", `${T}/rates`, { body: { ...body, ...change } });
      expect([status, json.code]).toEqual([400, "fault_request"]);
    }
    const unknown = await plane.send("POST", `${T}/rates`, { body: { ...body, scope: "agent", scopeId: "nobody" } });
    expect(unknown.json.code).toBe("reference_unknown");
  });

  test("the price list has one entry a pattern, and none that is no pattern", async () => {
    const body = { pattern: "everything/get-*", credits: 2 };
    expect((await plane.send("POST", `${T}/prices`, { body })).status).toBe(201);
    expect((await plane.send("POST", `${T}/prices`, { body })).json.code).toBe("name_taken");
    for (const pattern of ["everything", "/echo", "everything/"]) {
      expect((await plane.send("POST", `${T}/prices`, { body: { ...body, pattern } })).json.code).toBe("fault_request");
    }
    for (const credits of [-1, 1.5, "2"]) {
      expect((await plane.send("POST", `${T}/prices`, { body: { ...body, pattern: "a/b", credits } })).status).toBe(
        400,
      );
    }
  });

  test("a call whose outcome is not on record yet is no call that does not exist: later it can be reconciled", async () => {
    const callId = randomUUID();
    const reconcile = (tenant: string, id = callId) =>
      plane.send("POST", `/v1/tenants/${tenant}/calls/${id}/reconcile`, { body: { outcome: "ran" } });
    const inside = (sql: string) =>
      plane.owner.transaction({ tenants: [plane.tenantId] }, (transaction) =>
        transaction.query(sql, [plane.tenantId, callId]),
      );
    await inside(
      `INSERT INTO open_call (tenant_id, call_id, gateway_id, opened_us, state, counters, window_starts, amounts)
        VALUES ($1, $2, $2, 7000, 'open', ''::bytea, '{}', '{}')`,
    );
    const before = (await events()).length;
    const { status, json } = await reconcile(plane.tenantId);
    expect([status, json.code]).toEqual([409, "call_unsettled"]);
    expect(json.detail).toContain("Try again in a few seconds");
    await plane.send("POST", "/v1/tenants", { body: { name: "asks-of-others" } });
    expect((await reconcile("asks-of-others")).json.code).toBe("not_found");
    expect((await reconcile(plane.tenantId, randomUUID())).json.code).toBe("not_found");
    expect((await events()).length).toBe(before);

    await inside("UPDATE open_call SET state = 'unknown' WHERE tenant_id = $1 AND call_id = $2");
    expect((await reconcile(plane.tenantId)).status).toBe(200);
  });

  test.each([
    { outcome: "ran", charged: 5 },
    { outcome: "not_run", charged: 3 },
  ])("a call that may have run is listed until somebody says $outcome, once", async ({ outcome, charged }) => {
    const [callId, counter] = [randomUUID(), randomBytes(16)];
    const inside = <R extends object>(sql: string, values: readonly (string | Uint8Array)[] = []) =>
      plane.owner.transaction({ tenants: [plane.tenantId] }, (transaction) =>
        transaction.query<R & Record<string, unknown>>(sql, [plane.tenantId, counter, ...values]),
      );
    await inside("INSERT INTO budget_charge (tenant_id, counter, window_start, charged) VALUES ($1, $2, 0, 5)");
    // The second of its counters has begun a new window since, in which nothing of the call is left.
    await inside(
      `INSERT INTO open_call (tenant_id, call_id, gateway_id, opened_us, state, counters, window_starts, amounts)
        VALUES ($1, $3, $3, 7000, 'unknown', $2::bytea || $2::bytea, '{0,-1}', '{2,2}')`,
      [callId],
    );
    const listed = (await plane.send("GET", `${T}/calls/unknown`)).json.items;
    expect(listed).toEqual([{ callId, openedMs: 7, gatewayId: callId, counters: 2 }]);
    const reconcile = () => plane.send("POST", `${T}/calls/${callId}/reconcile`, { body: { outcome } });
    expect((await reconcile()).json).toEqual({ callId, outcome });
    expect((await events()).at(-1)).toMatchObject({ event: "call.reconciled", callId, outcome });
    const before = (await events()).length;
    expect((await reconcile()).status).toBe(404);
    expect((await plane.send("POST", `${T}/calls/nothing/reconcile`, { body: { outcome } })).status).toBe(404);
    expect((await events()).length).toBe(before);
    const rows = await inside<{ charged: number }>(
      "SELECT charged FROM budget_charge WHERE tenant_id = $1 AND counter = $2",
    );
    expect(rows).toEqual([{ charged }]);
    expect((await plane.send("GET", `${T}/calls/unknown`)).json.items).toEqual([]);
  });

  test("a catalogue is pinned from what the gateway saw", async () => {
    const { json: upstream } = await plane.send("POST", `${T}/upstreams`, {
      body: { name: "seen", transport: { type: "http", url: "https://seen.test/" } },
    });
    const definitions = ['{"name":"one","inputSchema":{"type":"object"}}', '{ "name": "two" }'];
    const observe = (list: readonly string[]) =>
      plane.owner.transaction({ tenants: [plane.tenantId] }, (transaction) =>
        transaction.query(
          `INSERT INTO catalogue_observation (tenant_id, upstream_id, gateway_id, observed_ms, status, tools, served)
           VALUES ($1, $2, $3, 1, 'ok', $4, 1000)
           ON CONFLICT (tenant_id, upstream_id) DO UPDATE SET tools = excluded.tools`,
          [plane.tenantId, upstream.id, "019a0000-0000-7000-8000-000000000009", JSON.stringify(list)],
        ),
      );
    await observe(definitions);
    const first = await plane.send("POST", `${T}/upstreams/seen/pin`);
    expect(first.json.tools.map((tool: { change: string }) => tool.change)).toEqual(["added", "added"]);
    const tools = (await plane.send("GET", `${T}/upstreams/seen/tools`)).json.items;
    expect(tools.map((tool: { definition: string }) => tool.definition)).toEqual(definitions);
    await observe([definitions[1] ?? ""]);
    const second = await plane.send("POST", `${T}/upstreams/seen/pin`);
    const changes = second.json.tools.map((tool: { name: string; change: string }) => `${tool.name} ${tool.change}`);
    expect(changes).toEqual(["two unchanged", "one removed"]);
    expect((await plane.send("GET", `${T}/upstreams/seen`)).json.toolsPinned).toBe(1);
  });

  test("an upstream's environment is shown by its names alone, and a value given back as shown is kept", async () => {
    const path = `${T}/upstreams/secretive`;
    const transport = { type: "stdio", command: "/bin/true", args: [], env: { A_KEY: "first-5ecret", EMPTY: "" } };
    const hidden = { ...transport, env: { A_KEY: "***", EMPTY: "***" } };
    const storedEnv = async () => {
      const rows = await plane.owner.transaction({ tenants: [plane.tenantId] }, (transaction) =>
        transaction.query<{ value: string }>(
          `SELECT value FROM authority
            WHERE tenant_id = $1 AND kind = 'upstream' AND deactivated_ms IS NULL AND value ->> 'name' = 'secretive'`,
          [plane.tenantId],
        ),
      );
      return JSON.parse(rows[0]?.value ?? "").transport.env as Record<string, { readonly wrapped: string }>;
    };
    const openedEnv = async (upstreamId: string) =>
      Object.entries(await storedEnv()).map(([name, value]) => [
        name,
        openEnvironmentValue(plane.keyring, { tenantId: plane.tenantId, upstreamId, name }, value),
      ]);
    const said: string[] = [];
    const run = async (method: string, at: string, body?: unknown) => {
      const answer = await plane.send(method, at, body === undefined ? {} : { body });
      said.push(answer.text);
      return answer;
    };

    const made = await run("POST", `${T}/upstreams`, { name: "secretive", transport });
    expect([made.status, made.json.transport]).toEqual([201, hidden]);
    expect((await run("GET", path)).json.transport).toEqual(hidden);
    const listed = (await run("GET", `${T}/upstreams?limit=500`)).json.items;
    expect(listed.find((one: { name: string }) => one.name === "secretive").transport).toEqual(hidden);

    const env = { A_KEY: "***", B_KEY: "second-5ecret" };
    const changed = await run("PATCH", path, { version: 1, transport: { ...transport, env } });
    expect([changed.status, changed.json.transport.env]).toEqual([200, { A_KEY: "***", B_KEY: "***" }]);
    const opened = [
      ["A_KEY", "first-5ecret"],
      ["B_KEY", "second-5ecret"],
    ];
    expect((await openedEnv(made.json.id)).sort()).toEqual(opened);
    const stored = await storedEnv();
    // What is stored is given again in clear: nothing has changed, not even how it is wrapped.
    const same = { ...transport, env: { A_KEY: "first-5ecret", B_KEY: "***" } };
    expect((await run("PATCH", path, { version: 2, transport: same })).status).toBe(200);
    expect(await storedEnv()).toEqual(stored);

    for (const name of ["C_KEY", "constructor"]) {
      const given = { ...transport, env: { A_KEY: "third-5ecret", [name]: "***" } };
      const refused = await run("PATCH", path, { version: 3, transport: given });
      expect([refused.status, refused.json.code]).toEqual([422, "reference_unknown"]);
      expect(refused.json.detail).toContain(name);
      expect((await run("POST", `${T}/upstreams`, { name: "masked", transport: given })).status).toBe(422);
    }
    expect(await storedEnv()).toEqual(stored);
    for (const text of [...said, JSON.stringify(stored), JSON.stringify(await events()), plane.lines.join("")]) {
      expect(text).not.toContain("5ecret");
    }
  });

  test("only a key of the instance says what a stdio upstream runs", async () => {
    const made = await plane.send("POST", `${T}/admin-keys`, { body: { name: "whole tenant", permissions: ["*"] } });
    const key = made.json.key as string;
    const http = { type: "http", url: "https://own.test/mcp" };
    const stdio = { type: "stdio", command: "/bin/true", args: [], env: { A_KEY: "guessed" } };
    const create = (name: string, transport: object, by?: string) =>
      plane.send("POST", `${T}/upstreams`, { ...(by && { key: by }), body: { name, transport } });
    const change = (name: string, body: object, by: string) =>
      plane.send("PATCH", `${T}/upstreams/${name}`, { key: by, body });
    expect((await create("own-http", http, key)).status).toBe(201);
    expect((await create("its-stdio", stdio)).status).toBe(201);
    const before = (await events()).length;

    const refusals = [
      await create("own-stdio", stdio, key),
      await change("own-http", { version: 1, transport: stdio }, key),
      await change("its-stdio", { version: 1, transport: http }, key),
      await change("its-stdio", { version: 1, transport: stdio }, key),
      await change("its-stdio", { version: 1, transport: { ...stdio, env: { A_KEY: "***" } } }, key),
      await change("its-stdio", { version: 1, transport: { ...stdio, command: "/bin/false" } }, key),
    ];
    for (const { status, json } of refusals) {
      expect([status, json.code]).toEqual([403, "permission_missing"]);
      expect(json.detail).toContain("with an admin key of the instance");
    }
    expect((await events()).length).toBe(before);

    expect((await change("own-http", { version: 1, transport: { ...http, url: "https://b.test/" } }, key)).status).toBe(
      200,
    );
    expect((await change("its-stdio", { version: 1, status: "suspended" }, key)).status).toBe(200);
    expect((await change("its-stdio", { version: 2, transport: stdio }, plane.adminKey)).status).toBe(200);
  });

  test("a tenant's own key does not rename it, and so does not learn the names of others (I11)", async () => {
    const { json: tenant } = await plane.send("POST", "/v1/tenants", { body: { name: "renamed" } });
    const made = await plane.send("POST", "/v1/tenants/renamed/admin-keys", {
      body: { name: "k", permissions: ["*"] },
    });
    const key = made.json.key as string;
    const change = (body: object, as?: object) => plane.send("PATCH", `/v1/tenants/${tenant.id}`, { body, ...as });
    const before = (await events(tenant.id)).length;
    const answers = [];
    for (const name of ["default", plane.tenantId, "nobody", "renamed"]) {
      const { status, json } = await change({ version: 1, name }, { key });
      const { requestId: _, ...rest } = json;
      answers.push({ status, ...rest });
    }
    expect(answers[0]).toMatchObject({ status: 403, code: "permission_missing" });
    expect(answers[0]?.["detail"]).toContain("with an admin key of the instance");
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect((await events(tenant.id)).length).toBe(before);

    expect((await change({ version: 1, budgetNodesMax: 7 }, { key })).status).toBe(200);
    expect((await change({ version: 2, name: "default" })).json.code).toBe("name_taken");
    expect((await change({ version: 2, name: "renamed-again" })).status).toBe(200);
    expect((await plane.send("GET", "/v1/tenants/renamed-again", { key })).json.id).toBe(tenant.id);
  });

  test("a tenant's own key lowers its limits, and only a key of the instance raises them", async () => {
    const { json: tenant } = await plane.send("POST", "/v1/tenants", {
      body: { name: "bounded", tokenLifetimeMaxSeconds: 3_600 },
    });
    const made = await plane.send("POST", "/v1/tenants/bounded/admin-keys", {
      body: { name: "k", permissions: ["*"] },
    });
    const key = made.json.key as string;
    const change = (version: number, tokenLifetimeMaxSeconds: number, as?: object) =>
      plane.send("PATCH", `/v1/tenants/${tenant.id}`, { body: { version, tokenLifetimeMaxSeconds }, ...as });
    const before = (await events(tenant.id)).length;
    const raised = await change(1, 3_601, { key });
    expect([raised.status, raised.json.code]).toEqual([403, "permission_missing"]);
    expect(raised.json.detail).toContain("with an admin key of the instance");
    expect((await events(tenant.id)).length).toBe(before);

    expect((await change(1, 3_600, { key })).status).toBe(200);
    expect((await change(2, 60, { key })).json.tokenLifetimeMaxSeconds).toBe(60);
    // What it gave up it does not take back.
    expect((await change(3, 3_600, { key })).status).toBe(403);
    expect((await change(3, 7_200)).json.tokenLifetimeMaxSeconds).toBe(7_200);

    const nodes = (version: number, budgetNodesMax: number, as?: object) =>
      plane.send("PATCH", `/v1/tenants/${tenant.id}`, { body: { version, budgetNodesMax }, ...as });
    expect((await nodes(4, 1_001, { key })).json.detail).toContain("budgetNodesMax is at most (now 1000)");
    expect((await nodes(4, 10, { key })).status).toBe(200);
    expect((await nodes(5, 1_001)).json.budgetNodesMax).toBe(1_001);
  });

  test("of tenants that take one name at the same time one has it, whether they are made or renamed", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 6; index += 1) {
      const { json } = await plane.send("POST", "/v1/tenants", { body: { name: `contender-${index}` } });
      ids.push(json.id);
    }
    const made = Array.from({ length: 6 }, () => plane.send("POST", "/v1/tenants", { body: { name: "contended" } }));
    const renamed = ids.map((id) =>
      plane.send("PATCH", `/v1/tenants/${id}`, { body: { version: 1, name: "contended-again" } }),
    );
    for (const answers of [await Promise.all(made), await Promise.all(renamed)]) {
      const [first, ...others] = answers.map(({ status, json }) => json.code ?? status).sort();
      expect([200, 201]).toContain(first);
      expect(others).toEqual(others.map(() => "name_taken"));
    }
    const { json } = await plane.send("GET", "/v1/tenants?limit=500");
    const names = json.items.map(({ name }: { name: string }) => name);
    expect(names).toEqual([...new Set(names)]);
  });

  test("no tenant has a name of the form of an identifier, which would be taken for another's", async () => {
    const name = "019a0000-0000-7000-8000-00000000abcd";
    const { json: tenant } = await plane.send("POST", "/v1/tenants", { body: { name: "plainly-named" } });
    for (const { status, json } of [
      await plane.send("POST", "/v1/tenants", { body: { name } }),
      await plane.send("PATCH", `/v1/tenants/${tenant.id}`, { body: { version: 1, name } }),
    ]) {
      expect([status, json.code]).toEqual([400, "fault_request"]);
      expect(json.detail).toContain("the form of an identifier");
    }
  });

  test("the instance's kill switch belongs to the instance's keys and is seen by tenants", async () => {
    expect((await plane.send("PUT", "/v1/kill", { body: { reason: "drill" } })).status).toBe(200);
    expect((await plane.send("GET", `${T}/kill`)).text).toContain('"instance"');
    expect((await plane.send("DELETE", "/v1/kill")).status).toBe(204);
    expect((await plane.send("DELETE", "/v1/kill")).status).toBe(404);
    expect((await events(INSTANCE_TENANT)).at(-1)?.["event"]).toBe("kill.released");
  });
});

describe("queries", () => {
  test("lists come in pages that neither repeat nor skip", async () => {
    for (let index = 0; index < 7; index += 1) {
      await plane.send("POST", `${T}/principals`, { body: { name: `page ${index}`, type: "service" } });
    }
    const whole = (await plane.send("GET", `${T}/principals?limit=500`)).json.items.map(
      (one: { id: string }) => one.id,
    );
    const paged: string[] = [];
    for (let after = ""; ; ) {
      const { json } = await plane.send("GET", `${T}/principals?limit=3${after === "" ? "" : `&after=${after}`}`);
      paged.push(...json.items.map((one: { id: string }) => one.id));
      if (json.next === undefined) break;
      after = json.next;
    }
    expect(paged).toEqual(whole);
  });

  test("a call is explained stage by stage and leaves nothing behind", async () => {
    const before = (await events()).length;
    const { json: token } = await plane.send("POST", `${T}/tokens`, { body: { agent: "assistant" } });
    const body = { token: token.token, upstream: "everything", tool: "echo", argumentsText: '{"message":"hello"}' };
    const { json, status } = await plane.send("POST", `${T}/explain`, { body });
    expect(status).toBe(200);
    expect(json.stages[0]).toMatchObject({ stage: "verify", status: "passed" });
    expect(json.stages.some((stage: { status: string }) => stage.status === "denied")).toBe(json.decision === "deny");
    const at = token.token.length - 6;
    const other = token.token[at] === "A" ? "B" : "A";
    const altered = token.token.slice(0, at) + other + token.token.slice(at + 1);
    const forged = await plane.send("POST", `${T}/explain`, {
      body: { ...body, token: altered },
    });
    expect(forged.json.decision).toBe("deny");
    expect(forged.json.reasons[0]).toMatch(/^token_/);
    expect((await events()).length).toBe(before + 1);
  });

  test("budget usage lists every rule with its window", async () => {
    const body = { scope: "tenant", scopeId: "", unit: "calls", window: "day", limit: 5, mode: "hard" };
    const { json: budget } = await plane.send("POST", `${T}/budgets`, { body });
    const usage = (await plane.send("GET", `${T}/budgets/usage`)).json.items;
    expect(usage.find((one: { budgetId: string }) => one.budgetId === budget.id)).toMatchObject({ used: 0, limit: 5 });
  });

  test("events are read by page, by name and in order", async () => {
    const { json } = await plane.send("GET", `${T}/audit/events?limit=5`);
    expect(json.items.map((one: { sequence: number }) => one.sequence)).toEqual([1, 2, 3, 4, 5]);
    expect(json.next).toBe("5");
    const minted = await plane.send("GET", `${T}/audit/events?event=token.minted`);
    expect(minted.json.items.length).toBeGreaterThan(0);
    for (const one of minted.json.items) expect(one.event.event).toBe("token.minted");
  });
});

describe("input that nobody should send", () => {
  test("is never answered 500, whatever it is", async () => {
    const bodies = operations.filter(([, route]) => ["POST", "PUT", "PATCH"].includes(route.method));
    const odd = fc.oneof(
      fc.json(),
      fc.string(),
      fc.constantFrom(
        "",
        "{",
        "null",
        "[]",
        '{"a":1,"a":2}',
        '{"name":"\\ud800"}',
        "{}".repeat(3),
        '{"version":1e400}',
      ),
      fc
        .record({ name: fc.string(), type: fc.string(), reason: fc.string(), version: fc.double() })
        .map((value) => JSON.stringify(value)),
      fc
        .record({
          agent: fc.constant("assistant"),
          caveats: fc.array(fc.oneof(fc.string(), fc.dictionary(fc.string(), fc.jsonValue()))),
        })
        .map((value) => JSON.stringify(value)),
      fc
        .record({
          scope: fc.constant("agent"),
          scopeId: fc.string(),
          unit: fc.constant("calls"),
          window: fc.constant("day"),
          limit: fc.nat(),
          mode: fc.constant("hard"),
        })
        .map((value) => JSON.stringify(value)),
    );
    const part = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.constantFrom("..", "%00", "%2e%2e", "%", "a%2Fb", "\u0000", "'", "active"),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...bodies), odd, part, async ([operation, route], body, id) => {
        if (operation === "upstreams.pin" || operation === "root-keys.rotate") return;
        if (operation.endsWith("log.recover") || operation.includes("kill") || operation === "tenants.update") return;
        const path = pathOf(route).replace("00000000-0000-7000-8000-00000000ffff", () => {
          try {
            return encodeURIComponent(id);
          } catch {
            return "x"; // a lone surrogate cannot be in a URL
          }
        });
        const { status, json } = await plane.send(route.method, path, { body });
        expect(status, `${operation} ${path} ${body}`).toBeLessThan(500);
        if (status >= 400) expect(json.code, `${operation} ${body}`).toBeTypeOf("string");
      }),
      { numRuns: 300 },
    );
    expect((await plane.send("GET", T)).status).toBe(200);
  });

  test.each(["zzz", "-1", "1", "99999999999999999999", "00000000-0000-7000-8000-00000000FFFF'"])(
    "a place to go on from that no page named is refused or a place: after=%s",
    async (after) => {
      for (const [operation, route] of operations.filter(([, { method }]) => method === "GET")) {
        const { status } = await plane.send("GET", `${pathOf(route)}?after=${encodeURIComponent(after)}`);
        expect(status, operation).toBeLessThan(500);
      }
    },
  );

  test.each(["zzz", "-1", "1", "019a0000-0000-7000-8000-000000000000-1"])(
    "calls are listed from a call on, and %s is none",
    async (after) => {
      const { status, json } = await plane.send("GET", `${T}/calls/unknown?after=${after}`);
      expect([status, json.code]).toEqual([400, "fault_request"]);
      const from = (callId: string) => plane.send("GET", `${T}/calls/unknown?after=${callId}`);
      expect((await from("019a0000-0000-7000-8000-000000000000")).json).toEqual({ items: [] });
    },
  );

  test("numbers as text, unknown members and other media types are refused, not mended", async () => {
    const version = await plane.send("PATCH", T, { body: { version: "1", budgetNodesMax: 7 } });
    expect([version.status, version.json.code]).toEqual([400, "fault_request"]);
    const unknown = await plane.send("POST", `${T}/principals`, { body: { name: "x", type: "team", extra: 1 } });
    expect(unknown.status).toBe(400);
    const media = await plane.send("POST", `${T}/principals`, {
      body: "name=x",
      headers: { "content-type": "text/plain" },
    });
    expect(media.status).toBe(415);
    const nul = await plane.send("POST", `${T}/principals`, { body: { name: "a\u0000b", type: "team" } });
    expect([nul.status, nul.json.code]).toEqual([400, "fault_request"]);
    expect((await plane.send("GET", `${T}/agents/%00`)).status).toBe(400);
    const large = await plane.send("POST", `${T}/principals`, { body: { name: "x".repeat(2_000_000), type: "team" } });
    expect(large.status).toBe(413);
    const repeated = await plane.send("POST", `${T}/principals`, { body: '{"name":"x","name":"y","type":"team"}' });
    expect([repeated.status, repeated.json.code]).toEqual([400, "fault_json"]);
  });
});

describe("the log", () => {
  test("verifies whole and onwards, and its export verifies without us", async () => {
    await plane.control.signer.signDue(true);
    const whole = (await plane.send("GET", `${T}/audit/verify?full=true`)).json;
    expect(whole).toMatchObject({ status: "intact", fromSequence: 1 });
    expect(plane.lines.filter((line) => line.includes("a checkpoint could not be made"))).toEqual([]);
    expect(whole.checkpointsChecked).toBeGreaterThan(0);
    await plane.send("POST", `${T}/principals`, { body: { name: "later", type: "team" } });
    const onwards = (await plane.send("GET", `${T}/audit/verify`)).json;
    expect(onwards).toMatchObject({ status: "intact", fromSequence: whole.size + 1, size: whole.size + 1 });
    const exported = await plane.send("GET", `${T}/audit/export`);
    expect(exported.headers.get("content-type")).toBe("application/x-ndjson");
    const lines = exported.text.trimEnd().split("\n");
    const verdict = await verifyExport(
      (async function* () {
        yield* lines;
      })(),
      { verifierKeys: [plane.control.signer.verifierKey] },
    );
    expect(verdict.verdict.kind).toBe("intact");
    expect(verdict.start).toBe("genesis");
    expect((await plane.send("GET", `${T}/audit/checkpoints`)).json.items.at(-1).size).toBe(whole.size);
  });

  test("a row edited behind our back is named", async () => {
    await plane.control.signer.signDue(true);
    await plane.owner.transaction({ tenants: [plane.tenantId] }, (transaction) =>
      transaction.query(
        "UPDATE audit_event SET event = replace(event, 'principal.created', 'principal.updated') WHERE tenant_id = $1 AND sequence = 4",
        [plane.tenantId],
      ),
    );
    const { json } = await plane.send("GET", `${T}/audit/verify?full=true`);
    expect(json).toMatchObject({ status: "damaged", damage: { sequence: 4, kind: "mutated" } });
  });

  test("R-LOG-3 the signer does not sign a log that does not continue what it signed last", async () => {
    const other = (await plane.send("GET", "/v1/tenants/other")).json.id as string;
    const tamper = (text: string) =>
      plane.owner.transaction({ tenants: [other] }, (transaction) => transaction.query(text, [other]));
    const add = (name: string) => plane.send("POST", "/v1/tenants/other/principals", { body: { name, type: "team" } });
    const signed = async () => (await plane.send("GET", "/v1/tenants/other/audit/checkpoints")).json.items.length;
    await plane.control.signer.signDue(true);
    const before = await signed();
    await add("one");
    const leafOf = "(SELECT max(sequence) FROM audit_event WHERE tenant_id = $1)";
    await tamper(`UPDATE audit_event SET leaf = sha256(leaf) WHERE tenant_id = $1 AND sequence = ${leafOf}`);
    await plane.control.signer.signDue(true);
    expect(await signed()).toBe(before);
    expect(plane.control.signer.refusal(other, 1)).toBe("inconsistent");
    // What it says of one epoch it does not say of the one that an administrator opens behind it.
    expect(plane.control.signer.refusal(other, 2)).toBeUndefined();
    expect((await plane.send("GET", "/v1/tenants/other/audit/verify")).json.status).toBe("damaged");

    // What was refused of the old epoch is not held against the new one, even before that is signed.
    const { json } = await plane.send("POST", "/v1/tenants/other/log/recover", { body: { reason: "restored" } });
    expect((await plane.send("GET", "/v1/tenants/other/audit/verify")).json).toMatchObject({
      status: "intact",
      epoch: json.epoch,
    });
    expect((await plane.send("GET", "/v1/tenants/other/audit/verify?epoch=1")).json.status).toBe("damaged");
  });

  test("a new epoch opens with the kill switch on", async () => {
    const { json, status } = await plane.send("POST", `${T}/log/recover`, { body: { reason: "restored" } });
    expect([status, json.epoch]).toEqual([200, 2]);
    expect((await plane.send("GET", `${T}/kill`)).text).toContain("restored");
    expect((await plane.send("GET", `${T}/audit/verify`)).json).toMatchObject({ status: "intact", epoch: 2 });
  });

  test("a new epoch lies behind every one that was signed or that the caller names", async () => {
    const { id } = (await plane.send("POST", "/v1/tenants", { body: { name: "restored" } })).json;
    const recover = (body: object) =>
      plane.send("POST", "/v1/tenants/restored/log/recover", { body: { reason: "restored", ...body } });
    expect((await recover({ epochAfter: 6 })).json).toMatchObject({ epoch: 7, previousEpoch: 1 });
    await plane.control.signer.signDue(true);
    // The database is put back to where it was before that epoch; the signer remembers it.
    await plane.owner.transaction({ tenants: [id] }, async (transaction) => {
      await transaction.query("ALTER TABLE tenant_head DISABLE TRIGGER head_only_grows");
      await transaction.query("UPDATE tenant_head SET epoch = 3 WHERE tenant_id = $1", [id]);
      await transaction.query("ALTER TABLE tenant_head ENABLE TRIGGER head_only_grows");
    });
    expect((await recover({ epochAfter: 4 })).json).toMatchObject({ epoch: 8, previousEpoch: 3 });
    expect((await recover({ epochAfter: 0 })).status).toBe(400);
    expect((await recover({ epochAfter: 1_000_000 })).status).toBe(400);
  });

  test("the instance's own log is read, verified and exported with a key of the instance that may read logs", async () => {
    const made = await plane.send("POST", "/v1/admin-keys", { body: { name: "auditor", permissions: ["audit:read"] } });
    const key = made.json.key as string;
    const read = async (path: string) => plane.send("GET", `/v1/audit/${path}`, { key });
    await plane.control.signer.signDue(true);
    const { items } = (await read("events?event=admin_key.created")).json;
    expect(items.at(-1).event).toMatchObject({ tenant: INSTANCE_TENANT, permissions: ["audit:read"] });
    const { size } = (await read("checkpoints")).json.items.at(-1);
    expect((await read("verify?full=true")).json).toMatchObject({ status: "intact", fromSequence: 1, size });
    const lines = (await read("export")).text.trimEnd().split("\n");
    const { verdict, tenantId } = await verifyExport(
      (async function* () {
        yield* lines;
      })(),
      { verifierKeys: [plane.control.signer.verifierKey] },
    );
    expect([verdict.kind, verdict.coverage.entries, tenantId]).toEqual(["intact", size, INSTANCE_TENANT]);

    const other = (await plane.send("POST", "/v1/admin-keys", { body: { name: "k", permissions: ["kill:read"] } }))
      .json;
    for (const path of ["events", "verify", "export", "checkpoints"]) {
      const { status, json } = await plane.send("GET", `/v1/audit/${path}`, { key: other.key });
      expect([status, json.code], path).toEqual([403, "permission_missing"]);
    }

    const { sequence } = items.at(-1);
    const edit = (from: string, to: string) =>
      plane.owner.transaction({ tenants: [INSTANCE_TENANT] }, (transaction) =>
        transaction.query(
          "UPDATE audit_event SET event = replace(event, $2, $3) WHERE tenant_id = $1 AND sequence = $4",
          [INSTANCE_TENANT, from, to, sequence],
        ),
      );
    await edit("audit:read", "kill:read!");
    const damage = { sequence, kind: "mutated" };
    expect((await read("verify?full=true")).json).toMatchObject({ status: "damaged", damage });
    await edit("kill:read!", "audit:read");
    expect((await read("verify?full=true")).json.status).toBe("intact");
  });

  test("the instance's log has epochs of its own", async () => {
    const { json, status } = await plane.send("POST", "/v1/log/recover", { body: { reason: "restored" } });
    expect([status, json.epoch, json.previousEpoch]).toEqual([200, 2, 1]);
    expect((await plane.send("GET", "/v1/kill")).text).toContain("restored");
    expect((await plane.send("DELETE", "/v1/kill")).status).toBe(204);
    expect((await plane.send("GET", "/v1/audit/verify")).json).toMatchObject({ status: "intact", epoch: 2 });
    expect((await plane.send("GET", "/v1/audit/verify?epoch=1")).json).toMatchObject({ status: "intact", epoch: 1 });
  });
});

describe("the first start", () => {
  test("made once, is found by every later one", async () => {
    const again = await plane.control.bootstrap({
      starter: { upstream: { type: "stdio", command: "/bin/false", args: [], env: {} } },
    });
    expect(again.adminKey).toBeUndefined();
    expect(again.starter?.token).toBeUndefined();
    expect(again.starter?.tenantId).toBe(plane.tenantId);
    expect(again.starter?.agentId).not.toBe("");
  });
});
