/** Mistakes of earlier systems, tried on a whole Writ over real sockets, each under its number. */
import { createHash, randomUUID } from "node:crypto";
import { ADMIN_ROUTES } from "@writ/contract/admin";
import { createAdminClient } from "@writ/sdk/admin";
import { attenuateToken, makeTokenHash } from "@writ/token";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyRules, eventually, type Posted, type Rig, RULES, startRig, statelessCall, TENANT } from "./rig.ts";

let rig: Rig;
let token: string;

beforeAll(async () => {
  rig = await startRig();
  token = await rig.mint();
});
afterAll(async () => {
  await rig?.close();
});

const INITIALIZE =
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}';

async function openSession(bearer: string, upstream = "up"): Promise<Readonly<Record<string, string>>> {
  const answer = await rig.post(upstream, bearer, INITIALIZE);
  expect(answer.status).toBe(200);
  return { "mcp-session-id": answer.headers.get("mcp-session-id") ?? "", "mcp-protocol-version": "2025-11-25" };
}

function call(
  tool: string,
  args: unknown,
  options: { upstream?: string; bearer?: string; id?: number } = {},
): Promise<Posted> {
  const { body, headers } = statelessCall(tool, args, options.id === undefined ? {} : { id: options.id });
  return rig.post(options.upstream ?? "up", options.bearer ?? token, body, headers);
}

/** The reason of a denial, and the text of an answer; whatever else it is otherwise. */
function said(answer: Posted): string {
  // An answer of the gateway under test.
  const { result, error } = JSON.parse(answer.text) as {
    result?: { content?: { text?: string }[] };
    error?: { message?: string; data?: { reason?: string } };
  };
  return result?.content?.[0]?.text ?? error?.data?.reason ?? error?.message ?? answer.text;
}

describe("without a token that is good", () => {
  const methods = [
    "initialize",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/read",
    "prompts/list",
    "ping",
  ];

  test.each(methods)(
    "R-DENY-1 trap-17 trap-35 %s is turned away with a challenge, on a default installation",
    async (method) => {
      const answer = await rig.post(
        "everything",
        undefined,
        `{"jsonrpc":"2.0","id":1,"method":"${method}","params":{}}`,
      );
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer resource_metadata="/);
      expect(JSON.parse(answer.text)).toMatchObject({ status: 401, reason: "token_missing" });
    },
  );

  test("R-DENY-1 R-PLANE-1 trap-37 no invented credential makes an identity", async () => {
    const [own = "", ...rest] = [
      `Bearer ${rig.writ.adminKey}`,
      "Bearer anonymous",
      "Bearer ",
      "Basic YWRtaW46YWRtaW4=",
      `writ ${token}`,
      token,
      `Bearer ${token}x`,
      `Bearer ${token.replace("writ_", "st_")}`,
    ];
    for (const authorization of [own, ...rest]) {
      const answer = await rig.post("everything", undefined, INITIALIZE, { authorization });
      expect(answer.status, authorization.slice(0, 12)).toBe(401);
    }
    // Nor does a token work where an administrator's key is asked for.
    const admin = await fetch(`${rig.writ.adminUrl}/v1/tenants`, { headers: { authorization: `Bearer ${token}` } });
    expect(admin.status).toBe(401);
  });

  test("a token in the URL is no credential", async () => {
    const response = await fetch(`${rig.url("everything")}?access_token=${token}&token=${token}`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: INITIALIZE,
    });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(await response.text()).not.toContain(token);
  });
});

describe("a hidden tool", () => {
  test("R-HIDDEN-1 trap-18 is not listed, and answered byte for byte like one that does not exist", async () => {
    const session = await openSession(token);
    const list = await rig.post("up", token, '{"jsonrpc":"2.0","id":2,"method":"tools/list"}', session);
    expect(list.text).toContain('"echo"');
    expect(list.text).not.toContain('"die"');
    const inSession = (tool: string): Promise<Posted> =>
      rig.post(
        "up",
        token,
        `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"${tool}","arguments":{"a":1}}}`,
        session,
      );
    for (const ask of [inSession, (tool: string) => call(tool, { a: 1 })]) {
      const hidden = await ask("die");
      const unknown = await ask("dye");
      expect(hidden.text.replaceAll("die", "dye")).toBe(unknown.text);
      expect(hidden.status).toBe(unknown.status);
      const headersOf = (answer: Posted): unknown =>
        [...answer.headers].filter(([name]) => !["date", "writ-call-id"].includes(name));
      expect(headersOf(hidden)).toEqual(headersOf(unknown));
      expect(hidden.headers.has("writ-call-id")).toBe(unknown.headers.has("writ-call-id"));
    }
    expect(rig.upstream.calls.filter(({ tool }) => tool === "die")).toEqual([]);
  });

  test("of an upstream that the token does not reach is like one of an upstream that does not exist", async () => {
    const narrow = await rig.mint([{ tools: ["everything/*"] }]);
    const hidden = await call("echo", {}, { bearer: narrow });
    const unknown = await call("ehco", {}, { bearer: narrow });
    expect(hidden.text.replaceAll("echo", "ehco")).toBe(unknown.text);
  });
});

describe("a session", () => {
  test("trap-28 has an id of 128 bits that is good for its own token only", async () => {
    const ids = await Promise.all(
      Array.from({ length: 32 }, async () => (await openSession(token))["mcp-session-id"] ?? ""),
    );
    expect(new Set(ids).size).toBe(32);
    for (const id of ids) expect(Buffer.from(id, "base64url").length).toBe(16);
    // Every bit differs somewhere: none is fixed.
    const bits = ids.map((id) => BigInt(`0x${Buffer.from(id, "base64url").toString("hex")}`));
    const all = (1n << 128n) - 1n;
    expect(bits.reduce((or, id) => or | id, 0n)).toBe(all);
    expect(bits.reduce((and, id) => and & id, all)).toBe(0n);
    const other = await rig.mint();
    const list = '{"jsonrpc":"2.0","id":2,"method":"tools/list"}';
    const headers = { "mcp-session-id": ids[0] ?? "", "mcp-protocol-version": "2025-11-25" };
    expect((await rig.post("up", token, list, headers)).status).toBe(200);
    const stolen = await rig.post("up", other, list, headers);
    const invented = await rig.post("up", other, list, { ...headers, "mcp-session-id": "AAAAAAAAAAAAAAAAAAAAAA" });
    expect([stolen.status, stolen.text]).toEqual([404, invented.text]);
  });
});

describe("an agent that may open no session", () => {
  const discover = (bearer: string, upstream: string): Promise<Posted> => {
    const { body, headers } = statelessCall("x", {});
    return rig.post(upstream, bearer, body.replace("tools/call", "server/discover"), {
      "mcp-protocol-version": headers["mcp-protocol-version"] ?? "",
      "mcp-method": "server/discover",
    });
  };

  test("is told why over HTTP 200, and that there is no such upstream by 404, as the page on clients says", async () => {
    const narrow = await rig.mint([{ actions: ["tool.call"] }]);
    const rule = "  - id: no-session\n    effect: deny\n    match: { action: mcp.session, upstream: everything }\n";
    await applyRules(rig.admin, TENANT, RULES + rule);
    for (const open of [(bearer: string, name: string) => rig.post(name, bearer, INITIALIZE), discover]) {
      for (const [bearer, upstream, code, reason] of [
        [token, "everything", -32014, "policy_denied"],
        [narrow, "up", -32010, "caveat_action"],
      ] as const) {
        const answer = await open(bearer, upstream);
        expect(answer.status).toBe(200);
        expect(JSON.parse(answer.text).error).toMatchObject({ code, data: { reason } });
      }
      expect((await open(token, "nowhere")).status).toBe(404);
    }
    await applyRules(rig.admin, TENANT, RULES);
  });
});

describe("another tenant", () => {
  test("R-TENANT-1 trap-33 finds nothing of the first: every identifier answers as one that does not exist", async () => {
    const { admin } = rig;
    const { id: other } = await admin.call("tenants.create", { body: { name: `other-${randomUUID().slice(0, 8)}` } });
    const made = await admin.call("admin-keys.create", {
      params: { tenant: other },
      body: { name: "all", permissions: ["*"] },
    });
    const { id: tenantId } = await admin.call("tenants.get", { params: { tenant: TENANT } });
    const firstOf = async (
      operation: "agents.list" | "principals.list" | "upstreams.list" | "tokens.list",
    ): Promise<string> => {
      const { items } = await admin.call(operation, { params: { tenant: TENANT }, query: {} });
      return items[0]?.id ?? "";
    };
    const ids = {
      agents: await firstOf("agents.list"),
      principals: await firstOf("principals.list"),
      upstreams: await firstOf("upstreams.list"),
      nodes: await firstOf("tokens.list"),
      policy: (await admin.call("policy.versions.list", { params: { tenant: TENANT }, query: {} })).items[0]?.id ?? "",
    };
    const ask = async (method: string, path: string): Promise<{ status: number; body: unknown }> => {
      const response = await fetch(`${rig.writ.adminUrl}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${made.key}`,
          ...(method === "GET" || method === "DELETE" ? {} : { "content-type": "application/json" }),
        },
        ...(method === "GET" || method === "DELETE"
          ? {}
          : { body: '{"version":1,"reason":"x","expectedActive":null}' }),
      });
      const text = await response.text();
      // A problem of the control plane; its request id differs from answer to answer.
      const { requestId: _requestId, ...body } = JSON.parse(text === "" ? "{}" : text) as Record<string, unknown>;
      return { status: response.status, body };
    };
    let compared = 0;
    for (const [operation, route] of Object.entries(ADMIN_ROUTES)) {
      if (!route.path.startsWith("/v1/tenants/{tenant}")) continue;
      // The other tenant's own path with the first one's identifiers, and the first one's path.
      const kind = operation.split(".")[0] as keyof typeof ids;
      const known = ids[kind] ?? ids.agents;
      const invented = kind === "nodes" ? "0".repeat(32) : "00000000-0000-7000-8000-0000000000ff";
      const inTenant = (tenant: string, id: string): string =>
        route.path
          .replace("{tenant}", tenant)
          .replace("{id}", id)
          .replace("{node}", id)
          .replace("{scope}", "agent")
          .replace("{scopeId}", id);
      const existing = await ask(route.method, inTenant(tenantId, known));
      const missing = await ask(route.method, inTenant("00000000-0000-7000-8000-0000000000ff", invented));
      expect(existing, `${operation} of the first tenant`).toEqual(missing);
      expect([400, 404], operation).toContain(existing.status);
      compared += 1;
      if (!/\{(id|node|scopeId)\}/.test(route.path)) continue;
      const foreign = await ask(route.method, inTenant(other, known));
      const unknown = await ask(route.method, inTenant(other, invented));
      expect(JSON.stringify(foreign).replaceAll(known, "ID"), `${operation} by a foreign id`).toBe(
        JSON.stringify(unknown).replaceAll(invented, "ID"),
      );
    }
    expect(compared).toBeGreaterThan(30);
    // On the gateway, too: the first tenant's upstream is not there for a token of the other.
    const own = createAdminClient({ url: rig.writ.adminUrl, key: made.key });
    const params = { tenant: other };
    const principal = await own.call("principals.create", { params, body: { name: "p", type: "team" } });
    await own.call("agents.create", { params, body: { name: "a", principal: principal.id } });
    await applyRules(own, other, RULES);
    const { token: foreign } = await own.call("tokens.mint", { params, body: { agent: "a" } });
    const there = await call("echo", {}, { bearer: foreign, upstream: "up" });
    const nowhere = await call("echo", {}, { bearer: foreign, upstream: "pu" });
    expect([there.status, there.text]).toEqual([nowhere.status, nowhere.text]);
    expect(said(there)).not.toContain("undefined");
  });
});

describe("the log", () => {
  test("R-PLANE-2 trap-34 names who did something by the key that was used, whatever the body says", async () => {
    const { admin } = rig;
    const { key, view } = await admin.call("admin-keys.create", {
      params: { tenant: TENANT },
      body: { name: "named", permissions: ["principals:write"] },
    });
    const create = (extra: object): Promise<Response> =>
      fetch(`${rig.writ.adminUrl}/v1/tenants/${TENANT}/principals`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "x-forwarded-user": "root" },
        body: JSON.stringify({ name: `p-${randomUUID()}`, type: "team", ...extra }),
      });
    for (const extra of [{ by: "root" }, { createdBy: "root" }, { actor: "root" }]) {
      expect((await create(extra)).status).toBe(400);
    }
    expect((await create({})).status).toBe(201);
    const created = (await rig.events()).filter(({ name }) => name === "principal.created").at(-1);
    expect(created?.fields["by"]).toBe(`admin_key:${view.id}`);
    expect(created?.line).not.toContain("root");
  });
});

describe("an upstream", () => {
  test("R-BUDGET-2 trap-06 that does not answer in time keeps its charge, as unknown", async () => {
    await rig.addUpstream("late", rig.upstream.url, { timeoutMs: 300 });
    await applyRules(rig.admin, TENANT, RULES.replace('"up/*"', '"up/*", "late/*"'));
    const params = { tenant: TENANT };
    const { id } = await rig.admin.call("budgets.create", {
      params,
      body: { scope: "upstream", scopeId: "late", unit: "calls", window: "total", limit: 1, mode: "hard" },
    });
    const forwarded = rig.upstream.calls.length;
    expect(said(await call("silent", {}, { upstream: "late" }))).toBe("upstream_failed");
    expect(rig.upstream.calls.length).toBe(forwarded + 1);
    const usage = await eventually("the outcome", async () => {
      const { items } = await rig.admin.call("budgets.usage", { params, query: {} });
      return items.find((item) => item.budgetId === id && item.reserved === 0);
    });
    expect(usage).toMatchObject({ limit: 1, used: 0, unknown: 1, reserved: 0 });
    expect((await rig.events()).at(-1)?.name ?? "").not.toBe("call.completed");
    expect((await rig.events()).filter(({ name }) => name === "call.unknown").length).toBe(1);
    // What may have run is spent.
    expect(said(await call("echo", { message: "again" }, { upstream: "late" }))).toBe("budget_exhausted");
    expect(rig.upstream.calls.length).toBe(forwarded + 1);
  });

  test("R-TENANT-2 trap-40 trap-64 has one session for each principal, and answers never cross", async () => {
    const { admin, upstream } = rig;
    const params = { tenant: TENANT };
    const bearers = await Promise.all(
      ["left", "right"].map(async (name) => {
        await admin.call("principals.create", { params, body: { name, type: "person" } });
        await admin.call("agents.create", { params, body: { name: `${name}-agent`, principal: name } });
        return rig.mint([], `${name}-agent`);
      }),
    );
    const from = upstream.calls.length;
    // All use the same ids at the same time.
    const answers = await Promise.all(
      bearers.flatMap((bearer, who) =>
        Array.from({ length: 20 }, async (_, id) => [
          `${who}-${id}`,
          said(await call("echo", { message: `${who}-${id}` }, { bearer, id })),
        ]),
      ),
    );
    for (const [asked, answered] of answers) expect(answered).toBe(asked);
    const sessions = [new Set<string>(), new Set<string>()];
    const ids: unknown[] = [];
    for (const received of upstream.calls.slice(from)) {
      const who = Number(/"message":"(\d)-/.exec(received.text)?.[1]);
      sessions[who]?.add(received.mcpSession ?? "none");
      ids.push(`${received.mcpSession}/${received.id}`);
    }
    expect(ids.length).toBe(40);
    // Ids are ours, so no two calls of a session share one.
    expect(new Set(ids).size).toBe(40);
    expect([...(sessions[0] ?? [])].filter((session) => sessions[1]?.has(session))).toEqual([]);
    for (const used of sessions) expect(used.size).toBeGreaterThan(0);
  });

  test("trap-46 keeps its session from call to call", async () => {
    const before = rig.upstream.sessionsOpened();
    for (let id = 1; id <= 30; id += 1) expect(said(await call("echo", { message: "x" }, { id }))).toBe("x");
    expect(rig.upstream.sessionsOpened() - before).toBeLessThanOrEqual(1);
  });

  test("trap-53 without a free slot commits no allow: what waits is not yet allowed", async () => {
    await rig.addUpstream("narrow", rig.upstream.url, { concurrencyMax: 1, isolation: "shared" });
    await applyRules(rig.admin, TENANT, RULES.replace('"up/*"', '"up/*", "late/*", "narrow/*"'));
    const forwarded = rig.upstream.calls.length;
    const holding = call("slow", { steps: 1, wait: true }, { upstream: "narrow", id: 1 });
    await eventually("the first call", async () => (rig.upstream.calls.length > forwarded ? true : undefined));
    const events = (await rig.events()).length;
    expect(said(await call("echo", { message: "waits in vain" }, { upstream: "narrow", id: 2 }))).toBe(
      "upstream_unavailable",
    );
    const allows = async (): Promise<number> =>
      (await rig.events())
        .slice(events)
        .filter(({ name, fields }) => name === "call.decided" && fields["decision"] === "allow").length;
    expect(await allows()).toBe(0);
    expect(rig.upstream.calls.length).toBe(forwarded + 1);
    const waiting = call("echo", { message: "waits" }, { upstream: "narrow", id: 3 });
    rig.upstream.step();
    expect(said(await holding)).toBe("1 steps");
    expect(said(await waiting)).toBe("waits");
    expect(await allows()).toBe(1);
  });
});

describe("trap-07 a call that is made again", () => {
  const keyed = async (key: string, message: string, bearer = token): Promise<Posted> => {
    const { body, headers } = statelessCall("echo", { message });
    return rig.post("up", bearer, body, { ...headers, "idempotency-key": `"${key}"` });
  };
  /** An answer of the gateway under test. */
  const errorOf = ({ text }: Posted): { readonly code: number; readonly data: Readonly<Record<string, unknown>> } =>
    JSON.parse(text).error;

  test("under its idempotency key is told of the first call, and neither sent nor charged", async () => {
    const bearer = await rig.mint([{ calls: 2 }]);
    const before = rig.upstream.calls.length;
    const first = await keyed("order-7", "once", bearer);
    expect(said(first)).toBe("once");
    const firstCallId = first.headers.get("writ-call-id");
    const again = await keyed("order-7", "once", bearer);
    expect(again.status).toBe(200);
    expect(errorOf(again)).toMatchObject({ code: -32009, data: { reason: "duplicate_key", firstCallId } });
    expect(again.headers.get("writ-call-id")).not.toBe(firstCallId);
    // A key in `_meta` is the same key.
    const { body, headers } = statelessCall("echo", { message: "other" });
    const inBody = body.replace('"_meta":{', '"_meta":{"writ/idempotency-key":"order-7",');
    expect(said(await rig.post("up", bearer, inBody, headers))).toBe("duplicate_key");
    expect(said(await keyed("order-8", "twice", bearer))).toBe("twice");
    expect(said(await keyed("order-9", "thrice", bearer))).toBe("budget_exhausted");
    // What was refused has not taken its key, and the others are gone for good.
    expect(said(await keyed("order-7", "once", bearer))).toBe("duplicate_key");
    expect(rig.upstream.calls.length).toBe(before + 2);
    const events = (await rig.events()).filter(({ fields }) => fields["idempotencyKey"] !== undefined);
    expect(events.map(({ fields }) => (fields["reasons"] as readonly string[])[0])).toEqual(
      expect.arrayContaining(["policy_allow", "duplicate_key", "budget_exhausted"]),
    );
    for (const { fields, line } of events) {
      expect(fields["idempotencyKey"]).toMatch(/^[0-9a-f]{64}$/);
      expect(line).not.toContain("order-");
    }
  });

  test("at the same moment under one key is made once", async () => {
    const before = rig.upstream.calls.length;
    const answers = await Promise.all(Array.from({ length: 12 }, () => keyed("at once", "race")));
    const reasons = answers.map(said).sort();
    expect(reasons).toEqual([...new Array<string>(11).fill("duplicate_key"), "race"]);
    expect(rig.upstream.calls.length).toBe(before + 1);
  });

  test("shares its keys with what was handed out below the same recorded token, and with nobody else", async () => {
    const hash = makeTokenHash((bytes) => new Uint8Array(createHash("sha256").update(bytes).digest()));
    const child = attenuateToken(hash, token, { id: "child", caveats: [] });
    if (child.kind !== "attenuated") throw new TypeError("the token cannot be attenuated");
    expect(said(await keyed("shared", "mine"))).toBe("mine");
    expect(said(await keyed("shared", "the child's", child.token))).toBe("duplicate_key");
    expect(said(await keyed("shared", "another's", await rig.mint()))).toBe("another's");
  });

  test("after it may have run is not made again under its key", async () => {
    await rig.addUpstream("mute", rig.upstream.url, { timeoutMs: 300 });
    await applyRules(rig.admin, TENANT, RULES.replace('"up/*"', '"up/*", "mute/*"'));
    const before = rig.upstream.calls.length;
    const { body, headers } = statelessCall("silent", {});
    const silent = (): Promise<Posted> => rig.post("mute", token, body, { ...headers, "idempotency-key": "mute-1" });
    expect(said(await silent())).toBe("upstream_failed");
    expect(said(await silent())).toBe("duplicate_key");
    expect(rig.upstream.calls.length).toBe(before + 1);
  });

  test("with an id that a stateless client has used before is a call of its own", async () => {
    const before = rig.upstream.calls.length;
    for (const message of ["one", "two", "two"]) expect(said(await call("echo", { message }, { id: 1 }))).toBe(message);
    const session = await openSession(token);
    const plain = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"s"}}}';
    expect(said(await rig.post("up", token, plain, session))).toBe("s");
    expect(said(await rig.post("up", token, plain, session))).toBe("s");
    expect(rig.upstream.calls.length).toBe(before + 5);
  });

  test("with an id that is in flight in its session is neither sent nor charged", async () => {
    const bearer = await rig.mint([{ calls: 2 }]);
    const session = await openSession(bearer);
    const before = rig.upstream.calls.length;
    const slow =
      '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","arguments":{"steps":1,"wait":true}}}';
    const first = rig.post("up", bearer, slow, session);
    await eventually("the first call", async () => (rig.upstream.calls.length > before ? true : undefined));
    expect(errorOf(await rig.post("up", bearer, slow, session))).toMatchObject({
      code: -32009,
      data: { reason: "duplicate_in_flight", callId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    });
    rig.upstream.step();
    expect(said(await first)).toBe("1 steps");
    // The id is free again, and the budget has room for exactly this.
    const again = rig.post("up", bearer, slow, session);
    await eventually("the second call", async () => (rig.upstream.calls.length > before + 1 ? true : undefined));
    rig.upstream.step();
    expect(said(await again)).toBe("1 steps");
    expect(said(await rig.post("up", bearer, slow, session))).toBe("budget_exhausted");
  });
});

describe("what counts as success", () => {
  test("trap-44 a denial of a call is no success although its HTTP status is 200", async () => {
    const answer = await call("echo", { message: "secret" });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).not.toHaveProperty("result");
    expect(said(answer)).toBe("policy_denied");
  });
});

describe("bytes", () => {
  test("R-EXACT-1 R-EXACT-2 arrive upstream as they were judged, and come back as they were answered", async () => {
    const argumentsText =
      '{ "big":9007199254740993,\t"price":1.10, "e":1E400,"neg":-0.0, "text":"\\u0041\\/\\ud83d\\ude00", "deep":{"unknown":[ ]} }';
    const { body, headers } = statelessCall("raw", {}, { argumentsText });
    const extended = body.replace('"arguments":', '"x-unknown": {"n":1.50},"arguments":');
    const answer = await rig.post("up", token, extended, headers);
    const received = rig.upstream.calls.at(-1)?.text ?? "";
    expect(received).toContain(`"arguments":${argumentsText}`);
    expect(received).toContain('"x-unknown": {"n":1.50}');
    expect(answer.text).toContain(
      '"structuredContent" : {"big":9007199254740993,"price":1.10,"twice":1,"twice":2},"x-unknown":[ ]',
    );
    const list = await rig.post(
      "up",
      token,
      '{"jsonrpc":"2.0","id":2,"method":"tools/list"}',
      await openSession(token),
    );
    expect(list.text).toContain('"x-precise":1.10');
  });

  test("R-EXACT-1 of arguments cannot smuggle a second message to an upstream that reads lines", async () => {
    // A call of a denied tool, on a line of its own inside the arguments of a permitted one.
    const smuggled = JSON.parse(statelessCall("get-env", {}, { id: 99 }).body) as unknown;
    for (const newline of ["\n", "\r\n", "\r"]) {
      const argumentsText = `{"message":"hello","x":${newline}${JSON.stringify(smuggled)}${newline}}`;
      const { body, headers } = statelessCall("echo", {}, { argumentsText });
      expect(said(await rig.post("everything", token, body, headers))).toBe("Echo: hello");
      expect(said(await call("echo", { message: "next" }, { upstream: "everything" }))).toBe("Echo: next");
    }
    expect(rig.writ.stderr()).not.toContain("get-env");
  });

  test("R-SECRET-2 of the agent's token do not reach an upstream", async () => {
    await call("echo", { message: "x" });
    const received = rig.upstream.calls.at(-1);
    expect(JSON.stringify(received?.headers)).not.toContain("writ_");
    expect(received?.headers["authorization"]).toBeUndefined();
  });
});
