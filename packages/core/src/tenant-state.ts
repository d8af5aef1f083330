/**
 * The authority of one tenant in memory, with the indexes that a decision needs. It is built from one snapshot and
 * follows changes in place; it does no I/O, decides nothing and does not know where snapshots come from.
 */
import {
  type ActivePolicy,
  AUTHORITY_KINDS,
  type AuthorityChange,
  type AuthorityKind,
  type AuthorityObject,
  type AuthoritySnapshot,
  type AuthorityValues,
  type BudgetRule,
  type BudgetScope,
  type BudgetUnit,
  isRateLimit,
  isRatePeriod,
  type KillScope,
  RATE_PERIODS,
  RATE_SCOPES,
  type RateClaim,
  type RateRule,
  type RateScope,
  type Tool,
  type Upstream,
  type Window,
} from "@writ/contract";
import type { PolicyPort, PolicyProblem } from "@writ/policy";
import { createPriceList, isReadablePrice, type PriceList } from "./price-list.ts";

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
  /** Sorted. */
  upstreamNames(): readonly string[];
  /** The pinned tools of an upstream, sorted by name. */
  toolsOf(upstream: string): readonly Tool[];
  /** The nearest recorded node of a path (root → presenter): a root token or a recorded child; "" when none is. */
  nearestRecorded(path: readonly string[]): string;
  /** Whether a kill switch of the tenant or of the instance is engaged for exactly this scope. */
  killed(scope: KillScope, scopeId: string): boolean;
  /** The budget rules of exactly this scope. */
  budgetRules(scope: BudgetScope, scopeId: string): readonly BudgetRule[];
  /** Whether any rate is set at all. */
  hasRateRules(): boolean;
  /** The rates of exactly this scope, as claims; one a period. */
  rateRules(scope: RateScope, scopeId: string): readonly RateClaim[];
  /** The counter of a scope, unit and window: 16 bytes, hex. */
  counterId(scope: BudgetScope, scopeId: string, unit: BudgetUnit, window: Window): string;
  /** What one call costs, in credits: of a tool or model by its name, of a request by its method and path. */
  readonly creditsOf: PriceList["creditsOf"];
  /** Derived answers that hold for this revision only; emptied by `apply`. Bounded by whoever puts something in. */
  readonly derived: Map<string, unknown>;
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

/** Counter ids remembered. Holders can name nodes for nothing, so the memory starts afresh when it is full. */
const COUNTER_IDS_MAX = 16_384;
const NO_RULES: readonly BudgetRule[] = [];
const NO_RATES: readonly RateClaim[] = [];

type Values = { readonly [K in AuthorityKind]: Map<string, AuthorityValues[K]> };

/** Builds the state of one tenant from one consistent snapshot. Throws a TypeError on what it does not know. */
export function buildState(snapshot: AuthoritySnapshot, options: StateOptions): TenantState {
  const values = makeValues();
  const instanceKills = new Map<string, AuthorityValues["kill"]>();
  const upstreamIds = new Map<string, string>();
  const tools = new Map<string, Map<string, Tool>>();
  const sortedTools = new Map<string, readonly Tool[]>();
  const kills = new Map<string, number>();
  const budgets = new Map<string, Map<string, BudgetRule>>();
  const budgetLists = new Map<string, readonly BudgetRule[]>();
  const rates = new Map<string, Map<string, RateClaim>>();
  const rateLists = new Map<string, readonly RateClaim[]>();
  const counterIds = new Map<string, string>();
  const prices = createPriceList();
  const derived = new Map<string, unknown>();
  let { revision, instanceRevision } = snapshot;
  let policy: StatePolicy = { kind: "none" };

  /** Takes an object out of the indexes, before it is replaced or deleted. */
  function unindex(kind: AuthorityKind, id: string): void {
    switch (kind) {
      case "upstream": {
        const old = values.upstream.get(id);
        if (old !== undefined && upstreamIds.get(old.name) === id) upstreamIds.delete(old.name);
        break;
      }
      case "tool": {
        const old = values.tool.get(id);
        if (old === undefined) break;
        const group = tools.get(old.upstream);
        group?.delete(id);
        if (group?.size === 0) tools.delete(old.upstream);
        sortedTools.delete(old.upstream);
        break;
      }
      case "kill": {
        const old = values.kill.get(id);
        if (old !== undefined) countKill(kills, old, -1);
        break;
      }
      case "budget": {
        const old = values.budget.get(id);
        if (old === undefined) break;
        const key = scopeKey(old.scope, old.scopeId);
        const group = budgets.get(key);
        group?.delete(id);
        if (group?.size === 0) budgets.delete(key);
        budgetLists.delete(key);
        break;
      }
      case "rate": {
        const old = values.rate.get(id);
        if (old === undefined) break;
        const key = scopeKey(old.scope, old.scopeId);
        const group = rates.get(key);
        group?.delete(id);
        if (group?.size === 0) rates.delete(key);
        rateLists.delete(key);
        break;
      }
      case "price":
        prices.remove(id);
        break;
      default:
        break;
    }
  }

  function put(object: AuthorityObject, compiled: StatePolicy | undefined): void {
    unindex(object.kind, object.id);
    const { id } = object;
    switch (object.kind) {
      case "upstream":
        upstreamIds.set(object.value.name, id);
        break;
      case "tool":
        group(tools, object.value.upstream).set(id, object.value);
        sortedTools.delete(object.value.upstream);
        break;
      case "kill":
        countKill(kills, object.value, 1);
        break;
      case "budget":
        group(budgets, scopeKey(object.value.scope, object.value.scopeId)).set(id, object.value);
        budgetLists.delete(scopeKey(object.value.scope, object.value.scopeId));
        break;
      case "rate": {
        const { scope, scopeId, limit, per } = object.value;
        const claim = { scope, scopeId: scope === "tenant" ? snapshot.tenantId : scopeId, limit, per };
        group(rates, scopeKey(scope, scopeId)).set(id, Object.freeze(claim));
        rateLists.delete(scopeKey(scope, scopeId));
        break;
      }
      case "price":
        prices.put(id, object.value);
        break;
      case "policy":
        if (compiled !== undefined) policy = compiled;
        break;
      default:
        break;
    }
    setValue(values, object);
  }

  function remove(kind: AuthorityKind, id: string): void {
    unindex(kind, id);
    values[kind].delete(id);
    if (kind === "policy" && id === "active") policy = { kind: "none" };
  }

  function applyInstance(change: AuthorityChange): void {
    const id = change.type === "put" ? change.object.id : change.id;
    const kind = change.type === "put" ? change.object.kind : change.kind;
    if (kind !== "kill") return;
    const old = instanceKills.get(id);
    if (old !== undefined) countKill(kills, old, -1);
    instanceKills.delete(id);
    if (change.type === "put" && change.object.kind === "kill") {
      instanceKills.set(id, change.object.value);
      countKill(kills, change.object.value, 1);
    }
  }

  function applyAll(changes: readonly AuthorityChange[], instanceChanges: readonly AuthorityChange[]): void {
    for (const change of [...changes, ...instanceChanges]) refuseUnknown(change);
    // Compiling is what may fail, so it comes before anything moves; only the last document of a series counts.
    const last = changes.findLast(
      (change) => change.type === "put" && change.object.kind === "policy" && change.object.id === "active",
    );
    const compiled =
      last?.type === "put" && last.object.kind === "policy" ? compile(last.object.value, options) : undefined;
    for (const change of changes) {
      if (change.type === "put") put(change.object, change === last ? compiled : undefined);
      else remove(change.kind, change.id);
    }
    for (const change of instanceChanges) applyInstance(change);
    derived.clear();
  }

  applyAll(
    snapshot.objects.map((object) => ({ type: "put", object })),
    snapshot.instanceObjects.map((object) => ({ type: "put", object })),
  );

  return {
    tenantId: snapshot.tenantId,
    epoch: snapshot.epoch,
    derived,
    get revision() {
      return revision;
    },
    get instanceRevision() {
      return instanceRevision;
    },
    get policy() {
      return policy;
    },
    get: (kind, id) => values[kind].get(id),
    *list(kind) {
      for (const [id, value] of values[kind]) yield { id, value };
    },
    upstreamByName(name) {
      const id = upstreamIds.get(name);
      const value = id === undefined ? undefined : values.upstream.get(id);
      return id === undefined || value === undefined ? undefined : { id, value };
    },
    upstreamNames: () => [...upstreamIds.keys()].sort(),
    toolsOf(upstream) {
      let sorted = sortedTools.get(upstream);
      if (sorted === undefined) {
        const own = tools.get(upstream);
        // Nothing is kept for an upstream that does not exist: callers choose that name.
        if (own === undefined) return [];
        sorted = [...own.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
        sortedTools.set(upstream, sorted);
      }
      return sorted;
    },
    nearestRecorded(path) {
      for (let index = path.length - 1; index >= 0; index -= 1) {
        const node = path[index];
        if (node !== undefined && (values.node.has(node) || values.root_token.has(node))) return node;
      }
      return "";
    },
    killed: (scope, scopeId) => kills.size > 0 && kills.has(scopeKey(scope, scopeId)),
    budgetRules(scope, scopeId) {
      if (budgets.size === 0) return NO_RULES;
      const key = scopeKey(scope, scopeId);
      let list = budgetLists.get(key);
      if (list === undefined) {
        const own = budgets.get(key);
        if (own === undefined) return NO_RULES;
        list = [...own.values()];
        budgetLists.set(key, list);
      }
      return list;
    },
    hasRateRules: () => rates.size > 0,
    rateRules(scope, scopeId) {
      const key = scopeKey(scope, scopeId);
      let list = rateLists.get(key);
      if (list === undefined) {
        const own = rates.get(key);
        if (own === undefined) return NO_RATES;
        list = leastRates([...own.values()]);
        rateLists.set(key, list);
      }
      return list;
    },
    counterId(scope, scopeId, unit, window) {
      // Scope, unit and window are of closed lists without the separator; the free part is last.
      const key = `${scope} ${unit} ${window} ${scopeId}`;
      let counter = counterIds.get(key);
      if (counter === undefined) {
        if (counterIds.size >= COUNTER_IDS_MAX) counterIds.clear();
        counter = makeCounterId(options.sha256, [scope, scopeId, unit, window]);
        counterIds.set(key, counter);
      }
      return counter;
    },
    creditsOf: prices.creditsOf,
    apply(changes, nextRevision, instanceChanges, nextInstanceRevision) {
      if (nextRevision < revision || nextInstanceRevision < instanceRevision) {
        throw new TypeError("a state never goes back to an older revision; load it anew");
      }
      applyAll(changes, instanceChanges);
      revision = nextRevision;
      instanceRevision = nextInstanceRevision;
    },
  };
}

function makeValues(): Values {
  return {
    tenant: new Map(),
    principal: new Map(),
    agent: new Map(),
    upstream: new Map(),
    tool: new Map(),
    root_key: new Map(),
    root_token: new Map(),
    node: new Map(),
    revocation: new Map(),
    policy: new Map(),
    budget: new Map(),
    rate: new Map(),
    price: new Map(),
    kill: new Map(),
    enforcement_point: new Map(),
    observe_mode: new Map(),
  };
}

function setValue(values: Values, object: AuthorityObject): void {
  // The map of a kind holds values of that kind; the compiler cannot follow the pair through the union.
  const map = values[object.kind] as Map<string, AuthorityValues[AuthorityKind]>;
  map.set(object.id, object.value);
}

function refuseUnknown(change: AuthorityChange): void {
  if (change.type !== "put" && change.type !== "delete") throw new TypeError("unknown change of authority");
  const kind = change.type === "put" ? change.object.kind : change.kind;
  if (!AUTHORITY_KINDS.includes(kind)) throw new TypeError(`unknown kind of authority ${String(kind)}`);
  const id = change.type === "put" ? change.object.id : change.id;
  const readable =
    change.type === "delete" || (typeof change.object.value === "object" && change.object.value !== null);
  if (typeof id !== "string" || !readable) throw new TypeError(`an object of authority of kind ${kind} is unreadable`);
  if (change.type === "put" && change.object.kind === "node" && !Array.isArray(change.object.value.carves)) {
    throw new TypeError("a recorded node without a list of carves is unreadable");
  }
  if (change.type === "put" && change.object.kind === "price" && !isReadablePrice(change.object.value)) {
    throw new TypeError("an entry of the price list is unreadable");
  }
  if (change.type === "put" && change.object.kind === "rate" && !isReadableRate(change.object.value)) {
    throw new TypeError("a rate is unreadable");
  }
}

/** Of each period the least, in the order of the periods. */
function leastRates(rates: readonly RateClaim[]): readonly RateClaim[] {
  return RATE_PERIODS.flatMap((period) => {
    const [least] = rates.filter(({ per }) => per === period).sort((a, b) => a.limit - b.limit);
    return least ?? [];
  });
}

/** A rate that cannot be read would limit nothing. */
function isReadableRate({ scope, scopeId, limit, per }: RateRule): boolean {
  return RATE_SCOPES.includes(scope) && typeof scopeId === "string" && isRateLimit(limit) && isRatePeriod(per);
}

function compile(active: ActivePolicy, options: StateOptions): StatePolicy {
  const { versionId, digest } = active;
  try {
    const result = options.compilePolicy(active);
    if (result.kind === "compiled") return { kind: "active", versionId, port: result.policy };
    const detail = result.problems[0]?.message ?? "the policy does not compile";
    return { kind: "broken", versionId, digest, detail };
  } catch (error) {
    // A failure of the compiler becomes a policy that denies everything.
    return { kind: "broken", versionId, digest, detail: error instanceof Error ? error.message : "unknown" };
  }
}

function scopeKey(scope: string, scopeId: string): string {
  // Scopes are of closed lists without a colon.
  return `${scope}:${scopeId}`;
}

function countKill(kills: Map<string, number>, kill: AuthorityValues["kill"], by: 1 | -1): void {
  const key = scopeKey(kill.scope, kill.scopeId);
  const count = (kills.get(key) ?? 0) + by;
  if (count === 0) kills.delete(key);
  else kills.set(key, count);
}

function group<V>(groups: Map<string, Map<string, V>>, key: string): Map<string, V> {
  let members = groups.get(key);
  if (members === undefined) {
    members = new Map();
    groups.set(key, members);
  }
  return members;
}

const encoder = new TextEncoder();

function makeCounterId(sha256: StateOptions["sha256"], parts: readonly string[]): string {
  const encoded = parts.map((part) => encoder.encode(part));
  const bytes = new Uint8Array(encoded.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of encoded) {
    view.setUint32(at, part.length);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  let hex = "";
  for (const byte of sha256(bytes).subarray(0, 16)) hex += byte.toString(16).padStart(2, "0");
  return hex;
}
