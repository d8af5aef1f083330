/**
 * Which counters a charged call draws on, and with what limits. It reads authority and the limits that the token's
 * caveats set on their own nodes; whether a claim fits, beside what is set aside by carves, is decided where the
 * counters are, in the commit.
 */
import type { BudgetClaim, BudgetMode, BudgetScope, BudgetUnit, Carve, HttpResource, Window } from "@writ/contract";
import { windowAt } from "@writ/contract";
import type { NodeLimit } from "@writ/token";
import type { Presenter } from "./judgement.ts";
import type { TenantState } from "./tenant-state.ts";

export interface ClaimOptions {
  readonly state: TenantState;
  readonly token: Presenter;
  readonly limits: readonly NodeLimit[];
  readonly nowMs: number;
}

interface Draft {
  readonly scope: BudgetScope;
  readonly scopeId: string;
  readonly unit: BudgetUnit;
  readonly window: Window;
  readonly limit: number;
  readonly mode: BudgetMode;
}

/** The claims of a call as they were found last, and how long they hold. */
interface Remembered {
  readonly claims: readonly BudgetClaim[];
  readonly revision: number;
  readonly instanceRevision: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * By state, token and tool, or for what is no tool by upstream and cost: claims depend on these, on the revision and on
 * which windows the time lies in, and on nothing else, so that a token's next call of a tool, and its next request of
 * whatever path, mostly has the very same ones.
 */
let remembered = new WeakMap<TenantState, WeakMap<Presenter, Map<string, Remembered>>>();
/** Since the last time that everything was forgotten; those whose token is gone count on. */
let rememberedCount = 0;

/**
 * Claims remembered at once, over all tenants: a holder makes tokens for nothing and may call many tools with each. Beyond
 * it all are forgotten, and found anew when they are asked for.
 */
const REMEMBERED_MAX = 8_192;

/** `findClaims`, remembered. The answer is frozen, and the same one as long as nothing that it rests on has changed. */
export function callClaims(options: CallClaimsOptions): readonly BudgetClaim[] {
  const { state, token, nowMs, upstream, tool } = options;
  // Tools are few; paths are as many as a holder likes, and what sets two requests apart here is their cost alone.
  const key = tool === "" ? `${upstream}/${creditsOf(options)}` : `${upstream}/${tool}/tool`;
  const { revision, instanceRevision } = state;
  const known = remembered.get(state)?.get(token)?.get(key);
  if (
    known !== undefined &&
    known.revision === revision &&
    known.instanceRevision === instanceRevision &&
    known.fromMs <= nowMs &&
    nowMs < known.untilMs
  ) {
    return known.claims;
  }
  const claims = Object.freeze(findClaims(options).map((claim) => Object.freeze(claim)));
  let fromMs = 0;
  let untilMs = Number.MAX_SAFE_INTEGER;
  for (const { windowStartMs, windowEndMs } of claims) {
    fromMs = Math.max(fromMs, windowStartMs);
    untilMs = Math.min(untilMs, windowEndMs);
  }
  if (known === undefined) makeRoom();
  toolsOf(state, token).set(key, { claims, revision, instanceRevision, fromMs, untilMs });
  return claims;
}

function makeRoom(): void {
  rememberedCount += 1;
  if (rememberedCount <= REMEMBERED_MAX) return;
  remembered = new WeakMap();
  rememberedCount = 1;
}

function toolsOf(state: TenantState, token: Presenter): Map<string, Remembered> {
  let tokens = remembered.get(state);
  if (tokens === undefined) {
    tokens = new WeakMap();
    remembered.set(state, tokens);
  }
  let tools = tokens.get(token);
  if (tools === undefined) {
    tools = new Map();
    tokens.set(token, tools);
  }
  return tools;
}

interface CallClaimsOptions extends ClaimOptions {
  readonly chain: readonly string[];
  readonly principals: readonly string[];
  readonly upstream: string;
  readonly tool: string;
  /** What the price list knows the call by: the tool or model, or a request's method and path. */
  readonly name: string;
  readonly http: HttpResource | undefined;
}

/**
 * The claims of one call: its nodes up to the nearest recorded carve, and the tenant's budget rules. One a counter, and
 * behind them the soft limits that are passed before the hard limit of the same counter.
 */
function findClaims(options: CallClaimsOptions): readonly BudgetClaim[] {
  return claimsOf(options, callAmounts(options));
}

function claimsOf(
  options: Omit<CallClaimsOptions, "name" | "http">,
  amountOf: (unit: BudgetUnit) => number,
): readonly BudgetClaim[] {
  const { state } = options;
  const drafts: Draft[] = nodeDrafts(options);
  const add = (scope: BudgetScope, ruleScopeId: string, scopeId: string): void => {
    for (const { unit, window, limit, mode } of state.budgetRules(scope, ruleScopeId)) {
      drafts.push({ scope, scopeId, unit, window, limit, mode });
    }
  };
  for (const agentId of new Set(options.chain)) add("agent", agentId, agentId);
  for (const principalId of new Set(options.principals)) add("principal", principalId, principalId);
  if (options.tool !== "") add("tool", `${options.upstream}/${options.tool}`, `${options.upstream}/${options.tool}`);
  if (options.upstream !== "") add("upstream", options.upstream, options.upstream);
  add("tenant", "", state.tenantId);
  const claims = toClaims(options, drafts, amountOf);
  const soft = drafts.filter(({ mode }) => mode === "soft");
  if (soft.length === 0) return claims;
  const isPassedFirst = ({ counter, limit }: BudgetClaim): boolean =>
    claims.some((claim) => claim.counter === counter && claim.mode === "hard" && limit < claim.limit);
  return [...claims, ...toClaims(options, soft, amountOf).filter(isPassedFirst)];
}

/** What one call takes of each unit; of a unit that it takes nothing of it has no claim. */
function callAmounts(options: CallClaimsOptions): (unit: BudgetUnit) => number {
  return (unit) => (unit === "credits" ? creditsOf(options) : 1);
}

function creditsOf({ state, upstream, name, http }: CallClaimsOptions): number {
  return state.creditsOf(upstream, name, http);
}

/**
 * What one call of a token is compared with whatever it calls: the limits of its nodes, agents, principals and tenant.
 * Each is claimed one of its unit.
 */
export function tokenClaims(
  options: ClaimOptions & Pick<CallClaimsOptions, "chain" | "principals">,
): readonly BudgetClaim[] {
  return claimsOf({ ...options, upstream: "", tool: "" }, () => 1);
}

/**
 * The claims by which a carve is taken from the counters that the presenter's calls draw on; undefined when none of
 * them is a hard limit, so that there is nothing to set aside from.
 */
export function carveClaims(options: ClaimOptions, carve: Carve): readonly BudgetClaim[] | undefined {
  const drafts = nodeDrafts(options).filter(({ unit, window }) => unit === carve.unit && window === carve.window);
  const claims = toClaims(options, drafts, () => carve.amount);
  return claims.some(({ mode }) => mode === "hard") ? claims : undefined;
}

/** The soft limits that the same carve may lift the same counters over; one a counter. Nothing is taken by them. */
export function carveSoftClaims(options: ClaimOptions, carve: Carve): readonly BudgetClaim[] {
  const drafts = nodeDrafts(options).filter(
    ({ unit, window, mode }) => unit === carve.unit && window === carve.window && mode === "soft",
  );
  return toClaims(options, drafts, () => carve.amount);
}

/** The limits on the nodes of the path, from the presenter up to the nearest one recorded as carved. */
function nodeDrafts({ state, token, limits }: ClaimOptions): Draft[] {
  const drafts: Draft[] = [];
  const { path } = token;
  // Per unit and window the place of the nearest carved node, once one is recorded.
  let carved: Map<string, number> | undefined;
  for (let index = path.length - 1; index >= 0; index -= 1) {
    const node = path[index] ?? "";
    const recorded = state.get("node", node);
    for (const { unit, window, amount } of recorded?.carves ?? []) {
      carved ??= new Map();
      if (!carved.has(`${unit} ${window}`)) carved.set(`${unit} ${window}`, index);
      if (carved.get(`${unit} ${window}`) === index) {
        drafts.push({ scope: "node", scopeId: node, unit, window, limit: amount, mode: "hard" });
      }
    }
    const above = carved;
    const isCharged = (unit: BudgetUnit, window: Window): boolean =>
      above === undefined || (above.get(`${unit} ${window}`) ?? 0) <= index;
    for (const { node: limited, unit, window, limit } of limits) {
      if (limited === node && isCharged(unit, window)) {
        drafts.push({ scope: "node", scopeId: node, unit, window, limit, mode: "hard" });
      }
    }
    for (const { unit, window, limit, mode } of state.budgetRules("node", node)) {
      if (isCharged(unit, window)) drafts.push({ scope: "node", scopeId: node, unit, window, limit, mode });
    }
  }
  return drafts;
}

const MODE_ORDER: Readonly<Record<BudgetMode, number>> = { hard: 0, soft: 1, shadow: 2 };

/** One claim a counter: the least limit of the hardest mode that the counter is compared with. */
function toClaims(
  { state, nowMs }: ClaimOptions,
  drafts: readonly Draft[],
  amountOf: (unit: BudgetUnit) => number,
): BudgetClaim[] {
  const claims: BudgetClaim[] = [];
  for (const { scope, scopeId, unit, window, limit, mode } of drafts) {
    // Unknown means no: the caller turns the throw into a denial.
    if (!(mode in MODE_ORDER) || typeof limit !== "number") throw new TypeError("a budget is unreadable");
    const amount = amountOf(unit);
    if (amount === 0) continue;
    const { startMs, endMs } = windowAt(window, nowMs);
    const claim: BudgetClaim = {
      counter: state.counterId(scope, scopeId, unit, window),
      scope,
      scopeId,
      unit,
      window,
      windowStartMs: startMs,
      windowEndMs: endMs,
      amount,
      limit,
      mode,
    };
    const at = claims.findIndex(({ counter }) => counter === claim.counter);
    const known = claims[at];
    if (known === undefined) claims.push(claim);
    else if (isStricter(claim, known)) claims[at] = claim;
  }
  return claims;
}

function isStricter(a: BudgetClaim, b: BudgetClaim): boolean {
  const order = MODE_ORDER[a.mode] - MODE_ORDER[b.mode];
  return order < 0 || (order === 0 && a.limit < b.limit);
}
