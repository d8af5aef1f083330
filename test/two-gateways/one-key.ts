/**
 * Calls under one idempotency key at both gateways at once: of all that name the key one is forwarded and charged, and
 * the others are told which.
 */
import assert from "node:assert/strict";
import { type Fleet, settled, UPSTREAM } from "./fleet.ts";
import type { Answer, ToolRequest } from "./mcp-client.ts";

export interface KeyReport {
  readonly calls: number;
  readonly answered: number;
  readonly duplicates: number;
}

/** A call that was not made, because a machine stood still between commit and send, is made again, not for ever. */
const ATTEMPTS_MAX = 20;

export async function proveOneKey(
  fleet: Fleet,
  size: { readonly keys: number; readonly calls: number },
): Promise<KeyReport> {
  const tenant = await fleet.makeTenant("one-key");
  const agent = await tenant.makeAgent("repeater");
  // Denials of one token are summarised beyond twenty a minute, so each key has a token of its own.
  const report = { calls: 0, answered: 0, duplicates: 0 };
  for (let key = 1; key <= size.keys; key += 1) {
    const { token } = await tenant.mint(agent, [{ calls: { limit: 1, window: "total" } }]);
    const answers = await Promise.all(
      Array.from({ length: size.calls }, (_, call) => {
        const gatewayUrl = fleet.gatewayUrls[call % 2] as string; // there are two
        const message = `one-key ${key} ${call}`;
        const request = { gatewayUrl, upstream: UPSTREAM, token, tool: "echo", arguments: { message } };
        return callPatiently(fleet, { ...request, idempotencyKey: `key ${key}` });
      }),
    );
    const made = answers.filter(({ reason }) => reason === "");
    assert.equal(made.length, 1, answers.map(({ reason }) => reason).join());
    for (const { reason, data } of answers) {
      report.calls += 1;
      if (reason === "") report.answered += 1;
      else {
        // Not that the budget is spent: the key is looked at first.
        assert.equal(reason, "duplicate_key");
        assert.match(String(data["firstCallId"]), /^[0-9a-f-]{36}$/);
        report.duplicates += 1;
      }
    }
    const received = Array.from({ length: size.calls }, (_, call) => fleet.receivedAtMs(`one-key ${key} ${call}`));
    assert.equal(received.filter((at) => at !== undefined).length, 1);
  }
  await settled(tenant);
  return report;
}

async function callPatiently(fleet: Fleet, request: ToolRequest): Promise<Answer> {
  let answer = await fleet.client.call(request);
  for (let attempt = 1; attempt < ATTEMPTS_MAX && answer.reason === "gateway_overloaded"; attempt += 1) {
    answer = await fleet.client.call(request);
  }
  return answer;
}
