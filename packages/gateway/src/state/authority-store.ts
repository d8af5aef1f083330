/** What `state/` needs of the database, over `@writ/history`. Rows become a `TenantState` here; nothing is cached. */
import { INSTANCE_TENANT } from "@writ/contract";
import { buildState, type StateOptions, type TenantState } from "@writ/core";
import type { Database } from "@writ/db";
import {
  type ChangesRead,
  type ChangesRequest,
  type HeadMark,
  listenAuthority,
  listTenants,
  readChanges,
  readChangesOfMany,
  readHeads,
  readSnapshot,
} from "@writ/history";

export interface AuthorityStore {
  /** One tenant's state from one snapshot; undefined when there is no such tenant. */
  load(tenantId: string): Promise<TenantState | undefined>;
  changes(request: ChangesRequest): Promise<ChangesRead>;
  /** The same for many, `CHANGES_TENANTS_MAX` at most; one that is missing in the answer has to be asked for by itself. */
  changesOfMany(requests: readonly ChangesRequest[]): Promise<ReadonlyMap<string, ChangesRead>>;
  /** The first tenants, without the instance. */
  tenants(limit: number): Promise<readonly string[]>;
  heads(tenantIds: readonly string[]): Promise<ReadonlyMap<string, HeadMark>>;
  listen(notify: (tenantId: string) => void, reconnected: () => void): Promise<{ close(): Promise<void> }>;
}

/** Tenants asked about in one statement. */
const HEADS_PAGE = 1_000;

export function createAuthorityStore(db: Database, options: StateOptions): AuthorityStore {
  return {
    async load(tenantId) {
      const snapshot = await readSnapshot(db, tenantId);
      return snapshot === undefined ? undefined : buildState(snapshot, options);
    },
    changes: (request) => readChanges(db, request),
    changesOfMany: (requests) => readChangesOfMany(db, requests),
    async tenants(limit) {
      const page = await listTenants(db, { limit });
      return page.map(({ tenantId }) => tenantId).filter((tenantId) => tenantId !== INSTANCE_TENANT);
    },
    async heads(tenantIds) {
      const heads = new Map<string, HeadMark>();
      for (let from = 0; from === 0 || from < tenantIds.length; from += HEADS_PAGE) {
        // Also with no tenants at all: the poll is how contact to the database is known.
        for (const [id, head] of await readHeads(db, tenantIds.slice(from, from + HEADS_PAGE))) heads.set(id, head);
      }
      return heads;
    },
    listen: (notify, reconnected) => listenAuthority(db, notify, reconnected),
  };
}
