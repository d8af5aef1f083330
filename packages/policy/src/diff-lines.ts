/**
 * Compares two sources line by line: by the longest common subsequence of what lies between their equal ends, while
 * that is affordable. A line's end is no part of it.
 */
export interface DiffLine {
  readonly kind: "same" | "added" | "removed";
  readonly text: string;
}

/** Lines between the equal ends of one text times those of the other; beyond, they are shown as replaced whole. */
const COMPARISONS_MAX = 4_000_000;

export function diffLines(before: string, after: string): readonly DiffLine[] {
  const one = linesOf(before);
  const other = linesOf(after);
  let start = 0;
  while (start < one.length && start < other.length && one[start] === other[start]) start += 1;
  let end = 0;
  while (
    end < one.length - start &&
    end < other.length - start &&
    one[one.length - 1 - end] === other[other.length - 1 - end]
  )
    end += 1;
  const left = one.slice(start, one.length - end);
  const right = other.slice(start, other.length - end);
  const all = (kind: DiffLine["kind"], texts: readonly string[]): readonly DiffLine[] =>
    texts.map((text) => ({ kind, text }));
  const middle =
    left.length * right.length > COMPARISONS_MAX
      ? [...all("removed", left), ...all("added", right)]
      : diffMiddle(left, right);
  return [...all("same", one.slice(0, start)), ...middle, ...all("same", one.slice(one.length - end))];
}

function diffMiddle(left: readonly string[], right: readonly string[]): readonly DiffLine[] {
  const width = right.length + 1;
  /** Length of the longest common subsequence of the rests that begin at (row, column). */
  const common = new Uint16Array((left.length + 1) * width);
  const at = (row: number, column: number): number => common[row * width + column] ?? 0;
  for (let row = left.length - 1; row >= 0; row -= 1) {
    for (let column = right.length - 1; column >= 0; column -= 1) {
      common[row * width + column] =
        left[row] === right[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const lines: DiffLine[] = [];
  let row = 0;
  let column = 0;
  while (row < left.length || column < right.length) {
    const removed = left[row];
    const added = right[column];
    if (removed !== undefined && removed === added) {
      lines.push({ kind: "same", text: removed });
      row += 1;
      column += 1;
    } else if (removed !== undefined && (added === undefined || at(row + 1, column) >= at(row, column + 1))) {
      lines.push({ kind: "removed", text: removed });
      row += 1;
    } else {
      lines.push({ kind: "added", text: added ?? "" });
      column += 1;
    }
  }
  return lines;
}

function linesOf(text: string): readonly string[] {
  if (text === "") return [];
  return text.replace(/\r?\n$/, "").split(/\r?\n/);
}
