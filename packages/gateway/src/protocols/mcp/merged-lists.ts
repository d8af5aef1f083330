/**
 * The pages of a list of several upstreams. An answer holds what each of them lists up to its share, so that none fills
 * the list, or this process, in place of the others; what did not fit is behind the cursor. The cursor holds nothing that
 * whoever shows it could not ask each upstream by itself, and every part of it is judged as such.
 */
import { isJsonArray, parseStrictJson } from "@writ/contract";

export interface ListLimits {
  /** Bytes of one answer; it ends with the page that reaches them. */
  readonly bytesMax: number;
  /** Bytes and pages of one upstream in one answer; likewise. */
  readonly shareBytesMax: number;
  readonly sharePagesMax: number;
}

export const LIST_LIMITS: ListLimits = {
  bytesMax: 4 * 1024 * 1024,
  shareBytesMax: 1024 * 1024,
  sharePagesMax: 20,
};

/** Characters of an upstream's own cursor. All that are left of are in ours, which must fit a request. */
const OWN_CURSOR_LENGTH_MAX = 16 * 1024;

/** Whether a cursor of an upstream can be in one of ours, and be read again. */
export function isHoldable(cursor: string): boolean {
  return cursor.length <= OWN_CURSOR_LENGTH_MAX && cursor.isWellFormed();
}

/** Where to go on: by upstream its own cursor, or undefined for its beginning. */
export type ListPosition = ReadonlyMap<string, string | undefined>;

/** Undefined for a text that is none of ours. */
export function readListCursor(text: string): ListPosition | undefined {
  const parsed = parseStrictJson(Buffer.from(text, "base64url"));
  if (parsed.kind === "fault" || !isJsonArray(parsed.value)) return undefined;
  const position = new Map<string, string | undefined>();
  for (const entry of parsed.value) {
    if (!isJsonArray(entry) || entry.length > 2) return undefined;
    const [upstream, cursor] = entry;
    if (typeof upstream !== "string" || (cursor !== undefined && typeof cursor !== "string")) return undefined;
    position.set(upstream, cursor);
  }
  return position;
}

export function writeListCursor(position: ListPosition): string {
  const entries = [...position].map(([upstream, cursor]) => (cursor === undefined ? [upstream] : [upstream, cursor]));
  return Buffer.from(JSON.stringify(entries)).toString("base64url");
}
