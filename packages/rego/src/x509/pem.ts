/** Reads PEM: base64 between lines that say what it is (RFC 7468, with the leniencies of Go's package pem). */
import { readBase64 } from "../bytes.ts";

export interface PemBlock {
  readonly label: string;
  readonly bytes: Uint8Array;
  /** The text after the block's last line. */
  readonly rest: string;
}

const BEGIN = "-----BEGIN ";
const END = "\n-----END ";
const DASHES = "-----";

/** The first block of a text; undefined when there is none. What is no block is passed over, in one pass. */
export function readPem(text: string): PemBlock | undefined {
  let end = -1;
  for (let begin = nextBegin(text, 0); begin >= 0; begin = nextBegin(text, begin + BEGIN.length)) {
    const lineEnd = endOfLine(text, begin);
    if (end < lineEnd) end = text.indexOf(END, lineEnd);
    if (end < 0) return undefined;
    const first = text.slice(begin, lineEnd).trimEnd();
    // No other block begins within one.
    const next = nextBegin(text, lineEnd);
    if (!first.endsWith(DASHES) || (next >= 0 && next < end)) continue;
    const close = endOfLine(text, end + 1);
    const label = first.slice(BEGIN.length, -DASHES.length);
    if (text.slice(end + END.length, close).trimEnd() !== label + DASHES) continue;
    const read = readBase64(withoutHeaders(text.slice(lineEnd + 1, end)).replace(/[ \t\r\n]/g, ""));
    if (read.kind === "bytes") return { label, bytes: read.bytes, rest: text.slice(close + 1) };
  }
  return undefined;
}

/** Where the next line begins that begins a block; -1 when there is none. */
function nextBegin(text: string, from: number): number {
  if (from === 0 && text.startsWith(BEGIN)) return 0;
  const at = text.indexOf(`\n${BEGIN}`, Math.max(from - 1, 0));
  return at < 0 ? -1 : at + 1;
}

/** All blocks of a text, in order. */
export function readPemBlocks(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = [];
  for (let block = readPem(text); block !== undefined; block = readPem(block.rest)) blocks.push(block);
  return blocks;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end < 0 ? text.length : end;
}

/** Lines `name: value` may stand before the base64. */
function withoutHeaders(body: string): string {
  const lines = body.split("\n");
  const index = lines.findIndex((line) => !line.includes(":"));
  return index < 0 ? "" : lines.slice(index).join("\n");
}
