/** What the journal needs of the database: one batch, one transaction. Implemented over `@writ/history`. */
import type { AuditEvent, BudgetClaim, BudgetExcess } from "@writ/contract";

export type BatchEntry =
  | {
      readonly kind: "allow" | "deny";
      readonly tenantId: string;
      readonly callId: string;
      readonly revision: number;
      readonly validUntilMs: number;
      readonly claims: readonly BudgetClaim[];
      /** Root node, hex. */
      readonly root: string;
      readonly budgetNodesMax: number;
      readonly salt: Uint8Array;
      readonly event: AuditEvent;
      /** Recorded right behind the decision; the call is then never open. */
      readonly outcome: AuditEvent | undefined;
      /** It has no outcome, and is over with its commit. */
      readonly isOver?: true;
      /** Those of the claims of which the answer shall say what is left. */
      readonly tell?: readonly BudgetClaim[];
      /** 32 bytes that it takes. */
      readonly key?: Uint8Array;
    }
  | {
      /** `late`: of a call that was recorded as unknown before. */
      readonly kind: "outcome" | "late";
      readonly tenantId: string;
      readonly callId: string;
      readonly outcome: "completed" | "failed" | "aborted" | "unknown";
      readonly event: AuditEvent;
    }
  | { readonly kind: "record"; readonly tenantId: string; readonly event: AuditEvent };

export type EntryAnswer =
  | {
      readonly kind: "committed";
      readonly epoch: number;
      readonly sequence: number;
      /** The soft limits that the call went over; absent when there are none. */
      readonly exceeded?: readonly BudgetExcess[];
      /** What the counters that were to be told of held right behind it; absent when there are none. */
      readonly left?: readonly BudgetExcess[];
    }
  | { readonly kind: "stale" }
  | { readonly kind: "expired"; readonly databaseTimeMs: number }
  | { readonly kind: "refused"; readonly claim: BudgetClaim; readonly remaining: number }
  | { readonly kind: "refused_nodes" }
  | { readonly kind: "duplicate"; readonly firstCallId: string }
  /** The head is behind what this process has seen. */
  | { readonly kind: "regressed" }
  /** An outcome of a call that was recorded as unknown before; nothing was recorded. */
  | { readonly kind: "late" }
  /** An outcome of a call that is not open; nothing was recorded. */
  | { readonly kind: "absent" };

/** The end of a tenant's log as this process saw it. */
export interface Head {
  readonly epoch: number;
  readonly sequence: number;
  readonly hash: Uint8Array;
}

export interface BatchAnswer {
  /** One per entry, in order. */
  readonly answers: readonly EntryAnswer[];
  /** The database's clock while the heads were held, milliseconds since the epoch. */
  readonly databaseTimeMs: number;
  /** The heads after the commit, by tenant. */
  readonly heads: ReadonlyMap<string, Head>;
}

export interface BatchStore {
  /** Commits in one round trip. Throws `DatabaseError`. */
  commit(batchId: string, entries: readonly BatchEntry[]): Promise<BatchAnswer>;
  /**
   * Takes the heads of the tenants first, brings their states to them, then commits what `build` returns, all in one
   * transaction, so that authority cannot move in between. Undefined when a state could not be brought to its head
   * without letting the heads go; nothing was committed then.
   */
  commitUnderLock(
    batchId: string,
    tenantIds: readonly string[],
    build: () => readonly BatchEntry[],
  ): Promise<BatchAnswer | undefined>;
  /** After a COMMIT whose answer never came: whether the batch is in, or has been made impossible. */
  resolve(batchId: string, tenantIds: readonly string[]): Promise<"committed" | "refused">;
}
