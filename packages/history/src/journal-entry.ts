/** What one batch of the journal is made of, and what is said of each of its entries. Words only: no database. */
import type { BudgetClaim, BudgetExcess } from "@writ/contract";
import type { CommittedHead, HeadMark } from "./head-mark.ts";

export type JournalOutcome = "completed" | "failed" | "aborted" | "unknown";

interface EntryBase {
  readonly tenantId: string;
  /** The exact event: one line, and its leaf (32 bytes). */
  readonly text: string;
  readonly leaf: Uint8Array;
  /** 16 bytes that salt the digests in the events of this call; kept beside the log. */
  readonly salt?: Uint8Array | undefined;
}

export type JournalEntry =
  /** Bound to nothing: summaries, seals, a gateway's own events. */
  | (EntryBase & { readonly kind: "record" })
  /** Opens a call and reserves what it claims. */
  | (EntryBase &
      AllowFields & {
        readonly kind: "allow";
        /** 32 bytes that no other allow of the tenant has as long as they are kept: a digest of its idempotency key. */
        readonly key?: Uint8Array | undefined;
      })
  /** An allow that is over with this commit; what it claims is used at once. */
  | (EntryBase & AllowFields & { readonly kind: "allow_ended" })
  /** Bound to its revision, reserves nothing. */
  | (EntryBase & { readonly kind: "denial"; readonly callId: string; readonly revision: number })
  | (EntryBase & { readonly kind: "outcome"; readonly callId: string; readonly outcome: JournalOutcome })
  /** The outcome of a call that was recorded as unknown: its event is `call.settled_late`. */
  | (EntryBase & {
      readonly kind: "late_outcome";
      readonly callId: string;
      readonly outcome: Exclude<JournalOutcome, "unknown">;
    })
  /** Shares the fate of the entry before it: the outcome event of an `allow_ended`. */
  | (EntryBase & { readonly kind: "with_previous" });

interface AllowFields {
  readonly callId: string;
  readonly revision: number;
  readonly validUntilMs: number;
  readonly claims: readonly BudgetClaim[];
  /** Hex of the root node: bounds the counters of scope node. */
  readonly root: string;
  /** How many counters of scope node there may be below that root. */
  readonly budgetNodesMax: number;
  /** Those of the claims whose counters' totals the answer shall tell; absent: none. */
  readonly tell?: readonly BudgetClaim[] | undefined;
}

export interface JournalBatch {
  /** Unique for ever: after a lost connection it tells whether this batch was committed. */
  readonly id: string;
  readonly gatewayId: string;
  /** The highest head seen of each tenant; entries of a tenant whose head is behind it are `regressed`. */
  readonly marks: ReadonlyMap<string, HeadMark>;
  readonly entries: readonly JournalEntry[];
}

export type EntryResult =
  | {
      readonly kind: "committed";
      readonly epoch: number;
      readonly sequence: number;
      readonly committedUs: number;
      /** The soft limits that this entry's claims went over; absent when there are none. */
      readonly exceeded?: readonly BudgetExcess[];
      /** What the counters that were to be told of held right behind this entry; absent when there are none. */
      readonly left?: readonly BudgetExcess[];
    }
  /** The tenant's authority moved: nothing was recorded, decide again. */
  | { readonly kind: "stale" }
  | { readonly kind: "expired"; readonly databaseTimeMs: number }
  | { readonly kind: "refused"; readonly claim: BudgetClaim; readonly remaining: number }
  | { readonly kind: "refused_nodes" }
  /** Another call has its key: nothing was recorded. */
  | { readonly kind: "duplicate"; readonly firstCallId: string }
  /** The call was recorded as unknown before; nothing was appended. Say it again as `late_outcome`. */
  | { readonly kind: "late" }
  /** No such open call (or tenant): nothing was appended. */
  | { readonly kind: "absent" }
  | { readonly kind: "regressed" };

export interface JournalBatchResult {
  /** One for each entry, in order. */
  readonly results: readonly EntryResult[];
  /** The heads after the batch, of every tenant in it that exists. */
  readonly heads: ReadonlyMap<string, CommittedHead>;
  readonly databaseTimeMs: number;
}
