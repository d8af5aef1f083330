/**
 * What is remembered of a tenant's head, and the words that all of history shares. No queries.
 */

/**
 * The end of a tenant's history as somebody saw it. Every process keeps the highest one of each tenant; a head behind
 * it means that the database went back in time.
 */
export interface HeadMark {
  readonly epoch: number;
  readonly revision: number;
  /** Also the size of the log's tree: sequences start at 1 in each epoch. */
  readonly sequence: number;
  readonly hash: Uint8Array;
}

/** A head as it was after an append. */
export interface CommittedHead extends HeadMark {
  /** The database's clock at the commit, in microseconds since the epoch; never less than the one before it. */
  readonly committedUs: number;
}

/** The channel on which every change of authority is announced; the payload is the tenant's id. */
export const AUTHORITY_CHANNEL = "writ_authority";
