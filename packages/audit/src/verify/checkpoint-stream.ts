/**
 * Reads a file of checkpoints piece by piece, in constant memory however large it has become. What a block is, is
 * `parseCheckpointFile`'s alone: it is given the text up to an empty line, together with what the piece before left.
 */
import { type CheckpointFile, NOTE_CHARACTERS_MAX, parseCheckpointFile } from "./checkpoint.ts";

/**
 * What `parseCheckpointFile` gives of the whole text, in parts that follow each other; the last alone has what is torn.
 * A block longer than any note is said to be damaged, with its beginning.
 */
export async function* readCheckpointFile(chunks: AsyncIterable<string>): AsyncGenerator<CheckpointFile> {
  let rest = "";
  let overlong = false;
  for await (const chunk of chunks) {
    rest += chunk;
    if (overlong) {
      const [found] = /\n\r?\n/.exec(rest) ?? [];
      overlong = found === undefined;
      rest = found === undefined ? rest.slice(-EMPTY_LINE_BEGUN_MAX) : rest.slice(rest.indexOf(found) + found.length);
    }
    const end = lastEmptyLine(rest);
    if (end > 0) {
      const part = parseCheckpointFile(rest.slice(0, end));
      rest = part.torn + rest.slice(end);
      if (part.notes.length > 0 || part.damaged.length > 0) yield { ...part, torn: "" };
    }
    if (rest.length > CARRIED_CHARACTERS_MAX) {
      yield { notes: [], damaged: [rest.slice(0, DAMAGED_CHARACTERS_SHOWN)], torn: "" };
      rest = rest.slice(-EMPTY_LINE_BEGUN_MAX);
      overlong = true;
    }
  }
  yield overlong ? { notes: [], damaged: [], torn: "" } : parseCheckpointFile(rest);
}

/** Where the last empty line ends, however lines end; 0 when there is none. */
function lastEmptyLine(text: string): number {
  const [bare, carriage] = [text.lastIndexOf("\n\n"), text.lastIndexOf("\n\r\n")];
  return Math.max(bare === -1 ? 0 : bare + 2, carriage === -1 ? 0 : carriage + 3);
}

/** So much of an empty line may stand at the end of a piece while the rest of it is in the next. */
const EMPTY_LINE_BEGUN_MAX = 2;
/** A text whose signatures are still to come, and a little more than the longest of them. */
const CARRIED_CHARACTERS_MAX = 2 * NOTE_CHARACTERS_MAX;
const DAMAGED_CHARACTERS_SHOWN = 256;
