/** Exports one epoch of a log as NDJSON with what is needed to check it: header, checkpoints, entries, footer. */
import {
  appendLeaves,
  EMPTY_FRONTIER,
  encodeExportCheckpoint,
  encodeExportEntry,
  encodeExportFooter,
  encodeExportHeader,
  rootOf,
} from "@writ/audit";
import type { ControlContext } from "../control-context.ts";
import { selectEvents } from "./list-audit-events.ts";
import { readSignedEnd } from "./read-signed-end.ts";

const ROWS_PER_READ = 1_000;

/**
 * Lines, each with its newline. The head is captured first; entries that come later are not in this export. The end of an
 * earlier epoch is where the next one says, and its root is computed from the entries: no head has it any more.
 */
export async function exportLog(
  context: Pick<ControlContext, "store" | "checkpoints">,
  tenantId: string,
  wanted: number | undefined,
): Promise<AsyncIterable<string>> {
  const { end: head, notes } = await readSignedEnd(context, tenantId, wanted);
  const { epoch, sequence: through, hash } = head;
  return lines();

  async function* lines(): AsyncGenerator<string> {
    const origin = context.checkpoints.origin(tenantId, epoch);
    yield `${encodeExportHeader({ tenantId, epoch, origin, verifierKeys: [context.checkpoints.verifierKey] })}\n`;
    for (const note of notes) yield `${encodeExportCheckpoint(note)}\n`;
    let frontier = EMPTY_FRONTIER;
    let size = 0;
    for (let after = 0; ; ) {
      const at = after;
      const rows = await context.store.read([tenantId], (transaction) =>
        selectEvents(transaction, { tenantId, epoch, after: at, through, limit: ROWS_PER_READ }),
      );
      let page = "";
      for (const row of rows) {
        const committedAtMicros = BigInt(row.committed_us);
        page += `${encodeExportEntry({ sequence: row.sequence, committedAtMicros, hash: row.hash, event: row.event })}\n`;
        if (head.frontier === undefined) {
          frontier = appendLeaves(frontier, size, row.leaf);
          size += 1;
        }
        after = row.sequence;
      }
      if (page !== "") yield page;
      if (rows.length < ROWS_PER_READ) break;
    }
    yield `${encodeExportFooter({ head: { sequence: through, hash, root: head.frontier === undefined ? rootOf(frontier, size) : rootOf(head.frontier, through) } })}\n`;
  }
}
