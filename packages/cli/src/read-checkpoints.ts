/** The file of checkpoints that somebody kept: what it takes from it must be all that they meant to give. */
import {
  type CheckpointSelection,
  createCheckpointSelection,
  parseCheckpointFile,
  readCheckpointFile,
} from "@writ/audit/verify";
import type { CliContext } from "./cli-context.ts";
import { refused } from "./exit-codes.ts";
import { openTextFile } from "./files.ts";

/** Logs that one file may speak of. Of each no more notes are kept than anybody can verify. */
const LOGS_MAX = 100_000;

/** A signature of Ed25519 behind the four bytes that name its key; a write that was cut short ends before that. */
const WHOLE_SIGNATURE = /\n\u2014 [^\s+]+ [A-Za-z0-9+/]{91}=$/u;

/**
 * Notes as they were signed, of a file of any size, which is read once. Takes the line ends of other systems, and a last
 * note without what follows it, as a person copies one. Refuses a file that holds no checkpoint, and says what of it is
 * none.
 */
export async function readCheckpoints(context: CliContext, path: string): Promise<readonly string[]> {
  const handle = await openTextFile(context, path, "checkpoint file");
  // With an encoding a stream of a file gives strings.
  const chunks = handle.createReadStream({ encoding: "utf8" }) as AsyncIterable<string>;
  const logs = new Map<string, CheckpointSelection>();
  let others = 0;
  const take = (notes: readonly string[], damaged: number): void => {
    others += damaged;
    for (const note of notes) {
      const log = logOf(note);
      const selection = logs.get(log) ?? createCheckpointSelection();
      if (!logs.has(log) && logs.size >= LOGS_MAX) {
        throw refused(`The checkpoint file ${path} speaks of more than ${LOGS_MAX} logs: split it.`);
      }
      logs.set(log, selection);
      selection.add(note);
    }
  };
  for await (const { notes, damaged, torn } of readCheckpointFile(withPlainLineEnds(chunks))) {
    take(notes, damaged.length);
    const rest = torn.trimEnd();
    if (rest === "") continue;
    const end = parseCheckpointFile(WHOLE_SIGNATURE.test(rest) ? `${rest}\n\n` : rest);
    take(end.notes, end.damaged.length + (end.torn === "" ? 0 : 1));
  }
  if (logs.size === 0) {
    throw refused(`The checkpoint file ${path} holds no checkpoint: keep what writ audit checkpoints prints as it is.`);
  }
  if (others > 0) context.note(`writ: ${others} part(s) of ${path} are no checkpoints and were left out.\n`);
  return [...logs.values()].flatMap((selection) => selection.notes());
}

/** Tenant and epoch, the end of the origin; what comes before is whoever signed. */
function logOf(note: string): string {
  return note.slice(0, note.indexOf("\n")).split("/").slice(-2).join("/");
}

async function* withPlainLineEnds(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let carried = "";
  for await (const chunk of chunks) {
    const text = carried + chunk;
    // Its newline may be the next piece's first character.
    carried = text.endsWith("\r") ? "\r" : "";
    yield text.slice(0, text.length - carried.length).replaceAll("\r\n", "\n");
  }
  yield carried;
}
