/** What recording a child token needs of the database: one narrowing command, with its decision's event. */
import type { AuditEvent, BudgetClaim, BudgetExcess, RecordedNode } from "@writ/contract";
import type { CarveClaim } from "@writ/history";

export interface ChildRecord {
  readonly tenantId: string;
  readonly callId: string;
  /** Salts the digests in the events. */
  readonly salt: Uint8Array;
  /** The revision that the decision rests on. */
  readonly revision: number;
  readonly record: { readonly id: string; readonly value: RecordedNode };
  /** Nodes from the root to the child. */
  readonly path: readonly string[];
  /** What is set aside, out of which counters. */
  readonly carves: readonly CarveClaim[];
  /** Soft limits that the carves may lift their counters over. */
  readonly soft: readonly BudgetClaim[];
  /** The decision's event, then the child's. */
  readonly events: readonly AuditEvent[];
}

export type ChildResult =
  | { readonly kind: "recorded"; readonly exceeded: readonly BudgetExcess[] }
  /** Authority has moved since; nothing was recorded. */
  | { readonly kind: "stale" }
  /** A counter has too little left; nothing was recorded. */
  | { readonly kind: "refused"; readonly remaining: number }
  | { readonly kind: "refused_nodes" };

export interface ChildStore {
  /** Failure `journal_unavailable`. */
  record(child: ChildRecord): Promise<ChildResult>;
}
