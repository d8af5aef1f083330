/** The `writ` command as a person and as a program use it: the real binary against a real `writ serve`. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startWrit, type WritProcess } from "@writ/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ended, endOf, startCommand } from "./command.ts";
import { eventually } from "./rig.ts";

let server: WritProcess;
let directory = "";
beforeAll(async () => {
  server = await startWrit({ command: "serve" });
  directory = await mkdtemp(join(tmpdir(), "writ-cli-e2e-"));
  await writeFile(join(directory, "starter-token"), server.token, { mode: 0o600 });
});
afterAll(async () => {
  await server.dispose();
  await rm(directory, { recursive: true, force: true });
});

function start(
  argv: readonly string[],
  nodeOptions: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
) {
  return startCommand(server, argv, { directory, nodeOptions, env: { WRIT_DATA_DIR: directory, ...env } });
}

function writ(...argv: readonly string[]): Promise<Ended> {
  const child = start(argv);
  child.stdin.end();
  return endOf(child);
}

async function json(...argv: readonly string[]): Promise<Record<string, unknown>> {
  const { code, out, notes } = await writ(...argv, "--json");
  if (code !== 0 && code !== 1) throw new Error(`writ ${argv.join(" ")} exited with ${code}: ${notes}`);
  return JSON.parse(out) as Record<string, unknown>; // each of our commands prints one object
}

describe("administration", () => {
  test("lists, registers, suspends and resumes agents by name", async () => {
    await json("principal", "add", "team-cli", "--type", "team");
    await json("agent", "add", "cli-agent", "--principal", "team-cli", "--label", "tier=gold");

    expect((await writ("agent", "list")).out).toMatch(/^NAME +STATUS.*\n(.*\n)*cli-agent +active .*tier=gold/);
    expect(await json("agent", "suspend", "cli-agent")).toMatchObject({ status: "suspended" });
    expect(await json("agent", "resume", "cli-agent")).toMatchObject({ status: "active" });
    expect(await writ("agent", "show", "nobody")).toMatchObject({ code: 2 });
  });

  test("a wrong admin key is denied with 1 and a sentence", async () => {
    const child = start(["agent", "list"], [], { WRIT_ADMIN_KEY: `${server.adminKey}x` });
    child.stdin.end();

    expect(await endOf(child)).toMatchObject({
      code: 1,
      notes: expect.stringMatching(/^writ: The admin key .*WRIT_ADMIN_KEY/s),
    });
  });

  test("registers an upstream, pins it and removes it", async () => {
    const script = fileURLToPath(
      new URL("../../node_modules/@modelcontextprotocol/server-everything/dist/index.js", import.meta.url),
    );
    const pinned = await json("upstream", "add", "stdio", "second", process.execPath, script, "stdio");
    expect(pinned["tools"]).toContainEqual(expect.objectContaining({ name: "echo", change: "added" }));

    expect((await writ("upstream", "tools", "second")).out).toContain("second/echo");
    expect(await json("upstream", "remove", "second")).toEqual({ removed: "second" });
  });

  test("root keys rotate and retire, admin keys are created and revoked, tenants are added", async () => {
    const rotated = (await json("root-key", "rotate")) as { readonly key: { readonly id: string } };
    expect((await writ("root-key", "list")).out).toContain(`${rotated.key.id}  active`);
    const created = (await json("admin-key", "create", "reader", "--permissions", "agents:read")) as {
      readonly key: string;
      readonly view: { readonly id: string };
    };
    const reader = start(["agent", "add", "x", "--principal", "starter"], [], { WRIT_ADMIN_KEY: created.key });
    reader.stdin.end();
    expect(await endOf(reader)).toMatchObject({ code: 1 });
    await json("admin-key", "revoke", created.view.id);
    const listed = start(["agent", "list"], [], { WRIT_ADMIN_KEY: created.key });
    listed.stdin.end();
    expect(await endOf(listed)).toMatchObject({ code: 1 });
    await json("tenant", "add", "other");
    expect((await writ("agent", "list", "--tenant", "other")).out).toBe("There are none.\n");
  });

  test("a budget is added, changed, shown with its use and removed", async () => {
    const { id } = (await json("budget", "add", "tool", "everything/echo", "--limit", "1000", "--window", "day")) as {
      readonly id: string;
    };
    await writ("call", "everything/echo", '{"message":"counted"}');

    expect(await json("budget", "set", id, "--limit", "900")).toMatchObject({ limit: 900 });
    const usage = (await json("budget", "usage")) as { readonly items: readonly { readonly budgetId: string }[] };
    expect(usage.items).toContainEqual(expect.objectContaining({ budgetId: id, limit: 900, used: 1 }));
    expect(await json("budget", "remove", id)).toEqual({ removed: id });
    expect(await json("budget", "unknown")).toEqual({ items: [] });
    const nobody = "019a0000-0000-7000-8000-000000000000";
    expect(await writ("budget", "reconcile", nobody, "--outcome", "not_run")).toMatchObject({ code: 2 });
  });

  test("a rate is added, changed, listed and removed, and a call that is over it is refused with how long to wait", async () => {
    const { id } = await json("rate", "add", "endpoint", "everything", "--limit", "5", "--per", "second");
    expect(await json("rate", "set", String(id), "--limit", "1", "--json")).toMatchObject({ limit: 1, per: "second" });
    expect((await writ("rate", "list")).out).toMatch(/endpoint +everything +1 +second /);
    expect(await json("rate", "remove", String(id))).toEqual({ removed: id });
    expect(await writ("rate", "add", "tenant", "everything", "--limit", "1", "--per", "hour")).toMatchObject({
      code: 2,
    });
    await json("token", "mint", "assistant", "--tools", "everything/*", "--rate", "2/hour", "--out", "rated");
    const call = () => json("call", "everything/echo", '{"message":"x"}', "--token-file", "rated", "--no-explain");
    expect([(await call())["kind"], (await call())["kind"]]).toEqual(["result", "result"]);
    const data = { retryAfterSeconds: expect.any(Number) };
    expect(await call()).toMatchObject({ refusal: { reason: "rate_token", data } });
  });

  test("a call is charged the credits of the price list, and denied with what is left of them", async () => {
    await json("price", "set", "everything/*", "2");
    await json("price", "set", "everything/echo", "5");
    await json("price", "set", "everything/echo", "4");
    expect((await writ("price", "list")).out).toMatch(/everything\/echo +4 /);
    const minted = await json("token", "mint", "assistant", "--tools", "everything/*", "--out", "priced");
    const node = String(minted["node"]);
    const { id } = await json("budget", "add", "node", node, "--unit", "credits", "--limit", "5", "--window", "total");
    const call = (tool: string, args: string) =>
      json("call", `everything/${tool}`, args, "--token-file", "priced", "--no-explain");
    expect(await call("echo", '{"message":"hello"}')).toMatchObject({ kind: "result" });
    expect(await call("get-sum", '{"a":1,"b":2}')).toMatchObject({
      refusal: { reason: "budget_exhausted", data: { remaining: 1, unit: "credits" } },
    });
    await json("price", "remove", "everything/*");
    expect(await call("get-sum", '{"a":1,"b":2}')).toMatchObject({ kind: "result" });
    await json("price", "remove", "everything/echo");
    await json("budget", "remove", String(id));
  });
});

describe("calls", () => {
  test("an allowed call shows what the upstream said and each stage", async () => {
    const { code, out } = await writ("call", "everything/echo", '{"message":"hello"}');

    expect(code).toBe(0);
    expect(out).toContain("Echo: hello");
    expect(out).toMatch(/allow \(policy_allow\)[\s\S]*passed {2}clear[\s\S]*passed {2}policy/);
  });

  test("a denied call exits with 1 and names the stage that denied it", async () => {
    const { code, out } = await writ("call", "everything/get-sum", '{"a":101,"b":1}');

    expect(code).toBe(1);
    expect(out).toContain("caveat_args");
    expect(out).toMatch(/DENIED {2}clear/);
  });

  test("a kill switch stops calls until it is released", async () => {
    await json("kill", "engage", "tool", "everything/echo", "--reason", "a test");

    expect(await json("call", "everything/echo", "{}", "--no-explain")).toMatchObject({
      kind: "refused",
      refusal: { reason: "kill_engaged" },
    });
    expect((await writ("kill", "list")).out).toContain("a test");
    await json("kill", "release", "tool", "everything/echo");
    expect((await writ("call", "everything/echo", '{"message":"again"}')).code).toBe(0);
  });

  test("a gateway that is not there exits with 3", async () => {
    expect(await writ("call", "everything/echo", "{}", "--gateway-url", "http://127.0.0.1:1")).toMatchObject({
      code: 3,
      notes: expect.stringContaining("does not answer"),
    });
  });
});

describe("tokens", () => {
  test("a minted token calls, its offline child is revoked alone, and then the parent", async () => {
    const call = (file: string) =>
      writ("call", "everything/echo", '{"message":"x"}', "--token-file", file, "--no-explain");
    const minted = await writ(
      "token",
      "mint",
      "assistant",
      "--tools",
      "everything/*",
      "--expires-in",
      "10m",
      "--out",
      "parent",
    );
    expect(minted.out + minted.notes).not.toContain("writ_");
    await writ("token", "attenuate", "--token-file", "parent", "--tools", "everything/echo", "--out", "child");
    expect([(await call("parent")).code, (await call("child")).code]).toEqual([0, 0]);

    await json("token", "revoke", "--token-file", "child", "--reason", "a test");
    expect([(await call("parent")).code, (await call("child")).code]).toEqual([0, 1]);

    await json("token", "revoke", "--token-file", "parent", "--reason", "a test");
    expect((await call("parent")).out).toContain("token_revoked");
  });

  test("networks and rates are written in a word, shown by inspect, and judged by explain where it is told an address", async () => {
    await json("token", "mint", "assistant", "--net", "10.0.0.0/8, 2001:db8::/32", "--out", "inside");
    await json("token", "attenuate", "--token-file", "inside", "--rate", "60/minute", "--out", "inside-child");
    const { out } = await writ("token", "inspect", "--token-file", "inside-child");
    expect(out).toContain('{"net":["10.0.0.0/8","2001:db8::/32"]}\n');
    expect(out).toContain('{"rate":{"limit":60,"per":"minute"}}\n');
    const explain = (...options: readonly string[]) =>
      json("token", "explain", "everything/echo", '{"message":"x"}', "--token-file", "inside-child", ...options);
    expect(await explain()).toMatchObject({ reasons: ["caveat_net_unknown"] });
    expect(await explain("--from", "192.0.2.1")).toMatchObject({ reasons: ["caveat_net"] });
    const allowed = await explain("--from", "10.1.2.3");
    expect(allowed).toMatchObject({ decision: "allow" });
    expect(allowed["stages"]).toContainEqual({ stage: "rates", status: "passed", detail: "1 rate(s)" });
    expect(await writ("token", "mint", "assistant", "--rate", "60/day")).toMatchObject({ code: 2, out: "" });
  });

  test("the gateway records a child with a part of the budget", async () => {
    await writ("token", "mint", "assistant", "--tools", "everything/*", "--calls", "5", "--out", "carver");

    const child = await json("token", "attenuate", "--token-file", "carver", "--record", "--carve", "calls:total:2");

    expect(child).toMatchObject({ token: expect.stringMatching(/^writ_/), carves: [{ unit: "calls", amount: 2 }] });
    const refused = await writ("token", "attenuate", "--token-file", "carver", "--record", "--carve", "calls:total:9");
    expect(refused).toMatchObject({ code: 1, out: "", notes: expect.stringContaining("recorded nothing") });
    await writ("token", "attenuate", "--token-file", "carver", "--out", "offline");
    const unrecorded = await writ(
      "token",
      "attenuate",
      "--token-file",
      "offline",
      "--record",
      "--carve",
      "calls:total:1",
    );
    const advice = expect.stringContaining("ask with the recorded token above it");
    expect(unrecorded).toMatchObject({ code: 1, out: "", notes: advice });
    const otherwise = await writ("token", "attenuate", "--token-file", "carver", "--record", "--carve", "calls:day:1");
    expect(otherwise).toMatchObject({ code: 1, notes: expect.stringContaining("no hard budget of its own") });
  });

  test("a carve that lifts a counter over a soft limit is on record as budget.exceeded", async () => {
    const minted = await json("token", "mint", "assistant", "--tools", "everything/*", "--calls", "9", "--out", "soft");
    const node = String(minted["node"]);
    await json("budget", "add", "node", node, "--limit", "3", "--window", "total", "--mode", "soft");
    const carve = (amount: number) =>
      json("token", "attenuate", "--token-file", "soft", "--record", "--carve", `calls:total:${amount}`);
    await carve(3);
    await carve(2);

    const said = await eventually("the excess is on record", async () => {
      const { out } = await writ("audit", "query", "--event", "budget.exceeded", "--json");
      return out === "" ? undefined : out;
    });
    expect(said.trim().split("\n")).toHaveLength(1);
    expect(JSON.parse(said)).toMatchObject({ event: { scopeId: node, limit: 3, used: 5, mode: "soft" } });
  });

  test("explain decides without a call, and a pipe gives the token", async () => {
    const child = start(["token", "explain", "everything/get-env", "--token-file", "-", "--json"]);
    child.stdin.end(server.token);
    const { code, out } = await endOf(child);

    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ decision: "deny", reasons: ["policy_default_deny"] });
  });

  test("what Claude Code and Cursor need names the file of the token, not the token", async () => {
    const { code, out, notes } = await writ("agent", "connect", "assistant", "--mint", "--token-file", "connect");
    const token = (await readFile(join(directory, "connect"), "utf8")).trim();

    expect(code).toBe(0);
    expect(out).toContain(`claude mcp add --transport http writ-everything ${server.gatewayUrl}/mcp/everything`);
    expect(out).toContain('"mcpServers"');
    expect(token).toMatch(/^writ_/);
    expect(out + notes).not.toContain(token);
  });
});

describe("policy", () => {
  test("the active rules are shown, changed, compared and applied", async () => {
    const { out: source } = await writ("policy", "show");
    await writeFile(join(directory, "rules.yaml"), source);
    expect((await writ("policy", "diff", "rules.yaml")).code).toBe(0);
    expect((await writ("policy", "test", "rules.yaml")).code).toBe(0);

    const changed = source.replace("        - everything/get-sum\n", "");
    await writeFile(join(directory, "rules.yaml"), changed);
    const { code, out } = await writ("policy", "diff", "rules.yaml");
    expect(code).toBe(1);
    expect(out).toContain("-         - everything/get-sum\n");
    await json("policy", "apply", "rules.yaml");
    expect((await writ("call", "everything/get-sum", '{"a":1,"b":1}', "--no-explain")).code).toBe(1);

    await writeFile(join(directory, "broken.yaml"), source.replace("allow: policy_allow", "deny: policy_denied"));
    expect(await writ("policy", "apply", "broken.yaml")).toMatchObject({
      code: 1,
      notes: expect.stringContaining("a greeting is echoed"),
    });
  });
});

describe("the log", () => {
  test("is verified online, and an export offline with a key; an edited export is found at its entry", async () => {
    expect(await json("audit", "verify", "--full")).toMatchObject({ status: "intact", fromSequence: 1 });
    await writ("audit", "export", "--out", "log.ndjson");
    const text = await readFile(join(directory, "log.ndjson"), "utf8");
    const header = JSON.parse(text.slice(0, text.indexOf("\n"))) as { readonly verifierKeys: readonly string[] };
    const key = header.verifierKeys[0] ?? "";
    const checkpoints = await writ("audit", "checkpoints");
    await writeFile(join(directory, "checkpoints"), checkpoints.out);

    const intact = await writ("audit", "verify", "--file", "log.ndjson", "--key", key, "--checkpoints", "checkpoints");
    expect(intact).toMatchObject({ code: 0, out: expect.stringMatching(/keys from +you/) });

    // What a person has kept is taken with other line ends and without its last empty line, or refused: never left out.
    const kept = checkpoints.out.trimEnd().split("\n\n").slice(-2).join("\n\n");
    const agreed = async (file: string) => {
      await writeFile(join(directory, "kept"), file);
      const command = ["audit", "verify", "--file", "bare.ndjson", "--key", key, "--checkpoints", "kept", "--json"];
      const { code, out } = await writ(...command);
      return [code, out === "" ? undefined : JSON.parse(out).verdict.coverage.checkpointsAgreed];
    };
    const lines = text.split("\n");
    await writeFile(
      join(directory, "bare.ndjson"),
      lines.filter((line) => !line.startsWith('{"checkpoint"')).join("\n"),
    );
    const elsewhere = kept.replace(/\/[0-9a-f-]{36}\//, "/00000000-0000-7000-8000-000000000009/");
    expect(await agreed(`${kept}\n\n`)).toEqual([0, 1]);
    expect(await agreed(kept)).toEqual([0, 1]);
    expect(await agreed(`${kept}\n\n`.replaceAll("\n", "\r\n"))).toEqual([0, 1]);
    expect(await agreed(`hello\n\n${kept}\n`)).toEqual([0, 1]);
    expect(await agreed("hello\n")).toEqual([2, undefined]);
    expect(await agreed(kept.slice(0, -9))).toEqual([2, undefined]);
    expect((await agreed(`${elsewhere}\n\n`))[0]).not.toBe(0);

    await writeFile(
      join(directory, "edited.ndjson"),
      text.replace("assistant", "attacker").replace('\\"tool\\":\\"echo\\"', '\\"tool\\":\\"ohce\\"'),
    );
    const edited = await writ("audit", "verify", "--file", "edited.ndjson", "--key", key);
    expect(edited).toMatchObject({ code: 1, out: expect.stringMatching(/mutated at entry \d+/) });
  });

  test("is not queried by an event that there is none of, nor exported to where nothing can be", async () => {
    expect(await writ("audit", "query", "--event", "call.decide")).toMatchObject({
      code: 2,
      notes: expect.stringContaining("did you mean call.decided?"),
    });
    expect(await writ("audit", "export", "--out", join(directory, "nowhere", "log.ndjson"))).toMatchObject({
      code: 2,
      notes: expect.stringMatching(/^writ: The directory of the file .* does not exist\.\n$/),
    });
  });

  test("is queried by event and call, and followed", async () => {
    const { callId } = (await json("call", "everything/echo", '{"message":"followed"}', "--no-explain")) as {
      readonly callId: string;
    };
    const follower = start(["audit", "tail", "--follow", "-n", "50", "--json"]);
    const ended = endOf(follower);
    await new Promise<void>((resolve) => {
      let seen = "";
      follower.stdout.on("data", (chunk: unknown) => {
        seen += String(chunk);
        if (seen.includes(callId)) resolve();
      });
      follower.once("close", () => resolve());
    });
    follower.kill("SIGKILL");
    expect((await ended).out).toContain(callId);

    const { out } = await writ("audit", "query", "--call-id", callId, "--json");
    const events = out
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { readonly event: { readonly event: string } }).event.event);
    expect(events[0]).toBe("call.decided");
    expect((await writ("audit", "tail", "-n", "3")).out.trim().split("\n")).toHaveLength(3);
  });
});

describe("the process", () => {
  test("a Node that loads no TypeScript runs the pinned one, with its streams, exit code and signals", async () => {
    const old = ["--no-experimental-strip-types"];
    const asked = start(["--version"], old);
    asked.stdin.end();
    expect(await endOf(asked)).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    const refused = start(["token", "inspect", "--token-file", "-"], old);
    refused.stdin.end("writ_nonsense");
    expect((await endOf(refused)).code).toBe(2);

    const data = await mkdtemp(join(tmpdir(), "writ-cli-old-"));
    const serving = start(["serve", "--json"], old, {
      WRIT_DATA_DIR: data,
      WRIT_GATEWAY_PORT: "0",
      WRIT_CONTROL_PORT: "0",
      WRIT_LOG_LEVEL: "error",
    });
    const ended = endOf(serving);
    const report = await new Promise<string>((resolve) => {
      serving.stdout.once("data", (chunk: unknown) => resolve(String(chunk)));
    });
    serving.kill("SIGTERM");
    expect((await ended).code).toBe(0);
    const { gatewayUrl } = JSON.parse(report) as { readonly gatewayUrl: string };
    await expect(fetch(`${gatewayUrl}/healthz`)).rejects.toThrow("fetch failed");
    expect(report).not.toContain('"token"');
    await rm(data, { recursive: true, force: true });
  });

  test("a wrong configuration is refused with every problem and no stack trace", async () => {
    await writeFile(join(directory, "writ.yaml"), "gateway:\n  port: many\nmode: fast\n");
    const { code, notes } = await writ("doctor");
    await rm(join(directory, "writ.yaml"));

    expect(code).toBe(2);
    expect(notes).toContain("writ.yaml:2:");
    expect(notes).toContain("writ.yaml:3:");
    expect(notes).not.toContain("    at ");
  });

  test("doctor finds a healthy directory good", async () => {
    const data = await mkdtemp(join(tmpdir(), "writ-cli-doctor-"));
    const child = start(["doctor", "--json"], [], { WRIT_DATA_DIR: data });
    child.stdin.end();

    expect(JSON.parse((await endOf(child)).out)).toMatchObject({ good: true });
    await rm(data, { recursive: true, force: true });
  });

  test("doctor finds what is wrong with the addresses and the credentials of upstreams", async () => {
    const data = await mkdtemp(join(tmpdir(), "writ-cli-doctor-"));
    await writeFile(join(data, "crm"), "a-secret-value", { mode: 0o644 });
    const child = start(["doctor", "--json"], [], {
      WRIT_DATA_DIR: data,
      WRIT_UPSTREAMS_CREDENTIALS_DIR: data,
      WRIT_UPSTREAMS_ALLOWED_ADDRESSES: "10.0.0.0/8, 169.254.0.0/16",
    });
    child.stdin.end();

    const { code, out } = await endOf(child);

    expect(code).toBe(1);
    expect(out).not.toContain("a-secret-value");
    expect(JSON.parse(out).findings).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          check: "upstream_addresses",
          state: "warning",
          detail: expect.stringContaining("169.254.169.254"),
        }),
        expect.objectContaining({
          check: "upstream_credentials",
          state: "bad",
          detail: expect.stringContaining("crm"),
        }),
      ]),
    );
    await rm(data, { recursive: true, force: true });
  });

  test("the demo holds every expectation and leaves nothing behind", async () => {
    const temporary = await mkdtemp(join(tmpdir(), "writ-cli-demo-"));
    const child = start(["demo"], [], { TMPDIR: temporary });
    child.stdin.end();
    const { code, out } = await endOf(child);

    expect(out).toContain("expectations held");
    expect(out).not.toContain("\u001b");
    expect(code).toBe(0);
    expect((await readdir(temporary)).filter((name) => name.startsWith("writ-demo-"))).toEqual([]);
    await rm(temporary, { recursive: true, force: true });
  });
});
