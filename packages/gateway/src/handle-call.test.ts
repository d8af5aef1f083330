import { expect, test } from "vitest";
import { createDenialLimit, DENIALS_RECORDED_MAX } from "./denial-limit.ts";
import type { Authenticated, CallSink } from "./gate.ts";
import { type HandleCallDeps, handleCall } from "./handle-call.ts";
import type { Judge, Judged } from "./judge-call.ts";
import { createOpenCalls } from "./open-calls.ts";
import type { AgentCall, DecisionEntry, OutcomeEntry } from "./ports.ts";

const AGENT: Authenticated = { kind: "authenticated", tenantId: "t", tokenDigest: "d", agentId: "a" };
const NOT_GONE = new AbortController();

function call(tool: string): AgentCall {
  const message = { method: "tools/call", params: "{}", progress: false, name: tool };
  const base = { protocol: "mcp", action: "tool.call", upstream: "up", mcpSession: undefined } as const;
  return { ...base, tool, arguments: {}, argumentsText: "", message };
}

/** What the pure decision says of a tool; the tests are about what is done with it. */
function judged(kind: "allow" | "deny", reason: Judged["reason"], revision: number): Judged {
  const denial = kind === "deny" ? { reason, detail: "", hidden: true, data: {} } : undefined;
  const entry = { kind, tenantId: "t", callId: "c", revision, validUntilMs: 1_000, claims: [], denial };
  const hold = kind === "allow" ? { tenantId: "t", upstreamId: "u", upstream: {}, isolationKey: "" } : undefined;
  return {
    kind,
    reason,
    recordedNode: "root",
    hold: hold as Judged["hold"], // nothing here looks at the upstream
    entry: entry as unknown as DecisionEntry, // nor at the event
    denyAs: () => judged("deny", reason, revision),
  };
}

interface World {
  readonly deps: HandleCallDeps;
  readonly sent: string[];
  readonly outcomes: OutcomeEntry[];
}

function makeWorld(parts: {
  readonly judge: (tool: string) => Judged;
  readonly revision?: () => number;
  readonly committed?: () => void;
}): World {
  const sent: string[] = [];
  const outcomes: OutcomeEntry[] = [];
  const judge = Object.assign((attempt: { call: AgentCall }) => parts.judge(attempt.call.tool), {
    answer: () => "",
    digest: () => "",
  });
  const state = { revision: 0 };
  const current = (): unknown => ({ ...state, revision: parts.revision?.() ?? 1 });
  const deps = {
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    random: { bytes: (length: number) => new Uint8Array(length) },
    state: { current, load: async () => current(), catchUp: async () => current() },
    journal: {
      async commit(entry: DecisionEntry) {
        parts.committed?.();
        return { result: { kind: "committed", sequence: 1, epoch: 1, committedAtMonotonicMs: 0 }, entry };
      },
      settle: (outcome: OutcomeEntry) => outcomes.push(outcome),
      record() {},
    },
    upstreams: {
      hold: async () => ({
        async send(message: { name: string }) {
          sent.push(message.name);
          return { kind: "completed", bytes: 0, notifications: 0, error: false };
        },
        release() {},
      }),
    },
    judge: judge as unknown as Judge, // it looks at nothing but the tool
    openCalls: createOpenCalls(),
    denials: createDenialLimit(),
    gatewayId: "g",
    log: { error() {} },
    closedReason: () => undefined,
  };
  return { deps: deps as unknown as HandleCallDeps, sent, outcomes }; // the state has nothing but its revision
}

const SINK: CallSink = { allowed() {}, notification() {}, response() {}, local() {} };

test("a tool that policy hides is refused as one that does not exist is, also when denials are only summarised", async () => {
  // After 20 calls of invented names the next was answered rate_denials, but a hidden tool, counted under policy's
  // reason, was still answered as an unknown tool: so its existence was told.
  const { deps } = makeWorld({
    judge: (tool) => judged("deny", tool === "hidden" ? "policy_default_deny" : "tool_unknown", 1),
  });
  const reasonOf = async (tool: string): Promise<string> => {
    const end = await handleCall(deps, AGENT, call(tool), SINK, NOT_GONE);
    return end.kind === "denied" ? end.denial.reason : end.kind;
  };
  for (let count = 0; count < DENIALS_RECORDED_MAX; count += 1) await reasonOf(`invented-${count}`);
  expect(await reasonOf("invented")).toBe("rate_denials");
  expect(await reasonOf("hidden")).toBe("rate_denials");
});

test("a call is not sent when authority that moved behind its commit no longer allows it", async () => {
  // With no other call open, nothing was reviewed when the revocation came before the commit's answer did, and the
  // call was sent and stayed open.
  let revoked = false;
  const { deps, sent, outcomes } = makeWorld({
    judge: () => (revoked ? judged("deny", "token_revoked", 2) : judged("allow", "policy_allow", 1)),
    revision: () => (revoked ? 2 : 1),
    committed() {
      revoked = true;
    },
  });
  const end = await handleCall(deps, AGENT, call("echo"), SINK, NOT_GONE);
  expect(end).toMatchObject({ kind: "broken", reason: "token_revoked" });
  expect(sent).toEqual([]);
  expect(outcomes).toMatchObject([{ outcome: "aborted" }]);
});

test("a call is sent when authority moved behind its commit and still allows it", async () => {
  let revision = 1;
  const { deps, sent, outcomes } = makeWorld({
    judge: () => judged("allow", "policy_allow", revision),
    revision: () => revision,
    committed() {
      revision = 2;
    },
  });
  await handleCall(deps, AGENT, call("echo"), SINK, NOT_GONE);
  expect(sent).toEqual(["echo"]);
  expect(outcomes).toMatchObject([{ outcome: "completed" }]);
});
