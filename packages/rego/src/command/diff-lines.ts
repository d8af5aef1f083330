/** Two texts as a unified diff, with one hunk from the first difference to the last. */

const CONTEXT_LINES = 3;
/** Lines between the equal ends of each text; the work is their product. */
const LINES_MAX = 4_000;

export function diffLines(name: string, before: string, after: string): string {
  const one = linesOf(before);
  const other = linesOf(after);
  let start = 0;
  while (start < one.length && start < other.length && one[start] === other[start]) start += 1;
  let tail = 0;
  const isShared = () => one[one.length - 1 - tail] === other[other.length - 1 - tail];
  while (tail < one.length - start && tail < other.length - start && isShared()) tail += 1;
  const removed = one.slice(start, one.length - tail);
  const added = other.slice(start, other.length - tail);
  const from = Math.max(0, start - CONTEXT_LINES);
  const past = Math.min(tail, CONTEXT_LINES);
  const hunk = [
    ...one.slice(from, start).map((line) => ` ${line}`),
    ...diffMiddle(removed, added),
    ...one.slice(one.length - tail, one.length - tail + past).map((line) => ` ${line}`),
  ];
  const length = (lines: readonly string[]) => start - from + lines.length + past;
  const place = `@@ -${from + 1},${length(removed)} +${from + 1},${length(added)} @@`;
  return [`--- ${name}`, `+++ ${name}`, place, ...hunk, ""].join("\n");
}

function linesOf(text: string): string[] {
  return text.replace(/\n$/, "").split("\n");
}

/** Lines of both in the order of their longest common subsequence; all of both when they are too many. */
function diffMiddle(left: readonly string[], right: readonly string[]): string[] {
  if (left.length > LINES_MAX || right.length > LINES_MAX) {
    return [...left.map((line) => `-${line}`), ...right.map((line) => `+${line}`)];
  }
  const width = right.length + 1;
  const common = new Uint16Array((left.length + 1) * width);
  const at = (row: number, column: number) => common[row * width + column] ?? 0;
  for (let row = left.length - 1; row >= 0; row -= 1) {
    for (let column = right.length - 1; column >= 0; column -= 1) {
      common[row * width + column] =
        left[row] === right[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const lines: string[] = [];
  let row = 0;
  let column = 0;
  while (row < left.length || column < right.length) {
    if (row < left.length && column < right.length && left[row] === right[column]) {
      lines.push(` ${left[row]}`);
      row += 1;
      column += 1;
    } else if (column >= right.length || (row < left.length && at(row + 1, column) >= at(row, column + 1))) {
      lines.push(`-${left[row]}`);
      row += 1;
    } else {
      lines.push(`+${right[column]}`);
      column += 1;
    }
  }
  return lines;
}
