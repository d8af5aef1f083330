/**
 * Which checkpoints of one log are kept when there are more than anybody can verify: all of a moderate number, and of
 * more than that fewer and fewer with the distance from the end. It verifies nothing; sizes are what the notes say.
 *
 * What has to hold, so that no damage of a log can hide in what was left out:
 * - the greatest size is kept, so entries that are missing before it are missed,
 * - of a note that was left out a kept one is at or behind it, by less than 1/64 of the distance to the greatest size:
 *   a history that was rewritten before the one was rewritten before the other, and disagrees with it,
 * - where a note does not go further than the note before it, one after another in the order of the file, both are kept:
 *   so the end of a history that was left for another one stays, and what was signed instead.
 */

/** So many notes of a log are all kept, and never more. */
export const CHECKPOINTS_KEPT_MAX = 4_096;

export interface CheckpointSelection {
  /** Takes the next note, in the order in which they were signed. */
  add(note: string): void;
  /** What is kept of them, in that order, each once. First some of what has no size, for the verifier to say so. */
  notes(): readonly string[];
}

/** Of notes of one log, which the caller tells apart by their origins. */
export function createCheckpointSelection(): CheckpointSelection {
  let kept: Sized[] = [];
  let last: Sized | undefined;
  let breaks = 0;
  const unreadable: string[] = [];

  function add(note: string): void {
    if (last?.note === note) return; // an idle log is signed again, and the same signature comes of it
    const size = sizeOf(note);
    if (size === undefined) {
      if (unreadable.length < UNREADABLE_MAX) unreadable.push(copy(note));
      return;
    }
    const next: Sized = { note: copy(note), size, always: false };
    if (last !== undefined && size <= last.size && breaks < BREAKS_MAX) {
      breaks += 1;
      last.always = true;
      next.always = true;
    }
    last = next;
    kept.push(next);
    if (kept.length < 2 * CHECKPOINTS_KEPT_MAX) return;
    kept = thin(kept);
    last = kept.find((one) => one.note === next.note); // or the same note as it came before
  }

  return {
    add,
    notes() {
      const once = onlyOnce(kept);
      const sized = once.length + unreadable.length > CHECKPOINTS_KEPT_MAX ? thin(kept) : once;
      return [...unreadable, ...sized.map(({ note }) => note)];
    },
  };
}

interface Sized {
  readonly note: string;
  readonly size: number;
  always: boolean;
}

/** The distance from the end is at least so many stretches long, of each of which the greatest size stays. */
const PARTS = 64;
/** Of two notes each. A file has none unless its signer has forgotten what it signed. */
const BREAKS_MAX = 256;
const UNREADABLE_MAX = 100;

/**
 * Stretches are powers of two long and begin at their multiples, so each lies within a longer one: what was left out
 * for a note that is left out later is within the same stretch as what stays then.
 */
function thin(notes: readonly Sized[]): Sized[] {
  const once = onlyOnce(notes);
  const greatest = once.reduce((most, { size }) => Math.max(most, size), 0);
  const smallest = once.reduce((least, { size }) => Math.min(least, size), greatest);
  const stays = new Map<string, Sized>();
  const stretchOf = ({ size }: Sized): string => {
    const width = 2 ** Math.max(0, Math.floor(Math.log2((greatest - size) / PARTS)));
    return `${width}/${Math.floor(size / width)}`;
  };
  for (const one of once) {
    const stretch = stretchOf(one);
    const other = stays.get(stretch);
    if (other === undefined || other.size <= one.size) stays.set(stretch, one);
  }
  const latest = notes.at(-1)?.note;
  let first = false;
  return once.filter((one) => {
    const begins = !first && one.size === smallest;
    first ||= begins;
    return one.always || begins || one.note === latest || stays.get(stretchOf(one)) === one;
  });
}

function onlyOnce(notes: readonly Sized[]): Sized[] {
  const known = new Map<string, Sized>();
  for (const one of notes) {
    const other = known.get(one.note);
    if (other === undefined) known.set(one.note, one);
    else if (one.always) other.always = true;
  }
  return [...known.values()];
}

/** The line behind the origin. Whether the rest can be read is the verifier's to say. */
function sizeOf(note: string): number | undefined {
  const size = Number(/^[^\s+]+\n(0|[1-9]\d{0,15})\n/u.exec(note)?.[1]);
  return Number.isSafeInteger(size) ? size : undefined;
}

/** A part of a text holds the whole of it in memory; its copy does not. */
function copy(note: string): string {
  return Buffer.from(note, "utf16le").toString("utf16le");
}
