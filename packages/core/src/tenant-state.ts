/**
 * The authority of one tenant in memory, with the indexes that a decision needs. It is built from one snapshot and
 * follows changes in place; it does no I/O and does not know where snapshots come from.
 */
import type {
  ActivePolicy,
  AuthorityChange,
  AuthorityKind,
  AuthoritySnapshot,
  AuthorityValues,
  Tool,
  Upstream,
} from "@writ/contract";
import type { PolicyPort, PolicyProblem } from "@writ/policy";

export interface StateOptions {
  /** Compiles a policy document; may keep what it compiled, by digest. A throw counts as a problem. */
  compilePolicy(
    policy: ActivePolicy,
  ):
    | { readonly kind: "compiled"; readonly policy: PolicyPort }
    | { readonly kind: "problems"; readonly problems: readonly PolicyProblem[] };
  /** SHA-256 of `bytes`, 32 bytes; core has no cryptography of its own. */
  sha256(bytes: Uint8Array): Uint8Array;
}

/** none: nothing is allowed. broken: everything is denied with `policy_error`. */
export type StatePolicy =
  | { readonly kind: "none" }
  | { readonly kind: "active"; readonly versionId: string; readonly port: PolicyPort }
  | { readonly kind: "broken"; readonly versionId: string; readonly digest: string; readonly detail: string };

export interface TenantState {
  readonly tenantId: string;
  readonly revision: number;
  readonly instanceRevision: number;
  readonly epoch: number;
  readonly policy: StatePolicy;
  /** The value of one object of the tenant, by kind and id. */
  get<K extends AuthorityKind>(kind: K, id: string): AuthorityValues[K] | undefined;
  /** All objects of one kind, in no promised order. */
  list<K extends AuthorityKind>(kind: K): Iterable<{ readonly id: string; readonly value: AuthorityValues[K] }>;
  upstreamByName(name: string): { readonly id: string; readonly value: Upstream } | undefined;
  /** The pinned tools of an upstream, sorted by name. */
  toolsOf(upstream: string): readonly Tool[];
  /** The nearest recorded node of a path (root → presenter): a root token or a recorded child; "" when none is. */
  nearestRecorded(path: readonly string[]): string;
  /**
   * Follows authority: `changes` in order, then the revision. All or nothing: what it cannot understand throws
   * before anything has moved. Costs what the changes cost, not what the state holds.
   */
  apply(
    changes: readonly AuthorityChange[],
    revision: number,
    instanceChanges: readonly AuthorityChange[],
    instanceRevision: number,
  ): void;
}

/** Builds the state of one tenant from one consistent snapshot. Throws a TypeError on what it does not know. */
export type BuildState = (snapshot: AuthoritySnapshot, options: StateOptions) => TenantState;
