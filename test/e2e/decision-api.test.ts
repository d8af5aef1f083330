/**
 * The decision API, asked over real sockets: what it answers is what the call itself would have met at the other doors,
 * it is on record before it is answered, and nothing reaches an upstream.
 */
import type { BudgetCreate } from "@writ/contract/admin";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LoggedEvent, type Rig, startRig, statelessCall, TENANT } from "./rig.ts";

let rig: Rig;
let agentId: string;
let principal: string;

beforeAll(async () => {
  rig = await startRig();
  const agent = await rig.admin.call("agents.get", { params: { tenant: TENANT, id: "assistant" } });
  agentId = agent.id;
  principal = agent.principalId;
});
afterAll(async () => {
  await rig?.close();
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape and compare them
  readonly json: any;
}

async function ask(
  path: string,
  token: string | undefined,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(`${rig.writ.gatewayUrl}${path}`, {
    method: "POST",
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      "content-type": "application/json",
      ...headers,
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, json: await response.json() };
}

function question(tool: string, args: unknown = { message: "hi" }, subject = agentId): Record<string, unknown> {
  return {
    subject: { type: "agent", id: subject },
    action: { name: "tool.call" },
    resource: { type: "tool", id: `up/${tool}` },
    context: { arguments: args },
  };
}

interface Limits {
  readonly rates?: readonly {
    readonly scope: "agent" | "endpoint" | "tenant";
    readonly scopeId: string;
    readonly limit: number;
  }[];
  readonly budgets?: readonly (Omit<BudgetCreate, "mode"> & { readonly mode: "hard" | "soft" })[];
  readonly caveats?: readonly Readonly<Record<string, unknown>>[];
  readonly nodesMax?: number;
}

/** What an answer says of why not, without what names one call of its own, and how long it says to wait. */
function told({ status, headers, json }: Answer) {
  const { callId: _, instance: __, retryAfterSeconds = 0, ...rest } = { ...json, ...json.context };
  const { context: ___, ...own } = rest;
  const said = {
    status,
    retries: headers.has("retry-after"),
    reason: json.decision === true ? undefined : (own.id ?? own.reason),
  };
  return { said: { ...said, own: json.decision === true ? {} : own }, waitSeconds: Number(retryAfterSeconds) };
}

const evaluate = (token: string | undefined, body: unknown, headers?: Readonly<Record<string, string>>) =>
  ask("/access/v1/evaluation", token, body, headers);

async function eventsOf(callId: string): Promise<readonly LoggedEvent[]> {
  return (await rig.events()).filter(({ fields }) => fields["callId"] === callId);
}

describe("a question of an agent about itself", () => {
  test("is answered yes once the decision is on record, and nothing is sent or left open", async () => {
    const token = await rig.mint();
    const before = rig.upstream.calls.length;
    const answer = await evaluate(token, question("echo", { message: "hi" }));
    expect(answer.status).toBe(200);
    expect(answer.json.decision).toBe(true);
    const events = await eventsOf(answer.json.context.callId);
    expect(events.map(({ name }) => name)).toEqual(["decision.given"]);
    expect(events[0]?.fields).toMatchObject({ agentId, protocol: "decision", tool: "echo", upstream: "up" });
    expect(rig.upstream.calls.length).toBe(before);
  });

  test.each([
    ["a rule that denies the arguments", "echo", { message: "secret" }, [], "policy_denied"],
    ["a hidden tool", "die", {}, [], "tool_unknown"],
    ["a tool that does not exist", "nothing", {}, [], "tool_unknown"],
    [
      "a caveat on the arguments",
      "echo",
      { message: "x" },
      [{ args: { "up/echo": { "/message": { eq: "y" } } } }],
      "caveat_args",
    ],
    ["a caveat on the tools", "echo", { message: "x" }, [{ tools: ["up/other"] }], "tool_unknown"],
    ["a caveat on the actions", "echo", { message: "x" }, [{ actions: ["tool.list"] }], "caveat_action"],
    ["a budget that is spent", "echo", { message: "x" }, [{ calls: 0 }], "budget_exhausted"],
  ])("is answered no with the reason that the call itself meets: %s", async (_name, tool, args, caveats, reason) => {
    const token = await rig.mint(caveats);
    const { body, headers } = statelessCall(tool, args);
    const called = await rig.post("up", token, body, headers);
    const answer = await evaluate(token, question(tool, args));
    expect(answer.json).toMatchObject({ decision: false, context: { id: reason } });
    const error = JSON.parse(called.text).error;
    // Over MCP what is hidden is an unknown tool, in MCP's own words.
    expect(error.data?.reason ?? (error.message.startsWith("Unknown tool") ? "tool_unknown" : error.message)).toBe(
      reason,
    );
    const [event] = await eventsOf(answer.json.context.callId);
    expect(event?.name).toBe("call.decided");
    expect(event?.fields).toMatchObject({ decision: "deny", protocol: "decision" });
  });

  test("uses up calls, as the call itself does, and never more of them than there are", async () => {
    const token = await rig.mint([{ calls: 3 }]);
    const asked = Array.from({ length: 10 }, () => evaluate(token, question("echo", { message: "x" })));
    const answers = await Promise.all(asked);
    expect(answers.filter(({ json }) => json.decision === true)).toHaveLength(3);
    const { body, headers } = statelessCall("echo", { message: "x" });
    expect(JSON.parse((await rig.post("up", token, body, headers)).text).error.data.reason).toBe("budget_exhausted");
  });

  test("uses up nothing when its action is none that is charged", async () => {
    const token = await rig.mint([{ calls: 1 }]);
    const list = {
      subject: { type: "agent", id: agentId },
      action: { name: "tool.list" },
      resource: { type: "catalogue", id: "up" },
    };
    for (let count = 0; count < 3; count += 1) expect((await evaluate(token, list)).json.decision).toBe(true);
    expect((await evaluate(token, question("echo", { message: "x" }))).json.decision).toBe(true);
  });

  test("is denied for any other subject, whether or not there is one", async () => {
    const token = await rig.mint();
    const other = await rig.admin.call("agents.create", {
      params: { tenant: TENANT },
      body: { name: `other-${Date.now()}`, principal },
    });
    for (const id of [other.id, "00000000-0000-7000-8000-000000000000", "assistant"]) {
      const answer = await evaluate(token, question("echo", { message: "x" }, id));
      expect(answer.json).toMatchObject({ decision: false, context: { id: "access_subject" } });
    }
  });

  test("after a revocation has returned is never answered yes", async () => {
    const { token, node } = await rig.admin.call("tokens.mint", {
      params: { tenant: TENANT },
      body: { agent: "assistant" },
    });
    expect((await evaluate(token, question("echo"))).json.decision).toBe(true);
    await rig.admin.call("nodes.revoke", { params: { tenant: TENANT, node }, body: { reason: "test" } });
    const answer = await evaluate(token, question("echo"));
    expect(answer.status).toBe(401);
    expect(answer.json.reason).toBe("token_revoked");
  });

  test("is answered 429 once its denials are too many, and the log holds the first twenty", async () => {
    const token = await rig.mint([{ tools: ["up/other"] }]);
    // The gateway knows the token once it has been used.
    const list = { action: { name: "tool.list" }, resource: { type: "catalogue", id: "up" } };
    await evaluate(token, { subject: { type: "agent", id: agentId }, ...list });
    const answers: Answer[] = [];
    for (let count = 0; count < 25; count += 1) answers.push(await evaluate(token, question(`invented-${count}`)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(5);
    expect(answers.at(-1)?.headers.get("retry-after")).toMatch(/^[1-9]/);
  });
});

describe("a request that is not a question", () => {
  test.each([
    ["a subject of another kind", { subject: { type: "user", id: "a" } }],
    ["properties, which nothing would judge", { subject: { type: "agent", id: "a", properties: {} } }],
    ["an action that is unknown", { action: { name: "tool.destroy" } }],
    ["an action that is decided where it is recorded", { action: { name: "token.attenuate" } }],
    ["a resource of another kind than the action's", { resource: { type: "catalogue", id: "up" } }],
    ["a tool of no upstream", { resource: { type: "tool", id: "echo" } }],
    ["a context that nothing would judge", { context: { time: "2026-01-01T00:00:00Z" } }],
    ["arguments that are a list", { context: { arguments: [] } }],
    ["an unknown member", { extra: 1 }],
  ])("is refused, not decided: %s", async (_name, change) => {
    const answer = await evaluate(await rig.mint(), { ...question("echo"), ...change });
    expect(answer.status).toBe(400);
    expect(answer.json.reason).toBe("fault_params");
  });

  test("is refused for JSON with two readings and for a media type of its own", async () => {
    const token = await rig.mint();
    const text = JSON.stringify(question("echo"));
    expect((await evaluate(token, text.replace("{", '{"subject":{"type":"agent","id":"x"},'))).json.reason).toBe(
      "fault_json",
    );
    expect((await evaluate(token, text, { "content-type": "text/plain" })).status).toBe(415);
  });

  test("is turned away without a credential, or with an invented one (trap-37)", async () => {
    for (const token of [undefined, "writ_invented", "wadm_invented", `wpep_${"A".repeat(86)}`, rig.writ.adminKey]) {
      const answer = await evaluate(token, question("echo"));
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer /);
    }
  });
});

describe("the protocol", () => {
  test("gives every answer the identifier of its request, errors included", async () => {
    const token = await rig.mint();
    const id = { "x-request-id": "bfe9eb29-ab87" };
    for (const [credential, body] of [
      [token, question("echo")],
      [token, {}],
      [undefined, question("echo")],
    ] as const) {
      expect((await evaluate(credential, body, id)).headers.get("x-request-id")).toBe("bfe9eb29-ab87");
    }
  });

  test("describes itself where the specification says", async () => {
    const url = rig.writ.gatewayUrl;
    const response = await fetch(`${url}/.well-known/authzen-configuration`);
    expect(await response.json()).toEqual({
      policy_decision_point: url,
      access_evaluation_endpoint: `${url}/access/v1/evaluation`,
      access_evaluations_endpoint: `${url}/access/v1/evaluations`,
    });
  });

  const MEMBERS = ["echo", "nothing", "echo"].map((tool) => ({ resource: { type: "tool", id: `up/${tool}` } }));
  test.each([
    [undefined, [true, false, true]],
    ["execute_all", [true, false, true]],
    ["deny_on_first_deny", [true, false]],
    ["permit_on_first_permit", [true]],
  ])("answers several questions as the semantics %s says", async (semantics, expected) => {
    const { resource: _, ...shared } = question("echo");
    const options = semantics === undefined ? {} : { options: { evaluations_semantic: semantics } };
    const answer = await ask("/access/v1/evaluations", await rig.mint(), {
      ...shared,
      ...options,
      evaluations: MEMBERS,
    });
    expect(answer.json.evaluations.map(({ decision }: { decision: boolean }) => decision)).toEqual(expected);
  });

  test("says in its place what keeps one of several from being decided, which is a no", async () => {
    const evaluations = [{}, { action: { name: "tool.destroy" } }];
    const answer = await ask("/access/v1/evaluations", await rig.mint(), { ...question("echo"), evaluations });
    expect(answer.json.evaluations[0].decision).toBe(true);
    expect(answer.json.evaluations[1]).toMatchObject({ decision: false, context: { error: { status: 400 } } });
  });

  test("takes at most 20 questions at once, none unknown, and one without a list as a single question", async () => {
    const token = await rig.mint();
    const many = (count: number) => ({ ...question("echo"), evaluations: Array.from({ length: count }, () => ({})) });
    expect((await ask("/access/v1/evaluations", token, many(20))).json.evaluations).toHaveLength(20);
    expect((await ask("/access/v1/evaluations", token, many(21))).status).toBe(400);
    const unknown = { ...question("echo"), options: { evaluations_semantic: "guess" } };
    expect((await ask("/access/v1/evaluations", token, unknown)).status).toBe(400);
    expect((await ask("/access/v1/evaluations", token, question("echo"))).json.decision).toBe(true);
  });
});

describe("an enforcement point", () => {
  const PARAMS = { tenant: TENANT };

  async function makePoint(change: Readonly<Record<string, unknown>> = {}): Promise<{ id: string; key: string }> {
    const body = { name: `point-${Math.random()}`, agents: ["assistant"], actions: ["tool.call"], upstreams: ["up"] };
    // A test leaves out or replaces members of a whole body.
    const made = await rig.admin.call("enforcement-points.create", {
      params: PARAMS,
      body: { ...body, ...change } as Parameters<typeof rig.admin.call<"enforcement-points.create">>[1]["body"],
    });
    return { id: made.view.id, key: made.key };
  }

  test("asks for an agent of its set, whose policy decides, and whose budgets are charged", async () => {
    const { id, key } = await makePoint();
    const yes = await evaluate(key, question("echo"));
    expect(yes.json.decision).toBe(true);
    const [given] = await eventsOf(yes.json.context.callId);
    expect(given?.name).toBe("decision.given");
    expect(given?.fields).toMatchObject({ agentId, enforcementPoint: id });
    expect(given?.fields["node"]).toBeUndefined();
    const no = await evaluate(key, question("echo", { message: "secret" }));
    expect(no.json).toMatchObject({ decision: false, context: { id: "policy_denied" } });
    const limit = { scope: "agent", scopeId: agentId, unit: "calls", window: "total", mode: "hard" } as const;
    const budget = await rig.admin.call("budgets.create", { params: PARAMS, body: { ...limit, limit: 2 } });
    try {
      const asked = Array.from({ length: 5 }, () => evaluate(key, question("echo")));
      const decisions = (await Promise.all(asked)).map(({ json }) => json.decision ?? json);
      expect(decisions.filter((decision) => decision === true)).toHaveLength(2);
    } finally {
      await rig.admin.call("budgets.remove", {
        params: { tenant: TENANT, id: budget.id },
        query: { version: budget.version },
      });
    }
  });

  test("is denied for an agent outside its set exactly as for one that does not exist, and the log has neither's name", async () => {
    const { key } = await makePoint();
    const other = await rig.admin.call("agents.create", { params: PARAMS, body: { name: "outsider", principal } });
    const answers: Answer[] = [];
    for (const id of [other.id, "01970000-0000-7000-8000-00000000dead"]) {
      const answer = await evaluate(key, question("echo", { message: "x" }, id));
      answers.push({ ...answer, json: { ...answer.json, context: { ...answer.json.context, callId: "" } } });
      const [event] = await eventsOf(answer.json.context.callId);
      expect(event?.line).not.toContain(id);
    }
    expect(answers[0]?.json).toEqual(answers[1]?.json);
    expect(answers[0]?.status).toBe(answers[1]?.status);
    expect(answers[0]?.json.context.id).toBe("agent_inactive");
  });

  test("speaks for the agents of a principal of its set, also for those that come later", async () => {
    const { key } = await makePoint({ agents: undefined, principals: [principal] });
    const later = await rig.admin.call("agents.create", { params: PARAMS, body: { name: "later", principal } });
    expect((await evaluate(key, question("echo", { message: "x" }, later.id))).json.decision).toBe(true);
  });

  test("is denied what it may not ask about, and what its agent may not do any more", async () => {
    const { key } = await makePoint();
    const list = { action: { name: "tool.list" }, resource: { type: "catalogue", id: "up" } };
    expect((await evaluate(key, { ...question("echo"), context: {}, ...list })).json.context.id).toBe("point_question");
    const elsewhere = { ...question("echo"), resource: { type: "tool", id: "everything/echo" } };
    expect((await evaluate(key, elsewhere)).json.context.id).toBe("point_question");
    await rig.admin.call("kill.engage", {
      params: { tenant: TENANT, scope: "agent", scopeId: agentId },
      body: { reason: "test" },
    });
    expect((await evaluate(key, question("echo"))).json.context.id).toBe("kill_engaged");
    await rig.admin.call("kill.release", { params: { tenant: TENANT, scope: "agent", scopeId: agentId } });
  });

  test("gets no decision any more once its key is revoked, and not one after the revocation has returned", async () => {
    const { id, key } = await makePoint();
    const given: boolean[] = [];
    let isRevoked = false;
    const asking = Array.from({ length: 4 }, async () => {
      for (let count = 0; count < 60; count += 1) {
        const isLate = isRevoked;
        const { json } = await evaluate(key, question("echo"));
        if (isLate) given.push(json.decision === true);
      }
    });
    await rig.admin.call("enforcement-points.revoke", { params: { tenant: TENANT, id } });
    isRevoked = true;
    await Promise.all(asking);
    expect(given.length).toBeGreaterThan(0);
    expect(given).not.toContain(true);
    // Where it is looked for too often, even that is not said any more.
    expect([401, 503]).toContain((await evaluate(key, question("echo"))).status);
  });

  test("has a key for the data listener alone, as administrators have one for the other", async () => {
    const { key } = await makePoint();
    const { body, headers } = statelessCall("echo", { message: "x" });
    expect((await rig.post("up", key, body, headers)).status).toBe(401);
    const control = (bearer: string) =>
      fetch(`${rig.writ.adminUrl}/v1/tenants`, { headers: { authorization: `Bearer ${bearer}` } });
    expect((await control(key)).status).toBe(401);
    expect((await control(key.replace("wpep_", "wadm_"))).status).toBe(401);
    expect((await evaluate(rig.writ.adminKey, question("echo"))).status).toBe(401);
    expect((await evaluate(rig.writ.adminKey.replace("wadm_", "wpep_"), question("echo"))).status).toBe(401);
  });

  test("is listed without its key, which is stored as a hash and written nowhere else", async () => {
    const { id, key } = await makePoint();
    const { items } = await rig.admin.call("enforcement-points.list", { params: PARAMS, query: { limit: 500 } });
    const shown = items.find((item) => item.id === id);
    expect(shown).toMatchObject({ agents: [agentId], actions: ["tool.call"], upstreams: ["up"] });
    expect(JSON.stringify(items)).not.toContain(key.slice(-20));
    for (const { line } of await rig.events()) expect(line).not.toContain(key.slice(-20));
  });

  test("cannot be made without saying for whom, nor for whom there is not", async () => {
    await expect(makePoint({ agents: [] })).rejects.toMatchObject({ code: "fault_request" });
    await expect(makePoint({ agents: ["nobody"] })).rejects.toMatchObject({ code: "reference_unknown" });
    await expect(makePoint({ upstreams: ["nowhere"] })).rejects.toMatchObject({ code: "reference_unknown" });
  });
});

describe("a preview", () => {
  const preview = (token: string | undefined, body: unknown) => ask("/v1/preview", token, body);

  test.each([
    ["a call that would be allowed", "echo", { message: "x" }, []],
    ["a rule that denies the arguments", "echo", { message: "secret" }, []],
    ["a hidden tool", "die", {}, []],
    ["a tool that does not exist", "nothing", {}, []],
    ["a caveat on the actions", "echo", { message: "x" }, [{ actions: ["tool.list"] }]],
    ["a caveat on the arguments", "echo", { message: "x" }, [{ args: { "up/echo": { "/message": { eq: "y" } } } }]],
  ])("says what the decision says, and puts nothing on record: %s", async (_name, tool, args, caveats) => {
    const token = await rig.mint(caveats);
    const before = (await rig.events()).filter(({ fields }) => fields["callId"] !== undefined).length;
    const previewed = await preview(token, question(tool, args));
    const after = (await rig.events()).filter(({ fields }) => fields["callId"] !== undefined).length;
    expect(after).toBe(before);
    const decided = await evaluate(token, question(tool, args));
    expect(previewed.json.decision).toBe(decided.json.decision);
    const { callId: _, ...told } = decided.json.context;
    expect(previewed.json.context).toEqual(decided.json.decision === true ? undefined : told);
  });

  test("uses up nothing, however often it is asked for", async () => {
    const token = await rig.mint([{ calls: 1 }]);
    for (let count = 0; count < 5; count += 1) {
      expect((await preview(token, question("echo"))).json.decision).toBe(true);
    }
    expect((await evaluate(token, question("echo"))).json.decision).toBe(true);
  });

  test("says that a budget is spent which the call would be charged to, and commits nothing", async () => {
    const token = await rig.mint([{ calls: 1 }, { budget: { unit: "credits", window: "day", limit: 1 } }]);
    expect((await evaluate(token, question("echo"))).json.decision).toBe(true);
    const before = (await rig.events()).length;
    const { json } = await preview(token, question("echo"));
    const spent = { id: "budget_exhausted", reason_user: { en: expect.any(String) }, help: expect.any(String) };
    expect(json).toEqual({ decision: false, context: { ...spent, check: "budget", remaining: 0 } });
    expect((await rig.events()).length).toBe(before);
    const { callId: _, ...decided } = (await evaluate(token, question("echo"))).json.context;
    expect(decided).toEqual(json.context);
  });

  // Rates and rules of budgets that are gone after the test; the first call takes what there is.
  const agent = { scope: "agent", scopeId: "assistant" } as const;
  const BUDGET = { unit: "calls", window: "day", limit: 1, mode: "hard" } as const;
  test.each([
    ["rate_agent", { rates: [{ ...agent, limit: 1 }] }],
    ["rate_endpoint", { rates: [{ scope: "endpoint", scopeId: "up", limit: 1 }] }],
    ["rate_tenant", { rates: [{ scope: "tenant", scopeId: "", limit: 1 }] }],
    ["rate_token", { caveats: [{ rate: { limit: 1, per: "hour" } }] }],
    // A rate is met before a budget.
    ["rate_token", { caveats: [{ rate: { limit: 1, per: "hour" } }, { calls: 1 }] }],
    ["budget_exhausted", { caveats: [{ calls: 1 }, { budget: { unit: "calls", window: "hour", limit: 1 } }] }],
    ["budget_exhausted", { caveats: [{ calls: 2 }, { calls: 1 }] }],
    ["budget_exhausted", { budgets: [{ ...BUDGET, ...agent }], caveats: [{ calls: 1 }] }],
    ["budget_exhausted", { budgets: [{ ...BUDGET, scope: "principal", scopeId: "local" }] }],
    ["budget_exhausted", { budgets: [{ ...BUDGET, scope: "tool", scopeId: "up/echo" }] }],
    ["budget_exhausted", { budgets: [{ ...BUDGET, scope: "upstream", scopeId: "up" }] }],
    ["budget_exhausted", { budgets: [{ ...BUDGET, scope: "tenant", scopeId: "" }] }],
    // Of budgets that deny nothing nobody is told.
    [undefined, { budgets: [{ ...BUDGET, ...agent, mode: "soft" }] }],
    // One counter has room, and the second is one too many for the token.
    ["budget_nodes", { nodesMax: 1, caveats: [{ calls: 9 }, { budget: { unit: "calls", window: "day", limit: 9 } }] }],
  ] as const)(
    "says of rates and budgets what the call meets next, and takes nothing: %s %j",
    async (reason, limits) => {
      const { rates = [], budgets = [], caveats = [], nodesMax } = limits as Limits; // each case has some of them
      const params = { tenant: TENANT };
      const { admin } = rig;
      const tenant = await admin.call("tenants.get", { params });
      if (nodesMax !== undefined) {
        const body = { version: tenant.version, budgetNodesMax: nodesMax };
        await admin.call("tenants.update", { params, body });
      }
      const made = { rates: [] as { id: string; version: number }[], budgets: [] as { id: string; version: number }[] };
      for (const rate of rates)
        made.rates.push(await admin.call("rates.create", { params, body: { ...rate, per: "hour" } }));
      for (const budget of budgets) {
        const scopeId = budget.scope === "principal" ? principal : budget.scopeId;
        made.budgets.push(await admin.call("budgets.create", { params, body: { ...budget, scopeId } }));
      }
      try {
        const token = await rig.mint(caveats);
        if (nodesMax === undefined) {
          for (let count = 0; count < 3; count += 1) {
            expect((await preview(token, question("echo"))).json).toEqual({ decision: true });
          }
          expect((await evaluate(token, question("echo"))).json.decision).toBe(true);
        }
        const { said: before, waitSeconds: first } = told(await preview(token, question("echo")));
        const { said: met, waitSeconds } = told(await evaluate(token, question("echo")));
        const { said: after } = told(await preview(token, question("echo")));
        expect([before, after]).toEqual([met, met]);
        expect(met.reason).toBe(reason);
        // They were not asked at the same moment.
        expect(Math.abs(waitSeconds - first)).toBeLessThan(60);
      } finally {
        for (const { id, version } of made.rates) {
          await admin.call("rates.remove", { params: { ...params, id }, query: { version } });
        }
        for (const { id, version } of made.budgets) {
          await admin.call("budgets.remove", { params: { ...params, id }, query: { version } });
        }
        const { version } = await admin.call("tenants.get", { params });
        const { budgetNodesMax } = tenant;
        await admin.call("tenants.update", { params, body: { version, budgetNodesMax } });
      }
    },
  );

  test("is answered 429 once it has said no too often, and keeps no denial out of the log", async () => {
    const token = await rig.mint([{ tools: ["up/other"] }]);
    await preview(token, {
      ...question("echo"),
      action: { name: "tool.list" },
      resource: { type: "catalogue", id: "up" },
    });
    const statuses: number[] = [];
    for (let count = 0; count < 25; count += 1) statuses.push((await preview(token, question(`made-${count}`))).status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(20);
    expect(statuses.filter((status) => status === 429)).toHaveLength(5);
    const denied = await evaluate(token, question("made-up"));
    expect(denied.status).toBe(200);
    expect((await eventsOf(denied.json.context.callId)).map(({ name }) => name)).toEqual(["call.decided"]);
  });

  test("is given to nobody without a credential", async () => {
    expect((await preview(undefined, question("echo"))).status).toBe(401);
  });
});

test.each([
  ["POST", "/mcp/up"],
  ["POST", "/mcp"],
  ["GET", "/http/up", "/http/up/v1/items?full=1"],
  ["GET", "/v1/budget"],
  ["POST", "/v1/tokens/attenuate"],
  ["POST", "/v1/preview"],
  ["POST", "/access/v1/evaluation"],
  ["POST", "/access/v1/evaluations"],
])(
  "the challenge of %s %s names metadata that is there, and that of the endpoint itself",
  async (method, resource, path = resource) => {
    for (const authorization of [undefined, "Bearer invented"]) {
      const refused = await fetch(`${rig.writ.gatewayUrl}${path}`, {
        method,
        headers: { "content-type": "application/json", ...(authorization === undefined ? {} : { authorization }) },
        ...(method === "POST" ? { body: "{}" } : {}),
      });
      expect(refused.status).toBe(401);
      const url = /resource_metadata="([^"]+)"/.exec(refused.headers.get("www-authenticate") ?? "")?.[1] ?? "";
      const metadata = await fetch(url);
      expect([metadata.status, metadata.headers.get("content-type")]).toEqual([200, "application/json"]);
      expect(await metadata.json()).toMatchObject({ resource: new URL(url).origin + resource });
    }
  },
);
