/** Which upstreams are under observation, for whoever starts a gateway or looks at a database. Decides nothing. */
import { buildState, observedUpstreams, type TenantState } from "@writ/core";
import type { Database } from "@writ/db";
import { listTenants, readSnapshot } from "@writ/history";
import { createStateOptions } from "./compile-policy.ts";

export interface ObservedOfTenant {
  readonly tenantId: string;
  readonly tenant: string;
  readonly upstream: string;
  readonly untilMs: number;
}

export function observedOfTenant(state: TenantState, nowMs: number): readonly ObservedOfTenant[] {
  const { tenantId } = state;
  const tenant = state.get("tenant", tenantId)?.name ?? tenantId;
  return observedUpstreams(state, nowMs).map((observed) => ({ tenantId, tenant, ...observed }));
}

/** Tenants looked at, those created first. */
const TENANTS_MAX = 1_000;

/** The same, read from a database where no gateway runs. */
export async function readObserved(db: Database, nowMs: number): Promise<readonly ObservedOfTenant[]> {
  const observed: ObservedOfTenant[] = [];
  for (const { tenantId } of await listTenants(db, { limit: TENANTS_MAX })) {
    const snapshot = await readSnapshot(db, tenantId);
    if (snapshot?.objects.some(({ kind }) => kind === "observe_mode") !== true) continue;
    observed.push(...observedOfTenant(buildState(snapshot, createStateOptions()), nowMs));
  }
  return observed;
}
