/** Every limit of the data listener, by name. */
export interface ListenerLimits {
  readonly headerBytesMax: number;
  readonly headersMax: number;
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to the last of its body. */
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly urlBytesMax: number;
  readonly bodyBytesMax: number;
  /** Bytes of all bodies that are being read or judged; a request on top is refused. */
  readonly bodiesBytesMax: number;
  readonly connectionsMax: number;
  /** Requests of one connection that are not answered yet. */
  readonly pipelinedMax: number;
  /** A peer that takes no byte of its answer for so long is cut. */
  readonly writeStallMs: number;
  /** How long a peer whose request was refused unread may take to read that answer. */
  readonly refusedLingerMs: number;
}

export const DATA_LISTENER_LIMITS: ListenerLimits = {
  headerBytesMax: 16_384,
  headersMax: 100,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  keepAliveTimeoutMs: 65_000,
  urlBytesMax: 8192,
  bodyBytesMax: 4 * 1024 * 1024,
  bodiesBytesMax: 256 * 1024 * 1024,
  connectionsMax: 2000,
  pipelinedMax: 16,
  writeStallMs: 30_000,
  refusedLingerMs: 500,
};
