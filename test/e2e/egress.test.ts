/**
 * Nothing phones home: whatever a running Writ opens towards the outside is written down (watch-connections.ts) and
 * compared with what it was configured to reach. The first test shows that the watch would see it.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freshDatabase, sharedPostgres } from "@writ/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, type Rig, startRig, statelessCall, TENANT } from "./rig.ts";
import type { Opened } from "./watch-connections.ts";

const run = promisify(execFile);
const WATCH = new URL("./watch-connections.ts", import.meta.url).href;
const WRIT = fileURLToPath(new URL("../../packages/cli/bin/writ.mjs", import.meta.url));

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "writ-egress-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Environment of a watched process, and what it has opened so far, each thing once. */
function makeWatch(name: string): {
  readonly env: Readonly<Record<string, string>>;
  opened(): Promise<readonly string[]>;
} {
  const file = join(directory, name);
  return {
    env: { NODE_OPTIONS: `--import ${WATCH}`, WATCH_CONNECTIONS_FILE: file },
    async opened() {
      const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
      // Only the watch writes this file.
      const all = lines.map((line) => JSON.parse(line) as Opened);
      return [...new Set(all.map(({ kind, target }) => `${kind} ${target}`))].sort();
    },
  };
}

function targetOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `tcp ${hostname}:${port}`;
}

/** Everything that a Writ does in its life, as far as it could lead outside. */
async function live(rig: Rig): Promise<void> {
  const { admin } = rig;
  const params = { tenant: TENANT };
  const token = await rig.mint([{ tools: ["up/*"] }, { calls: 100 }]);
  for (const tool of ["echo", "redirect", "error", "no-such-tool"]) {
    const { body, headers } = statelessCall(tool, { message: "http://127.0.0.9:4999/ example.com" });
    await rig.post("up", token, body, headers);
  }
  await rig.post("everything", token, statelessCall("echo", {}).body);
  await rig.post("up", undefined, "{}");
  await admin.call("agents.create", { params, body: { name: "second", principal: "starter" } });
  await admin.call("root-keys.rotate", { params });
  await admin.call("kill.engage-tenant", { params, body: { reason: "a test" } });
  const killed = statelessCall("echo", { message: "killed" });
  expect((await rig.post("up", token, killed.body, killed.headers)).text).toContain("kill_engaged");
  await admin.call("kill.release-tenant", { params });
  expect(await admin.call("audit.verify", { params, query: { full: true } })).toMatchObject({ status: "intact" });
  await new Response(await admin.call("audit.export", { params, query: {} })).text();
  await eventually("a checkpoint is signed", async () => {
    const { items } = await admin.call("audit.checkpoints", { params });
    return items.length > 0 ? true : undefined;
  });
}

test("whatever a process opens towards the outside is seen, also in a worker thread or a child", async () => {
  const watch = makeWatch("deliberate");
  const opens = (host: string): string => `require("node:net").connect(4999, "${host}").on("error", () => {});`;
  const script = `
    import dgram from "node:dgram";
    import dns from "node:dns";
    import net from "node:net";
    import { once } from "node:events";
    import { spawn } from "node:child_process";
    import { Worker } from "node:worker_threads";
    await fetch("http://127.0.0.2:4999/").catch(() => {});
    await fetch("http://localhost:4998/").catch(() => {});
    const worker = "data:text/javascript," + encodeURIComponent(
      "import { createRequire } from 'node:module'; const require = createRequire('file:///');" + ${JSON.stringify(opens("127.0.0.3"))}
    );
    await once(new Worker(new URL(worker), { execArgv: [], env: {} }), "exit");
    await once(spawn(process.execPath, ["-e", ${JSON.stringify(opens("127.0.0.4"))}], { env: {} }), "exit");
    await once(spawn("true", ["it"], { env: {} }), "exit");
    dgram.createSocket("udp4").send("x", 4999, "127.0.0.5", () => process.exit());
    const resolver = new dns.Resolver({ timeout: 100, tries: 1 });
    resolver.setServers(["127.0.0.6:4999"]);
    resolver.resolve4("name.invalid", () => {});
    net.connect("/nowhere.sock").on("error", () => {});
  `;
  const file = join(directory, "deliberate.mjs");
  await writeFile(file, script);

  await run(process.execPath, [file], { env: { PATH: process.env["PATH"] ?? "", ...watch.env } });

  expect(await watch.opened()).toEqual([
    "lookup localhost",
    "lookup name.invalid",
    "pipe /nowhere.sock",
    expect.stringMatching(/^process .*node -e /),
    "process true it",
    expect.stringMatching(/^tcp (127\.0\.0\.1|::1):4998$/),
    "tcp 127.0.0.2:4999",
    "tcp 127.0.0.3:4999",
    "tcp 127.0.0.4:4999",
    "udp ",
    "watch main",
    "watch worker",
  ]);
});

test("R-RUN-3 on the embedded database a Writ connects to its upstreams and to nothing else", async () => {
  const watch = makeWatch("embedded");
  const rig = await startRig({ env: watch.env, databaseBy: "writ" });
  try {
    await live(rig);
    expect(await rig.writ.stop()).toBe(0);

    expect(await watch.opened()).toEqual([
      // The starter upstream, which is configured as a command, and what makes the database's directory.
      expect.stringMatching(/^process .*server-everything\S* stdio$/),
      expect.stringMatching(/^process .*pglite-initdb/),
      targetOf(rig.upstream.url),
      "watch main",
      "watch worker",
    ]);
  } finally {
    await rig.close();
  }
});

test("R-RUN-3 on a server a Writ connects to its database, to its upstreams and to nothing else", async () => {
  const watch = makeWatch("server");
  const databaseUrl = await freshDatabase(await sharedPostgres());
  const rig = await startRig({ env: watch.env, databaseUrl });
  try {
    await live(rig);
    expect(await rig.writ.stop()).toBe(0);

    expect(await watch.opened()).toEqual([
      expect.stringMatching(/^process .*server-everything\S* stdio$/),
      ...[targetOf(databaseUrl), targetOf(rig.upstream.url)].sort(),
      "watch main",
    ]);
  } finally {
    await rig.close();
  }
});

test("R-RUN-3 the command line connects to the addresses that it is given and to nothing else", async () => {
  const watch = makeWatch("command-line");
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // a TCP listener has one
  try {
    const env = {
      PATH: process.env["PATH"] ?? "",
      HOME: directory,
      WRIT_DATA_DIR: directory,
      WRIT_ADMIN_URL: `http://127.0.0.1:${port}`,
      WRIT_ADMIN_KEY: "wadm_none",
      WRIT_GATEWAY_URL: `http://127.0.0.1:${port}`,
      ...watch.env,
    };
    for (const argv of [["agent", "list"], ["audit", "verify"], ["call", "up/echo", "{}"], ["--version"], ["doctor"]]) {
      // Which of them succeed is not the point.
      await run(process.execPath, [WRIT, ...argv], { env, cwd: directory }).catch(() => undefined);
    }

    expect(asked.length).toBeGreaterThan(0);
    expect(await watch.opened()).toEqual([
      expect.stringMatching(/^process .*pglite-initdb/),
      `tcp 127.0.0.1:${port}`,
      "watch main",
      "watch worker",
    ]);
  } finally {
    server.close();
  }
});
