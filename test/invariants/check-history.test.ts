/** The checker itself: it is content with a history as Writ leaves it, and names each way of tampering with one. */
import type { Database } from "@writ/db";
import { freshDatabase, sharedPostgres } from "@writ/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeRandom } from "../crash/random.ts";
import { makeRig, type Rig, until } from "../crash/rig.ts";
import { type CheckHistoryOptions, checkHistory } from "./check-history.ts";

/** The tenant of a first start. */
const TENANT = "00000000-0000-7000-8000-000000000001";

let rig: Rig;
let db: Database;
let whole: CheckHistoryOptions;

beforeAll(async () => {
  rig = await makeRig({ random: makeRandom(3), databaseUrl: await freshDatabase(await sharedPostgres()) });
  db = await rig.openHistory();
  const carver = await makeCarver();
  const load = rig.load({ tokens: [rig.limitedToken(20), rig.limitedToken(20), rig.token, rig.token, carver] });
  await until("there is a history", 20_000, () => load.told.length > 200);
  await load.stop();
  const report = await rig.check({ drained: true });
  expect(report.problems).toEqual([]);
  expect(report.given).toBeGreaterThan(0);
  whole = { db, ...rig.inputs(), drained: true };
});

afterAll(async () => {
  await db?.close();
  await rig?.dispose();
});

/** A token with a limit of calls, a part of which was set aside for a child and came back. */
async function makeCarver(): Promise<string> {
  const { token } = (await rig.admin("POST", "/tokens", {
    agent: "assistant",
    caveats: [{ calls: { limit: 20, window: "total" } }],
    expiresInSeconds: 80_000,
    label: "carver",
  })) as { readonly token: string }; // an answer of the admin API
  const response = await fetch(`${rig.writ().gatewayUrl}/v1/tokens/attenuate`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ carve: [{ unit: "calls", window: "total", amount: 15 }] }),
  });
  expect(response.status).toBe(201);
  const { node } = (await response.json()) as { readonly node: string }; // an answer of the gateway
  await rig.admin("POST", `/nodes/${node}/revoke`, { reason: "a test" });
  await until("what was set aside has come back", 20_000, async () => {
    const left = await db.transaction({ tenants: [TENANT], readOnly: true }, (q) => q.query("SELECT node FROM carve"));
    return left.length === 0;
  });
  return token;
}

const problems = async (changed: Partial<CheckHistoryOptions>): Promise<string> =>
  (await checkHistory({ ...whole, ...changed })).problems.join("\n");

describe("a check of a history names", () => {
  test("a call that was forwarded and not allowed", async () => {
    const forwarded = [...whole.forwarded, { argumentsText: '{"message":"nobody allowed this"}' }];
    expect(await problems({ forwarded })).toContain("no entry allows it");
  });

  test("a call that was forwarded twice", async () => {
    const forwarded = [...whole.forwarded, ...whole.forwarded.slice(0, 1)];
    expect(await problems({ forwarded })).toContain("was forwarded 2 times");
  });

  test("a completed call that was never forwarded", async () => {
    const answered = whole.told.find((told) => told.kind === "answered");
    if (answered?.kind !== "answered") throw new Error("the load had no answer");
    const forwarded = whole.forwarded.filter((call) => call.argumentsText !== answered.argumentsText);
    expect(await problems({ forwarded })).toContain("is completed, and was not forwarded");
  });

  test("an answer that no entry allows", async () => {
    const callId = "01900000-0000-7000-8000-000000000000";
    const told = [...whole.told, { kind: "answered", callId, argumentsText: "{}" } as const];
    expect(await problems({ told })).toContain("was answered, and no entry allows it");
  });

  test("a denial that is not on record", async () => {
    const callId = "01900000-0000-7000-8000-000000000001";
    const told = [...whole.told, { kind: "refused", callId, reason: "policy_denied" } as const];
    expect(await problems({ told })).toContain("is not on record");
  });

  test("a decision that was given, and is not on record", async () => {
    const callId = "01900000-0000-7000-8000-000000000002";
    expect(await problems({ told: [...whole.told, { kind: "given", callId }] })).toContain("is not on record");
  });

  /** Changes what only the owner of the tables could, inside a transaction that is rolled back. */
  async function tampered(statement: string): Promise<string> {
    const undo = new Error("undo");
    let text = "";
    const tenants = [TENANT, "00000000-0000-0000-0000-000000000000"];
    await db
      .transaction({ tenants }, async (transaction) => {
        await transaction.query(statement);
        // The check runs inside: its own transactions become parts of this one.
        const inside: Database = {
          ...whole.db,
          engine: "postgres",
          query: (sql, values) => transaction.query(sql, values),
          transaction: (_options, work) => work(transaction),
        };
        text = await problems({ db: inside });
        throw undo;
      })
      .catch((error: unknown) => {
        if (error !== undo) throw error;
      });
    return text;
  }

  test.each([
    [
      `INSERT INTO open_call SELECT b.tenant_id, b.tenant_id, b.tenant_id, 0, 'open', b.counter, ARRAY[b.window_start], '{1}'
        FROM budget_charge b LIMIT 1`,
      "still reserved",
    ],
    ["UPDATE budget_charge SET charged = charged + 1", "the log"],
    [
      `DELETE FROM idempotency_key WHERE call_id = (SELECT max(call_id::text) FROM idempotency_key)::uuid`,
      "under an idempotency key that it does not have",
    ],
    [
      `INSERT INTO idempotency_key SELECT tenant_id, sha256(key), tenant_id, taken_us FROM idempotency_key LIMIT 1`,
      "the log knows of none",
    ],
    [
      `DELETE FROM audit_event WHERE sequence =
        (SELECT max(sequence) FROM audit_event WHERE event LIKE '%"decision.given"%')`,
      "unknown, the log",
    ],
    [
      `DELETE FROM audit_event WHERE sequence =
        (SELECT max(sequence) FROM audit_event WHERE event LIKE '%"call.completed"%')`,
      "has no outcome",
    ],
    ["DELETE FROM audit_event WHERE sequence = 30", "removed_middle"],
    ["UPDATE audit_event SET event = event || ' ' WHERE sequence = 60", "mutated"],
    [
      `INSERT INTO open_call SELECT tenant_id, tenant_id, tenant_id, 0, 'open', '', '{}', '{}'
        FROM audit_event WHERE salt IS NOT NULL LIMIT 1`,
      "is still open",
    ],
    [
      "INSERT INTO gateway_lease VALUES ('01900000-0000-7000-8000-000000000000', 0, 0, 9000000000000000)",
      "still has a lease",
    ],
  ])("what is left by %s", async (statement, problem) => {
    expect(await tampered(statement)).toContain(problem);
  });
});
