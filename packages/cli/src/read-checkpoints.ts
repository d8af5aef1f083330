/** The file of checkpoints that somebody kept: what it takes from it must be all that they meant to give. */
import { parseCheckpointFile } from "@writ/audit";
import type { CliContext } from "./cli-context.ts";
import { refused } from "./exit-codes.ts";
import { readTextFile } from "./files.ts";

/** A checkpoint has some 300 bytes, and a busy log one every ten seconds. */
const FILE_BYTES_MAX = 256 * 1024 * 1024;

/** A signature of Ed25519 behind the four bytes that name its key; a write that was cut short ends before that. */
const WHOLE_SIGNATURE = /\n\u2014 [^\s+]+ [A-Za-z0-9+/]{91}=$/u;

/**
 * Notes as they were signed. Takes the line ends of other systems, and a last note without what follows it, as a person
 * copies one. Refuses a file that holds no checkpoint, and says what of it is none.
 */
export async function readCheckpoints(context: CliContext, path: string): Promise<readonly string[]> {
  const text = (await readTextFile(context, path, "checkpoint file", FILE_BYTES_MAX))
    .replaceAll("\r\n", "\n")
    .trimEnd();
  const { notes, damaged, torn } = parseCheckpointFile(WHOLE_SIGNATURE.test(text) ? `${text}\n\n` : text);
  const others = damaged.length + (torn === "" ? 0 : 1);
  if (notes.length === 0) {
    throw refused(`The checkpoint file ${path} holds no checkpoint: keep what writ audit checkpoints prints as it is.`);
  }
  if (others > 0) context.note(`writ: ${others} part(s) of ${path} are no checkpoints and were left out.\n`);
  return notes;
}
