import { saltedDigest, startSaltedDigest } from "@writ/audit";
import { REASONS } from "@writ/contract";
import { describe, expect, test } from "vitest";
import type { Delegations } from "./delegations.ts";
import { createDenialLimit, DENIALS_RECORDED_MAX } from "./denial-limit.ts";
import type { Authenticated, CallSink } from "./gate.ts";
import { type HandleCallDeps, handleCall } from "./handle-call.ts";
import type { Judge, Judged, JudgedChild } from "./judge-call.ts";
import { createOpenCalls } from "./open-calls.ts";
import type { AgentCall, CommitResult, DecisionEntry, HttpCall, OutcomeEntry } from "./ports.ts";
import { createCallRates } from "./rates/call-rates.ts";

const AGENT: Authenticated = { kind: "authenticated", tenantId: "t", tokenDigest: "d", agentId: "a" };
const NOT_GONE = new AbortController();

function call(tool: string): AgentCall {
  const message = { method: "tools/call", params: "{}", progress: false, name: tool };
  const base = { protocol: "mcp", action: "tool.call", upstream: "up", mcpSession: undefined } as const;
  return { ...base, tool, arguments: {}, argumentsText: "", message, child: undefined };
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
    rates: [],
    child: undefined,
    hold: hold as Judged["hold"], // nothing here looks at the upstream
    entry: entry as unknown as DecisionEntry, // nor at the event
    denyAs: () => judged("deny", reason, revision),
  };
}

interface World {
  readonly deps: HandleCallDeps;
  readonly sent: string[];
  readonly outcomes: OutcomeEntry[];
  /** What the journal committed. */
  readonly committed: DecisionEntry[];
}

function makeWorld(parts: {
  readonly judge: (tool: string) => Judged;
  readonly revision?: () => number;
  readonly committed?: () => void;
  /** What comes of putting a child on record, each time that it is tried. */
  readonly recording?: () => CommitResult;
  /** How often an HTTP API asks for more of a body. */
  readonly chunksTaken?: number;
  /** JSON text of the error that the upstream answers with; undefined: it answers nothing. */
  readonly error?: string;
}): World {
  const sent: string[] = [];
  const committed: DecisionEntry[] = [];
  const outcomes: OutcomeEntry[] = [];
  const judge = Object.assign((attempt: { call: AgentCall }) => parts.judge(attempt.call.tool), {
    answer: () => "the child",
    digest: () => "",
    startDigest: () => startSaltedDigest(new Uint8Array(16)),
  });
  const state = { revision: 0 };
  const current = (): unknown => ({ ...state, revision: parts.revision?.() ?? 1 });
  const delegations: Delegations = {
    begin: () => ({ kind: "begun", child: { kind: "refused", reason: "caveat_unknown", detail: "" } }),
    inTurn: (_tenantId, work) => work(),
    commit: async (entry) => ({ entry, result: parts.recording?.() ?? { kind: "recorded" } }),
  };
  const deps = {
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    random: { bytes: (length: number) => new Uint8Array(length) },
    state: { current, load: async () => current(), catchUp: async () => current() },
    journal: {
      async commit(entry: DecisionEntry) {
        parts.committed?.();
        committed.push(entry);
        return { result: { kind: "committed", sequence: 1, epoch: 1, committedAtMonotonicMs: 0 }, entry };
      },
      settle: (outcome: OutcomeEntry) => outcomes.push(outcome),
      record() {},
    },
    upstreams: {
      capabilities: async () => "{}",
      hold: async () => ({
        async send(message: { name: string }, sink: Pick<CallSink, "response">) {
          sent.push(message.name);
          if (parts.error !== undefined) await sink.response("error", parts.error);
          return { kind: "completed", bytes: 0, notifications: 0, error: false };
        },
        async sendHttp({ body }: HttpCall) {
          if (body?.kind !== "stream") throw new TypeError("a stream was to be sent");
          const stream = body.stream[Symbol.asyncIterator]();
          for (let taken = 0; taken < (parts.chunksTaken ?? 0); taken += 1) await stream.next();
          return { kind: "completed", bytes: 0, notifications: 0, error: false };
        },
        release() {},
      }),
    },
    judge: judge as unknown as Judge, // it looks at nothing but the tool
    openCalls: createOpenCalls(),
    denials: createDenialLimit(),
    delegations,
    gatewayId: "g",
    log: { error() {} },
    closedReason: () => undefined,
  };
  return { deps: deps as unknown as HandleCallDeps, sent, outcomes, committed }; // the state has nothing but its revision
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

describe("an error of an upstream", () => {
  const toldOf = async (error: string): Promise<unknown> => {
    const told: unknown[] = [];
    const { deps } = makeWorld({ judge: () => judged("allow", "policy_allow", 1), error });
    const sink: CallSink = { ...SINK, response: (member, json) => void told.push([member, json]) };
    await handleCall(deps, AGENT, call("echo"), sink, NOT_GONE);
    return told;
  };

  const OWN = [...new Set(Object.values(REASONS).map(({ jsonRpc }) => jsonRpc ?? 0))].filter(
    (code) => code >= -32_099 && code <= -32_000,
  );
  test.each(OWN)("under %d, which Writ says, comes under another code and is the same otherwise", async (code) => {
    const rest = '"message" : "no", "data":{"n":1.0}}';
    expect(await toldOf(`{"code": ${code}, ${rest}`)).toEqual([["error", `{"code": -32603, ${rest}`]]);
  });

  test.each([
    ["with a fraction", '{"code":-32014.0}', '{"code":-32603}'],
    ["with an exponent", '{"code":-3.2014e4}', '{"code":-32603}'],
    ["as a text", '{"code":"-32014"}', '{"code":-32603}'],
    ["under an escaped name", '{"c\\u006fde":-32014}', '{"c\\u006fde":-32603}'],
    ["twice, last", '{"code":-32000,"code":-32014,"message":"m"}', '{"code":-32603,"message":"m"}'],
    ["in another case", '{"CODE":-32014,"message":"m"}', '{"code":-32603,"message":"m"}'],
    ["in another case beside its own", '{"code":-1,"Code":-32014,"message":"m"}', '{"code":-32603,"message":"m"}'],
    ["twice, first", '{"code":-32014,"code":-32000,"message":"m"}', '{"code":-32603,"message":"m"}'],
  ])("whose code is Writ's, spelt %s, is known as such", async (_name, error, told) => {
    expect(await toldOf(error)).toEqual([["error", told]]);
  });

  test("whose code is nothing that a reader could take for Writ's passes, however deep it is", async () => {
    for (const code of ["[-32014]", `${"[".repeat(100_000)}${"]".repeat(100_000)}`]) {
      const error = `{"code":${code},"message":"m"}`;
      expect(await toldOf(error)).toEqual([["error", error]]);
    }
  });

  test.each([-32_700, -32_603, -32_602, -32_099, -32_042, -32_020, -32_008, -32_002, -32_001, -32_000, -1, 0, 7])(
    "under %d passes byte for byte",
    async (code) => {
      const error = `{"message":"its own", "code":${code} ,"data":{"code":-32014}}`;
      expect(await toldOf(error)).toEqual([["error", error]]);
    },
  );
});

test("the outcome tells the digest of a body that was passed on as a stream, if all of it was", async () => {
  const outcomeOf = async (chunksTaken: number): Promise<unknown> => {
    const { deps, outcomes } = makeWorld({ judge: () => judged("allow", "policy_allow", 1), chunksTaken });
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("first;");
      yield Buffer.from("second");
    }
    const http: HttpCall = {
      target: { method: "PUT", path: "/a", query: "" },
      headers: [],
      body: { kind: "stream", stream: stream() },
    };
    const request: AgentCall = { ...call(""), protocol: "http", action: "http.request", message: undefined, http };
    await handleCall(deps, AGENT, request, SINK, NOT_GONE);
    return outcomes[0]?.event.fields;
  };
  const requestDigest = saltedDigest(new Uint8Array(16), "first;second");
  expect(await outcomeOf(3)).toMatchObject({ status: "ok", requestBytes: 12, requestDigest });
  expect(await outcomeOf(2)).not.toHaveProperty("requestDigest");
  expect(await outcomeOf(2)).toMatchObject({ status: "ok", requestBytes: 12 });
  expect(await outcomeOf(0)).toMatchObject({ status: "ok", requestBytes: 0 });
});

const RATED = {
  ...judged("allow", "policy_allow", 1),
  rates: [{ scope: "tenant", scopeId: "t", limit: 2, per: "hour" }],
} as const;

test("an attempt is counted in its rates once, however often it is judged, and a denied one not at all", async () => {
  const counted: number[] = [];
  const rates: HandleCallDeps["rates"] = {
    admit(_rated, claims) {
      counted.push(claims.length);
      return { kind: "admitted", standings: [] };
    },
  };
  let rounds = 0;
  const { deps } = makeWorld({
    judge: (tool) => (tool === "denied" ? judged("deny", "policy_denied", 1) : RATED),
    revision: () => 1,
  });
  const journal: HandleCallDeps["journal"] = {
    ...deps.journal,
    commit(entry, again) {
      rounds += 1;
      if (rounds < 4) return Promise.resolve({ result: { kind: "withdrawn" }, entry });
      return deps.journal.commit(entry, again);
    },
  };
  const end = await handleCall({ ...deps, rates, journal }, AGENT, call("echo"), SINK, NOT_GONE);
  expect([rounds, counted]).toEqual([4, [1]]);
  expect(end.kind).not.toBe("denied");
  await handleCall({ ...deps, rates, journal }, AGENT, call("denied"), SINK, NOT_GONE);
  expect(counted).toEqual([1]);
});

test("an attempt that meets a rate only when it is judged again in the commit is counted there, and denied for it", async () => {
  let revision = 1;
  const { deps, sent, committed } = makeWorld({
    judge: () =>
      revision === 1 ? judged("allow", "policy_allow", 1) : { ...RATED, denyAs: judgedDelegation(2).denyAs },
    revision: () => revision,
  });
  const rates = createCallRates({ liveGateways: () => 1 });
  const full = { tenantId: "t", root: "" };
  for (let count = 0; count < 2; count += 1) rates.admit(full, RATED.rates, 0);
  const journal: HandleCallDeps["journal"] = {
    ...deps.journal,
    async commit(entry, again) {
      if (revision === 2) return deps.journal.commit(entry, again);
      revision = 2;
      const moved = again();
      return moved === "withdraw" ? { result: { kind: "withdrawn" }, entry } : deps.journal.commit(moved, again);
    },
  };
  const end = await handleCall({ ...deps, rates, journal }, AGENT, call("echo"), SINK, NOT_GONE);
  expect(end).toMatchObject({ kind: "denied", denial: { reason: "rate_tenant" } });
  expect(committed).toMatchObject([{ kind: "deny", denial: { reason: "rate_tenant" } }]);
  expect(sent).toEqual([]);
});

test("an attempt that its rates have no room for is denied on record, and told for how long, recorded or not", async () => {
  const { deps, sent, committed } = makeWorld({
    judge: () => ({ ...RATED, denyAs: judgedDelegation(1).denyAs }),
  });
  const rates = createCallRates({ liveGateways: () => 1 });
  const told: string[] = [];
  const rated: CallSink["rated"] = (standings) => told.push(...standings.map(({ remaining }) => `${remaining}`));
  const ask = () => handleCall({ ...deps, rates }, AGENT, call("echo"), { ...SINK, rated }, NOT_GONE);
  await ask();
  await ask();
  expect(sent).toEqual(["echo", "echo"]);
  for (let count = 0; count < DENIALS_RECORDED_MAX + 5; count += 1) {
    expect(await ask()).toMatchObject({
      kind: "denied",
      denial: { reason: "rate_tenant", data: { check: "rates", retryAfterSeconds: 3_600 } },
    });
  }
  expect(sent).toHaveLength(2);
  expect(told.slice(0, 3)).toEqual(["1", "0", "0"]);
  expect(committed.filter(({ kind }) => kind === "deny")).toHaveLength(DENIALS_RECORDED_MAX);
});

/** What the pure decision says of a delegation; its denials say what they are asked to. */
function judgedDelegation(revision: number): Judged {
  const allowed = { ...judged("allow", "policy_allow", revision), hold: undefined };
  const denyAs: Judged["denyAs"] = (reason, check, data) => {
    const denial = { reason, detail: "", hidden: false, data: { check, ...data } };
    const { entry } = judged("deny", reason, revision);
    return { ...judged("deny", reason, revision), entry: { ...entry, denial }, denyAs };
  };
  const child = { event: { event: "token.attenuated" } } as unknown as JudgedChild; // nothing here looks into it
  return { ...allowed, child, denyAs };
}

const DELEGATION: AgentCall = { ...call(""), action: "token.attenuate", message: undefined };

async function delegate(deps: HandleCallDeps): Promise<{ readonly reason: string; readonly given: string[] }> {
  const given: string[] = [];
  const local = (text: string): void => {
    given.push(text);
  };
  const end = await handleCall(deps, AGENT, DELEGATION, { ...SINK, local }, NOT_GONE);
  return { reason: end.kind === "denied" ? end.denial.reason : end.kind, given };
}

test("a delegation is judged again while authority moves, and answered once its child is on record", async () => {
  let revision = 1;
  const { deps, committed } = makeWorld({
    judge: () => judgedDelegation(revision),
    recording: () => (++revision < 8 ? { kind: "withdrawn" } : { kind: "recorded" }),
  });
  expect(await delegate(deps)).toEqual({ reason: "answered", given: ["the child"] });
  expect(revision).toBe(8);
  expect(committed).toEqual([]);
});

test.each([
  [{ kind: "refused_carve", remaining: 3 }, "budget_carve", { check: "budget", remaining: 3 }],
  [{ kind: "refused_nodes" }, "budget_nodes", { check: "budget" }],
  [{ kind: "withdrawn" }, "state_stale", { check: "commit" }],
] as const)("a delegation that is %o is put on record as a denial like every other", async (result, reason, data) => {
  const { deps, committed } = makeWorld({ judge: () => judgedDelegation(1), recording: () => result });
  expect(await delegate(deps)).toEqual({ reason, given: [] });
  expect(committed).toMatchObject([{ kind: "deny", denial: { reason, data } }]);
  for (let count = 1; count < DENIALS_RECORDED_MAX; count += 1) await delegate(deps);
  expect(await delegate(deps)).toEqual({ reason: "rate_denials", given: [] });
  expect(committed).toHaveLength(DENIALS_RECORDED_MAX);
});

test("I5 as long as its answer is kept for its agent a call that has ended is reviewed, and its outcome stays what it was", async () => {
  let revoked = false;
  const { deps, outcomes } = makeWorld({
    judge: () => (revoked ? judged("deny", "token_revoked", 2) : judged("allow", "policy_allow", 1)),
    revision: () => (revoked ? 2 : 1),
  });
  const kept = Promise.withResolvers<void>();
  const cut = new AbortController();
  await handleCall(deps, AGENT, call("echo"), { ...SINK, kept: () => kept.promise }, cut);
  expect([deps.openCalls.size, cut.signal.aborted]).toEqual([1, false]);
  expect(outcomes).toMatchObject([{ outcome: "completed", event: { fields: { status: "ok" } } }]);
  deps.openCalls.review("t");
  expect(cut.signal.aborted).toBe(false);
  revoked = true;
  deps.openCalls.review("t");
  expect([outcomes.length, cut.signal.aborted]).toEqual([1, true]);
  kept.resolve();
  await expect.poll(() => deps.openCalls.size).toBe(0);
});

test.each(["draining", "closed meanwhile"])("an answer is kept by no gateway that is %s", async (when) => {
  const { deps, outcomes } = makeWorld({ judge: () => judged("allow", "policy_allow", 1) });
  let closed = false;
  const kept = Promise.withResolvers<void>();
  const cut = new AbortController();
  const sink: CallSink = {
    ...SINK,
    allowed() {
      closed = when !== "draining";
    },
    kept: () => kept.promise,
  };
  const closedReason = (): "gateway_draining" | undefined => (closed ? "gateway_draining" : undefined);
  await handleCall({ ...deps, closedReason }, AGENT, call("echo"), sink, cut);
  if (when === "draining") deps.openCalls.cutLasting("gateway_draining");
  expect(cut.signal.aborted).toBe(true);
  expect(outcomes).toMatchObject([{ outcome: "completed", event: { fields: { status: "ok" } } }]);
});
