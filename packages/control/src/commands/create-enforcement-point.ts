/**
 * Gives an enforcement point a key, with the agents that it may assert as subjects and what it may ask about. It is
 * authority: every gateway has it in memory, and a revocation of it binds like that of a token. It ends with its maker
 * at the latest.
 */
import type { EnforcementPoint } from "@writ/contract";
import type { EnforcementPointCreate, EnforcementPointCreateAnswer } from "@writ/contract/admin";
import { makePointKey } from "@writ/runtime";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { pointView } from "../queries/point-view.ts";
import { requireReference } from "./change-object.ts";

/** Enforcement points of a tenant. */
const POINTS_MAX = 1_000;

export function createEnforcementPoint(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: EnforcementPointCreate,
): Promise<EnforcementPointCreateAnswer> {
  const named = { agents: input.agents ?? [], principals: input.principals ?? [] };
  if (named.agents.length + named.principals.length === 0) {
    throw new Problem("fault_request", "agents or principals must name whom the enforcement point may speak for");
  }
  const id = makeId(context);
  const secret = context.random.bytes(32);
  const { text, hash } = makePointKey({ tenantId, id, secret });
  secret.fill(0);
  const createdAtMs = context.clock.nowMs();
  const wantedMs = input.expiresInSeconds === undefined ? Infinity : createdAtMs + input.expiresInSeconds * 1000;
  const endsMs = Math.min(wantedMs, actor.expiresAtMs ?? Infinity);
  const expiry = endsMs === Infinity ? {} : { expiresAtMs: endsMs };
  return context.store.command(actor, tenantId, async (transaction) => {
    const known = await transaction.find("enforcement_point");
    if (known.length >= POINTS_MAX) throw new Problem("state_conflict", `There are ${POINTS_MAX} enforcement points.`);
    if (known.some(({ value }) => value.name === input.name)) {
      throw new Problem("name_taken", "Another enforcement point has that name.");
    }
    const agents: string[] = [];
    for (const reference of named.agents) agents.push(await requireReference(transaction, "agent", reference));
    const principals: string[] = [];
    for (const reference of named.principals) {
      principals.push(await requireReference(transaction, "principal", reference));
    }
    for (const upstream of input.upstreams) if (upstream !== "*") await requireUpstream(transaction, upstream);
    const value: EnforcementPoint = {
      name: input.name,
      digest: Buffer.from(hash).toString("hex"),
      agents,
      principals,
      actions: input.actions,
      upstreams: input.upstreams,
      createdAtMs,
      createdBy: actor.by,
      ...expiry,
    };
    const version = await transaction.put("enforcement_point", id, value, 0);
    transaction.record("enforcement_point.created", {
      version,
      enforcementPointId: id,
      agents,
      principals,
      actions: input.actions,
      upstreams: input.upstreams,
      expiresAt: value.expiresAtMs,
    });
    return { key: text, view: pointView({ id, version, value }) };
  });
}

/** Upstreams are named in questions, so they are kept by name. */
async function requireUpstream(transaction: Parameters<typeof requireReference>[0], upstream: string): Promise<void> {
  const found = await transaction.find("upstream", { member: "name", equals: upstream });
  if (found.length === 0) throw new Problem("reference_unknown", `There is no upstream ${upstream}.`);
}
