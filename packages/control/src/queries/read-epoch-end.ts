/**
 * Where one epoch of a log ended: the present one at the head, an earlier one where the first event of the next says.
 * Believes that event no more than any other: whoever verifies compares it with the entries and with checkpoints.
 */
import type { ControlContext } from "../control-context.ts";
import { notFound, Problem } from "../problem.ts";
import { selectHead } from "./list-audit-events.ts";

export interface EpochEnd {
  readonly epoch: number;
  readonly sequence: number;
  readonly hash: Uint8Array;
  /** Of the present epoch alone: no head has the tree of an earlier one any more. */
  readonly frontier: Uint8Array | undefined;
}

/** Problem `not_found` for a tenant or epoch that is not there, `state_conflict` when nothing says where it ended. */
export function readEpochEnd(
  context: Pick<ControlContext, "store">,
  tenantId: string,
  wanted: number | undefined,
): Promise<EpochEnd> {
  return context.store.read([tenantId], async (transaction) => {
    const head = await selectHead(transaction, tenantId);
    if (head === undefined || (wanted ?? head.epoch) > head.epoch) throw notFound();
    if (wanted === undefined || wanted === head.epoch) return head;
    const rows = await transaction.query<{ readonly event: string | null; readonly known: boolean }>(
      `SELECT EXISTS (SELECT FROM audit_event WHERE tenant_id = $1 AND epoch = $2) AS known,
        (SELECT event FROM audit_event WHERE tenant_id = $1 AND epoch > $2 ORDER BY epoch, sequence LIMIT 1) AS event`,
      [tenantId, wanted],
    );
    if (rows[0]?.known !== true) throw notFound();
    const end = readRecovered(rows[0].event ?? "");
    if (end?.epoch === wanted) return { ...end, frontier: undefined };
    throw new Problem("state_conflict", `The epoch behind ${wanted} does not begin by saying where ${wanted} ended.`);
  });
}

/** What `log.recovered` says of the epoch before it; undefined for any other text. */
function readRecovered(text: string): Omit<EpochEnd, "frontier"> | undefined {
  try {
    const event = JSON.parse(text) as Readonly<Record<string, unknown>> | null; // members are looked at one by one
    const { event: name, previousEpoch: epoch, previousSequence: sequence, previousHash } = event ?? {};
    if (name !== "log.recovered" || !isCount(epoch) || !isCount(sequence)) return undefined;
    if (typeof previousHash !== "string" || !/^[0-9a-f]{64}$/.test(previousHash)) return undefined;
    return { epoch, sequence, hash: Buffer.from(previousHash, "hex") };
  } catch {
    return undefined; // a damaged row is a finding of the verifier of its own epoch
  }
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
