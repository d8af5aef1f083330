/**
 * What the entries of a batch claim, summed up twice for `writ_journal_commit`: by counter, which is all that matters
 * when everything fits, and by hold, since many calls claim the very same. Decides nothing; what a refusal needs besides
 * is packed as text that the database reads only then.
 */
import type { BudgetClaim } from "@writ/contract";
import type { SqlValue } from "@writ/db";
import type { JournalEntry } from "./journal-entry.ts";

type ClaimingEntry = Extract<JournalEntry, { readonly claims: readonly BudgetClaim[] }>;

/** One counter of one entry, under the least hard and the least soft limit that the entry compares it with. */
export interface MergedClaim {
  readonly counter: string;
  readonly scope: BudgetClaim["scope"];
  readonly amount: number;
  readonly windowStartMs: number;
  /** That of the least hard limit, when there is any. */
  claim: BudgetClaim;
  /** Infinity without a hard one. */
  limit: number;
  /** That of the least soft limit. */
  soft: BudgetClaim | undefined;
}

/** One call holds a counter once, under the least of the limits of each mode that it is compared with. */
export function mergeClaims(claims: readonly BudgetClaim[]): readonly MergedClaim[] {
  const merged: MergedClaim[] = [];
  for (const claim of claims) {
    const limit = hardLimit(claim);
    const soft = claim.mode === "soft" ? claim : undefined;
    const same = merged.find(({ counter }) => counter === claim.counter);
    if (same === undefined) {
      const { counter, scope, amount, windowStartMs } = claim;
      merged.push({ counter, scope, amount, windowStartMs, claim, limit, soft });
      continue;
    }
    if (limit < same.limit) {
      same.limit = limit;
      same.claim = claim;
    }
    if (soft !== undefined && (same.soft === undefined || soft.limit < same.soft.limit)) same.soft = soft;
  }
  return merged;
}

/** Counters of one tenant whose totals the answer tells, by counter: their place among those of the batch, from 0. */
export type SoftCounters = ReadonlyMap<string, number>;

export interface ClaimPacker {
  /** Takes what an entry claims. Returns its hold: the number, from 1, that entries share which claim the very same. */
  pack(entry: ClaimingEntry): number;
  /** What comes next is another tenant's: no counter is shared. */
  nextTenant(): void;
  finish(): {
    readonly values: readonly SqlValue[];
    readonly detail: readonly string[];
    /** By tenant. */
    readonly soft: readonly SoftCounters[];
    /** Whether the sums of each counter say all that matters when everything fits. */
    readonly plain: boolean;
  };
}

/** A counter of the batch; `number` is its place among them, from 1. */
interface Slot {
  readonly number: number;
  readonly tenant: number;
  readonly counter: string;
  readonly root: string;
  /** Of its root among those of the batch, from 1; 0 for none. */
  readonly rootNumber: number;
  windowStartMs: number;
  amount: number;
  limit: number;
  nodesMax: number;
  /** The last entry that claimed it. */
  entry: ClaimingEntry | undefined;
  /** The claims on it that differ. */
  readonly variants: Variant[];
}

interface Variant {
  readonly number: number;
  readonly windowStartMs: number;
  readonly amount: number;
  readonly limit: number;
  readonly nodesMax: number;
}

const NO_ROOT = "00000000000000000000000000000000";
const NODES_UNLIMITED = 2 ** 31 - 1;
const NO_LIMIT = 2n ** 63n - 1n;

/** For one batch, tenant by tenant. */
export function createClaimPacker(): ClaimPacker {
  let tenant = 1;
  let byCounter = new Map<string, Slot>();
  let roots = new Map<string, number>();
  let soft = new Map<string, number>();
  let rootCount = 0;
  let softCount = 0;
  let variantCount = 0;
  let plain = true;
  const slots: Slot[] = [];
  const softByTenant: Map<string, number>[] = [soft];
  const softSlots: number[] = [];
  const holds = new Map<string, number>();
  const holdFirsts: number[] = [1];
  const held: { readonly slot: Slot; readonly variant: Variant }[] = [];

  function makeSlot(claim: Pick<BudgetClaim, "counter" | "scope" | "windowStartMs">, entry: ClaimingEntry): Slot {
    const root = claim.scope === "node" ? entry.root : NO_ROOT;
    if (claim.counter.length !== 32 || root.length !== 32) {
      throw new TypeError("counters and nodes are 16 bytes in hex");
    }
    const slot: Slot = {
      number: slots.length + 1,
      tenant,
      counter: claim.counter,
      root,
      rootNumber: root === NO_ROOT ? 0 : numberOfRoot(root),
      windowStartMs: claim.windowStartMs,
      amount: 0,
      limit: Number.POSITIVE_INFINITY,
      nodesMax: root === NO_ROOT ? NODES_UNLIMITED : entry.budgetNodesMax,
      entry: undefined,
      variants: [],
    };
    slots.push(slot);
    byCounter.set(claim.counter, slot);
    return slot;
  }

  function numberOfRoot(root: string): number {
    const known = roots.get(root);
    if (known !== undefined) return known;
    rootCount += 1;
    roots.set(root, rootCount);
    return rootCount;
  }

  function variantOf(slot: Slot, amount: number, windowStartMs: number, limit: number, nodesMax: number): Variant {
    for (const variant of slot.variants) {
      if (
        variant.amount === amount &&
        variant.limit === limit &&
        variant.windowStartMs === windowStartMs &&
        variant.nodesMax === nodesMax
      ) {
        return variant;
      }
    }
    variantCount += 1;
    const made: Variant = { number: variantCount, windowStartMs, amount, limit, nodesMax };
    slot.variants.push(made);
    if (slot.windowStartMs !== windowStartMs) {
      plain = false;
      slot.windowStartMs = Math.max(slot.windowStartMs, windowStartMs);
    }
    slot.limit = Math.min(slot.limit, limit);
    if (slot.rootNumber !== 0) slot.nodesMax = Math.min(slot.nodesMax, nodesMax);
    return made;
  }

  function addSoft(slot: Slot): void {
    if (soft.has(slot.counter)) return;
    soft.set(slot.counter, softCount);
    softCount += 1;
    softSlots.push(slot.number);
  }

  /** Of an entry that names each counter once, as nearly all do; undefined for another, of which nothing was taken. */
  function slotsOf(entry: ClaimingEntry): readonly Slot[] | undefined {
    const own: Slot[] = [];
    for (const claim of entry.claims) {
      const slot = byCounter.get(claim.counter) ?? makeSlot(claim, entry);
      if (slot.entry === entry) return undefined;
      slot.entry = entry;
      own.push(slot);
    }
    return own;
  }

  return {
    pack(entry) {
      const once = slotsOf(entry);
      const claims = once === undefined ? mergeClaims(entry.claims) : entry.claims;
      const own: { readonly slot: Slot; readonly variant: Variant }[] = [];
      let key = "";
      const { tell } = entry;
      for (const [index, claim] of claims.entries()) {
        const slot = once?.[index] ?? byCounter.get(claim.counter) ?? makeSlot(claim, entry);
        const limit = "mode" in claim ? hardLimit(claim) : claim.limit;
        if ("mode" in claim ? claim.mode === "soft" : claim.soft !== undefined) addSoft(slot);
        else if (tell?.some(({ counter }) => counter === claim.counter) === true) addSoft(slot);
        const variant = variantOf(slot, claim.amount, claim.windowStartMs, limit, entry.budgetNodesMax);
        slot.amount += claim.amount;
        // Beyond that, only the database can add.
        if (!Number.isSafeInteger(slot.amount)) plain = false;
        own.push({ slot, variant });
        key += `${variant.number},`;
      }
      const known = holds.get(key);
      if (known !== undefined) return known;
      held.push(...own);
      const number = holdFirsts.length;
      holdFirsts.push(held.length + 1);
      holds.set(key, number);
      return number;
    },
    nextTenant() {
      tenant += 1;
      byCounter = new Map();
      roots = new Map();
      soft = new Map();
      softByTenant.push(soft);
    },
    finish: () => ({
      soft: softByTenant,
      plain,
      values: [
        holdFirsts,
        hexText(held.map(({ slot }) => slot.counter)),
        held.map(({ variant }) => variant.windowStartMs),
        held.map(({ variant }) => variant.amount),
        slots.map((slot) => slot.tenant),
        hexText(slots.map((slot) => slot.counter)),
        hexText(slots.map((slot) => slot.root)),
        slots.map((slot) => slot.windowStartMs),
        slots.map((slot) => (Number.isSafeInteger(slot.amount) ? slot.amount : 0)),
        slots.map((slot) => limitValue(slot.limit)),
        slots.map((slot) => slot.nodesMax),
        softSlots,
      ],
      detail: [
        arrayText(held.map(({ slot }) => slot.number)),
        arrayText(held.map(({ variant }) => limitValue(variant.limit))),
        arrayText(held.map(({ variant }) => variant.nodesMax)),
        arrayText(slots.map((slot) => slot.rootNumber)),
      ],
    }),
  };
}

function hardLimit(claim: BudgetClaim): number {
  return claim.mode === "hard" ? claim.limit : Number.POSITIVE_INFINITY;
}

function limitValue(limit: number): number | bigint {
  return limit === Number.POSITIVE_INFINITY ? NO_LIMIT : limit;
}

/** The text of an array of integers. */
export function arrayText(values: readonly (number | bigint)[]): string {
  return `{${values.join(",")}}`;
}

/** The text of a bytea: hex digits, joined. */
function hexText(values: readonly string[]): string {
  return `\\x${values.join("")}`;
}
