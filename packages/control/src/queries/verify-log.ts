/**
 * Verifies a tenant's log with the public verifier, from the last position that this process verified or whole, by
 * keyset pages up to a head that was read first. Trusts the signer's key and the chain key, not the database.
 */

import { rootOf } from "@writ/audit";
import { createLogVerifier, type LogVerdict } from "@writ/audit/verify";
import type { AuditFinding, AuditVerifyAnswer } from "@writ/contract/admin";
import type { ControlContext } from "../control-context.ts";
import { notFound } from "../problem.ts";
import { selectEvents, selectHead } from "./list-audit-events.ts";

const ROWS_PER_READ = 5_000;
export async function verifyLog(
  context: ControlContext,
  tenantId: string,
  { full }: { readonly full: boolean },
): Promise<AuditVerifyAnswer> {
  const head = await context.store.read([tenantId], (transaction) => selectHead(transaction, tenantId));
  if (head === undefined) throw notFound();
  const { epoch } = head;
  const from = full ? undefined : context.verifiedPositions.get(tenantId, epoch);
  const chainKey = context.keyring.chainKey(tenantId);
  const verifier = createLogVerifier({
    tenantId,
    epoch,
    checkpoints: await context.checkpoints.notes(tenantId, epoch),
    verifierKeys: [context.checkpoints.verifierKey],
    chainKeys: new Map([[chainKey.keyId, chainKey.key]]),
    ...(from === undefined ? {} : { from }),
  });
  let after = from?.sequence ?? 0;
  for (;;) {
    const at = after;
    const rows = await context.store.read([tenantId], (transaction) =>
      selectEvents(transaction, { tenantId, epoch, after: at, through: head.sequence, limit: ROWS_PER_READ }),
    );
    for (const row of rows) {
      verifier.add({
        sequence: row.sequence,
        committedAtMicros: BigInt(row.committed_us),
        event: row.event,
        leaf: row.leaf,
        hash: row.hash,
      });
      after = row.sequence;
    }
    if (rows.length < ROWS_PER_READ) break;
  }
  const root = readRoot(head.frontier, head.sequence);
  const verdict = verifier.end({ sequence: head.sequence, hash: head.hash, ...(root === undefined ? {} : { root }) });
  if (verdict.kind === "intact") context.verifiedPositions.set(tenantId, epoch, verdict.position);
  return describe(verdict, context, tenantId, {
    epoch,
    fromSequence: Math.min((from?.sequence ?? 0) + 1, head.sequence),
    toSequence: after,
    size: head.sequence,
    hash: Buffer.from(head.hash).toString("hex"),
    root: root === undefined ? "" : Buffer.from(root).toString("hex"),
  });
}

function describe(
  verdict: LogVerdict,
  context: ControlContext,
  tenantId: string,
  base: Omit<AuditVerifyAnswer, "status" | "findings" | "checkpointsChecked">,
): AuditVerifyAnswer {
  const found: AuditFinding[] =
    verdict.kind === "intact"
      ? []
      : verdict.findings.map(({ damage, sequence, through, detail }) => ({
          kind: damage,
          sequence,
          ...(through === undefined ? {} : { through }),
          detail,
        }));
  const refusal = context.checkpoints.refusal(tenantId);
  if (refusal !== undefined && found.length === 0) {
    found.push({ kind: refusal, sequence: base.size, detail: "the log does not extend the last signed checkpoint" });
  }
  const first = found[0];
  return {
    ...base,
    status: first === undefined ? "intact" : "damaged",
    checkpointsChecked: verdict.coverage.checkpointsAgreed,
    ...(first === undefined ? {} : { damage: first }),
    findings: found,
  };
}

/** The head's own root; undefined when its frontier does not fit its size, which the comparison of hashes names. */
function readRoot(frontier: Uint8Array, size: number): Uint8Array | undefined {
  try {
    return rootOf(frontier, size);
  } catch {
    return undefined; // a damaged head is a finding of the verifier, not a failure of ours
  }
}
