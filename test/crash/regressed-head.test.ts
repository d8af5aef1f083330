/** A database that went back in time under a running gateway, as after a failover to a standby that was behind. */
import { freshDatabase, sharedPostgres, startTcpProxy, uniqueDatabaseName } from "@writ/testkit";
import { expect, test } from "vitest";
import { callTool } from "./load.ts";
import { makeRandom } from "./random.ts";
import { makeRig, type Rig, UPSTREAM, until } from "./rig.ts";

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

test("R-STALE-3 trap-58 a head behind what the gateway has seen denies until an administrator opens a new epoch", async () => {
  const server = await sharedPostgres();
  const proxy = await startTcpProxy(server.port);
  const checkUrl = await freshDatabase(server);
  const name = new URL(checkUrl).pathname.slice(1);
  const rig = await makeRig({ random: makeRandom(1), databaseUrl: proxy.url(checkUrl), checkUrl });
  const copy = uniqueDatabaseName();
  const withoutGateway = async (work: () => Promise<unknown>): Promise<void> => {
    proxy.setRefusing(true);
    proxy.cutAll();
    await work();
    proxy.setRefusing(false);
  };
  try {
    // Given a gateway that has seen more than a copy of its database holds.
    expect(await call(rig, "before the copy")).toBe("answered");
    await withoutGateway(() =>
      // Postgres copies a database that nobody uses: the last connections are ending.
      until("the database is copied", WITHIN_MS, () =>
        server.createDatabase(copy, name).then(
          () => true,
          () => false,
        ),
      ),
    );
    await until("calls are answered again", WITHIN_MS, async () => (await call(rig, "after the copy")) === "answered");

    // When the database is replaced by the copy.
    await withoutGateway(async () => {
      await server.dropDatabase(name);
      await server.createDatabase(name, copy);
    });
    const forwarded = rig.upstream.calls.length;

    // Then the gateway believes it no more, on no attempt.
    const reasons = new Set<string>();
    await until("the head is refused", WITHIN_MS, async () => {
      const reason = await call(rig, "on the copy");
      reasons.add(reason);
      return reason === "head_regressed";
    });
    for (let attempt = 0; attempt < 20; attempt += 1) expect(await call(rig, "again")).toBe("head_regressed");
    expect(reasons).not.toContain("answered");
    // The copy outgrows what the gateway has seen: it is another history all the same.
    for (let mint = 0; mint < 40; mint += 1) await rig.admin("POST", "/tokens", { agent: "assistant" });
    for (let attempt = 0; attempt < 20; attempt += 1) expect(await call(rig, "outgrown")).toBe("head_regressed");
    expect(rig.upstream.calls.length).toBe(forwarded);

    // A new epoch opens with the kill switch on; once that is released, calls go on.
    await rig.admin("POST", "/log/recover", { reason: "restored a copy" });
    await until("the kill switch is seen", WITHIN_MS, async () => (await call(rig, "killed")) === "kill_engaged");
    expect(rig.upstream.calls.length).toBe(forwarded);
    await rig.admin("DELETE", "/kill/tenant");
    await until("calls are answered again", WITHIN_MS, async () => (await call(rig, "released")) === "answered");
  } finally {
    await rig.dispose();
    await proxy.close();
    await server.dropDatabase(copy);
  }
});
