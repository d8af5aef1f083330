/** The state of a tenant as a gateway would build it, for questions that need the one decision path. Not cached. */
import { createHash } from "node:crypto";
import { buildState, type TenantState } from "@writ/core";
import { compileRules } from "@writ/policy";
import type { ControlContext } from "../control-context.ts";
import { notFound } from "../problem.ts";

export async function buildTenantState(context: ControlContext, tenantId: string): Promise<TenantState> {
  const snapshot = await context.store.snapshot(tenantId);
  if (snapshot === undefined) throw notFound();
  return buildState(snapshot, {
    compilePolicy: (policy) => compileRules(policy.source, { digest: policy.digest }),
    sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  });
}
