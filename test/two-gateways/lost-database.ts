/**
 * One of two gateways loses the database: its packets are swallowed. Meanwhile authority is taken away through the
 * control plane. The gateway cuts what is open, is not ready, sends nothing, and takes calls again when the database is
 * back, on the authority of then.
 */
import assert from "node:assert/strict";
import { allEnded, BYTES_WITHIN_MS, startLoop } from "./authority-changes.ts";
import { type Fleet, UPSTREAM, until } from "./fleet.ts";

export interface LostDatabaseReport {
  /** From the loss of the database to the last byte of a stream, and to `/readyz` saying no. */
  readonly lastByteMs: number;
  readonly notReadyMs: number;
  /** From the return of the database to the first allowed call. */
  readonly recoveredMs: number;
  readonly deniedMeanwhile: number;
}

const STREAMS = 3;

export async function proveLostDatabase(fleet: Fleet, round: number): Promise<LostDatabaseReport> {
  const { admin, client, proxy } = fleet;
  const tenant = await fleet.makeTenant(`lost-${round}`);
  const params = { tenant: tenant.id };
  const doomed = await tenant.makeAgent("doomed");
  const kept = await tenant.makeAgent("kept");
  const [first, second] = [await tenant.mint(doomed), await tenant.mint(kept)];
  const gatewayUrl = fleet.gatewayUrls[1];
  const stepper = setInterval(() => {
    for (let step = 0; step < 2 * STREAMS; step += 1) fleet.upstream.step();
  }, 10);
  const open = (token: string) =>
    client.stream({ gatewayUrl, upstream: UPSTREAM, token, tool: "slow", arguments: { steps: 1_000_000, wait: true } });
  try {
    const streams = [
      ...(await Promise.all(Array.from({ length: STREAMS }, () => open(first.token)))),
      await open(second.token),
    ];
    const loops = [first, second].map(({ token }, index) =>
      startLoop(fleet, { gatewayUrl, token, label: `lost ${round} ${index}` }),
    );
    await until("both loops are allowed", () => loops.every((loop) => loop.allowed >= 5));

    proxy.setSilent(true);
    const lostMs = performance.now();
    await admin.call("nodes.revoke", { params: { ...params, node: first.node }, body: { reason: "test" } });
    const revokedMs = performance.now();
    const sequenceThen = await tenant.sequence();
    let notReadyMs = 0;
    await until("the gateway is not ready", async () => {
      if ((await fetch(`${gatewayUrl}/readyz`)).status === 200) return false;
      notReadyMs = performance.now() - lostMs;
      return true;
    });
    await allEnded(streams, BYTES_WITHIN_MS + 2_000, "the lost gateway");
    const lastByteMs = Math.max(...streams.map((stream) => stream.lastByteMs()));
    assert.ok(lastByteMs - revokedMs <= BYTES_WITHIN_MS, `a byte ${lastByteMs - revokedMs} ms after the revocation`);
    assert.ok(notReadyMs <= BYTES_WITHIN_MS, `ready for ${notReadyMs} ms without a database`);
    await until("both loops are denied", () => loops.every((loop) => loop.deniedInARow >= 3));
    const other = await client.call({
      gatewayUrl: fleet.gatewayUrls[0],
      upstream: UPSTREAM,
      token: second.token,
      tool: "echo",
      arguments: { message: "other" },
    });
    assert.equal(other.text, "other", "the gateway beside it goes on");

    const deniedMeanwhile = loops.reduce((sum, loop) => sum + loop.deniedInARow, 0);
    const keptLoop = loops[1];
    assert.ok(keptLoop !== undefined);
    const allowedThen = keptLoop.allowed;
    proxy.setSilent(false);
    const backMs = performance.now();
    await until("calls are allowed again", () => keptLoop.allowed >= allowedThen + 3);
    const recoveredMs = performance.now() - backMs;
    await until("the gateway is ready", async () => (await fetch(`${gatewayUrl}/readyz`)).status === 200);
    await until("the revoked token is denied", () => (loops[0]?.deniedInARow ?? 0) >= 3);
    for (const loop of loops) loop.stop();
    await Promise.all(loops.map((loop) => loop.ended));

    const late = (await tenant.events(sequenceThen)).filter(
      ({ event, fields }) => event === "call.decided" && fields["decision"] === "allow" && fields["agentId"] === doomed,
    );
    assert.deepEqual(late, [], "allowed after the revocation");
    for (const message of loops[0]?.messages ?? []) {
      const sentMs = (fleet.receivedAtMs(message) ?? 0) - revokedMs;
      assert.ok(sentMs <= 250, `${message} was sent ${sentMs} ms after the revocation`);
    }
    return { lastByteMs: lastByteMs - lostMs, notReadyMs, recoveredMs, deniedMeanwhile };
  } finally {
    proxy.setSilent(false);
    clearInterval(stepper);
  }
}
