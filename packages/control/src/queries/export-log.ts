/** Exports one epoch of a log as NDJSON with what is needed to check it: header, checkpoints, entries, footer. */
import { encodeExportCheckpoint, encodeExportEntry, encodeExportFooter, encodeExportHeader, rootOf } from "@writ/audit";
import type { ControlContext } from "../control-context.ts";
import { notFound, Problem } from "../problem.ts";
import { selectEvents, selectHead } from "./list-audit-events.ts";

const ROWS_PER_READ = 1_000;

/** Lines, each with its newline. The head is captured first; entries that come later are not in this export. */
export async function exportLog(
  context: ControlContext,
  tenantId: string,
  wanted: number | undefined,
): Promise<AsyncIterable<string>> {
  const head = await context.store.read([tenantId], (transaction) => selectHead(transaction, tenantId));
  if (head === undefined) throw notFound();
  if (wanted !== undefined && wanted !== head.epoch) {
    // The end of an earlier epoch is in no head; its own checkpoints and first event of the next vouch for it.
    throw new Problem("state_conflict", `Only the current epoch, ${head.epoch}, is exported.`);
  }
  const { epoch, sequence: through, hash, frontier } = head;
  const notes = await context.checkpoints.notes(tenantId, epoch);
  return lines();

  async function* lines(): AsyncGenerator<string> {
    const origin = context.checkpoints.origin(tenantId, epoch);
    yield `${encodeExportHeader({ tenantId, epoch, origin, verifierKeys: [context.checkpoints.verifierKey] })}\n`;
    for (const note of notes) yield `${encodeExportCheckpoint(note)}\n`;
    for (let after = 0; ; ) {
      const at = after;
      const rows = await context.store.read([tenantId], (transaction) =>
        selectEvents(transaction, { tenantId, epoch, after: at, through, limit: ROWS_PER_READ }),
      );
      let page = "";
      for (const row of rows) {
        const committedAtMicros = BigInt(row.committed_us);
        page += `${encodeExportEntry({ sequence: row.sequence, committedAtMicros, hash: row.hash, event: row.event })}\n`;
        after = row.sequence;
      }
      if (page !== "") yield page;
      if (rows.length < ROWS_PER_READ) break;
    }
    yield `${encodeExportFooter({ head: { sequence: through, hash, root: rootOf(frontier, through) } })}\n`;
  }
}
