/** Reads PEM: base64 between lines that say what it is (RFC 7468, with the leniencies of Go's package pem). */
import { readBase64 } from "../bytes.ts";

export interface PemBlock {
  readonly label: string;
  readonly bytes: Uint8Array;
  /** The text after the block's last line. */
  readonly rest: string;
}

/** The first block of a text; undefined when there is none. What is no block is passed over. */
export function readPem(text: string): PemBlock | undefined {
  let from = 0;
  for (;;) {
    const begin = text.startsWith("-----BEGIN ", from) ? from : text.indexOf("\n-----BEGIN ", from) + 1;
    if (begin === 0 && !text.startsWith("-----BEGIN ")) return undefined;
    if (begin < from) return undefined;
    from = begin + 1;
    const lineEnd = endOfLine(text, begin);
    const first = text.slice(begin, lineEnd).trimEnd();
    if (!first.endsWith("-----")) continue;
    const label = first.slice("-----BEGIN ".length, -"-----".length);
    const closing = `-----END ${label}-----`;
    const end = text.indexOf(closing, lineEnd);
    if (end < 0 || (end > 0 && text[end - 1] !== "\n")) continue;
    const close = endOfLine(text, end + closing.length);
    if (text.slice(end + closing.length, close).trim() !== "") continue;
    const read = readBase64(withoutHeaders(text.slice(lineEnd, end)).replace(/[ \t\r\n]/g, ""));
    if (read.kind === "fault") continue;
    return { label, bytes: read.bytes, rest: text.slice(close + 1) };
  }
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
  let index = 0;
  while (index < lines.length && ((lines[index] ?? "").includes(":") || (index === 0 && lines[0]?.trim() === ""))) {
    index += 1;
  }
  return lines.slice(index).join("\n");
}
