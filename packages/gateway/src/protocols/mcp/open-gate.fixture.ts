/**
 * A gate for tests that lets every known bearer through: it lists what the upstream lists and calls what it is asked
 * to call, and refuses only what a test says. It works on real upstreams; it judges nothing and records nothing.
 */
import { createHash, randomBytes } from "node:crypto";
import { makeUuidv7, type Upstream } from "@writ/contract";
import type { Denial } from "../../denial.ts";
import type { CallEnd, Gate } from "../../gate.ts";
import type { AgentCall } from "../../ports.ts";
import type { Upstreams } from "../../upstream/upstreams.ts";

export interface OpenGateOptions {
  readonly upstreams: Upstreams;
  /** By name, which is also the id. */
  readonly upstream: Readonly<Record<string, Upstream>>;
  /** Bearer tokens that are let through. */
  readonly bearers: readonly string[];
  readonly deny?: (call: AgentCall) => Denial | undefined;
}

export interface OpenGate extends Gate {
  readonly calls: readonly AgentCall[];
  readonly ends: readonly CallEnd[];
  /** Authorization headers that were turned away. */
  readonly rejected: readonly (string | undefined)[];
}

export function createOpenGate(options: OpenGateOptions): OpenGate {
  const calls: AgentCall[] = [];
  const ends: CallEnd[] = [];
  const rejected: (string | undefined)[] = [];

  async function run(
    call: AgentCall,
    callId: string,
    sink: Parameters<Gate["handleCall"]>[2],
    signal: AbortSignal,
  ): Promise<CallEnd> {
    const denial = options.deny?.(call);
    if (denial !== undefined) return { kind: "denied", callId, denial };
    const upstream = options.upstream[call.upstream];
    if (upstream === undefined) {
      return { kind: "denied", callId, denial: { reason: "upstream_unknown", detail: "", hidden: false, data: {} } };
    }
    if (call.action === "mcp.session") {
      sink.allowed(callId);
      await sink.local(await options.upstreams.capabilities({ ...held(upstream), signal }));
      return { kind: "answered", callId };
    }
    if (call.action === "tool.list") {
      const { tools } = await options.upstreams.readCatalogue("t", upstream.name, upstream, signal);
      sink.allowed(callId);
      await sink.local(`[${tools.map((tool) => tool.definition).join(",")}]`);
      return { kind: "answered", callId };
    }
    if (call.http !== undefined && sink.http !== undefined) {
      const slot = await options.upstreams.hold({ ...held(upstream), signal });
      try {
        sink.allowed(callId);
        const outcome = await slot.sendHttp(call.http, sink.http, signal);
        if (outcome.kind === "completed") return { kind: "answered", callId };
        return { kind: "broken", callId, reason: "upstream_failed", detail: outcome.detail };
      } finally {
        slot.release();
      }
    }
    if (call.message === undefined) throw new TypeError("a tool call without a message");
    const slot = await options.upstreams.hold({ ...held(upstream), signal });
    try {
      sink.allowed(callId);
      const outcome = await slot.send(call.message, sink, signal);
      if (outcome.kind === "completed") return { kind: "answered", callId };
      return { kind: "broken", callId, reason: "upstream_failed", detail: outcome.detail };
    } finally {
      slot.release();
    }
  }

  function held(upstream: Upstream) {
    const shared = { isolationKey: "", agentKey: "", waitMs: 10_000 } as const;
    return { tenantId: "t", upstreamId: upstream.name, upstream, ...shared };
  }

  return {
    calls,
    ends,
    rejected,
    authenticate({ authorization }) {
      const token = /^Bearer (.+)$/.exec(authorization ?? "")?.[1];
      if (token === undefined || !options.bearers.includes(token)) {
        rejected.push(authorization);
        return { kind: "rejected", reason: token === undefined ? "token_missing" : "token_key_unknown", detail: "" };
      }
      const tokenDigest = createHash("sha256").update(token).digest("hex");
      return { kind: "authenticated", tenantId: "t", tokenDigest, agentId: token, token };
    },
    admitPublic: () => ({ kind: "rejected", reason: "upstream_unknown", detail: "" }),
    reachable: async () => Object.keys(options.upstream),
    remainingBudgets: async () => ({ kind: "read", budgets: [] }),
    authenticatePoint: () => ({ kind: "rejected", reason: "point_key_invalid", detail: "" }),
    assertSubject() {
      throw new TypeError("nobody speaks for others here");
    },
    preview: async () => ({ kind: "allowed" }),
    async handleCall(_authenticated, call, sink, cut) {
      calls.push(call);
      const end = await run(call, makeUuidv7(Date.now(), randomBytes(10)), sink, cut.signal);
      ends.push(end);
      return end;
    },
  };
}
