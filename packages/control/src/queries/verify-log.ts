/**
 * Verifies a tenant's log with the public verifier, from the last position that this process verified or whole, by
 * keyset pages up to a head that was read first. Trusts the signer's key and the chain key, not the database.
 *
 * An earlier epoch ends where the next one says. Checkpoints that go further speak of entries that a restore has lost:
 * that was said aloud when the new epoch was opened, so it is counted here and is no damage.
 */

import { rootOf } from "@writ/audit";
import { createLogVerifier, type LogVerdict, parseCheckpoint } from "@writ/audit/verify";
import type { AuditFinding, AuditVerifyAnswer } from "@writ/contract/admin";
import type { ControlContext } from "../control-context.ts";
import { selectEvents } from "./list-audit-events.ts";
import { readSignedEnd } from "./read-signed-end.ts";

const ROWS_PER_READ = 5_000;
export async function verifyLog(
  context: Pick<ControlContext, "store" | "keyring" | "checkpoints" | "verifiedPositions">,
  tenantId: string,
  { full, epoch: wanted }: { readonly full: boolean; readonly epoch: number | undefined },
): Promise<AuditVerifyAnswer> {
  const { end: head, notes } = await readSignedEnd(context, tenantId, wanted);
  const { epoch, frontier } = head;
  const over = frontier === undefined;
  const from = full || over ? undefined : context.verifiedPositions.get(tenantId, epoch);
  const lost = over ? notes.filter((note) => sizeOf(note) > head.sequence) : [];
  const chainKey = context.keyring.chainKey(tenantId);
  const verifier = createLogVerifier({
    tenantId,
    epoch,
    checkpoints: notes.filter((note) => !lost.includes(note)),
    verifierKeys: [context.checkpoints.verifierKey],
    chainKeys: new Map([[chainKey.keyId, chainKey.key]]),
    ...(from === undefined ? {} : { from }),
  });
  // Of an epoch that is over nothing may follow its end.
  const through = over ? Number.MAX_SAFE_INTEGER : head.sequence;
  let after = from?.sequence ?? 0;
  for (;;) {
    const at = after;
    const rows = await context.store.read([tenantId], (transaction) =>
      selectEvents(transaction, { tenantId, epoch, after: at, through, limit: ROWS_PER_READ }),
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
  const root = over ? undefined : readRoot(frontier, head.sequence);
  const verdict = verifier.end({ sequence: head.sequence, hash: head.hash, ...(root === undefined ? {} : { root }) });
  if (verdict.kind === "intact" && !over) context.verifiedPositions.set(tenantId, epoch, verdict.position);
  const found = verdict.kind === "intact" ? verdict.root : root;
  return describe(verdict, over ? undefined : context.checkpoints.refusal(tenantId, epoch), {
    epoch,
    fromSequence: Math.min((from?.sequence ?? 0) + 1, head.sequence),
    toSequence: after,
    size: head.sequence,
    hash: Buffer.from(head.hash).toString("hex"),
    root: found === undefined ? "" : Buffer.from(found).toString("hex"),
    ...(lost.length === 0 ? {} : { lostThrough: Math.max(...lost.map(sizeOf)) }),
  });
}

function describe(
  verdict: LogVerdict,
  refusal: string | undefined,
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

/** Of a note that cannot be read: 0, so that the verifier is given it and says so. */
function sizeOf(note: string): number {
  const reading = parseCheckpoint(note);
  return reading.kind === "malformed" ? 0 : reading.unverifiedCheckpoint.size;
}

/** The head's own root; undefined when its frontier does not fit its size, which the comparison of hashes names. */
function readRoot(frontier: Uint8Array, size: number): Uint8Array | undefined {
  try {
    return rootOf(frontier, size);
  } catch {
    return undefined; // a damaged head is a finding of the verifier, not a failure of ours
  }
}
