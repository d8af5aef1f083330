/** Stores a policy version. Only what compiles is stored, and only with passing tests unless that is waived. */
import type { PolicySource, PolicyVersionView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { requireReadable, validatePolicy } from "../queries/validate-policy.ts";
import type { CommandTransaction } from "../store/control-store.ts";

export async function proposePolicy(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: PolicySource,
): Promise<PolicyVersionView> {
  const checked = validatePolicy(input.source);
  requireReadable(checked);
  const failed = checked.tests.filter((test) => !test.passed);
  if (failed.length > 0 && input.skipTests !== true) {
    throw new Problem("policy_tests_failed", `${failed.length} of ${checked.tests.length} tests fail.`, {
      tests: checked.tests,
    });
  }
  return context.store.command(actor, tenantId, (transaction) =>
    proposePolicyIn(transaction, context, actor, tenantId, { source: input.source, digest: checked.digest }),
  );
}

/** Stores a version whose source has been validated, in a transaction that the caller has. */
export async function proposePolicyIn(
  transaction: CommandTransaction,
  context: Pick<ControlContext, "clock" | "random">,
  actor: Actor,
  tenantId: string,
  { source, digest }: { readonly source: string; readonly digest: string },
): Promise<PolicyVersionView> {
  const id = makeId(context);
  const createdAtMs = context.clock.nowMs();
  await transaction.query(
    `INSERT INTO policy_version (tenant_id, version_id, language, source, digest, created_ms, created_by)
     VALUES ($1, $2, 'rules', $3, $4, $5, $6)`,
    [tenantId, id, source, digest, createdAtMs, actor.by],
  );
  transaction.record("policy.proposed", { version: 1, versionId: id, digest });
  return { id, language: "rules", digest, createdBy: actor.by, createdAtMs, active: false, source };
}
