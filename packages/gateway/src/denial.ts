/** What an agent may be told of a denial, before it is put into the words of a protocol. */
import type { Reason } from "@writ/contract";

export interface Denial {
  readonly reason: Reason;
  readonly detail: string;
  readonly hidden: boolean;
  /** Members for the agent: remaining, unit, resetsAt, retryAfterSeconds, firstCallId, check. */
  readonly data: Readonly<Record<string, unknown>>;
}
