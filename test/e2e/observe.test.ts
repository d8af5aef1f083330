/** Observe mode on a whole Writ, with the reference server and the official client: what passes, what stays, what is said. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startWrit, type WritProcess } from "@writ/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ended, runCommand } from "./command.ts";
import { applyRules, eventually, type Rig, startRig, statelessCall, TENANT } from "./rig.ts";
import { connectV2 } from "./sdk-clients.ts";

const NARROW = `version: 1
rules:
  - { id: connect, effect: allow, match: { action: [mcp.session, tool.list] } }
  - { id: echo, effect: allow, match: { action: tool.call, tool: everything/echo } }
  - { id: no-secrets, effect: deny, match: { action: tool.call, tool: everything/echo }, when: { args: { /message: { prefix: secret } } } }
`;
const params = { tenant: TENANT, id: "everything" };
const DAY = 86_400;

let rig: Rig;
let token: string;
let directory: string;

beforeAll(async () => {
  rig = await startRig();
  await applyRules(rig.admin, TENANT, NARROW);
  token = await rig.mint([{ not_tools: ["everything/get-tiny-image"] }]);
  directory = await mkdtemp(join(tmpdir(), "writ-observe-"));
});
afterAll(async () => {
  await rig?.close();
  await rm(directory, { recursive: true, force: true });
});

async function call(tool: string, args: unknown): Promise<{ said: string; wouldDeny: string | null }> {
  const { body, headers } = statelessCall(tool, args);
  const answer = await rig.post("everything", token, body, headers);
  // An answer of the gateway under test.
  const { result, error } = JSON.parse(answer.text) as {
    result?: { content?: { text?: string }[] };
    error?: { message?: string; data?: { reason?: string } };
  };
  const said = result?.content?.[0]?.text ?? error?.data?.reason ?? error?.message ?? answer.text;
  return { said, wouldDeny: answer.headers.get("writ-would-deny") };
}

async function listed(): Promise<readonly string[]> {
  const client = await connectV2(rig.url("everything"), token, "legacy");
  try {
    return (await client.listTools()).tools.map(({ name }) => name);
  } finally {
    await client.close();
  }
}

function writ(process_: WritProcess, argv: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return runCommand(process_, argv, { directory, env });
}

describe("an upstream under observation", () => {
  test("works as before it was behind Writ, and each call that the policy would deny says so", async () => {
    expect(await listed()).toEqual(["echo"]);
    expect((await call("get-sum", { a: 1, b: 2 })).said).toContain("Unknown tool");
    expect((await call("echo", { message: "secret" })).said).toBe("policy_denied");

    await rig.admin.call("observe.start", { params, body: { seconds: DAY } });
    const tools = await listed();
    expect(tools).toContain("get-sum");
    expect(tools).toContain("get-env");
    // What the token hides stays hidden.
    expect(tools).not.toContain("get-tiny-image");
    expect((await call("get-tiny-image", {})).said).toContain("Unknown tool");

    expect(await call("get-sum", { a: 1, b: 2 })).toEqual({
      said: "The sum of 1 and 2 is 3.",
      wouldDeny: "policy_default_deny",
    });
    expect(await call("echo", { message: "secret" })).toEqual({ said: "Echo: secret", wouldDeny: "policy_denied" });
    expect(await call("echo", { message: "hello" })).toEqual({ said: "Echo: hello", wouldDeny: null });

    const decided = (await rig.events()).filter(({ name, fields }) => name === "call.decided" && fields["wouldDeny"]);
    expect(
      decided.map(({ fields }) => [fields["decision"], fields["reasons"], fields["tool"], fields["wouldDeny"]]),
    ).toEqual([
      ["allow", ["policy_observed"], "get-sum", { reason: "policy_default_deny" }],
      ["allow", ["policy_observed"], "echo", { reason: "policy_denied", ruleId: "no-secrets" }],
    ]);
    const { items } = await rig.admin.call("observe.list", { params: { tenant: TENANT } });
    for (const { fields } of decided) expect(fields["validUntil"]).toBeLessThanOrEqual(items[0]?.untilMs ?? 0);
  });

  test("is explained and previewed as it is decided", async () => {
    const explained = await rig.admin.call("explain.run", {
      params: { tenant: TENANT },
      body: { token, upstream: "everything", tool: "get-env" },
    });
    expect(explained.decision).toBe("allow");
    expect(explained.stages.find(({ stage }) => stage === "policy")?.detail).toContain("under observation");
    const agent = await rig.admin.call("agents.get", { params: { tenant: TENANT, id: "assistant" } });
    const response = await fetch(`${rig.writ.gatewayUrl}/v1/preview`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({
        subject: { type: "agent", id: agent.id },
        action: { name: "tool.call" },
        resource: { type: "tool", id: "everything/get-env" },
      }),
    });
    expect(await response.json()).toMatchObject({ decision: true, context: { would_deny: "policy_default_deny" } });
  });

  test("is counted by its report, and other rules are tried on what is on record", async () => {
    const report = JSON.parse((await writ(rig.writ, ["observe", "report", "--json"])).out) as {
      calls: number;
      items: Record<string, unknown>[];
    }; // our command's own answer
    expect(report.calls).toBe(2);
    expect(report.items).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ agent: "assistant", name: "get-sum", reason: "policy_default_deny", count: 1 }),
        expect.objectContaining({ name: "echo", reason: "policy_denied", rule: "no-secrets", count: 1 }),
      ]),
    );
    expect((await writ(rig.writ, ["observe", "report", "up"])).out).toContain("Nothing on record");
    const table = (await writ(rig.writ, ["observe", "report", "everything"])).out;
    expect(table).toContain("The policy would have denied 2 calls.");

    const proposed = `${NARROW}  - { id: sum, effect: allow, match: { action: tool.call, tool: everything/get-sum } }\n`;
    await writeFile(join(directory, "proposed.yaml"), proposed);
    const tried = JSON.parse((await writ(rig.writ, ["policy", "try", "proposed.yaml", "--json"])).out) as {
      items: { action: string; name?: string; outcome: string; ruleId?: string; decided: string }[];
    }; // our command's own answer
    const told = tried.items
      .filter(({ action }) => action === "tool.call")
      .map(({ name, outcome, ruleId, decided }) => [name, outcome, ruleId, decided]);
    expect(told).toEqual(
      expect.arrayContaining([
        ["get-sum", "allow", "sum", "observed"],
        ["echo", "arguments", "no-secrets", "observed"],
        ["echo", "arguments", "no-secrets", "allow"],
      ]),
    );
    const text = (await writ(rig.writ, ["policy", "try", "proposed.yaml", "--upstream", "everything"])).out;
    expect(text).toContain("Depends on arguments, which the log does not hold");
    expect(text).toMatch(/Recomputed \d+ of \d+ calls \(\d+ %\)\./);
  });

  test("is refused for longer than 14 days, and cannot be drawn out beyond them", async () => {
    const long = await writ(rig.writ, ["observe", "start", "everything", "--for", "15d"]);
    expect(long.code).toBe(2);
    expect(long.notes).toContain("14d is the most");
    const again = rig.admin.call("observe.start", { params, body: { seconds: 14 * DAY } });
    await expect(again).rejects.toMatchObject({ code: "fault_request" });
    const known = await rig.admin.call("observe.start", { params, body: { seconds: 13 * DAY } });
    expect(known.untilMs - known.startedAtMs).toBeLessThanOrEqual(14 * DAY * 1000);
  });

  test("is said by /readyz, by every later start and by the doctor", async () => {
    const readyz = async (url: string): Promise<unknown> => (await fetch(`${url}/readyz`)).json();
    const isSaid = async (): Promise<true | undefined> =>
      JSON.stringify(await readyz(rig.writ.gatewayUrl)) === '{"status":"ok","observeMode":"on"}' ? true : undefined;
    await eventually("readiness says it", isSaid);
    const own = await startWrit({ command: "serve" });
    let second: WritProcess | undefined;
    try {
      expect(await readyz(own.gatewayUrl)).toEqual({ status: "ok" });
      expect((await writ(own, ["observe", "start", "everything", "--for", "1d"])).code).toBe(0);
      await own.stop();
      const serverEnv = {
        WRIT_DATA_DIR: join(own.directory, "data"),
        WRIT_KEYS_MASTER_KEY: own.masterKey,
        WRIT_GATEWAY_AUDIENCE: "http://writ.test",
      };
      const doctor = await writ(own, ["doctor"], serverEnv);
      expect(doctor.out).toContain("what the policy of default would deny on everything is allowed until");
      const later = await startWrit({ command: "serve", directory: own.directory });
      second = later;
      // Log lines wait for the ready line, and come by another pipe.
      await eventually("the start says it", async () =>
        later.stderr().includes("an upstream is under observation") ? true : undefined,
      );
    } finally {
      await second?.stop();
      await own.dispose();
    }
  });

  test("R-OBSERVE-1 is denied again when the observation is stopped, and what is open is cut", async () => {
    const client = await connectV2(rig.url("everything"), token, "legacy");
    const open = client.callTool({ name: "trigger-long-running-operation", arguments: { duration: 60, steps: 60 } });
    const ended = open.then(
      () => "answered",
      () => "cut",
    );
    try {
      await eventually("the open call is on record", async () =>
        (await rig.events()).find(({ fields }) => fields["tool"] === "trigger-long-running-operation"),
      );
      await rig.admin.call("observe.stop", { params });
      expect((await call("get-sum", { a: 1, b: 2 })).said).toContain("Unknown tool");
      expect(await ended).toBe("cut");
      expect(await listed()).toEqual(["echo"]);
    } finally {
      await client.close();
    }
    await expect(rig.admin.call("observe.stop", { params })).rejects.toMatchObject({ code: "not_found" });
    const told = (await rig.events()).filter(({ name }) => name.startsWith("observe."));
    expect(told.map(({ name }) => name)).toEqual(["observe.started", "observe.started", "observe.stopped"]);
  });

  test("ends with its upstream: another one of the same name is not under it", async () => {
    await rig.admin.call("observe.start", { params: { tenant: TENANT, id: "up" }, body: { seconds: DAY } });
    const { version } = await rig.admin.call("upstreams.get", { params: { tenant: TENANT, id: "up" } });
    await rig.admin.call("upstreams.remove", { params: { tenant: TENANT, id: "up" }, query: { version } });
    expect((await rig.admin.call("observe.list", { params: { tenant: TENANT } })).items).toEqual([]);
  });
});
