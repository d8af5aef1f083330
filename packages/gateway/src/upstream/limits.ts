/** Every limit of the outbound MCP side, by name. What a limit guards is said beside it; none is optional. */
export interface UpstreamLimits {
  /** Upstreams with open sessions or connections, over all tenants. The one idle the longest goes first. */
  readonly upstreamsMax: number;
  /** Sessions of one upstream; one per isolation key. */
  readonly sessionsPerUpstreamMax: number;
  /** Child processes of stdio upstreams, over all tenants. */
  readonly childrenMax: number;
  /** The last so many of them are for tenants that have fewer than their share, so that no tenant can take all. */
  readonly childrenReserved: number;
  readonly childrenShare: number;
  /** A session without calls for so long ends, and its child with it. */
  readonly sessionIdleMs: number;
  /** From the start of a connection or child until its session is ready. */
  readonly openTimeoutMs: number;
  /** A child that has no session ready after so long is told of in the log, with what it is waited for. */
  readonly slowStartMs: number;
  /** How long a server may be silent on `server/discover` before it counts as one of an older revision. */
  readonly probeTimeoutMs: number;
  /** A connection to an HTTP API that has carried nothing for so long is not used again: Node's server waits 5 s. */
  readonly connectionIdleMs: number;
  /** A call that is not on the wire so long after `send` was called is not sent any more. */
  readonly sendWithinMs: number;
  /** Agents that listen to one upstream. */
  readonly listenersPerUpstreamMax: number;
  /** Callers that wait for a slot of one upstream. */
  readonly waitersMax: number;
  /** One JSON-RPC message from an upstream, in bytes: a JSON body, an event of a stream, a line of a child. */
  readonly messageBytesMax: number;
  /** All that an upstream may send for one call, in bytes. */
  readonly answerBytesMax: number;
  /** A body of an HTTP API that is passed on as a stream, either way. */
  readonly httpBodyBytesMax: number;
  /** Notifications passed on for one call; further ones are counted and dropped. */
  readonly notificationsMax: number;
  /** Notifications of one call that its reader has not taken yet; further ones are counted and dropped. */
  readonly notificationsHeldMax: number;
  /** Messages from a child in one second that belong to no call, before it counts as babbling and is ended. */
  readonly strayMessagesMax: number;
  /** Requests from a server that one session answers at a time. */
  readonly serverRequestsMax: number;
  /** Bytes written to a child that it has not read; a call that comes on top is not sent. */
  readonly stdinHeldBytesMax: number;
  /** Bytes of a child's stderr kept for the log, per second. */
  readonly stderrBytesPerSecond: number;
  /** How long a stream may stay open after it carried the response. */
  readonly lingerMs: number;
  /** Pages of one catalogue, tools in it, and bytes of their definitions. */
  readonly cataloguePagesMax: number;
  readonly catalogueToolsMax: number;
  readonly catalogueBytesMax: number;
  /** Failures in a row after which an upstream is given time. */
  readonly breakerFailures: number;
  /** How much time: the first, doubled up to the last for each probe that fails. */
  readonly backoffFirstMs: number;
  readonly backoffLastMs: number;
  /** A child's time to end after its stdin was closed, and again after SIGTERM. */
  readonly endGraceMs: number;
}

export const UPSTREAM_LIMITS: UpstreamLimits = {
  upstreamsMax: 1000,
  sessionsPerUpstreamMax: 200,
  childrenMax: 80,
  childrenReserved: 16,
  childrenShare: 8,
  sessionIdleMs: 600_000,
  openTimeoutMs: 20_000,
  slowStartMs: 3000,
  probeTimeoutMs: 4000,
  connectionIdleMs: 3000,
  sendWithinMs: 250,
  listenersPerUpstreamMax: 256,
  waitersMax: 1000,
  messageBytesMax: 4 * 1024 * 1024,
  answerBytesMax: 16 * 1024 * 1024,
  httpBodyBytesMax: 1024 * 1024 * 1024,
  notificationsMax: 10_000,
  notificationsHeldMax: 256,
  strayMessagesMax: 1000,
  serverRequestsMax: 32,
  stdinHeldBytesMax: 8 * 1024 * 1024,
  stderrBytesPerSecond: 16 * 1024,
  lingerMs: 250,
  cataloguePagesMax: 100,
  catalogueToolsMax: 10_000,
  catalogueBytesMax: 16 * 1024 * 1024,
  breakerFailures: 3,
  backoffFirstMs: 250,
  backoffLastMs: 30_000,
  endGraceMs: 2000,
};
