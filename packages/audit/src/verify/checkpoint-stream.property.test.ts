import fc from "fast-check";
import { expect, it } from "vitest";
import { checkpointFileEntry } from "../checkpoint.ts";
import { checkpointOf, makeLog } from "../testing/make-log.ts";
import { type CheckpointFile, NOTE_CHARACTERS_MAX, parseCheckpointFile } from "./checkpoint.ts";
import { readCheckpointFile } from "./checkpoint-stream.ts";

const log = makeLog(20);
const entries = log.map((_, index) => checkpointFileEntry(checkpointOf(log, index + 1)));

async function read(chunks: Iterable<string>): Promise<CheckpointFile> {
  async function* each(): AsyncGenerator<string> {
    yield* chunks;
  }
  const notes: string[] = [];
  const damaged: string[] = [];
  let torn = "";
  for await (const part of readCheckpointFile(each())) {
    notes.push(...part.notes);
    damaged.push(...part.damaged);
    expect(torn).toBe("");
    torn = part.torn;
  }
  return { notes, damaged, torn };
}

/** `text` in pieces of these lengths, again and again. */
function cut(text: string, lengths: readonly number[]): string[] {
  const chunks: string[] = [];
  for (let at = 0, nth = 0; at < text.length; nth += 1) {
    const length = lengths[nth % lengths.length] ?? 1;
    chunks.push(text.slice(at, at + length));
    at += length;
  }
  return chunks;
}

const entry = fc.constantFrom(...entries);
const piece = fc.oneof(
  { weight: 3, arbitrary: entry },
  fc.tuple(entry, fc.nat({ max: 320 })).map(([text, length]) => text.slice(0, length)),
  fc.tuple(entry, fc.nat({ max: 320 })).map(([text, from]) => text.slice(from)),
  fc.constantFrom("\n", "\n\n", "\n\n\n", "\r\n", "\r\n\r\n", "\u2014 a b", "\u2014 a b\n\n", "hello\n\n"),
);

it("a file that is read in pieces of any size holds what it holds as a whole", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 30 }),
      fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 8 }),
      async (pieces, lengths) => {
        const text = pieces.join("");
        expect(await read(cut(text, lengths))).toEqual(parseCheckpointFile(text));
      },
    ),
    { numRuns: 300 },
  );
});

it("a block without an end is damaged once, is not kept in memory, and hides no note behind it", async () => {
  const [first = "", second = "", third = ""] = entries;
  for (const length of [1_000, 65_536, 10_000_000]) {
    const text = `${first}${"x".repeat(5 * NOTE_CHARACTERS_MAX)}\n\n${second}${third}`;
    const { notes, damaged, torn } = await read(cut(text, [length]));
    expect(notes).toEqual(parseCheckpointFile(first + second + third).notes);
    expect(damaged).toHaveLength(1);
    expect(torn).toBe("");
  }
});
