/** Makes a stored policy version the active one, if the one that the caller believes active still is. */
import type { PolicyActivate, PolicyView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound } from "../problem.ts";
import { selectVersion } from "../queries/read-policy-versions.ts";
import type { CommandTransaction } from "../store/control-store.ts";
import { versionConflict } from "./change-object.ts";

export function activatePolicy(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  versionId: string,
  input: PolicyActivate,
): Promise<PolicyView> {
  return context.store.command(actor, tenantId, (transaction) =>
    activatePolicyIn(transaction, tenantId, versionId, input),
  );
}

export async function activatePolicyIn(
  transaction: CommandTransaction,
  tenantId: string,
  versionId: string,
  input: PolicyActivate,
): Promise<PolicyView> {
  const row = await selectVersion(transaction, tenantId, versionId);
  if (row === undefined) throw notFound();
  const active = await transaction.get("policy", "active");
  const previous = active?.value.versionId ?? null;
  if (previous !== input.expectedActive) throw versionConflict(input.expectedActive, previous);
  const value = { versionId, language: "rules", source: row.source, digest: row.digest } as const;
  const version = await transaction.put("policy", "active", value, active?.version ?? 0);
  transaction.record("policy.activated", { version, versionId, digest: row.digest, previous: previous ?? "" });
  return { id: "active", version, ...value };
}
