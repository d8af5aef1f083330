/**
 * The columns of `writ_journal_commit` (`migrations/0002_history.sql`, and `0005_idempotency_keys.sql` for keys) for one
 * batch. Entries travel tenant by tenant, so `order` says which is which. Only packing: what the columns mean is said there.
 */
import type { SqlValue } from "@writ/db";
import type { JournalBatch, JournalEntry, JournalOutcome } from "./journal-entry.ts";
import { arrayText, createClaimPacker, type SoftCounters } from "./pack-claims.ts";
import { createKeyPacker, type KeyPacker, NO_KEYS } from "./pack-keys.ts";

/**
 * What an entry is, one letter each in the detail that the database reads when an entry must be looked at by itself.
 * `u`: an outcome that says unknown.
 */
const KINDS = {
  record: "r",
  allow: "a",
  outcome: "o",
  denial: "d",
  allow_ended: "e",
  late_outcome: "l",
  with_previous: "w",
} as const satisfies Record<JournalEntry["kind"], string>;

const OUTCOMES = { completed: 1, failed: 2, aborted: 3, unknown: 4 } as const satisfies Record<JournalOutcome, number>;
/** Added to the outcome of a call that was recorded as unknown. */
const LATE_OUTCOME = 5;

export interface PackedBatch {
  readonly entries: readonly JournalEntry[];
  readonly values: readonly SqlValue[];
  readonly tenants: readonly string[];
  /** Places of the entries in the caller's batch, tenant by tenant. */
  readonly order: readonly number[];
  /** For each tenant where its entries end in `order`. */
  readonly lasts: readonly number[];
  /** By tenant. */
  readonly soft: readonly SoftCounters[];
}

const SALT_BYTES = 16;

export function packBatch(batch: JournalBatch): PackedBatch {
  const { tenants, order, lasts } = groupByTenant(batch.entries);
  const count = order.length;
  const claims = createClaimPacker();
  const entryTenants = new Array<number>(count);
  const texts = new Array<string>(count);
  const leaves = new Uint8Array(count * 32);
  let salts: Uint8Array | undefined;
  const bound = new Array<number>(tenants.length).fill(-1);
  let validUntilMs = Number.MAX_SAFE_INTEGER;
  let plain = true;
  const outcomes = { entries: [] as number[], calls: [] as string[], codes: [] as number[] };
  let rare = false;
  const firstOutcomes = new Map<string, number>();
  const allows = { tenants: [] as number[], calls: [] as string[], holds: [] as number[] };
  let kinds = "";
  const revisions = new Array<number>(count).fill(-1);
  const validUntils = new Array<number>(count).fill(Number.MAX_SAFE_INTEGER);
  const entryOutcomes = new Array<number>(count).fill(0);
  const entryHolds = new Array<number>(count).fill(0);
  let keys: KeyPacker | undefined;

  let tenant = 0;
  for (let at = 0; at < count; at += 1) {
    if (at === lasts[tenant]) {
      tenant += 1;
      firstOutcomes.clear();
      claims.nextTenant();
    }
    const entry = batch.entries[order[at] as number] as JournalEntry; // places of entries
    if (entry.text.includes("\n")) throw new TypeError("an event is one line");
    if (entry.leaf.length !== 32) throw new TypeError("a leaf has 32 bytes");
    entryTenants[at] = tenant + 1;
    texts[at] = entry.text;
    leaves.set(entry.leaf, at * 32);
    kinds += entry.kind === "outcome" && entry.outcome === "unknown" ? "u" : KINDS[entry.kind];
    if (entry.salt !== undefined) {
      if (!("callId" in entry)) throw new TypeError("only an entry of a call has a salt");
      salts ??= new Uint8Array(count * SALT_BYTES);
      salts.set(entry.salt, at * SALT_BYTES);
    }
    if ("revision" in entry) {
      revisions[at] = entry.revision;
      if (bound[tenant] === -1) bound[tenant] = entry.revision;
      else if (bound[tenant] !== entry.revision) plain = false;
    }
    if ("claims" in entry) {
      validUntils[at] = entry.validUntilMs;
      validUntilMs = Math.min(validUntilMs, entry.validUntilMs);
      const hold = claims.pack(entry);
      entryHolds[at] = hold;
      if (entry.kind === "allow") {
        allows.tenants.push(tenant + 1);
        allows.calls.push(entry.callId);
        allows.holds.push(hold);
        if (entry.key !== undefined) {
          keys ??= createKeyPacker();
          const { key, callId } = entry;
          // Who gets a key that several name is looked at one by one: the first, unless it is refused.
          if (!keys.pack({ tenant: tenant + 1, place: at + 1, callId, key })) plain = false;
        }
      }
    } else if ("outcome" in entry) {
      // The first outcome of a call counts; what the others come to is looked at one by one.
      let first = firstOutcomes.get(entry.callId);
      if (first === undefined) {
        outcomes.entries.push(at + 1);
        outcomes.calls.push(entry.callId);
        outcomes.codes.push(OUTCOMES[entry.outcome] + (entry.kind === "outcome" ? 0 : LATE_OUTCOME));
        rare ||= entry.outcome === "aborted" || entry.outcome === "unknown";
        first = outcomes.calls.length;
        firstOutcomes.set(entry.callId, first);
      } else plain = false;
      entryOutcomes[at] = first;
    }
  }

  const marks = tenants.map((tenantId) => batch.marks.get(tenantId));
  const markHashes = new Uint8Array(tenants.length * 32);
  for (const [index, mark] of marks.entries()) if (mark !== undefined) markHashes.set(mark.hash, index * 32);
  const counted = claims.finish();
  const detail = [
    kinds,
    arrayText(revisions),
    arrayText(validUntils),
    arrayText(entryOutcomes),
    arrayText(entryHolds),
    ...counted.detail,
    ...(keys?.detail() ?? []),
  ];
  return {
    entries: batch.entries,
    tenants,
    order,
    lasts,
    soft: counted.soft,
    values: [
      batch.id,
      batch.gatewayId,
      plain && counted.plain ? validUntilMs : 0,
      tenants,
      lasts,
      bound,
      marks.map((mark) => mark?.epoch ?? -1),
      marks.map((mark) => mark?.sequence ?? -1),
      marks.map((mark) => mark?.revision ?? -1),
      markHashes,
      entryTenants,
      texts.join("\n"),
      leaves,
      salts ?? null,
      outcomes.entries,
      outcomes.calls,
      outcomes.codes,
      rare,
      allows.tenants,
      allows.calls,
      allows.holds,
      ...counted.values,
      detail.join(";"),
      ...(keys?.values() ?? NO_KEYS),
    ],
  };
}

/** The entries tenant by tenant, in tenant order; each tenant's in the order that they were given in. */
function groupByTenant(entries: readonly JournalEntry[]): Pick<PackedBatch, "tenants" | "order" | "lasts"> {
  const places = new Map<string, number[]>();
  let previous = "";
  for (const [index, entry] of entries.entries()) {
    if (entry.kind === "with_previous" && entry.tenantId !== previous) {
      throw new TypeError("an entry shares the fate of one of its own tenant");
    }
    previous = entry.tenantId;
    const own = places.get(entry.tenantId);
    if (own === undefined) places.set(entry.tenantId, [index]);
    else own.push(index);
  }
  const tenants = [...places.keys()].sort();
  const order: number[] = [];
  const lasts: number[] = [];
  for (const tenantId of tenants) {
    for (const place of places.get(tenantId) ?? []) order.push(place);
    lasts.push(order.length);
  }
  return { tenants, order, lasts };
}
