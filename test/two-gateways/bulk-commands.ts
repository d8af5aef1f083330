/**
 * Thousands of commands over the admin API do not starve the calls of the same tenant on either gateway, and a kill in
 * their midst does not wait for them.
 */
import assert from "node:assert/strict";
import { type Fleet, UPSTREAM } from "./fleet.ts";

export interface BulkReport {
  readonly commands: number;
  readonly commandsPerSecond: number;
  readonly callsDuring: number;
  readonly quietP99Ms: number;
  readonly bulkP99Ms: number;
  readonly bulkMaxMs: number;
  /** How long a kill in the midst of the bulk took to return. */
  readonly killMs: number;
}

/** Commands under way at once, and callers on each gateway. */
const LANES = 16;
const CALLERS = 2;
/** No call may take so long: a command holds the head for less than 50 ms, and callers wait for a few of them. */
const CALL_WITHIN_MS = 2_000;
const KILL_WITHIN_MS = 2_000;

export async function proveBulk(fleet: Fleet, commands: number): Promise<BulkReport> {
  const tenant = await fleet.makeTenant("bulk");
  const params = { tenant: tenant.id };
  const agent = await tenant.makeAgent("caller");
  const { token } = await tenant.mint(agent);

  const callWhile = async (goesOn: () => boolean): Promise<readonly number[]> => {
    const times: number[] = [];
    const caller = async (gatewayUrl: string): Promise<void> => {
      while (goesOn()) {
        const from = performance.now();
        const message = "bulk";
        const answer = await fleet.client.call({
          gatewayUrl,
          upstream: UPSTREAM,
          token,
          tool: "echo",
          arguments: { message },
        });
        assert.equal(answer.text, message, answer.body);
        times.push(performance.now() - from);
      }
    };
    await Promise.all(fleet.gatewayUrls.flatMap((url) => Array.from({ length: CALLERS }, () => caller(url))));
    return times.sort((a, b) => a - b);
  };

  let quietCalls = 0;
  const quiet = await callWhile(() => {
    quietCalls += 1;
    return quietCalls <= 400;
  });

  const other = await tenant.makeAgent("other");
  let killMs = 0;
  const kill = async (): Promise<void> => {
    const asked = performance.now();
    await fleet.admin.call("kill.engage", {
      params: { ...params, scope: "agent", scopeId: other },
      body: { reason: "test" },
    });
    killMs = performance.now() - asked;
  };

  let next = 0;
  let running = true;
  const from = performance.now();
  const lane = async (): Promise<void> => {
    for (;;) {
      const mine = next;
      if (mine >= commands) return;
      next += 1;
      if (mine === Math.floor(commands / 2)) await kill();
      else if (mine % 2 === 0) await tenant.makeAgent(`bulk-${mine}`);
      else await fleet.admin.call("tokens.mint", { params, body: { agent } });
    }
  };
  const calls = callWhile(() => running);
  try {
    await Promise.all(Array.from({ length: LANES }, lane));
  } finally {
    running = false;
  }
  const elapsedMs = performance.now() - from;
  const during = await calls;
  assert.ok(during.length > 0, "no call was answered during the bulk");
  const bulkMaxMs = during.at(-1) ?? 0;
  assert.ok(bulkMaxMs <= CALL_WITHIN_MS, `a call took ${bulkMaxMs} ms during the bulk`);
  assert.ok(killMs > 0 && killMs <= KILL_WITHIN_MS, `a kill took ${killMs} ms during the bulk`);
  const p99 = (sorted: readonly number[]): number => sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  return {
    commands,
    commandsPerSecond: Math.round((commands / elapsedMs) * 1000),
    callsDuring: during.length,
    quietP99Ms: p99(quiet),
    bulkP99Ms: p99(during),
    bulkMaxMs,
    killMs,
  };
}
