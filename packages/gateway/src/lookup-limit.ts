/**
 * How many tokens that are not known yet may make this process look at the database in one second. Each tenant and each
 * address has a share of its own, so that made-up tokens lock out nobody but those who are named by them and come from
 * there. What a token claims is not verified here, that is what the look is for.
 */

/** Of one claimed tenant from one address. */
const SOURCE_LOOKUPS = 20;
/** Of one claimed tenant. */
const TENANT_LOOKUPS = 50;
/** Of all tenants that are not in memory, most of which do not exist: each look costs a query. */
const UNKNOWN_LOOKUPS = 100;
/** Sources and tenants that are told apart. */
const COUNTS_MAX = 20_000;

export interface Lookup {
  readonly unverifiedTenantId: string;
  /** Whether its state is in memory; a look then only follows what has changed, together with others. */
  readonly inMemory: boolean;
  readonly remoteAddress: string;
}

/** Whether one more look is affordable at this time. One that is not takes nothing from anybody. */
export function createLookupLimit(): (lookup: Lookup, nowMs: number) => boolean {
  let second = Number.NEGATIVE_INFINITY;
  let counts = new Map<string, number>();
  let unknown = 0;

  return ({ unverifiedTenantId, inMemory, remoteAddress }, nowMs) => {
    const now = Math.floor(nowMs / 1000);
    if (now !== second) {
      second = now;
      counts = new Map();
      unknown = 0;
    }
    // A decoded token's tenant has no space in it.
    const source = `${unverifiedTenantId} ${remoteAddress}`;
    const ofSource = counts.get(source) ?? 0;
    const ofTenant = counts.get(unverifiedTenantId) ?? 0;
    if (ofSource >= SOURCE_LOOKUPS || ofTenant >= TENANT_LOOKUPS) return false;
    if (counts.size >= COUNTS_MAX && !counts.has(source)) return false;
    if (!inMemory && unknown >= UNKNOWN_LOOKUPS) return false;
    counts.set(source, ofSource + 1);
    counts.set(unverifiedTenantId, ofTenant + 1);
    if (!inMemory) unknown += 1;
    return true;
  };
}
