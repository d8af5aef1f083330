/**
 * Writing a log as NDJSON that an outsider can check: a header, checkpoints, entries, a footer; each line without its
 * newline. Reading pages from the database is not done here, and `verify/` reads what this writes.
 */

/** The hashes of an export are 32 bytes here and lower-case hex on the line. */
export interface ExportHead {
  readonly sequence: number;
  readonly hash: Uint8Array;
  readonly root: Uint8Array;
}

export interface ExportHeader {
  readonly tenantId: string;
  readonly epoch: number;
  /** The position before the first entry; left out when the export begins with sequence 1. */
  readonly from?: { readonly sequence: number; readonly hash: Uint8Array; readonly frontier: Uint8Array };
  readonly origin: string;
  /** For information: who verifies should have the keys from elsewhere. */
  readonly verifierKeys: readonly string[];
}

export interface ExportEntry {
  readonly sequence: number;
  readonly committedAtMicros: bigint;
  readonly hash: Uint8Array;
  /** The event's text, exactly as stored. */
  readonly event: string;
}

/** The first line. */
export function encodeExportHeader({ tenantId, epoch, from, origin, verifierKeys }: ExportHeader): string {
  const position =
    from === undefined ? undefined : { sequence: from.sequence, hash: hex(from.hash), frontier: hex(from.frontier) };
  return JSON.stringify({ format: "writ-log", version: 1, tenantId, epoch, from: position, origin, verifierKeys });
}

/** A signed note. All of them follow the header, because a reader needs them before the entries that they speak of. */
export function encodeExportCheckpoint(note: string): string {
  return JSON.stringify({ checkpoint: note });
}

/** One entry. The event is a JSON string of its exact text, so that its bytes survive whatever prints JSON anew. */
export function encodeExportEntry({ sequence, committedAtMicros, hash, event }: ExportEntry): string {
  return `{"sequence":${sequence},"committedAtMicros":"${committedAtMicros}","hash":"${hex(hash)}","event":${JSON.stringify(event)}}`;
}

/** The last line: where the log ended when the export was made. */
export function encodeExportFooter({ head }: { readonly head: ExportHead }): string {
  return JSON.stringify({ head: { sequence: head.sequence, hash: hex(head.hash), root: hex(head.root) } });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}
