/** `npm start` as somebody does it who has just cloned the repository: what is printed, what it promises, what is kept. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pathWithCurl } from "@writ/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { freePort, postMcp, REPOSITORY, statelessCall } from "./rig.ts";

const run = promisify(execFile);
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Started {
  /** What was printed on standard output, without npm's own lines. */
  readonly lines: readonly string[];
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  readonly tokenFile: string;
  readonly startedMs: number;
  /** Ctrl-C; resolves when npm and all that it started have ended. */
  interrupt(): Promise<void>;
  rssMb(): Promise<number | undefined>;
}

async function npmStart(dataDir: string, env: Readonly<Record<string, string>> = {}): Promise<Started> {
  const startedMs = performance.now();
  const child: ChildProcess = spawn("npm", ["start"], {
    cwd: REPOSITORY,
    // A process group of its own, as a shell gives it: Ctrl-C reaches npm and what it started.
    detached: true,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: dataDir,
      npm_config_cache: join(dataDir, "npm"),
      npm_config_update_notifier: "false",
      WRIT_DATA_DIR: join(dataDir, "writ"),
      WRIT_GATEWAY_PORT: "0",
      WRIT_CONTROL_PORT: "0",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error("npm did not start");
  const exited = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(-pid, name);
    } catch {
      // The group has ended already, which is what was wanted.
    }
  };
  const killAll = (): void => signal("SIGKILL");
  process.once("exit", killAll);
  cleanups.push(async () => {
    signal("SIGTERM");
    await exited;
    process.off("exit", killAll);
  });
  let out = "";
  let err = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      if (out.split("\n  curl ").length === 4 && out.endsWith("\n")) resolve();
    });
    void exited.then((code) => reject(new Error(`npm start ended with ${code}: ${out}${err}`)));
  });
  const lines = out.split("\n").filter((line) => !line.startsWith("> ") && line !== "");
  const after = (label: string): string => {
    const line = lines.find((candidate) => candidate.startsWith(label)) ?? "";
    return line.slice(label.length).trim();
  };
  return {
    lines,
    gatewayUrl: after("Gateway"),
    adminUrl: after("Admin  "),
    tokenFile: after("Token     in"),
    startedMs,
    async interrupt() {
      signal("SIGINT");
      await exited;
      expect(() => process.kill(-pid, 0)).toThrow("ESRCH");
    },
    rssMb: () => largestOfGroup(pid),
  };
}

/** Resident memory in MB of the largest process of the group, which is Writ; undefined where there is no /proc. */
async function largestOfGroup(group: number): Promise<number | undefined> {
  let largest: number | undefined;
  for (const name of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    // A process may end while it is looked at.
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]) !== group) continue;
    const status = await readFile(`/proc/${name}/status`, "utf8").catch(() => "");
    const kilobytes = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0);
    largest = Math.max(largest ?? 0, Math.round(kilobytes / 1024));
  }
  return largest;
}

async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "writ-start-"));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function firstDecision(started: Started): Promise<unknown> {
  const token = (await readFile(started.tokenFile, "utf8")).trim();
  const call = statelessCall("echo", { message: "hello" });
  return JSON.parse((await postMcp(`${started.gatewayUrl}/mcp/everything`, token, call)).text);
}

async function occupy(port: number): Promise<void> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
}

describe("npm start", () => {
  test("says where everything is, and its three commands do what they promise", async () => {
    const directory = await freshDirectory();
    const started = await npmStart(directory);

    expect(started.lines[0]).toMatch(/^Gateway {3}http:\/\/127\.0\.0\.1:\d+$/);
    expect(started.lines[1]).toMatch(/^Admin {5}http:\/\/127\.0\.0\.1:\d+$/);
    expect(started.lines[2]).toBe(`Token     in ${join(directory, "writ", "starter-token")}`);
    const token = (await readFile(started.tokenFile, "utf8")).trim();
    expect(token).toMatch(/^writ_[A-Za-z0-9_-]+$/);
    expect(started.lines.join("\n")).not.toContain(token);
    for (const name of ["starter-token", "admin-key", "master.key", "checkpoint.key"]) {
      expect((await stat(join(directory, "writ", name))).mode & 0o777).toBe(0o600);
    }

    const commands = started.lines.filter((line) => line.startsWith("  curl "));
    const promises = started.lines.filter((line) => line.startsWith("  # "));
    expect(promises.map((line) => line.slice(4).split(":")[0])).toEqual([
      "allowed",
      "denied by the token",
      "denied by the rules",
    ]);
    const answers: unknown[] = [];
    const env = { ...process.env, PATH: await pathWithCurl(process.env["PATH"] ?? "") };
    for (const command of commands) answers.push(JSON.parse((await run("sh", ["-c", command], { env })).stdout));
    expect(answers).toEqual([
      { jsonrpc: "2.0", id: 1, result: { resultType: "complete", content: [{ type: "text", text: "Echo: hello" }] } },
      {
        jsonrpc: "2.0",
        id: 1,
        error: expect.objectContaining({ data: expect.objectContaining({ reason: "caveat_args" }) }),
      },
      {
        jsonrpc: "2.0",
        id: 1,
        error: expect.objectContaining({ data: expect.objectContaining({ reason: "policy_denied" }) }),
      },
    ]);

    for (const url of [started.gatewayUrl, started.adminUrl]) {
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
      expect((await fetch(`${url}/readyz`)).status).toBe(200);
    }
    process.stdout.write(`resident after the first start and three calls: ${await started.rssMb()} MB\n`);
    await started.interrupt();
    expect(await readdir(join(directory, "writ"))).not.toContain("db.lock");
  });

  test("goes on with the same state, and with the token of before", async () => {
    const directory = await freshDirectory();
    const first = await npmStart(directory);
    const token = await readFile(first.tokenFile, "utf8");
    await firstDecision(first);
    await first.interrupt();

    const second = await npmStart(directory);
    expect(await firstDecision(second)).toMatchObject({ result: { content: [{ text: "Echo: hello" }] } });
    const milliseconds = Math.round(performance.now() - second.startedMs);
    process.stdout.write(`second start to the first decision, npm included: ${milliseconds} ms\n`);
    expect(await readFile(second.tokenFile, "utf8")).toBe(token);
    const adminKey = (await readFile(join(directory, "writ", "admin-key"), "utf8")).trim();
    const events = await fetch(`${second.adminUrl}/v1/tenants/default/audit/events?event=call.decided`, {
      headers: { authorization: `Bearer ${adminKey}` },
    });
    // The calls of both starts are one history.
    expect(((await events.json()) as { items: unknown[] }).items.length).toBeGreaterThanOrEqual(2);
  });

  test("takes the next free ports when its own are taken, and says both", async () => {
    const gatewayPort = await freePort();
    const controlPort = await freePort();
    await occupy(gatewayPort);
    await occupy(controlPort);
    const started = await npmStart(await freshDirectory(), {
      WRIT_GATEWAY_PORT: String(gatewayPort),
      WRIT_CONTROL_PORT: String(controlPort),
    });
    const text = started.lines.join("\n");
    const gateway = Number(new URL(started.gatewayUrl).port);
    const control = Number(new URL(started.adminUrl).port);
    expect(gateway).toBeGreaterThan(gatewayPort);
    expect(control).toBeGreaterThan(controlPort);
    expect(text).toContain(`port ${gatewayPort} is taken, so the gateway listens on ${gateway}`);
    expect(text).toContain(`port ${controlPort} is taken, so the control plane listens on ${control}`);
    expect(await firstDecision(started)).toMatchObject({ result: { content: [{ text: "Echo: hello" }] } });
  });
});
