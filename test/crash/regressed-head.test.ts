/**
 * A database that went back in time under a running gateway, as after a failover to a standby that was behind or the
 * restore of a copy; and the way back from there, as docs/operations.md says it.
 */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freshDatabase, sharedPostgres, startTcpProxy, uniqueDatabaseName } from "@writ/testkit";
import { expect, test } from "vitest";
import { callTool } from "./load.ts";
import { makeRandom } from "./random.ts";
import { makeRig, type Rig, UPSTREAM, until } from "./rig.ts";

const run = promisify(execFile);
const WRIT = fileURLToPath(new URL("../../packages/cli/bin/writ.mjs", import.meta.url));
const WITHIN_MS = 20_000;

async function call(rig: Rig, message: string): Promise<string> {
  const answer = await callTool({
    gatewayUrl: rig.writ().gatewayUrl,
    upstream: UPSTREAM,
    token: rig.token,
    tool: "echo",
    argumentsText: `{"message":"${message}"}`,
  });
  return answer.reason ?? answer.kind;
}

/** A Writ whose database can be copied, and replaced by the copy, while it runs. */
interface Stage {
  readonly rig: Rig;
  copy(): Promise<void>;
  restore(): Promise<void>;
  /** Calls until this is the answer, and resolves to all answers on the way. */
  callUntil(reason: string): Promise<ReadonlySet<string>>;
  /** `writ …` as an administrator of the instance runs it. */
  command(...argv: readonly string[]): Promise<{ readonly code: number; readonly out: string }>;
  dispose(): Promise<void>;
}

async function makeStage(): Promise<Stage> {
  const server = await sharedPostgres();
  const proxy = await startTcpProxy(server.port);
  const checkUrl = await freshDatabase(server);
  const name = new URL(checkUrl).pathname.slice(1);
  const rig = await makeRig({ random: makeRandom(1), databaseUrl: proxy.url(checkUrl), checkUrl });
  const copy = uniqueDatabaseName();
  const withoutWrit = async (work: () => Promise<unknown>): Promise<void> => {
    proxy.setRefusing(true);
    proxy.cutAll();
    await work();
    proxy.setRefusing(false);
  };
  return {
    rig,
    copy: () =>
      withoutWrit(() =>
        // Postgres copies a database that nobody uses: the last connections are ending.
        until("the database is copied", WITHIN_MS, () =>
          server.createDatabase(copy, name).then(
            () => true,
            () => false,
          ),
        ),
      ),
    restore: () =>
      withoutWrit(async () => {
        await server.dropDatabase(name);
        await server.createDatabase(name, copy);
      }),
    async callUntil(reason) {
      const reasons = new Set<string>();
      await until(`the answer is ${reason}`, WITHIN_MS, async () => {
        const answer = await call(rig, `until ${reason}`);
        reasons.add(answer);
        return answer === reason;
      });
      return reasons;
    },
    async command(...argv) {
      const { directory, adminUrl, adminKey } = rig.writ();
      const env = {
        PATH: process.env["PATH"] ?? "",
        HOME: directory,
        WRIT_ADMIN_URL: adminUrl,
        WRIT_ADMIN_KEY: adminKey,
      };
      return run(process.execPath, [WRIT, ...argv], { cwd: directory, env }).then(
        ({ stdout }) => ({ code: 0, out: stdout }),
        // execFile rejects with what the program wrote and its exit code.
        ({ code, stdout }: { readonly code: number; readonly stdout: string }) => ({ code, out: stdout }),
      );
    },
    async dispose() {
      await rig.dispose();
      await proxy.close();
      await server.dropDatabase(copy);
    },
  };
}

test("R-STALE-3 trap-58 a head behind what the gateway has seen denies until an administrator opens a new epoch", async () => {
  const stage = await makeStage();
  const { rig } = stage;
  try {
    // Given a gateway that has seen more than a copy of its database holds.
    expect(await call(rig, "before the copy")).toBe("answered");
    await stage.copy();
    await stage.callUntil("answered");

    // When the database is replaced by the copy.
    await stage.restore();
    const forwarded = rig.upstream.calls.length;

    // Then the gateway believes it no more, on no attempt.
    expect(await stage.callUntil("head_regressed")).not.toContain("answered");
    for (let attempt = 0; attempt < 20; attempt += 1) expect(await call(rig, "again")).toBe("head_regressed");
    // The copy outgrows what the gateway has seen: it is another history all the same.
    for (let mint = 0; mint < 40; mint += 1) await rig.admin("POST", "/tokens", { agent: "assistant" });
    for (let attempt = 0; attempt < 20; attempt += 1) expect(await call(rig, "outgrown")).toBe("head_regressed");
    expect(rig.upstream.calls.length).toBe(forwarded);

    // A new epoch opens with the kill switch on; once that is released, calls go on.
    await rig.admin("POST", "/log/recover", { reason: "restored a copy" });
    await stage.callUntil("kill_engaged");
    expect(rig.upstream.calls.length).toBe(forwarded);
    await rig.admin("DELETE", "/kill/tenant");
    await stage.callUntil("answered");
  } finally {
    await stage.dispose();
  }
});

test("R-STALE-3 a restored copy is recovered by one command, however often, and every epoch of its log verifies", async () => {
  const stage = await makeStage();
  const { rig, command } = stage;
  const verified = async (...argv: readonly string[]): Promise<Record<string, unknown>> => {
    const { out } = await command("audit", "verify", "--json", ...argv);
    return JSON.parse(out) as Record<string, unknown>; // what audit verify prints
  };
  /** Size of the last checkpoint of an epoch. */
  const signed = async (epoch: number): Promise<number> => {
    const { items } = (await rig.admin("GET", "/audit/checkpoints")) as {
      readonly items: readonly { readonly epoch: number; readonly size: number }[];
    }; // an answer of the admin API
    return items.findLast((item) => item.epoch === epoch)?.size ?? 0;
  };
  const recover = async (): Promise<unknown> => {
    const { code, out } = await command("audit", "recover", "--all", "--reason", "restored a copy", "--json");
    expect(code).toBe(0);
    // What audit recover prints.
    return (JSON.parse(out) as { readonly items: readonly { readonly tenant?: string }[] }).items;
  };
  const goOn = async (): Promise<void> => {
    expect((await command("kill", "release", "instance")).code).toBe(0);
    await stage.callUntil("kill_engaged");
    expect((await command("kill", "release", "tenant")).code).toBe(0);
    await stage.callUntil("answered");
  };
  try {
    await stage.callUntil("answered");
    await stage.copy();
    await stage.callUntil("answered");
    const { size: copied } = await verified("--full");
    for (let extra = 0; extra < 5; extra += 1) await stage.callUntil("answered");
    await until("what the copy lacks is signed", WITHIN_MS, async () => (await signed(1)) > Number(copied));

    await stage.restore();
    expect(await stage.callUntil("head_regressed")).not.toContain("answered");
    await until("the signer says what to do", WITHIN_MS, async () => rig.writ().stderr().includes("--epoch-after 1"));
    // Nothing of the old epoch is signed any more, and what was signed up to the restore stands in the file.
    const lostThrough = await signed(1);
    expect(await recover()).toEqual([
      expect.objectContaining({ epoch: 2, previousEpoch: 1 }),
      expect.objectContaining({ tenant: "default", epoch: 2, previousEpoch: 1 }),
    ]);
    await goOn();

    expect(await verified("--full")).toMatchObject({ status: "intact", epoch: 2, findings: [] });
    expect(await verified("--epoch", "1")).toMatchObject({ status: "intact", epoch: 1, lostThrough });
    // Whoever holds the checkpoints of before sees what the restore has lost.
    await command("audit", "export", "--epoch", "1", "--out", "epoch-1");
    const { directory } = rig.writ();
    const [header = ""] = (await readFile(join(directory, "epoch-1"), "utf8")).split("\n");
    const { verifierKeys } = JSON.parse(header) as { readonly verifierKeys: readonly string[] }; // docs/log-format.md
    const offline = await command("audit", "verify", "--file", "epoch-1", "--key", verifierKeys[0] ?? "", "--json");
    expect(offline.code).toBe(1);
    expect(JSON.parse(offline.out)).toMatchObject({
      verdict: {
        findings: expect.arrayContaining([expect.objectContaining({ damage: "truncated", through: lostThrough })]),
      },
    });
    // Without them the old epoch is whole as far as it goes.
    const kept = (await readFile(join(directory, "epoch-1"), "utf8"))
      .split("\n")
      .filter((line) => !line.startsWith('{"checkpoint"'));
    await writeFile(join(directory, "epoch-1-kept"), kept.join("\n"));
    expect((await command("audit", "verify", "--file", "epoch-1-kept")).code).toBe(0);

    // The same copy once more: it is behind the epoch that was opened since, and one command is enough again.
    await until("the new epoch is signed", WITHIN_MS, async () => (await signed(2)) > 0);
    await stage.restore();
    await stage.callUntil("head_regressed");
    expect(await recover()).toEqual([
      expect.objectContaining({ epoch: 3, previousEpoch: 1 }),
      expect.objectContaining({ tenant: "default", epoch: 3, previousEpoch: 1 }),
    ]);
    await goOn();
    expect(await verified("--full")).toMatchObject({ status: "intact", epoch: 3, findings: [] });
    expect(await verified("--epoch", "1")).toMatchObject({ status: "intact" });
    expect((await command("audit", "verify", "--epoch", "2")).code).not.toBe(0);
    expect((await command("audit", "verify", "--epoch", "4")).code).not.toBe(0);
  } finally {
    await stage.dispose();
  }
});
