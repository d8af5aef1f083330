/**
 * The closed list of commands that a gateway may give by itself. Each only narrows, or (a recorded child) adds a node
 * that nothing yet rests on; each is one event and one revision. Limits of depth, rate and content are judged by the
 * caller; this file and its SQL guard revision, room and uniqueness.
 */
import { encodeEvent } from "@writ/audit";
import type { AuditEvent, RecordedNode, Revocation } from "@writ/contract";
import type { Database, Queryable } from "@writ/db";
import { packHex } from "./pack-hex.ts";
import { counterTotalsIn } from "./read-counters.ts";

/** Pairs of carve and parent counter that one recorded child may have. */
export const CARVE_CLAIMS_MAX = 64;

/** One part that is set aside: out of this counter, for that one. */
export interface CarveClaim {
  /** Hex of the counter of the node above (of one unit and window) that the amount comes out of. */
  readonly parentCounter: string;
  /** Hex of the child's own counter of the same unit and window. */
  readonly childCounter: string;
  readonly windowStartMs: number;
  readonly amount: number;
  /** What the parent's counter may reach; -1 when nothing hard limits it. */
  readonly limit: number;
}

/** What a counter is compared with when carves have been taken from it. */
export interface SoftLimit {
  /** Hex. */
  readonly counter: string;
  readonly windowStartMs: number;
  readonly limit: number;
}

export interface RecordChildRequest {
  readonly tenantId: string;
  /** Of the state that the caller judged on. */
  readonly epoch: number;
  readonly revision: number;
  readonly nowMs: number;
  /** Hex of the child's node. */
  readonly node: string;
  readonly value: RecordedNode;
  /** Hex of every node from the child up to its root, both included: a revocation of any ends the child. */
  readonly path: readonly string[];
  readonly budgetNodesMax: number;
  readonly carves: readonly CarveClaim[];
  /** Soft limits of the same counters: whether the carves lifted them over is in the answer. */
  readonly soft: readonly SoftLimit[];
  /** The call that asked for it, and the salt of the digests in its events. */
  readonly callId: string;
  readonly salt: Uint8Array;
  /** The decision's event, then `token.attenuated`: recorded with the child or not at all. */
  readonly events: readonly AuditEvent[];
}

export type RecordChildResult =
  /** `exceeded`: the places of the soft limits that were passed, and what their counters hold now. */
  | {
      readonly kind: "recorded";
      readonly revision: number;
      readonly exceeded: readonly { readonly index: number; readonly used: number }[];
    }
  /** It was recorded before; nothing changed. */
  | { readonly kind: "exists" }
  | { readonly kind: "stale" }
  | { readonly kind: "refused"; readonly carve: CarveClaim; readonly remaining: number }
  | { readonly kind: "refused_nodes" };

/** Records a child of a token and sets aside what it carves out of the budgets above it: all of it or nothing. */
export async function recordChild(db: Database, request: RecordChildRequest): Promise<RecordChildResult> {
  if (request.soft.length === 0) return recordChildIn(db, request);
  return db.transaction({ tenants: [request.tenantId] }, async (q) => {
    const result = await recordChildIn(q, request);
    if (result.kind !== "recorded") return result;
    const totals = await counterTotalsIn(q, request.tenantId, request.soft);
    const exceeded = request.soft.flatMap(({ limit }, index) => {
      const used = totals[index] ?? 0;
      return used > limit ? [{ index, used }] : [];
    });
    return { ...result, exceeded };
  });
}

async function recordChildIn(q: Pick<Queryable, "query">, request: RecordChildRequest): Promise<RecordChildResult> {
  const { carves } = request;
  if (carves.length > CARVE_CLAIMS_MAX) throw new TypeError(`a child has at most ${CARVE_CLAIMS_MAX} carve claims`);
  if (!request.events.some((event) => event.event === "token.attenuated")) {
    throw new TypeError("a recorded child has its event");
  }
  const encoded = request.events.map(encodeEvent);
  const rows = await q.query<{ status: string; claim: number; remaining: number; revision: number }>(
    `SELECT status, claim, remaining, revision FROM writ_record_child($1::uuid, $2::int8, $3::int8, $4::int8, $5, $6,
       $7::text[], $8::bytea, $9::bytea, $10::bytea, $11::int4, $12::text[], $13::int8, $14::bytea, $15::bytea,
       $16::int8[], $17::int8[], $18::int8[])`,
    [
      request.tenantId,
      request.epoch,
      request.revision,
      request.nowMs,
      request.node,
      JSON.stringify(request.value),
      encoded.map((event) => event.text),
      Buffer.concat(encoded.map((event) => event.leaf)),
      request.salt,
      packHex([request.value.root]),
      request.budgetNodesMax,
      request.path,
      request.value.expiresAtMs,
      packHex(carves.map((carve) => carve.parentCounter)),
      packHex(carves.map((carve) => carve.childCounter)),
      carves.map((carve) => carve.windowStartMs),
      carves.map((carve) => carve.amount),
      carves.map((carve) => carve.limit),
    ],
  );
  const row = rows[0];
  switch (row?.status) {
    case "recorded":
      return { kind: "recorded", revision: row.revision, exceeded: [] };
    case "exists":
    case "stale":
    case "refused_nodes":
      return { kind: row.status };
    case "refused": {
      const carve = carves[row.claim - 1];
      if (carve === undefined) throw new TypeError("a refusal names no carve");
      return { kind: "refused", carve, remaining: row.remaining };
    }
    default:
      throw new TypeError("writ_record_child answered what it never answers");
  }
}

export interface BanNodeRequest {
  readonly tenantId: string;
  readonly nowMs: number;
  /** Hex of the node that ends, with all below it. */
  readonly node: string;
  readonly value: Revocation;
  /** `token.banned`. */
  readonly event: AuditEvent & { readonly event: "token.banned" };
}

/** Ends a node. `already` when it was revoked before; the earlier revocation stands. */
export async function banNode(
  db: Database,
  request: BanNodeRequest,
): Promise<{ readonly kind: "banned" | "already"; readonly revision: number }> {
  if (request.value.at !== "gateway") throw new TypeError("a ban is a revocation by the gateway");
  const encoded = encodeEvent(request.event);
  const rows = await db.query<{ status: "banned" | "already"; revision: number }>(
    "SELECT status, revision FROM writ_ban_node($1::uuid, $2::int8, $3, $4, $5, $6::bytea)",
    [request.tenantId, request.nowMs, request.node, JSON.stringify(request.value), encoded.text, encoded.leaf],
  );
  const row = rows[0];
  if (row === undefined) throw new TypeError("writ_ban_node answered nothing");
  return { kind: row.status, revision: row.revision };
}

/** Tools (and instructions) quarantined in one command. */
export const QUARANTINE_MAX = 2_000;

export interface Quarantined {
  /** The tool's name; "" for the upstream's instructions, which stand for all its tools. */
  readonly name: string;
  /** The digest of what is pinned, as the caller compared it. */
  readonly pinned: string;
  /** What the upstream gives instead, and its digest. */
  readonly seen: string;
  readonly definition: string;
  readonly event: AuditEvent & { readonly event: "tool.quarantined" | "upstream.quarantined" };
}

export interface QuarantineRequest {
  readonly tenantId: string;
  readonly nowMs: number;
  readonly upstreamId: string;
  readonly items: readonly Quarantined[];
}

/** Quarantines what has drifted: all of it, or nothing when any of it is not pinned so any more (`moved`). */
export async function quarantine(
  db: Database,
  request: QuarantineRequest,
): Promise<{ readonly kind: "quarantined" | "moved"; readonly revision: number }> {
  const { items } = request;
  if (items.length === 0 || items.length > QUARANTINE_MAX) {
    throw new TypeError(`a quarantine names one tool at least, and at most ${QUARANTINE_MAX}`);
  }
  const encoded = items.map(({ event }) => encodeEvent(event));
  const rows = await db.query<{ status: "quarantined" | "moved"; revision: number }>(
    `SELECT status, revision FROM writ_quarantine($1::uuid, $2::int8, $3, $4::text[], $5::text[], $6::text[], $7::text[],
       $8::text[], $9::bytea)`,
    [
      request.tenantId,
      request.nowMs,
      request.upstreamId,
      items.map(({ name }) => name),
      items.map(({ pinned }) => pinned),
      items.map(({ seen }) => seen),
      items.map(({ definition }) => definition),
      encoded.map((event) => event.text),
      Buffer.concat(encoded.map((event) => event.leaf)),
    ],
  );
  const row = rows[0];
  if (row === undefined) throw new TypeError("writ_quarantine answered nothing");
  return { kind: row.status, revision: row.revision };
}
