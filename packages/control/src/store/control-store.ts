/**
 * What commands and queries need of the database, in the words of the control plane. history-store.ts fills it over
 * @writ/history; nothing else in this package knows how a head is locked or an event is chained.
 */
import type { AuthorityKind, AuthoritySnapshot, AuthorityValues, EventName } from "@writ/contract";
import type { Queryable } from "@writ/db";
import type { OpenedEpoch, PruneCursor, PrunedRows } from "@writ/history";
import type { Actor, EventFields } from "../actor.ts";

/** Statements in the words of the database; what every query of this package is written against. */
export type Queries = Pick<Queryable, "query">;

export interface Stored<T> {
  readonly id: string;
  readonly version: number;
  readonly value: T;
}

/** The end of one tenant's log. */
export interface TenantHead {
  readonly tenantId: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly hash: Uint8Array;
  readonly frontier: Uint8Array;
}

/**
 * One use case: everything that it changes and the event that says so commit together or not at all. `query` is for
 * the control plane's own tables and does not see this command's own puts; `get` and `find` do.
 */
export interface CommandTransaction extends Queries {
  get<K extends AuthorityKind>(kind: K, id: string): Promise<Stored<AuthorityValues[K]> | undefined>;
  /** Objects of a kind, the command's own changes included; with `where`, those with that text in that member. */
  find<K extends AuthorityKind>(
    kind: K,
    where?: { readonly member: string; readonly equals: string },
  ): Promise<readonly Stored<AuthorityValues[K]>[]>;
  /** `expectedVersion` 0 makes a new object. Resolves to the new version. Problem `version_conflict`, `name_taken`. */
  put<K extends AuthorityKind>(
    kind: K,
    id: string,
    value: AuthorityValues[K],
    expectedVersion: number,
  ): Promise<number>;
  remove(kind: AuthorityKind, id: string, expectedVersion: number): Promise<void>;
  /** The command's event; `by` is the actor's, whatever the caller of the API says. */
  record<N extends EventName>(event: N, fields: Omit<EventFields<N>, "by">): void;
}

export interface ControlStore {
  /** `urgent` is for what stops calls: it does not wait behind a bulk of other commands. */
  command<T>(
    actor: Actor,
    tenantId: string,
    work: (transaction: CommandTransaction) => Promise<T>,
    options?: { readonly urgent: boolean },
  ): Promise<T>;
  /** Creates the head of a tenant and runs the work in the same transaction. */
  createTenant<T>(actor: Actor, tenantId: string, work: (transaction: CommandTransaction) => Promise<T>): Promise<T>;
  /** Makes the instance's head and log when they are missing. */
  ensureInstance(): Promise<void>;
  /** Opens an epoch behind the head's and `epochAfter`, with the tenant's kill switch engaged. */
  openEpoch(
    actor: Actor,
    tenantId: string,
    options: { readonly reason: string; readonly epochAfter: number },
  ): Promise<OpenedEpoch>;
  /** A read-only transaction that sees these tenants' rows; at most 2 s. */
  read<T>(tenants: readonly string[], work: (transaction: Queries) => Promise<T>): Promise<T>;
  /** The heads of all tenants, the instance's included, in the order of ids: one statement a thousand of them. */
  heads(): Promise<readonly TenantHead[]>;
  /** Gives back one page of what carves of ended nodes set aside; resolves to how many, 0 when nothing is due. */
  refundCarves(tenantId: string): Promise<number>;
  /** Those of these tenants that have objects which expired long ago. */
  tenantsWithExpired(tenants: readonly string[]): Promise<readonly string[]>;
  /** Ends one page of what expired long ago; resolves to how many objects, 0 when nothing is left. */
  endExpired(actor: Actor, tenantId: string): Promise<number>;
  /** Removes what of one page of a tenant's rows has no effect any more. */
  pruneRows(tenantId: string, from: PruneCursor | undefined): Promise<PrunedRows>;
  /** One page of the idempotency keys of all tenants that are not kept any more. */
  pruneKeys(): Promise<{ readonly keys: number; readonly more: boolean }>;
  /** Asks the gateways to read a catalogue; resolves to what `served` of its observation will reach. 0 when there is none yet. */
  wantReading(tenantId: string, upstreamId: string): Promise<number>;
  snapshot(tenantId: string): Promise<AuthoritySnapshot | undefined>;
}
