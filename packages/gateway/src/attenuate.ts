/**
 * `token.attenuate`: makes a child of the presented token and puts it on record, with what is set aside for it out of
 * its ancestors' budgets. The action is decided like any other; recording is the closed list's narrowing command, so
 * the decision's event and the child's are one transaction. The child's token is made here and never stored.
 */
import { saltedDigest } from "@writ/audit";
import { type AuditEvent, type Carve, type JsonObject, makeUuidv7, REASONS, type Reason } from "@writ/contract";
import { describe, judgeAttenuation, type TenantState } from "@writ/core";
import {
  attenuateToken,
  parseCaveatText,
  type Attenuation as TokenAttenuation,
  type TokenHash,
  type VerifiedToken,
} from "@writ/token";
import type { Denial } from "./denial.ts";
import type { DenialLimit } from "./denial-limit.ts";
import type { Authenticated } from "./gate.ts";
import { type Clock, type DecisionEntry, Failure, type JournalPort, type Random, type StatePort } from "./ports.ts";
import type { ChildRecord, ChildStore } from "./store/child-store.ts";

export interface AttenuationRequest {
  /** JSON texts of the caveats to add; no `id`. */
  readonly caveats: readonly string[];
  readonly carves: readonly Carve[];
  /** The agent that the child is handed to; absent keeps the presenter's. */
  readonly agentId: string | undefined;
  /** JSON text of the whole request, for the salted digest. */
  readonly text: string;
}

export type AttenuationEnd =
  | {
      readonly kind: "recorded";
      readonly callId: string;
      readonly token: string;
      readonly node: string;
      readonly expiresAtMs: number;
      readonly carves: readonly (Carve & { readonly remaining: number })[];
    }
  | { readonly kind: "denied"; readonly callId: string; readonly denial: Denial };

export interface AttenuationDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly state: StatePort;
  readonly hash: TokenHash;
  readonly children: ChildStore;
  readonly audience: string;
  readonly gatewayId: string;
  readonly denials: DenialLimit;
  readonly tokenOf: (authenticated: Authenticated) => VerifiedToken;
  readonly closedReason: () => Reason | undefined;
  readonly log: { error(fields: object, message: string): void };
  readonly journal: JournalPort;
}

export type Attenuation = (
  authenticated: Authenticated,
  tokenText: string,
  request: AttenuationRequest,
) => Promise<AttenuationEnd>;

/** Children recorded per root and minute: recording is cheap for the holder and costs every gateway memory. */
const ATTENUATIONS_PER_MINUTE = 60;
const ROOTS_COUNTED_MAX = 10_000;
/** How often one recording starts over because authority moved, and how many of one tenant wait for their turn. */
const ROUNDS_MAX = 8;
const WAITING_MAX = 256;
/** How long the child's own id is, in random bytes. */
const ID_BYTES = 16;

export function createAttenuation(deps: AttenuationDeps): Attenuation {
  const { clock, random } = deps;
  const rate = createRate();
  const inTurn = createTurns();

  return async (authenticated, tokenText, request) => {
    const callId = makeUuidv7(clock.nowMs(), random.bytes(10));
    try {
      const closed = deps.closedReason();
      if (closed !== undefined) return denied(callId, closed, "", {});
      return await run(authenticated, tokenText, request, callId);
    } catch (error) {
      // A Failure of a port becomes a denial; anything else is a fault of ours and becomes one, too.
      if (error instanceof Failure) return denied(callId, error.reason, "", {});
      deps.log.error({ callId, error }, "an attenuation failed inside the gateway");
      return denied(callId, "internal_error", "", {});
    }
  };

  async function run(
    authenticated: Authenticated,
    tokenText: string,
    request: AttenuationRequest,
    callId: string,
  ): Promise<AttenuationEnd> {
    const token = deps.tokenOf(authenticated);
    const retryAfterSeconds = rate(`${token.tenantId}/${token.rootNode}`, clock.nowMs());
    if (retryAfterSeconds > 0) return denied(callId, "rate_attenuations", "", { retryAfterSeconds });

    const id = Buffer.from(random.bytes(ID_BYTES)).toString("hex");
    const attenuation = attenuateToken(deps.hash, tokenText, { id, caveats: request.caveats });
    if (attenuation.kind === "malformed") return denied(callId, "token_malformed", attenuation.detail, {});
    if (attenuation.kind === "refused") return denied(callId, attenuation.reason, attenuation.detail, {});
    const work = (): Promise<AttenuationEnd> =>
      decideAndRecord({ authenticated, token, request, callId, id, attenuation });
    return (await inTurn(token.tenantId, work)) ?? denied(callId, "gateway_overloaded", "", {});
  }

  async function decideAndRecord(parts: {
    authenticated: Authenticated;
    token: VerifiedToken;
    request: AttenuationRequest;
    callId: string;
    id: string;
    attenuation: Extract<TokenAttenuation, { kind: "attenuated" }>;
  }): Promise<AttenuationEnd> {
    const { authenticated, token, request, callId, id, attenuation } = parts;
    // It may have waited for its turn.
    const closed = deps.closedReason();
    if (closed !== undefined) return denied(callId, closed, "", {});
    const salt = random.bytes(16);

    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const state = deps.state.current(authenticated.tenantId);
      if (state === undefined) return denied(callId, "state_unavailable", "", {});
      const nowMs = clock.nowMs();
      const described = describe(state, {
        token,
        action: "token.attenuate",
        upstream: "",
        tool: "",
        // The delegate is what policy judges a delegation by.
        arguments: request.agentId === undefined ? makeObject({}) : makeObject({ agent: request.agentId }),
        callId,
        protocol: "api",
        nowMs,
      });
      const judgement = judgeAttenuation(state, {
        token,
        request: described,
        audience: deps.audience,
        nowMs,
        child: {
          path: [...token.path, attenuation.node],
          caveats: [JSON.stringify({ id }), ...request.caveats],
          carves: request.carves,
          ...(request.agentId === undefined ? {} : { agentId: request.agentId }),
          expiresAtMs: Math.min(token.expiresAtMs, expiryOf(request.caveats)),
        },
      });
      const { decision, record } = judgement;
      const kind = decision.kind === "allow" && record !== undefined ? "allow" : "deny";
      const reason = decision.reasons[0] ?? "internal_error";
      const decided = decidedEvent({
        state,
        token,
        callId,
        nowMs,
        salt,
        request,
        kind,
        reasons: decision.reasons,
        ruleId: judgement.ruleId,
        check: judgement.check,
      });
      if (kind === "deny" || record === undefined) {
        const { tenantId } = state;
        const denial = { tenantId, node: judgement.recordedNode, reason };
        const admitted = deps.denials.admit(denial, nowMs);
        if (admitted.kind === "summarise") {
          // It is not put on record, where its revision would be compared with the head: that is done here.
          const { revision } = state;
          const head = await deps.state.catchUp(tenantId, AbortSignal.timeout(5_000));
          if (head === undefined || head.revision === revision)
            return denied(callId, "rate_denials", "", { retryAfterSeconds: admitted.retryAfterSeconds });
          deps.denials.withdraw(denial, admitted);
          continue;
        }
        const detail = decision.kind === "allow" ? "" : decision.detail;
        const end = denied(callId, reason, detail, { check: judgement.check });
        const entry: DecisionEntry = {
          kind: "deny",
          tenantId: state.tenantId,
          callId,
          revision: state.revision,
          validUntilMs: 0,
          claims: [],
          root: token.rootNode,
          budgetNodesMax: 0,
          salt,
          event: decided,
          denial: end.denial,
          outcome: undefined,
        };
        // Authority that moved may have lifted the denial: judge anew.
        const { result } = await deps.journal.commit(entry, () => "withdraw");
        if (result.kind === "withdrawn") {
          deps.denials.withdraw(denial, admitted);
          continue;
        }
        return result.kind === "committed" ? end : denied(callId, "state_stale", "", {});
      }
      const child: ChildRecord = {
        tenantId: state.tenantId,
        callId,
        salt,
        revision: state.revision,
        record,
        path: [...token.path, attenuation.node],
        carves: judgement.claims.map((claim) => ({
          parentCounter: claim.counter,
          childCounter: state.counterId("node", attenuation.node, claim.unit, claim.window),
          windowStartMs: claim.windowStartMs,
          amount: claim.amount,
          limit: claim.mode === "hard" ? claim.limit : -1,
        })),
        events: [
          decided,
          attenuatedEvent({ state, token, callId, nowMs, record, node: attenuation.node, carves: request.carves }),
          completedEvent(state.tenantId, callId, nowMs),
        ],
      };
      const result = await deps.children.record(child);
      switch (result.kind) {
        case "recorded": {
          await deps.state.catchUp(state.tenantId, AbortSignal.timeout(5_000));
          const carves = request.carves.map((carve) => ({ ...carve, remaining: carve.amount }));
          return {
            kind: "recorded",
            callId,
            token: attenuation.token,
            node: attenuation.node,
            expiresAtMs: record.value.expiresAtMs,
            carves,
          };
        }
        case "stale":
          await deps.state.catchUp(state.tenantId, AbortSignal.timeout(5_000));
          continue;
        case "refused":
          return refuse(state, token, { callId, nowMs, salt, request }, "budget_carve", {
            remaining: result.remaining,
          });
        case "refused_nodes":
          return refuse(state, token, { callId, nowMs, salt, request }, "budget_nodes", {});
      }
    }
    return denied(callId, "state_stale", "", {});
  }

  function refuse(
    state: TenantState,
    token: VerifiedToken,
    call: { callId: string; nowMs: number; salt: Uint8Array; request: AttenuationRequest },
    reason: Reason,
    data: Denial["data"],
  ): AttenuationEnd {
    deps.journal.record(
      decidedEvent({ state, token, ...call, kind: "deny", reasons: [reason], ruleId: "", check: "budget" }),
    );
    return denied(call.callId, reason, "", data);
  }

  function decidedEvent(parts: {
    state: TenantState;
    token: VerifiedToken;
    callId: string;
    nowMs: number;
    salt: Uint8Array;
    request: AttenuationRequest;
    kind: "allow" | "deny";
    reasons: readonly Reason[];
    ruleId: string;
    check: string;
  }): AuditEvent {
    const { state, token, callId, nowMs, salt, request, kind, reasons, ruleId, check } = parts;
    const digest = saltedDigest(salt, new TextEncoder().encode(request.text));
    return {
      event: "call.decided",
      id: makeUuidv7(nowMs, random.bytes(10)),
      timeMs: nowMs,
      tenantId: state.tenantId,
      fields: {
        callId,
        decision: kind,
        reasons: kind === "allow" ? ["attenuation_recorded"] : reasons,
        ...(kind === "deny" && check !== "" ? { check } : {}),
        agentId: token.agentId,
        principalId: token.principalId,
        node: token.path.at(-1) ?? token.rootNode,
        root: token.rootNode,
        action: "token.attenuate",
        protocol: "api",
        revision: state.revision,
        arguments: digest,
        gateway: deps.gatewayId,
        ...(ruleId === "" ? {} : { ruleId }),
      },
    };
  }

  /** The allow is over with its commit, as every answer that Writ gives itself. */
  function completedEvent(tenantId: string, callId: string, timeMs: number): AuditEvent {
    const id = makeUuidv7(timeMs, random.bytes(10));
    const fields = { callId, status: "local", responseBytes: 0, durationMs: 0 };
    return { event: "call.completed", id, timeMs, tenantId, fields };
  }

  function attenuatedEvent(parts: {
    state: TenantState;
    token: VerifiedToken;
    callId: string;
    nowMs: number;
    node: string;
    record: ChildRecord["record"];
    carves: readonly Carve[];
  }): AuditEvent {
    const { state, token, callId, nowMs, node, record, carves } = parts;
    return {
      event: "token.attenuated",
      id: makeUuidv7(nowMs, random.bytes(10)),
      timeMs: nowMs,
      tenantId: state.tenantId,
      fields: {
        callId,
        node,
        parent: token.path.at(-1) ?? token.rootNode,
        root: token.rootNode,
        agentId: record.value.agentId,
        caveats: record.value.caveats,
        carves: carves.map((carve) => ({ ...carve })),
        expiresAt: record.value.expiresAtMs,
      },
    };
  }
}

/** Without a prototype, as every object that is judged. */
function makeObject(members: Readonly<Record<string, string>>): JsonObject {
  return Object.assign(Object.create(null) as JsonObject, members); // an object without members yet
}

/** The least `exp` among caveats; without any, no limit of their own. */
function expiryOf(caveats: readonly string[]): number {
  let least = Number.MAX_SAFE_INTEGER;
  for (const caveat of caveats) {
    const { meaning } = parseCaveatText(caveat);
    if (meaning.kind === "exp") least = Math.min(least, meaning.atMs);
  }
  return least;
}

function denied(
  callId: string,
  reason: Reason,
  detail: string,
  data: Denial["data"],
): Extract<AttenuationEnd, { kind: "denied" }> {
  return {
    kind: "denied",
    callId,
    denial: { reason, detail: detail === "" ? REASONS[reason].sentence : detail, hidden: false, data },
  };
}

/**
 * One recording of a tenant at a time: each moves the revision that the others were decided on, so that side by side
 * all but one would start over. Undefined when too many wait already.
 */
function createTurns(): <T>(tenantId: string, work: () => Promise<T>) => Promise<T | undefined> {
  const tenants = new Map<string, { last: Promise<unknown>; count: number }>();
  return async (tenantId, work) => {
    const turns = tenants.get(tenantId) ?? { last: Promise.resolve(), count: 0 };
    if (turns.count >= WAITING_MAX) return undefined;
    tenants.set(tenantId, turns);
    turns.count += 1;
    const done = turns.last.then(work);
    // Whoever comes next waits for the end, whatever it is; the failure is its caller's.
    turns.last = done.catch(() => undefined);
    try {
      return await done;
    } finally {
      turns.count -= 1;
      if (turns.count === 0) tenants.delete(tenantId);
    }
  };
}

/** Counts recordings per root in fixed minutes; 0, or the seconds to wait. Bounded. */
function createRate(): (key: string, nowMs: number) => number {
  let minute = 0;
  let counts = new Map<string, number>();
  return (key, nowMs) => {
    const current = Math.floor(nowMs / 60_000);
    if (current !== minute) {
      minute = current;
      counts = new Map();
    }
    const count = (counts.get(key) ?? 0) + 1;
    if (count > ATTENUATIONS_PER_MINUTE || (count === 1 && counts.size >= ROOTS_COUNTED_MAX)) {
      return Math.max(1, Math.ceil(((current + 1) * 60_000 - nowMs) / 1000));
    }
    counts.set(key, count);
    return 0;
  };
}
