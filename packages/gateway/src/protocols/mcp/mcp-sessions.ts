/**
 * The sessions of the revisions that have them: unguessable, bound to the exact token and endpoint that opened them,
 * bounded in number and idle time. A session grants nothing: every request on it is judged by its own token.
 */
import type { ClientAnswer, Clock, Random } from "../../ports.ts";
import type { KeptStream } from "./resumable-streams.ts";
import type { SessionEar } from "./session-ear.ts";

export interface McpSession {
  readonly id: string;
  readonly tokenDigest: string;
  readonly agent: string;
  readonly tenant: string;
  readonly upstream: string;
  readonly revision: string;
  /** JSON text of what its client can be asked for, in one of few spellings; undefined: nothing. */
  readonly clientCapabilities: string | undefined;
  /** Requests in flight by the key of their id. */
  readonly inFlight: Map<string, InFlight>;
  /** What upstreams have asked the client and it has not answered yet, by the key of the id that Writ gave it. */
  readonly asked: Map<string, (answer: ClientAnswer) => void>;
  /** JSON text of what its client was told that the server can do. */
  readonly capabilities: string;
  /** URIs that its client has subscribed to. */
  readonly subscriptions: Set<string>;
  /** The least level of log messages that its client wants; undefined: as the server pleases. */
  logLevel: string | undefined;
  /** Streams of answers that its client may take up again, by the part of their events' ids that is theirs. */
  readonly streams: Map<string, KeptStream>;
  /** Where its client listens to what belongs to no request. */
  ear: SessionEar | undefined;
  lastUsedMs: number;
}

export interface InFlight {
  readonly cut: AbortController;
  callId: string | undefined;
}

const ENDED: ClientAnswer = { member: "error", json: '{"code":-32000,"message":"The session has ended"}' };

export interface McpSessions {
  open(owner: {
    readonly tokenDigest: string;
    /** Whom the root token was minted for, with its tenant: all that is attenuated from it counts together. */
    readonly agent: string;
    readonly tenant: string;
    readonly upstream: string;
    readonly revision: string;
    readonly clientCapabilities: string | undefined;
    readonly capabilities: string;
    /** From `makeId`. */
    readonly id: string;
  }): McpSession | undefined;
  /** An identifier that nobody can guess. */
  makeId(): string;
  /** The session, for the token and endpoint that opened it only; to anybody else it does not exist. */
  find(id: string, owner: { readonly tokenDigest: string; readonly upstream: string }): McpSession | undefined;
  end(session: McpSession): void;
  size(): number;
}

export interface McpSessionLimits {
  readonly sessionsMax: number;
  /** So that one agent cannot push out everybody else's. Not per token: a holder makes tokens for nothing. */
  readonly sessionsPerAgentMax: number;
  readonly sessionIdleMs: number;
  readonly inFlightMax: number;
  /** Requests of upstreams to the client of one session that wait for its answer. */
  readonly askedMax: number;
  /** Resources that the client of one session is subscribed to. */
  readonly subscriptionsMax: number;
  /** Resources that one request listens to: each is a decision of its own. */
  readonly listenUrisMax: number;
}

export const MCP_SESSION_LIMITS: McpSessionLimits = {
  sessionsMax: 10_000,
  sessionsPerAgentMax: 1000,
  sessionIdleMs: 30 * 60_000,
  inFlightMax: 256,
  askedMax: 32,
  subscriptionsMax: 1000,
  listenUrisMax: 100,
};

export function createMcpSessions(options: {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: McpSessionLimits;
}): McpSessions {
  const { clock, random, limits } = options;
  /** In the order of last use: what is first has been idle the longest. */
  const sessions = new Map<string, McpSession>();
  const byAgent = new Map<string, Set<McpSession>>();

  function end(session: McpSession): void {
    if (!sessions.delete(session.id)) return;
    const own = byAgent.get(session.agent);
    own?.delete(session);
    if (own?.size === 0) byAgent.delete(session.agent);
    for (const flight of session.inFlight.values()) flight.cut.abort();
    session.inFlight.clear();
    for (const answer of session.asked.values()) answer(ENDED);
    session.asked.clear();
    for (const stream of session.streams.values()) stream.forget();
    session.ear?.close();
  }

  function endIdle(): void {
    const idleSince = clock.monotonicMs() - limits.sessionIdleMs;
    for (const session of sessions.values()) {
      if (session.lastUsedMs > idleSince) return;
      if (isIdle(session)) end(session);
    }
  }

  function isIdle({ inFlight, ear }: McpSession): boolean {
    return inFlight.size === 0 && ear?.attached() !== true;
  }

  function firstIdle(among: Iterable<McpSession>): McpSession | undefined {
    for (const session of among) if (isIdle(session)) return session;
    return undefined;
  }

  return {
    size: () => sessions.size,
    end,
    makeId: () => Buffer.from(random.bytes(16)).toString("base64url"),
    open({ tokenDigest, agent, tenant, upstream, revision, clientCapabilities, capabilities, id }) {
      endIdle();
      const own = byAgent.get(agent) ?? new Set();
      if (own.size >= limits.sessionsPerAgentMax || sessions.size >= limits.sessionsMax) {
        const victim = firstIdle(own.size >= limits.sessionsPerAgentMax ? own : sessions.values());
        if (victim === undefined) return undefined;
        end(victim);
      }
      const session: McpSession = {
        id,
        tokenDigest,
        agent,
        tenant,
        upstream,
        revision,
        clientCapabilities,
        inFlight: new Map(),
        asked: new Map(),
        capabilities,
        subscriptions: new Set(),
        streams: new Map(),
        logLevel: undefined,
        ear: undefined,
        lastUsedMs: clock.monotonicMs(),
      };
      sessions.set(id, session);
      own.add(session);
      byAgent.set(agent, own);
      return session;
    },
    find(id, { tokenDigest, upstream }) {
      const session = sessions.get(id);
      if (session === undefined || session.tokenDigest !== tokenDigest || session.upstream !== upstream)
        return undefined;
      const nowMs = clock.monotonicMs();
      if (isIdle(session) && session.lastUsedMs <= nowMs - limits.sessionIdleMs) {
        end(session);
        return undefined;
      }
      session.lastUsedMs = nowMs;
      sessions.delete(id);
      sessions.set(id, session);
      const own = byAgent.get(session.agent);
      own?.delete(session);
      own?.add(session);
      return session;
    },
  };
}
