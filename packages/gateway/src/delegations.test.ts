import { makeTokenHash } from "@writ/token";
import { expect, test } from "vitest";
import { createDelegations, type Delegations, type DelegationsOptions } from "./delegations.ts";
import type { Authenticated } from "./gate.ts";
import type { JudgedChild } from "./judge-call.ts";
import type { AgentCall, DecisionEntry } from "./ports.ts";
import { sha256 } from "./sha256.ts";
import type { ChildRecord, ChildResult } from "./store/child-store.ts";

const AGENT: Authenticated = { kind: "authenticated", tenantId: "t", tokenDigest: "d", agentId: "a" };
const CALL = { action: "token.attenuate", child: { parentText: "", caveats: [], carves: [], agentId: undefined } };
const CHILD = { record: {}, path: ["root", "child"], carves: [], event: { event: "token.attenuated" } };
const ENTRY = {
  kind: "allow",
  tenantId: "t",
  callId: "c",
  revision: 7,
  salt: new Uint8Array(16),
  event: { event: "call.decided" },
  outcome: { event: "call.completed" },
};

function makeDelegations(result: ChildResult = { kind: "recorded", exceeded: [] }): {
  readonly delegations: Delegations;
  readonly recorded: ChildRecord[];
  readonly clock: { nowMs: number };
} {
  const recorded: ChildRecord[] = [];
  const clock = { nowMs: 0 };
  const options = {
    clock: { nowMs: () => clock.nowMs, monotonicMs: () => 0 },
    random: { bytes: (length: number) => new Uint8Array(length) },
    state: { current: () => undefined, load: async () => undefined, catchUp: async () => undefined },
    hash: makeTokenHash(sha256),
    children: {
      async record(child: ChildRecord) {
        recorded.push(child);
        return result;
      },
    },
    record: () => undefined,
    tokenOf: ({ tokenDigest }: Authenticated) => ({ tenantId: "t", rootNode: tokenDigest, path: [tokenDigest] }),
  };
  // Nothing here looks at more of a token than its root, or makes a child that is read.
  return { delegations: createDelegations(options as unknown as DelegationsOptions), recorded, clock };
}

function begin(delegations: Delegations, root: string): string {
  return delegations.begin({ ...AGENT, tokenDigest: root }, CALL as unknown as AgentCall).kind; // no more is looked at
}

test("a root begins 60 delegations in a minute, whatever others do, and as many in the next", () => {
  const { delegations, clock } = makeDelegations();
  const kinds = Array.from({ length: 61 }, () => begin(delegations, "one"));
  expect(kinds.indexOf("limited")).toBe(60);
  expect(begin(delegations, "other")).toBe("begun");
  clock.nowMs = 60_000;
  expect(begin(delegations, "one")).toBe("begun");
});

test("delegations of one tenant take turns, also behind one that failed, and keep no other tenant waiting", async () => {
  const { delegations } = makeDelegations();
  const order: string[] = [];
  let end = (): void => {};
  const first = delegations.inTurn("t", async () => {
    await new Promise<void>((resolve) => {
      end = resolve;
    });
    order.push("first");
    throw new Error("a test");
  });
  const second = delegations.inTurn("t", async () => order.push("second"));
  await delegations.inTurn("u", async () => order.push("other tenant"));
  end();
  await expect(first).rejects.toThrow("a test");
  await second;
  expect(order).toEqual(["other tenant", "first", "second"]);
});

test("a delegation is turned away when 256 of its tenant are not done", async () => {
  const { delegations } = makeDelegations();
  const waiting = Array.from({ length: 256 }, () => delegations.inTurn("t", async () => "done"));
  expect(await delegations.inTurn("t", async () => "done")).toBeUndefined();
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(["done"]));
  expect(await delegations.inTurn("t", async () => "done")).toBe("done");
});

test.each([
  [{ kind: "recorded", exceeded: [] }, { kind: "recorded" }],
  [{ kind: "stale" }, { kind: "withdrawn" }],
  [
    { kind: "refused", remaining: 3 },
    { kind: "refused_carve", remaining: 3 },
  ],
  [{ kind: "refused_nodes" }, { kind: "refused_nodes" }],
] as const)(
  "a child is recorded with its decision and outcome on the judged revision, where %o means %o",
  async (answer, expected) => {
    const { delegations, recorded } = makeDelegations(answer);
    // The store is given what was judged and looks at none of it here.
    const { result } = await delegations.commit(ENTRY as unknown as DecisionEntry, CHILD as unknown as JudgedChild);
    expect(result).toEqual(expected);
    expect(recorded).toMatchObject([{ tenantId: "t", callId: "c", revision: 7, path: ["root", "child"] }]);
    expect(recorded[0]?.events.map(({ event }) => event)).toEqual([
      "call.decided",
      "token.attenuated",
      "call.completed",
    ]);
  },
);
